"""The wrappers around methods of the client: thin ones, plain and async.

A wrapper starts an observed call, makes the call with the span current, and has the answer
observed. If any of this fails, the call is made nevertheless, and the application gets its answer
or error.

Two private methods below every call are wrapped as well, to see the client's HTTP exchanges: its
retries, and the headers of answers. Of a retry only the error before it is read. The headers are
kept unread until the metric points of the call are recorded.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from types import MethodType
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
"""Created once: creating a shield takes as long as entering it. Code that every call runs uses
``except`` and then asks the shield, which costs no time if nothing is raised."""

_OF_MODELS: Final = "__pydantic_fields_set__"
"""An attribute of the classes of whole answers; streams, raw answers and proxies lack it."""
_Method = Any
"""The bound function of the client."""


class _Bare:
    """A wrapper that is copied, pickled and printed like the function inside it.

    It has no annotations and no ``__dict__``: they would hide those of the method.
    """

    __slots__ = ()
    __copy__ = __deepcopy__ = None  # wrapt's raise; without them ``copy`` works like ``pickle``

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        return self.__wrapped__.__reduce_ex__(protocol)

    def __repr__(self: Any) -> str:
        return repr(self.__wrapped__)


class _Bound(_Bare, wrapt.BoundFunctionWrapper):  # type: ignore[misc, type-arg, unused-ignore]
    """The method of one object."""


class PatchedMethod(_Bare, wrapt.FunctionWrapper):  # type: ignore[misc, type-arg, unused-ignore]
    """A method of the client with our wrapper; read from the class, it returns itself."""

    __bound_function_wrapper__ = _Bound

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else super().__get__(instance, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method on its first argument."""
        if not args:
            return self.__wrapped__(**kwargs)  # raises the error of the original
        return super().__get__(None, type(args[0]))(*args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__qualname__  # pickled by name, as functions are


class PatchedSeam:
    """A private method of the client with lines of ours before it.

    It does not look like the method, as a wrapper of wrapt does, and takes a third of its time.
    """

    __slots__ = ("__wrapped__",)

    def __init__(self, original: _Method) -> None:
        self.__wrapped__ = original

    def __get__(self: Any, client: object, owner: Any = None) -> Any:
        return self if client is None else MethodType(self, client)


class AnswerSeam(PatchedSeam):
    """Keeps the headers of an answer for its call.

    Every call runs this, so it is one function without a shield: nothing here can raise.
    """

    __slots__ = ()

    def __call__(self, client: object, *args: Any, **kwargs: Any) -> Any:
        """Process the answer."""
        call = ENCLOSING.get()
        if call is not None and call.client is client and call.body_reader is not None:
            call.body_reader.headers = getattr(kwargs.get("response"), "headers", None)
        return self.__wrapped__(client, *args, **kwargs)


class RetrySeam(PatchedSeam):
    """Notes that the client retries a call, and why.

    The client calculates the wait while it handles the error, so the error is at hand here.
    """

    __slots__ = ()

    def __call__(self, client: object, *args: Any, **kwargs: Any) -> Any:
        """Return the seconds to wait."""
        with _RETRY_SHIELD:
            call, error = ENCLOSING.get(), sys.exc_info()[1]
            if call is not None and call.client is client and call.body_reader is not None:
                call.body_reader.retries = (*call.body_reader.retries, _cause(error))
        return self.__wrapped__(client, *args, **kwargs)


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
            # Outside the handler, so that an error from here has no first error as its context.
            if retry is not None:
                answer = wrapped(*args, **retry)
            _on_answer(sent, answer)
        except BaseException as error:
            _on_error(sent, error)
            raise
        finally:
            if sent.is_under_way:  # a signal interrupted the recording
                _leave(sent)
        return answer


class AsyncWrapper:
    """wrapt's wrapper for a method that returns a coroutine.

    The client's own coroutine is created at once, so that the client raises errors at the call, as
    usual. The span starts when our coroutine is awaited, which may be much later or never.
    """

    __slots__ = ("_adapter",)

    def __init__(self, adapter: ApiAdapter) -> None:
        self._adapter = adapter

    def __call__(
        self, wrapped: _Method, instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> object:
        """Return the coroutine of the call."""
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
    """The client's coroutine, with what is needed to create another."""

    __slots__ = ("args", "wrapped")

    def __init__(self, wrapped: _Method, args: tuple[Any, ...], coroutine: Any) -> None:
        self.coroutine = coroutine  # as the __init__ of the base class, without the call
        self.wrapped = wrapped
        self.args = args

    def without_us(self, arguments: CallArguments) -> Any:
        """Return the client's coroutine for the application's own arguments."""
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
        """Make the request, and record it as a call unless it is inside one."""
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
    """Read a call before it is made; ``None`` if it is not recorded."""
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
    """Start a call; return whether that succeeded."""
    try:
        sent.start()
    except BaseException as error:
        if not _START_SHIELD.takes(error):
            raise
    return sent.telemetry is not None


def _start_in_this_context(sent: SentCall) -> bool:
    """Start a call that was read earlier, if it is recorded in the current context."""
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
    """Record, as the plain wrapper does, a call refused before the client created a coroutine."""
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


def _cause(error: BaseException | None) -> str:
    """Return the HTTP status of an error, ``timeout``, or the class name of the error."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if type(status) is int:
        return str(status)
    if error is None:
        return "_OTHER"
    kind = type(error)
    if "Timeout" in kind.__name__:
        return "timeout"
    return f"{kind.__module__}.{kind.__qualname__}"
