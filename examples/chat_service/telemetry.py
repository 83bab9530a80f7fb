"""Where the telemetry of one worker goes, and how it is told apart from the others'."""

from __future__ import annotations

import os
import uuid

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import tokentrail


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
    trace.set_tracer_provider(tracers)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[reader]))
    # Built now, so that neither the first answer nor the event loop waits for it later.
    tokentrail.instrument(preload=["gpt-4o-mini"])


def stop() -> None:
    """Send what is left: a worker that multiprocessing made runs no exit hooks."""
    tokentrail.flush(5)
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        provider.shutdown()
