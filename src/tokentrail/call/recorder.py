"""The life of one call, without I/O, clock or await of its own.

A recorder is told what happens to its call and hands one :class:`Operation` on when it is over:
exactly once, whoever says so first, from whichever thread. Nothing here takes a lock, so a
finaliser may end a call too.
"""

from __future__ import annotations

import re
from array import array
from typing import TYPE_CHECKING, Protocol

from tokentrail.apis import http_metadata
from tokentrail.model.records import Operation, Outcome, RaisedException, Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokentrail.apis import ApiAdapter
    from tokentrail.model.records import HttpMetadata, Request, Response, TextSink

STAMP_BLOCK = 512
"""Chunk times kept before they are handed on."""
_UNSETTLED = Usage()


class Listener(Protocol):
    """Takes what a recorder hands on."""

    def stamps(self, stamps: array[float], model: str | None) -> None:
        """Take a block of chunk times in seconds; its last is the first of the next block."""

    def known(self) -> Usage:
        """Return what is known of the usage by now."""

    def ended(self, operation: Operation, *, finalising: bool) -> None:
        """Take the end of the call. ``finalising``: no lock may be taken, no I/O be done."""


class Recorder:
    """Records one call, from its request to its end. What is not known yet is the class's own."""

    _answer: object = None
    _answered = False
    _error: object = None
    _first: float | None = None
    _response: Response | None = None
    pulling = False
    """The client is at work on the next chunk: a close now may be its own."""
    detailed = True
    """Whether what the headers say is told."""
    exchange: HttpMetadata | None = None
    """What they said, where they were seen."""
    quotes = False
    """Whether the text of an exception is kept: it may quote the request."""
    usage_request: str | None = None
    """"requested" or "refused" where the server was asked for usage on our account."""

    def __init__(  # noqa: PLR0913, PLR0917 - the facts of one call
        self,
        request: Request,
        shape: ApiAdapter,
        sink: TextSink | None,
        listener: Listener,
        clock: Callable[[], float],
        start_time: int,
        *,
        begun: float | None = None,
        stamped: bool = True,
    ) -> None:
        """Begin to record at ``begun`` in the clock's seconds, or now: that is at ``start_time``.

        ``stamped``: the time of each chunk is kept and handed on, not only of the first.
        """
        self._request = request
        self._shape = shape
        self._listener = listener
        self.clock = clock
        """Returns seconds, as of ``time.perf_counter``."""
        self._start_time = start_time
        """In nanoseconds since the epoch."""
        self._started = self.seen = clock() if begun is None else begun
        """When it began, and when the answer was last heard of, in the clock's seconds."""
        self._accumulator = shape.stream_accumulator(request, sink) if request.stream else None
        self._stamps: array[float] | None = array("d") if stamped else None
        self._once = [None]
        self.take: Callable[[object], None] = _ignore
        """What takes the next chunk, once ``seen`` is its time: another function at the first, at
        those that follow and when the call is over, so that none of them asks which it is."""

    @property
    def open(self) -> bool:
        """Whether the call is not over yet."""
        return bool(self._once)

    def response_so_far(self) -> Response | None:
        """Return what a stream has said by now."""
        accumulator = self._accumulator
        return accumulator.response() if accumulator is not None else self._response

    def so_far(self) -> Operation:
        """Return the call as if it were broken off now; it goes on."""
        return self._told(Outcome.BROKEN_OFF, self.clock(), None, self._known_response())

    def responded(self, response: object) -> None:
        """Read the headers of an HTTP response."""
        if self.detailed:
            self.exchange = http_metadata.metadata_of_response(response)

    def streaming(self) -> None:
        """Note that the headers of a streamed answer came."""
        self._answered = True
        self.seen = self.clock()
        self._takes(self._begin)

    def chunk(self, chunk: object) -> None:
        """Take the next chunk of the stream, just received.

        One that the client still had in hand when the call ended belongs to no call.
        """
        self.seen = self.clock()
        self.take(chunk)

    def _begin(self, chunk: object) -> None:
        self._first = self.seen
        if self._stamps is not None:
            self._takes(self._stamp)
        else:
            self._takes(_ignore if self._accumulator is None else self._accumulator.add)
        self.take(chunk)

    def _takes(self, chunks: Callable[[object], None]) -> None:
        """Have ``chunks`` take what comes, unless the call ends, by a signal or another thread."""
        self.take = chunks
        if not self._once:
            self.take = _ignore

    def _stamp(self, chunk: object) -> None:
        stamps = self._stamps
        if stamps is not None:
            stamps.append(self.seen)
            if len(stamps) >= STAMP_BLOCK:
                self._stamps = array("d", stamps[-1:])
                response = self.response_so_far()
                self._listener.stamps(stamps, response.model if response is not None else None)
        if self._accumulator is not None:
            self._accumulator.add(chunk)

    def beside(self, event: object) -> None:
        """Take an event that stands beside the chunks of an answer: it has no time of its own."""
        if self._once and self._accumulator is not None:
            self._accumulator.add(event)

    def erred(self, event: object) -> None:
        """Take an error: if nothing more comes, the call failed of it, at this time.

        ``None``: the call goes on, and the error before was no end of it.
        """
        self._error = event
        self.seen = self.clock()

    def received(self, answer: object) -> None:
        """Take a plain answer that came whole, before the client or the application reads it.

        What that raises is the failure of a call that was answered.
        """
        if self._once:
            self._answered = True
            self._answer = answer

    def answered(self, answer: object) -> None:
        """Take the whole plain answer: the call is completed."""
        self._answered = True
        self._answer = answer
        if self.detailed and self.exchange is None:
            self.exchange = http_metadata.metadata_of_answer(answer)
        try:
            self._response = self._shape.parse_response(answer, None)
        finally:
            self._end(Outcome.COMPLETED)

    def tell_text(self, sink: TextSink) -> None:
        """Hand the text of a plain answer to ``sink``; a stream's goes to its own as it comes."""
        self._shape.parse_response(self._answer, sink)

    def exhausted(self) -> None:
        """Note that the stream came to its end."""
        self._end(Outcome.COMPLETED)

    def broken_off(self, *, finalising: bool = False) -> None:
        """Note that the application closed the answer."""
        self._end(Outcome.BROKEN_OFF, finalising=finalising)

    def cancelled(self) -> None:
        """Note that the server stopped, as it was told to."""
        self._end(Outcome.CANCELLED)

    def failed(self, error: BaseException) -> None:
        """Note that ``error`` is on its way to the application."""
        if isinstance(error, Exception):
            if self.detailed and self.exchange is None:
                self.exchange = http_metadata.metadata_of_error(error)
            try:
                self._read_received(http_metadata.answer_in_error(error))
            finally:
                self._end(Outcome.FAILED, error)
        else:
            self._end(Outcome.CANCELLED)

    def _read_received(self, shown: object) -> None:
        """Read the answer that there was, or that an error shows."""
        if self._answer is None and shown is not None:
            self.received(shown)
        if self._answer is not None and self._response is None:
            self._response = self._shape.parse_response(self._answer, None)

    def abandoned(self) -> None:
        """Note, in a finaliser, that nobody holds the answer any more.

        The call ended when it was last seen alive, not when the collector came by.
        """
        self._end(Outcome.BROKEN_OFF, finalising=True, at=self.seen)

    def _end(
        self,
        ending: Outcome,
        error: Exception | None = None,
        *,
        finalising: bool = False,
        at: float | None = None,
    ) -> None:
        try:
            self._once.pop()
        except IndexError:
            return
        self.take = _ignore
        if self._error is not None:
            at, error = self.seen, None
        end = self.clock() if at is None else at
        response = None
        try:
            if self._error is not None and self._accumulator is not None:
                self._accumulator.add(self._error)
            response = self._known_response()
        finally:
            told = self._told(ending, end, error, response)
            self._listener.ended(told, finalising=finalising)

    def _known_response(self) -> Response | None:
        if not self._answered and self._error is None:
            return None
        return self.response_so_far() if self._response is None else self._response

    def _told(
        self, ending: Outcome, end: float, error: Exception | None, response: Response | None
    ) -> Operation:
        failure = None if response is None else response.error_type
        if failure is not None:
            ending = Outcome.FAILED
        elif ending is Outcome.BROKEN_OFF and response is not None and response.complete:
            ending = Outcome.COMPLETED
        begun, first = self._started, self._first
        duration = end - begun
        operation = Operation(
            self._request,
            response,
            _UNSETTLED,
            ending,
            duration,
            self._start_time + int(duration * 1e9),
            self._answered,
            None if first is None else first - begun,
            failure,
        )
        operation.usage_request = self.usage_request
        operation.exchange = self.exchange
        if error is not None:
            operation.error_type = _class_name(error)
            operation.error_description = _error_description(error)
            operation.raised = _raised(error, quoted=self.quotes)
        return operation

    def known_usage(self) -> Usage:
        """Return what is known of the call's usage by now."""
        return self._listener.known()

    def last_stamps(self) -> array[float]:
        """Return the chunk times that were not handed on, after the end."""
        stamps, self._stamps = self._stamps, None
        return array("d") if stamps is None else stamps


def _ignore(chunk: object) -> None:
    """Take a chunk of which nothing is wanted, or that belongs to no call any more."""


def _raised(error: Exception, *, quoted: bool) -> RaisedException:
    message = None
    if quoted:
        try:
            message = str(error)
        except Exception:  # noqa: BLE001 - the class is not ours
            message = None
    return RaisedException(_class_name(error), message)


def _class_name(error: Exception) -> str:
    """Return the qualified class name of ``error``, as the official instrumentation does."""
    kind = type(error)
    if kind.__module__ in {"builtins", None}:
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


_CODE = re.compile(r"[\w.\-]{1,64}")


def _error_description(error: Exception) -> str | None:
    """Return the status and the code of ``error``, never its text: that may quote the request."""
    given = vars(error)  # its own fields: a property of it may warn, or do anything
    words = [str(status)] if type(status := given.get("status_code")) is int else []
    code = given.get("code")
    if isinstance(code, str) and _CODE.fullmatch(code):
        words.append(code)
    return " ".join(words) or None
