"""Tokens by modality: the parts that a server names, and the rest as ``unknown``.

So the points of a counter always sum to its total.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.model.records import Reported

UNKNOWN: Final = "unknown"

_PARTS: Final = {
    "input": (
        ("text", "text_input_tokens"),
        ("image", "image_input_tokens"),
        ("audio", "audio_input_tokens"),
    ),
    "output": (("text", "text_output_tokens"), ("audio", "audio_output_tokens")),
    "cache_read_tokens": (
        ("text", "text_cache_read_tokens"),
        ("image", "image_cache_read_tokens"),
        ("audio", "audio_cache_read_tokens"),
    ),
}
"""What is split, and the fields of a report that say how."""


def split(what: str, total: int, reported: Reported | None) -> Iterator[tuple[str, int]]:
    """Yield modalities and their parts of ``total``; ``reported``: the server's report, if any."""
    rest = total
    if reported is not None:
        for modality, field in _PARTS.get(what, ()):
            part = min(getattr(reported, field) or 0, rest)
            if part:
                rest -= part
                yield modality, part
    if rest or not total:
        yield UNKNOWN, rest


def reported_parts(what: str, reported: Reported) -> tuple[str, ...]:
    """Return the modalities that a report splits a total into, or the one that is not known."""
    parts = (m for m, field in _PARTS.get(what, ()) if getattr(reported, field) is not None)
    return tuple(parts) or (UNKNOWN,)
