"""Work that a fork waits for: in the child, it would stay unfinished for ever."""

from __future__ import annotations

import os
import threading
from contextlib import suppress


class ForkLock:
    """Delays forks of the process while it is held, each by a second at most.

    One thread holds it at a time and may enter it again. It lives as long as the process.
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
        with suppress(RuntimeError):  # the fork has waited long enough
            self._lock.release()

    def _before(self) -> None:
        self._lock.acquire(timeout=1)

    def _forked(self) -> None:
        self._lock = threading.RLock()


IMPORTING = ForkLock()
"""Held while modules are imported late: a child forked in the middle of an import would keep a
half-imported module."""
