"""What servers do about the usage of streams: refuse the option, send it unasked, or as asked."""

from __future__ import annotations

import time
from enum import Enum
from typing import Final

from tokentrail.support.bounded import BoundedCache

REMEMBERED: Final = 256
"""Servers that are remembered."""
FORGOTTEN_AFTER: Final = 600.0
"""Seconds until a server that refused is asked again."""


class Habit(Enum):
    """When a server sends the usage of a stream beside a choice.

    ======= ========================================== ========
    in      what happens                               leads to
    ======= ========================================== ========
    (none)  asked, it came beside a choice             DOUBT
    DOUBT   the next stream is not asked: usage came   UNASKED
    DOUBT   the next stream is not asked: none came    ASKED
    ======= ========================================== ========
    """

    DOUBT = "doubt"
    UNASKED = "unasked"
    """It is never asked: its usage is there, and the application sees it as without us."""
    ASKED = "asked"


class StreamUsageMemory:
    """What was learned of servers, named as by ``include_usage.server_of``."""

    def __init__(self) -> None:
        self._until: BoundedCache[str, float] = BoundedCache(REMEMBERED)
        self._habits: BoundedCache[str, Habit] = BoundedCache(REMEMBERED)

    def add_refusal(self, server: str) -> None:
        """Remember that ``server`` refused."""
        self._until.keep(server, time.monotonic() + FORGOTTEN_AFTER)

    def refused(self, server: str) -> bool:
        """Whether ``server`` refused lately."""
        return self._until.get(server, 0.0) > time.monotonic()

    def habit(self, server: str) -> Habit | None:
        """Return what is known of ``server``."""
        return self._habits.get(server, None)

    def note_beside_choice(self, server: str) -> None:
        """Note that ``server``, asked, sent the usage beside a choice."""
        if self.habit(server) is None:
            self._habits.keep(server, Habit.DOUBT)

    def note_unasked(self, server: str, *, came: bool) -> None:
        """Note whether the usage came where nobody had asked ``server``."""
        self._habits.keep(server, Habit.UNASKED if came else Habit.ASKED)
