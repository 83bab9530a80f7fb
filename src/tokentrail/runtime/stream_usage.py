"""How servers report the usage of streams: never with the option, always, or only with it."""

from __future__ import annotations

import time
from enum import Enum
from typing import Final

from tokentrail.support.bounded import BoundedCache

REMEMBERED: Final = 256
"""How many servers are remembered."""
FORGOTTEN_AFTER: Final = 600.0
"""Seconds until a server that refused the option gets it again."""


class Habit(Enum):
    """When a server sends the usage of a stream together with a choice.

    ======= ========================================== ========
    state   event                                      next
    ======= ========================================== ========
    (none)  with the option, usage came with a choice  DOUBT
    DOUBT   the next stream, without it, has usage     UNASKED
    DOUBT   the next stream, without it, has no usage  ASKED
    ======= ========================================== ========
    """

    DOUBT = "doubt"
    UNASKED = "unasked"
    """The server sends usage anyway. It never gets the option; the application sees the usage."""
    ASKED = "asked"


class StreamUsageMemory:
    """What was learned about servers, with their names from ``include_usage.server_of``."""

    def __init__(self) -> None:
        self._until: BoundedCache[str, float] = BoundedCache(REMEMBERED)
        self._habits: BoundedCache[str, Habit] = BoundedCache(REMEMBERED)

    def add_refusal(self, server: str) -> None:
        """Remember that ``server`` refused the option."""
        self._until.keep(server, time.monotonic() + FORGOTTEN_AFTER)

    def refused(self, server: str) -> bool:
        """Whether ``server`` refused the option recently."""
        return self._until.get(server, 0.0) > time.monotonic()

    def habit(self, server: str) -> Habit | None:
        """Return the known habit of ``server``."""
        return self._habits.get(server, None)

    def note_beside_choice(self, server: str) -> None:
        """Note that ``server``, with the option, sent the usage together with a choice."""
        if self.habit(server) is None:
            self._habits.keep(server, Habit.DOUBT)

    def note_unasked(self, server: str, *, came: bool) -> None:
        """Note whether ``server`` sent the usage without the option."""
        self._habits.keep(server, Habit.UNASKED if came else Habit.ASKED)
