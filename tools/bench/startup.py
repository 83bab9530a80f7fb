"""One fresh process: what it costs to import a subject and to switch it on.

    python -m bench.startup NAME

The client, the SDK and opentelemetry-instrumentation are imported before. Prints CPU milliseconds
of the import, of instrument(), and of BaseInstrumentor's look at the installed packages, which is
in it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import sys
import time
from typing import Any

from bench.subjects import BY_NAME
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider


def _timed_check(spent: list[float]) -> None:
    """Have the time of the dependency check noted, where the subject has one."""
    instrumentor = sys.modules.get("opentelemetry.instrumentation.instrumentor")
    if instrumentor is None:
        return
    base: Any = instrumentor.BaseInstrumentor
    check = base._check_dependency_conflicts  # noqa: SLF001 - nothing public has it apart

    def timed(self: object) -> object:
        begun = time.process_time()
        try:
            return check(self)
        finally:
            spent.append(time.process_time() - begun)

    base._check_dependency_conflicts = timed  # noqa: SLF001 - as above


def main() -> None:
    """Import, instrument and say what it took."""
    subject = BY_NAME[sys.argv[1]]
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # some subjects print
    logging.disable(logging.CRITICAL)
    importlib.import_module("openai")
    with contextlib.suppress(ImportError):  # not every subject has it
        importlib.import_module("opentelemetry.instrumentation.instrumentor")
    traces = TracerProvider()
    traces.add_span_processor(SpanProcessor())
    metrics = MeterProvider(metric_readers=[InMemoryMetricReader()])
    begun = time.process_time()
    importlib.import_module(subject.package)
    imported = time.process_time()
    checks: list[float] = []
    _timed_check(checks)
    switching = time.process_time()
    subject.switch(traces, metrics)
    switched = time.process_time()
    told = {
        "import": imported - begun,
        "check": sum(checks),
        "instrument": switched - switching - sum(checks),
    }
    print(json.dumps(told), file=answers, flush=True)
    os._exit(0)  # some subjects have threads that wait for a network


if __name__ == "__main__":
    main()
