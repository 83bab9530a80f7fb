"""Threads of our own, which nothing that a function of the user's raises may end."""

from __future__ import annotations

import threading


class OwnThread(threading.Thread):
    """A daemon thread of ours; it knows itself whether it is over."""

    is_over = False

    def run(self) -> None:
        """Run the target; however that ends, it is known."""
        try:
            super().run()
        finally:
            self.is_over = True


def is_own_thread() -> bool:
    """Whether the current thread is ours, so that no interrupt in it is the application's."""
    return isinstance(threading.current_thread(), OwnThread)
