"""Observation of answers that arrive over time, on the very objects that openai made.

On the application's objects there are exactly three seams: a stream's ``_iterator``, a response's
``close`` / ``aclose`` and a raw answer's ``parse``. The hooks are taken away when the call ends.
The client ends a stream in many ways (its own ``close``, the helpers' straight way to
``response.close()``, exhaustion, an error, the collector); together the three see all of them.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import wrapt

from tokentrail.apis import http_body
from tokentrail.patching.coroutines import Pending, named_as
from tokentrail.support import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from tokentrail.call.recorder import Recorder


_PROXY: Any = getattr(wrapt, "BaseObjectProxy", wrapt.ObjectProxy)
"""What instrumentations put around the client's objects; of two names, by release of wrapt."""


def observe(
    answer: object, recorder: Recorder, conceal: Callable[[object], bool] | None = None
) -> None:
    """See to it that ``recorder`` learns how ``answer`` goes on, whatever kind of answer it is.

    A stream is observed chunk by chunk, a raw answer until it is parsed or closed; anything else
    is a whole answer and ends the call. Chunks that ``conceal`` is true of are recorded, but do not
    reach the application. Of what another instrumentation has put around an answer, we observe what
    is inside: its hooks and ours then see the same chunks.
    """
    answer, fields = _unwrapped(answer)
    if "_iterator" in fields and "response" in fields:
        recorder.streaming()
        recorder.responded(fields["response"])
        _observe_stream(answer, _Seams(fields["response"], recorder, streamed=True), conceal)
    elif "http_response" in fields and hasattr(answer, "parse"):
        _observe_raw(answer, fields, recorder)
    else:
        recorder.answered(answer)


def recorder_of(stream: object) -> Recorder | None:
    """Return the recorder of an open or read stream, also of the client's helper streams."""
    for holder in (stream, getattr(stream, "_raw_stream", None)):
        inner = _unwrapped(holder)[1].get("_iterator")
        if isinstance(inner, _Pulled):
            return inner.seams.recorder
    return None


def _unwrapped(answer: object) -> tuple[Any, dict[str, Any]]:
    """Return what openai made of what others have made of it, and its attributes."""
    while isinstance(answer, _PROXY):
        answer = answer.__wrapped__
    fields = _attributes(answer)
    if "stream" in fields:  # as the class of opentelemetry-instrumentation-openai-v2 has it
        held = fields["stream"]
        if "_iterator" in _attributes(held):
            return held, _attributes(held)
    return answer, fields


def _attributes(thing: object) -> dict[str, Any]:
    return getattr(thing, "__dict__", None) or {}


def _observe_stream(
    stream: Any,  # noqa: ANN401 - any version's class
    seams: _Seams,
    conceal: Callable[[object], bool] | None = None,
) -> None:
    inner = stream._iterator  # noqa: SLF001 - the seam
    if isinstance(inner, _Pulled):
        return
    pulled = (
        _AsyncChunks(inner, inner.__anext__, seams, conceal)
        if hasattr(inner, "__anext__")
        else _Chunks(inner, inner.__next__, seams, conceal)
    )
    stream._iterator = pulled  # noqa: SLF001 - the seam
    seams.handed_over = True


def _observe_raw(raw: Any, fields: dict[str, Any], recorder: Recorder) -> None:  # noqa: ANN401
    response = fields["http_response"]
    recorder.responded(response)
    streamed = bool(fields.get("_stream") or fields.get("_is_sse_stream"))
    if not streamed and "_content" in vars(response):
        recorder.answered(http_body.parse_body(vars(response)["_content"]))
        return
    recorder.streaming()
    seams = _Seams(response, recorder, streamed=streamed)
    seams.place(raw, "parse", _Parse(raw.parse, seams))


class _Seams:
    """The hooks that one call has on the application's objects, and what they mean together."""

    __slots__ = (
        "_placed", "_read", "_response", "closing", "handed_over", "recorder", "streamed",
    )  # fmt: skip

    def __init__(self, response: object, recorder: Recorder, *, streamed: bool) -> None:
        self.recorder = recorder
        self.streamed = streamed
        self.handed_over = False
        """A stream is observed: its iterator sees the end, or the collector of it."""
        self.closing = False
        """The response was closed during a pull, and not because of an error."""
        self._read = False
        """The application read the body itself, to its end."""
        self._response = response
        self._placed: list[tuple[Any, str, object]] = []
        for name in ("close", "aclose"):
            self.place(response, name, _Close(getattr(response, name), self))

    def place(self, owner: Any, name: str, hook: object) -> None:  # noqa: ANN401 - any object
        """Put ``hook`` on ``owner``, to be taken away at the end."""
        setattr(owner, name, hook)
        self._placed.append((owner, name, hook))

    def remove(self) -> None:
        """Take the hooks away, except where somebody put another over ours."""
        placed, self._placed = self._placed, []
        for owner, name, hook in placed:
            if vars(owner).get(name) is hook:
                delattr(owner, name)

    def closed(self, caller: FrameType) -> None:
        """Note that ``caller`` closes the response."""
        error = sys.exc_info()[1]
        # An error that did not come by the caller is one that the application is dealing with.
        passing = error if _came_by(error, caller) else None
        broken_off = partial(
            # Perhaps the collector is at work on a generator, and no lock may be taken.
            self.recorder.broken_off,
            finalising=isinstance(error, GeneratorExit),
        )
        if self.recorder.pulling:
            self.closing = self.closing or passing is None
        elif self.handed_over:
            collected = isinstance(passing, GeneratorExit)
            self._end(self.recorder.abandoned if collected else broken_off)
        elif isinstance(passing, GeneratorExit):
            self._end(broken_off)
        elif self._was_read_in(caller) and passing is None:
            self._read = True
            if self.streamed:
                self._end(self.recorder.exhausted)
        else:
            self._end(self._unparsed_end(error, broken_off))

    def _was_read_in(self, frame: FrameType) -> bool:
        """Whether ``frame`` reads the body of this response."""
        reads = frame.f_code.co_name in {"iter_raw", "aiter_raw"}
        return reads and frame.f_locals.get("self") is self._response

    def _unparsed_end(
        self, error: BaseException | None, broken_off: Callable[[], None]
    ) -> Callable[[], None]:
        """Return how an answer ended that nobody parsed and that is closed now."""
        content = None if self.streamed else vars(self._response).get("_content")
        if content is not None:
            return partial(self.recorder.answered, http_body.parse_body(content))
        if self._read:
            return self.recorder.exhausted
        if error is not None and any(map(self._was_read_in, _frames(error))):
            return partial(self.recorder.failed, error)
        return broken_off

    def _end(self, end: Callable[[], None]) -> None:
        try:
            end()
        finally:
            self.remove()

    def exhausted(self) -> None:
        """Note that the stream came to its end."""
        self._end(self.recorder.exhausted)

    def answered(self, answer: object) -> None:
        """Note that the application has the whole plain answer."""
        self._end(partial(self.recorder.answered, answer))

    def failed(self, error: BaseException) -> None:
        """Note that a pull raised ``error``."""
        self._end(
            self.recorder.broken_off if self.closing else partial(self.recorder.failed, error)
        )


def _frames(error: BaseException) -> Iterator[FrameType]:
    """Yield the frames that ``error`` has passed."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _came_by(error: BaseException | None, frame: FrameType) -> bool:
    return error is not None and any(passed is frame for passed in _frames(error))


class _Close:
    """Stands for a response's ``close`` or ``aclose``; may be called any number of times."""

    __slots__ = ("_original", "_seams")

    def __init__(self, original: Callable[..., Any], seams: _Seams) -> None:
        self._original = original
        self._seams = seams

    def __call__(self, *args: object, **kwargs: object) -> object:
        try:
            self._seams.closed(sys._getframe(1))  # noqa: SLF001 - tells exhaustion from a close
        except Exception as error:  # noqa: BLE001 - the close must be done
            guard.internal_error("close", error)
        return self._original(*args, **kwargs)


class _Parse:
    """Stands for a raw answer's ``parse``, plain or a coroutine function."""

    __slots__ = ("_original", "_seams")

    def __init__(self, original: Callable[..., Any], seams: _Seams) -> None:
        self._original = original
        self._seams = seams

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
        try:
            if "_iterator" in _attributes(parsed):
                _observe_stream(parsed, self._seams)
            elif not self._seams.streamed:
                self._seams.answered(parsed)
        except Exception as error:  # noqa: BLE001 - the application gets its answer
            guard.internal_error("parse", error)

    def __del__(self) -> None:
        if not self._seams.handed_over:
            _abandon(self._seams.recorder)


class _Pulled:
    """Stands for the iterator inside a stream; each kind of stream has its own way to pull."""

    __slots__ = ("_clock", "_conceal", "_inner", "_next", "_recorder", "seams")

    def __init__(
        self,
        inner: Any,  # noqa: ANN401 - the client's, or a stranger's
        pull: Callable[[], Any],
        seams: _Seams,
        conceal: Callable[[object], bool] | None,
    ) -> None:
        self._inner = inner
        self._next = pull
        self.seams = seams
        self._conceal = conceal
        self._recorder = seams.recorder
        self._clock = seams.recorder.clock

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def __del__(self) -> None:
        _abandon(self._recorder)


class _Chunks(_Pulled):
    """Stands for the iterator inside a ``Stream``."""

    __slots__ = ()

    def __iter__(self) -> _Chunks:
        return self

    def __next__(self) -> object:
        recorder = self._recorder
        while True:
            recorder.pulling = True
            try:
                chunk = self._next()
            except BaseException as error:
                recorder.pulling = False
                _over(self._inner, self.seams, error)
                raise
            recorder.pulling = False
            try:
                recorder.seen = self._clock()  # as Recorder.chunk, without its frame
                recorder.take(chunk)
                if self._conceal is None or not self._conceal(chunk):
                    return chunk
            except Exception as error:  # noqa: BLE001 - the chunk is the application's
                guard.internal_error("chunk", error)
                return chunk


class _AsyncChunks(_Pulled):
    """Stands for the iterator inside an ``AsyncStream``."""

    __slots__ = ()

    def __aiter__(self) -> _AsyncChunks:
        return self

    async def __anext__(self) -> object:
        recorder = self._recorder
        while True:
            recorder.pulling = True
            try:
                chunk = await self._next()
            except BaseException as error:
                recorder.pulling = False
                _over(self._inner, self.seams, error)
                raise
            recorder.pulling = False
            try:
                recorder.seen = self._clock()  # as Recorder.chunk, without its frame
                recorder.take(chunk)
                if self._conceal is None or not self._conceal(chunk):
                    return chunk
            except Exception as error:  # noqa: BLE001 - the chunk is the application's
                guard.internal_error("chunk", error)
                return chunk


def _over(inner: object, seams: _Seams, error: BaseException) -> None:
    """Note that a pull raised ``error``: the end of the stream, unless ``inner`` lives on.

    It does when two threads or tasks pull at once: one of them gets an error, and the stream goes
    on for the other.
    """
    try:
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            seams.exhausted()
        elif getattr(inner, "gi_frame", None) is None and getattr(inner, "ag_frame", None) is None:
            seams.failed(error)
        else:
            seams.recorder.pulling = True
    except Exception as ours:  # noqa: BLE001 - the application gets its own error
        guard.internal_error("end of stream", ours)


def _abandon(recorder: Recorder) -> None:
    """End the call in a finaliser: no lock, no I/O, no log."""
    with suppress(Exception):  # the interpreter may be half gone
        recorder.abandoned()
