"""Reads the usage that servers report, whatever names they use for it.

There is one reader for all APIs: a table of names, and rules for the arithmetic of servers. Null,
missing and wrong-typed numbers are absent, not zero. No rule depends on the server's identity.
"""

from __future__ import annotations

import re
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any, Final

from tokentrail.apis.values import MAX_TOKENS, fields, number, tokens
from tokentrail.model.records import Reported

if TYPE_CHECKING:
    from collections.abc import Mapping

    _Numbers = dict[str, str]

INPUT_NAMES: Final = ("prompt_tokens", "input_tokens")
OUTPUT_NAMES: Final = ("completion_tokens", "output_tokens")
"""Names of the totals. The first non-zero one is used, or else the first that is present."""
_TOTAL_NAMES: Final = (*INPUT_NAMES, *OUTPUT_NAMES, "total_tokens")
_SYNONYMS: Final = {
    "prompt_token_count": "prompt_tokens",
    "input_token_count": "input_tokens",
    "candidates_token_count": "completion_tokens",
    "output_token_count": "output_tokens",
    "total_token_count": "total_tokens",
    "cached_content_token_count": "cached_tokens",
    "thoughts_token_count": "reasoning_tokens",
    "cache_write_input_tokens": "cache_creation_input_tokens",
}
"""Names of clouds with an API of their own, whose gateways may pass them on; camel case, too."""

_INPUT_PARTS: Final[_Numbers] = {
    "cached_tokens": "cache_read_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_creation_tokens": "cache_write_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "audio_tokens": "audio_input_tokens",
    "text_tokens": "text_input_tokens",
    "image_tokens": "image_input_tokens",
}
_OUTPUT_PARTS: Final[_Numbers] = {
    "reasoning_tokens": "reasoning_tokens",
    "audio_tokens": "audio_output_tokens",
    "text_tokens": "text_output_tokens",
    "image_tokens": "image_output_tokens",
}
DETAILS: Final[dict[str, _Numbers]] = {
    "prompt_tokens_details": _INPUT_PARTS,
    "input_tokens_details": _INPUT_PARTS,
    "input_token_details": _INPUT_PARTS,
    "prompt_token_details": _INPUT_PARTS,
    "completion_tokens_details": _OUTPUT_PARTS,
    "output_tokens_details": _OUTPUT_PARTS,
    "output_token_details": _OUTPUT_PARTS,
    "completion_token_details": _OUTPUT_PARTS,
}
"""Objects in a usage, with the names in them and the field of the report for each."""
TOP: Final[_Numbers] = {
    "cached_tokens": "cache_read_tokens",
    "num_cached_tokens": "cache_read_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "prompt_cache_hit_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
    "reasoning_tokens": "reasoning_tokens",
}
"""Parts next to the totals; a number in the details has precedence."""
_SEARCHES: Final = {
    "server_tool_use": "web_search_requests",
    "server_tool_use_details": "web_search_requests",
    "server_side_tool_usage_details": "web_search_calls",
}
"""Objects with the number of web searches, and its name: OpenRouter's two, and xAI's."""
_BESIDE: Final = frozenset(
    {"cost", "cost_in_usd_ticks", *_SEARCHES, "num_search_queries", "cache_creation"}
)
"""What some servers report besides tokens; the last is Anthropic's split of cache writes."""
_NAMES: Final = frozenset({*DETAILS, *TOP, *_BESIDE})


def totals(usage: object) -> tuple[int | None, int | None]:
    """Return the input and output totals as the server wrote them, cheaply.

    If one is missing, it is calculated from the other and the sum.
    """
    given = usage if type(usage) is dict else fields(usage)
    read, written = given.get("prompt_tokens"), given.get("completion_tokens")
    if type(read) is int is type(written) and 0 <= read < MAX_TOKENS > written > 0:
        return read, written  # nearly always
    given = in_usual_names(usage)
    read, written = _first(given, INPUT_NAMES), _first(given, OUTPUT_NAMES)
    if read is None or written is None:
        return _by_the_sum(read, written, tokens(given.get("total_tokens")))
    return read, written


def in_usual_names(usage: object) -> Mapping[str, object]:
    """Return the fields of a usage by OpenAI's names, if it has none of their totals.

    The usage may be the only one of a list, or in another usage.
    """
    if type(usage) is list and len(usage) == 1:
        (usage,) = usage
    given = fields(usage)
    if any(given.get(name) is not None for name in _TOTAL_NAMES):
        return given
    return _renamed(fields(given.get("usage")) or given)


def _renamed(given: Mapping[str, object], depth: int = 2) -> dict[str, object]:
    """Return the fields by OpenAI's names, and those of the objects in them, so deep."""
    found: dict[str, object] = {}
    for name, value in given.items():
        if value is None:
            continue
        known = _CAPITAL.sub(r"_\1", name).lower()
        within = _renamed(value, depth - 1) if depth and type(value) is dict else value
        found[_SYNONYMS.get(known, known)] = within
    return found


_CAPITAL: Final = re.compile(r"(?<=[a-z])([A-Z])")


def timed_usage(timings: object) -> object:
    """Return the usage in llama.cpp's timings, which each of its streams has; else ``None``.

    Its prompt leaves out what was in the cache, so without that number the input is unknown.
    """
    given = fields(timings)
    written = tokens(given.get("predicted_n"))
    if written is None:
        return None
    read, cached = tokens(given.get("prompt_n")), tokens(given.get("cache_n"))
    whole = None if read is None or cached is None else read + cached
    return {"prompt_tokens": whole, "completion_tokens": written, "cached_tokens": cached}


def _first(given: Mapping[str, object], names: tuple[str, ...]) -> int | None:
    found = None
    for name in names:
        number = tokens(given.get(name))
        if number:
            return number
        found = number if found is None else found
    return found


def merge_reports(asked: Reported | None, made: Reported | None) -> Reported | None:
    """Return one report with the input of ``asked`` and the output of ``made``."""
    if asked is None or made is None or asked is made:
        return made or asked
    parts = (*_INPUT_PARTS.values(), "input_tokens")
    return replace(made, **{name: getattr(asked, name) for name in parts})


def read_usage(usage: object) -> Reported | None:
    """Return everything that a usage reports; ``None`` if it reports nothing."""
    given = fields(usage)
    given = given if type(given.get("prompt_tokens")) is int else in_usual_names(usage)
    parts: dict[str, Any] = {}
    extras: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _NAMES or value is None:  # also the totals, which are read below
            continue
        names = DETAILS.get(name)
        if names is not None:
            for part, detail in fields(value).items():  # like tokens(), without calling it
                if type(detail) is int and part in names and 0 <= detail < MAX_TOKENS:
                    parts[names[part]] = detail
                elif part in _WRITES and detail is not None:
                    parts.update(_writes(fields(detail)))
        elif name in _BESIDE:
            extras = _extras(given)
        else:
            _take_top(name, value, parts)
    read, written = given.get("prompt_tokens"), given.get("completion_tokens")
    if not (type(read) is int is type(written) and 0 <= read < MAX_TOKENS > written > 0):
        read, written = totals(given)
        if read is None and written is None and not parts:
            return None
    read, written = _whole(read, written, parts, given)
    return Reported(read, written, **({**parts, **extras} if extras else parts))


def _take_top(name: str, value: object, parts: dict[str, Any]) -> None:
    if (top := tokens(value)) is not None:
        parts.setdefault(TOP[name], top)


def _extras(usage: Mapping[str, object]) -> dict[str, Any]:
    """Return what is reported besides tokens."""
    return {
        "cost": cost_in_usd(usage),
        "web_searches": _searches(usage),
        **_writes(fields(usage.get("cache_creation"))),
    }


_LIFETIMES: Final = {
    "ttl_30m_tokens": "cache_write_30m_tokens",
    "ttl_12h_tokens": "cache_write_12h_tokens",
    "ephemeral_1h_input_tokens": "cache_write_1h_tokens",
}
_WRITES: Final = frozenset({"cache_write_tokens_details", "cache_creation_token_details"})
"""Objects that split cache writes: OpenAI's and LiteLLM's."""


def _writes(details: Mapping[str, object]) -> dict[str, int]:
    """Return the tokens written to a cache, by lifetime."""
    found = ((field, tokens(details.get(name))) for name, field in _LIFETIMES.items())
    return {field: number for field, number in found if number is not None}


_TICKS: Final = 10_000_000_000
"""How many of xAI's cost units are one USD."""


def cost_in_usd(usage: Mapping[str, object]) -> float | None:
    """Return the cost of an answer as the provider reports it; ``None`` if it is incomplete.

    If OpenRouter calls with your own key, it reports only its fee. The cost of the provider behind
    it is added. An object of costs has their sum, in USD if it names no other currency.
    """
    ticks = _seconds(usage.get("cost_in_usd_ticks"))
    if ticks is not None:
        return ticks / _TICKS
    given = usage.get("cost")
    parts = fields(given)  # Perplexity reports an object
    if parts.get("currency") not in _USD:
        return None
    own = _seconds(parts.get("total_cost", parts.get("usd", given)))
    if own is None or usage.get("is_byok") is not True:
        return own
    behind = _seconds(fields(usage.get("cost_details")).get("upstream_inference_cost"))
    return None if behind is None else own + behind


_USD: Final = (None, "USD", "usd")


def _searches(usage: Mapping[str, object]) -> int | None:
    for place, name in _SEARCHES.items():
        if (made := tokens(fields(usage.get(place)).get(name))) is not None:
            return made
    return tokens(usage.get("num_search_queries"))


def _whole(
    read: int | None, written: int | None, parts: dict[str, Any], given: Mapping[str, object]
) -> tuple[int | None, int | None]:
    """Return both totals, with the tokens added that the server left out of them.

    If the reported sum is larger than both totals, a part that explains the difference was left
    out: reasoning of the output, or cached text or audio of the input. If no part explains it, the
    difference is reasoning that only the sum includes. A part larger than its total is added to it.
    """
    if read is None or written is None:
        return read, written
    total = given.get("total_tokens")
    if total == read + written and not any(parts.values()):
        return read, written
    if type(total) is int and read + written < total < MAX_TOKENS:
        rest = total - read - written
        apart = _part_of_input(parts, rest)
        if apart is None:  # some servers report only the seconds of audio in a prompt
            apart = rest if number(given.get("prompt_audio_seconds")) else 0
        return read + apart, written + rest - apart
    get = parts.get
    thought = get("reasoning_tokens", 0)
    outside = max(
        get("audio_input_tokens", 0), get("cache_read_tokens", 0), get("cache_write_tokens", 0)
    )
    return (
        read + outside if outside > read else read,
        written + thought if thought > written else written,
    )


def _by_the_sum(
    read: int | None, written: int | None, total: int | None
) -> tuple[int | None, int | None]:
    """Return both totals if the server reported one of them and the sum."""
    if total is not None and read is not None and total > read:
        return read, total - read
    if total is not None and written is not None and total > written:
        return total - written, written
    return read, written


_APART: Final = ("audio_input_tokens", "cache_read_tokens", "cache_write_tokens")
"""Parts of the input that some servers leave out of its total."""


def _part_of_input(parts: dict[str, int], rest: int) -> int | None:
    """Return how much of the rest is input, if the parts explain the rest exactly."""
    thought = parts.get("reasoning_tokens", 0)
    if rest == thought:
        return 0
    known = [parts.get(name, 0) for name in _APART]
    for part in (*known, known[1] + known[2], sum(known)):
        if part and rest in {part, part + thought}:
            return part
    return None


def is_report(reported: Reported | None) -> bool:
    """Whether a report has any tokens."""
    return reported is not None and bool(reported.input_tokens or reported.output_tokens)


def without_empty(reported: Reported | None, *, shown: bool) -> Reported | None:
    """Return a report without a zero for output that was seen; ``None`` if nothing is left.

    ``shown``: the answer contains text, reasoning or a tool call.
    """
    if reported is None or reported.output_tokens or not shown:
        return reported
    if not reported.input_tokens:
        return None
    return replace(reported, output_tokens=None)


def realtime_usage(usage: object) -> Reported | None:
    """Return the usage of a realtime response; ``None`` if it reports nothing.

    Cached audio and cached text have different prices, so the parts of the cached tokens are read.
    """
    reported = read_usage(usage)
    cached = fields(fields(fields(usage).get("input_token_details")).get("cached_tokens_details"))
    return reported and replace(
        reported,
        audio_cache_read_tokens=tokens(cached.get("audio_tokens")),
        text_cache_read_tokens=tokens(cached.get("text_tokens")),
        image_cache_read_tokens=tokens(cached.get("image_tokens")),
    )


def embeddings_usage(usage: object) -> Reported | None:
    """Return the usage of embeddings: only an input, which some servers report as the sum."""
    given = in_usual_names(usage)
    read = _first(given, (*INPUT_NAMES, "total_tokens"))
    return None if not read else Reported(input_tokens=read, cost=cost_in_usd(given))


def audio_usage(usage: object, duration: object = None) -> Reported | None:
    """Return the usage of audio: tokens, or the seconds that are billed instead.

    ``duration``: the length of the audio, if the answer has it; in some releases it is text.
    """
    reported = read_usage(usage)
    if reported is not None:
        return reported
    lasted = _seconds(fields(usage).get("seconds"))
    lasted = _seconds(duration) if lasted is None else lasted
    return None if lasted is None else Reported(audio_seconds=lasted)


def _seconds(value: object) -> float | None:
    """Return a finite number of zero or more; numbers in text are read too."""
    try:
        found = float(value) if type(value) is str else number(value)
    except ValueError:
        return None
    return found if found is not None and 0 <= found < inf else None
