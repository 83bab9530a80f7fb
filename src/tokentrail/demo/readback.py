"""Exported spans and metrics, read back into plain records.

Every number that the demonstration prints comes from here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics.export import HistogramDataPoint, MetricsData, NumberDataPoint

from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

SOURCES = ("reported", "counted", "calibrated", "visible", "approximated")


@dataclass(frozen=True, slots=True)
class Tokens:
    """A number of tokens and its source."""

    number: int
    source: str


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call, as on its span; times in seconds."""

    scene: str
    model: str
    response_model: str | None
    outcome: str | None
    error_type: str | None
    duration: float
    first_chunk: float | None
    input: Tokens | None
    output: Tokens | None
    encoding: str | None
    cost: float | None
    """In USD."""


@dataclass(frozen=True, slots=True)
class Times:
    """A histogram of seconds, all of its points together."""

    name: str
    count: int
    half_within: float
    """The median: the bound of its bucket, or the maximum."""
    longest: float


@dataclass(frozen=True, slots=True)
class TokenSum:
    """Tokens of one metric with the same attributes."""

    name: str
    kind: str
    source: str
    outcome: str | None
    tokens: int


def calls(spans: Sequence[ReadableSpan]) -> list[RecordedCall]:
    """Return the calls among the exported spans, by start time.

    A call's scene is the name of its parent span; one whose parent is not exported yet is left
    out.
    """
    parents = {span.context.span_id: span.name for span in spans if span.context is not None}
    found = [
        (span.start_time or 0, _call(span, parents[span.parent.span_id]))
        for span in spans
        if semconv.OPERATION_NAME in (span.attributes or {})
        and span.parent is not None
        and span.parent.span_id in parents
    ]
    return [call for _, call in sorted(found, key=lambda pair: pair[0])]


def times(data: MetricsData | None) -> list[Times]:
    """Return the histograms of seconds that have points."""
    found = []
    for name, unit, points in _metrics(data):
        histograms = [point for point in points if isinstance(point, HistogramDataPoint)]
        if unit == "s" and histograms:
            found.append(_times(name, histograms))
    return found


def token_sums(data: MetricsData | None) -> list[TokenSum]:
    """Return the token sums of histograms and counters, without those of parts."""
    found = []
    for name, unit, points in _metrics(data):
        for point in points if unit == "{token}" else ():
            attributes = point.attributes or {}
            if semconv.TOKEN_TYPE not in attributes or semconv.WASTE_REASON in attributes:
                continue
            value = point.sum if isinstance(point, HistogramDataPoint) else point.value
            outcome = attributes.get(semconv.OUTCOME)
            found.append(
                TokenSum(
                    name=name,
                    kind=str(attributes[semconv.TOKEN_TYPE]),
                    source=str(attributes[semconv.SOURCE]),
                    outcome=str(outcome) if outcome is not None else None,
                    tokens=int(value),
                )
            )
    return found


def totals(data: MetricsData | None) -> dict[tuple[str, str], int]:
    """Return the tokens of our own counter, by source and direction."""
    found: Counter[tuple[str, str]] = Counter()
    for part in token_sums(data):
        if part.name == semconv.USAGE_TOKENS:
            found[part.source, part.kind] += part.tokens
    return dict(found)


def outcomes(data: MetricsData | None) -> dict[str, int]:
    """Return how many calls ended, by outcome."""
    found: Counter[str] = Counter()
    for name, _, points in _metrics(data):
        for point in points if name == semconv.OPERATIONS else ():
            if isinstance(point, NumberDataPoint):
                found[str((point.attributes or {})[semconv.OUTCOME])] += int(point.value)
    return dict(found)


def _call(span: ReadableSpan, scene: str) -> RecordedCall:
    read = span.attributes or {}
    first_chunk = read.get(semconv.TIME_TO_FIRST_CHUNK)
    return RecordedCall(
        scene=scene,
        model=_text(read.get(semconv.REQUEST_MODEL)) or "",
        response_model=_text(read.get(semconv.RESPONSE_MODEL)),
        outcome=_text(read.get(semconv.OUTCOME)),
        error_type=_text(read.get(semconv.ERROR_TYPE)),
        duration=((span.end_time or 0) - (span.start_time or 0)) / 1e9,
        first_chunk=first_chunk if isinstance(first_chunk, float) else None,
        input=_tokens(read, semconv.INPUT_SOURCE, semconv.INPUT_TOKENS, semconv.APPROXIMATED_INPUT),
        output=_tokens(
            read,
            semconv.OUTPUT_SOURCE,
            semconv.OUTPUT_TOKENS,
            semconv.VISIBLE_OUTPUT,
            semconv.APPROXIMATED_OUTPUT,
        ),
        encoding=_text(read.get(semconv.ENCODING)),
        cost=cost if isinstance(cost := read.get(semconv.COST_AMOUNT), float) else None,
    )


def _tokens(read: Mapping[str, object], source: str, *numbers: str) -> Tokens | None:
    number = next((read[name] for name in numbers if name in read), None)
    if not isinstance(number, int):
        return None
    return Tokens(number, str(read.get(source)))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _metrics(
    data: MetricsData | None,
) -> Iterator[tuple[str, str | None, Sequence[HistogramDataPoint | NumberDataPoint]]]:
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points = [
                    point
                    for point in metric.data.data_points
                    if isinstance(point, (HistogramDataPoint, NumberDataPoint))
                ]
                yield metric.name, metric.unit, points


def _times(name: str, points: Iterable[HistogramDataPoint]) -> Times:
    points = list(points)
    buckets = [sum(counts) for counts in zip(*(p.bucket_counts for p in points), strict=True)]
    count, longest = sum(buckets), max(point.max for point in points)
    ranks = accumulate(buckets)
    within = (
        bound
        for bound, rank in zip(points[0].explicit_bounds, ranks, strict=False)
        if 2 * rank >= count
    )
    return Times(name, count, min(next(within, longest), longest), longest)
