"""Caches with a limit of entries."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

__all__ = ["BoundedCache", "RecentlyUsed"]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class BoundedCache(dict[_Key, _Value], Generic[_Key, _Value]):
    """Keeps the last ``limit`` new entries; the next one replaces the oldest.

    A dict, so that a look-up takes as long as a dict's. It needs no lock: each step of ``keep`` is
    atomic. Threads that call it at the same time may briefly exceed the limit by their number.
    """

    __slots__ = ("limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit: Final = limit

    def keep(self, key: _Key, value: _Value) -> _Value:
        """Keep ``value`` under ``key``, and return it."""
        self[key] = value
        if len(self) > self.limit:
            # list() is one step, whatever other threads add meanwhile.
            self.pop(list(self)[0], None)  # noqa: RUF015 - for that
        return value

    def add(self, key: _Key, value: _Value) -> bool:
        """Keep ``value``, an object of its own, if ``key`` is new; return whether it was.

        Of several threads that add the same key, it is for one.
        """
        if self.setdefault(key, value) is not value:
            return False
        self.keep(key, value)
        return True


class RecentlyUsed(OrderedDict[_Key, _Value], Generic[_Key, _Value]):
    """Keeps the ``limit`` entries that were used last. For one thread only."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit: Final = limit

    def use(self, key: _Key) -> _Value | None:
        """Return the value of ``key``, and mark it as used last."""
        found = self.get(key)
        if found is not None:
            self.move_to_end(key)
        return found

    def keep(self, key: _Key, value: _Value) -> None:
        """Keep ``value`` under ``key``; the least recently used entry is dropped."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self.limit:
            self.popitem(last=False)
