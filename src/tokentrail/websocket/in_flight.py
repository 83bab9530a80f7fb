"""The responses under way on one connection: which of them an event is about.

What is asked for on one lane begins in turn. Pieces of an answer bear no id: they are of the
response that began last on their lane. An id that is not known fits any.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.call.recorder import Recorder


class Answer:
    """A response that is asked for, or under way."""

    __slots__ = ("began", "failing", "id", "recorder")

    def __init__(self, recorder: Recorder | None) -> None:
        self.recorder = recorder
        """``None`` where nobody is told: it has its place in the lane all the same."""
        self.began = False
        self.failing = False
        """Whether it may have ended by an error."""
        self.id: str | None = None

    def begin(self, name: str | None) -> None:
        """Note that the server answers, and under which id."""
        self.id = self.id or name
        if not self.began:
            self.began = True
            if self.recorder is not None:
                self.recorder.streaming()

    def take(self, kind: str, event: object) -> None:
        """Record an event: pieces of the answer are its chunks, with their times."""
        if self.recorder is None:
            return
        if kind.endswith(".delta"):
            if self.failing:
                self.goes_on()
            self.recorder.chunk(event)
        else:
            self.recorder.beside(event)

    def erred(self, event: object) -> None:
        """Take an error: if nothing more comes of the response, it ended by it."""
        self.failing = True
        if self.recorder is not None:
            self.recorder.erred(event)

    def goes_on(self) -> None:
        """Note that an error was about something else."""
        self.failing = False
        if self.recorder is not None:
            self.recorder.erred(None)


class _Lane:
    """Responses in the order in which they were asked for, and in which they began."""

    __slots__ = ("asked", "begun")

    def __init__(self) -> None:
        self.asked: deque[Answer] = deque()
        self.begun: list[Answer] = []

    def find(self, name: str | None) -> Answer | None:
        """Return the response of this id that has begun and not ended."""
        return next((one for one in self.begun if name is None or one.id in {None, name}), None)

    def remove(self, answer: Answer) -> None:
        """Take a response out, wherever it is."""
        for place in (self.asked, self.begun):
            if answer in place:
                place.remove(answer)


class Answers:
    """The responses under way on one connection. One thread may ask while another reads."""

    def __init__(self) -> None:
        self._lanes: dict[str | None, _Lane] = {}
        self._lock = threading.Lock()
        self._last: str | None = None
        """The id of the response that ended last: its end may be seen again."""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._lanes

    def current(self, lane: str | None) -> Answer | None:
        """Return the response that pieces on a lane are of. O(1)."""
        known = self._lanes.get(lane)
        last = known.begun[-1:] if known is not None else ()  # a slice: others may take it away
        return last[0] if last else None

    def begun(self, lane: str | None, name: str | None) -> Answer | None:
        """Return the response of this id, if it has begun."""
        with self._lock:
            known = self._lanes.get(lane)
            return None if known is None else known.find(name)

    def ask(self, lane: str | None, answer: Answer) -> None:
        """Note that a response is asked for."""
        with self._lock:
            self._lanes.setdefault(lane, _Lane()).asked.append(answer)

    def open(self, lane: str | None, answer: Answer) -> None:
        """Note that a response begins that nobody was seen to ask for."""
        with self._lock:
            self._lanes.setdefault(lane, _Lane()).begun.append(answer)

    def next(self, lane: str | None) -> Answer | None:
        """Return the response that begins next: the oldest that was asked for."""
        with self._lock:
            known = self._lanes.get(lane)
            if known is None or not known.asked:
                return None
            answer = known.asked.popleft()
            known.begun.append(answer)
            return answer

    def failed(self, lane: str | None) -> list[Answer]:
        """Take out, and return, those by whose error a lane waited: another one begins."""
        with self._lock:
            known = self._lanes.get(lane)
            failed = [one for one in known.begun if one.failing] if known is not None else []
            for answer in failed:
                self._remove(lane, answer)
            return failed

    def erring(self, lane: str | None, *, begun: bool) -> Answer | None:
        """Return the response that an error is about; one that has not begun is taken out.

        ``begun``: one that has begun is preferred, else one that has not.
        """
        with self._lock:
            known = self._lanes.get(lane)
            if known is None:
                return None
            if known.begun and (begun or not known.asked):
                return known.begun[-1]
            return self._remove(lane, known.asked[0])

    def ending(self, lane: str | None, name: str | None) -> Answer | None:
        """Take out, and return, the response of this id, which ends.

        Its beginning may not have been seen: then it is the oldest that was asked for.
        """
        with self._lock:
            known = self._lanes.get(lane)
            if known is None:
                return None
            answer = known.find(name)
            if answer is None and not known.begun and (name is None or name != self._last):
                answer = known.asked[0]
            if answer is None:
                return None
            self._last = name
            return self._remove(lane, answer)

    def drop(self, lane: str | None, answer: Answer) -> None:
        """Take a response out."""
        with self._lock:
            self._remove(lane, answer)

    def _remove(self, lane: str | None, answer: Answer) -> Answer:
        known = self._lanes.get(lane)
        if known is not None:
            known.remove(answer)
            if not (known.asked or known.begun):
                del self._lanes[lane]
        return answer

    def clear(self, *, finalising: bool = False) -> Iterator[Answer]:
        """Take out, and return, all; ``finalising``: no lock may be taken."""
        with nullcontext() if finalising else self._lock:
            lanes, self._lanes = self._lanes, {}
        for known in lanes.values():
            yield from (*known.begun, *known.asked)
