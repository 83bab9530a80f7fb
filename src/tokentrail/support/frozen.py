"""A dataclass that is frozen for the type checker, and cheap at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["lean_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as lean_dataclass
else:
    from dataclasses import dataclass, fields
    from operator import attrgetter

    def lean_dataclass(*, frozen: bool, slots: bool) -> object:
        """Make a dataclass that is frozen for the type checker only.

        One that is frozen at run time takes four times as long to fill. For the records of a call
        that was a tenth of its whole overhead. And ``dataclass`` compiles the text of each method
        it makes, at every import: half of our import time. So this makes only ``__init__``; the
        other methods are the same functions for all.
        """

        def decorate(cls: type) -> type:
            made = dataclass(slots=slots, eq=False, repr=False)(cls)
            names = [field.name for field in fields(made)]
            if names:
                _add_methods(made, names, hashable=frozen)
            return made

        return decorate

    def _add_methods(cls: type, names: list[str], *, hashable: bool) -> None:
        values = attrgetter(*names)

        def equals(self: object, other: object) -> bool:
            same = other.__class__ is self.__class__
            return values(self) == values(other) if same else NotImplemented

        def hashed(self: object) -> int:
            return hash(values(self))

        def shown(self: object) -> str:
            pairs = (f"{name}={getattr(self, name)!r}" for name in names)
            return f"{self.__class__.__qualname__}({', '.join(pairs)})"

        own = vars(cls)
        for name, method in (("__eq__", equals), ("__repr__", shown)):
            if name not in own:
                setattr(cls, name, method)
        if own.get("__hash__") is None:
            cls.__hash__ = hashed if hashable else None
