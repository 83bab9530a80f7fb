"""Threads of ours; an error in a function of the user's does not end them."""

from __future__ import annotations

import threading


class OwnThread(threading.Thread):
    """A daemon thread of ours that knows whether its target has returned."""

    is_over = False

    def run(self) -> None:
        """Run the target, and note its end, however it ends."""
        try:
            super().run()
        finally:
            self.is_over = True


def is_own_thread() -> bool:
    """Whether the current thread is ours: an interrupt in it is not for the application."""
    return isinstance(threading.current_thread(), OwnThread)
