"""Where the telemetry of one worker goes, and how it is told apart from the others'."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import tokentrail

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

PATIENCE = 2.0
"""Seconds that requests may take to end once the server has cancelled them."""


class UnderWay(SpanProcessor):
    """Knows which spans have not ended: a provider that is shut down drops their end."""

    def __init__(self) -> None:
        self.spans: set[int] = set()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Know of one more."""
        self.spans.add(span.context.span_id)

    def on_end(self, span: ReadableSpan) -> None:
        """Forget it."""
        self.spans.discard(span.context.span_id)


under_way = UnderWay()


def start() -> None:
    """Set up this process: call it in each worker, after the fork if there is one.

    Each worker counts for itself, from nought. ``service.instance.id`` makes its series its own;
    without it the workers' points would overwrite each other, and rates would be nonsense.
    """
    resource = Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "chat-service"),
            "service.instance.id": str(uuid.uuid4()),
        }
    )
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracers.add_span_processor(under_way)
    trace.set_tracer_provider(tracers)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[reader]))
    # Built now, so that neither the first answer nor the event loop waits for it later.
    tokentrail.instrument(preload_encodings=["gpt-4o-mini"])


async def stop() -> None:
    """Send what is left: a worker that multiprocessing made runs no exit hooks.

    The server may have cancelled requests a moment ago (--timeout-graceful-shutdown). They need a
    few turns of the event loop to end; what is open after that ends here, as closed early.
    """
    until = time.monotonic() + PATIENCE
    while under_way.spans and time.monotonic() < until:  # noqa: ASYNC110 - spans end in any thread
        await asyncio.sleep(0.01)
    tokentrail.flush(5, end_open_calls=True)
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        provider.shutdown()
