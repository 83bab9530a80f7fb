"""Points of calls that ended, recorded a little later and many at once.

An SDK takes some 50 microseconds for the points of one call, a third of all that telling it takes.
So the application's thread leaves them here, and the worker records them after :data:`DELAY`.
Whoever collects or flushes before that does so himself, also where the worker is held up.
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
"""Entered while the worker records: what the SDK has locked then would be locked in a child for
ever."""
DELAY: Final = 0.3
"""Seconds that points may wait, so that the worker wakes for many calls at once: each time that it
does costs as much as the points of a call. What waits for longer leaves caches cold."""
MAX_WAITING: Final = 2048
"""Calls whose points may wait; those of further ones are recorded on the spot."""
FEW: Final = 16
"""Calls whose points take less than a millisecond."""
_STEP: Final = 4
"""Calls whose points the worker records before it looks whether it is time to pause."""
_BREATH: Final = 0.0002
_LOST: Final = 1.0
"""Seconds after which a job that was not done is given to the worker again."""


class PointBatch:
    """What waits to be recorded; also the worker's job of recording it."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._overdue = 0.0
        """``time.monotonic()`` from which on the worker has no job, or must have lost it."""
        self.deadline = 0.0
        """``time.monotonic()`` at which the worker does it."""
        self.waiters: list[None] = []
        """One for each who waits for the worker."""
        self.submit: Callable[[PointBatch], bool] = reject
        """Gives a job to the worker; returns whether it was taken."""

    def add(self, record: Callable[[], object]) -> None:
        """Have ``record`` called: soon, or at once if there is no worker for it."""
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
        return False  # what waits must be recorded all the same

    def empty(self) -> None:
        """Record all that waits by now, on this thread; others get their turn in between."""
        for left in range(len(self._waiting), 0, -FEW):
            self._record(min(left, FEW))
            time.sleep(_BREATH)

    def _record(self, most: int) -> None:
        for _ in range(min(most, len(self._waiting))):
            with suppress(IndexError):  # others are at it, too
                _record_guarded(self._waiting.popleft())

    def size(self) -> int:
        """Return nothing: what waits is bounded by itself."""
        return 0

    def ready(self) -> bool:
        """Whether it shall be done at once."""
        return bool(self.waiters) or not self._waiting

    def expire(self) -> None:
        """Go on as before: nothing is waited for."""

    def steps(self) -> Iterator[None]:
        """Record all that waits. What comes meanwhile waits for the next time."""
        self._overdue = 0.0
        for left in range(len(self._waiting), 0, -_STEP):
            with _recording:
                self._record(min(left, _STEP))
            yield

    def forked(self) -> None:
        """Forget what waits: it belongs to the parent process."""
        self._waiting.clear()
        self.waiters.clear()
        self._overdue = 0.0


def reject(job: object) -> bool:
    """Take no job."""
    return False


def _record_guarded(record: Callable[[], object]) -> None:
    with guard.shield("metrics"):  # whatever an SDK raises is not the application's
        record()
