"""Instruments as the table has them, with the conventions' advice on boundaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter, Histogram, Meter
    from opentelemetry.util.types import AttributeValue

    Record = Callable[[float, dict[str, AttributeValue], Context | None], None]

_BUCKETS: Final = {
    "s": semconv.SECONDS_BUCKETS,
    "{token}": semconv.TOKEN_BUCKETS,
    "1": semconv.RATIO_BUCKETS,
}
"""Boundaries by unit."""


def histogram(meter: Meter, name: str) -> Histogram:
    """Return the histogram of that name."""
    row = semconv.INSTRUMENTS[name]
    return meter.create_histogram(
        name, row.unit, row.description, explicit_bucket_boundaries_advisory=_BUCKETS[row.unit]
    )


def counter(meter: Meter, name: str) -> Counter:
    """Return the counter of that name."""
    row = semconv.INSTRUMENTS[name]
    return meter.create_counter(name, row.unit, row.description)
