"""The life of one call, without I/O, clock or await of its own.

The methods of a recorder take the events of its call. The first method that ends the call returns
the whole :class:`Operation`, any later one ``None``. So there is exactly one operation, whichever
thread ends the call first. A recorder has no listeners and takes no lock, because a finaliser may
end a call too.
"""

from __future__ import annotations

import re
import traceback
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING

from tokentrail.apis import http_metadata
from tokentrail.apis.failures import NO_ANSWER
from tokentrail.apis.values import telemetry_str
from tokentrail.call.outcome import outcome_of
from tokentrail.model.records import (
    COMPLETED,
    HttpMetadata,
    Operation,
    Outcome,
    RaisedException,
    Response,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.apis import Accumulator, ApiAdapter
    from tokentrail.model.records import Request, TextSink, Transcription

STAMP_BLOCK = 512
"""How many chunk times are kept before they are handed on."""
_NOTHING_YET = Usage()
NOTHING_CAME = Response(complete=False, ended=False, unanswered=True)
"""The response of a stream that ended before its first chunk."""


class Recorder:
    """Records one call from request to end. Class attributes are the values not known yet."""

    _answer: object = None
    _answered = False
    _direct: Accumulator | None = None
    """The accumulator, while each chunk only has to be added to it."""
    _error: object = None
    _first: float | None = None
    _first_content: float | None = None
    _has_events = False
    _full_block: array[float] | None = None
    _response: Response | None = None
    _stamps: array[float] | None = None
    is_followed = False
    """Whether the caller has work to do after each chunk, see :meth:`on_chunk`."""
    needs_details = True
    """Whether the HTTP metadata has to be read from the headers."""
    http: HttpMetadata | None = None
    """The metadata read from the headers, if the headers were seen."""
    headers: Mapping[str, str] | None = None
    """The headers of the answer."""
    retries: tuple[str, ...] = ()
    """The reason of each retry by the client."""
    keeps_error_text = False
    """Whether the text of an exception is kept; it may quote the request."""
    transcriptions: tuple[Transcription, ...] = ()
    """The input transcriptions of a realtime session before the end."""
    usage_request: str | None = None
    """"requested" or "refused" if tokentrail asked the server for the usage of the stream."""
    reading_error: BaseException | None = None
    """The exception raised by reading the answer; the call ended nevertheless."""

    def __init__(
        self,
        request: Request,
        adapter: ApiAdapter,
        sink: TextSink | None,
        clock: Callable[[], float],
        start_time: int,
        begun: float | None = None,
    ) -> None:
        """Begin at ``begun`` in the clock's seconds, or now; ``start_time`` is the same moment.

        The text of a stream goes to ``sink``.
        """
        self._request = request
        self._adapter = adapter
        self._clock = clock
        """Returns seconds, as ``time.perf_counter`` does."""
        self._start_time = start_time
        """In nanoseconds since the epoch."""
        self._started = self.seen = clock() if begun is None else begun
        """When the call began, and when its answer was last seen, in the clock's seconds."""
        self._accumulator = adapter.stream_accumulator(request, sink) if request.stream else None
        self._once = [None]

    def keep_chunk_times(self) -> None:
        """From now on keep the time of each chunk, not only of the first."""
        self._stamps = array("d")

    @property
    def has_begun(self) -> bool:
        """Whether a chunk of the stream arrived."""
        return self._first is not None

    @property
    def is_open(self) -> bool:
        """Whether the call has not ended yet."""
        return bool(self._once)

    def response_so_far(self) -> Response | None:
        """Return the response of a stream so far."""
        accumulator = self._accumulator
        return accumulator.response() if accumulator is not None else self._response

    def snapshot(self) -> Operation:
        """Return the call as if it were closed now, without ending it."""
        now, response = self._clock(), self._known_response()
        return self._build_operation(Outcome.CLOSED_EARLY, now, None, response)

    # What arrives --------------------------------------------------------------------------------

    def on_response_headers(self, response: object) -> None:
        """Read the headers of an HTTP response."""
        if self.needs_details:
            self.http = http_metadata.metadata_of_response(response)

    def on_stream_opened(self) -> None:
        """Note that the headers of a streamed answer arrived."""
        self._answered = True
        self.seen = self._clock()

    def on_chunk(self, chunk: object) -> bool:
        """Take a chunk just received; return whether the caller has work to do after it.

        A chunk that arrives after the end of the call is ignored.
        """
        self.seen = self._clock()
        accumulator = self._direct
        if accumulator is not None:  # nearly always: one test instead of five, saves 0.1 us
            accumulator.add(chunk)
            return False
        return self._on_other_chunk(chunk)

    def _on_other_chunk(self, chunk: object) -> bool:
        """Take the first chunk, a chunk whose time is kept or that is followed, or a late one."""
        accumulator = self._accumulator
        if self._first is None and self._once:
            self._first = self.seen
        if not self._once:  # tested last: a signal or another thread may just have ended it
            self._direct = None
            return False
        if self._stamps is not None:
            self._keep_time(self._stamps, self.seen)
        if accumulator is not None:
            accumulator.add(chunk)
            if self._first_content is None and accumulator.has_content:
                self._first_content = self.seen
                if self._stamps is None and not self.is_followed:
                    self._direct = accumulator
        return self.is_followed or self._full_block is not None

    def _keep_time(self, stamps: array[float], seen: float) -> None:
        stamps.append(seen)
        if len(stamps) >= STAMP_BLOCK:
            self._full_block, self._stamps = stamps, array("d", stamps[-1:])

    def take_full_block(self) -> array[float] | None:
        """Return a full block of chunk times, once; its last time also begins the next block."""
        block, self._full_block = self._full_block, None
        return block

    def take_last_block(self) -> array[float]:
        """Return, once and after the end, the chunk times that are in no full block."""
        stamps, self._stamps = self._stamps, None
        return array("d") if stamps is None else stamps

    def on_control_event(self, event: object) -> None:
        """Take an event that is not a chunk of an answer; its time is not kept."""
        if self._once and self._accumulator is not None:
            self._has_events = True
            self._accumulator.add(event)

    def on_error_event(self, event: object) -> None:
        """Take an error. If nothing more arrives, the call failed with it, at this time.

        ``None``: the call continues, so the error before did not end it.
        """
        self._error = event
        self.seen = self._clock()

    def on_body(self, answer: object) -> None:
        """Take a whole plain answer, before the client or the application reads it.

        If reading it raises, the call failed but was answered.
        """
        if self._once:
            self._answered = True
            self._answer = answer

    def feed_text(self, sink: TextSink) -> None:
        """Give the text of a plain answer to ``sink``; a stream feeds its own sink meanwhile."""
        self._adapter.parse_response(self._answer, sink)

    # How it ends ---------------------------------------------------------------------------------

    def on_response(self, answer: object) -> Operation | None:
        """Take the whole plain answer: the call is completed."""
        self._answered = True
        self._answer = answer
        if self.needs_details and self.http is None:
            self.http = _metadata_of_answer(answer)
        self._read(answer)
        return self._end(COMPLETED)

    def on_stream_end(self, *, is_page: bool = False) -> Operation | None:
        """Note that the stream ended.

        ``is_page``: the body was a web page, JSON or text and not a stream, so no model answered
        this application.
        """
        if self._first is None and self._error is None and not self._has_events:
            self._response = NO_ANSWER if is_page else NOTHING_CAME
        return self._end(COMPLETED)

    def on_unread_end(self) -> Operation | None:
        """Note that the application read the whole body of a stream that was not parsed here."""
        self._accumulator = None
        return self._end(COMPLETED)

    def on_closed(self) -> Operation | None:
        """Note that the application closed the answer."""
        return self._end(Outcome.CLOSED_EARLY)

    def on_error(self, error: BaseException) -> Operation | None:
        """Note that the client raises ``error`` to the application."""
        if not isinstance(error, Exception):
            return self._end(Outcome.CANCELLED)
        if self.needs_details and self.http is None:
            self.http = http_metadata.metadata_of_error(error)
        shown = http_metadata.answer_in_error(error)
        if self._answer is None and shown is not None:
            self.on_body(shown)
        if self._answer is not None and self._response is None:
            self._read(self._answer)
        chunk = None if self._accumulator is None else http_metadata.chunk_in_error(error)
        if chunk is not None and self._once and self._accumulator is not None:
            self._accumulator.add(chunk)
            known = self._accumulator.response()
            if self._first is None and known.reported is None:
                self._response = NO_ANSWER
        return self._end(Outcome.FAILED, error)

    def on_collected(self) -> Operation | None:
        """Note, in a finaliser, that the answer was garbage collected.

        The end time is when the answer was last seen, not when the collector ran.
        """
        return self._end(Outcome.CLOSED_EARLY, at=self.seen)

    def _read(self, answer: object) -> None:
        try:
            self._response = self._adapter.parse_response(answer, None)
        except BaseException as error:  # noqa: BLE001 - an interrupt, too: raised after the end
            self.reading_error = error

    def _end(
        self, outcome: Outcome, error: Exception | None = None, *, at: float | None = None
    ) -> Operation | None:
        try:
            self._once.pop()
        except IndexError:
            return None
        self._direct = None
        if self._error is not None:
            at, error = self.seen, None
        end = self._clock() if at is None else at
        response = None
        try:
            if self._error is not None and self._accumulator is not None:
                self._accumulator.add(self._error)
            response = self._response
            if response is None or not self._answered:
                response = self._known_response()
        except BaseException as failure:  # noqa: BLE001 - as above
            self.reading_error = failure
        return self._build_operation(outcome, end, error, response)

    def _known_response(self) -> Response | None:
        if not self._answered and self._error is None:
            return None
        return self.response_so_far() if self._response is None else self._response

    def _build_operation(
        self, outcome: Outcome, end: float, error: Exception | None, response: Response | None
    ) -> Operation:
        failure = None if response is None else response.error_type
        answered = self._answered
        if response is not None:
            answered = answered and not response.unanswered
            is_usual = response.ended and response.status is None and not response.error_type
            if not is_usual or outcome is not COMPLETED:
                outcome = outcome_of(outcome, self._request, response)
        if error is not None:
            failure = _class_name(error)
        begun, first = self._started, self._first
        duration = end - begun
        if duration < 0:  # the clock was set back; an end is never before its start
            duration = 0.0
        operation = Operation(
            self._request,
            response,
            _NOTHING_YET,
            outcome,
            duration,
            self._start_time + int(duration * 1e9),
            answered,
            None if first is None else max(first - begun, 0.0),
            None if self._first_content is None else max(self._first_content - begun, 0.0),
            failure,
        )
        operation.usage_request = self.usage_request
        operation.http = self.http
        operation.retries, operation.headers = self.retries, self.headers
        operation.transcriptions = self.transcriptions
        if error is not None:
            operation.error_description = _error_description(error)
            operation.raised = _raised(error, quoted=self.keeps_error_text)
        return operation


def _metadata_of_answer(answer: object) -> HttpMetadata | None:
    """Return the metadata of a plain answer: the client stores the request id on the object."""
    given = getattr(answer, "__dict__", None)
    known = telemetry_str(given.get("_request_id")) if type(given) is dict else None
    return None if known is None else HttpMetadata(request_id=known)


def _raised(error: Exception, *, quoted: bool) -> RaisedException:
    if not quoted:
        return RaisedException(_class_name(error))
    message = stacktrace = None
    with suppress(Exception):  # the class is foreign
        message = str(error)
        stacktrace = "".join(traceback.format_exception(error))
    return RaisedException(_class_name(error), message, stacktrace)


def _class_name(error: Exception) -> str:
    """Return the qualified class name of ``error``, as the official instrumentation does."""
    kind = type(error)
    if kind.__module__ in {"builtins", None}:
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


_CODE = re.compile(r"[\w.\-]{1,64}")


def _error_description(error: Exception) -> str | None:
    """Return the status and the code of ``error``, never its text, which may quote the request."""
    given = vars(error)  # only its fields: a property may warn, or have other effects
    words = [str(status)] if type(status := given.get("status_code")) is int else []
    code = given.get("code")
    if isinstance(code, str) and _CODE.fullmatch(code):
        words.append(code)
    return " ".join(words) or None
