"""Records the metric points of a call: which metric names, instruments and numbers."""

from __future__ import annotations

from functools import partial
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeGuard

from opentelemetry.metrics import NoOpHistogram

from tokentrail.config import MetricNames, TokenCounting
from tokentrail.model.operations import BILLED, BILLED_AS, INFERENCES, WITH_TOKEN_METRICS
from tokentrail.model.records import Source
from tokentrail.telemetry import semconv
from tokentrail.telemetry.metrics import instruments
from tokentrail.telemetry.metrics.attributes import MetricAttributes
from tokentrail.telemetry.metrics.batching import PointBatch
from tokentrail.telemetry.metrics.exchanges import ExchangeMetrics
from tokentrail.telemetry.metrics.modality import reported_parts, split
from tokentrail.telemetry.metrics.released import ReleasedMetrics
from tokentrail.telemetry.metrics.series import INPUT, OUTPUT, TOKEN_TYPES, MetricSeries
from tokentrail.telemetry.metrics.totals import add, total
from tokentrail.telemetry.metrics.waste import waste_reason
from tokentrail.telemetry.spans import CONVENTIONAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider

    from tokentrail.config import Settings
    from tokentrail.model.records import Count, Explanation, Operation, Reported, Request, Usage
    from tokentrail.telemetry import explanation
    from tokentrail.telemetry.metrics import billed_parts, latest
    from tokentrail.telemetry.metrics.attributes import SeriesAttributes
    from tokentrail.telemetry.metrics.series import Attributes

    Vocabularies = tuple[ReleasedMetrics | latest.LatestMetrics, ...]
    """The names under which conventional metrics are recorded."""
else:
    from tokentrail.support.lazy import LateModule

    billed_parts = LateModule("telemetry.metrics.billed_parts")
    latest = LateModule("telemetry.metrics.latest")
    explanation = LateModule("telemetry.explanation")

COUNTED_BY_PART: Final = BILLED.keys() - WITH_TOKEN_METRICS
"""Operations with tokens in our own total only: reported ones, by what they cost."""
_AT_ONCE: Final = 16
"""How many gaps are recorded between pauses of the worker: a quarter of a millisecond."""


class Metrics:
    """Records the points of calls, in the enabled conventional metrics and in our own."""

    def __init__(self, provider: MeterProvider, meter: Meter, settings: Settings) -> None:
        self._points = MetricAttributes(
            settings.metric_attributes, settings.custom_metric_attributes
        )
        self.batch = PointBatch()
        """Points that wait for the worker."""
        self.only_reported = settings.token_counting is TokenCounting.SPANS_ONLY
        """Whether counted tokens are recorded only on spans."""
        self._vocabularies = _vocabularies(meter, settings.metric_names)
        self._not_recorded_by_others = tuple(
            v for v in self._vocabularies if not v.recorded_by_others
        )
        self._own = total(provider, meter, semconv.USAGE_TOKENS)
        self._input_parts = total(provider, meter, semconv.INPUT_PART_TOKENS)
        self._cache = total(provider, meter, semconv.CACHE_TOKENS)
        self._wasted = total(provider, meter, semconv.WASTE_TOKENS)
        self._ended = total(provider, meter, semconv.OPERATIONS)
        self._details = [
            (kind, field, instruments.counter(meter, name))
            for kind, field, name in semconv.DETAIL_COUNTERS
        ]
        self._numbers = attrgetter(*(field for _, field, _ in self._details))
        self._first_content = instruments.histogram(meter, semconv.FIRST_CONTENT)
        self._ratio = instruments.histogram(meter, semconv.COUNT_RATIO)
        self._compared = total(provider, meter, semconv.COMPARED_TOKENS)
        self._transcribed_tokens = instruments.counter(meter, semconv.TRANSCRIPTION_TOKENS)
        self._transcribed_time = instruments.counter(meter, semconv.TRANSCRIPTION_TIME)
        self._exchanges = ExchangeMetrics(provider, meter, self._points)
        # A derived class may record.
        self.is_observed = type(self._ratio) is not NoOpHistogram
        """Whether the meter provider keeps points, as far as can be seen."""

    @property
    def has_more(self) -> bool:
        """Whether there are conventional metrics that no other instrumentation records."""
        return bool(self._not_recorded_by_others)

    def gaps(
        self,
        gaps: Iterator[float],
        request: Request,
        model: str | None,
        context: Context,
        *,
        joined: bool = False,
    ) -> Iterator[None]:
        """Record each gap between chunks, in seconds; yield after every few.

        The longest of these few is recorded in ``context``, so that it gets an exemplar: exemplars
        are useful for streams that hang, and one for every gap costs a fifth more. ``joined``: see
        :meth:`finish_own`.
        """
        attributes = self._points.base(request, model)
        while few := tuple(islice(gaps, _AT_ONCE)):
            longest = max(few)
            for vocabulary in self._vocabularies:
                if joined and vocabulary.recorded_by_others:
                    continue
                record = vocabulary.gap_recorder(request)
                if record is not None:
                    for gap in few:
                        record(gap, attributes, context if gap is longest else None)
            yield

    def record(self, operation: Operation, context: Context) -> None:
        """Record the points of an ended call; :attr:`batch` calls this a little later."""
        self._record(operation, self._vocabularies, context)
        self._record_explanation(operation, operation.explanation)

    def finish_own(self, operation: Operation, context: Context, *, joined: bool) -> None:
        """Record our own points of a call that another instrumentation also records.

        ``joined``: it records the released metrics from what we know. It has no other conventional
        metrics, so the enabled ones of the others are recorded here.
        """
        wanted = joined and operation.request.operation in INFERENCES
        self._record(operation, self._not_recorded_by_others if wanted else None, context)
        self._record_explanation(operation, operation.explanation)

    def record_transcription(self, request: Request, used: Reported) -> None:
        """Record the usage of a session's input transcription; ``request`` names the model."""
        attributes = self._points.base(request, None)
        for kind, number in (("input", used.input_tokens), ("output", used.output_tokens)):
            for modality, part in split(kind, number, used) if number else ():
                labels = {semconv.TOKEN_TYPE: kind, semconv.MODALITY: modality}
                self._transcribed_tokens.add(part, {**attributes, **labels})
        if used.audio_seconds:
            self._transcribed_time.add(used.audio_seconds, attributes)

    def asked(self, request: Request) -> Attributes:
        """Return the application's own attributes of the points of ``request``."""
        return self._points.asked(request)

    def compare(self, usage: Usage, request: Request, model: str | None, context: Context) -> None:
        """Record how counts compare with the reports of the same call."""
        self._record_comparison(usage, self._points.base(request, model), context)

    def _record(
        self, operation: Operation, vocabularies: Vocabularies | None, context: Context
    ) -> None:
        """Record a call in our own metrics, and in the given conventional ones, if any."""
        usage, shared = operation.usage, self._points.of_series(operation)
        given, made = usage.input, usage.output
        waste = waste_reason(operation)
        sources = given and given.source, made and made.source
        key = (vocabularies, operation.outcome, waste, sources)
        series = shared.series.get(key)
        if series is None:
            series = shared.series[key] = self._series_of(operation, vocabularies, shared)
            self._begin(series, operation, shared, context)
        read = 0 if given is None else given.tokens
        written = 0 if made is None else made.tokens
        add(series.sums, read, written, series.wasted)
        self._exchanges.record(operation, series)
        if usage.counted_input is not None or usage.counted_output is not None:
            self._record_comparison(usage, shared.base, context)
        if series.details and usage.reported is not None and any(self._numbers(usage.reported)):
            self._record_details(usage, usage.reported, shared, context)
        if operation.first_chunk is not None:
            for histogram, attributes in series.first:
                histogram.record(operation.first_chunk, attributes, context)
        if operation.first_content is not None:
            self._first_content.record(operation.first_content, shared.base, context)
        numbers = (read, written, operation.duration)
        for place, histogram, attributes in series.points:
            histogram.record(numbers[place], attributes, context)
        for record in series.parts:
            record(operation, context)

    def _series_of(
        self, operation: Operation, vocabularies: Vocabularies | None, shared: SeriesAttributes
    ) -> MetricSeries:
        """Return the series of calls like this one."""
        points, usage, name = self._points, operation.usage, operation.request.operation
        series = MetricSeries(self._ended.sum(points.own_attributes(operation)))
        series.details = vocabularies is not None and name in WITH_TOKEN_METRICS
        for place, count in ((INPUT, usage.input), (OUTPUT, usage.output)):
            if count is None or (self.only_reported and not _is_reported(count)):
                continue
            kind = TOKEN_TYPES[place]
            if name in COUNTED_BY_PART and _is_reported(count):
                own = points.billed_tokens(operation, kind, count, shared)
                series.parts.append(partial(self._add_billed_parts, place, own))
            else:
                series.sums[1 + place] = self._own.sum(points.own_tokens(operation, kind, count))
            if series.details and count.source in CONVENTIONAL:
                for vocabulary in vocabularies or ():
                    vocabulary.add_tokens(series, operation, place, count, shared)
        for vocabulary in vocabularies or ():
            vocabulary.add_times(series, operation, shared)
        if BILLED_AS.get(name) == "transcript":
            series.parts.append(partial(self._add_seconds, shared.base))
        return series

    def _add_seconds(self, attributes: Attributes, operation: Operation, context: Context) -> None:
        """Add the length of what was transcribed, where that is reported and not its tokens."""
        reported = operation.usage.reported
        if reported is not None and reported.audio_seconds:
            self._transcribed_time.add(reported.audio_seconds, attributes, context)

    def _add_billed_parts(
        self, place: int, attributes: Attributes, operation: Operation, _context: Context
    ) -> None:
        """Add the tokens of one direction to our own total, by the price that they have."""
        usage, name = operation.usage, operation.request.operation
        count, reported = (usage.input, usage.output)[place], usage.reported
        if count is not None and reported is not None:
            parts = billed_parts.billed_parts(name, TOKEN_TYPES[place], count.tokens, reported)
            for number, labels in parts:
                self._own.add(number, {**attributes, **labels})

    def _add_waste(self, series: MetricSeries, operation: Operation, reason: str) -> None:
        """Add to ``series`` the totals that record its tokens as waste."""
        points, usage = self._points, operation.usage
        series.wasted = [[0], [0]]
        for place, count in ((INPUT, usage.input), (OUTPUT, usage.output)):
            if count is None or (self.only_reported and not _is_reported(count)):
                continue
            attributes = points.own_tokens(operation, TOKEN_TYPES[place], count)
            del attributes[semconv.OUTCOME]  # the reason is more precise
            attributes[semconv.WASTE_REASON] = reason
            series.wasted[place] = self._wasted.sum(attributes)

    def _record_explanation(self, operation: Operation, explained: Explanation | None) -> None:
        """Record the parts of the input, and what the prompt cache served of it."""
        if explained is None or (self.only_reported and not _is_reported(operation.usage.input)):
            return
        own = self._points.own_attributes(operation)
        del own[semconv.OUTCOME]
        for tokens, attributes in explanation.points_of_parts(explained):
            self._input_parts.add(tokens, {**own, **attributes})
        for tokens, attributes in explanation.points_of_cache(explained):
            bounded = self._points.bounded(semconv.MISS_REASON, attributes)
            self._cache.add(tokens, {**own, **bounded})

    def _record_details(
        self, usage: Usage, reported: Reported, shared: SeriesAttributes, context: Context
    ) -> None:
        """Record the parts of reported totals; other totals have no parts."""
        for kind, field, counter in self._details:
            number = getattr(reported, field)
            if number and _is_reported(usage.input if kind == "input" else usage.output):
                for modality, part in split(field, number, reported):
                    counter.add(part, {**shared.refined, semconv.MODALITY: modality}, context)

    def _begin(
        self,
        series: MetricSeries,
        operation: Operation,
        shared: SeriesAttributes,
        context: Context,
    ) -> None:
        """Start rarely recorded counters at the first of similar calls."""
        waste, usage = waste_reason(operation), operation.usage
        if waste is not None:
            self._add_waste(series, operation, waste)
        if series.details and usage.reported is not None:
            self._begin_details(usage, usage.reported, shared, context)

    def _begin_details(
        self, usage: Usage, reported: Reported, shared: SeriesAttributes, context: Context
    ) -> None:
        """Record the first 0 of a part: without it a rate misses the first cache hit."""
        for kind, field, counter in self._details:
            is_reported = _is_reported(usage.input if kind == "input" else usage.output)
            if is_reported and getattr(reported, field) == 0:
                for modality in reported_parts(field, reported):
                    counter.add(0, {**shared.refined, semconv.MODALITY: modality}, context)

    def _record_comparison(self, usage: Usage, base: Attributes, context: Context) -> None:
        for kind, counted, reported in _compared(usage):
            attributes = {**base, semconv.TOKEN_TYPE: kind}
            self._ratio.record(counted.tokens / reported.tokens, attributes, context)
            for count in (counted, reported):
                source = {semconv.SOURCE: count.source.value}
                self._compared.add(count.tokens, {**attributes, **source})


def _vocabularies(meter: Meter, wanted: MetricNames) -> Vocabularies:
    if wanted is MetricNames.RELEASED:
        return (ReleasedMetrics(meter),)
    if wanted is MetricNames.LATEST:
        return (latest.LatestMetrics(meter),)
    return (ReleasedMetrics(meter), latest.LatestMetrics(meter, alone=False))


def _compared(usage: Usage) -> Iterator[tuple[str, Count, Count]]:
    """Yield each token type that was both counted and reported, with both counts."""
    for kind, counted, reported in (
        ("input", usage.counted_input, usage.input),
        ("output", usage.counted_output, usage.output),
    ):
        if counted is not None and _is_reported(reported) and reported.tokens > 0:
            yield kind, counted, reported


def _is_reported(count: Count | None) -> TypeGuard[Count]:
    return count is not None and count.source is Source.REPORTED
