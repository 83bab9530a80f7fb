"""What a usage costs, against sums worked out by hand: USD per million tokens."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tokentrail.cost import Rate, Rates, cost_of
from tokentrail.model.records import Count, Reported, Source, Usage

PLAIN = Rates(Rate(Decimal("2.5")), Rate(Decimal(10)))
FULL = Rates(
    input=Rate(Decimal("2.5")),
    output=Rate(Decimal(10)),
    cache_read=Rate(Decimal("1.25")),
    cache_write=Rate(Decimal(3)),
    audio_input=Rate(Decimal(40)),
    reasoning=Rate(Decimal(12)),
    audio_output=Rate(Decimal(80)),
)
LONG = Rates(
    Rate(Decimal(2), ((200_000, Decimal(4)),)), Rate(Decimal(10), ((200_000, Decimal(15)),))
)
STEPS = Rates(Rate(Decimal(1), ((32_000, Decimal(2)), (128_000, Decimal(3)))), Rate(Decimal(5)))


def reported(given: int, made: int | None, **parts: int) -> Usage:
    """Return a usage that a server reported."""
    output = None if made is None else Count(made, Source.REPORTED)
    return Usage(Count(given, Source.REPORTED), output, Reported(given, made, **parts))


@pytest.mark.parametrize(
    ("rates", "usage", "usd"),
    [
        (PLAIN, reported(1000, 200), 0.0025 + 0.002),
        (PLAIN, reported(0, 0), 0.0),
        # a cached token is an input token: 600 at 2.5, 400 at 1.25
        (FULL, reported(1000, 200, cache_read_tokens=400), 0.0015 + 0.0005 + 0.002),
        (FULL, reported(1000, 0, cache_write_tokens=1000), 0.003),
        (FULL, reported(1000, 0, cache_read_tokens=400, cache_write_tokens=500), 0.00225),
        # a part without a price of its own costs what the whole does
        (PLAIN, reported(1000, 200, cache_read_tokens=400, reasoning_tokens=150), 0.0045),
        # a reasoning token is an output token: 50 at 10, 150 at 12
        (FULL, reported(1000, 200, reasoning_tokens=150), 0.0025 + 0.0005 + 0.0018),
        # sound: 900 at 2.5 and 100 at 40, 150 at 10 and 50 at 80
        (
            FULL,
            reported(1000, 200, audio_input_tokens=100, audio_output_tokens=50),
            0.00225 + 0.004 + 0.0015 + 0.004,
        ),
        # 600 of text, of which 100 cached, and 400 of sound, of which 300 cached
        (
            replace(FULL, audio_cache_read=Rate(Decimal(5))),
            reported(
                1000,
                0,
                cache_read_tokens=400,
                audio_input_tokens=400,
                audio_cache_read_tokens=300,
            ),
            (500 * 2.5 + 100 * 1.25 + 100 * 40 + 300 * 5) / 1e6,
        ),
        # the whole of a long input costs more, and the output with it
        (LONG, reported(200_000, 1000), 0.4 + 0.01),
        (LONG, reported(200_001, 1000), 0.800004 + 0.015),
        # of several steps, the highest that the input is beyond
        (STEPS, reported(32_000, 0), 0.032),
        (STEPS, reported(100_000, 0), 0.2),
        (STEPS, reported(200_000, 0), 0.6),
    ],
)
def test_a_usage_costs_what_one_works_out(rates, usage, usd):
    assert cost_of(usage, rates, counted=False, generates=True) == pytest.approx(usd, rel=1e-12)


@pytest.mark.parametrize(
    "usage",
    [
        Usage(),
        # how much of the sound was cached is not said
        reported(1000, 200, cache_read_tokens=400, audio_input_tokens=100),
        # parts that are more than the whole are parts of something else
        reported(100, 200, cache_read_tokens=400),
        reported(100, 200, reasoning_tokens=201),
        Usage(Count(9, Source.REPORTED), None, Reported(9)),
        Usage(Count(9, Source.REPORTED), Count(9, Source.VISIBLE), Reported(9)),
        Usage(Count(9, Source.APPROXIMATED), Count(9, Source.COUNTED)),
    ],
)
def test_what_is_not_known_has_no_cost(usage):
    assert cost_of(usage, FULL, counted=True, generates=True) is None


def test_an_output_without_a_price_has_no_cost_and_embeddings_need_none():
    rates = Rates(Rate(Decimal("0.02")))
    assert cost_of(reported(1000, 7), rates, counted=False, generates=True) is None
    assert cost_of(reported(1000, None), rates, counted=False, generates=False) == 0.00002


@pytest.mark.parametrize(("counted", "usd"), [(False, None), (True, 0.0045)])
def test_counts_are_priced_only_where_that_is_asked_for(counted, usd):
    usage = Usage(Count(1000, Source.COUNTED), Count(200, Source.COUNTED))
    assert cost_of(usage, PLAIN, counted=counted, generates=True) == usd


def test_parts_of_a_report_are_no_parts_of_a_count():
    """A stream that was cut after its server had reported something."""
    usage = Usage(
        Count(1000, Source.REPORTED),
        Count(50, Source.COUNTED),
        Reported(1000, 3, reasoning_tokens=3),
    )
    assert cost_of(usage, FULL, counted=True, generates=True) == 0.0025 + 0.0005


def test_reported_parts_without_a_total_do_not_become_parts_of_a_count():
    """A server that reports the output, and of the input only what it had cached."""
    usage = Usage(
        Count(1000, Source.COUNTED),
        Count(200, Source.REPORTED),
        Reported(None, 200, cache_read_tokens=400, reasoning_tokens=100),
    )
    usd = 0.0025 + 0.001 + 0.0012  # all of the input at 2.5; 100 at 10 and 100 at 12
    assert cost_of(usage, FULL, counted=True, generates=True) == pytest.approx(usd, rel=1e-12)


def test_sound_without_a_price_of_its_own_has_no_cost():
    for parts in ({"audio_input_tokens": 1}, {"audio_output_tokens": 1}):
        assert cost_of(reported(1000, 200, **parts), PLAIN, counted=False, generates=True) is None
    zero = {"audio_input_tokens": 0, "audio_output_tokens": 0}
    assert cost_of(reported(1000, 200, **zero), PLAIN, counted=False, generates=True) == 0.0045
