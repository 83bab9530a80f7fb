"""Calls of an application under a span of its own, exported by OTLP over HTTP."""

from __future__ import annotations

from contextlib import closing, contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from tests.dashboards import expected
from tests.dashboards.server import Application
from tests.dashboards.shipped import BOARDS, targets

import tokentrail
from tokentrail.demo import scenes
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan
    from tests.dashboards.shipped import Target

PARENT = "POST /ask"
SCENES = (
    scenes.plain,
    scenes.stream,
    scenes.closed_early,
    scenes.reasoning,
    scenes.unknown_model,
)
"""A plain answer, a stream, one closed early, one that hides its thought, and a failure."""


def make_calls(traces: str, **settings: Any) -> tuple[ReadableSpan, ...]:
    """Make the calls, export them to ``traces``, and return the spans as the SDK had them."""
    kept = InMemorySpanExporter()
    resource = Resource.create({"service.name": "support-desk", "service.instance.id": "one"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(traces, timeout=30)))
    # what is counted does not hang on how long an encoding takes to load here
    tokentrail.instrument(tracer_provider=provider, preload_encodings="o200k_base", **settings)
    try:
        with Server(Model(delay=0.004)) as server:
            stage = scenes.Stage(server.url, lambda _: None)
            tracer = provider.get_tracer("application")
            with tracer.start_as_current_span(PARENT, kind=SpanKind.SERVER):
                for play in SCENES:
                    play(stage)
    finally:
        tokentrail.uninstrument()
        provider.shutdown()
    return kept.get_finished_spans()


PAUSE = 5.0
"""Seconds between two rounds of it: what is asked of the last minutes is there at any time."""
SHOP = "otlp-both"
"""The service of tests/dashboards/application.py, which explains its calls and meets limits."""
FILLED_BY_SHOP = {
    ("Cache read of cacheable by model, 15 min", "A"),
    ("Cost of input per hour by part", "A"),
    ("Cost of missed tokens per hour by reason", "A"),
    ("Input from the cache by model, 15 min", "A"),
    ("Input tokens by part", "A"),
    ("Missed tokens per second by reason", "A"),
    ("Reasoning by model", "A"),
    ("Requests left by model", "A"),
    ("Requests to tools by tool", "A"),
    ("Retries per minute by cause", "A"),
    (expected.SERVICES, "H"),
    ("Tokens left by model", "A"),
    ("Tokens of generated images", "A"),
    ("Tokens of transcription", "A"),
    ("Tools in the input by model, 15 min", "A"),
    ("Transcribed sound per minute", "A"),
}
"""What the demo leaves empty: its model has no cache, no limits, no tools, and refuses nothing."""
NOT_ASKED = {("Firing alerts", "A"), ("Cost of a day against its budget", "B")}
"""No alert fires within minutes, and the prices of the example have no budget."""


def asked() -> list[tuple[str, Target]]:
    """Return each query of the dashboard, with the service that has an answer to it."""
    return [
        (SHOP if target.key in FILLED_BY_SHOP else "demo", target)
        for target in targets(BOARDS[0])
        if target.key not in NOT_ASKED
    ]


@contextmanager
def shop(url: str) -> Iterator[None]:
    """Have it play rounds until the block ends; ``url`` takes its metrics by OTLP."""
    ended = Event()
    with closing(Application("both", url)) as application:

        def play() -> None:
            application.begin("send")
            while not ended.wait(PAUSE):
                application.begin()
                application.finish()

        playing = Thread(target=play)
        playing.start()
        try:
            yield
        finally:
            ended.set()
            playing.join()
