"""The process of one subject: instruments, then takes turns as the driver asks for them.

    python -m bench.turns NAME MODE

Reads a line of JSON for each turn, ``[measure, argument, ...]``, and answers with a line of its
samples. ``MODE``: ``on``, ``unsampled`` (no span is sampled, no metrics) or ``untraced`` (no spans,
metrics on).
"""

from __future__ import annotations

import gc
import json
import logging
import os
import sys

from bench.measures import Bench
from bench.subjects import BY_NAME, OURS
from bench.switch import Switch
from opentelemetry import metrics as otel_metrics
from opentelemetry import trace as otel_trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import NoOpTracerProvider


def providers(mode: str) -> tuple[otel_trace.TracerProvider, otel_metrics.MeterProvider]:
    """Return the cheapest providers there are, so that what is measured is not theirs."""
    if mode == "untraced":
        traces: otel_trace.TracerProvider = NoOpTracerProvider()
    else:
        traces = TracerProvider(sampler=ALWAYS_OFF if mode == "unsampled" else ALWAYS_ON)
        traces.add_span_processor(SpanProcessor())
    if mode == "unsampled":
        return traces, NoOpMeterProvider()
    return traces, MeterProvider(metric_readers=[InMemoryMetricReader()])


def _bench(name: str, mode: str) -> Bench:
    from bench import wire

    traces, metrics = providers(mode)
    sync, _ = wire.clients()
    sync.chat.completions.create(**wire.CHAT)
    sync.responses.create(**wire.RESPONSES)
    sync.embeddings.create(**wire.EMBEDDINGS)
    subject = BY_NAME[name]
    bench = Bench(Switch(lambda: subject.switch(traces, metrics)), _flush(name))
    bench.warm()
    return bench


def _flush(name: str):  # noqa: ANN202 - a function of nothing
    if name != OURS:
        return lambda: None
    import tokentrail

    return lambda: tokentrail.flush(60)


def main() -> None:
    """Take turns until the driver closes its end."""
    name, mode = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # some subjects print
    logging.disable(logging.CRITICAL)
    bench = _bench(name, mode)
    gc.collect()
    gc.freeze()
    print(json.dumps({"changed": len(bench.switch.changed)}), file=answers, flush=True)
    for line in sys.stdin:
        measure, *arguments = json.loads(line)
        print(json.dumps(bench.measure(measure, arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main()
