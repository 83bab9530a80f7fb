"""Points about the HTTP exchanges of a call: retries, rate limits, finish reasons.

Recorded with the other points of a call, after it ended.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import Observation

from tokentrail.model.records import COMPLETED
from tokentrail.telemetry import semconv
from tokentrail.telemetry.metrics.tools import ToolMetrics
from tokentrail.telemetry.metrics.totals import increase, total

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider

    from tokentrail.model.records import Operation, Request
    from tokentrail.telemetry.metrics.attributes import MetricAttributes
    from tokentrail.telemetry.metrics.series import Attributes, MetricSeries
    from tokentrail.telemetry.metrics.totals import Sum

STALE: Final = 300.0
"""Seconds after which a rate limit is not observed any more: limits are per minute, and a process
that makes no calls has all of them left."""
PAUSE: Final = 1.0
"""Seconds before headers are read again: reading them costs as much as recording a histogram."""
MAX_LIMITS: Final = 512
"""Kinds of calls with limits of their own."""
_HEADERS: Final = (
    ("requests", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
    ("tokens", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"),
)
_DIGITS: Final = 15
"""A text with more is not taken as a number."""

_Key = tuple[tuple[str, object], ...]


class Latest:
    """The last value for each set of attributes, until it is stale."""

    def __init__(self) -> None:
        self._values: dict[_Key, tuple[int, float]] = {}

    def set(self, number: int, attributes: Attributes) -> None:
        """Have this value observed from now on."""
        key = tuple(attributes.items())
        if key in self._values or len(self._values) < MAX_LIMITS:
            self._values[key] = (number, time.monotonic())

    def observe(self, options: CallbackOptions) -> Iterable[Observation]:
        """Return every value that is not stale."""
        del options
        fresh = time.monotonic() - STALE
        return [
            Observation(number, dict(key))  # type: ignore[arg-type]
            for key, (number, at) in tuple(self._values.items())
            if at > fresh
        ]


_latest: weakref.WeakKeyDictionary[MeterProvider, dict[str, Latest]] = weakref.WeakKeyDictionary()


def latest(provider: MeterProvider, meter: Meter, name: str) -> Latest:
    """Return the values of the gauge of that name; each ``provider`` has one."""
    mine = _latest.setdefault(provider, {})
    if name not in mine:
        mine[name] = Latest()
        row = semconv.INSTRUMENTS[name]
        meter.create_observable_gauge(name, [mine[name].observe], row.unit, row.description)
    return mine[name]


class ExchangeMetrics:
    """Records retries, limits and finish reasons of calls."""

    def __init__(self, provider: MeterProvider, meter: Meter, points: MetricAttributes) -> None:
        self._points = points
        self._tools = ToolMetrics(provider, meter, points)
        self._retries = total(provider, meter, semconv.RETRIES)
        self._choices = total(provider, meter, semconv.FINISHED_CHOICES)
        self._limit = latest(provider, meter, semconv.RATE_LIMIT_LIMIT)
        self._remaining = latest(provider, meter, semconv.RATE_LIMIT_REMAINING)
        self._read_at: dict[tuple[str, str | None], float] = {}

    def record(self, operation: Operation, series: MetricSeries) -> None:
        """Record the points of a call that ended; ``series`` are those of calls like it."""
        if operation.tools:
            self._tools.record(operation)
        for cause in operation.retries:
            self._retries.add(1, self._points.with_value(operation, semconv.ERROR_TYPE, cause))
        response = operation.response
        # where a call did not complete the conventions use "error"; that is no reason of a model
        if operation.outcome is COMPLETED and response and response.finish_reasons:
            for choices in self._sums_of_choices(operation, response.finish_reasons, series):
                increase(choices)
        if operation.headers is not None and self._is_due(operation.request):
            for kind, limit, remaining in _limits(operation.headers):
                attributes = self._points.of_account(operation, kind)
                self._limit.set(limit, attributes)
                self._remaining.set(remaining, attributes)

    def _sums_of_choices(
        self, operation: Operation, reasons: tuple[str, ...], series: MetricSeries
    ) -> tuple[Sum, ...]:
        """Return the sum of each choice; looked up once for calls that end alike."""
        found = series.choices.get(reasons)
        if found is None:
            points, name = self._points, semconv.FINISH_REASON
            made = [self._choices.sum(points.with_value(operation, name, r)) for r in reasons]
            found = series.choices.keep(reasons, tuple(made))
        return found

    def _is_due(self, request: Request) -> bool:
        """Whether the limits of such calls are due to be read again."""
        key, now = (request.endpoint.provider, request.model), time.monotonic()
        if now - self._read_at.get(key, 0.0) < PAUSE:
            return False
        if len(self._read_at) >= MAX_LIMITS:
            self._read_at.clear()
        self._read_at[key] = now
        return True


def _limits(headers: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
    """Yield each limit in the headers of an answer, and what is left of it."""
    for kind, limit, remaining in _HEADERS:
        both = headers.get(limit, ""), headers.get(remaining, "")
        if (
            all(number.isdecimal() and len(number) <= _DIGITS for number in both)
            and int(both[0]) > 0
        ):
            yield kind, int(both[0]), int(both[1])
