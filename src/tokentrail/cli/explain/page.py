"""Explained calls as one page of HTML: no script, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from tokentrail.cli.explain.table import LARGEST, cache_line
from tokentrail.run.signs import money_text
from tokentrail.usage.explain.composition import PARTS
from tokentrail.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokentrail.cli.explain.turns import Turn

_COLOURS: Final = dict(
    zip(
        PARTS,
        (
            "#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#76b7b2", "#9c755f", "#edc948",
            "#bab0ac",
        ),
        strict=True,
    )
)  # fmt: skip
_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
.bar { display: flex; height: 1.6rem; border-radius: .3rem; overflow: hidden; }
.bar i { display: block; min-width: 1px; }
.turn { display: grid; grid-template-columns: 3rem 1fr 6rem; gap: .8rem; align-items: center;
  margin: .25rem 0; } .turn b { text-align: right; font-weight: 500; }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem;
  margin-right: .4rem; vertical-align: -.05rem; }
.keys span { margin-right: 1.2rem; white-space: nowrap; }
.cache { display: flex; height: .3rem; margin-top: .1rem; }
.cache i { display: block; } .read { background: #2da44e; } .missed { background: #d1242f; }
table { border-collapse: collapse; margin: .8rem 0; width: 100%; table-layout: fixed; }
th:first-child { width: 16rem; } th:last-child { width: 8rem; }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; width: 5rem; }
td.w { opacity: .7; }
td .line { display: block; height: .7rem; border-radius: .2rem; background: #4e79a7; }
@media (max-width: 40rem) { th:first-child { width: 8rem; } th:last-child { width: 6rem; }
  td, td.n, th.n { padding-right: .4rem; width: 3.5rem; overflow-wrap: anywhere; }
  th:nth-child(4), td:nth-child(4) { display: none; } }
.miss { color: #d1242f; } footer { margin: 3rem 0 1rem; opacity: .6; font-size: .85rem; }
"""


def of(turns: Sequence[Turn]) -> str:
    """Return the page."""
    most = max((turn.total.tokens for turn in turns), default=0)
    total = sum(turn.total.tokens for turn in turns)
    calls = "one call" if len(turns) == 1 else f"{len(turns)} calls"
    rows = "".join(_overview(number, turn, most) for number, turn in enumerate(turns, 1))
    details = "".join(_details(number, turn) for number, turn in enumerate(turns, 1))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Why so many tokens</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>Why so many tokens</h1>\n<p>{calls}, {total:,} input tokens{_cost(turns)}.</p>\n"
        f'<p class="keys">{_keys(turns)}</p>\n{rows}{details}'
        f"<footer>tokentrail {escape(__version__)} explain. Numbers and names only, "
        "no content.</footer></body></html>\n"
    )


def _cost(turns: Sequence[Turn]) -> str:
    costs = [turn.cost for turn in turns if turn.cost is not None]
    return f", {money_text(sum(costs))}" if costs else ""


def _keys(turns: Sequence[Turn]) -> str:
    there = {part.name for turn in turns for part in turn.explanation.parts}
    keys = "".join(f"<span>{_key(name)}{name}</span>" for name in PARTS if name in there)
    return (
        f'{keys}<span><i class="key read"></i>read from the cache</span>'
        '<span><i class="key missed"></i>missed</span>'
    )


def _key(name: str) -> str:
    return f'<i class="key" style="background:{_COLOURS[name]}"></i>'


def _overview(number: int, turn: Turn, most: int) -> str:
    tokens = turn.total.tokens
    bar = "".join(
        f'<i style="flex:{part.tokens};background:{_COLOURS[part.name]}" '
        f'title="{part.name}: {part.tokens:,}"></i>'
        for part in turn.explanation.parts
    )
    width = 100 * tokens / most if most else 0
    return (
        f'<div class="turn"><a href="#turn-{number}">{number}</a>'
        f'<div style="width:{width:.1f}%"><div class="bar">{bar}</div>{_served(turn)}</div>'
        f"<b>{tokens:,}</b></div>\n"
    )


def _served(turn: Turn) -> str:
    """Return the line below a bar: tokens read from the cache, and tokens missed."""
    use, tokens = turn.explanation.cache, turn.total.tokens or 1
    if use is None or use.read is None:
        return ""
    shares = (("read", use.read), ("missed", use.missed or 0))
    lines = (
        f'<i class="{name}" style="width:{100 * number / tokens:.1f}%" '
        f'title="{name}: {number:,}"></i>'
        for name, number in shares
    )
    return f'<div class="cache">{"".join(lines)}</div>'


def _details(number: int, turn: Turn) -> str:
    total, use = turn.total, turn.explanation.cache
    cache = escape(cache_line(use, is_timed=turn.is_timed))
    missed = ' class="miss"' if use is not None and use.missed else ""
    parts = [(part.name, part.tokens, part.source.value) for part in turn.explanation.parts]
    pieces = sorted(turn.pieces, key=lambda piece: -piece.tokens)
    largest = [(piece.name, piece.tokens, piece.worth.value) for piece in pieces[:LARGEST]]
    tools = [(name, tokens, "approximated") for name, tokens in turn.explanation.tools]
    counted = sum(piece.tokens for piece in pieces)
    return (
        f'<h2 id="turn-{number}">{number}. {escape(turn.model)}: {total.tokens:,} tokens, '
        f"{total.source.value}{_cost([turn])}</h2>\n<p{missed}>Cache: {cache}.</p>\n"
        + _table("Part", parts, total.tokens)
        + (_table("Largest pieces, as counted", largest, counted) if largest else "")
        + (_table("Tool", tools, total.tokens) if tools else "")
    )


def _table(title: str, rows: Iterable[tuple[str, int, str]], whole: int) -> str:
    lines = "".join(
        f"<tr><td>{_key(name) if name in _COLOURS and title == 'Part' else ''}{escape(name)}</td>"
        f'<td class="n">{tokens:,}</td><td class="n">{tokens / (whole or 1):.0%}</td>'
        f'<td><span class="line" style="width:{100 * max(tokens, 0) / (whole or 1):.1f}%"></span>'
        f'</td><td class="w">{worth}</td></tr>\n'
        for name, tokens, worth in rows
    )
    return (
        f'<table><tr><th>{title}</th><th class="n">tokens</th><th class="n">share</th><th></th>'
        f"<th></th></tr>\n{lines}</table>\n"
    )
