"""The responses in flight on one connection, and which of them an event belongs to.

Requests on one stream start in order. Pieces of an answer have no id: they belong to the response
that began last on their stream. An unknown id matches any.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.call.observed_call import ObservedCall


MAX_IN_FLIGHT: Final = 64
"""Responses in flight on one connection: if a server begins more and ends none, the oldest are
dropped. So a look-up by id, at the start or end of a response, is bounded too."""


class InFlightResponse:
    """A response that was requested or is in flight."""

    __slots__ = ("call", "has_begun", "id", "is_failing")

    def __init__(self, call: ObservedCall | None) -> None:
        self.call = call
        """``None`` if it is not recorded; it keeps its place in the stream."""
        self.has_begun = False
        self.is_failing = False
        """Whether an error may have ended it."""
        self.id: str | None = None

    def begin(self, name: str | None) -> None:
        """Note that the server started to answer, and under which id."""
        self.id = self.id or name
        if not self.has_begun:
            self.has_begun = True
            if self.call is not None:
                self.call.recorder.on_stream_opened()

    def on_event(self, kind: str, event: object) -> None:
        """Record an event: pieces of the response are its chunks, with their times."""
        if self.call is None:
            return
        if kind.endswith(".delta"):
            if self.is_failing:
                self.goes_on()
            self.call.on_chunk(event)
        else:
            self.call.on_control_event(event)

    def on_error_event(self, event: object) -> None:
        """Note an error: it ended the response if no more events of it follow."""
        self.is_failing = True
        if self.call is not None:
            self.call.recorder.on_error_event(event)

    def goes_on(self) -> None:
        """Note that the error was about something else."""
        self.is_failing = False
        if self.call is not None:
            self.call.recorder.on_error_event(None)


class _Stream:
    """Responses in the order of their requests, and in the order in which they began."""

    __slots__ = ("asked", "begun")

    def __init__(self) -> None:
        self.asked: deque[InFlightResponse] = deque()
        self.begun: list[InFlightResponse] = []

    def find(self, name: str | None) -> InFlightResponse | None:
        """Return the response of this id that has begun and not ended."""
        return next((one for one in self.begun if name is None or one.id in {None, name}), None)

    def remove(self, response: InFlightResponse) -> None:
        """Remove a response, wherever it is."""
        for place in (self.asked, self.begun):
            if response in place:
                place.remove(response)


class InFlightResponses:
    """The responses in flight on one connection. One thread may send while another reads."""

    def __init__(self) -> None:
        self._by_stream: dict[str | None, _Stream] = {}
        self._lock = threading.RLock()
        self._order: dict[InFlightResponse, str | None] = {}
        """All responses, the oldest first, with their streams."""
        self._last: str | None = None
        """The id of the response that ended last: its end may be parsed again."""

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight."""
        return not self._by_stream

    def current(self, stream_id: str | None) -> InFlightResponse | None:
        """Return the response to which pieces on a stream belong. O(1)."""
        known = self._by_stream.get(stream_id)
        last = known.begun[-1:] if known is not None else ()  # another thread may remove it
        return last[0] if last else None

    def begun(self, stream_id: str | None, name: str | None) -> InFlightResponse | None:
        """Return the response of this id, if it has begun."""
        with self._lock:
            known = self._by_stream.get(stream_id)
            return None if known is None else known.find(name)

    def ask(self, stream_id: str | None, response: InFlightResponse) -> None:
        """Note that a response was requested."""
        with self._lock:
            self._order[response] = stream_id
            self._by_stream.setdefault(stream_id, _Stream()).asked.append(response)

    def open(self, stream_id: str | None, response: InFlightResponse) -> None:
        """Note that a response begins without a request that was seen."""
        with self._lock:
            self._order[response] = stream_id
            self._by_stream.setdefault(stream_id, _Stream()).begun.append(response)

    def oldest_beyond(self) -> InFlightResponse | None:
        """Remove and return the oldest if there are too many. O(1)."""
        if len(self._order) <= MAX_IN_FLIGHT:
            return None
        with self._lock:
            response, stream_id = next(iter(self._order.items()))
            return self._remove(stream_id, response)

    def next(self, stream_id: str | None) -> InFlightResponse | None:
        """Return the response that begins next: the one requested first."""
        with self._lock:
            known = self._by_stream.get(stream_id)
            if known is None or not known.asked:
                return None
            response = known.asked.popleft()
            known.begun.append(response)
            return response

    def failed(self, stream_id: str | None) -> list[InFlightResponse]:
        """Remove and return responses that an error may have ended, because another one begins."""
        with self._lock:
            known = self._by_stream.get(stream_id)
            failed = [one for one in known.begun if one.is_failing] if known is not None else []
            for response in failed:
                self._remove(stream_id, response)
            return failed

    def erring(self, stream_id: str | None, *, begun: bool) -> InFlightResponse | None:
        """Return the response that an error is about; one that has not begun is removed.

        ``begun``: prefer one that has begun, else one that has not.
        """
        with self._lock:
            known = self._by_stream.get(stream_id)
            if known is None:
                return None
            if known.begun and (begun or not known.asked):
                return known.begun[-1]
            return self._remove(stream_id, known.asked[0])

    def ending(self, stream_id: str | None, name: str | None) -> InFlightResponse | None:
        """Remove and return the response of this id, which ends.

        If its beginning was not seen, it is the one requested first.
        """
        with self._lock:
            known = self._by_stream.get(stream_id)
            if known is None:
                return None
            response = known.find(name)
            if response is None and not known.begun and (name is None or name != self._last):
                response = known.asked[0]
            if response is None:
                return None
            self._last = name
            return self._remove(stream_id, response)

    def drop(self, stream_id: str | None, response: InFlightResponse) -> None:
        """Remove a response."""
        with self._lock:
            self._remove(stream_id, response)

    def _remove(self, stream_id: str | None, response: InFlightResponse) -> InFlightResponse:
        self._order.pop(response, None)
        known = self._by_stream.get(stream_id)
        if known is not None:
            known.remove(response)
            if not (known.asked or known.begun):
                del self._by_stream[stream_id]
        return response

    def clear(self, *, finalising: bool = False) -> Iterator[InFlightResponse]:
        """Remove and return all; ``finalising``: no lock may be taken."""
        with nullcontext() if finalising else self._lock:
            streams, self._by_stream, self._order = self._by_stream, {}, {}
        for known in streams.values():
            yield from (*known.begun, *known.asked)
