"""Points of calls that ended, recorded a little later and many at once.

An SDK takes some 50 microseconds for the points of one call, a third of the whole cost of a call.
So the application's thread leaves them here, and the worker records them after :data:`DELAY`. A
collection or flush before that records them itself, even while the worker is blocked.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tokentrail.support import guard
from tokentrail.support.fork import ForkLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_recording = ForkLock()
"""Held while the worker records: a fork then would leave a lock of the SDK locked in the child."""
DELAY: Final = 0.3
"""Seconds that points may wait, so that the worker wakes once for many calls: waking costs as much
as the points of a call. Longer waits leave caches cold."""
MAX_WAITING: Final = 2048
"""Calls whose points may wait; those of further calls are recorded at once."""
FEW: Final = 16
"""Calls whose points take less than a millisecond."""
_STEP: Final = 4
"""Calls whose points the worker records before it checks whether to pause."""
_BREATH: Final = 0.0002
_LOST: Final = 1.0
"""Seconds after which an unfinished job is given to the worker again."""


class PointBatch:
    """Points that wait to be recorded; also the worker's job that records them."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._overdue = 0.0
        """``time.monotonic()`` after which the worker has no job, or has lost it."""
        self.deadline = 0.0
        """``time.monotonic()`` at which the worker records."""
        self.waiters: list[None] = []
        """One event for each thread that waits for the worker."""
        self.submit: Callable[[PointBatch], bool] = reject
        """Gives a job to the worker; returns whether it was taken."""

    def add(self, record: Callable[[], object]) -> None:
        """Have ``record`` called soon, or at once if the worker does not take it."""
        if len(self._waiting) >= MAX_WAITING:
            _record_guarded(record)
            return
        self._waiting.append(record)
        now = time.monotonic()
        if now > self._overdue:
            self.deadline = now + DELAY
            self._overdue = self.deadline + _LOST
            if not self._given():
                self._overdue = 0.0
                self._record(FEW)

    def _given(self) -> bool:
        with guard.shield("worker"):
            return self.submit(self)
        return False  # what waits must still be recorded

    def empty(self) -> None:
        """Record what waits now, on this thread; other threads may record in between."""
        for left in range(len(self._waiting), 0, -FEW):
            self._record(min(left, FEW))
            time.sleep(_BREATH)

    def _record(self, most: int) -> None:
        for _ in range(min(most, len(self._waiting))):
            with suppress(IndexError):  # other threads record, too
                _record_guarded(self._waiting.popleft())

    def size(self) -> int:
        """Return 0: the queue here has a bound of its own."""
        return 0

    def ready(self) -> bool:
        """Whether the job is to run at once."""
        return bool(self.waiters) or not self._waiting

    def expire(self) -> None:
        """Do nothing: the job waits for nothing."""

    def steps(self) -> Iterator[None]:
        """Record what waits. What arrives meanwhile waits for the next job."""
        self._overdue = 0.0
        for left in range(len(self._waiting), 0, -_STEP):
            with _recording:
                self._record(min(left, _STEP))
            yield

    def forked(self) -> None:
        """Drop what waits: it belongs to the parent process."""
        self._waiting.clear()
        self.waiters.clear()
        self._overdue = 0.0


def reject(job: object) -> bool:
    """Take no job."""
    return False


def _record_guarded(record: Callable[[], object]) -> None:
    with guard.shield("metrics"):  # an error of the SDK must not reach the application
        record()
