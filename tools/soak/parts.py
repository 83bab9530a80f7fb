"""The parts of the soak. Each says what it saw, and returns the promises that were broken."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from bench import wire
from opentelemetry.context import get_current
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import NoOpTracerProvider

import tokentrail
from soak import metrics
from soak.application import Application, over_in, say, tokens_of
from soak.attacks import ATTACKS
from soak.growth import Growth
from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.patching.request import SentCall, read_arguments
from tokentrail.runtime import runtime
from tokentrail.telemetry.metrics.label_values import MAX_UNPROVEN, MAX_VALUES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import openai
    from opentelemetry.sdk.trace import ReadableSpan

    from tokentrail.call.observed_call import ObservedCall

WORKERS = 4
SLOW = 0.01
"""Seconds that the slow exporter takes for a span."""
MOST_VALUES = MAX_VALUES + MAX_UNPROVEN + 1
"""Of an attribute: of calls that succeeded, of calls that never did, and one for all others."""
PAIRS = 4
"""Of source and outcome among the recorder's calls: usage is reported for those that are completed
at once, and estimated for those that are completed, closed early or failed as streams."""
MOST_SERIES = 2 * (MOST_VALUES - 1 + PAIRS)
"""Of a metric that parts them by direction: each model is in one pair, ``_OTHER`` in each. The
SDK's own bound is 2,000, and no merit of ours."""
CHUNKS = 5


def load(asked: argparse.Namespace) -> list[str]:
    """1,000 streams on one event loop and 200 threads, ended in every way."""
    return _hard_use(Application(), asked)


def _hard_use(application: Application, asked: argparse.Namespace) -> list[str]:
    growth, everybody = Growth(), asked.threads + asked.streams
    over = growth.watch(asked.seconds, lambda: application.ledger.warm >= everybody)
    application.run(over, threads=asked.threads, streams=asked.streams)
    return [*application.check(), *growth.check(), *application.close()]


class _SlowExporter(SpanExporter):
    """Sleeps on the thread that ends a span."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sleep."""
        time.sleep(SLOW * len(spans))
        return SpanExportResult.SUCCESS


def slow(asked: argparse.Namespace) -> list[str]:
    """The same with an exporter of 10 ms a span: nothing is estimated for lack of a turn.

    On an event loop it leaves time for 100 calls a second.
    """
    return _hard_use(Application(SimpleSpanProcessor(_SlowExporter())), asked)


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
    application.ledger.add(sum(map(tokens_of, stream)))
    application.run(over_in(asked.seconds / 2), threads=asked.threads // WORKERS)
    failed = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    wrong = ["a worker's accounts do not add up"] if any(failed) else []
    return [*wrong, *application.check(), *application.close()]


def recorder(asked: argparse.Namespace) -> list[str]:
    """Recorder and metrics of many calls: each of a model of its own, or an error."""
    reader, growth = InMemoryMetricReader(), Growth()
    sync, _ = wire.clients()
    answer, chunks = sync.chat.completions.create(**wire.CHAT), _chunks(sync)
    tokentrail.instrument(
        tracer_provider=NoOpTracerProvider(),
        meter_provider=MeterProvider(metric_readers=[reader]),
        preload_encodings="o200k_base",
    )
    active, shape = runtime.current(), ChatAdapter()
    if active is None:
        return ["not instrumented"]
    for number in range(asked.calls):
        given = {**wire.CHAT, "model": f"model-{number}", "stream": bool(number % len(ENDS))}
        for each in (answer, *chunks):
            each.model = f"model-{number}-long"
        sent = SentCall(read_arguments(active, shape, (sync, None), get_current(), (), given))
        sent.start()
        sent.detach()
        if sent.call is not None:
            _record(sent.call, number, answer, chunks)
        if number % max(asked.calls // 50, 1) == 0:
            tokentrail.flush(10)
            growth.take()
    tokentrail.flush(10)
    told, (series, values) = metrics.calls(reader), metrics.widest(reader)
    say(f"{asked.calls:,} calls, {series:,} series of the widest metric, {values:,} values")
    tokentrail.uninstrument()
    wrong = [f"{number} {name}" for name, number in told.items() if number != asked.calls]
    wrong += [f"{series} series"] if series > MOST_SERIES else []
    return [*wrong, *([f"{values} values"] if values > MOST_VALUES else []), *growth.check()]


def _chunks(sync: openai.OpenAI) -> list[Any]:
    headers = {wire.LENGTH: str(CHUNKS)}
    return list(sync.chat.completions.create(**wire.CHAT, stream=True, extra_headers=headers))


ENDS = ("on_response", "on_stream_end", "on_closed", "on_error", "on_collected")


def _record(call: ObservedCall, number: int, answer: object, chunks: list[Any]) -> None:
    """Record one call, of each way to end by turns: a plain one, or a stream."""
    end = ENDS[number % len(ENDS)]
    if end == "on_response":
        call.on_response(answer)
        return
    call.recorder.on_stream_opened()
    for chunk in chunks:
        call.on_chunk(chunk)
    if end == "on_error":
        call.on_error(type(f"Failed{number}", (Exception,), {})())
    else:
        getattr(call, end)()


PARTS = {"load": load, "slow": slow, "forks": forks, "recorder": recorder, **ATTACKS}
