"""Asks a Jaeger for spans: by /api/traces or, where that is gone, by /api/v3/traces."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from tools.stack.programs import open_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST = 20_000
"""Traces asked for: more than there are."""


@dataclass(frozen=True)
class Span:
    """A span as Jaeger has it."""

    trace: str
    id: str
    parent: str | None
    name: str
    attributes: Mapping[str, Any]


class Jaeger:
    """A server at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: object) -> Any:
        """Return an answer's JSON."""
        query = urlencode({name.replace("__", "."): value for name, value in parameters.items()})
        with open_url(f"{self.url}/api/{path}?{query}", timeout=60) as said:
            return json.load(said)

    def spans(self, service: str, tags: Mapping[str, str] | None = None) -> list[Span]:
        """Return the spans of all traces in which a span of the service has these attributes."""
        try:
            return self.spans_by_v1(service, tags)
        except HTTPError as error:
            if error.code != 404:  # what Jaeger's main has answered since August 2026
                raise
        return self.spans_by_v3(service, tags)

    def spans_by_v1(self, service: str, tags: Mapping[str, str] | None = None) -> list[Span]:
        """Return them as the API of Jaeger's own page has them."""
        asked = {"tags": json.dumps(tags)} if tags else {}
        traces = self.ask("traces", service=service, limit=MOST, **asked)["data"]
        return [_span(each) for trace in traces for each in trace["spans"]]

    def spans_by_v3(self, service: str, tags: Mapping[str, str] | None = None) -> list[Span]:
        """Return them as OTLP has them; what is not searched for there is sorted out here."""
        begin, end = (
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + shift))
            for shift in (-3600, 60)
        )
        window = {"query__start_time_min": begin, "query__start_time_max": end}
        named = {"query__service_name": service, "query__num_traces": MOST}
        try:
            found = list(_otlp_spans(self.ask("v3/traces", **window, **named)))
        except HTTPError as error:
            if error.code != 404:  # there are none
                raise
            return []
        wanted = (tags or {}).items()
        traces = {span.trace for span in found if wanted <= span.attributes.items()}
        return [span for span in found if span.trace in traces]


def _span(said: dict[str, Any]) -> Span:
    parent = next((each["spanID"] for each in said["references"]), None)
    attributes = {tag["key"]: tag["value"] for tag in said["tags"]}
    return Span(said["traceID"], said["spanID"], parent, said["operationName"], attributes)


def _otlp_spans(said: dict[str, Any]) -> Iterator[Span]:
    for resource in said["result"]["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for each in scope["spans"]:
                attributes = {a["key"]: _value(a["value"]) for a in each.get("attributes", ())}
                parent = each.get("parentSpanId") or None
                yield Span(each["traceId"], each["spanId"], parent, each["name"], attributes)


def _value(said: dict[str, Any]) -> Any:
    ((kind, value),) = said.items()
    if kind == "arrayValue":
        return [_value(each) for each in value.get("values", ())]
    return int(value) if kind == "intValue" else value  # JSON has no 64 bits
