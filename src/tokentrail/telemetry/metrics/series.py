"""The series of a call: looked up once for calls that are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.support.bounded import BoundedCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram
    from opentelemetry.util.types import AttributeValue

    from tokentrail.model.records import Operation
    from tokentrail.telemetry.metrics.totals import Sum

    Attributes = dict[str, AttributeValue]

INPUT: Final = 0
OUTPUT: Final = 1
DURATION: Final = 2
"""Places of the recorded numbers of a call."""
TOKEN_TYPES: Final = ("input", "output")
"""The directions that the first two of them count."""


MAX_REASONS: Final = 16
"""Combinations of finish reasons that are kept."""


class MetricSeries:
    """The instruments and attributes of all points, shared by calls that are alike."""

    __slots__ = ("choices", "details", "first", "parts", "points", "sums", "wasted")

    def __init__(self, ended: Sum) -> None:
        """Count calls in ``ended``; no tokens are recorded yet."""
        self.sums: list[Sum] = [ended, [0], [0]]
        """Our own totals: calls, input and output tokens. ``[0]``: one that is not recorded."""
        self.choices: BoundedCache[tuple[str, ...], tuple[Sum, ...]] = BoundedCache(MAX_REASONS)
        """Our own totals of choices by finish reason."""
        self.wasted: list[Sum] | None = None
        """Our own totals of wasted input and output tokens."""
        self.points: list[tuple[int, Histogram, Attributes]] = []
        """For each number its place, its instrument and the attributes of its point."""
        self.first: list[tuple[Histogram, Attributes]] = []
        """Histograms of the time to first chunk, recorded where there was one."""
        self.parts: list[Callable[[Operation, Context], None]] = []
        """Instruments of numbers that have parts."""
        self.details = False
        """Whether parts of reported totals are recorded."""
