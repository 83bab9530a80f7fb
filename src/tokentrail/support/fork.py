"""Work that a fork waits for: what it is in the middle of, the child would never see ended."""

from __future__ import annotations

import os
import threading
from contextlib import suppress


class ForkLock:
    """Holds up forks of the process while it is entered, each for a second at most.

    Entered by one thread at a time, by the same also again. It lives as long as the process.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before, after_in_parent=self.__exit__, after_in_child=self._forked
            )

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *raised: object) -> None:
        with suppress(RuntimeError):  # a fork could not wait any longer
            self._lock.release()

    def _before(self) -> None:
        self._lock.acquire(timeout=1)

    def _forked(self) -> None:
        self._lock = threading.RLock()
