"""A dataclass that is frozen for the type checker, and cheap at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["lean_dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass as lean_dataclass
else:
    from dataclasses import Field, dataclass
    from operator import attrgetter

    def lean_dataclass(*, frozen: bool, slots: bool) -> object:
        """Make a dataclass that is frozen for the type checker only.

        One that is frozen at run time takes four times as long to fill. For the records of a call
        that was a tenth of its whole overhead. And ``dataclass`` compiles the text of each method
        it makes, at every import: half of our import time. So ``__init__`` and the table of fields
        are made when the first record of a class is, and the other methods are shared by all.
        """

        def decorate(cls: type) -> type:
            made = _with_slots(cls) if slots else dataclass(eq=False, repr=False)(cls)
            if made.__match_args__:
                _add_methods(made, made.__match_args__, hashable=frozen)
            return made

        return decorate

    def _with_slots(cls: type) -> type:
        """Return ``cls`` with its fields, which are all that it annotates, as slots."""
        own = cls.__annotations__
        has_field = any(isinstance(vars(cls).get(name), Field) for name in own)
        inherited = getattr(cls, "__match_args__", ())
        space = {name: value for name, value in vars(cls).items() if name not in own}
        space.pop("__dict__", None)
        space.pop("__weakref__", None)
        space["__slots__"] = tuple(name for name in own if name not in inherited)
        space["__match_args__"] = tuple(dict.fromkeys((*inherited, *own)))
        space["__qualname__"] = cls.__qualname__
        made = type(cls)(cls.__name__, cls.__bases__, space)
        made.__dataclass_fields__ = _Fields(made, cls)
        made.__init__ = _first_init(made, cls)
        if has_field:  # dataclass() takes it off the class, so two threads must not do so at once
            _complete(made, cls)
        return made

    def _first_init(made: type, cls: type) -> object:
        """Return the ``__init__`` of the first record."""

        def first(self: object, /, *args: object, **kwargs: object) -> None:
            _complete(made, cls)
            made.__init__(self, *args, **kwargs)

        return first

    class _Fields:
        """Stands for the fields of a class until somebody asks for them."""

        def __init__(self, made: type, cls: type) -> None:
            self._made = made
            self._cls = cls

        def __get__(self, instance: object, owner: type) -> object:
            _complete(self._made, self._cls)
            return self._made.__dataclass_fields__

    def _complete(made: type, cls: type) -> None:
        """Give ``made`` what ``dataclass`` makes of ``cls``."""
        dataclass(eq=False, repr=False)(cls)
        made.__dataclass_params__ = cls.__dataclass_params__
        made.__dataclass_fields__ = cls.__dataclass_fields__
        made.__init__ = cls.__init__

    def _add_methods(cls: type, names: tuple[str, ...], *, hashable: bool) -> None:
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
