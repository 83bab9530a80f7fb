"""Calls of an application under a span of its own, exported by OTLP over HTTP."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from tests.dashboards.server import Application
from tests.dashboards.shipped import BOARDS, targets
from tests.waiting import wait_until

import tokentrail
from tokentrail.demo import scenes
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from tests.dashboards.server import Queries
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


SHOP = "otlp-both"
"""The service of tests/dashboards/application.py, which explains its calls and meets limits."""
FILLED_BY_SHOP = {
    ("Cache read of cacheable by model", "A"),
    ("Cost of input per hour by part", "A"),
    ("Cost of missed tokens per hour by reason", "A"),
    ("Input from the cache by model", "A"),
    ("Input tokens by part", "A"),
    ("Missed tokens per second by reason", "A"),
    ("Reasoning by model", "A"),
    ("Requests left by model", "A"),
    ("Requests to tools by tool", "A"),
    ("Retries per minute by cause", "A"),
    ("Services and models", "H"),
    ("Tokens left by model", "A"),
    ("Tokens of generated images", "A"),
    ("Tools in the input by model", "A"),
}
"""What the demo leaves empty: its model has no cache, no limits, no tools, and refuses nothing."""
NOT_ASKED = {("Alerts that fire", "A"), ("Cost of a day against its budget", "B")}
"""No alert fires within minutes, and the prices of the example have no budget."""


def asked() -> list[tuple[str, Target]]:
    """Return each query of the dashboard, with the service that has an answer to it."""
    return [
        (SHOP if target.key in FILLED_BY_SHOP else "demo", target)
        for target in targets(BOARDS[0])
        if target.key not in NOT_ASKED
    ]


def play_shop(url: str, metrics: Queries, label: str = "job") -> None:
    """Have it play a round, and another once the first has come: what grew can be asked for.

    ``url`` takes metrics by OTLP, ``label`` is what the store behind it calls a service.
    """
    series = f'tokentrail_cache_tokens_total{{{label}="{SHOP}"}}'
    with closing(Application("both", url)) as shop:
        shop.begin()
        shop.finish()
        shop.begin("send")
        wait_until(lambda: metrics.values(series, time.time()), series)
        before = metrics.values(series, time.time())
        shop.begin()
        shop.finish()
        wait_until(lambda: metrics.values(series, time.time()) != before, "another round of it")
