"""What can be read but once, made so that it can be read again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tokentrail.support import guard

READ_IN_TURN: Final = frozenset({"messages", "input", "prompt", "tools", "functions"})
"""Arguments that the client reads item by item."""
USUAL: Final = frozenset({list, str, tuple, type(None)})

Kept = dict[str, tuple[list[object], Iterator[object]]]
"""What was taken out of the iterators among the arguments, and what is left of them."""


def recorded(given: dict[str, Any]) -> tuple[dict[str, Any], Kept]:
    """Replace iterators by ones that keep what the client takes out of them."""
    kept: Kept = {}
    kwargs = given
    for name, value in given.items():
        if name in READ_IN_TURN and type(value) not in USUAL and isinstance(value, Iterator):
            items: list[object] = []
            kept[name] = (items, value)
            kwargs = {**kwargs, name: _Recording(value, items)}
    return kwargs, kept


class _Recording:
    """The caller's iterator, by all that can be seen of it; keeps what is taken out."""

    __slots__ = ("_items", "_kept")

    def __init__(self, items: Iterator[object], kept: list[object]) -> None:
        self._items = items
        self._kept = kept

    @property  # type: ignore[misc, unused-ignore]
    def __class__(self) -> type:  # the client's errors name the class of what it was given
        return type(self._items)

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        item = next(self._items)
        with guard.shield("arguments"):  # the item is the application's
            item = repeatable(item)
            self._kept.append(item)
        return item

    def __getattr__(self, name: str) -> object:
        # What is half made has no such field, and asking for it here would not come to an end.
        return getattr(object.__getattribute__(self, "_items"), name)


def repeatable(item: object) -> object:
    """Return a message, a tool or an item of a prompt so that it can be sent twice.

    Nothing is read yet. What has no iterator in it is returned itself; the caller's own mapping is
    never changed.
    """
    if isinstance(item, Iterator):
        return Repeatable(item)
    if isinstance(item, Mapping) and any(isinstance(value, Iterator) for value in item.values()):
        return {name: repeatable(v) if isinstance(v, Iterator) else v for name, v in item.items()}
    return item


class Repeatable:
    """The caller's iterator, by its class; each who iterates gets all of it."""

    __slots__ = ("_kept", "_rest")

    def __init__(self, rest: Iterator[object]) -> None:
        self._kept: list[object] = []
        self._rest = rest

    @property  # type: ignore[misc, unused-ignore]
    def __class__(self) -> type:  # the client's errors name the class of what it was given
        return type(self._rest)

    def __iter__(self) -> Iterator[object]:
        yield from self._kept
        for item in self._rest:
            self._kept.append(item)
            yield item
