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
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import wrapt

from tokentrail.apis.values import nonempty_str
from tokentrail.runtime import runtime
from tokentrail.support import guard
from tokentrail.support.coroutines import Pending, named_as
from tokentrail.websocket.session import WebSocketSession

if TYPE_CHECKING:
    from tokentrail.apis.responses.connection import ConnectionAdapter

_Method = Any
"""The client's own function, bound."""
_Hooking = Callable[[WebSocketSession], Callable[..., Any]]
"""Makes a hook for what is in flight."""

_sessions: weakref.WeakSet[WebSocketSession] = weakref.WeakSet()


def sync_wrapper(adapter: ConnectionAdapter) -> Callable[..., Any]:
    """Return wrapt's wrapper for a function that opens a connection."""

    def enter(
        wrapped: _Method, manager: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        connection = wrapped(*args, **kwargs)
        _opened(connection, manager, adapter, _send)
        return connection

    return enter


def async_wrapper(adapter: ConnectionAdapter) -> Callable[..., Any]:
    """Return wrapt's wrapper for a function that returns a coroutine that opens a connection."""

    async def entered(pending: Pending, manager: object) -> object:
        connection = await pending.coroutine
        _opened(connection, manager, adapter, _send_later)
        return connection

    def enter(
        wrapped: _Method, manager: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        coroutine = wrapped(*args, **kwargs)
        return named_as(coroutine, entered(Pending(coroutine), manager))

    return enter


def release() -> None:
    """Restore connections on which nothing is in flight; the others are restored later."""
    for session in list(_sessions):
        if session.idle:
            session.leave()


def _opened(
    connection: object, manager: object, adapter: ConnectionAdapter, send: _Hooking
) -> None:
    with guard.shield("connection"):
        if runtime.current() is not None:
            opened = adapter.opened(nonempty_str(_of(manager, "model")))
            _place(WebSocketSession(opened, _of(manager, "client")), connection, send)


def _of(manager: object, name: str) -> object:
    """Return the arguments of a manager, which it keeps in private fields."""
    kept = (value for key, value in vars(manager).items() if key.endswith(f"Manager__{name}"))
    return next(kept, None)


class _Hook(wrapt.FunctionWrapper):  # type: ignore[misc, type-arg, unused-ignore]
    """A method of a connection wrapped by ours, with the original's name and signature."""


def _parse(session: WebSocketSession) -> Callable[..., Any]:
    def parse_event(
        wrapped: _Method, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        event = wrapped(*args, **kwargs)
        try:
            session.seen(event)
        except Exception as error:  # noqa: BLE001 - the event is the application's
            guard.internal_error("event", error)
        return event

    return parse_event


def _receive(session: WebSocketSession) -> Callable[..., Any]:
    def recv_bytes(
        wrapped: _Method, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        return _trying(wrapped, args, kwargs, session.raised)

    return recv_bytes


def _close(session: WebSocketSession) -> Callable[..., Any]:
    def close(wrapped: _Method, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        with guard.shield("close of a connection"):
            session.closed()
        return wrapped(*args, **kwargs)

    return close


def _send(session: WebSocketSession) -> Callable[..., Any]:
    def send(wrapped: _Method, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        return _trying(wrapped, args, kwargs, _asking(session, args, kwargs))

    return send


def _send_later(session: WebSocketSession) -> Callable[..., Any]:
    """Return the hook for an async ``send``: nothing is sent before it is awaited."""

    async def sent(pending: Pending, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        return await _trying_later(pending, _asking(session, args, kwargs))

    def send(wrapped: _Method, _: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        coroutine = wrapped(*args, **kwargs)
        return named_as(coroutine, sent(Pending(coroutine), args, kwargs))

    return send


def _asking(
    session: WebSocketSession, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[BaseException], None]:
    """Read an event before it is sent; return a function to call if sending fails."""
    with guard.shield("request over a connection"):
        asked = session.asked(args[0] if args else kwargs.get("event"))
        if asked is not None:
            return partial(session.unsent, *asked)
    return _ignore


def _ignore(error: BaseException) -> None:
    """Do nothing: the event requested no response."""


_HOOKS: dict[str, _Hooking] = {"parse_event": _parse, "recv_bytes": _receive, "close": _close}


def _place(session: WebSocketSession, connection: object, send: _Hooking) -> None:
    """Install the hooks on a connection, until the session leaves it."""
    hooks = _HOOKS if session.adapter.asks is None else {**_HOOKS, "send": send}
    for name, make in hooks.items():
        setattr(connection, name, _Hook(getattr(connection, name), make(session)))
    session.leave = partial(_remove, weakref.ref(connection))
    _sessions.add(session)


def _remove(reference: Callable[[], object]) -> None:
    """Remove the hooks, except those that somebody else has wrapped."""
    connection = reference()
    for name in (*_HOOKS, "send") if connection is not None else ():
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
