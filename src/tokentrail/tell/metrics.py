"""A call told as metric points: which vocabularies, which instruments, which numbers."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, TypeGuard

from opentelemetry.metrics import NoOpHistogram

from tokentrail.config import MetricNames, TokenCounting
from tokentrail.operation import Source
from tokentrail.tell import names
from tokentrail.tell.latest import INFERENCES, LatestMetrics
from tokentrail.tell.modality import split
from tokentrail.tell.points import Points
from tokentrail.tell.released import ReleasedMetrics
from tokentrail.tell.spans import CONVENTIONAL
from tokentrail.tell.totals import add, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter, MeterProvider

    from tokentrail.config import Settings
    from tokentrail.operation import Count, Operation, Reported, Request, Usage
    from tokentrail.tell.points import Alike, Attributes
    from tokentrail.tell.totals import Sum

    Vocabulary = ReleasedMetrics | LatestMetrics


_AT_ONCE: Final = 16
"""Gaps recorded before the worker may breathe: a quarter of a millisecond."""


class Metrics:
    """Records the points of calls in the vocabularies that are wanted, and in our own."""

    def __init__(self, provider: MeterProvider, meter: Meter, settings: Settings) -> None:
        self._points = Points(settings.metric_attributes, settings.attributes_on_metrics)
        self.only_reported = settings.token_counting is TokenCounting.SPAN
        """Counted tokens are for spans alone."""
        self._vocabularies = _vocabularies(meter, settings.metrics)
        self._own = total(
            provider, meter, names.OWN_TOKENS, "{token}", "Tokens by where the number comes from."
        )
        self._ended = total(
            provider, meter, names.OWN_ENDED, "{call}", "Calls that ended, by how they did."
        )
        self._details = [
            (kind, field, meter.create_counter(name, "{token}", about))
            for kind, field, name, about in names.DETAIL_COUNTERS
        ]
        self._ratio = meter.create_histogram(
            names.OWN_RATIO,
            "1",
            "Counted tokens over reported tokens of the same call.",
            explicit_bucket_boundaries_advisory=names.RATIO_BUCKETS,
        )

    @property
    def heard(self) -> bool:
        """Whether points are kept by anybody, as far as one can know."""
        return type(self._ratio) is not NoOpHistogram  # a class made of it may do something

    @property
    def tells_more(self) -> bool:
        """Whether there are conventional metrics that no other instrumentation has."""
        return any(not told.told_by_others for told in self._vocabularies)

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

        Of these the longest is recorded in ``context``: an exemplar of a stream that hangs is what
        one wants to see, and one of every gap costs a fifth more. ``joined``: as in
        :meth:`finish_own`.
        """
        attributes = self._points.base(request, model)
        while few := tuple(islice(gaps, _AT_ONCE)):
            longest = max(few)
            for vocabulary in self._vocabularies:
                if joined and vocabulary.told_by_others:
                    continue
                record = vocabulary.gap_recorder(request)
                if record is not None:
                    for gap in few:
                        record(gap, attributes, context if gap is longest else None)
            yield

    def finish(self, operation: Operation, context: Context) -> None:
        """Record the points of a call that ended."""
        alike = self._points.alike(operation)
        counts = self._record_own(operation, alike, context)
        self._record_conventional(operation, counts, self._vocabularies, alike, context)

    def finish_own(self, operation: Operation, context: Context, *, joined: bool) -> None:
        """Record our own points of a call that another instrumentation tells as well.

        ``joined``: it tells the released metrics from what we know. Of the conventional ones it has
        no others, so those that are wanted are recorded here.
        """
        alike = self._points.alike(operation)
        counts = self._record_own(operation, alike, context)
        if joined and operation.request.operation in INFERENCES:
            others = [told for told in self._vocabularies if not told.told_by_others]
            self._record_conventional(operation, counts, others, alike, context)

    def asked(self, request: Request) -> Attributes:
        """Return the application's own attributes that points of ``request`` bear."""
        return self._points.asked(request)

    def compare(self, usage: Usage, request: Request, model: str | None, context: Context) -> None:
        """Record how counts compare with the reports they stand beside."""
        self._record_ratios(usage, self._points.base(request, model), context)

    def _record_own(
        self, operation: Operation, alike: Alike, context: Context
    ) -> list[tuple[str, Count]]:
        """Count the call and its tokens; return the tokens that metrics tell, by direction."""
        usage = operation.usage
        counts = [
            (kind, count)
            for kind, count in (("input", usage.input), ("output", usage.output))
            if count is not None and (not self.only_reported or _is_reported(count))
        ]
        key = (operation.ending, *[(kind, count.source) for kind, count in counts])
        sums = alike.sums.get(key)
        if sums is None:
            sums = alike.sums[key] = self._sums(operation, counts)
        add((1, *[count.tokens for _, count in counts]), sums)
        if usage.counted_input is not None or usage.counted_output is not None:
            self._record_ratios(usage, alike.base, context)
        return counts

    def _sums(self, operation: Operation, counts: list[tuple[str, Count]]) -> list[Sum]:
        """Return where calls like this one, and their tokens of each direction, are counted."""
        points = self._points
        tokens = [self._own.sum(points.own_tokens(operation, *count)) for count in counts]
        return [self._ended.sum(points.own(operation)), *tokens]

    def _record_conventional(
        self,
        operation: Operation,
        counts: list[tuple[str, Count]],
        vocabularies: Sequence[Vocabulary],
        alike: Alike,
        context: Context,
    ) -> None:
        if operation.request.operation in names.COUNTED_OPERATIONS:
            for kind, count in counts:
                if count.source in CONVENTIONAL:
                    for vocabulary in vocabularies:
                        vocabulary.used(operation, kind, count, alike, context)
            if operation.usage.reported is not None:
                self._record_details(operation.usage, operation.usage.reported, alike, context)
        for vocabulary in vocabularies:
            if operation.timing.first_chunk is not None:
                vocabulary.first_chunk(operation, alike, context)
            vocabulary.duration(operation, alike, context)

    def _record_details(
        self, usage: Usage, reported: Reported, alike: Alike, context: Context
    ) -> None:
        """Record the parts of reported totals; of any other total they are no parts."""
        for kind, field, counter in self._details:
            number = getattr(reported, field)
            if number and _is_reported(usage.input if kind == "input" else usage.output):
                for modality, part in split(field, number, reported):
                    counter.add(part, {**alike.refined, names.MODALITY: modality}, context)

    def _record_ratios(self, usage: Usage, base: Attributes, context: Context) -> None:
        for kind, ratio in _ratios(usage):
            self._ratio.record(ratio, {**base, names.TOKEN_TYPE: kind}, context)


def _vocabularies(meter: Meter, wanted: MetricNames) -> tuple[Vocabulary, ...]:
    if wanted is MetricNames.RELEASED:
        return (ReleasedMetrics(meter),)
    if wanted is MetricNames.LATEST:
        return (LatestMetrics(meter),)
    return (ReleasedMetrics(meter), LatestMetrics(meter, alone=False))


def _ratios(usage: Usage) -> Iterator[tuple[str, float]]:
    for kind, counted, told in (
        ("input", usage.counted_input, usage.input),
        ("output", usage.counted_output, usage.output),
    ):
        if counted is not None and _is_reported(told) and told.tokens > 0:
            yield kind, counted.tokens / told.tokens


def _is_reported(count: Count | None) -> TypeGuard[Count]:
    return count is not None and count.source is Source.REPORTED
