"""Instruments with the conventions' advice on boundaries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, Meter
    from opentelemetry.util.types import AttributeValue

    Record = Callable[[float, dict[str, AttributeValue], Context | None], None]


def seconds(meter: Meter, name: str, about: str) -> Histogram:
    """Return a histogram of seconds."""
    return meter.create_histogram(
        name, "s", about, explicit_bucket_boundaries_advisory=semconv.SECONDS_BUCKETS
    )


def tokens(meter: Meter, name: str, about: str) -> Histogram:
    """Return a histogram of numbers of tokens."""
    return meter.create_histogram(
        name, "{token}", about, explicit_bucket_boundaries_advisory=semconv.TOKEN_BUCKETS
    )
