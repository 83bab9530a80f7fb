"""Which methods of the client are wrapped: one table, walked by install and remove alike.

Nothing of openai is imported here. A hook waits for each module; it cannot be unregistered, so it
is registered once in a process and asks whether patching is wanted.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from functools import cache
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any, cast

import wrapt

from tokentrail import calls, connections, direct, guard
from tokentrail.config import FAMILIES
from tokentrail.shapes.chat import ChatShape
from tokentrail.shapes.completions import CompletionsShape
from tokentrail.shapes.custom import (
    DECIDE,
    EDIT_IMAGE,
    GENERATE_IMAGE,
    MODERATE,
    SPEAK,
    TRANSCRIBE,
    TRANSLATE,
    VARY_IMAGE,
)
from tokentrail.shapes.embeddings import EmbeddingsShape
from tokentrail.shapes.lanes import LanesShape
from tokentrail.shapes.realtime import RealtimeShape
from tokentrail.shapes.responses import (
    CompactShape,
    FetchShape,
    ResponsesShape,
    TokenCountShape,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import ModuleType

    from tokentrail.shapes import Shape
    from tokentrail.shapes.lanes import ConnectionShape

_logger = logging.getLogger("tokentrail")


@dataclass(frozen=True, slots=True)
class Row:
    """One method of one class."""

    modules: tuple[str, ...]
    """Where the class stands, in one or another layout of the client."""
    owner: str
    method: str
    shape: Shape | None
    """``None``: its path says which."""
    is_async: bool
    """Said here because ``inspect`` cannot tell: the client's decorator hides it."""
    optional: bool
    """Not every supported version has it."""

    @property
    def title(self) -> str:
        """The method's name for people."""
        return f"{self.modules[0]}:{self.owner}.{self.method}"

    @property
    def path(self) -> str:
        """The way to it from a client of either kind, as ``chat.completions.create``."""
        parts = self.modules[0].split(".")[2:]
        owners = [part for part, last in zip(parts, ["", *parts], strict=False) if part != last]
        return ".".join((*owners, self.method))

    @property
    def family(self) -> str:
        """The part of the client that it belongs to, as the setting ``families`` names it."""
        return self.path.removeprefix("beta.").partition(".")[0]


def _pair(
    modules: tuple[str, ...], owner: str, method: str, shape: Shape, *, optional: bool = False
) -> tuple[Row, Row]:
    return (
        Row(modules, owner, method, shape, is_async=False, optional=optional),
        Row(modules, "Async" + owner, method, shape, is_async=True, optional=optional),
    )


_CLIENT = "openai"
_CHAT = ("openai.resources.chat.completions.completions", "openai.resources.chat.completions")
_COMPLETIONS = ("openai.resources.completions",)
_RESPONSES = ("openai.resources.responses.responses",)
_INPUT_TOKENS = ("openai.resources.responses.input_tokens",)
_BETA_RESPONSES = ("openai.resources.beta.responses.responses",)
_BETA_INPUT_TOKENS = ("openai.resources.beta.responses.input_tokens",)
_EMBEDDINGS = ("openai.resources.embeddings",)
_IMAGES = ("openai.resources.images",)
_TRANSCRIPTIONS = ("openai.resources.audio.transcriptions",)
_TRANSLATIONS = ("openai.resources.audio.translations",)
_SPEECH = ("openai.resources.audio.speech",)
_MODERATIONS = ("openai.resources.moderations",)
_DECISIONS = ("openai.resources.decisions",)

ROWS: tuple[Row, ...] = (
    *_pair(_CHAT, "Completions", "create", ChatShape()),
    *_pair(_CHAT, "Completions", "parse", ChatShape(), optional=True),
    *_pair(_COMPLETIONS, "Completions", "create", CompletionsShape()),
    *_pair(_RESPONSES, "Responses", "create", ResponsesShape(), optional=True),
    *_pair(_RESPONSES, "Responses", "parse", ResponsesShape(), optional=True),
    *_pair(_RESPONSES, "Responses", "retrieve", FetchShape(), optional=True),
    *_pair(_RESPONSES, "Responses", "compact", CompactShape(), optional=True),
    *_pair(_RESPONSES, "Responses", "cancel", FetchShape("cancel_response"), optional=True),
    *_pair(_INPUT_TOKENS, "InputTokens", "count", TokenCountShape(), optional=True),
    *_pair(_BETA_RESPONSES, "Responses", "create", ResponsesShape(), optional=True),
    *_pair(_BETA_RESPONSES, "Responses", "retrieve", FetchShape(), optional=True),
    *_pair(_BETA_RESPONSES, "Responses", "compact", CompactShape(), optional=True),
    *_pair(_BETA_RESPONSES, "Responses", "cancel", FetchShape("cancel_response"), optional=True),
    *_pair(_BETA_INPUT_TOKENS, "InputTokens", "count", TokenCountShape(), optional=True),
    *_pair(_EMBEDDINGS, "Embeddings", "create", EmbeddingsShape()),
    *_pair(_IMAGES, "Images", "generate", GENERATE_IMAGE),
    *_pair(_IMAGES, "Images", "edit", EDIT_IMAGE),
    *_pair(_IMAGES, "Images", "create_variation", VARY_IMAGE),
    *_pair(_TRANSCRIPTIONS, "Transcriptions", "create", TRANSCRIBE),
    *_pair(_TRANSLATIONS, "Translations", "create", TRANSLATE),
    *_pair(_SPEECH, "Speech", "create", SPEAK),
    *_pair(_MODERATIONS, "Moderations", "create", MODERATE),
    *_pair(_DECISIONS, "Decisions", "create", DECIDE, optional=True),
)

DIRECT: tuple[Row, ...] = tuple(
    Row(("openai._base_client",), owner, "request", None, is_async=is_async, optional=False)
    for owner, is_async in (("SyncAPIClient", False), ("AsyncAPIClient", True))
)
"""What every method comes down to, and what some frameworks call themselves."""


def _opened(modules: tuple[str, ...], owner: str, shape: ConnectionShape) -> tuple[Row, ...]:
    return (
        Row(modules, owner, "__enter__", shape, is_async=False, optional=True),
        Row(modules, owner, "enter", shape, is_async=False, optional=True),
        Row(modules, "Async" + owner, "__aenter__", shape, is_async=True, optional=True),
        Row(modules, "Async" + owner, "enter", shape, is_async=True, optional=True),
    )


_OPENING = frozenset({"__enter__", "__aenter__", "enter"})

CONNECTIONS: tuple[Row, ...] = (
    *_opened(
        ("openai.resources.realtime.realtime",), "RealtimeConnectionManager", RealtimeShape(None)
    ),
    *_opened(
        ("openai.resources.beta.realtime.realtime",),
        "RealtimeConnectionManager",
        RealtimeShape(None),
    ),
    *_opened(_RESPONSES, "ResponsesConnectionManager", LanesShape()),
    *_opened(_BETA_RESPONSES, "ResponsesConnectionManager", LanesShape()),
)
"""What ``connect`` returns, which opens a connection when it is entered, by either name."""


class _Patched(wrapt.FunctionWrapper):  # type: ignore[misc, type-arg, unused-ignore]
    """A method of the client with our wrapper around it."""


_hooked: set[str] = set()
_patched: list[tuple[type, str, object, _Patched]] = []
_wanted: frozenset[str] = frozenset()
"""The families whose methods are to be wrapped, as long as anything is."""


def install(families: Collection[str] = FAMILIES) -> None:
    """Wrap the methods of ``families``, now or when their module is imported. Idempotent."""
    global _wanted  # noqa: PLW0603 - import hooks cannot be unregistered, so they ask here
    _wanted = frozenset(families)
    rows = (*ROWS, *DIRECT, *CONNECTIONS)
    for name in (_CLIENT, *{name for row in rows for name in row.modules}):
        if name not in _hooked:
            _hooked.add(name)
            wrapt.register_post_import_hook(_imported, name)  # calls it if the module is there
        elif (module := sys.modules.get(name)) is not None:
            _imported(module)


def remove() -> None:
    """Put the very same functions back. Idempotent.

    A method that somebody wrapped after us keeps our wrapper inside theirs; it does nothing then.
    """
    global _wanted  # noqa: PLW0603 - see install
    _wanted = frozenset()
    left = []
    for owner, method, original, patched in _patched:
        if _is_ours(owner.__dict__.get(method), patched):
            setattr(owner, method, original)
        else:
            left.append((owner, method, original, patched))
    _patched[:] = left


def _imported(module: ModuleType) -> None:
    if not _wanted:
        return
    for row in (*ROWS, *DIRECT, *CONNECTIONS):
        if not (row.shape is None or row.family in _wanted):
            continue
        if module.__name__ == _CLIENT or module.__name__ in row.modules:
            try:
                _look_for(row, module)
            except Exception as error:  # noqa: BLE001 - an import must not fail for us
                guard.report(f"patching {row.title}", error)


def _look_for(row: Row, module: ModuleType) -> None:
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


def _patch(module: ModuleType, row: Row) -> None:
    # vars(): asking a package of openai for an attribute may make it load the rest of itself.
    owner: Any = vars(module).get(row.owner)
    original = owner.__dict__.get(row.method) if owner is not None else None
    if original is None:
        if not hasattr(module, "__path__"):  # or else the class stands in a module of the package
            _missing(row)
        return
    if is_patched(original):
        return
    patched = _Patched(original, _wrapper(row))
    setattr(owner, row.method, patched)
    _patched.append((owner, row.method, original, patched))


def _wrapper(row: Row) -> Callable[..., Any]:
    if row.shape is None:
        return direct.wrapper(is_async=row.is_async)
    if row.method in _OPENING:
        opened = cast("ConnectionShape", row.shape)
        of = connections.async_wrapper if row.is_async else connections.sync_wrapper
        return of(opened)
    return calls.async_wrapper(row.shape) if row.is_async else calls.sync_wrapper(row.shape)


def _missing(row: Row) -> None:
    if row.optional:
        _logger.debug("This version of openai has no %s: it is not told.", row.title)
    else:
        guard.warn_once(
            row.title, "openai has no %s where tokentrail looks for it: not told.", row.title
        )


def _parent(function: object) -> object:
    """Return what a wrapper was bound from.

    Who takes a wrapper of their own off ours puts back what the class gave for ours: ours, bound.
    """
    return getattr(function, "_self_parent", None)


def _is_ours(function: object, patched: _Patched) -> bool:
    return function is patched or _parent(function) is patched


def is_patched(function: object) -> bool:
    """Whether our wrapper is anywhere in ``function``."""
    seen = 0
    while function is not None and seen < 100:  # noqa: PLR2004 - deeper is a loop
        if isinstance(function, _Patched) or isinstance(_parent(function), _Patched):
            return True
        function = getattr(function, "__wrapped__", None)
        seen += 1
    return False
