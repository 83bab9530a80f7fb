"""What is under way on one connection: each response, from its beginning to its end.

Nothing is known here of how a connection is watched, only of what its events mean.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from tokentrail import calls
from tokentrail.content import read_asked
from tokentrail.endpoint import socket_endpoint_of
from tokentrail.shapes.lanes import BEGINS
from tokentrail.shapes.reading import fields, word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.content import Content
    from tokentrail.operation import Request
    from tokentrail.recorder import Recorder
    from tokentrail.shapes.lanes import ConnectionShape


def _stay() -> None:
    """Do nothing: there is no connection yet."""


class _Answer:
    """A response under way."""

    __slots__ = ("began", "recorder")

    def __init__(self, recorder: Recorder | None) -> None:
        self.recorder = recorder
        """``None`` where nobody would be told."""
        self.began = False


class Watch:
    """What is under way on one connection."""

    def __init__(self, shape: ConnectionShape, client: object) -> None:
        self.shape = shape
        self._client = client
        self._lanes: dict[str | None, deque[_Answer]] = {}
        self._lock = threading.Lock()  # one thread may send while another reads
        self.leave: Callable[[], None] = _stay
        """Takes what is ours from the connection."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._lanes

    def seen(self, event: object) -> None:
        """Take an event that the application is about to get."""
        given = fields(event)
        kind = given.get("type")
        if type(kind) is not str:
            return
        lane = self.shape.lane(given)
        if kind == BEGINS:
            self._begin(lane, given)
        answer = self._first(lane)
        if answer is None:
            self.shape.learn(kind, given)
        else:
            if answer.recorder is not None:
                _take(answer, answer.recorder, kind, event)
            if kind in self.shape.ends:
                self._drop(lane, answer)
                _end(answer.recorder, given)
                self._leave()

    def _first(self, lane: str | None) -> _Answer | None:
        waiting = self._lanes.get(lane)
        with suppress(IndexError):  # another thread may have taken it
            return waiting[0] if waiting is not None else None
        return None

    def _begin(self, lane: str | None, given: Mapping[str, object]) -> None:
        """Start to record a response, unless it was seen to be asked for, or to begin."""
        if lane not in self._lanes and calls.engine is not None:
            self.start(lane, fields(given.get("response")))

    def start(self, lane: str | None, arguments: Mapping[str, object]) -> _Answer | None:
        """Start to record and tell a response in the current context, where it is wanted."""
        active = calls.engine
        if active is None or not active.teller.is_wanted():
            return None
        endpoint = socket_endpoint_of(self._client)
        request = self.shape.request(endpoint, arguments)
        said = self._said(request, arguments) if active.teller.captures else None
        recorder, _ = active.start(self.shape, self._client, request, None, said)
        answer = _Answer(recorder)
        with self._lock:
            self._lanes.setdefault(lane, deque()).append(answer)
        return answer

    @staticmethod
    def _said(request: Request, arguments: Mapping[str, object]) -> Callable[[], Content]:
        """Read what the request says now: the application may go on with its lists."""
        active = calls.engine
        schemas = active is not None and active.settings.capture_tool_schemas
        said = read_asked(request, arguments, schemas=schemas)
        return lambda: said

    def asked(self, event: object) -> tuple[str | None, _Answer] | None:
        """Take an event that the application is about to send; return the response it asks for."""
        given = fields(event)
        if given.get("type") != self.shape.asks:
            return None
        lane = self.shape.lane(given)
        answer = self.start(lane, given)
        return None if answer is None else (lane, answer)

    def unsent(self, lane: str | None, answer: _Answer, error: BaseException) -> None:
        """Note that what asked for a response could not be sent."""
        self._drop(lane, answer)
        if answer.recorder is not None:
            answer.recorder.failed(error)

    def _drop(self, lane: str | None, answer: _Answer) -> None:
        with self._lock:
            waiting = self._lanes.get(lane, deque())
            with suppress(ValueError):  # another thread was first
                waiting.remove(answer)
            if not waiting:
                self._lanes.pop(lane, None)

    def _leave(self) -> None:
        """Leave the connection if we are switched off and its last response is over."""
        if calls.engine is None and self.idle:
            self.leave()

    def end(self, end: Callable[[Recorder], None], *, finalising: bool = False) -> None:
        """End whatever is under way; ``finalising``: no lock may be taken."""
        with nullcontext() if finalising else self._lock:
            lanes, self._lanes = self._lanes, {}
        for waiting in lanes.values():
            for answer in waiting:
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


def _take(answer: _Answer, recorder: Recorder, kind: str, event: object) -> None:
    """Record an event: pieces of the answer are its chunks, with their times."""
    if not answer.began:
        answer.began = True
        recorder.streaming()
    if kind.endswith(".delta"):
        recorder.chunk(event)
    else:
        recorder.beside(event)


def _end(recorder: Recorder | None, given: Mapping[str, object]) -> None:
    """End a response by what its last event says."""
    if recorder is None:
        return
    if word(fields(given.get("response")).get("status")) == "cancelled":
        recorder.cancelled()
    else:
        recorder.exhausted()
