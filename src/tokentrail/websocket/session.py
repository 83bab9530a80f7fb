"""The recording of one connection: each response, from its beginning to its end.

It knows what the events mean, and not how they are observed.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tokentrail.apis.readers import read_request_content
from tokentrail.apis.responses.connection import BEGINS, ERROR, is_of_a_stream
from tokentrail.apis.values import fields, nonempty_str
from tokentrail.call.start import CallToRecord, start_call
from tokentrail.model.endpoint import socket_endpoint_of
from tokentrail.runtime import runtime
from tokentrail.support import guard
from tokentrail.support.bounded import BoundedCache
from tokentrail.telemetry.attribution import with_context_attributes
from tokentrail.telemetry.context import context_to_instrument
from tokentrail.websocket.in_flight import MAX_IN_FLIGHT, InFlightResponse, InFlightResponses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.apis.responses.connection import ConnectionAdapter
    from tokentrail.call.observed_call import ObservedCall
    from tokentrail.content import Content
    from tokentrail.model.records import Request, Transcription


def _stay() -> None:
    """Do nothing: there is no connection yet."""


class _EventReader:
    """Reads an event that requests a response. The event holds the whole request."""

    def __init__(self, request: Request, arguments: Mapping[str, object], *, schemas: bool) -> None:
        self._request = request
        self._arguments = arguments
        self._schemas = schemas

    @property
    def held(self) -> object:
        """What the prompt is read of."""
        return self._arguments

    def read_request(self) -> Request:
        """Return the request as it is."""
        return self._request

    def read_content(self) -> Content:
        """Return the request of the event."""
        return read_request_content(self._request, self._arguments, schemas=self._schemas)

    read_sent_content = read_content


class WebSocketSession:
    """The responses in flight on one connection, and how each is recorded."""

    def __init__(self, adapter: ConnectionAdapter, client: object) -> None:
        self.adapter = adapter
        self._client = client
        self._in_flight = InFlightResponses()
        self._transcribed: BoundedCache[str, Transcription] = BoundedCache(MAX_IN_FLIGHT)
        """What was written down, by what was said: to record it once."""
        self._transcriptions: list[Transcription] = []
        """Those that the span of the next response has yet to have."""
        self.leave: Callable[[], None] = _stay
        """Removes our hooks from the connection."""

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight."""
        return self._in_flight.idle

    def seen(self, event: object) -> None:
        """Record an event that the application is about to receive."""
        given = fields(event)
        kind = given.get("type")
        if type(kind) is not str:
            return
        stream_id = self.adapter.stream_id(given)
        if kind == ERROR:
            self._on_error(stream_id, event, given)
            return
        answer = self._about(stream_id, kind, given)
        if answer is None:
            transcription = self.adapter.learn(kind, given)
            if transcription is not None:
                self._on_transcription(transcription)
            return
        answer.on_event(kind, event)
        if kind in self.adapter.ends:
            if self._transcriptions and answer.call is not None:
                answer.call.recorder.transcriptions = tuple(self._transcriptions)
                self._transcriptions = []
            _end(answer)
            self._detach_if_idle()

    def _on_transcription(self, transcription: Transcription) -> None:
        """Record what was written down of what was heard, once, and for the next response's span.

        An event may be parsed twice.
        """
        active = runtime.current()
        context = context_to_instrument()
        if active is None or context is None:
            return
        if not self._transcribed.add(transcription.item, transcription):
            return
        if len(self._transcriptions) < MAX_IN_FLIGHT:
            self._transcriptions.append(transcription)
        request = self.adapter.parse_request(
            socket_endpoint_of(self._client), {"model": transcription.model}
        )
        request = replace(request, model=transcription.model)
        with guard.shield("metrics"):
            request = with_context_attributes(request, active.settings.baggage_keys, context)
            active.emitter.metrics.record_transcription(request, transcription.usage)

    def _about(
        self, stream_id: str | None, kind: str, given: Mapping[str, object]
    ) -> InFlightResponse | None:
        """Return the response that an event is about, marked as begun; remove it if it ends."""
        if kind == BEGINS:
            return self._begin(stream_id, fields(given.get("response")))
        if kind in self.adapter.ends:
            name = nonempty_str(fields(given.get("response")).get("id"))
            return _begun(self._in_flight.ending(stream_id, name), name)
        answer = self._in_flight.current(stream_id)
        if answer is None and kind.endswith(".delta"):  # its first event was not parsed
            return _begun(self._in_flight.next(stream_id), None)
        return answer

    def _begin(
        self, stream_id: str | None, response: Mapping[str, object]
    ) -> InFlightResponse | None:
        """Return the response that begins, or has begun: an event may be parsed twice."""
        name = nonempty_str(response.get("id"))
        answer = self._in_flight.begun(stream_id, name)
        if answer is None:
            self._end_failing(stream_id)
            answer = self._in_flight.next(stream_id)
        if answer is None:
            answer = self._start(response)
            if answer is not None:
                self._in_flight.open(stream_id, answer)
                self._end_oldest()
        return _begun(answer, name)

    def _end_oldest(self) -> None:
        """End the oldest response if too many are in flight: its end was not seen."""
        oldest = self._in_flight.oldest_beyond()
        if oldest is not None and oldest.call is not None:
            oldest.call.on_closed()

    def _end_failing(self, stream_id: str | None) -> None:
        """End responses of this stream that an error has stopped: another one begins."""
        for answer in self._in_flight.failed(stream_id):
            if answer.call is not None:
                answer.call.on_stream_end()
        self._detach_if_idle()

    def _on_error(self, stream_id: str | None, event: object, given: Mapping[str, object]) -> None:
        """Record an error: it ends a refused request; a response that has begun may continue."""
        answer = self._in_flight.erring(stream_id, begun=is_of_a_stream(given))
        if answer is None:
            return
        answer.on_error_event(event)
        if not answer.has_begun:
            if answer.call is not None:
                answer.call.on_stream_end()
            self._detach_if_idle()

    def _start(self, arguments: Mapping[str, object]) -> InFlightResponse | None:
        """Start to record a response in the current context, if it is to be recorded.

        ``None`` if instrumentation is off.
        """
        active = runtime.current()
        if active is None:
            return None
        context = context_to_instrument()
        if context is None:
            return InFlightResponse(None)
        request = self.adapter.parse_request(socket_endpoint_of(self._client), arguments)
        schemas = active.settings.capture_tool_schemas
        reader = _EventReader(request, arguments, schemas=schemas)
        to_record = CallToRecord(self.adapter, self._client, context, request)
        call, _ = start_call(active, to_record, reader)
        return InFlightResponse(call)

    def asked(self, event: object) -> tuple[str | None, InFlightResponse] | None:
        """Read an event that the application is about to send; return the response it requests."""
        given = fields(event)
        if given.get("type") != self.adapter.asks:
            return None
        stream_id = self.adapter.stream_id(given)
        answer = self._start(given)
        if answer is None:
            return None
        self._in_flight.ask(stream_id, answer)
        self._end_oldest()
        return stream_id, answer

    def unsent(self, stream_id: str | None, answer: InFlightResponse, error: BaseException) -> None:
        """Note that the request for a response could not be sent."""
        self._in_flight.drop(stream_id, answer)
        if answer.call is not None:
            answer.call.on_error(error)

    def _detach_if_idle(self) -> None:
        """Leave the connection if instrumentation is off and its last response has ended."""
        if runtime.current() is None and self.idle:
            self.leave()

    def end(self, end: Callable[[ObservedCall], None], *, finalising: bool = False) -> None:
        """End all responses in flight; ``finalising``: no lock may be taken."""
        for answer in self._in_flight.clear(finalising=finalising):
            if answer.call is not None:
                end(answer.call)

    def raised(self, error: BaseException) -> None:
        """Note that reading raised ``error``: the connection may be lost.

        A cancelled read ends nothing: the next read may continue.
        """
        if any(kind.__name__ == "ConnectionClosed" for kind in type(error).__mro__):
            self.end(lambda call: call.on_error(error))
            self._detach_if_idle()

    def closed(self) -> None:
        """Note that the application closes the connection."""
        error = sys.exc_info()[1]
        if isinstance(error, GeneratorExit):  # may run in the garbage collector
            self.end(lambda call: call.on_closed(finalising=True), finalising=True)
        elif error is None or isinstance(error, Exception):
            self.end(lambda call: call.on_closed())
        else:
            self.end(lambda call: call.on_error(error))
        self.leave()

    def __del__(self) -> None:
        """End, in a finaliser, all responses of a connection that is no longer referenced."""
        with suppress(Exception):  # the interpreter may be shutting down
            self.end(lambda call: call.on_collected(), finalising=True)


def _begun(answer: InFlightResponse | None, name: str | None) -> InFlightResponse | None:
    if answer is not None:
        answer.begin(name)
    return answer


def _end(answer: InFlightResponse) -> None:
    """End a response as its last event reports it, whatever error came before."""
    if answer.is_failing:
        answer.goes_on()
    if answer.call is not None:
        answer.call.on_stream_end()
