"""A dataclass that is frozen for the type checker, and cheap at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["lean_dataclass"]

if TYPE_CHECKING:
    from collections.abc import Iterable
    from dataclasses import dataclass as lean_dataclass
else:
    from dataclasses import Field, dataclass, field
    from operator import attrgetter

    def lean_dataclass(*, frozen: bool, slots: bool) -> object:
        """Make a dataclass that is frozen for the type checker only.

        One that is frozen at run time takes four times as long to fill. For the records of a call
        that was a tenth of its whole overhead. And ``dataclass`` compiles the text of each method
        it makes, at every import: half of our import time. So ``__init__`` is compiled here, in a
        quarter of the time, when the first record of a class is made; the table of fields is made
        when somebody asks for it; and the other methods are shared by all.

        A ``field()`` is for classes without slots, and has ``init=False`` and a default.
        """

        def decorate(cls: type) -> type:
            own = {name: vars(cls)[name] for name in cls.__annotations__ if name in vars(cls)}
            made = _with_slots(cls) if slots else cls
            made.__dataclass_fields__ = _Fields(made, cls, own)
            _add_init(made, cls, own)
            if made.__match_args__:
                _add_methods(made, made.__match_args__, hashable=frozen)
            return made

        return decorate

    def _with_slots(cls: type) -> type:
        """Return ``cls`` with its fields, which are all that it annotates, as slots."""
        own = cls.__annotations__
        inherited = getattr(cls, "__match_args__", ())
        space = {name: value for name, value in vars(cls).items() if name not in own}
        space.pop("__dict__", None)
        space.pop("__weakref__", None)
        space["__slots__"] = tuple(name for name in own if name not in inherited)
        space["__qualname__"] = cls.__qualname__
        return type(cls)(cls.__name__, cls.__bases__, space)

    class _Fields:
        """Stands for the fields of a class until somebody asks for them."""

        def __init__(self, made: type, cls: type, own: dict[str, object]) -> None:
            self._made = made
            self._cls = cls
            self._own = own

        def __get__(self, instance: object, owner: type) -> object:
            """Give the class what ``dataclass`` makes of its annotations and defaults."""
            cls = self._cls
            space: dict[str, object] = {
                "__annotations__": cls.__annotations__,
                "__doc__": cls.__name__,  # without one, dataclass() writes it, which takes long
                "__module__": cls.__module__,
            }
            space |= {name: _default(value) for name, value in self._own.items()}
            twin = type(cls)(cls.__name__, cls.__bases__, space)
            dataclass(init=False, eq=False, repr=False)(twin)
            self._made.__dataclass_params__ = twin.__dataclass_params__
            self._made.__dataclass_fields__ = twin.__dataclass_fields__
            return twin.__dataclass_fields__

    def _default(value: object) -> object:
        """Return a default that ``dataclass`` takes: it refuses what has no hash."""
        return field(default_factory=lambda: value) if type(value).__hash__ is None else value

    def _add_init(made: type, cls: type, own: dict[str, object]) -> None:
        """Give ``made`` an ``__init__`` that the first record replaces, and the names it takes."""
        defaults = {**getattr(made, "__lean_defaults__", {})}
        names = dict.fromkeys(getattr(made, "__match_args__", ()))
        for name in cls.__annotations__:
            value = own.get(name, defaults)
            if isinstance(value, Field):
                setattr(made, name, value.default)
                continue
            names[name] = None
            if value is not defaults:
                defaults[name] = value
        made.__match_args__ = tuple(names)
        if defaults:
            made.__lean_defaults__ = defaults

        def first(self: object, /, *args: object, **kwargs: object) -> None:
            made.__init__ = _compiled(made, names, defaults)
            made.__init__(self, *args, **kwargs)

        made.__init__ = first

    def _compiled(made: type, names: Iterable[str], defaults: dict[str, object]) -> object:
        """Return a function that sets the fields of a record."""
        lines = "".join(f"\n self.{name}={name}" for name in names)
        found: dict[str, object] = {}
        exec(f"def __init__(self,{','.join(names)}):{lines or ' pass'}", found)  # noqa: S102 - names of fields
        init = found["__init__"]
        init.__defaults__ = tuple(defaults.values())
        init.__qualname__ = f"{made.__qualname__}.__init__"
        init.__module__ = made.__module__
        return init

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
