"""Calibration: what the server adds to the input, learned from the application's own calls.

An application sends the same tools, schema and instructions again and again, and the server reports
usage for most of its calls. What the server adds to the text of similar calls (`likeness`) is
constant. Once it is known, the input of such a call without a report is known too: `calibrated`.

Only the worker learns and looks up. Application threads make two checks in O(1). Memory is bounded
by the constants here: 512 kinds of calls take 2 MB at most.
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
"""Kinds of calls that are remembered, the most recently used ones."""
PLACES: Final = 256
AGREEING: Final = 3
"""Reported calls of different lengths that have to agree."""
SPREAD: Final = 20
"""Minimum difference in tokens between the shortest and the longest of them."""
LAST: Final = 50
"""None of this many latest calls may disagree."""
PENDING: Final = 16
"""Calls that may wait for the worker at once; their prompts stay in memory until then."""
BURST: Final = 0.6
RATE: Final = 0.01
"""Seconds of CPU that learning may take at once, and per second after that: at most 2 % of one core
in any minute."""
_ALIKE: Final = 32
"""After this many calls in a row with nothing to learn, only one in as many is examined."""


class Difference:
    """The difference of reports and counts for one kind of call, as far as it is known."""

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
        """Different lengths among these, up to the required number."""
        self._requests: deque[int] = deque(maxlen=LAST)
        """Hashes of the latest requests: a retry counts once."""

    @property
    def tokens(self) -> int | None:
        """The difference, reported minus counted, if it is known."""
        enough = LAST if self._has_disagreed else AGREEING
        spread = self._high - self._low >= SPREAD and len(self._counts) >= AGREEING
        return self._tokens if spread and self.agreed >= enough else None

    def add(self, request: int, counted: int, reported: int) -> bool:
        """Learn from the report of a request, given as a hash; return whether it is new."""
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
    """What is known about one host, deployment and API."""

    __slots__ = ("_agreed", "_answered", "_has_changed", "idle", "looks", "teaches")

    def __init__(self) -> None:
        self.teaches = False
        """Whether a difference was learned there."""
        self.idle = 0
        """Calls in a row with nothing to learn."""
        self.looks = count()
        self._answered: str | None = None
        self._agreed = 0
        self._has_changed = False

    @property
    def answered(self) -> str | None:
        """The model that always answers there; None if it changes."""
        return None if self._has_changed and self._agreed < LAST else self._answered

    def answer(self, model: str) -> None:
        """Note that ``model`` answered."""
        if model != self._answered:
            self._has_changed = self._answered is not None
            self._answered, self._agreed = model, 0
        self._agreed += 1


class Calibration:
    """What was learned about all kinds of calls."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: returns seconds; limits the worker's time."""
        self._clock = clock
        self._differences: OrderedDict[bytes, Difference] = OrderedDict()
        self._places: OrderedDict[Place, _Place] = OrderedDict()
        self._used = 0.0
        """Seconds of CPU above the allowance at ``_at``. Only the worker writes it."""
        self._at = clock()
        self.forked()

    def forked(self) -> None:
        """Forget, in a forked child, the calls that wait: they belong to its parent."""
        self._pending: set[object] = set()

    # Called by threads of the application ---------------------------------------------------------

    def may_learn(self, request: Request) -> bool:
        """Return whether the worker should learn from a reported call."""
        place = self._places.get((request.endpoint.key, request.model, request.api))
        if place is not None and place.idle >= _ALIKE and next(place.looks) % _ALIKE:
            return False  # the usual case: enters no further function
        return len(self._pending) < PENDING and self._debt() < BURST

    def may_know(self, request: Request) -> bool:
        """Return whether anything was learned about calls to the same place."""
        place = self._places.get(_place(request))
        return place is not None and place.teaches

    def wait(self, job: object) -> None:
        """Note that ``job`` waits for the worker."""
        self._pending.add(job)

    # Called by the worker
    # -------------------------------------------------------------------------------

    def begin(self, job: object) -> None:
        """Note that ``job`` no longer waits."""
        self._pending.discard(job)

    def use(self, seconds: float) -> None:
        """Note how much CPU learning took."""
        self._used = self._debt() + seconds
        self._at = self._clock()

    def answer(self, request: Request, model: str) -> None:
        """Note that ``model`` answered ``request``."""
        self._at_place(request).answer(model)

    def answered(self, request: Request) -> str | None:
        """Return the model that always answers such requests; None if it changes."""
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
        """Learn from a reported call. ``sent``: the hash of its content, to recognise a retry."""
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
        """Return the seconds of CPU above the allowance."""
        return max(0.0, self._used - (self._clock() - self._at) * RATE)


def _place(request: Request) -> Place:
    return (request.endpoint.key, request.model, request.api)
