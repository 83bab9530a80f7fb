"""Calibration: what the server adds to the input, learned from the application's own calls.

An application sends the same tools, schema and instructions again and again, and most of its calls
get a report. What the server adds to the text of calls that are alike (`likeness`) is a constant;
once it is known, the input of such a call without a report is known too: `calibrated`.

Only the worker learns and looks up. Application threads ask two questions of O(1). The memory is
bounded by the constants here: 512 kinds of calls take 2 MB at most.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokentrail.model.records import Request

    Place = tuple[str, str | None, str | None]
    """Host, deployment and API."""

KEYS: Final = 512
"""Kinds of calls that are remembered, the latest used."""
PLACES: Final = 256
AGREEING: Final = 3
"""Reported calls of different length that have to agree."""
SPREAD: Final = 20
"""Tokens between the shortest and the longest of them."""
LAST: Final = 50
"""None of the last so many may disagree."""
PENDING: Final = 16
"""Calls that wait for the worker at once to be learned from; their prompts are held so long."""
BURST: Final = 0.6
RATE: Final = 0.01
"""Seconds of CPU that learning may take at once, and later for each second: so in no minute more
than 2 % of one core."""
_ALIKE: Final = 32
"""After so many calls in a row of which nothing is left to learn, one in as many is looked at."""


class Difference:
    """What reports and counts of one kind of call differ by, as far as it is known."""

    __slots__ = ("_counts", "_has_disagreed", "_high", "_low", "_requests", "_tokens", "agreed")

    def __init__(self) -> None:
        self._has_disagreed = False
        self._begin(0)

    def _begin(self, tokens: int) -> None:
        self._tokens = tokens
        self.agreed = 0
        """Requests in a row that agree."""
        self._low = self._high = 0
        self._counts: frozenset[int] = frozenset()
        """Different lengths among these, as many as are asked for."""
        self._requests: deque[int] = deque(maxlen=LAST)
        """Hashes of the latest requests: a retry counts once."""

    @property
    def tokens(self) -> int | None:
        """The difference, reported minus counted, if it is known."""
        enough = LAST if self._has_disagreed else AGREEING
        spread = self._high - self._low >= SPREAD and len(self._counts) >= AGREEING
        return self._tokens if spread and self.agreed >= enough else None

    def add(self, request: int, counted: int, reported: int) -> bool:
        """Take a report of a request, which is a hash of its content; return whether it is new."""
        tokens = reported - counted
        if self.agreed and tokens != self._tokens:
            self._has_disagreed = True
            self._begin(tokens)
        if request in self._requests:
            return False
        self._tokens = tokens
        self._requests.append(request)
        self._low = counted if not self.agreed else min(self._low, counted)
        self._high = max(self._high, counted)
        self.agreed += 1
        if len(self._counts) < AGREEING:
            self._counts |= {counted}
        return True


class _Place:
    """What is known of one host, deployment and API."""

    __slots__ = ("_agreed", "_answered", "_has_changed", "idle", "looks", "teaches")

    def __init__(self) -> None:
        self.teaches = False
        """A difference was learned there."""
        self.idle = 0
        """Calls in a row from which nothing was left to learn."""
        self.looks = count()
        self._answered: str | None = None
        self._agreed = 0
        self._has_changed = False

    @property
    def answered(self) -> str | None:
        """The model that answers there, if it is always the same."""
        return None if self._has_changed and self._agreed < LAST else self._answered

    def answer(self, model: str) -> None:
        """Note that ``model`` answered."""
        if model != self._answered:
            self._has_changed = self._answered is not None
            self._answered, self._agreed = model, 0
        self._agreed += 1


class Calibration:
    """What was learned of all kinds of calls."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: seconds, by which the worker's time is bounded."""
        self._clock = clock
        self._differences: OrderedDict[bytes, Difference] = OrderedDict()
        self._places: OrderedDict[Place, _Place] = OrderedDict()
        self._used = 0.0
        """Seconds of CPU used and not yet made up for, when ``_at``. Only the worker writes it."""
        self._at = clock()
        self.forked()

    def forked(self) -> None:
        """Forget, in a child, the calls that wait: they are its parent's."""
        self._pending: set[object] = set()

    # Asked by threads of the application ---------------------------------------------------------

    def may_learn(self, request: Request) -> bool:
        """Tell whether a reported call should be handed to the worker to learn from."""
        place = self._places.get((request.endpoint.key, request.model, request.api))
        if place is not None and place.idle >= _ALIKE and next(place.looks) % _ALIKE:
            return False  # as nearly always: no further function is entered
        return len(self._pending) < PENDING and self._debt() < BURST

    def may_know(self, request: Request) -> bool:
        """Tell whether anything was learned of calls to the same place."""
        place = self._places.get(_place(request))
        return place is not None and place.teaches

    def wait(self, job: object) -> None:
        """Note that ``job`` waits for the worker."""
        self._pending.add(job)

    # By the worker -------------------------------------------------------------------------------

    def begin(self, job: object) -> None:
        """Note that ``job`` waits no more."""
        self._pending.discard(job)

    def use(self, seconds: float) -> None:
        """Note that learning took so much CPU."""
        self._used = self._debt() + seconds
        self._at = self._clock()

    def answer(self, request: Request, model: str) -> None:
        """Note that ``model`` answered ``request``."""
        self._at_place(request).answer(model)

    def answered(self, request: Request) -> str | None:
        """Return the model that answers such requests, where it is always the same."""
        place = self._places.get(_place(request))
        return None if place is None else place.answered

    def difference(self, key: bytes) -> int | None:
        """Return by how much reports exceed counts of calls with this key, if it is known."""
        found = self._differences.get(key)
        if found is None:
            return None
        self._differences.move_to_end(key)
        return found.tokens

    def skip(self, request: Request) -> None:
        """Note that there was nothing to learn from a call."""
        self._at_place(request).idle += 1

    def learn(self, key: bytes, request: Request, sent: int, counted: int, reported: int) -> None:
        """Take a reported call. ``sent``: the hash of its content, by which a retry is known."""
        place, found = self._at_place(request), self._differences.get(key)
        if found is None:
            found = self._differences[key] = Difference()
            if len(self._differences) > KEYS:
                self._differences.popitem(last=False)
        self._differences.move_to_end(key)
        is_new = found.add(sent, counted, reported)
        place.teaches = place.teaches or found.tokens is not None
        place.idle = 0 if is_new and found.tokens is None else place.idle + 1

    def _at_place(self, request: Request) -> _Place:
        name = _place(request)
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = _Place()
            if len(self._places) > PLACES:
                self._places.popitem(last=False)
        return place

    def _debt(self) -> float:
        """Return the seconds of CPU that are not made up for yet."""
        return max(0.0, self._used - (self._clock() - self._at) * RATE)


def _place(request: Request) -> Place:
    return (request.endpoint.key, request.model, request.api)
