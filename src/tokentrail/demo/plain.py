"""The demonstration without rich: the same calls, as ``tokentrail run`` shows them."""

from __future__ import annotations

import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tokentrail
from tokentrail.cost import genai_prices
from tokentrail.demo.scenes import DEPLOYED, DEPLOYMENT, SCENES, Stage
from tokentrail.run.call_row import CallRow, is_call
from tokentrail.run.display import Display
from tokentrail.run.totals import Totals
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

NEXT = """
To see the calls of your own program, without a change to it:
  tokentrail run app.py
To export them with OpenTelemetry, begin your program with:
  import tokentrail
  tokentrail.instrument()"""
"""How the demonstration ends."""
_FLUSH = 10.0


def run() -> int:
    """Run the demonstration against the embedded server; return the exit code."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tokentrail.instrument(tracer_provider=provider, cost=cost())
    try:
        _show(provider, exporter)
    finally:
        tokentrail.uninstrument()
        provider.shutdown()
    print(NEXT)
    return 0


def cost() -> str:
    """Return the value of ``cost``: what can be priced, if there are prices."""
    return "counted" if genai_prices.is_installed() else "off"


def _show(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    display, totals = Display(sys.stdout), Totals()
    tracer = provider.get_tracer("application")
    with Server(Model(deployments={DEPLOYMENT: DEPLOYED})) as server:
        stage = Stage(server.url, lambda _: None)
        for scene in SCENES:
            with tracer.start_as_current_span(scene.name):
                scene.play(stage)
            tokentrail.flush(_FLUSH)
            for span in filter(is_call, exporter.get_finished_spans()):
                row = CallRow.of(span, (scene.name,), None, content=False)
                totals.add(row)
                display.row(row)
            exporter.clear()
    display.summary(totals)
