"""The server's own numbers. Null, missing and wrong-typed ones are absent, not zero."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Final

from tokentrail.apis.values import MAX_TOKENS, fields, number, tokens
from tokentrail.model.records import Reported

if TYPE_CHECKING:
    from collections.abc import Mapping


def has_numbers(usage: object) -> tuple[bool, bool]:
    """Tell cheaply whether a chunk's usage speaks of chat or completions input, and of output."""
    given = fields(usage)
    asked, generated = given.get("prompt_tokens"), given.get("completion_tokens")
    return tokens(asked) is not None, tokens(generated) is not None


def merge_usage(asked: object, generated: object) -> Mapping[str, object]:
    """Return one usage of chat completions or completions out of two, each for its direction."""
    given = fields(asked)
    parts = {name: given.get(name) for name in ("prompt_tokens", "prompt_tokens_details")}
    return {**fields(generated), **parts}


_Numbers = dict[str, str]
"""Names of the server, and the field of the report that each fills."""

_CHAT_DETAILS: Final[dict[str, _Numbers]] = {
    "prompt_tokens_details": {
        "cached_tokens": "cache_read_tokens",
        "cache_write_tokens": "cache_write_tokens",
        "audio_tokens": "audio_input_tokens",
        "text_tokens": "text_input_tokens",
        "image_tokens": "image_input_tokens",
    },
    "completion_tokens_details": {
        "reasoning_tokens": "reasoning_tokens",
        "audio_tokens": "audio_output_tokens",
        "text_tokens": "text_output_tokens",
    },
}
_RESPONSES_DETAILS: Final[dict[str, _Numbers]] = {
    "input_tokens_details": {
        "cached_tokens": "cache_read_tokens",
        "cache_write_tokens": "cache_write_tokens",
    },
    "output_tokens_details": {"reasoning_tokens": "reasoning_tokens"},
}
_REALTIME_DETAILS: Final[dict[str, _Numbers]] = {
    "input_token_details": {
        "cached_tokens": "cache_read_tokens",
        "audio_tokens": "audio_input_tokens",
        "text_tokens": "text_input_tokens",
        "image_tokens": "image_input_tokens",
    },
    "output_token_details": {
        "audio_tokens": "audio_output_tokens",
        "text_tokens": "text_output_tokens",
    },
}
_IMAGES_DETAILS: Final[dict[str, _Numbers]] = {
    "input_tokens_details": {
        "text_tokens": "text_input_tokens",
        "image_tokens": "image_input_tokens",
        "cached_tokens": "cache_read_tokens",
    },
    "output_tokens_details": {
        "text_tokens": "text_output_tokens",
        "image_tokens": "image_output_tokens",
    },
}
_AUDIO_DETAILS: Final[dict[str, _Numbers]] = {
    "input_token_details": {
        "text_tokens": "text_input_tokens",
        "audio_tokens": "audio_input_tokens",
    }
}


def chat_usage(usage: object) -> Reported | None:
    """Return the usage of chat completions and completions; ``None`` if it says nothing."""
    given = fields(usage)
    return _reported(
        given, given.get("prompt_tokens"), given.get("completion_tokens"), _CHAT_DETAILS
    )


def responses_usage(usage: object) -> Reported | None:
    """Return the usage of a response or a compaction; ``None`` if it says nothing."""
    return _of_both(usage, _RESPONSES_DETAILS)


def _of_both(usage: object, details: dict[str, _Numbers]) -> Reported | None:
    given = fields(usage)
    return _reported(given, given.get("input_tokens"), given.get("output_tokens"), details)


def realtime_usage(usage: object) -> Reported | None:
    """Return the usage of a realtime response; ``None`` if it says nothing.

    Sound that is cached costs another price than text that is: the parts of the cached are told.
    """
    told = _of_both(usage, _REALTIME_DETAILS)
    cached = fields(fields(fields(usage).get("input_token_details")).get("cached_tokens_details"))
    return told and replace(
        told,
        audio_cache_read_tokens=tokens(cached.get("audio_tokens")),
        text_cache_read_tokens=tokens(cached.get("text_tokens")),
        image_cache_read_tokens=tokens(cached.get("image_tokens")),
    )


def _reported(
    usage: Mapping[str, object], asked: object, made: object, details: dict[str, _Numbers]
) -> Reported | None:
    """Return what a usage says: both totals, and the details that have a name."""
    parts: dict[str, int] = {}
    for part, names in details.items():
        detail = usage.get(part)
        if detail is not None:
            for name, value in fields(detail).items():  # as tokens(), without its calls
                if type(value) is int and 0 <= value < MAX_TOKENS and name in names:
                    parts[names[name]] = value
    asked, made = tokens(asked), tokens(made)
    if asked is None and made is None and not parts:
        return None
    return Reported(asked, made, **parts)


def embeddings_usage(usage: object) -> Reported | None:
    """Return the usage of embeddings: they have an input only."""
    prompt = tokens(fields(usage).get("prompt_tokens"))
    return None if prompt is None else Reported(input_tokens=prompt)


def images_usage(usage: object) -> Reported | None:
    """Return the usage of pictures; ``None`` if it says nothing."""
    return _of_both(usage, _IMAGES_DETAILS)


def audio_usage(usage: object, duration: object = None) -> Reported | None:
    """Return the usage of sound: tokens, or the seconds that are billed instead.

    ``duration``: how long the sound is, where the answer says so; some releases have it as text.
    """
    reported = _of_both(usage, _AUDIO_DETAILS)
    if reported is not None:
        return reported
    lasted = _seconds(fields(usage).get("seconds"))
    lasted = _seconds(duration) if lasted is None else lasted
    return None if lasted is None else Reported(audio_seconds=lasted)


def _seconds(value: object) -> float | None:
    """Return a time of zero or more; numbers as text are read, too."""
    try:
        found = float(value) if type(value) is str else number(value)
    except ValueError:
        return None
    return found if found is not None and 0 <= found < inf else None
