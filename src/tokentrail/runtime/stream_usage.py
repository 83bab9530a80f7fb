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
TRIAL_SECONDS: Final = 60.0
"""Seconds until a stream without the option, which did not end, is followed by another."""


class Habit(Enum):
    """When a server sends the usage of a stream.

    ======= ============================================================= =======
    state   event                                                         next
    ======= ============================================================= =======
    (none)  with the option, usage came that may be sent without it, too  DOUBT
    DOUBT   the next stream starts: it is sent without the option         TRIAL
    TRIAL   usage comes without the option                                ALWAYS
    TRIAL   a stream without the option ends, and none came               ASKED
    TRIAL   a minute passes: that stream was closed, or failed            DOUBT
    any     the option is refused                                         REFUSED
    REFUSED ten minutes pass                                              (none)
    ======= ============================================================= =======

    Only the stream that begins a trial is sent without the option, others at that time have it.
    """

    DOUBT = "doubt"
    TRIAL = "trial"
    ALWAYS = "always"
    """The server sends usage anyway. It never gets the option; the application sees the usage."""
    ASKED = "asked"
    REFUSED = "refused"


_LATER: Final = {
    Habit.TRIAL: (TRIAL_SECONDS, Habit.DOUBT),
    Habit.REFUSED: (FORGOTTEN_AFTER, None),
}
"""How long a state lasts by itself, and what follows."""


class StreamUsageMemory:
    """What was learned about servers, with their names from ``include_usage.server_of``."""

    def __init__(self) -> None:
        self._habits: BoundedCache[str, tuple[Habit, float]] = BoundedCache(REMEMBERED)

    def habit(self, server: str) -> Habit | None:
        """Return the known habit of ``server``."""
        habit, since = self._habits.get(server, (None, 0.0))
        if habit in _LATER:
            lasts, later = _LATER[habit]
            return habit if time.monotonic() < since + lasts else later
        return habit

    def add_refusal(self, server: str) -> None:
        """Remember that ``server`` refused the option."""
        self._keep(server, Habit.REFUSED)

    def note_doubt(self, server: str) -> None:
        """Note that ``server``, with the option, sent usage that it may send without, too."""
        if self.habit(server) is None:
            self._keep(server, Habit.DOUBT)

    def begin_trial(self, server: str) -> bool:
        """Whether a stream is to be sent without the option, to find out."""
        doubtful = self.habit(server) is Habit.DOUBT
        if doubtful:
            self._keep(server, Habit.TRIAL)
        return doubtful

    def end_trial(self, server: str, *, came: bool) -> None:
        """Note whether ``server`` sent the usage without the option."""
        if self.habit(server) is not Habit.REFUSED:
            self._keep(server, Habit.ALWAYS if came else Habit.ASKED)

    def _keep(self, server: str, habit: Habit) -> None:
        self._habits.keep(server, (habit, time.monotonic()))
