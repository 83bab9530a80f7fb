"""How methods of the client are wrapped: the table is walked by install and remove alike.

Nothing of openai is imported here. A hook waits for each module; it cannot be unregistered, so it
waits once at a time and asks whether patching is wanted.
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
_EXCHANGES = {ANSWERED: wrappers.on_processed, RETRIED: wrappers.on_retry}
_OPENING = frozenset({"__enter__", "__aenter__", "enter"})


_DEPRECATING = frozenset({"typing_extensions", "warnings", "_py_warnings"})
"""The modules whose ``deprecated`` a client may decorate with; the last since Python 3.14."""
_hooked: set[str] = set()
_patched: list[tuple[type, str, object, object]] = []
_wanted: frozenset[str] = frozenset()
"""The families whose methods are to be wrapped, as long as anything is."""


def install(families: Collection[str] = INSTRUMENTED_APIS) -> None:
    """Wrap the methods of ``families``, now or when their module is imported. Idempotent."""
    global _wanted
    _wanted = frozenset(families)
    for name in (_CLIENT, *{name for row in all_methods() for name in row.modules}):
        if name not in _hooked:
            _hooked.add(name)
            _hook(name)


def _hook(name: str) -> None:
    """Have what is wanted of a module wrapped, now if it is there, else once it is imported."""
    try:
        wrapt.register_post_import_hook(_imported, name)
    except KeyError:  # wrapt 1, whose hooks work once: the module was imported, and is gone
        _imported(import_module(name))


def remove() -> None:
    """Put the very same functions back. Idempotent.

    A method that somebody wrapped after us keeps our wrapper inside theirs; it does nothing then.
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
    """Wrap what was imported anew since, where anything is wrapped. Idempotent."""
    if _wanted:
        _below.cache_clear()
        install(_wanted)


def _imported(module: ModuleType) -> None:
    _hooked.discard(module.__name__)  # a hook is called once: it may be imported anew
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
    """Return where what is below a module is, ``None`` if there is no such module.

    Nothing is imported to find out.
    """
    if (module := sys.modules.get(name)) is not None:
        return list(getattr(module, "__path__", ()))
    spec = PathFinder.find_spec(name, _below(name.rpartition(".")[0]) or ())
    return None if spec is None else list(spec.submodule_search_locations or ())


def _patch(module: ModuleType, row: Method) -> None:
    # vars(): asking a package of openai for an attribute may make it load the rest of itself.
    owner: Any = vars(module).get(row.owner)
    original = owner.__dict__.get(row.method) if owner is not None else None
    if original is None:
        if not hasattr(module, "__path__"):  # or else the class stands in a module of the package
            _missing(row)
        return
    if is_patched(original):
        return
    wrapper = _wrapper(row)
    is_seam = row.method in _EXCHANGES
    patched = PatchedSeam(original, wrapper) if is_seam else _around(original, wrapper)
    setattr(owner, row.method, patched)
    _patched.append((owner, row.method, original, patched))


def _around(original: Any, wrapper: Callable[..., Any]) -> object:
    """Return the method with our wrapper around it, but inside of what says that it is deprecated.

    That warns of the line by which it was called, which shall be the application's.
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
    if row.method in _EXCHANGES:
        return _EXCHANGES[row.method]
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
            "openai has no %s where tokentrail looks for it, so its calls are not recorded.",
            row.title,
        )


def is_patched(function: object) -> bool:
    """Whether our wrapper is anywhere in ``function``."""
    seen = 0
    while function is not None and seen < 100:  # noqa: PLR2004 - deeper is a loop
        if isinstance(function, (PatchedMethod, PatchedSeam)):
            return True
        function = getattr(function, "__wrapped__", None)
        seen += 1
    return False
