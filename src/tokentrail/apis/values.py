"""Typed readers, which return a value or ``None`` and never raise; and tables of readers.

Servers and applications send values of any type. openai builds its model objects without
validation and keeps wrong types. So each value is read by an allow-list of types: the client's
sentinels (``NOT_GIVEN``, ``omit``), ``None`` and unexpected types all count as absent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from tokentrail.model.records import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokentrail.model.records import Prompt

    Parameter = tuple[str, str, Callable[[Any], object]]
    """A keyword argument, its field of a Request, and its reader."""

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_SENTINELS: Final = frozenset({"NoneType", "NotGiven", "Omit"})
_CODE: Final = re.compile(r"[\w.\-]{1,64}", re.ASCII)
MAX_CHARS: Final = 1024
"""The most characters of a name or id. They are foreign, and may be as long as a prompt."""
_INT64: Final = 1 << 63
"""Telemetry has 64-bit integers; a larger one would break an exporter's whole batch."""
MAX_TOKENS: Final = 10**12
"""More tokens than any call has. Sums of larger numbers could overflow 64 bits permanently."""
_COPIED: Final = frozenset({dict, list})
_DEPTH: Final = 32
"""Containers nested deeper than this are shared, not copied."""


def fields(value: object) -> Mapping[str, object]:
    """Return the fields of a model object (declared and extra) or of a mapping; else nothing.

    A model object is read through its ``__dict__``: reading a missing attribute of a pydantic model
    costs microseconds, and ``model_dump`` more. The result may be the caller's own object, so it
    must not be modified.
    """
    if type(value) is dict:
        return value
    if value is None:  # often, and an exception takes long
        return _NOTHING
    try:
        declared = value.__dict__
        extra = value.__pydantic_extra__  # type: ignore[attr-defined]
    except AttributeError:
        return _plain_fields(value)
    if type(declared) is not dict:
        return _NOTHING
    return {**extra, **declared} if extra and type(extra) is dict else declared


def _plain_fields(value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    declared = getattr(value, "__dict__", None)
    return declared if type(declared) is dict else _NOTHING


def is_absent(value: object) -> bool:
    """Return whether a keyword argument was not given: ``None`` or a sentinel of the client."""
    return type(value).__name__ in _SENTINELS


def is_sequence(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """Return whether ``value`` can be iterated without consuming data of the caller."""
    return isinstance(value, (list, tuple))


def sequence(value: object) -> list[object] | tuple[object, ...]:
    """Return ``value`` if it is a list or tuple, else an empty tuple."""
    return value if isinstance(value, (list, tuple)) else ()


def is_other_collection(value: object) -> TypeGuard[Collection[object]]:
    """Return whether ``value`` is a re-readable collection other than a list, text or mapping.

    The client accepts any collection, such as a deque or the values of a dict.
    """
    others = (list, tuple, str, bytes, Mapping, Iterator)
    return isinstance(value, Collection) and not isinstance(value, others)


def deep_copy(value: object, depth: int = _DEPTH) -> object:
    """Return a snapshot of ``value``: lists and dicts are copied deeply, all else is shared.

    Strings are immutable, and other objects are of unknown types.
    """
    items: Collection[object]
    if type(value) is dict:
        items = value.values()
    elif type(value) is list:
        items = value
    else:
        return value
    if not depth:
        return value
    made: Any = value.copy()
    if not _COPIED.isdisjoint(map(type, items)):
        for key, item in made.items() if type(made) is dict else enumerate(made):
            if type(item) in _COPIED:
                made[key] = deep_copy(item, depth - 1)
    return made


def plain_str(value: object) -> str | None:
    """Return a string, even an empty one; a member of a string enum returns its plain value."""
    if type(value) is str:
        return value
    return str.__str__(value) if isinstance(value, str) else None


def nonempty_str(value: object) -> str | None:
    """Return a non-empty string; an empty one counts as absent."""
    if value is None:
        return None
    if type(value) is str:
        return value or None
    return plain_str(value) or None


def telemetry_str(value: object) -> str | None:
    """Return a string fit for telemetry: at most MAX_CHARS characters, no lone surrogates.

    One lone surrogate in a label would make every later scrape by Prometheus fail.
    """
    if value is None:
        return None
    if type(value) is str and value.isascii():  # nearly always
        return value[:MAX_CHARS] or None
    text = nonempty_str(value)
    return None if text is None else encodable(text)[:MAX_CHARS]


def encodable(text: str) -> str:
    """Return a text with lone surrogates replaced."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def error_code(value: object) -> str | None:
    """Return a short word without blanks, like an error code; ``None`` for other text."""
    text = plain_str(value)
    return text if text is not None and _CODE.fullmatch(text) else None


def nonempty_strs(value: object) -> tuple[str, ...] | None:
    """Return a non-empty list of strings; ``None`` if it contains anything else."""
    found = tuple(map(plain_str, sequence(value)))
    given = tuple(encodable(item)[:MAX_CHARS] for item in found if item is not None)
    return given if given and len(given) == len(found) else None


def integer(value: object) -> int | None:
    """Return an int that fits telemetry; a bool is not one."""
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def tokens(value: object) -> int | None:
    """Return a token count: a whole number of zero or more, else ``None``.

    It may be a float or text, as in the client's own types, which convert both.
    """
    if type(value) is float:
        value = int(value) if value.is_integer() else None
    elif type(value) is str:
        value = int(value) if len(value) < _DIGITS and value.isdecimal() else None
    return value if type(value) is int and 0 <= value < MAX_TOKENS else None


_DIGITS: Final = 20


def number(value: object) -> float | None:
    """Return a float; an int is converted."""
    if type(value) is float:
        return value
    whole = integer(value)
    return None if whole is None else float(whole)


class Parameters:
    """Reads the keyword arguments of one API's calls; most calls have only a few."""

    def __init__(self, *rows: Parameter) -> None:
        """If two rows fill the same field, the later one is used."""
        self._rows: dict[str, list[tuple[int, str, Callable[[Any], object]]]] = {}
        filled = [field for _, field, _ in rows]
        for place, (name, field, read) in enumerate(rows, 1):
            rank = place if filled.count(field) > 1 else 0  # 0: no other row fills the field
            self._rows.setdefault(name, []).append((rank, field, read))

    def read(
        self,
        arguments: Mapping[str, object],
        prompt: Prompt | None = None,
        **known: Any,
    ) -> Request:
        """Return the request of these arguments."""
        ranks: dict[str, int] = {}
        for name, given in arguments.items():
            for rank, field, read in self._rows.get(name, ()):
                value = read(given)
                if value is not None and (not rank or rank >= ranks.get(field, 0)):
                    known[field] = value
                    if rank:
                        ranks[field] = rank
        return Request(prompt=prompt, **known)
