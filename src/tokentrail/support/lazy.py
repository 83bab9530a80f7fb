"""Modules, and public names of packages, that are imported when the first of them is needed."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from tokentrail.support.fork import IMPORTING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a package that most programs do not need.

    ``homes``: for each module, below ``tokentrail``, the names that it has, with blanks between.
    A name is looked up once: it is the package's own from then on. A module that such a name stands
    in asks for none itself while it is imported: another thread may hold the lock, and wait for it.
    """
    found = {name: home for home, names in homes.items() for name in names.split()}

    def look_up(name: str) -> object:
        home = found.get(name)
        if home is None:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        value: object = getattr(_imported(f"tokentrail.{home}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return look_up


def import_once(name: str) -> None:
    """Import a module that is not imported yet, while a fork waits."""
    if name not in sys.modules:
        with IMPORTING:
            import_module(name)


def _imported(name: str) -> ModuleType:
    """Return a module. Only an import has to wait for the imports of other threads."""
    module = sys.modules.get(name)
    if module is None or getattr(module.__spec__, "_initializing", False):
        with IMPORTING:
            module = import_module(name)
    return module


class LateModule:
    """Stands for a module of ours that is imported when its first name is needed.

    A name is looked up once: it is an attribute of this object from then on. A fork waits for the
    import, as it does for :func:`lazy_names`.
    """

    def __init__(self, name: str) -> None:
        """``name``: below ``tokentrail``."""
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        value: object = getattr(_imported(f"tokentrail.{self._name}"), attribute)
        setattr(self, attribute, value)
        return value
