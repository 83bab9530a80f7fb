"""Explained calls as text of at most 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from tokentrail.run.signs import WIDTH, money_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokentrail.cli.explain.turns import Turn
    from tokentrail.model.records import CacheUse

_BAR: Final = 24
"""Columns of a bar for all tokens."""
LARGEST: Final = 10
"""Messages and tools that are shown."""


def of(turns: Sequence[Turn], *, ascii_only: bool) -> str:
    """Return the text for all calls."""
    mark = "#" if ascii_only else "█"
    lines: list[str] = []
    for number, turn in enumerate(turns, 1):
        lines += [_title(number, len(turns), turn), ""]
        lines += _turn(turn, mark)
        lines.append("")
    return "\n".join(lines).rstrip()


def _title(number: int, count: int, turn: Turn) -> str:
    which = f"Turn {number} of {count}: " if count > 1 else ""
    cost = "" if turn.cost is None else f", {money_text(turn.cost)}"
    tokens = f"{turn.total.tokens:,} input tokens, {turn.total.source.value}"
    return f"{which}{turn.model}, {tokens}{cost}"


def _turn(turn: Turn, mark: str) -> Iterable[str]:
    parts = [(part.name, part.tokens, part.source.value) for part in turn.explanation.parts]
    yield from _rows("by part", parts, turn.total.tokens, mark)
    if turn.pieces:
        yield from _by_message(turn, mark)
    if turn.explanation.tools:
        tools = [(name, tokens, "approximated") for name, tokens in turn.explanation.tools]
        yield from _rows("by tool", tools, turn.total.tokens, mark)
    if turn.explanation.repeated and turn.is_timed:
        yield "  the same request was sent within the minute before"
    cache = f"  cache: {cache_line(turn.explanation.cache, is_timed=turn.is_timed)}"
    yield from textwrap.wrap(cache, WIDTH, subsequent_indent=" " * 9)


def _by_message(turn: Turn, mark: str) -> Iterable[str]:
    largest = sorted(turn.pieces, key=lambda piece: -piece.tokens)[:LARGEST]
    pieces = [(p.name, p.tokens, p.worth.value) for p in turn.pieces if p in largest]
    left = len(turn.pieces) - len(pieces)
    title = "by message, as counted" + (f" (the largest; {left} more are smaller)" if left else "")
    yield from _rows(title, pieces, sum(piece.tokens for piece in turn.pieces), mark)


def _rows(title: str, rows: Sequence[tuple[str, int, str]], whole: int, mark: str) -> Iterable[str]:
    yield f"  {title}"
    for name, tokens, worth in rows:
        share = tokens / whole if whole else 0.0
        bar = mark * round(share * _BAR)
        yield f"    {name[:20]:20} {tokens:>9,} {share:>4.0%}  {bar:{_BAR}} {worth}".rstrip()
    yield ""


def cache_line(use: CacheUse | None, *, is_timed: bool) -> str:
    """Return in one line what the prompt cache could have served, and what it did."""
    if use is None:
        return "no earlier request has the same beginning"
    could = f"{use.cacheable:,} tokens could be served"
    differs = f" ({use.differs})" if use.differs else ""
    if use.read is None:
        return f"{could}, it is not known how much was{differs}"
    sentence = f"{could}, {use.read:,} were read"
    if not use.missed:
        return f"{sentence}{differs}"
    idle = use.idle if is_timed else None
    after = "" if idle is None else f", {idle:.0f} s after it was last sent"
    return f"{sentence}, {use.missed:,} missed: {use.reason}{after}"
