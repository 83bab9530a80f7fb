"""Switching an instrumentation on and off within one process, whatever it is.

What it changed in the client's modules and classes is found by comparing them before and after, so
it is switched by putting the one or the other back, and knows nothing of it. So both can be measured
in turns of milliseconds, in the same process and with the same heap.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_State = dict[tuple[Any, str], Any]
_NOTHING = object()


def _owners() -> list[Any]:
    """Return the client's modules, and the classes that are defined in them."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "openai" and module is not None
    ]
    classes = {
        value: None
        for module in modules
        for value in list(vars(module).values())
        if isinstance(value, type) and value.__module__.partition(".")[0] == "openai"
    }
    return [*modules, *classes]


def _state(owners: list[Any]) -> _State:
    return {
        (owner, name): value
        for owner in owners
        for name, value in list(vars(owner).items())
        if not name.startswith("__") or name == "__init__"
    }


class Switch:
    """The client, bare or instrumented."""

    def __init__(self, instrument: Callable[[], None]) -> None:
        """Instrument, and find out what that changed."""
        owners = _owners()
        before = _state(owners)
        instrument()
        after = _state(owners)
        self.changed = {
            place: (before.get(place, _NOTHING), value)
            for place, value in after.items()
            if value is not before.get(place, _NOTHING)
            # What a module gained may be what it loads when it is asked for.
            and (place in before or isinstance(place[0], type))
        }

    def set(self, *, on: bool) -> None:
        """Make the client bare or instrumented."""
        for (owner, name), values in self.changed.items():
            if values[on] is not _NOTHING:
                setattr(owner, name, values[on])
            elif name in vars(owner):
                delattr(owner, name)
