"""Whatever stands where JSON is expected, JSON comes out."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import json
from collections import UserDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.content import to_json
from tokentrail.content.values import VALUES, clean, parsed, plain


class Hostile:
    def __str__(self):
        message = "no"
        raise RuntimeError(message)

    __repr__ = __str__


class HostileMapping(UserDict):
    def items(self):
        message = "no"
        raise RuntimeError(message)


@dataclasses.dataclass
class Point:
    x: float = 1.0
    y: object = None


ODD = [
    (float("nan"), "nan"),
    (float("-inf"), "-inf"),
    (2**63, str(2**63)),
    (-(2**63), -(2**63)),
    (10**9000, "…"),
    (b"abc", "[3 bytes]"),
    (dt.date(2026, 1, 2), "2026-01-02"),
    (decimal.Decimal("1.50"), "1.50"),
    (Point(y=(1,)), {"x": 1.0, "y": [1]}),
    (Point, "Point"),
    ({1: {2}}, {"1": [2]}),
    ({None: None, "\ud800": "\ud83d\ude00 \udfff"}, {"None": None, "�": "😀 �"}),
    (Hostile(), "Hostile"),
    (HostileMapping(a=1), "HostileMapping"),
    ([Hostile()], ["Hostile"]),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), ODD, ids=lambda value: type(value).__name__)
def test_odd_values(value, expected):
    assert plain(value) == expected
    assert json.loads(to_json(plain(value))) == expected


def test_a_value_that_contains_itself_ends():
    value: list = []
    value += [value, {"again": value}]
    assert plain(value) == ["…", {"again": "…"}]


def test_a_deeply_nested_value_is_cut():
    value: object = "water"
    for _ in range(100_000):
        value = [value]
    assert "…" in to_json(plain(value))
    assert "water" not in to_json(plain(value))


def test_a_value_that_means_a_billion_ends():
    value: list = ["lol"]
    for _ in range(31):
        value = [value] * 10
    assert len(to_json(plain(value))) < 10_000_000


def test_values_beyond_the_limit_are_not_read():
    """The application's own objects are not turned into text then."""
    made = []

    class Observed:
        def __str__(self):
            made.append(self)
            return "seen"

    assert plain({"a": Observed()}) == {"a": "seen"}
    assert list(plain({"a": [0] * VALUES, "b": Observed()})) == []
    assert len(made) == 1


def test_text_that_looks_like_json_and_is_not_stays_text():
    for text in ("{", "[1,", "{'a': 1}", "[" * 100_000, "", "  ", "7", '"x"'):
        assert parsed(text) == text
    assert parsed('{"a": [1, "é"]}') == {"a": [1, "é"]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


@given(JSON)
def test_anything_becomes_json_that_utf_8_can_carry(value):
    text = to_json(plain(value))
    assert json.loads(text.encode()) == json.loads(text)


@given(JSON)
def test_a_copy_is_its_own_copy(value):
    copied = plain(value)
    assert plain(copied) == copied
    assert json.loads(to_json(copied)) == copied


@given(st.text(alphabet=st.characters(codec=None)))
def test_clean_text_is_utf_8_and_clean(text):
    cleaned = clean(text)
    cleaned.encode()
    assert clean(cleaned) == cleaned
