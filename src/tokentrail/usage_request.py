"""Asking the server for a stream's usage on the application's behalf, unseen by it.

The option ``stream_options.include_usage`` makes a server send one more chunk, with no choice and
the usage, and a ``usage: null`` on the others. The application did not ask for either, so the one
is kept from it and the other wiped off. A server that refuses the option is asked again without it,
and not bothered with it for a while.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tokentrail.operation import Request

OPTION: Final = "stream_options"
_WANTED: Final = "include_usage"
_APIS: Final = frozenset({"chat", "text_completion"})
_RAW: Final = "x-stainless-raw-response"
_REFUSALS: Final = frozenset({400, 422})

REMEMBERED: Final = 256
"""Servers whose refusal is remembered."""
FORGOTTEN_AFTER: Final = 600.0
"""Seconds until a server that refused is asked again."""


class Refusals:
    """Which servers refused the option a short while ago."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, server: str) -> None:
        """Remember that ``server`` (a base URL and its API version) refused."""
        self._until[server] = time.monotonic() + FORGOTTEN_AFTER
        if len(self._until) > REMEMBERED:
            # A list is made in one step, whatever other threads add meanwhile.
            self._until.pop(list(self._until)[0], None)  # noqa: RUF015 - for that

    def has(self, server: str) -> bool:
        """Whether ``server`` refused lately."""
        return self._until.get(server, 0.0) > time.monotonic()


def is_open(request: Request, kwargs: Mapping[str, Any]) -> bool:
    """Whether the option may be added: a stream that has it, and an application silent on it.

    Raw and streaming responses are left alone: the application reads what is on the wire. So is a
    message whose content can be read but once: it could not be sent again without the option.
    """
    if not request.stream or request.api == "responses" or request.operation not in _APIS:
        return False
    if _reads_once(kwargs.get("messages")):
        return False
    headers = kwargs.get("extra_headers")
    if isinstance(headers, Mapping) and any(str(name).lower() == _RAW for name in headers):
        return False
    body = kwargs.get("extra_body")
    if isinstance(body, Mapping) and OPTION in body:
        return False
    given = kwargs.get(OPTION, _UNSAID)
    if isinstance(given, Mapping):
        return _WANTED not in given
    return type(given).__name__ in _SENTINELS


_UNSAID: Final = object()
_SENTINELS: Final = frozenset({"object", "NotGiven", "Omit"})


def _reads_once(messages: object) -> bool:
    if not isinstance(messages, (list, tuple)):
        return False
    return any(
        isinstance(message, Mapping) and isinstance(message.get("content"), Iterator)
        for message in messages
    )


def added(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with the option, beside what else the application said there."""
    given = kwargs.get(OPTION)
    others = given if isinstance(given, Mapping) else {}
    return {**kwargs, OPTION: {**others, _WANTED: True}}


def taken_back(
    kwargs: Mapping[str, Any],
    original: Mapping[str, Any],
    kept: Mapping[str, tuple[list[object], Iterator[object]]],
) -> dict[str, Any]:
    """Return the arguments as the application gave them, for a second try.

    A one-shot iterator begins anew with what the first try took out of it.
    """
    again = dict(kwargs)
    again.pop(OPTION, None)
    if OPTION in original:
        again[OPTION] = original[OPTION]
    for name, (items, rest) in kept.items():
        again[name] = chain(list(items), rest)
    return again


def is_refusal(error: BaseException) -> bool:
    """Whether ``error`` is a server's word that it does not take the option."""
    if getattr(error, "status_code", None) not in _REFUSALS:
        return False
    said = f"{error} {getattr(error, 'body', '')}"
    return OPTION in said or _WANTED in said


def conceal(chunk: object) -> bool:
    """Whether ``chunk`` is there only because we asked; any other is made to look as if we had not.

    ``usage: null`` leaves no trace in ``to_json()`` once the field does not count as set.
    """
    try:
        given = vars(chunk)
        if given.get("usage") is None:
            chunk.__pydantic_fields_set__.discard("usage")  # type: ignore[attr-defined]
            return False
        return not given.get("choices")
    except (AttributeError, TypeError):
        return False
