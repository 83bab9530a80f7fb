"""An application that asks models, for ever, and tells it by OTLP: the demo's own calls.

Where to, and under which name, say the usual variables: OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_SERVICE_NAME, OTEL_METRIC_EXPORT_INTERVAL. What an application does about tokentrail and
OpenTelemetry stands in `main`; the server that answers is embedded.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import signal
import time
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
from tokentrail.demo.scenes import DEPLOYED, DEPLOYMENT, SCENES, Stage
from tokentrail.testing.model import Model
from tokentrail.testing.server import Call, Reply, Server

THINKS = "o4-mini"
"""The model that takes its time before the first chunk."""
TENANTS = ("blue", "green")
"""On whose behalf it calls: on spans, and on metrics where `custom_metric_attributes` says so."""


def main(rounds: int | None, pause: float, delay: float, slow: float) -> None:
    """Instrument, make the calls of ``rounds`` (no end: ``None``), and tell the last of them."""
    resource = Resource.create({"service.instance.id": str(uuid.uuid4())})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource)
    metrics.set_meter_provider(meters)
    tokentrail.instrument()

    try:
        ask(rounds, pause, delay, slow)
    finally:
        tokentrail.flush()
        meters.shutdown()
        tracers.shutdown()


def ask(rounds: int | None, pause: float, delay: float, slow: float) -> None:
    """Make the calls of the demo, each under a span as a web framework would start."""
    deployments = {DEPLOYMENT: DEPLOYED}
    quick = Model(delay=delay, wait=0.1, deployments=deployments)
    thinking = Model(delay=delay, wait=slow)
    tracer = trace.get_tracer("application")

    def respond(call: Call) -> Reply:
        return (thinking if call.body.get("model") == THINKS else quick)(call)

    with Server(respond) as server:
        stage = Stage(server.url, lambda _: None)
        for _ in itertools.count() if rounds is None else range(rounds):
            for scene in random.sample(SCENES, len(SCENES)):
                route = f"POST /{scene.name.replace(', ', '-').replace(' ', '-')}"
                with (
                    tracer.start_as_current_span(route, kind=trace.SpanKind.SERVER),
                    tokentrail.attributes(tenant=random.choice(TENANTS)),
                ):
                    scene.play(stage)
                time.sleep(random.uniform(0, 2 * pause))
            server.calls.clear()  # it keeps them, and this goes on for ever


def stop(*_: object) -> None:
    """End as Ctrl-C does: a container is stopped by another signal."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, help="end after so many rounds of calls")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds after each kind of call")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds before each chunk")
    parser.add_argument("--slow", type=float, default=3.0, help="seconds that a slow model thinks")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(KeyboardInterrupt):
        main(asked.rounds, asked.pause, asked.delay, asked.slow)
