"""The parts of the soak. Each says what it saw, and returns the promises that were broken."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from bench import wire
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import NoOpTracerProvider

import tokentrail
from soak.application import Application, over_in, say
from soak.growth import Growth
from tokentrail import calls
from tokentrail.prepared import prepare
from tokentrail.shapes.chat import ChatShape

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

WARM = 5
"""Calls that each thread and task makes before growth is watched: at first all begin at once."""
WORKERS = 4
SLOW = 0.05
"""Seconds that the slow exporter takes for a span."""
MOST_SERIES = 2001
"""The SDK's own bound, and one for what is beyond it."""


def load(asked: argparse.Namespace) -> list[str]:
    """1,000 streams on one event loop and 200 threads, ended in every way."""
    application, growth = Application(), Growth()
    warm = WARM * (asked.threads + asked.streams)
    over = growth.watch(asked.seconds, lambda: application.ledger.calls > warm)
    application.run(over, threads=asked.threads, streams=asked.streams)
    return [*application.check(), *growth.check(), *application.close()]


class _SlowExporter(SpanExporter):
    """Sleeps on the thread that ends a span."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sleep."""
        time.sleep(SLOW * len(spans))
        return SpanExportResult.SUCCESS


def slow(asked: argparse.Namespace) -> list[str]:
    """The same with an exporter of 50 ms a span: nothing is estimated for lack of a turn.

    On an event loop it leaves time for 20 calls a second, so there are fewer streams.
    """
    application = Application(SimpleSpanProcessor(_SlowExporter()))
    over = over_in(asked.seconds)
    application.run(over, threads=asked.threads, streams=asked.streams // 10)
    return [*application.check(), *application.close()]


def forks(asked: argparse.Namespace) -> list[str]:
    """Workers forked while a stream is open: each tells its own, and nothing of the others'."""
    application, children = Application(), []
    stream = application.sync.chat.completions.create(
        **wire.CHAT, stream=True, extra_headers={wire.LENGTH: "20"}
    )
    next(stream)
    for _ in range(WORKERS):
        child = os.fork()
        if child == 0:
            for _ in stream:  # its parent's, and its parent tells it
                pass
            application.forked()
            application.run(over_in(asked.seconds / 2), threads=asked.threads // WORKERS)
            os._exit(bool(application.check()))
        children.append(child)
    application.ledger.add(sum(bool(chunk.choices[0].delta.content) for chunk in stream))
    application.run(over_in(asked.seconds / 2), threads=asked.threads // WORKERS)
    failed = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    wrong = ["a worker's accounts do not add up"] if any(failed) else []
    return [*wrong, *application.check(), *application.close()]


def recorder(asked: argparse.Namespace) -> list[str]:
    """Recorder and metrics of a million calls, each of a model of its own."""
    reader, growth = InMemoryMetricReader(), Growth()
    tokentrail.instrument(
        tracer_provider=NoOpTracerProvider(), meter_provider=MeterProvider(metric_readers=[reader])
    )
    sync, _ = wire.clients()
    answer, shape = sync.chat.completions.create(**wire.CHAT), ChatShape()
    engine = calls.engine
    if engine is None:
        return ["not instrumented"]
    for number in range(asked.calls):
        given = {**wire.CHAT, "model": f"model-{number}"}
        answer.model = f"model-{number}-long"
        recording, _ = prepare(engine, shape, sync.chat.completions, (), given).start()
        if recording is not None:
            recording.answered(answer)
        if number % max(asked.calls // 50, 1) == 0:
            growth.take()
    tokentrail.flush(10)
    series = _series(reader)
    say(f"{asked.calls:,} calls, {series:,} series of the widest metric")
    tokentrail.uninstrument()
    return [*growth.check(), *([f"{series} series"] if series > MOST_SERIES else [])]


def _series(reader: InMemoryMetricReader) -> int:
    collected = reader.get_metrics_data()
    scopes = [s for r in (collected.resource_metrics if collected else ()) for s in r.scope_metrics]
    return max(len(metric.data.data_points) for scope in scopes for metric in scope.metrics)


PARTS = {"load": load, "slow": slow, "forks": forks, "recorder": recorder}
