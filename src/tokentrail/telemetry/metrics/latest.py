"""The metrics as the conventions name them since their first release, v0.1.0.

Inference and embeddings have metrics of their own; ``gen_ai.client.operation.duration`` is left
for all other operations.
Token counters are split by modality.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tokentrail.model.operations import EMBEDDINGS, INFERENCES
from tokentrail.model.records import Source
from tokentrail.telemetry import semconv
from tokentrail.telemetry.metrics.instruments import counter, histogram
from tokentrail.telemetry.metrics.modality import split
from tokentrail.telemetry.metrics.series import DURATION, TOKEN_TYPES

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter

    from tokentrail.model.records import Count, Operation, Request
    from tokentrail.telemetry.metrics.attributes import SeriesAttributes
    from tokentrail.telemetry.metrics.instruments import Record
    from tokentrail.telemetry.metrics.series import Attributes, MetricSeries


class LatestMetrics:
    """``gen_ai.client.inference.*``."""

    recorded_by_others = False
    """Whether calls that another instrumentation records as well are recorded twice."""

    def __init__(self, meter: Meter, *, alone: bool = True) -> None:
        """``alone``: no other vocabulary records the operations that are not inference."""
        self._duration = histogram(meter, semconv.INFERENCE_DURATION)
        self._embeddings = histogram(meter, semconv.EMBEDDINGS_DURATION)
        self._embedded = histogram(meter, semconv.EMBEDDINGS_TOKENS)
        self._other = histogram(meter, semconv.DURATION) if alone else None
        self._first_chunk = histogram(meter, semconv.INFERENCE_FIRST_CHUNK)
        self._gap = histogram(meter, semconv.INFERENCE_OUTPUT_CHUNK)
        self._counters = {
            kind: counter(meter, name) for kind, name in semconv.USAGE_COUNTERS.items()
        }
        self._histograms = {
            kind: histogram(meter, name) for kind, name in semconv.OPERATION_TOKENS.items()
        }

    def gap_recorder(self, request: Request) -> Record | None:
        """Return the histogram of the gaps between chunks, or ``None`` if this is not inference."""
        return self._gap.record if request.operation in INFERENCES else None

    def add_times(
        self, series: MetricSeries, operation: Operation, shared: SeriesAttributes
    ) -> None:
        """Add the histograms of the time to first chunk and of the duration."""
        if operation.request.operation in INFERENCES:
            series.first.append((self._first_chunk, shared.base))
            series.points.append((DURATION, self._duration, shared.timed))
        elif operation.request.operation == EMBEDDINGS.name:
            series.points.append((DURATION, self._embeddings, shared.timed))
        elif self._other is not None:
            series.points.append((DURATION, self._other, shared.timed))

    def add_tokens(
        self,
        series: MetricSeries,
        operation: Operation,
        place: int,
        count: Count,
        shared: SeriesAttributes,
    ) -> None:
        """Add the token metrics of one direction: counters by modality, a histogram of the total.

        The tokens of a failed operation are counted, but are not in the histogram.
        """
        if operation.request.operation in INFERENCES:
            bears = {**shared.refined, semconv.SOURCE: count.source.value}
            series.parts.append(partial(self._add_parts, place, bears))
            if operation.error_type is None:
                series.points.append((place, self._histograms[TOKEN_TYPES[place]], bears))
        elif operation.error_type is None and TOKEN_TYPES[place] == "input":
            bears = {**shared.base, semconv.SOURCE: count.source.value}
            series.points.append((place, self._embedded, bears))

    def _add_parts(
        self, place: int, attributes: Attributes, operation: Operation, context: Context
    ) -> None:
        usage, kind = operation.usage, TOKEN_TYPES[place]
        count = (usage.input, usage.output)[place]
        if count is not None:
            report = usage.reported if count.source is Source.REPORTED else None
            for modality, number in split(kind, count.tokens, report):
                self._counters[kind].add(
                    number, {**attributes, semconv.MODALITY: modality}, context
                )
