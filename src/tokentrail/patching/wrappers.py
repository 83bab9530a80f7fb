"""What is put around a method of the client: two thin wrappers, plain and async.

They start an observed call, make the call with the span current, and hand the answer over to be
observed. Whatever goes wrong in that, the call itself is made and its answer or error is the
application's.

Two methods below every call are wrapped too, for what the client's own HTTP exchanges say of it:
tries that it repeats, headers of answers. Nothing is read there but what went wrong with a try; the
headers are kept as they are until the points of the call are recorded.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import wrapt

from tokentrail.patching import raw_requests, streams
from tokentrail.patching.request import SentCall, read_arguments
from tokentrail.runtime import runtime
from tokentrail.support import guard
from tokentrail.support.coroutines import Pending, named_as
from tokentrail.telemetry.context import ENCLOSING, context_to_instrument

if TYPE_CHECKING:
    from tokentrail.apis import ApiAdapter
    from tokentrail.patching.request import CallArguments

_DIRECT_REQUEST_SHIELD = guard.shield("direct request")
_REQUEST_SHIELD = guard.shield("request")
_START_SHIELD = guard.shield("start")
_SECOND_TRY_SHIELD = guard.shield("second try")
_FAILURE_SHIELD = guard.shield("failure")
_ANSWER_SHIELD = guard.shield("answer")
_RETRY_SHIELD = guard.shield("retry")
"""Made once: each takes as long to make as to enter. What every call passes has an ``except`` that
asks them, which takes no time where nothing is raised."""

_OF_MODELS: Final = "__pydantic_fields_set__"
"""What classes of whole answers have, and no stream, raw answer or proxy of another's."""
_Method = Any
"""The client's own function, bound."""


class _Bare:
    """A wrapper that is copied, pickled and shown as what it is around.

    Annotations or a ``__dict__`` of its own would stand before those of the method.
    """

    __slots__ = ()
    __copy__ = __deepcopy__ = None  # wrapt's raise; without them ``copy`` asks as ``pickle`` does

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)

    def __repr__(self: Any) -> str:
        return repr(self.__wrapped__)


class _Bound(_Bare, wrapt.BoundFunctionWrapper):  # type: ignore[misc, type-arg, unused-ignore]
    """The method of one object."""


class PatchedMethod(_Bare, wrapt.FunctionWrapper):  # type: ignore[misc, type-arg, unused-ignore]
    """A method of the client with our wrapper around it; its class gives this very one."""

    __bound_function_wrapper__ = _Bound

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else super().__get__(instance, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method on its first argument."""
        if not args:
            return self.__wrapped__(**kwargs)  # which refuses it in its own words
        return super().__get__(None, type(args[0]))(*args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__qualname__  # by its name, as functions are


class PatchedSeam(wrapt.FunctionWrapper):  # type: ignore[misc, type-arg, unused-ignore]
    """A private method of the client with our wrapper around it: nobody looks at its class."""


class SyncWrapper:
    """wrapt's wrapper for a plain method whose calls ``adapter`` reads."""

    __slots__ = ("_adapter",)

    def __init__(self, adapter: ApiAdapter) -> None:
        self._adapter = adapter

    def __call__(
        self, wrapped: _Method, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Make the call."""
        arguments = _read(self._adapter, instance, args, kwargs)
        if arguments is None:
            return wrapped(*args, **kwargs)
        sent, answer = SentCall(arguments), None
        try:
            if not _start(sent):
                return wrapped(*args, **arguments.retryable)
            retry = None
            try:
                answer = wrapped(*args, **arguments.sent)
            except Exception as error:
                retry = _retry_kwargs(sent, error)
                if retry is None:
                    raise
            # Out here, so that what this raises has not the first error in its context.
            if retry is not None:
                answer = wrapped(*args, **retry)
            _on_answer(sent, answer)
        except BaseException as error:
            _on_error(sent, error)
            raise
        finally:
            if sent.is_under_way:  # a signal came while that was noted
                _leave(sent)
        return answer


class AsyncWrapper:
    """wrapt's wrapper for a method that returns a coroutine.

    The client's own coroutine is made at once, so that what it refuses, it refuses at the call;
    the span starts when ours is awaited, which may be much later or never.
    """

    __slots__ = ("_adapter",)

    def __init__(self, adapter: ApiAdapter) -> None:
        self._adapter = adapter

    def __call__(
        self, wrapped: _Method, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Make the coroutine."""
        arguments = _read(self._adapter, instance, args, kwargs)
        if arguments is None:
            return wrapped(*args, **kwargs)
        try:
            coroutine = wrapped(*args, **arguments.sent)
        except BaseException as error:
            _on_refused(arguments, error)
            raise
        if not hasattr(coroutine, "cr_code"):
            return coroutine
        return named_as(coroutine, _awaited(_Sending(wrapped, args, coroutine), arguments))


async def _awaited(pending: _Sending, arguments: CallArguments) -> object:
    sent, answer = SentCall(arguments), None
    try:
        if not _start_in_this_context(sent):
            return await pending.without_us(arguments)
        retry = None
        try:  # as in the plain wrapper
            answer = await pending.coroutine
        except Exception as error:
            retry = _retry_kwargs(sent, error)
            if retry is None:
                raise
        if retry is not None:
            answer = await pending.wrapped(*pending.args, **retry)
        _on_answer(sent, answer)
    except BaseException as error:
        _on_error(sent, error)
        raise
    finally:
        if sent.is_under_way:
            _leave(sent)
    return answer


class _Sending(Pending):
    """The client's coroutine, and what it takes to make another."""

    __slots__ = ("args", "wrapped")

    def __init__(self, wrapped: _Method, args: tuple[Any, ...], coroutine: Any) -> None:
        super().__init__(coroutine)
        self.wrapped = wrapped
        self.args = args

    def without_us(self, arguments: CallArguments) -> Any:
        """Return the client's coroutine for what the application itself asked."""
        if arguments.usage_injected:
            self.coroutine.close()
            self.coroutine = self.wrapped(*self.args, **arguments.retryable)
        return self.coroutine


class RawRequestWrapper:
    """wrapt's wrapper for ``request`` of a client of either kind."""

    __slots__ = ("_by_path",)

    def __init__(self, *, is_async: bool) -> None:
        make = AsyncWrapper if is_async else SyncWrapper
        self._by_path = {path: make(adapter) for path, adapter in raw_requests.PATHS.items()}

    def __call__(
        self, wrapped: _Method, client: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Make the request, recorded as a call unless it is inside one."""
        active = runtime.active
        if active is None:
            return wrapped(*args, **kwargs)
        posted = None
        try:
            enclosing = ENCLOSING.get()
            if enclosing is None or enclosing.client is not client:
                posted = raw_requests.posted_call(active, wrapped, client, args, kwargs)
            elif enclosing.body_reader is not None and len(args) > 1:
                parse = getattr(args[1], "post_parser", None)
                if callable(parse):
                    args = raw_requests.show_body(enclosing.body_reader, parse, args)
        except BaseException as error:
            if not _DIRECT_REQUEST_SHIELD.takes(error):
                raise
        if posted is None:
            return wrapped(*args, **kwargs)
        holder = raw_requests.ClientHolder(client, posted.endpoint)
        return self._by_path[posted.path](posted, holder, (), posted.asked)


def _read(
    adapter: ApiAdapter, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> CallArguments | None:
    """Read a call before it is made; ``None`` if it is not to be recorded."""
    active = runtime.active
    if active is None:
        return None
    try:
        client = getattr(instance, "_client", None)
        context = context_to_instrument(client)
        if context is not None:
            posted = type(instance) is raw_requests.ClientHolder
            endpoint = instance.endpoint if posted else None
            return read_arguments(active, adapter, (client, endpoint), context, args, kwargs)
    except BaseException as error:
        if not _REQUEST_SHIELD.takes(error):
            raise
    return None


def _start(sent: SentCall) -> bool:
    """Start a call; return whether that went well."""
    try:
        sent.start()
    except BaseException as error:
        if not _START_SHIELD.takes(error):
            raise
    return sent.telemetry is not None


def _start_in_this_context(sent: SentCall) -> bool:
    """Start a call that was read before, perhaps elsewhere, if it is wanted here."""
    arguments = sent.arguments
    with _START_SHIELD:
        context = context_to_instrument(arguments.client)
        if context is not None:
            arguments.context = context
            return _start(sent)
    return False


def _retry_kwargs(sent: SentCall, error: Exception) -> dict[str, Any] | None:
    with _SECOND_TRY_SHIELD:
        return sent.retry_kwargs(error)
    return None


def _on_refused(arguments: CallArguments, error: BaseException) -> None:
    """Record a call that the client refused before it made a coroutine, as the plain wrapper."""
    sent = SentCall(arguments)
    if _start(sent):
        _on_error(sent, error)


def _on_error(sent: SentCall, error: BaseException) -> None:
    with _FAILURE_SHIELD:
        try:
            if sent.call is not None:
                sent.call.on_error(error)
                sent.call.discard_cut_off()
        finally:
            sent.detach()


def _leave(sent: SentCall) -> None:
    with _FAILURE_SHIELD:
        sent.detach()


def _on_answer(sent: SentCall, answer: object) -> None:
    call = sent.call
    try:
        sent.detach()
        if sent.arguments.runtime.settings.response_hook is not None or sent.is_refused:
            sent.on_success(answer)
        if call is not None:
            if hasattr(type(answer), _OF_MODELS):
                call.on_response(answer)
            else:
                streams.observe(answer, call, sent.arguments.usage_filter)
    except BaseException as error:
        if call is not None and isinstance(error, Exception):
            with suppress(Exception):
                call.on_stream_end()
        if not _ANSWER_SHIELD.takes(error):
            raise


def on_processed(
    wrapped: _Method, client: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> object:
    """Keep the headers of an answer for the call that it belongs to; wrapt's wrapper.

    One function and no shield, since every call comes by: nothing here can raise.
    """
    call = ENCLOSING.get()
    if call is not None and call.client is client and call.body_reader is not None:
        call.body_reader.headers = getattr(kwargs.get("response"), "headers", None)
    return wrapped(*args, **kwargs)


def on_retry(
    wrapped: _Method, client: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> object:
    """Note that the client tries a call again, and why; wrapt's wrapper.

    It works out how long to wait while it handles what went wrong.
    """
    with _RETRY_SHIELD:
        call, error = ENCLOSING.get(), sys.exc_info()[1]
        if call is not None and call.client is client and call.body_reader is not None:
            call.body_reader.retries = (*call.body_reader.retries, _cause(error))
    return wrapped(*args, **kwargs)


def _cause(error: BaseException | None) -> str:
    """Return the status of a refusal, ``timeout``, or the class of what else went wrong."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if type(status) is int:
        return str(status)
    if error is None:
        return "_OTHER"
    kind = type(error)
    if "Timeout" in kind.__name__:
        return "timeout"
    return f"{kind.__module__}.{kind.__qualname__}"
