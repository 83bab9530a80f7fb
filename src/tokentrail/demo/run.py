"""The demonstration: calls are made, recorded, read back and shown."""

from __future__ import annotations

import textwrap
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

import tokentrail
from tokentrail.demo import plain, readback
from tokentrail.demo.error import DemoError
from tokentrail.demo.scenes import DEPLOYED, DEPLOYMENT, SCENES, Stage
from tokentrail.demo.show import Show
from tokentrail.run.signs import WIDTH
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DELAY = 0.004
"""Seconds between two chunks of the embedded server."""
PATIENCE = 20.0
"""Seconds that a span waits for its count: the first one waits for encodings and prices, too."""
_FLUSH = 10.0


@dataclass
class Ledger:
    """Keeps what is exported, for reading it back."""

    spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    metrics: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def __post_init__(self) -> None:
        self._tracers = TracerProvider()
        self._tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self._meters = MeterProvider([self.metrics])
        self.application = self._tracers.get_tracer("application")

    @contextmanager
    def instrumented(self) -> Iterator[None]:
        """Record every call of openai here, and the application's own spans too."""
        tokentrail.instrument(
            explain="all",
            tracer_provider=self._tracers,
            meter_provider=self._meters,
            cost=plain.cost(),
            count_timeout=PATIENCE,
            count_verification_ratio=0,  # by chance it would add a row, too wide for a terminal
        )
        try:
            yield
        finally:
            tokentrail.uninstrument()

    def close(self) -> None:
        """Shut the providers down."""
        self._meters.shutdown()
        self._tracers.shutdown()

    def calls(self) -> list[readback.RecordedCall]:
        """Return the calls whose spans were exported so far."""
        return readback.calls(self.spans.get_finished_spans())


class SceneWatch:
    """Shows, on a terminal, the calls recorded so far and the arriving text; else nothing."""

    def __init__(self, console: Console, show: Show, ledger: Ledger) -> None:
        self._console, self._show, self._ledger = console, show, ledger
        self._scene, self._text = "", ""
        self.scenes: list[str] = []
        self._lock = threading.Lock()

    @contextmanager
    def scene(self, name: str) -> Iterator[None]:
        """Make the calls of one scene, under a span of the application."""
        with self._lock:
            self._scene, self._text = name, ""
            self.scenes.append(name)
        with self._ledger.application.start_as_current_span(name):
            yield

    def add(self, text: str) -> None:
        """Take the next text of the answer."""
        with self._lock:
            self._text += text

    @contextmanager
    def running(self) -> Iterator[None]:
        """Refresh the screen; what it shows is removed when it ends."""
        if not self._console.is_terminal or self._console.is_dumb_terminal:
            yield
            return
        with Live(
            console=self._console, transient=True, get_renderable=self._now, refresh_per_second=12
        ):
            yield

    def _now(self) -> RenderableType:
        with self._lock:
            scene, caption = self._scene, self._text
        lines = textwrap.wrap(caption, WIDTH - 6)[-3:]
        answer = Text("\n".join(lines), style="dim")
        calls = [self._show.calls(found)] if (found := self._ledger.calls()) else []
        return Group("", *calls, Padding(Text(f"{scene} ..."), (0, 1)), Padding(answer, (0, 3)))


def play(console: Console, scenes: Callable[[SceneWatch], None]) -> None:
    """Instrument, make the calls of ``scenes``, and print what was recorded of them.

    Raises DemoError if a scene was played and no span of it was exported.
    """
    ledger, show = Ledger(), Show(console)
    watch = SceneWatch(console, show, ledger)
    try:
        with ledger.instrumented(), watch.running():
            scenes(watch)
            tokentrail.flush(_FLUSH)
        report(console, show, ledger)
    finally:
        ledger.close()
    silent = set(watch.scenes) - {call.scene for call in ledger.calls()}
    if silent:
        names = ", ".join(sorted(silent))
        message = f"nothing was recorded of: {names}; is TOKENTRAIL_DISABLED set?"
        raise DemoError(message)


def report(console: Console, show: Show, ledger: Ledger) -> None:
    """Print the calls and the metrics, all read back from exported telemetry."""
    calls, data = ledger.calls(), ledger.metrics.get_metrics_data()
    parts = (
        show.calls(calls),
        show.legend(calls),
        show.tokens(readback.token_sums(data)),
        show.times(readback.times(data)),
    )
    for part in parts:
        console.print()
        console.print(part)


def title(calls: str, read: str = "spans, then metrics") -> RenderableType:
    """Return the first lines: which client calls which server, and where the numbers come from."""
    text = Text.assemble(
        ("tokentrail", "bold"),
        f" {tokentrail.__version__}: the openai client calls {calls}.\n",
        f"What you see was recorded with OpenTelemetry and then read from {read}.",
    )
    return Padding(text, (0, 0, 0, 1))


def run() -> int:
    """Run the demonstration against the embedded server; return the exit code."""
    console = Console(highlight=False)
    console.print(title("a server inside this process"))
    with Server(Model(delay=DELAY, deployments={DEPLOYMENT: DEPLOYED})) as server:

        def scenes(watch: SceneWatch) -> None:
            stage = Stage(server.url, watch.add)
            for scene in SCENES:
                with watch.scene(scene.name):
                    scene.play(stage)

        play(console, scenes)
    console.print(Padding(Text("With your own key: tokentrail demo --live", "dim"), (1, 0, 0, 1)))
    console.print(Padding(Text(plain.NEXT.strip()), (1, 0, 0, 1)))
    return 0
