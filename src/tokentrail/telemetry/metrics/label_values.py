"""The values of one metric attribute: few, short, and of calls that succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.values import encodable
from tokentrail.support import guard

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

MAX_VALUES: Final = 200
"""Values in the life of a process."""
MAX_UNPROVEN: Final = 32
"""Further values of calls that never succeeded: an outage still shows its models, and requests for
models that do not exist cannot fill the table."""
MAX_LENGTH: Final = 256
"""Characters of a value; longer ones are cut."""
OTHER: Final = "_OTHER"
"""Stands for every further value, since a program may send a new one with each call."""


class LabelValues:
    """The table of one attribute."""

    __slots__ = ("_name", "_proven", "_unproven")

    def __init__(self, name: str) -> None:
        """``name`` is the name of the attribute, for the log."""
        self._name = name
        self._proven: set[AttributeValue] = set()
        self._unproven: set[AttributeValue] = set()

    def is_new(self, value: AttributeValue) -> bool:
        """Whether ``value`` has no place yet and could still get one by a call that succeeds."""
        return fitting(value) not in self._proven and len(self._proven) < MAX_VALUES

    def bounded(self, value: AttributeValue, *, proven: bool = True) -> AttributeValue:
        """Return ``value``, made fit for a metric, or :data:`OTHER`.

        ``proven``: a call with this value succeeded.
        """
        value = fitting(value)
        if value in self._proven:
            return value
        if proven and len(self._proven) < MAX_VALUES:
            self._proven.add(value)
            self._unproven.discard(value)
            return value
        if value in self._unproven:
            return value
        if proven:
            self._note_full(MAX_VALUES, "values")
        elif len(self._unproven) < MAX_UNPROVEN:
            self._unproven.add(value)
            return value
        else:
            self._note_full(MAX_UNPROVEN, "values of calls that never succeeded")
        return OTHER

    def _note_full(self, most: int, what: str) -> None:
        guard.warn_once(
            f"full {self._name} {most}",
            "%s has %s %s on metrics, the most that are recorded: metrics have further ones as "
            "_OTHER from now on. Spans have all values.",
            self._name,
            most,
            what,
        )


def fitting(value: AttributeValue) -> AttributeValue:
    """Return ``value`` as a metric can have it.

    A lone surrogate would break each later scrape, and a name may be as long as a prompt.
    """
    if not isinstance(value, str):
        return value
    if len(value) > MAX_LENGTH:
        value = value[:MAX_LENGTH]
    return encodable(value)
