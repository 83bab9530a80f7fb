"""Points about the tools that a server runs itself: requests, and tokens billed apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.model.records import Source
from tokentrail.telemetry import semconv
from tokentrail.telemetry.metrics.modality import UNKNOWN
from tokentrail.telemetry.metrics.totals import total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.metrics import Meter, MeterProvider

    from tokentrail.cost import parts as cost_parts
    from tokentrail.model.records import Operation, Reported
    from tokentrail.telemetry.metrics.attributes import MetricAttributes
    from tokentrail.telemetry.metrics.series import Attributes
else:
    from tokentrail.support.lazy import LateModule

    cost_parts = LateModule("cost.parts")

_CACHED: Final = {semconv.CACHE_STATE: "read"}
_TEXT, _IMAGE = {semconv.MODALITY: "text"}, {semconv.MODALITY: "image"}
_READ, _WRITTEN = {semconv.TOKEN_TYPE: "input"}, {semconv.TOKEN_TYPE: "output"}
IMAGE_LABELS: Final[dict[str, dict[str, str]]] = {
    "input": {**_READ, **_TEXT},
    "cache_read": {**_READ, **_TEXT, **_CACHED},
    "image_input": {**_READ, **_IMAGE},
    "image_cache_read": {**_READ, **_IMAGE, **_CACHED},
    "output": {**_WRITTEN, **_TEXT},
    "image_output": {**_WRITTEN, **_IMAGE},
}
"""What the points have of tokens of images, by the price of those tokens."""


class ToolMetrics:
    """Adds the tools that a call used to two counters; each has few series, as tools are few."""

    def __init__(self, provider: MeterProvider, meter: Meter, points: MetricAttributes) -> None:
        self._points = points
        self._requests = total(provider, meter, semconv.TOOL_REQUESTS)
        self._tokens = total(provider, meter, semconv.TOOL_TOKENS)

    def record(self, operation: Operation) -> None:
        """Record the tools of a call that ended."""
        points = self._points
        for tool in operation.tools:
            attributes = points.with_value(operation, semconv.TOOL_NAME, tool.name)
            if tool.requests:
                # searches are billed by the model that answers
                answered = points.with_response_model(operation, attributes)
                source = {semconv.SOURCE: tool.source.value}
                self._requests.add(tool.requests, {**answered, **source})
            if tool.tokens is not None:
                model: Attributes = {} if tool.model is None else {semconv.TOOL_MODEL: tool.model}
                attributes |= points.bounded(semconv.TOOL_MODEL, model)
                attributes[semconv.SOURCE] = Source.REPORTED.value
                for number, part in image_points(tool.tokens):
                    self._tokens.add(number, {**attributes, **part})


def image_points(tokens: Reported) -> Iterator[tuple[int, Attributes]]:
    """Yield the tokens of images by what they cost, as far as that is known."""
    parts = cost_parts.image_parts(tokens)
    if parts is not None:
        for name, number in parts.items():
            yield number, dict(IMAGE_LABELS[name])
        return
    for kind, whole in (("input", tokens.input_tokens), ("output", tokens.output_tokens)):
        if whole:
            yield whole, {semconv.TOKEN_TYPE: kind, semconv.MODALITY: UNKNOWN}
