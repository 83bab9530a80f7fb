"""Waiting for another process, with an end to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Said = TypeVar("Said")


def wait_until(said: Callable[[], Said], what: str, *, patience: float = 60.0) -> Said:
    """Return what ``said`` returns once it is true; raise TimeoutError after so many seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if answer := said():
            return answer
        time.sleep(0.05)
    message = f"{what}: not within {patience:.0f} s"
    raise TimeoutError(message)
