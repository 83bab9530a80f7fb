"""What the programs under test share: an exporter into a file, and a question.

Importing it imports neither openai nor tokentrail.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

__all__ = [
    "ASKED",
    "STALLING",
    "FileExporter",
    "json",
    "os",
    "provider",
    "say",
    "sys",
    "thread_names",
    "threading",
    "time",
]

ASKED = {
    "model": "gpt-4o",
    "messages": [{"role": "user", "content": "Hello, how are you?"}],
}
STALLING = {"extra_headers": {"x-stall": "1"}}


def say(value: Any) -> None:
    """Print a JSON value."""
    print(json.dumps(value), flush=True)  # noqa: T201 - it is a program's output


def thread_names() -> list[str]:
    """Return the names of the threads that are ours."""
    return [t.name for t in threading.enumerate() if t.name.startswith("tokentrail")]


class FileExporter:
    """Writes a line for each span, at once and whole; a line says which process wrote it."""

    def __init__(self) -> None:
        self._path = os.environ["SPANS_FILE"]
        self._shut = False

    def export(self, spans: Any) -> Any:
        """Write the spans."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        if self._shut:
            return SpanExportResult.FAILURE
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for span in spans:
            line = {
                "name": span.name,
                "pid": os.getpid(),
                "start": span.start_time,
                "end": span.end_time,
                "status": span.status.status_code.name,
                "attributes": dict(span.attributes or {}),
            }
            os.write(file, json.dumps(line).encode() + b"\n")
        os.close(file)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Export no more."""
        self._shut = True

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Have nothing to flush."""
        return True


def provider(*, batch: bool = False) -> Any:
    """Return a tracer provider that exports into the file.

    ``batch``: nothing is exported before the provider is shut down, at the program's exit.
    """
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

    exporter: Any = FileExporter()
    tracers = TracerProvider()
    if batch:
        tracers.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=600_000))
    else:
        tracers.add_span_processor(SimpleSpanProcessor(exporter))
    return tracers
