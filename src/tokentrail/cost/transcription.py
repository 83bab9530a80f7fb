"""What it costs to write down what a realtime session hears: usage of another model."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tokentrail.cost.rates import PER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokentrail.cost.rates import Rates
    from tokentrail.cost.tools import RatesOf
    from tokentrail.model.records import Reported, Transcription

PART: Final = "transcription"
"""Its name where it has no price."""
SECONDS_OF_AN_HOUR: Final = 3600


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
    """Return the cost by time, else by tokens; of those it must be known which are sound."""
    if used.audio_seconds is not None:
        hour = rates.audio_hour
        if hour is None:
            return None
        return Decimal(str(used.audio_seconds)) * hour.base / SECONDS_OF_AN_HOUR
    sound, text = used.audio_input_tokens or 0, used.text_input_tokens or 0
    if sound + text != used.input_tokens:
        return None
    total = Decimal(0)
    parts = ((sound, rates.audio_input), (text, rates.input), (used.output_tokens, rates.output))
    for number, rate in parts:
        if number and rate is None:
            return None
        if number and rate is not None:
            total += number * rate.base
    return total / PER
