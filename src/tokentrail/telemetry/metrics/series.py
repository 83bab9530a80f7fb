"""Where the numbers of a call go: looked up for the first of calls that are alike."""

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
"""Places of the numbers that points tell."""
TOKEN_TYPES: Final = ("input", "output")
"""What the first two of them count tokens of."""


MAX_REASONS: Final = 16
"""Ways in which the choices of answers end, kept for the next that end so."""


class MetricSeries:
    """The instruments and attributes of all points of calls that are alike."""

    __slots__ = ("choices", "details", "first", "parts", "points", "sums", "wasted")

    def __init__(self, ended: Sum) -> None:
        """Count calls in ``ended``; of tokens nothing is told yet."""
        self.sums: list[Sum] = [ended, [0], [0]]
        """Our own totals: of calls, of tokens read and written. ``[0]``: these are not told."""
        self.choices: BoundedCache[tuple[str, ...], tuple[Sum, ...]] = BoundedCache(MAX_REASONS)
        """Our own totals of choices, by why each of them ended."""
        self.wasted: list[Sum] | None = None
        """Our own totals of tokens read and written by calls whose answer was not used."""
        self.points: list[tuple[int, Histogram, Attributes]] = []
        """A number's place, what tells it and what its point bears."""
        self.first: list[tuple[Histogram, Attributes]] = []
        """What tells the time to the first chunk, where there was one."""
        self.parts: list[Callable[[Operation, Context], None]] = []
        """What tells numbers that have parts."""
        self.details = False
        """Whether parts of reported totals are told."""
