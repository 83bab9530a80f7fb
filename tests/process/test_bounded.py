"""What is remembered has a bound, and what is in use stays right beyond it."""

from __future__ import annotations

from tokentrail.support.bounded import BoundedCache


def test_a_further_entry_takes_the_place_of_the_oldest():
    cache = BoundedCache(2)
    assert [cache.keep(name, name.upper()) for name in "abc"] == ["A", "B", "C"]
    assert cache == {"b": "B", "c": "C"}


def test_to_keep_another_value_of_a_key_drops_nothing():
    cache = BoundedCache(2)
    for value in (1, 2, 3):
        cache.keep("a", value)
        cache.keep("b", value)
    assert cache == {"a": 3, "b": 3}
