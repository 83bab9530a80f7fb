"""Makes one-shot iterators readable again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tokentrail.support import guard

READ_IN_TURN: Final = frozenset({"messages", "input", "prompt", "tools", "functions"})
"""Arguments that the client reads item by item."""
USUAL: Final = frozenset({list, str, tuple, type(None)})

Kept = dict[str, tuple[list[object], Iterator[object]]]
"""For each iterator argument: the items consumed so far, and the rest of the iterator."""


def recorded(given: dict[str, Any]) -> tuple[dict[str, Any], Kept]:
    """Replace iterators by ones that keep the items the client consumes."""
    kept: Kept = {}
    kwargs = given
    for name, value in given.items():
        if name in READ_IN_TURN and type(value) not in USUAL and isinstance(value, Iterator):
            items: list[object] = []
            kept[name] = (items, value)
            kwargs = {**kwargs, name: _Recording(value, items)}
    return kwargs, kept


class _Recording:
    """Looks like the caller's iterator, and keeps the consumed items."""

    __slots__ = ("_items", "_kept")

    def __init__(self, items: Iterator[object], kept: list[object]) -> None:
        self._items = items
        self._kept = kept

    @property  # type: ignore[misc, unused-ignore]
    def __class__(self) -> type:  # the client's errors name the class of the argument
        return type(self._items)

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        item = next(self._items)
        with guard.shield("arguments"):  # the item belongs to the application
            item = repeatable(item)
            self._kept.append(item)
        return item

    def __getattr__(self, name: str) -> object:
        # A half-initialised object lacks the field; a plain read would recurse without end.
        return getattr(object.__getattribute__(self, "_items"), name)


def repeatable(item: object) -> object:
    """Return a message, a tool or an item of a prompt in a form that can be sent twice.

    Nothing is read yet. An item without an iterator is returned unchanged. The caller's mapping is
    never modified.
    """
    if isinstance(item, Iterator):
        return Repeatable(item)
    if isinstance(item, Mapping) and any(isinstance(value, Iterator) for value in item.values()):
        return {name: repeatable(v) if isinstance(v, Iterator) else v for name, v in item.items()}
    return item


class Repeatable:
    """Has the class of the caller's iterator; each iteration yields all of its items."""

    __slots__ = ("_kept", "_rest")

    def __init__(self, rest: Iterator[object]) -> None:
        self._kept: list[object] = []
        self._rest = rest

    @property  # type: ignore[misc, unused-ignore]
    def __class__(self) -> type:  # the client's errors name the class of the argument
        return type(self._rest)

    def __iter__(self) -> Iterator[object]:
        yield from self._kept
        for item in self._rest:
            self._kept.append(item)
            yield item
