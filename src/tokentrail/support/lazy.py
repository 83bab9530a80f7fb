"""Public names of a package that are imported when somebody asks for the first of them."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a package of which most programs need nothing.

    ``homes``: for each module, below ``tokentrail``, the names that it has, with blanks between.
    A name is looked up once: it is the package's own from then on.
    """
    found = {name: home for home, names in homes.items() for name in names.split()}

    def __getattr__(name: str) -> object:  # noqa: N807
        home = found.get(name)
        if home is None:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        value: object = getattr(import_module(f"tokentrail.{home}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__
