"""Observes answers that arrive over time, on the objects that openai created.

The application's objects are hooked at exactly three places: a stream's ``_iterator``, a response's
``close`` / ``aclose`` and a raw answer's ``parse``. The hooks are removed when the call ends. A
stream can end in many ways: by its own ``close``, by a helper that calls ``response.close()``, by
exhaustion, by an error, or by garbage collection. The three hooks together see all of them.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

import wrapt

from tokentrail.apis import http_body, http_metadata
from tokentrail.support import guard
from tokentrail.support.coroutines import Pending, named_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from tokentrail.call.observed_call import ObservedCall
    from tokentrail.patching.include_usage import UsageFilter


_PROXY: Any = getattr(wrapt, "BaseObjectProxy", wrapt.ObjectProxy)
"""The proxy class of other instrumentations; its name depends on the release of wrapt."""


def observe(answer: object, call: ObservedCall, usage_filter: UsageFilter | None = None) -> None:
    """Report the progress of ``answer``, of any kind, to ``call``.

    A stream is observed chunk by chunk, a raw answer until it is parsed or closed. Anything else is
    a whole answer and ends the call. ``usage_filter`` hides from the application the usage that
    only our option caused; it is recorded nevertheless. If another instrumentation wrapped the
    answer, the object inside is observed, so that its hooks and ours see the same chunks.
    """
    answer, fields = _unwrapped(answer)
    if "_iterator" in fields and "response" in fields:
        response = fields["response"]
        call.recorder.on_stream_opened()
        call.recorder.on_response_headers(response)
        hooks = StreamHooks(response, call, is_stream=True, usage_filter=usage_filter)
        _observe_stream(answer, hooks)
    elif "http_response" in fields and hasattr(answer, "parse"):
        _observe_raw(answer, fields, call)
    else:
        call.on_response(answer)


def call_of(stream: object) -> ObservedCall | None:
    """Return the call of an open or exhausted stream, including the client's helper streams."""
    for holder in (stream, getattr(stream, "_raw_stream", None)):
        inner = _unwrapped(holder)[1].get("_iterator")
        if isinstance(inner, ObservedIterator):
            return inner.hooks.call
    return None


def _unwrapped(answer: object) -> tuple[Any, dict[str, Any]]:
    """Return openai's own object inside the wrappers of others, and its attributes."""
    while isinstance(answer, _PROXY):
        answer = answer.__wrapped__
    fields = _attributes(answer)
    if "stream" in fields:  # a class of opentelemetry-instrumentation-openai-v2
        held = fields["stream"]
        if "_iterator" in _attributes(held):
            return held, _attributes(held)
    return answer, fields


def _attributes(thing: object) -> dict[str, Any]:
    return getattr(thing, "__dict__", None) or {}


def _observe_stream(stream: Any, hooks: StreamHooks) -> None:
    inner = stream._iterator  # noqa: SLF001 - the seam
    if isinstance(inner, ObservedIterator):
        return
    stream._iterator = (  # noqa: SLF001 - the seam
        AsyncObservedIterator(inner, inner.__anext__, hooks)
        if hasattr(inner, "__anext__")
        else SyncObservedIterator(inner, inner.__next__, hooks)
    )
    hooks.on_stream_observed()


def _observe_raw(raw: Any, fields: dict[str, Any], call: ObservedCall) -> None:
    response = fields["http_response"]
    call.recorder.on_response_headers(response)
    is_stream = bool(fields.get("_stream") or fields.get("_is_sse_stream"))
    if not is_stream and "_content" in vars(response):
        call.on_response(http_body.parse_body(vars(response)["_content"]))
        return
    call.recorder.on_stream_opened()
    hooks = StreamHooks(response, call, is_stream=is_stream)
    hooks.place(raw, "parse", _Parse(raw.parse, hooks))


class Phase(Enum):
    """The state of an answer that arrives over time.

    ========= ================================================= ======================
    phase     event                                             next
    ========= ================================================= ======================
    UNPARSED  a raw answer is parsed as a stream                OBSERVED
    UNPARSED  it is parsed as a whole                           ENDED (response)
    UNPARSED  the application reads a stream's body to its end  ENDED (unread)
    UNPARSED  it reads another body to its end                  READ
    UNPARSED  it is closed, or dropped                          ENDED (see _on_unparsed_end)
    READ      it is parsed as a whole                           ENDED (response)
    READ      it is closed, or dropped                          ENDED (response, else unread)
    OBSERVED  the iterator ends                                 ENDED (stream's end)
    OBSERVED  the iterator raises                               ENDED (error)
    OBSERVED  it is closed or collected between two chunks      ENDED (closed; error, if the
                                                                client's helper raised it)
    OBSERVED  it is closed while the client pulls a chunk,      CLOSING
              and not because of an error
    CLOSING   the iterator ends                                 ENDED (stream's end)
    CLOSING   the iterator raises, or is closed again           ENDED (closed)
    ========= ================================================= ======================

    A stream starts as OBSERVED, a raw answer as UNPARSED. Events after ENDED change nothing.
    """

    UNPARSED = "unparsed"
    READ = "read"
    OBSERVED = "observed"
    CLOSING = "closing"
    ENDED = "ended"


_UNPARSED, _READ, _OBSERVED, _CLOSING, _ENDED = Phase  # read often: see COMPLETED in model.records


class StreamHooks:
    """The hooks of one call on the application's objects, and the state they share."""

    __slots__ = (
        "_is_stream", "_placed", "_response", "call", "is_pulling", "phase", "usage_filter",
    )  # fmt: skip

    def __init__(
        self,
        response: object,
        call: ObservedCall,
        *,
        is_stream: bool,
        usage_filter: UsageFilter | None = None,
    ) -> None:
        self.call = call
        self.usage_filter = usage_filter
        """Hides usage that the application did not request."""
        self.is_pulling = False
        """Whether the client is pulling the next chunk; a close during that may be its own."""
        self.phase = _UNPARSED
        self._is_stream = is_stream
        self._response = response
        self._placed: list[tuple[Any, str, object]] = []
        for name in ("close", "aclose"):
            self.place(response, name, _Close(getattr(response, name), self))

    def place(self, owner: Any, name: str, hook: object) -> None:
        """Put ``hook`` on ``owner`` until the end of the call."""
        setattr(owner, name, hook)
        self._placed.append((owner, name, hook))

    def remove(self) -> None:
        """Remove the hooks, except where someone else put another one over ours."""
        placed, self._placed = self._placed, []
        for owner, name, hook in placed:
            if vars(owner).get(name) is hook:
                delattr(owner, name)

    def on_stream_observed(self) -> None:
        """Note that one of our iterators will see the end of the stream, or its collection."""
        if self.phase is not _ENDED:
            self.phase = _OBSERVED

    def on_parsed(self, answer: object) -> None:
        """Note that the application has the whole plain answer."""
        if not self._is_stream:
            self._end(partial(self.call.on_response, answer))

    def on_close(self, caller: FrameType) -> None:
        """Note that ``caller`` closes the response."""
        if self.phase is _ENDED:
            return
        error = sys.exc_info()[1]
        # An error whose traceback lacks the caller is one that the application is handling.
        passing = error if _came_by(error, caller) else None
        # GeneratorExit: the collector may be finalising a generator, so no lock may be taken.
        finalising = isinstance(error, GeneratorExit)
        if self.phase is _OBSERVED or self.phase is _CLOSING:
            self._on_observed_close(passing, error, finalising=finalising)
        elif isinstance(passing, GeneratorExit):
            self._end(partial(self.call.on_closed, finalising=True))
        elif self._was_read_in(caller) and passing is None:
            self.phase = _READ
            if self._is_stream:
                self._end(self.call.on_unread_end)
        else:
            self._on_unparsed_close(error, finalising=finalising)

    def _on_observed_close(
        self, passing: BaseException | None, error: BaseException | None, *, finalising: bool
    ) -> None:
        if self.is_pulling:
            if passing is None:
                self.phase = _CLOSING
        elif isinstance(passing, GeneratorExit):
            self._end(self.call.on_collected)
        elif error is not None and self._is_raised_by_helper(error):
            self._end(partial(self.call.on_error, error))
        else:
            self._end(partial(self.call.on_closed, finalising=finalising))

    def _is_raised_by_helper(self, error: BaseException) -> bool:
        """Whether a helper of the client raised ``error`` while reading this stream."""
        if not isinstance(error, Exception):
            return False
        for frame in _frames(error):
            raw = _attributes(frame.f_locals.get("self")).get("_raw_stream")
            if raw is not None and _attributes(raw).get("response") is self._response:
                return True
        return False

    def _was_read_in(self, frame: FrameType) -> bool:
        """Whether ``frame`` reads the body of this response."""
        reads = frame.f_code.co_name in {"iter_raw", "aiter_raw"}
        return reads and frame.f_locals.get("self") is self._response

    def _on_unparsed_close(self, error: BaseException | None, *, finalising: bool) -> None:
        """End the call of an answer that is closed without having been parsed."""
        content = vars(self._response).get("_content")
        if content is not None and not self._is_stream:
            self._end(partial(self.call.on_response, http_body.parse_body(content)))
        elif self.phase is _READ or content is not None:
            self._end(self.call.on_unread_end)
        elif error is not None and any(map(self._was_read_in, _frames(error))):
            self._end(partial(self.call.on_error, error))
        else:
            self._end(partial(self.call.on_closed, finalising=finalising))

    def on_pull_error(self, inner: object, error: BaseException) -> None:
        """Note that a pull raised. The stream has then ended, unless ``inner`` is still running.

        It still runs when two threads or tasks pull at once: one gets an error, and the stream
        continues for the other.
        """
        has_ended = isinstance(error, (StopIteration, StopAsyncIteration))
        if self.usage_filter is not None:
            if has_ended:
                self.usage_filter.on_end()
            if not self.call.recorder.has_begun:
                self.usage_filter.on_no_chunk(None if has_ended else error, self._response)
        if has_ended:
            is_page = not self.call.recorder.has_begun and http_metadata.is_page(self._response)
            self._end(partial(self.call.on_stream_end, is_page=is_page))
        elif getattr(inner, "gi_frame", None) or getattr(inner, "ag_frame", None):
            self.is_pulling = True
        elif self.phase is _CLOSING:
            self._end(self.call.on_closed)
        else:
            self._end(partial(self.call.on_error, error))

    def _end(self, end: Callable[[], None]) -> None:
        self.phase = _ENDED
        try:
            end()
        except BaseException:  # perhaps a signal
            self.call.discard_cut_off()
            raise
        finally:
            self.remove()


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames in the traceback of ``error``."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _came_by(error: BaseException | None, frame: FrameType) -> bool:
    return error is not None and any(passed is frame for passed in _frames(error))


class _Close:
    """Replaces a response's ``close`` or ``aclose``; may be called any number of times."""

    __slots__ = ("_hooks", "_original")

    def __init__(self, original: Callable[..., Any], hooks: StreamHooks) -> None:
        self._original = original
        self._hooks = hooks

    def __call__(self, *args: object, **kwargs: object) -> object:
        with guard.shield("close"):
            self._hooks.on_close(sys._getframe(1))  # noqa: SLF001 - the caller of close
        return self._original(*args, **kwargs)


class _Parse:
    """Replaces a raw answer's ``parse``, a plain or a coroutine function."""

    __slots__ = ("_hooks", "_original")

    def __init__(self, original: Callable[..., Any], hooks: StreamHooks) -> None:
        self._original = original
        self._hooks = hooks

    def __call__(self, *args: object, **kwargs: object) -> object:
        parsed = self._original(*args, **kwargs)
        if hasattr(parsed, "cr_code"):
            return named_as(parsed, self._later(Pending(parsed)))
        self._observe(parsed)
        return parsed

    async def _later(self, pending: Pending) -> object:
        parsed = await pending.coroutine
        self._observe(parsed)
        return parsed

    def _observe(self, parsed: object) -> None:
        with guard.shield("parse"):
            if "_iterator" in _attributes(parsed):
                _observe_stream(parsed, self._hooks)
            else:
                self._hooks.on_parsed(parsed)

    def __del__(self) -> None:
        with suppress(AttributeError):  # half-initialised
            if self._hooks.phase in {_UNPARSED, _READ}:
                _collect(self._hooks.call)


class ObservedIterator:
    """Replaces the iterator inside a stream; subclasses pull from plain and async streams."""

    __slots__ = ("_filter", "_inner", "_next", "_recorder", "hooks")

    def __init__(
        self,
        inner: Any,
        pull: Callable[[], Any],
        hooks: StreamHooks,
    ) -> None:
        self._inner = inner
        self._next = pull
        self.hooks = hooks
        self._filter = hooks.usage_filter
        self._recorder = hooks.call.recorder

    def __getattr__(self, name: str) -> object:
        # A half-initialised object lacks the field; a plain read would recurse without end.
        return getattr(object.__getattribute__(self, "_inner"), name)

    def __del__(self) -> None:
        with suppress(AttributeError):  # half-initialised
            _collect(object.__getattribute__(self, "hooks").call)


class SyncObservedIterator(ObservedIterator):
    """Replaces the iterator inside a ``Stream``."""

    __slots__ = ()

    def __iter__(self) -> SyncObservedIterator:
        return self

    def __next__(self) -> object:
        hooks = self.hooks
        while True:
            hooks.is_pulling = True
            try:
                chunk = self._next()
            except BaseException as error:
                hooks.is_pulling = False
                _on_pull_error(self._inner, hooks, error)
                raise
            hooks.is_pulling = False
            try:
                if self._recorder.on_chunk(chunk):
                    hooks.call.after_chunk()
                if self._filter is None or not self._filter.hides(chunk):
                    return chunk
            except Exception as error:  # noqa: BLE001 - a shield would cost a tenth of the chunk
                guard.internal_error("chunk", error)
                return chunk


class AsyncObservedIterator(ObservedIterator):
    """Replaces the iterator inside an ``AsyncStream``."""

    __slots__ = ()

    def __aiter__(self) -> AsyncObservedIterator:
        return self

    async def __anext__(self) -> object:
        hooks = self.hooks
        while True:
            hooks.is_pulling = True
            try:
                chunk = await self._next()
            except BaseException as error:
                hooks.is_pulling = False
                _on_pull_error(self._inner, hooks, error)
                raise
            hooks.is_pulling = False
            try:
                if self._recorder.on_chunk(chunk):
                    hooks.call.after_chunk()
                if self._filter is None or not self._filter.hides(chunk):
                    return chunk
            except Exception as error:  # noqa: BLE001 - as in the plain iterator
                guard.internal_error("chunk", error)
                return chunk


def _on_pull_error(inner: object, hooks: StreamHooks, error: BaseException) -> None:
    with guard.shield("end of stream"):
        hooks.on_pull_error(inner, error)


def _collect(call: ObservedCall) -> None:
    """End the call in a finaliser: no lock, no I/O, no log."""
    with suppress(Exception):  # the interpreter may be shutting down
        call.on_collected()
