"""What takes OTLP over HTTP as a Collector does, and keeps it in memory."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def plain(value: Any) -> Any:
    """Return an OTLP value as Python has it."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


def attributes(pairs: Any) -> dict[str, Any]:
    """Return OTLP attributes as a mapping."""
    return {pair.key: plain(pair.value) for pair in pairs}


class Collector:
    """Listens on a free port of 127.0.0.1 while it is entered."""

    def __init__(self) -> None:
        from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

        self._kinds = {
            "/v1/traces": trace_service_pb2.ExportTraceServiceRequest,
            "/v1/metrics": metrics_service_pb2.ExportMetricsServiceRequest,
        }
        self.received: list[Any] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                kind = outer._kinds.get(self.path)
                if kind is not None:
                    outer.received.append(kind.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Collector:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def spans(self) -> list[dict[str, Any]]:
        """Return the spans received, with the resource of each."""
        return list(self._spans())

    def _spans(self) -> Iterator[dict[str, Any]]:
        for request in list(self.received):
            for resource in getattr(request, "resource_spans", ()):
                about = attributes(resource.resource.attributes)
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        yield {
                            "name": span.name,
                            "id": span.span_id,
                            "parent": span.parent_span_id,
                            "resource": about,
                            "attributes": attributes(span.attributes),
                        }

    def latest(self, name: str) -> dict[tuple[str, str], list[Any]]:
        """Return the newest points of a cumulative metric, by the instance and run that sent it."""
        found = {}
        for request in list(self.received):
            for resource in getattr(request, "resource_metrics", ()):
                instance = attributes(resource.resource.attributes)["service.instance.id"]
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        if metric.name == name:
                            found[instance] = [
                                (attributes(p.attributes), p.as_int or p.as_double)
                                for p in metric.sum.data_points
                            ]
        return found

    def wait(self, found: Callable[[], Any], seconds: float = 30) -> Any:
        """Return what ``found`` returns, as soon as that is something."""
        until = time.monotonic() + seconds
        while not (result := found()):
            assert time.monotonic() < until, f"not received within {seconds} s: {self.spans()}"
            time.sleep(0.05)
        return result
