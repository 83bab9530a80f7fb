"""Parameters with the same meaning in the requests of several APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.values import (
    fields,
    integer,
    nonempty_strs,
    number,
    plain_str,
    telemetry_str,
)

if TYPE_CHECKING:
    from tokentrail.apis.values import Parameter

_OUTPUT_TYPES: Final = {"text": "text", "json_object": "json", "json_schema": "json"}


def choice_count(n: object) -> int | None:
    """Return the number of requested choices, unless it is the default of 1."""
    count = integer(n)
    return None if count == 1 else count


def stop_sequences(stop: object) -> tuple[str, ...] | None:
    """Return the stop sequences; a single one may be a plain string."""
    one = telemetry_str(stop)
    return nonempty_strs(stop) if one is None else (one,)


def service_tier(tier: object) -> str | None:
    """Return the requested service tier; "auto" requests none."""
    asked = telemetry_str(tier)
    return None if asked == "auto" else asked


def output_type(form: object) -> str | None:
    """Return the output type of a response format; a class means its JSON schema."""
    if isinstance(form, type):
        return "json"
    kind = plain_str(fields(form).get("type"))
    return None if kind is None else _OUTPUT_TYPES.get(kind)


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
