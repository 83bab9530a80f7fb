"""Points about the tools that a server runs itself: requests, and tokens billed apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.model.records import Source
from tokentrail.telemetry import semconv
from tokentrail.telemetry.metrics.totals import total

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter, MeterProvider

    from tokentrail.model.records import Operation, Reported
    from tokentrail.telemetry.metrics.attributes import MetricAttributes
    from tokentrail.telemetry.metrics.series import Attributes


class ToolMetrics:
    """Adds the tools that a call used to two counters; each has few series, as tools are few."""

    def __init__(self, provider: MeterProvider, meter: Meter, points: MetricAttributes) -> None:
        self._points = points
        self._requests = total(provider, meter, semconv.TOOL_REQUESTS)
        self._tokens = total(provider, meter, semconv.TOOL_TOKENS)

    def record(self, operation: Operation) -> None:
        """Record the tools of a call that ended."""
        for tool in operation.tools:
            attributes = self._points.with_value(operation, semconv.TOOL_NAME, tool.name)
            if tool.requests:
                self._requests.add(tool.requests, {**attributes, semconv.SOURCE: tool.source.value})
            if tool.tokens is not None:
                self._add_tokens(tool.tokens, {**attributes, semconv.SOURCE: Source.REPORTED.value})

    def _add_tokens(self, tokens: Reported, attributes: Attributes) -> None:
        for kind, number in (("input", tokens.input_tokens), ("output", tokens.output_tokens)):
            if number:
                self._tokens.add(number, {**attributes, semconv.TOKEN_TYPE: kind})
