"""Wraps the methods of the client that the table lists, and unwraps them again.

This module imports nothing of openai. An import hook waits for each module. A hook cannot be
unregistered, so each module has at most one, and the hook checks whether patching is still enabled.
"""

from __future__ import annotations

import logging
import sys
from functools import cache, update_wrapper
from importlib import import_module
from importlib.machinery import PathFinder
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any, cast

import wrapt

from tokentrail.config import INSTRUMENTED_APIS
from tokentrail.patching import wrappers
from tokentrail.patching.methods import ANSWERED, RETRIED, all_methods
from tokentrail.patching.wrappers import PatchedMethod, PatchedSeam
from tokentrail.support import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import ModuleType

    from tokentrail.apis.responses.connection import ConnectionAdapter
    from tokentrail.patching.methods import Method

_logger = logging.getLogger("tokentrail")
_CLIENT = "openai"
_SEAMS = {ANSWERED: wrappers.AnswerSeam, RETRIED: wrappers.RetrySeam}
_OPENING = frozenset({"__enter__", "__aenter__", "enter"})


_DEPRECATING = frozenset({"typing_extensions", "warnings", "_py_warnings"})
"""Modules whose ``deprecated`` decorator clients use; the last one since Python 3.14."""
_hooked: set[str] = set()
_patched: list[tuple[type, str, object, object]] = []
_wanted: frozenset[str] = frozenset()
"""The APIs whose methods are wrapped; empty when nothing is."""


def install(families: Collection[str] = INSTRUMENTED_APIS) -> None:
    """Wrap the methods of ``families`` now, or when their module is imported. Idempotent."""
    global _wanted
    _wanted = frozenset(families)
    for name in (_CLIENT, *{name for row in all_methods() for name in row.modules}):
        if name not in _hooked:
            _hooked.add(name)
            _hook(name)


def _hook(name: str) -> None:
    """Wrap the methods of a module now if it is imported, otherwise once it is."""
    try:
        wrapt.register_post_import_hook(_imported, name)
    except KeyError:  # wrapt 1, whose hooks run only once: the module was imported and removed
        _imported(import_module(name))


def remove() -> None:
    """Restore the original functions. Idempotent.

    If someone wrapped a method after us, our wrapper stays inside theirs and does nothing.
    """
    global _wanted
    _wanted = frozenset()
    left = []
    for owner, method, original, patched in _patched:
        if owner.__dict__.get(method) is patched:
            setattr(owner, method, original)
        else:
            left.append((owner, method, original, patched))
    _patched[:] = left


def refresh() -> None:
    """If anything is wrapped, wrap what was imported again since. Idempotent."""
    if _wanted:
        _below.cache_clear()
        install(_wanted)


def _imported(module: ModuleType) -> None:
    _hooked.discard(module.__name__)  # a hook runs once, and the module may be imported again
    if not _wanted:
        return
    for row in all_methods():
        if module.__name__ != _CLIENT and module.__name__ not in row.modules:
            continue
        if row.adapter is None or row.api in _wanted:
            with guard.shield(f"patching {row.title}"):
                _look_for(row, module)


def _look_for(row: Method, module: ModuleType) -> None:
    if module.__name__ != _CLIENT:
        _patch(module, row)
    elif all(_below(name) is None for name in row.modules):
        _missing(row)


@cache
def _below(name: str) -> list[str] | None:
    """Return the submodule search paths of a module; ``None`` if there is no such module.

    This imports nothing.
    """
    if (module := sys.modules.get(name)) is not None:
        return list(getattr(module, "__path__", ()))
    spec = PathFinder.find_spec(name, _below(name.rpartition(".")[0]) or ())
    return None if spec is None else list(spec.submodule_search_locations or ())


def _patch(module: ModuleType, row: Method) -> None:
    # vars(): reading an attribute of an openai package may make it load its other modules.
    owner: Any = vars(module).get(row.owner)
    original = owner.__dict__.get(row.method) if owner is not None else None
    if original is None:
        if not hasattr(module, "__path__"):  # in a package, one of its modules may have the class
            _missing(row)
        return
    if is_patched(original):
        return
    seam = _SEAMS.get(row.method)
    patched = _around(original, _wrapper(row)) if seam is None else seam(original)
    setattr(owner, row.method, patched)
    _patched.append((owner, row.method, original, patched))


def _around(original: Any, wrapper: Callable[..., Any]) -> object:
    """Return the method with our wrapper around it, but inside a ``deprecated`` decorator.

    The decorator's warning names the calling line, which has to be the application's.
    """
    if getattr(original, "__globals__", {}).get("__name__") not in _DEPRECATING:
        return PatchedMethod(original, wrapper)
    below = original.__wrapped__
    patched = PatchedMethod(below, wrapper)
    closure = tuple(
        CellType(patched) if cell.cell_contents is below else cell for cell in original.__closure__
    )
    warning = FunctionType(original.__code__, original.__globals__, closure=closure)
    update_wrapper(warning, original).__wrapped__ = patched
    return warning


def _wrapper(row: Method) -> Callable[..., Any]:
    if row.adapter is None:
        return wrappers.RawRequestWrapper(is_async=row.is_async)
    if row.method in _OPENING:
        from tokentrail.websocket import patching

        opened = cast("ConnectionAdapter", row.adapter)
        return (patching.AsyncOpening if row.is_async else patching.SyncOpening)(opened)
    return (wrappers.AsyncWrapper if row.is_async else wrappers.SyncWrapper)(row.adapter)


def _missing(row: Method) -> None:
    if row.optional:
        _logger.debug("This version of openai has no %s: it cannot be recorded.", row.title)
    else:
        guard.warn_once(
            row.title,
            "The installed openai has no %s, so calls of it are not recorded. A newer tokentrail "
            "may know where it is.",
            row.title,
        )


def is_patched(function: object) -> bool:
    """Whether ``function`` contains our wrapper at any depth."""
    seen = 0
    while function is not None and seen < 100:  # noqa: PLR2004 - deeper is a loop
        if isinstance(function, (PatchedMethod, PatchedSeam)):
            return True
        function = getattr(function, "__wrapped__", None)
        seen += 1
    return False
