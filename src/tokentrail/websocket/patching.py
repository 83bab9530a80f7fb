"""Responses over a WebSocket: observed on the connection that openai made.

A connection lives as long as the application likes and has no span. Each response on it has one: it
starts with the request, or with the server's event that the response begins, and ends with its last
event, or else with the connection. Its parent is the application's context when that first event
was read or sent. No span is made current.

On the connection three or four methods are replaced: ``parse_event``, which every way to read
calls, ``recv_bytes`` for its errors, ``close``, and ``send`` if responses are requested by it.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any

import wrapt

from tokentrail.apis.values import nonempty_str
from tokentrail.runtime import runtime
from tokentrail.support import guard
from tokentrail.support.coroutines import Pending, named_as
from tokentrail.websocket.session import WebSocketSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokentrail.apis.responses.connection import ConnectionAdapter

_Method = Any
"""The client's own function, bound."""

_sessions: weakref.WeakSet[WebSocketSession] = weakref.WeakSet()


class SyncOpening:
    """wrapt's wrapper for a function that opens a connection."""

    __slots__ = ("_adapter",)

    def __init__(self, adapter: ConnectionAdapter) -> None:
        self._adapter = adapter

    def __call__(
        self, wrapped: _Method, manager: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Open the connection."""
        connection = wrapped(*args, **kwargs)
        _opened(connection, manager, self._adapter, is_async=False)
        return connection


class AsyncOpening:
    """wrapt's wrapper for a function that returns a coroutine that opens a connection."""

    __slots__ = ("_adapter",)

    def __init__(self, adapter: ConnectionAdapter) -> None:
        self._adapter = adapter

    def __call__(
        self, wrapped: _Method, manager: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Make the coroutine."""
        coroutine = wrapped(*args, **kwargs)
        return named_as(coroutine, self._entered(Pending(coroutine), manager))

    async def _entered(self, pending: Pending, manager: object) -> object:
        connection = await pending.coroutine
        _opened(connection, manager, self._adapter, is_async=True)
        return connection


def release() -> None:
    """Restore connections on which nothing is in flight; the others are restored later."""
    for session in list(_sessions):
        if session.idle:
            session.leave()


def _opened(
    connection: object, manager: object, adapter: ConnectionAdapter, *, is_async: bool
) -> None:
    with guard.shield("connection"):
        if runtime.current() is not None:
            opened = adapter.opened(nonempty_str(_of(manager, "model")))
            session = WebSocketSession(opened, _of(manager, "client"))
            _place(session, connection, is_async=is_async)


def _of(manager: object, name: str) -> object:
    """Return the arguments of a manager, which it keeps in private fields."""
    kept = (value for key, value in vars(manager).items() if key.endswith(f"Manager__{name}"))
    return next(kept, None)


class _Hook(wrapt.FunctionWrapper):  # type: ignore[misc, type-arg, unused-ignore]
    """A method of a connection wrapped by ours, with the original's name and signature."""


class _Hooks:
    """What is put around the methods of one connection: each is wrapt's wrapper."""

    __slots__ = ("_session",)

    def __init__(self, session: WebSocketSession) -> None:
        self._session = session

    def parse_event(
        self, wrapped: _Method, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Record the event that the application is about to receive."""
        event = wrapped(*args, **kwargs)
        try:
            self._session.seen(event)
        except Exception as error:  # noqa: BLE001 - the event is the application's
            guard.internal_error("event", error)
        return event

    def recv_bytes(
        self, wrapped: _Method, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Receive; an error ends what is in flight."""
        return _trying(wrapped, args, kwargs, self._session.raised)

    def close(
        self, wrapped: _Method, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Note that the application closes the connection."""
        with guard.shield("close of a connection"):
            self._session.closed()
        return wrapped(*args, **kwargs)

    def send(
        self, wrapped: _Method, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Read the event, then send it."""
        return _trying(wrapped, args, kwargs, _Unsent(self._session, args, kwargs))

    def send_later(
        self, wrapped: _Method, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Make the coroutine of an async ``send``: nothing is sent before it is awaited."""
        coroutine = wrapped(*args, **kwargs)
        return named_as(coroutine, self._sent(Pending(coroutine), args, kwargs))

    async def _sent(
        self, pending: Pending, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        return await _trying_later(pending, _Unsent(self._session, args, kwargs))


class _Unsent:
    """An event, read before it is sent; called with the error if that fails."""

    __slots__ = ("_asked", "_session")

    def __init__(
        self, session: WebSocketSession, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._session = session
        self._asked = None
        """What was requested by it, if anything."""
        with guard.shield("request over a connection"):
            self._asked = session.asked(args[0] if args else kwargs.get("event"))

    def __call__(self, error: BaseException) -> None:
        """Record that what was requested was not sent."""
        if self._asked is not None:
            self._session.unsent(*self._asked, error)


_HOOKED = ("parse_event", "recv_bytes", "close")


def _place(session: WebSocketSession, connection: object, *, is_async: bool) -> None:
    """Install the hooks on a connection, until the session leaves it."""
    made = _Hooks(session)
    hooks = {name: getattr(made, name) for name in _HOOKED}
    if session.adapter.asks is not None:
        hooks["send"] = made.send_later if is_async else made.send
    for name, hook in hooks.items():
        setattr(connection, name, _Hook(getattr(connection, name), hook))
    session.leave = partial(_remove, weakref.ref(connection))
    _sessions.add(session)


def _remove(reference: Callable[[], object]) -> None:
    """Remove the hooks, except those that somebody else has wrapped."""
    connection = reference()
    for name in (*_HOOKED, "send") if connection is not None else ():
        if type(vars(connection).get(name)) is _Hook:
            delattr(connection, name)


def _trying(
    wrapped: _Method,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    failed: Callable[[BaseException], None],
) -> object:
    """Call a plain or coroutine function of the client; ``failed`` gets any exception."""
    try:
        answer = wrapped(*args, **kwargs)
    except BaseException as error:
        _note(failed, error)
        raise
    if hasattr(answer, "cr_code"):
        return named_as(answer, _trying_later(Pending(answer), failed))
    return answer


async def _trying_later(pending: Pending, failed: Callable[[BaseException], None]) -> object:
    try:
        return await pending.coroutine
    except BaseException as error:
        _note(failed, error)
        raise


def _note(failed: Callable[[BaseException], None], error: BaseException) -> None:
    with guard.shield("error of a connection"):
        failed(error)
