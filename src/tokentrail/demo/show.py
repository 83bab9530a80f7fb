"""Recorded telemetry as tables of at most 80 columns, readable without colour."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tokentrail.demo.readback import SOURCES, RecordedCall, Times, Tokens, TokenSum
from tokentrail.run.signs import (
    ABSENT,
    OUTCOME_STYLES,
    SIGNS,
    duration_text,
    money_text,
    outcome_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MARGIN = (0, 0, 0, 1)
_RULE_ONLY = box.Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
"""box.SIMPLE_HEAD for terminals without its line."""
_ARROW = "\u2192"


class Show:
    """Turns records into what a console can print."""

    def __init__(self, console: Console) -> None:
        self._ascii = "utf" not in console.encoding.lower()

    def calls(self, calls: Sequence[RecordedCall]) -> RenderableType:
        """Return one row per scene: a call, or several with their sums and longest times.

        There is a column of cost where any call has one.
        """
        priced = any(call.cost is not None for call in calls)
        table = self._table({"\ncall": 17, "\nmodel": 12 if priced else 19, "\nended": 12})
        table.columns[1].no_wrap = False  # a deployment and its model may need two lines
        table.columns[1].overflow = "fold"
        numbers = {"first\nchunk": 6, "\ntook": 6, "\nin": 5, "\nout": 5}
        for heading, width in {**numbers, **({"\ncost": 9} if priced else {})}.items():
            _add_numbers(table, heading, width)
        for scene, group in groupby(calls, key=lambda call: call.scene):
            same = list(group)
            table.add_row(scene, *self._row(same), *([self._cost(same)] if priced else []))
        return Padding(table, _MARGIN)

    def legend(self, calls: Sequence[RecordedCall]) -> RenderableType:
        """Return the legend of the signs that were used, and the errors."""
        lines = [
            Text.assemble(self._sign(source), " ", SIGNS[source].meaning, _encodings(source, calls))
            for source in SOURCES
            if any(source in _sources(call) for call in calls)
        ]
        lines += [
            Text.assemble(("failed", "red"), f": {call.scene}, {call.error_type}")
            for call in calls
            if call.error_type
        ]
        lines += [
            Text(f"{scene}: tokens are sums, times the longest")
            for scene, count in Counter(call.scene for call in calls).items()
            if count > 1
        ]
        costs = [call.cost for call in calls if call.cost is not None]
        if costs:
            lines.append(
                Text(f"cost: {money_text(sum(costs))}, of {len(costs)} calls with a price")
            )
        return Padding(Group(*lines), _MARGIN)

    def tokens(self, sums: Sequence[TokenSum]) -> RenderableType:
        """Return tokens by metric, direction and outcome, a column for each source that occurs."""
        sources = [source for source in SOURCES if any(part.source == source for part in sums)]
        table = self._table({"metric: tokens": 27, "": 6, " ": 12})
        width = 8 if "approximated" in sources else 9
        for source in sources:
            _add_numbers(table, source, width, SIGNS[source].style)
        shown = ""
        for row in sorted({_place(part) for part in sums}):
            name, kind, outcome = row
            cells = [
                _total(part.tokens for part in sums if (_place(part), part.source) == (row, source))
                for source in sources
            ]
            words = outcome_text(tuple(OUTCOME_STYLES)[outcome]) if outcome >= 0 else ""
            table.add_row(name if name != shown else "", kind, words, *cells)
            shown = name
        return Padding(table, _MARGIN)

    def times(self, times: Iterable[Times]) -> RenderableType:
        """Return a row per histogram of times."""
        table = self._table({"metric: times": 45})
        for heading, width in (("points", 9), ("half within", 12), ("longest", 9)):
            _add_numbers(table, heading, width)
        for row in times:
            half, longest = duration_text(row.half_within), duration_text(row.longest)
            table.add_row(row.name, f"{row.count:,}", half, longest)
        return Padding(table, _MARGIN)

    def _row(self, calls: Sequence[RecordedCall]) -> list[Text]:
        firsts = [call.first_chunk for call in calls if call.first_chunk is not None]
        outcomes = sorted({call.outcome for call in calls if call.outcome})
        ended = [
            Text(outcome_text(outcome), style=OUTCOME_STYLES.get(outcome, ""))
            for outcome in outcomes
        ]
        return [
            self._text(_model(calls[0])),
            Text(", ").join(ended),
            self._text(duration_text(max(firsts)) if firsts else ABSENT),
            self._text(duration_text(max(call.duration for call in calls))),
            self._tokens([call.input for call in calls]),
            self._tokens([call.output for call in calls]),
        ]

    def _cost(self, calls: Sequence[RecordedCall]) -> Text:
        costs = [call.cost for call in calls if call.cost is not None]
        return self._text(money_text(sum(costs)) if costs else ABSENT)

    def _tokens(self, tokens: Sequence[Tokens | None]) -> Text:
        parts = []
        for source in SOURCES:
            same = [one.number for one in tokens if one is not None and one.source == source]
            if same:
                sign = self._sign(source)
                parts.append(Text.assemble((f"{sum(same):,} ", SIGNS[source].style), sign))
        return Text(" ").join(parts) if parts else self._text(ABSENT)

    def _table(self, widths: Mapping[str, int]) -> Table:
        table = Table(
            box=_RULE_ONLY if self._ascii else box.SIMPLE_HEAD,
            show_edge=False,
            padding=0,
            header_style="bold",
        )
        for heading, width in widths.items():
            table.add_column(heading, no_wrap=True, min_width=width)
        return table

    def _sign(self, source: str) -> Text:
        sign = SIGNS[source]
        return Text(sign.letter if self._ascii else sign.glyph, style=sign.style)

    def _text(self, text: str) -> Text:
        return Text(text.replace(_ARROW, "->").replace(ABSENT, "-") if self._ascii else text)


def _add_numbers(table: Table, heading: str, width: int, style: str = "") -> None:
    table.add_column(
        Text(heading, style=style),
        justify="right",
        no_wrap=True,
        min_width=width,
    )


def _sources(call: RecordedCall) -> set[str]:
    return {tokens.source for tokens in (call.input, call.output) if tokens is not None}


def _encodings(source: str, calls: Iterable[RecordedCall]) -> str:
    """Return the encodings that were counted with, or nothing for other sources."""
    used = {call.encoding for call in calls if source in _sources(call) and call.encoding}
    return f" with {' and '.join(sorted(used))}" if source == "counted" and used else ""


def _place(part: TokenSum) -> tuple[str, str, int]:
    """Return the sort key of a row: metric, direction, position of the outcome, -1 without one."""
    outcome = list(OUTCOME_STYLES).index(part.outcome) if part.outcome in OUTCOME_STYLES else -1
    return part.name, part.kind, outcome


def _model(call: RecordedCall) -> str:
    """Return the requested model, and the answering one if it differs."""
    answered = call.response_model
    if answered is None or answered.startswith(call.model):
        return call.model
    return f"{call.model} {_ARROW} {answered}"


def _total(numbers: Iterable[int]) -> str:
    found = list(numbers)
    return f"{sum(found):,}" if found else ""
