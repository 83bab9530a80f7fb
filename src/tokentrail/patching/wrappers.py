"""The two thin wrappers around a method of the client, plain and async.

They start a recorder, make the call with the span current, and hand the answer over to be
observed. Whatever goes wrong in that, the call itself is made and its answer or error is the
application's.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tokentrail.patching import include_usage, streams
from tokentrail.patching.coroutines import Pending, named_as
from tokentrail.patching.request import Prepared, prepare
from tokentrail.support import guard
from tokentrail.telemetry.emitter import wanting

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokentrail.apis import ApiAdapter
    from tokentrail.runtime.runtime import Engine

engine: Engine | None = None
"""What is in force between instrument() and uninstrument(); a wrapper without one is the bare
method."""

_Method = Any
"""The client's own function, bound."""


def sync_wrapper(shape: ApiAdapter) -> Callable[..., Any]:
    """Return wrapt's wrapper for a plain method."""

    def call(
        wrapped: _Method, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        prepared = _prepare(shape, instance, args, kwargs)
        if prepared is None:
            return wrapped(*args, **kwargs)
        if not _start(prepared):
            return wrapped(*args, **prepared.bare)
        answer: object = None
        try:
            again = None
            try:
                answer = wrapped(*args, **prepared.kwargs)
            except Exception as error:
                again = _again(prepared, error)
                if again is None:
                    raise
            # Out here, so that what this raises has not the first error in its context.
            if again is not None:
                answer = wrapped(*args, **again)
        except BaseException as error:
            _failed(prepared, error)
            raise
        _answered(prepared, answer)
        return answer

    return call


def async_wrapper(shape: ApiAdapter) -> Callable[..., Any]:
    """Return wrapt's wrapper for a method that returns a coroutine.

    The client's own coroutine is made at once, so that what it refuses, it refuses at the call;
    the span starts when ours is awaited, which may be much later or never.
    """

    def call(
        wrapped: _Method, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        prepared = _prepare(shape, instance, args, kwargs)
        if prepared is None:
            return wrapped(*args, **kwargs)
        try:
            coroutine = wrapped(*args, **prepared.kwargs)
        except BaseException as error:
            _refused(prepared, error)
            raise
        if not hasattr(coroutine, "cr_code"):
            return coroutine
        return named_as(coroutine, _awaited(_Sending(wrapped, args, coroutine), prepared))

    return call


async def _awaited(pending: _Sending, prepared: Prepared) -> object:
    if not _start(prepared, later=True):
        return await pending.bare(prepared)
    answer: object = None
    try:
        again = None
        try:  # as in the plain wrapper
            answer = await pending.coroutine
        except Exception as error:
            again = _again(prepared, error)
            if again is None:
                raise
        if again is not None:
            answer = await pending.wrapped(*pending.args, **again)
    except BaseException as error:
        _failed(prepared, error)
        raise
    _answered(prepared, answer)
    return answer


class _Sending(Pending):
    """The client's coroutine, and what it takes to make another."""

    __slots__ = ("args", "wrapped")

    def __init__(self, wrapped: _Method, args: tuple[Any, ...], coroutine: Any) -> None:  # noqa: ANN401
        super().__init__(coroutine)
        self.wrapped = wrapped
        self.args = args

    def bare(self, prepared: Prepared) -> Any:  # noqa: ANN401 - a coroutine of the client
        """Return the client's coroutine for what the application itself asked."""
        if prepared.asked:
            self.coroutine.close()
            self.coroutine = self.wrapped(*self.args, **prepared.bare)
        return self.coroutine


def _prepare(
    shape: ApiAdapter,
    instance: object,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Prepared | None:
    """Read a call before it is made; ``None`` if it is not to be told."""
    active = engine
    if active is None:
        return None
    try:
        client = getattr(instance, "_client", None)
        context = wanting(client)
        if context is None:
            return None
        return prepare(active, shape, client, context, args, kwargs)
    except Exception as error:  # noqa: BLE001 - the call must be made
        guard.internal_error("request", error)
        return None


def _start(prepared: Prepared, *, later: bool = False) -> bool:
    """Start to tell the call; ``later``: perhaps in another context than it was read in."""
    try:
        if later:
            context = wanting(prepared.client)
            if context is None:
                return False
            prepared.context = context
        prepared.start()
    except Exception as error:  # noqa: BLE001 - the call must be made
        guard.internal_error("start", error)
    return prepared.telling is not None


def _again(prepared: Prepared, error: Exception) -> dict[str, Any] | None:
    try:
        return prepared.again(error)
    except Exception as ours:  # noqa: BLE001 - the application gets its own error
        guard.internal_error("second try", ours)
        return None


def _refused(prepared: Prepared, error: BaseException) -> None:
    """Tell a call that the client refused before it made a coroutine, as in the plain wrapper."""
    if _start(prepared):
        _failed(prepared, error)


def _failed(prepared: Prepared, error: BaseException) -> None:
    try:
        try:
            if prepared.recorder is not None:
                prepared.recorder.failed(error)
        finally:
            prepared.leave()
            prepared.recorder = None  # which knows of it: two that hold each other live on
    except Exception as ours:  # noqa: BLE001 - the application gets its own error
        guard.internal_error("failure", ours)


def _answered(prepared: Prepared, answer: object) -> None:
    recorder, prepared.recorder = prepared.recorder, None  # as above
    try:
        prepared.leave()
        if prepared.engine.settings.response_hook is not None or prepared.refused:
            prepared.answered(answer)
        if recorder is not None:
            conceal = include_usage.conceal if prepared.asked else None
            streams.observe(answer, recorder, conceal)
    except Exception as error:  # noqa: BLE001 - the application gets its answer
        with suppress(Exception):
            if recorder is not None:
                recorder.exhausted()
        guard.internal_error("answer", error)
