"""What it costs to write down what a realtime session hears: usage of another model."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tokentrail.cost.parts import cost_of_parts, transcript_parts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokentrail.cost.rates import Rates
    from tokentrail.cost.tools import RatesOf
    from tokentrail.model.records import Reported, Transcription

PART: Final = "transcription"
"""Its name where it has no price."""


def transcription_cost(
    transcriptions: Iterable[Transcription], rates_of: RatesOf
) -> tuple[float, tuple[str, ...]]:
    """Return USD, and the name of the part if one of them has no price."""
    total = Decimal(0)
    for each in transcriptions:
        rates = None if each.model is None else rates_of(each.model)
        amount = None if rates is None else _of(each.usage, rates)
        if amount is None:
            return 0.0, (PART,)
        total += amount
    return float(total), ()


def _of(used: Reported, rates: Rates) -> Decimal | None:
    """Return the cost by time, else by tokens; of those it must be known which are audio."""
    parts = transcript_parts(used)
    if parts is None:
        return None
    amount, unpriced = cost_of_parts(parts, rates)
    return None if unpriced else amount
