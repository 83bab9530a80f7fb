"""Parameters that mean the same in the requests of several APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tokentrail.operation import Request
from tokentrail.shapes.messages import read_tools
from tokentrail.shapes.reading import (
    fields,
    integer,
    is_absent,
    is_sequence,
    label,
    number,
    text,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Parameter = tuple[str, str, Callable[[Any], object]]
    """A keyword argument, the field of a Request that it fills, and how it is read."""
    Parameters = Mapping[str, list[tuple[int, str, Callable[[Any], object]]]]
    """Rows by keyword argument, each with its rank."""

_OUTPUT_TYPES: Final = {"text": "text", "json_object": "json", "json_schema": "json"}


def choice_count(n: object) -> int | None:
    """Return how many choices were asked for, if that is not the usual one."""
    count = integer(n)
    return None if count == 1 else count


def stop_sequences(stop: object) -> tuple[str, ...] | None:
    """Return the stop sequences; a single one may be given bare."""
    one = label(stop)
    return words(stop) if one is None else (one,)


def service_tier(tier: object) -> str | None:
    """Return the service tier that was asked for; "auto" asks for none."""
    asked = label(tier)
    return None if asked == "auto" else asked


def output_type(form: object) -> str | None:
    """Return the kind of output that a format asks for; a class stands for its JSON schema."""
    if isinstance(form, type):
        return "json"
    kind = text(fields(form).get("type"))
    return None if kind is None else _OUTPUT_TYPES.get(kind)


def holds_only_functions(tools: object) -> bool:
    """Tell whether ``tools`` are absent, or a list in which every one is a function's."""
    if is_sequence(tools):
        return len(read_tools(tools)) == len(tools)
    return is_absent(tools)


COMMON: Final[tuple[Parameter, ...]] = (
    ("model", "model", label),
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


def by_name(*rows: Parameter) -> Parameters:
    """Return a table of parameters. Where two say the same, the later row counts."""
    table: dict[str, list[tuple[int, str, Callable[[Any], object]]]] = {}
    for rank, (name, field, read) in enumerate(rows):
        table.setdefault(name, []).append((rank, field, read))
    return table


def read_request(
    arguments: Mapping[str, object],
    parameters: Parameters,
    **known: Any,  # noqa: ANN401 - the other fields of a Request
) -> Request:
    """Return what the arguments ask: most calls give but a few of those there are."""
    ranks: dict[str, int] = {}
    for name, given in arguments.items():
        for rank, field, read in parameters.get(name, ()):
            value = read(given)
            if value is not None and rank >= ranks.get(field, -1):
                known[field] = value
                ranks[field] = rank
    return Request(**known)
