"""Rows of calls and their summary, as lines of at most 80 columns; colour only helps."""

from __future__ import annotations

import json
import os
import textwrap
from typing import TYPE_CHECKING, Final, Protocol

from tokentrail.cost import genai_prices
from tokentrail.run.signs import (
    ABSENT,
    OUTCOME_STYLES,
    SIGNS,
    WIDTH,
    duration_text,
    money_text,
    outcome_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokentrail.run.call_row import CallRow
    from tokentrail.run.totals import Total, Totals

_ANSI: Final = {
    "green": "32",
    "cyan": "36",
    "yellow": "33",
    "magenta": "35",
    "red": "31",
    "bold": "1",
    "dim": "2",
}
_NAME: Final = 18
_DEEPEST: Final = 4
"""Levels that are indented; deeper ones stand below these."""
_HEADING: Final = (
    f"{'call':{_NAME}} {'ended':12} {'first':>6} {'took':>6} {'in':>9} {'out':>9} {'cost':>9}  hit"
)


class Terminal(Protocol):
    """What a display writes to: standard error, or the terminal of pytest."""

    @property
    def encoding(self) -> str:
        """How characters are written."""

    def isatty(self) -> bool:
        """Whether colours are shown."""

    def write(self, text: str, /) -> object:
        """Write."""

    def flush(self) -> object:
        """Show what was written."""


class Display:
    """Writes rows as they come, and the summary."""

    def __init__(self, file: Terminal, environ: Mapping[str, str] = os.environ) -> None:
        self._file = file
        self._ascii = "utf" not in (file.encoding or "").lower()
        self._colours = (
            file.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        )
        self._path: tuple[str, ...] = ()
        self._begun = False

    def row(self, row: CallRow) -> None:
        """Write a call, below the spans that it lies in, and what is off about it."""
        if not self._begun:
            self._begun = True
            self._write(self._style(_HEADING, "bold"))
        for line in self._row(row):
            self._write(line)

    def summary(self, totals: Totals) -> None:
        """Write what all calls come to."""
        if totals.all.calls:
            self._write("")
            for line in self._summary(totals):
                self._write(line)

    def note(self, text: str, style: str = "yellow") -> None:
        """Write a sentence."""
        for line in textwrap.wrap(f"tokentrail: {text}", WIDTH, subsequent_indent="  "):
            self._write(self._style(line, style))

    def _row(self, row: CallRow) -> Iterator[str]:
        path = row.parents if row.test is None else (row.test, *row.parents)
        same = 0
        while same < min(len(path), len(self._path)) and path[same] == self._path[same]:
            same += 1
        for depth in range(same, len(path)):
            indent = "  " * min(depth, _DEEPEST)
            yield self._style(_cut(indent + path[depth], WIDTH), "dim")
        self._path = path
        indent = "  " * min(len(path), _DEEPEST)
        yield self._cells(row, indent)
        for note in row.notes:
            first = f"{indent}  ! "
            rest = " " * len(first)
            for line in textwrap.wrap(note, WIDTH, initial_indent=first, subsequent_indent=rest):
                yield self._style(line, "yellow")

    def _cells(self, row: CallRow, indent: str) -> str:
        name = row.model or row.operation
        if row.model and row.operation != "chat":
            name = f"{row.model} {row.operation}"
        ended = f"{outcome_text(row.outcome):12}"
        first = duration_text(row.first_content) if row.first_content is not None else ABSENT
        cached = row.cached_tokens
        share = f"{cached / row.input_tokens:4.0%}" if cached and row.input_tokens else "    "
        cells = (
            f"{_cut(indent + name, _NAME):{_NAME}}",
            self._style(ended, OUTCOME_STYLES.get(row.outcome, "")),
            f"{first:>6}",
            f"{duration_text(row.duration):>6}",
            self._tokens(row.input_tokens, row.input_source),
            self._tokens(row.output_tokens, row.output_source),
            f"{money_text(row.cost) if row.cost is not None else ABSENT:>9}",
            share,
        )
        return " ".join(cells).rstrip()

    def _tokens(self, tokens: int | None, source: str | None) -> str:
        sign = SIGNS.get(source or "")
        if tokens is None or sign is None:
            return f"{ABSENT:>9}"
        glyph = sign.letter if self._ascii else sign.glyph
        return self._style(f"{tokens:>7,} {glyph}", sign.style)

    def _summary(self, totals: Totals) -> Iterator[str]:
        heading = f"{'model':30} {'calls':>6} {'in':>11} {'out':>11} {'cost':>10} {'cached':>7}"
        yield self._style(heading, "bold")
        for name, total in sorted(totals.models.items(), key=lambda item: -item[1].tokens):
            yield _total_line(name, total)
        if len(totals.models) > 1:
            yield self._style(_total_line("all", totals.all), "bold")
        marks = (
            self._style(f"{s.letter if self._ascii else s.glyph} {s.meaning}", s.style)
            for source, s in SIGNS.items()
            if source in totals.sources
        )
        yield from marks
        if totals.all.not_completed:
            yield f"{totals.all.not_completed} of {totals.all.calls} calls did not complete"
        if totals.all.unpriced:
            yield _unpriced(totals.all)

    def _style(self, text: str, style: str) -> str:
        if not self._colours or style not in _ANSI:
            return text
        return f"\x1b[{_ANSI[style]}m{text}\x1b[0m"

    def _write(self, line: str) -> None:
        if self._ascii:
            encoding = self._file.encoding or "ascii"
            line = line.replace(ABSENT, "-").encode(encoding, "replace").decode(encoding)
        self._file.write(line + "\n")
        self._file.flush()


class JsonLines:
    """Writes the same for programs, an object a line."""

    def __init__(self, file: Terminal) -> None:
        self._file = file

    def row(self, row: CallRow) -> None:
        """Write a call."""
        self._write(row.as_json())

    def summary(self, totals: Totals) -> None:
        """Write what all calls come to."""
        self._write(totals.as_json())

    def note(self, text: str, style: str = "") -> None:
        """Write a sentence."""
        self._write({"note": text})

    def _write(self, line: object) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def _total_line(name: str, total: Total) -> str:
    cost = money_text(total.cost) if total.cost else ABSENT
    share = f"{total.cached_share:.0%}" if total.cached_share is not None else ABSENT
    return (
        f"{_cut(name, 30):30} {total.calls:>6,} {total.input_tokens:>11,}"
        f" {total.output_tokens:>11,} {cost:>10} {share:>7}"
    )


def _unpriced(total: Total) -> str:
    why = "the model has no price, or the count is not exact"
    hint = why if genai_prices.is_installed() else genai_prices.INSTALL_HINT
    return f"{total.unpriced} of {total.calls} calls have no cost: {hint}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 2]}.."
