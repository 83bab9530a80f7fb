"""The demonstration as a small dashboard: the same calls over and over, and their totals.

Every number is read from the exported metrics. On a terminal the dashboard is refreshed until
Ctrl-C; elsewhere the calls are made once, with a line of plain text after each kind.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import tokentrail
from tokentrail.demo import readback
from tokentrail.demo.error import DemoError
from tokentrail.demo.run import DELAY, title
from tokentrail.demo.scenes import DEPLOYED, DEPLOYMENT, SCENES, Stage
from tokentrail.run.signs import SIGNS
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 5.0
"""Seconds over which tokens per second are averaged."""
_BARS = "▁▂▃▄▅▆▇█"
_HISTORY = 40
_FLUSH = 10.0


@dataclass
class Meters:
    """The metrics of this process, over time."""

    clock: Callable[[], float] = time.monotonic
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def __post_init__(self) -> None:
        self.provider = MeterProvider([self.reader])
        self.begun = self.clock()
        self._seen: deque[tuple[float, int]] = deque([(self.begun, 0)])

    def read(self) -> Totals:
        """Return the totals so far."""
        data, now = self.reader.get_metrics_data(), self.clock()
        tokens = readback.totals(data)
        number = sum(tokens.values())
        self._seen.append((now, number))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW:  # noqa: PLR2004 - both ends
            self._seen.popleft()
        then, before = self._seen[0]
        rate = (number - before) / max(now - then, 1e-9)
        return Totals(now - self.begun, readback.outcomes(data), tokens, rate)


@dataclass(frozen=True)
class Totals:
    """Running totals, and the rate of the last seconds."""

    seconds: float
    outcomes: dict[str, int]
    tokens: dict[tuple[str, str], int]
    """By source and direction."""
    rate: float
    """Tokens per second."""

    @property
    def calls(self) -> int:
        """How many calls ended."""
        return sum(self.outcomes.values())

    def line(self) -> str:
        """Return everything as one line of plain text."""
        parts = [
            f"{source} {self.of(source, 'input'):,} in {self.of(source, 'output'):,} out"
            for source in SIGNS
            if self.of(source, "input") or self.of(source, "output")
        ]
        calls = "1 call" if self.calls == 1 else f"{self.calls} calls"
        return ", ".join([f"{self.seconds:.1f} s", calls, f"{self.rate:,.0f} tokens/s", *parts])

    def of(self, source: str, kind: str) -> int:
        """Return the tokens of a source and a direction."""
        return self.tokens.get((source, kind), 0)


class Picture:
    """Draws totals; the bars show the rate over time, one for each drawing."""

    def __init__(self, console: Console, meters: Meters) -> None:
        self._plain = "utf" not in console.encoding.lower()
        self._meters = meters
        self._rates: deque[float] = deque(maxlen=_HISTORY)

    def __call__(self) -> RenderableType:
        """Return the current picture."""
        totals = self._meters.read()
        self._rates.append(totals.rate)
        pace = Text.assemble(
            ("tokens per second ", "bold"), (f"{totals.rate:7,.0f}  ", "cyan"), self._bars()
        )
        outcomes = ", ".join(
            f"{name.replace('_', ' ')} {number:,}"
            for name, number in sorted(totals.outcomes.items())
        )
        ended = f"{totals.calls:,} calls in {totals.seconds:.0f} s: {outcomes or 'none yet'}"
        lines = ("", pace, "", self._table(totals), "", Text(ended), Text("Ctrl-C ends it", "dim"))
        return Padding(Group(*lines), (0, 1))

    def _bars(self) -> str:
        if self._plain:
            return ""
        most = max(self._rates) or 1.0
        return "".join(_BARS[int(rate / most * (len(_BARS) - 1))] for rate in self._rates)

    def _table(self, totals: Totals) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for heading in ("tokens", "in", "out"):
            table.add_column(heading, justify="left" if heading == "tokens" else "right")
        for source, sign in SIGNS.items():
            mark = sign.letter if self._plain else sign.glyph
            numbers = (f"{totals.of(source, kind):,}" for kind in ("input", "output"))
            table.add_row(Text(f"{mark} {source}", sign.style), *numbers)
        return table


def run() -> int:
    """Show the dashboard; return the exit code."""
    console, meters = Console(highlight=False), Meters()
    live = console.is_terminal and not console.is_dumb_terminal
    console.print(title("a server in this process", "metrics"))
    tokentrail.instrument(meter_provider=meters.provider, explain="all", count_verification_ratio=0)
    try:
        with Server(Model(delay=DELAY, deployments={DEPLOYMENT: DEPLOYED})) as server:
            stage = Stage(server.url, lambda _: None)
            if live:
                _until_stopped(console, Picture(console, meters), stage)
            else:
                _once(console, meters, stage)
        tokentrail.flush(_FLUSH)
        totals = meters.read()
    finally:
        tokentrail.uninstrument()
        meters.provider.shutdown()
    if not totals.calls:
        message = "nothing was recorded; is TOKENTRAIL_DISABLED set?"
        raise DemoError(message)
    if live:
        console.print(totals.line())
    return 0


def _until_stopped(console: Console, picture: Picture, stage: Stage) -> None:
    try:
        with Live(console=console, get_renderable=picture, refresh_per_second=4):
            while True:
                for scene in SCENES:
                    scene.play(stage)
    except KeyboardInterrupt:
        pass  # the only way to end it


def _once(console: Console, meters: Meters, stage: Stage) -> None:
    for scene in SCENES:
        scene.play(stage)
        tokentrail.flush(_FLUSH)
        console.print(f"{scene.name}: {meters.read().line()}", soft_wrap=True)
