"""In the program: ended spans of calls become lines of the file that the environment names."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import wraps
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

import tokentrail
from tokentrail.instrumentor import OpenAIInstrumentor
from tokentrail.run.call_file import CONTENT, append
from tokentrail.run.call_row import CallRow, is_call

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.trace import ProxyTracer, Tracer

MAX_OPEN: Final = 4096
"""The most open spans whose names are remembered; the oldest are forgotten first."""
_PATIENCE: Final = 20.0
"""Seconds that an exit without exit hooks waits for rows of calls that have ended."""

current_test: str | None = None
"""The test that runs, in a run of pytest."""


class RowWriter(SpanProcessor):
    """Writes a line for each call that ends; knows the names of the spans around it."""

    def __init__(self) -> None:
        self._paths: dict[int, tuple[str, ...]] = {}
        self._tests: dict[int, str] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember which spans of this process the new one lies in."""
        parent = trace.get_current_span(parent_context).get_span_context().span_id
        context = span.get_span_context()
        if len(self._paths) >= MAX_OPEN:
            with suppress(StopIteration, KeyError, RuntimeError):  # other threads do so too
                self._forget(next(iter(self._paths)))
        self._paths[context.span_id] = (*self._paths.get(parent, ()), span.name)
        if current_test is not None:
            self._tests[context.span_id] = current_test

    def on_end(self, span: ReadableSpan) -> None:
        """Write the line, where the span is that of a call."""
        with suppress(Exception):  # a row is worth no program
            path, test = self._forget(span.context.span_id)
            if is_call(span):
                row = CallRow.of(span, path[:-1], test, content=CONTENT in os.environ)
                append(row.as_json())

    def _forget(self, span_id: int) -> tuple[tuple[str, ...], str | None]:
        return self._paths.pop(span_id, ()), self._tests.pop(span_id, None)


PROCESSOR: Final = RowWriter()
_fallback: TracerProvider | None = None


def tracer_for(proxy: ProxyTracer) -> Tracer:
    """Return the tracer of a provider of ours, for spans that no provider would record."""
    global _fallback
    if _fallback is None:  # its processor comes by the hook on all providers
        _fallback = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    return _fallback.get_tracer(
        proxy._instrumenting_module_name,
        proxy._instrumenting_library_version,
        proxy._schema_url,
    )


def instrument() -> None:
    """Instrument, where the program has not; where it does so later, its settings hold."""
    instrumentor = OpenAIInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()
        if instrumentor.is_instrumented_by_opentelemetry:
            _give_way(instrumentor)
            for name in ("_exit", "execv", "execve"):  # the others of exec call these
                setattr(os, name, _after_rows(getattr(os, name)))
    append({"process": os.getpid(), "instrumented": instrumentor.is_instrumented_by_opentelemetry})


def _after_rows(leave: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``leave``, which runs no exit hooks, after what has ended is written."""

    @wraps(leave)
    def write_and_leave(*args: Any, **kwargs: Any) -> Any:
        with suppress(Exception):  # in a thread of its own: this one may hold any lock
            writing = Thread(target=tokentrail.flush, args=(_PATIENCE,), daemon=True)
            writing.start()
            writing.join(_PATIENCE)
        return leave(*args, **kwargs)

    return write_and_leave


def _give_way(instrumentor: OpenAIInstrumentor) -> None:
    def by_program(**settings: Any) -> None:
        del instrumentor.__dict__["instrument"]
        instrumentor.uninstrument()
        instrumentor.instrument(**settings)

    instrumentor.__dict__["instrument"] = by_program
