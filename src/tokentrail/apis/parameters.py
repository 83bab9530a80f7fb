"""Parameters that mean the same in the requests of several APIs."""

from __future__ import annotations

import json
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
    sequence,
    telemetry_str,
)
from tokentrail.model.records import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.model.records import Prompt

    Parameter = tuple[str, str, Callable[[Any], object]]
    """A keyword argument, the field of a Request that it fills, and how it is read."""

_UNSAID: Final = [None, None, None]
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


def input_variant(arguments: Mapping[str, object]) -> str | None:
    """Return other settings by which the server may write the input otherwise, in JSON."""
    strict = [_is_strict(fields(tool)) for tool in sequence(arguments.get("tools"))]
    verbosity = fields(arguments.get("text")).get("verbosity"), arguments.get("verbosity")
    given = (arguments.get("parallel_tool_calls"), *verbosity)
    said = [value if isinstance(value, (str, bool)) else None for value in given]
    return json.dumps([*said, strict]) if any(strict) or said != _UNSAID else None


def _is_strict(tool: Mapping[str, object]) -> bool:
    return (fields(tool.get("function")) or tool).get("strict") is True


def holds_only_functions(tools: object) -> bool:
    """Return whether ``tools`` are absent, or a list in which every one is a function's."""
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

    def __init__(self, *rows: Parameter) -> None:
        """Where two rows fill the same field, the later counts."""
        self._rows: dict[str, list[tuple[int, str, Callable[[Any], object]]]] = {}
        for rank, (name, field, read) in enumerate(rows):
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
                if value is not None and rank >= ranks.get(field, -1):
                    known[field] = value
                    ranks[field] = rank
        return Request(prompt=prompt, **known)
