"""The prices of one model, and the cost of a usage by them."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tokentrail.model.records import Source
from tokentrail.support.frozen import lean_dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.model.records import Reported, Usage

BATCH: Final = "(batch)"
"""Used as the service tier to price a whole batch; no server has a tier of this name."""
BY_REQUEST: Final = ("web_search", "file_search")
"""Prices that are not of tokens."""
PER: Final = 1_000_000
"""Prices are per this many tokens."""


@lean_dataclass(frozen=True, slots=True)
class Rate:
    """USD per million tokens; a long input has another price for all of its tokens."""

    base: Decimal
    steps: tuple[tuple[int, Decimal], ...] = ()
    """Input tokens above which another price applies, ascending."""

    def at(self, input_tokens: int) -> Decimal:
        """Return the price for a whole input of this length."""
        if not self.steps:
            return self.base
        reached = [price for start, price in self.steps if input_tokens > start]
        return reached[-1] if reached else self.base

    def halved(self) -> Rate:
        """Return half of it."""
        return Rate(self.base / 2, tuple((start, price / 2) for start, price in self.steps))


@lean_dataclass(frozen=True, slots=True)
class Rates:
    """The prices of a model: USD per million tokens, of searches per thousand requests.

    Those of sound that is billed by its length are per hour, of text to be spoken per million
    characters.

    A part without a price of its own has the price of the whole. Audio is an exception: without its
    own price its cost is unknown.
    """

    input: Rate | None
    """``None`` of models that are billed by time or characters alone."""
    output: Rate | None = None
    cache_read: Rate | None = None
    cache_write: Rate | None = None
    cache_write_1h: Rate | None = None
    cache_write_12h: Rate | None = None
    audio_input: Rate | None = None
    image_input: Rate | None = None
    reasoning: Rate | None = None
    audio_output: Rate | None = None
    image_output: Rate | None = None
    image_cache_read: Rate | None = None
    audio_cache_read: Rate | None = None
    web_search: Rate | None = None
    file_search: Rate | None = None
    audio_hour: Rate | None = None
    """USD per hour of sound that is transcribed."""
    characters: Rate | None = None
    """USD per million characters of text that is spoken."""

    def halved(self) -> Rates:
        """Return the default prices of tokens in a batch: half."""
        found = {part.name: getattr(self, part.name) for part in fields(self)}
        return Rates(
            **{
                name: rate if rate is None or name in BY_REQUEST else rate.halved()
                for name, rate in found.items()
            }
        )

    def depend_on_length(self, tokens: int) -> bool:
        """Whether a price rises somewhere up to so many input tokens."""
        rates = (getattr(self, part.name) for part in fields(self))
        return any(rate and rate.steps and rate.steps[0][0] < tokens for rate in rates)


CACHED: Final = (
    ("cache_read", "cache_read_tokens"),
    ("cache_write_1h", "cache_write_1h_tokens"),
    ("cache_write_12h", "cache_write_12h_tokens"),
)
"""Parts of the input by cache state: a price, and the field of the report."""
LONG_WRITES: Final = CACHED[1:]
"""Cache writes with a long lifetime."""
SEEN: Final = (("audio_input", "audio_input_tokens"), ("image_input", "image_input_tokens"))
"""Parts of the input by modality; a report does not say which of them were cached."""
WRITTEN: Final = (
    ("reasoning", "reasoning_tokens"),
    ("audio_output", "audio_output_tokens"),
    ("image_output", "image_output_tokens"),
)
"""Parts of the output."""


REPORTED: Final = (Source.REPORTED,)
KNOWN: Final = (Source.REPORTED, Source.COUNTED, Source.CALIBRATED)


def cost_of(usage: Usage, rates: Rates, *, counted: bool, generates: bool) -> float | None:
    """Return the cost of ``usage`` in USD; ``None`` if it cannot be known.

    ``counted``: exact counts of ours are used if the server reported none. ``generates``: the
    operation has an output.
    """
    fit = KNOWN if counted else REPORTED
    given, made = usage.input, usage.output
    if given is None or given.source not in fit:
        return None
    read = usage.reported if given.source is Source.REPORTED else None
    total = _input(given.tokens, read, rates)
    if made is not None and made.source in fit:
        reported = usage.reported if made.source is Source.REPORTED else None
        total = _added(total, _output(made.tokens, reported, rates, given.tokens))
    elif generates:
        return None
    return None if total is None else float(total / PER)


def unpriced_parts(usage: Usage, rates: Rates) -> tuple[str, ...]:
    """Return the names of reported parts without a price: audio, and longer cache lifetimes.

    The price ``cache_write`` is that of the shortest lifetime.
    """
    reported = usage.reported
    if reported is None:
        return ()
    kept = tuple(
        name
        for name, field in LONG_WRITES
        if getattr(rates, name) is None and getattr(reported, field)
    )
    cached = [*_parts(reported, rates, CACHED), *_short_writes(reported, rates)]
    if cached and any(_parts(reported, rates, SEEN)) and _by_modality(reported, rates) is None:
        kept = (*kept, "cache_read")
    if not (reported.audio_input_tokens or reported.audio_output_tokens):
        return kept
    names = ("audio_input", "audio_output")
    return (*(name for name in names if _is_unknown(reported, rates, name)), *kept)


def _input(tokens: int, reported: Reported | None, rates: Rates) -> Decimal | None:
    if rates.input is None or _is_unknown(reported, rates, "audio_input"):
        return None
    cached = [*_parts(reported, rates, CACHED), *_short_writes(reported, rates)]
    seen = list(_parts(reported, rates, SEEN))
    if cached and seen and reported is not None:
        by_modality = _by_modality(reported, rates)
        return None if by_modality is None else _sum(tokens, rates.input, by_modality, tokens)
    return _sum(tokens, rates.input, [*cached, *seen], tokens)


def _by_modality(reported: Reported, rates: Rates) -> list[tuple[int, Rate]] | None:
    """Return the parts of an input that is of several modalities and was cached in part.

    ``None`` if the report does not say how much of each was cached, or that has no price.
    """
    if rates.cache_read is None or reported.cache_write_tokens:
        return None
    rest, parts = reported.cache_read_tokens or 0, []
    for name, field in SEEN:
        number, cached_name = getattr(reported, field) or 0, name.replace("input", "cache_read")
        if not number:
            continue
        cached = getattr(reported, f"{cached_name}_tokens")
        own, again = getattr(rates, name), getattr(rates, cached_name)
        if cached is None or cached > number or (cached and again is None):
            return None
        rest -= cached
        parts += [(cached, again)] if cached else []
        parts += [(number - cached, own)] if own is not None else []
    return None if rest < 0 else [*parts, (rest, rates.cache_read)]


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


def _short_writes(reported: Reported | None, rates: Rates) -> Iterator[tuple[int, Rate]]:
    """Yield what was written to a cache for the shortest time, where that has a price."""
    if reported is None or rates.cache_write is None or not reported.cache_write_tokens:
        return
    kept = sum(getattr(reported, field) or 0 for _, field in LONG_WRITES)
    if reported.cache_write_tokens > kept:
        yield reported.cache_write_tokens - kept, rates.cache_write


def _is_unknown(reported: Reported | None, rates: Rates, sound: str) -> bool:
    return getattr(rates, sound) is None and bool(getattr(reported, f"{sound}_tokens", None))


def _sum(tokens: int, rate: Rate, parts: list[tuple[int, Rate]], given: int) -> Decimal | None:
    """Return millionths of USD: parts by their own rates, the rest by the rate of the whole."""
    rest = tokens - sum(number for number, _ in parts)
    if rest < 0:
        return None  # the parts exceed the whole: what they are parts of is unknown
    return sum((number * own.at(given) for number, own in parts), rest * rate.at(given))


def _added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other
