"""The prices of one model, and what a usage comes to by them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tokentrail.model.records import Source
from tokentrail.support.frozen import lean_dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.model.records import Reported, Usage

PER: Final = 1_000_000
"""Prices are for so many tokens."""


@lean_dataclass(frozen=True, slots=True)
class Rate:
    """USD per million tokens; more or less for all of them where the input is long."""

    base: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()
    """Input tokens from which on (not including them) another price holds, rising."""

    def at(self, input_tokens: int) -> Decimal:
        """Return the price where the whole input is so long."""
        if not self.steps:
            return self.base
        reached = [price for start, price in self.steps if input_tokens > start]
        return reached[-1] if reached else self.base


@lean_dataclass(frozen=True, slots=True)
class Rates:
    """The prices of a model: USD per million tokens, of searches per thousand requests.

    A part without a price of its own costs what its whole does; sound never does, so its cost is
    then not known.
    """

    input: Rate
    output: Rate | None = None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    audio_input: Rate | None = None
    image_input: Rate | None = None
    reasoning: Rate | None = None
    audio_output: Rate | None = None
    image_output: Rate | None = None
    image_cache_read: Rate | None = None
    web_search: Rate | None = None
    file_search: Rate | None = None


CACHED: Final = (("cache_read", "cache_read_tokens"), ("cache_write", "cache_write_tokens"))
"""Parts of the input by where they lay: a price, and the field of the report."""
SEEN: Final = (("audio_input", "audio_input_tokens"), ("image_input", "image_input_tokens"))
"""Parts of the input by what they are; a report does not say which of them were cached."""
WRITTEN: Final = (
    ("reasoning", "reasoning_tokens"),
    ("audio_output", "audio_output_tokens"),
    ("image_output", "image_output_tokens"),
)
"""Parts of the output."""


_REPORTED: Final = (Source.REPORTED,)
_KNOWN: Final = (Source.REPORTED, Source.COUNTED, Source.CALIBRATED)


def cost_of(usage: Usage, rates: Rates, *, counted: bool, generates: bool) -> float | None:
    """Return what ``usage`` costs in USD; ``None`` where it cannot be known.

    ``counted``: our own exact counts will do where the server reported none. ``generates``: the
    operation has an output.
    """
    fit = _KNOWN if counted else _REPORTED
    given, made = usage.input, usage.output
    if given is None or given.source not in fit:
        return None
    read = usage.reported if given.source is Source.REPORTED else None
    total = _input(given.tokens, read, rates)
    if made is not None and made.source in fit:
        told = usage.reported if made.source is Source.REPORTED else None
        total = _added(total, _output(made.tokens, told, rates, given.tokens))
    elif generates:
        return None
    return None if total is None else float(total / PER)


def unpriced_parts(usage: Usage, rates: Rates) -> tuple[str, ...]:
    """Return the names of reported parts that have no price: sound, and long lives in a cache.

    The one price of a cache write is that of the shorter lifetime.
    """
    reported = usage.reported
    if reported is None:
        return ()
    kept = ("cache_write_12h",) if reported.cache_write_12h_tokens else ()
    if not (reported.audio_input_tokens or reported.audio_output_tokens):
        return kept
    names = ("audio_input", "audio_output")
    return (*(name for name in names if _is_unknown(reported, rates, name)), *kept)


def _input(tokens: int, reported: Reported | None, rates: Rates) -> Decimal | None:
    if _is_unknown(reported, rates, "audio_input"):
        return None
    cached = list(_parts(reported, rates, CACHED))
    seen = list(_parts(reported, rates, SEEN))
    if cached and seen:
        return None  # nobody says how much of the sound was cached
    return _sum(tokens, rates.input, [*cached, *seen], tokens)


def _output(tokens: int, reported: Reported | None, rates: Rates, given: int) -> Decimal | None:
    if rates.output is None:
        return None if tokens else Decimal(0)
    if _is_unknown(reported, rates, "audio_output"):
        return None
    return _sum(tokens, rates.output, list(_parts(reported, rates, WRITTEN)), given)


def _parts(
    reported: Reported | None, rates: Rates, table: tuple[tuple[str, str], ...]
) -> Iterator[tuple[int, Rate]]:
    """Yield the parts that have a price of their own."""
    for name, field in table:
        rate: Rate | None = getattr(rates, name)
        number: int = getattr(reported, field, None) or 0
        if rate is not None and number:
            yield number, rate


def _is_unknown(reported: Reported | None, rates: Rates, sound: str) -> bool:
    return getattr(rates, sound) is None and bool(getattr(reported, f"{sound}_tokens", None))


def _sum(tokens: int, rate: Rate, parts: list[tuple[int, Rate]], given: int) -> Decimal | None:
    """Return millionths of USD: parts by their own rates, the rest by that of the whole."""
    rest = tokens - sum(number for number, _ in parts)
    if rest < 0:
        return None  # parts that are more than the whole: it is not known what they are parts of
    return sum((number * own.at(given) for number, own in parts), rest * rate.at(given))


def _added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other
