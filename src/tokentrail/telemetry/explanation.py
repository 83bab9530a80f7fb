"""The explanation of input tokens: span attributes and points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.model.records import Source
from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.util.types import AttributeValue

    from tokentrail.model.records import CacheUse, Explanation

    Attributes = dict[str, AttributeValue]


def attributes(explanation: Explanation) -> Attributes:
    """Return the span attributes."""
    parts = explanation.parts
    found: Attributes = {semconv.INPUT_PARTS[part.name]: part.tokens for part in parts}
    guessed = [part.name for part in parts if part.source is Source.APPROXIMATED]
    if guessed:
        found[semconv.APPROXIMATED_PARTS] = guessed
    if explanation.tools:
        found[semconv.LARGEST_TOOLS] = [f"{name}: {n}" for name, n in explanation.tools]
    if explanation.cache is not None:
        _add_cache(explanation.cache, found)
    return found


def _add_cache(use: CacheUse, found: Attributes) -> None:
    found[semconv.CACHEABLE_TOKENS] = use.cacheable
    if use.missed is not None:
        found[semconv.MISSED_TOKENS] = use.missed
    if use.reason is not None:
        found[semconv.MISS_REASON] = use.reason
        found[semconv.MISS_REASON_SOURCE] = "server" if use.is_servers else "inferred"
    if use.idle is not None:
        found[semconv.IDLE_SECONDS] = use.idle


def points_of_parts(explanation: Explanation) -> Iterator[tuple[int, Attributes]]:
    """Yield the tokens of each part, with the attributes of its points."""
    for part in explanation.parts:
        source = part.source.value
        yield part.tokens, {semconv.INPUT_PART: part.name, semconv.SOURCE: source}


def points_of_cache(explanation: Explanation) -> Iterator[tuple[int, Attributes]]:
    """Yield the cacheable tokens by cache state, with the attributes of their points.

    Yields nothing where the server does not report its cache. A 0 is yielded too, so that the
    series is there before the first token.
    """
    use = explanation.cache
    if use is None or use.read is None:
        return
    yield use.cacheable, {semconv.CACHE_STATE: "cacheable"}
    yield use.read, {semconv.CACHE_STATE: "read"}
    if use.missed is not None and use.reason is not None:
        reason = {semconv.MISS_REASON: use.reason}
        yield use.missed, {semconv.CACHE_STATE: "missed", **reason}
