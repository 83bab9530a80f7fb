"""The server's own numbers. Null, missing and wrong-typed ones are absent, not zero."""

from __future__ import annotations

from typing import Final

from tokentrail.operation import Reported
from tokentrail.shapes.reading import fields, tokens

_NOTHING = Reported()


def is_usage(usage: object) -> bool:
    """Tell cheaply whether a chunk's usage says anything about chat or completions tokens."""
    given = fields(usage)
    output, prompt = given.get("completion_tokens"), given.get("prompt_tokens")
    return tokens(output) is not None or tokens(prompt) is not None


_Numbers = tuple[tuple[str, str], ...]
"""Names of the server, and the field of the report that each fills."""

_CHAT: Final[_Numbers] = (
    ("prompt_tokens", "input_tokens"),
    ("completion_tokens", "output_tokens"),
)
_CHAT_DETAILS: Final[tuple[tuple[str, _Numbers], ...]] = (
    (
        "prompt_tokens_details",
        (
            ("cached_tokens", "cache_read_tokens"),
            ("cache_write_tokens", "cache_write_tokens"),
            ("audio_tokens", "audio_input_tokens"),
            ("text_tokens", "text_input_tokens"),
            ("image_tokens", "image_input_tokens"),
        ),
    ),
    (
        "completion_tokens_details",
        (
            ("reasoning_tokens", "reasoning_tokens"),
            ("audio_tokens", "audio_output_tokens"),
            ("text_tokens", "text_output_tokens"),
        ),
    ),
)
_RESPONSES: Final[_Numbers] = (
    ("input_tokens", "input_tokens"),
    ("output_tokens", "output_tokens"),
)
_RESPONSES_DETAILS: Final[tuple[tuple[str, _Numbers], ...]] = (
    (
        "input_tokens_details",
        (("cached_tokens", "cache_read_tokens"), ("cache_write_tokens", "cache_write_tokens")),
    ),
    ("output_tokens_details", (("reasoning_tokens", "reasoning_tokens"),)),
)


def chat_usage(usage: object) -> Reported | None:
    """Return the usage of chat completions and completions; ``None`` if it says nothing."""
    return _reported(usage, _CHAT, _CHAT_DETAILS)


def responses_usage(usage: object) -> Reported | None:
    """Return the usage of a response or a compaction; ``None`` if it says nothing."""
    return _reported(usage, _RESPONSES, _RESPONSES_DETAILS)


def _reported(
    usage: object, numbers: _Numbers, details: tuple[tuple[str, _Numbers], ...]
) -> Reported | None:
    given = fields(usage)
    read = {field: tokens(given[name]) for name, field in numbers if name in given}
    for part, names in details:
        if given.get(part) is not None:
            detail = fields(given[part])
            for name, field in names:
                if name in detail:
                    read[field] = tokens(detail[name])
    reported = Reported(**read)
    return None if reported == _NOTHING else reported


def embeddings_usage(usage: object) -> Reported | None:
    """Return the usage of embeddings: they have an input only."""
    prompt = tokens(fields(usage).get("prompt_tokens"))
    return None if prompt is None else Reported(input_tokens=prompt)
