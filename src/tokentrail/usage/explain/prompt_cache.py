"""What the prompt cache could have served, and the first reason why it did not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokentrail.model.records import CacheUse
from tokentrail.support.bounded import RecentlyUsed

if TYPE_CHECKING:
    from tokentrail.model.records import Request, Response
    from tokentrail.usage.explain.composition import CountedInput
    from tokentrail.usage.explain.conversations import SeenCall
    from tokentrail.usage.explain.sections import Prefix, Sections

SHORTEST: Final = 1024
STEP: Final = 128
"""Minimum tokens for OpenAI's cache, and the step in which a cached prefix grows."""
PREFIXES: Final = 16_384
"""Prefixes that are remembered."""
UNKNOWN: Final = "unknown"
NOT_SERVED: Final = "not_served"
HISTORY: Final = "history_rewritten"


def rounded(tokens: int) -> int:
    """Return how many of these tokens the cache can hold."""
    return 0 if tokens < SHORTEST else tokens - tokens % STEP


class Prefixes:
    """When each prefix was last sent. For one thread only."""

    def __init__(self) -> None:
        self._sent: RecentlyUsed[Prefix, float] = RecentlyUsed(PREFIXES)

    def longest(self, prefixes: tuple[Prefix, ...]) -> tuple[int, float] | None:
        """Return how many sections after the model were sent before, and when."""
        for length in range(len(prefixes), 0, -1):
            sent = self._sent.use(prefixes[length - 1])
            if sent is not None:
                return length, sent
        return None

    def keep(self, prefixes: tuple[Prefix, ...], sent: float) -> None:
        """Remember that all of these were sent."""
        for prefix in prefixes:
            self._sent.keep(prefix, sent)


def use_after(
    before: SeenCall, request: Request, sections: Sections, tokens: int, sent: float
) -> CacheUse:
    """Return what the cache could have served of a call of ``tokens`` that continues another.

    At most its own tokens: what it no longer contains needs no cache.
    """
    reason = _difference(before, request, sections)
    idle = max(0.0, sent - before.sent) if reason is None else None
    cacheable = rounded(min(before.tokens, tokens))
    return CacheUse(cacheable, reason=reason or NOT_SERVED, differs=reason, idle=idle)


def use_of_first(
    shared: tuple[int, float], counted: CountedInput, tokens: int, sent: float
) -> CacheUse | None:
    """Return what the cache could have served by the prefix shared with another call.

    As counted, not scaled: the position of the rest is unknown. ``None``: only the model is shared.
    """
    length, at = shared
    known = _tokens_of_prefix(length, counted)
    if known == 0:
        return None
    return CacheUse(rounded(min(known, tokens)), reason=NOT_SERVED, idle=max(0.0, sent - at))


def with_report(use: CacheUse | None, response: Response | None) -> CacheUse | None:
    """Return it with the server's report: its reason goes before ours.

    ``None``: it is the first call with this beginning, and nothing was read.
    """
    reported = response.reported if response is not None else None
    read = reported.cache_read_tokens if reported is not None else None
    if use is None:
        if not read:
            return None
        use = CacheUse(0)
    if response is not None and response.cache_miss_reason is not None:
        missed = response.cache_missed_tokens
        if missed is None and read is not None:
            missed = max(0, use.cacheable - read)
        reason = response.cache_miss_reason
        return replace(use, read=read, missed=missed, reason=reason, is_servers=True, idle=None)
    if read is None:
        return replace(use, reason=UNKNOWN if use.cacheable else None, idle=None)
    missed = max(0, use.cacheable - read)
    if missed == 0:
        return replace(use, read=read, missed=0, reason=None, idle=None)
    return replace(use, read=read, missed=missed)


def _difference(before: SeenCall, request: Request, sections: Sections) -> str | None:
    """Return the first difference, in the order in which the cache compares."""
    known, head = before.head, sections.head
    if known.model != head.model:
        return "model_changed"
    if before.cache_key != request.cache_key:
        return "cache_key_changed"
    for name in ("tools", "schema", "instructions"):
        if getattr(known, name) != getattr(head, name):
            return f"{name}_changed"
    if request.conversation_id is not None or request.previous_response_id is not None:
        return None  # the server has the earlier items
    length = before.length
    is_continued = length == 0 or sections.items[length - 1 : length] == (before.end,)
    return None if is_continued else HISTORY


def _tokens_of_prefix(length: int, counted: CountedInput) -> int:
    """Return the counted tokens of this many sections after the model."""
    heads = ({"tools"}, {"schema"}, {"instructions"})[:length]
    tokens = sum(n for name, n in counted.head.tokens if any(name in head for head in heads))
    return tokens + counted.of_items(length - len(heads))
