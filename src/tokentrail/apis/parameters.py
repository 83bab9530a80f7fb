"""Parameters that mean the same in the requests of several APIs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tokentrail.apis.chat.messages import read_tools
from tokentrail.apis.values import (
    fields,
    integer,
    is_absent,
    is_sequence,
    nonempty_strs,
    number,
    plain_str,
    telemetry_str,
)
from tokentrail.model.records import ID_FIELDS, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from tokentrail.model.records import Prompt

    Parameter = tuple[str, str, Callable[[Any], object]]
    """A keyword argument, the field of a Request that it fills, and how it is read."""

MAX_REQUESTS: Final = 256
"""Requests that are kept for the next that ask for the same."""
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
"""Kinds of arguments that cannot change."""
_OUTPUT_TYPES: Final = {"text": "text", "json_object": "json", "json_schema": "json"}


def choice_count(n: object) -> int | None:
    """Return how many choices were asked for, if that is not the usual one."""
    count = integer(n)
    return None if count == 1 else count


def stop_sequences(stop: object) -> tuple[str, ...] | None:
    """Return the stop sequences; a single one may be given bare."""
    one = telemetry_str(stop)
    return nonempty_strs(stop) if one is None else (one,)


def service_tier(tier: object) -> str | None:
    """Return the service tier that was asked for; "auto" asks for none."""
    asked = telemetry_str(tier)
    return None if asked == "auto" else asked


def output_type(form: object) -> str | None:
    """Return the kind of output that a format asks for; a class stands for its JSON schema."""
    if isinstance(form, type):
        return "json"
    kind = plain_str(fields(form).get("type"))
    return None if kind is None else _OUTPUT_TYPES.get(kind)


def holds_only_functions(tools: object) -> bool:
    """Tell whether ``tools`` are absent, or a list in which every one is a function's."""
    if is_sequence(tools):
        return len(read_tools(tools)) == len(tools)
    return is_absent(tools)


COMMON: Final[tuple[Parameter, ...]] = (
    ("model", "model", telemetry_str),
    ("stream", "stream", bool),
    ("temperature", "temperature", number),
    ("top_p", "top_p", number),
)
SAMPLED: Final[tuple[Parameter, ...]] = (
    *COMMON,
    ("n", "choice_count", choice_count),
    ("top_k", "top_k", integer),
    ("max_tokens", "max_tokens", integer),
    ("frequency_penalty", "frequency_penalty", number),
    ("presence_penalty", "presence_penalty", number),
    ("seed", "seed", integer),
    ("stop", "stop_sequences", stop_sequences),
)
"""Parameters of chat completions and of completions."""


class Parameters:
    """Reads the keyword arguments of one API's calls, of which most give but a few."""

    def __init__(self, *rows: Parameter, said: tuple[Parameter, ...] = ()) -> None:
        """Where two rows fill the same field, the later counts.

        ``said``: rows of arguments that hold what is said, which must not be kept.
        """
        self._said = said
        self._rows: dict[str, list[tuple[int, str, Callable[[Any], object]]]] = {}
        for rank, (name, field, read) in enumerate(rows):
            self._rows.setdefault(name, []).append((rank, field, read))
        self._ids = frozenset(name for name, field, _ in rows if field in ID_FIELDS)
        self._requests: dict[Hashable, Request] = {}
        """What was read before: many calls of a program ask for the same."""

    def read(
        self,
        arguments: Mapping[str, object],
        prompt: Prompt | None = None,
        **known: Any,
    ) -> Request:
        """Return what the arguments ask; the same object where they ask the same."""
        plain, key = prompt is None, [*known.values()]
        for name, value in arguments.items():
            if name in self._rows:
                plain = plain and type(value) in _PLAIN and name not in self._ids
                key += (name, type(value), value)
        if plain:
            kept = self._requests.get(tuple(key))
            request = self._kept(tuple(key), arguments, known) if kept is None else kept
        else:
            request = self._read(arguments, prompt, known)
        return self._with_conversation(request, arguments) if self._said else request

    def _kept(
        self, key: Hashable, arguments: Mapping[str, object], known: dict[str, Any]
    ) -> Request:
        """Keep what was read for the next that ask for the same, and return it."""
        if len(self._requests) >= MAX_REQUESTS:
            self._requests.clear()
        request = self._requests[key] = self._read(arguments, None, known)
        return request

    def _with_conversation(self, request: Request, arguments: Mapping[str, object]) -> Request:
        """Return ``request`` with what the arguments say that hold what is said."""
        told: dict[str, Any] = {}
        for name, field, read in self._said:
            if name in arguments and (value := read(arguments[name])) is not None:
                told[field] = value
        return replace(request, **told) if told else request

    def _read(
        self, arguments: Mapping[str, object], prompt: Prompt | None, known: dict[str, Any]
    ) -> Request:
        ranks: dict[str, int] = {}
        for name, given in arguments.items():
            for rank, field, read in self._rows.get(name, ()):
                value = read(given)
                if value is not None and rank >= ranks.get(field, -1):
                    known[field] = value
                    ranks[field] = rank
        return Request(prompt=prompt, **known)
