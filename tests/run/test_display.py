"""Rows and sums as lines: what a terminal gets, and what one without colours or Unicode."""

import io

import pytest

from tokentrail.run.call_row import CallRow
from tokentrail.run.display import Display
from tokentrail.run.signs import money_text
from tokentrail.run.totals import Limits, Totals

ROW = {
    **dict.fromkeys(CallRow.__dataclass_fields__),
    "start_time": "2026-11-28T00:00:00+00:00",
    "process": 1,
    "parents": (),
    "approximated_parts": (),
    "operation": "chat",
    "model": "gpt-4o-mini",
    "stream": False,
    "outcome": "completed",
    "duration": 1.5,
    "input_tokens": 1200,
    "input_source": "reported",
    "cached_tokens": 600,
    "output_tokens": 34,
    "output_source": "visible",
    "cost": 0.0123456,
    "notes": (),
}

NUMBERS = "completed         – 1.50 s   1,200 ●      34 ◐ $0.012346  50%"


class Terminal(io.TextIOWrapper):
    """A terminal of that encoding."""

    def __init__(self, encoding, terminal):
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self):
        return self._terminal

    def said(self):
        self.seek(0)
        return self.read()


def shown(*rows, encoding="utf-8", terminal=False, environ=None, summary=False):
    file, totals = Terminal(encoding, terminal), Totals()
    display = Display(file, environ or {})
    for row in rows:
        totals.add(row)
        display.row(row)
    if summary:
        display.summary(totals)
    return file.said()


def call(**changes):
    return CallRow(**{**ROW, **changes})


def test_a_row_has_the_cached_share_and_the_cost():
    row = shown(call()).splitlines()[1]
    assert row == f"{'gpt-4o-mini':18} {NUMBERS}"


def test_without_unicode_there_are_letters():
    row = shown(call(), encoding="ascii").splitlines()[1]
    assert row == f"{'gpt-4o-mini':18} {NUMBERS}".translate(
        dict(zip(map(ord, "–●◐"), "-RV", strict=True))
    )


@pytest.mark.parametrize(
    ("terminal", "environ", "colours"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(terminal, environ, colours):
    assert ("\x1b[" in shown(call(), terminal=terminal, environ=environ)) == colours


def test_nothing_is_wider_than_80_columns():
    row = call(
        model="a-model-of-a-very-long-name/with-a-vendor-before-it-and-more",
        operation="text_completion",
        parents=("x" * 100, *"abcdefg"),
        input_tokens=999_999,
        output_tokens=999_999,
        duration=899.9,
        first_content=899.9,
        cost=99999.0,
        outcome="closed_early",
        notes=("a note of many words " * 10,),
    )
    assert max(map(len, shown(row, row, summary=True).splitlines())) == 80


def test_spans_around_a_call_are_shown_once():
    rows = [call(parents=("a", "b")), call(parents=("a", "b")), call(parents=("a", "c"))]
    lines = [line.split("  completed")[0].rstrip() for line in shown(*rows).splitlines()[1:]]
    named = ["a", "  b", "    gpt-4o-mini", "    gpt-4o-mini", "  c", "    gpt-4o-mini"]
    assert lines == named


def test_a_limit_says_by_what_and_what_it_does_not_know():
    totals = Totals()
    totals.add(call())
    totals.add(call(cost=None))
    limits = Limits(tokens=2467, cost=0.01)
    assert limits.passed(totals) == [
        "2,468 tokens, more than --max-tokens 2,467",
        "$0.012346, more than --max-cost 0.01",
    ]
    assert limits.unsure(totals) == ("--max-cost leaves out 1 of 2 calls, whose cost is not known")
    assert Limits(tokens=2468).passed(totals) == []
    assert Limits(tokens=2468).unsure(totals) is None


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "$0.000000"), (2e-8, "$2.0e-08"), (0.5, "$0.500000"), (12.5, "$12.50000")],
)
def test_money_is_at_most_nine_characters(amount, text):
    assert money_text(amount) == text


def test_a_line_of_another_release_is_read():
    line = {**call().as_json(), "from_a_later_one": [{"tokens": 4}]}
    assert CallRow.from_json(line) == call()
