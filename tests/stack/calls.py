"""Calls of an application under a span of its own, exported by OTLP over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

import tokentrail
from tokentrail.demo import scenes
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

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


UNFILLED = {
    ("Alerts that fire", "A"),
    ("Cache read of cacheable by model", "A"),
    ("Cost of a day against its budget", "B"),
    ("Cost of input per hour by part", "A"),
    ("Cost of missed tokens per hour by reason", "A"),
    ("Input tokens by part", "A"),
    ("Missed tokens per second by reason", "A"),
    ("Tools in the input by model", "A"),
    ("Input from the cache by model", "A"),
    ("Reasoning by model", "A"),
    ("Requests left by model", "A"),
    ("Requests to tools by tool", "A"),
    ("Retries per minute by cause", "A"),
    ("Services and models", "H"),
    ("Tokens left by model", "A"),
    ("Tokens of generated images", "A"),
}
"""What the demo leaves empty: its model has no cache, no limits, no tools, and refuses nothing.

It does not explain its calls either.
"""
