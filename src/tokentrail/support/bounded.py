"""What is remembered of calls, never more than so much of it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

__all__ = ["BoundedCache", "RecentlyUsed"]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class BoundedCache(dict[_Key, _Value], Generic[_Key, _Value]):
    """Keeps the last ``limit`` entries that were new; a further one takes the oldest's place.

    A dict, so that a look-up takes as long as a dict's. It needs no lock: each step of ``keep`` is
    one of a dict. Threads that keep at once may exceed the limit by their number for a moment.
    """

    __slots__ = ("limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit: Final = limit

    def keep(self, key: _Key, value: _Value) -> _Value:
        """Keep ``value`` under ``key``, and return it."""
        self[key] = value
        if len(self) > self.limit:
            # A list is made in one step, whatever other threads add meanwhile.
            self.pop(list(self)[0], None)  # noqa: RUF015 - for that
        return value


class RecentlyUsed(OrderedDict[_Key, _Value], Generic[_Key, _Value]):
    """Keeps the ``limit`` entries that were last kept or asked for. For one thread alone."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit: Final = limit

    def use(self, key: _Key) -> _Value | None:
        """Return what is kept under ``key``, which is the last to go from now on."""
        found = self.get(key)
        if found is not None:
            self.move_to_end(key)
        return found

    def keep(self, key: _Key, value: _Value) -> None:
        """Keep ``value`` under ``key``; what was not used for longest goes."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self.limit:
            self.popitem(last=False)
