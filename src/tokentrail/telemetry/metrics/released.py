"""The metrics as the released conventions name them, and as dashboards know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.telemetry import semconv
from tokentrail.telemetry.metrics.instruments import histogram
from tokentrail.telemetry.metrics.series import DURATION, TOKEN_TYPES

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from tokentrail.model.records import Count, Operation, Request
    from tokentrail.telemetry.metrics.attributes import SeriesAttributes
    from tokentrail.telemetry.metrics.instruments import Record
    from tokentrail.telemetry.metrics.series import MetricSeries


class ReleasedMetrics:
    """``gen_ai.client.operation.*`` and ``gen_ai.client.token.usage``."""

    recorded_by_others = True
    """Whether calls that another instrumentation records as well are recorded twice."""

    def __init__(self, meter: Meter) -> None:
        self._duration = histogram(meter, semconv.DURATION)
        self._first_chunk = histogram(meter, semconv.FIRST_CHUNK)
        self._gap = histogram(meter, semconv.OUTPUT_CHUNK)
        self._tokens = histogram(meter, semconv.TOKEN_USAGE)

    def gap_recorder(self, request: Request) -> Record | None:
        """Return the histogram of the gaps between chunks."""
        return self._gap.record

    def add_times(
        self,
        series: MetricSeries,
        operation: Operation,
        shared: SeriesAttributes,
    ) -> None:
        """Add the histograms of the time to first chunk and of the duration."""
        series.first.append((self._first_chunk, shared.base))
        series.points.append((DURATION, self._duration, shared.timed))

    def add_tokens(
        self,
        series: MetricSeries,
        operation: Operation,
        place: int,
        count: Count,
        shared: SeriesAttributes,
    ) -> None:
        """Add the token histogram of one direction, reported or counted."""
        source = {semconv.TOKEN_TYPE: TOKEN_TYPES[place], semconv.SOURCE: count.source.value}
        series.points.append((place, self._tokens, {**shared.refined, **source}))
