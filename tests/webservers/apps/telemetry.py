"""What the applications under test share: telemetry into a file, and what the model is asked."""

from __future__ import annotations

import json
import os
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import tokentrail


def asked(*, endless: bool) -> dict[str, Any]:
    """Return what the model is asked; ``endless``: it goes on until the test ends it."""
    return {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hello, how are you?"}],
        "stream": True,
        "extra_headers": {"x-endless": "1"} if endless else {},
    }


def line(chunk: Any) -> str:
    """Return a line for the text of a chunk, if it has any."""
    text = chunk.choices[0].delta.content
    return f"{text}\n" if text else ""


class FileExporter(SpanExporter):
    """Writes a line for each span, whole, from whatever process."""

    def export(self, spans: Any) -> SpanExportResult:
        """Write the spans."""
        file = os.open(os.environ["SPANS_FILE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for span in spans:
            told = {
                "name": span.name,
                "kind": span.kind.name,
                "scope": span.instrumentation_scope.name,
                "id": span.context.span_id,
                "parent": span.parent.span_id if span.parent else None,
                "pid": os.getpid(),
                "attributes": dict(span.attributes or {}),
            }
            os.write(file, json.dumps(told, default=str).encode() + b"\n")
        os.close(file)
        return SpanExportResult.SUCCESS


def provider() -> TracerProvider:
    """Return a provider as in production: what ends is exported in batches."""
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(FileExporter(), schedule_delay_millis=500))
    return tracers


def stop(tracers: TracerProvider) -> None:
    """Tell all, also what is being cancelled: who is ended by a signal runs no exit hooks."""
    tokentrail.flush(end_open_calls=True)
    tracers.shutdown()
