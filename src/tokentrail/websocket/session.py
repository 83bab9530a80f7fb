"""What is under way on one connection: each response, from its beginning to its end.

Nothing is known here of how a connection is watched, only of what its events mean.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from tokentrail.apis.values import fields, nonempty_str
from tokentrail.content import read_request_content
from tokentrail.model.endpoint import socket_endpoint_of
from tokentrail.patching import wrappers
from tokentrail.telemetry.emitter import wanting
from tokentrail.websocket.in_flight import Answer, Answers
from tokentrail.websocket.responses import BEGINS, ERROR, is_of_a_stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.call.recorder import Recorder
    from tokentrail.content import Content
    from tokentrail.websocket.responses import ConnectionShape


def _stay() -> None:
    """Do nothing: there is no connection yet."""


class Watch:
    """What is under way on one connection."""

    def __init__(self, shape: ConnectionShape, client: object) -> None:
        self.shape = shape
        self._client = client
        self._answers = Answers()
        self.leave: Callable[[], None] = _stay
        """Takes what is ours from the connection."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return self._answers.idle

    def seen(self, event: object) -> None:
        """Take an event that the application is about to get."""
        given = fields(event)
        kind = given.get("type")
        if type(kind) is not str:
            return
        lane = self.shape.lane(given)
        if kind == ERROR:
            self._erred(lane, event, given)
            return
        answer = self._about(lane, kind, given)
        if answer is None:
            self.shape.learn(kind, given)
            return
        answer.take(kind, event)
        if kind in self.shape.ends:
            _end(answer, given)
            self._leave()

    def _about(self, lane: str | None, kind: str, given: Mapping[str, object]) -> Answer | None:
        """Return the response that an event is about, begun; one that ends is out of its lane."""
        if kind == BEGINS:
            return self._begin(lane, fields(given.get("response")))
        if kind in self.shape.ends:
            name = nonempty_str(fields(given.get("response")).get("id"))
            return _begun(self._answers.ending(lane, name), name)
        answer = self._answers.current(lane)
        if answer is None and kind.endswith(".delta"):  # nobody had its beginning parsed
            return _begun(self._answers.next(lane), None)
        return answer

    def _begin(self, lane: str | None, response: Mapping[str, object]) -> Answer | None:
        """Return the response that begins, or began: an event may be parsed twice."""
        name = nonempty_str(response.get("id"))
        answer = self._answers.begun(lane, name)
        if answer is None:
            self._end_failing(lane)
            answer = self._answers.next(lane)
        if answer is None:
            answer = self._start(response)
            if answer is not None:
                self._answers.open(lane, answer)
        return _begun(answer, name)

    def _end_failing(self, lane: str | None) -> None:
        """End what an error was seen of, and no more: on a lane one response follows another."""
        for answer in self._answers.failed(lane):
            if answer.recorder is not None:
                answer.recorder.exhausted()
        self._leave()

    def _erred(self, lane: str | None, event: object, given: Mapping[str, object]) -> None:
        """Take an error: what is refused ends by it, what has begun may go on."""
        answer = self._answers.erring(lane, begun=is_of_a_stream(given))
        if answer is None:
            return
        answer.erred(event)
        if not answer.began:
            if answer.recorder is not None:
                answer.recorder.exhausted()
            self._leave()

    def _start(self, arguments: Mapping[str, object]) -> Answer | None:
        """Start to record and tell a response in the current context, where it is wanted.

        ``None`` where we are switched off.
        """
        active = wrappers.engine
        if active is None:
            return None
        context = wanting()
        if context is None:
            return Answer(None)
        endpoint = socket_endpoint_of(self._client)
        request = self.shape.parse_request(endpoint, arguments)

        def said() -> Callable[[], Content]:
            schemas = active.settings.capture_tool_schemas
            asked = read_request_content(request, arguments, schemas=schemas)
            return lambda: asked

        recorder, _ = active.start(self.shape, self._client, context, request, None, said)
        return Answer(recorder)

    def asked(self, event: object) -> tuple[str | None, Answer] | None:
        """Take an event that the application is about to send; return the response it asks for."""
        given = fields(event)
        if given.get("type") != self.shape.asks:
            return None
        lane = self.shape.lane(given)
        answer = self._start(given)
        if answer is None:
            return None
        self._answers.ask(lane, answer)
        return lane, answer

    def unsent(self, lane: str | None, answer: Answer, error: BaseException) -> None:
        """Note that what asked for a response could not be sent."""
        self._answers.drop(lane, answer)
        if answer.recorder is not None:
            answer.recorder.failed(error)

    def _leave(self) -> None:
        """Leave the connection if we are switched off and its last response is over."""
        if wrappers.engine is None and self.idle:
            self.leave()

    def end(self, end: Callable[[Recorder], None], *, finalising: bool = False) -> None:
        """End whatever is under way; ``finalising``: no lock may be taken."""
        for answer in self._answers.clear(finalising=finalising):
            if answer.recorder is not None:
                end(answer.recorder)

    def raised(self, error: BaseException) -> None:
        """Note that reading raised ``error``: perhaps the connection is lost.

        To cancel the reading ends nothing: the next may go on.
        """
        if any(kind.__name__ == "ConnectionClosed" for kind in type(error).__mro__):
            self.end(lambda recorder: recorder.failed(error))
            self._leave()

    def closed(self) -> None:
        """Note that the application closes the connection."""
        error = sys.exc_info()[1]
        if isinstance(error, GeneratorExit):  # perhaps the collector is at work
            self.end(lambda recorder: recorder.broken_off(finalising=True), finalising=True)
        elif error is None or isinstance(error, Exception):
            self.end(lambda recorder: recorder.broken_off())
        else:
            self.end(lambda recorder: recorder.failed(error))
        self.leave()

    def __del__(self) -> None:
        """End, in a finaliser, what is under way on a connection that nobody holds any more."""
        with suppress(Exception):  # the interpreter may be half gone
            self.end(lambda recorder: recorder.abandoned(), finalising=True)


def _begun(answer: Answer | None, name: str | None) -> Answer | None:
    if answer is not None:
        answer.begin(name)
    return answer


def _end(answer: Answer, given: Mapping[str, object]) -> None:
    """End a response by what its last event says: that is its end, whatever error came before."""
    if answer.failing:
        answer.goes_on()
    if answer.recorder is None:
        return
    if nonempty_str(fields(given.get("response")).get("status")) == "cancelled":
        answer.recorder.cancelled()
    else:
        answer.recorder.exhausted()
