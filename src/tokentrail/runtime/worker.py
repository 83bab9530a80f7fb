"""One daemon thread for what must not happen on the application's.

It waits for encodings, counts long text, records blocks of chunk gaps and the points of calls, and
tells the calls that had to wait. It works in slices and breathes between them: a thread that never
pauses keeps the interpreter lock for 5 ms at a time, and an event loop beside it stumbles.

Work is handed over through a ``queue.SimpleQueue``, whose ``put`` may be called anywhere, also in
a finaliser that interrupts another ``put``.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from tokentrail.support import guard
from tokentrail.support.threads import OwnThread, is_own_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from queue import SimpleQueue

_SLICE = 0.0005
"""Seconds of work before a breath."""
_BREATH = 0.0002
MOST_BYTES = 64 * 1024 * 1024
"""Bytes that what waits may hold."""
_DROPPED = 4
"""So many times the capacity may wait where finalisers hand over: further work is dropped."""
_LOOK = 0.25
"""Seconds after which who waits for the thread looks whether it lives."""
_GRACE = 1.0
"""Seconds in which a thread that is told to stop is through with work whose time is over."""

_MOST: Final = 1024
"""Objects that are read: a third of a millisecond. Each further one counts as a word."""
_WORD: Final = 8
_SEQUENCES: Final = frozenset({list, tuple, set, frozenset})
_TEXTS: Final = frozenset({str, bytes, bytearray})
_READ: Final = ("tokentrail", "openai")
"""Packages of which objects are read: by their fields, so that none of their code runs."""


class Job(Protocol):
    """A piece of work."""

    deadline: float
    """``time.monotonic()`` after which the work is ended with what is known."""

    def size(self) -> int:
        """Return about how many bytes it holds. Takes no lock."""

    def ready(self) -> bool:
        """Whether the work can be done now; asked again after each wake-up."""

    def steps(self) -> Iterator[None]:
        """Do the work, pausing every millisecond or sooner."""

    def expire(self) -> None:
        """Have ``steps``, begun or not, come to its end at once with what is known."""


class _Barrier:
    """Set once all work handed over before it is done."""

    def __init__(self) -> None:
        self.passed = threading.Event()


class _Wake:
    """Asks the worker to look at parked work again."""


class _Stop:
    """Asks the worker to end."""


_Item = Job | _Barrier | _Wake | _Stop


class Worker:
    """The thread and its queue; started when first needed."""

    def __init__(self, capacity: int = 2048, most_bytes: int = MOST_BYTES) -> None:
        self._capacity = capacity
        self._most_bytes = most_bytes
        self._lock = threading.RLock()
        self._reset()

    def _reset(self) -> None:
        self._queue: SimpleQueue[_Item] = queue.SimpleQueue()
        self._parked: list[Job] = []
        self._patient: deque[Job] = deque()
        """Work without a deadline: what has one goes first."""
        self._barriers: list[_Barrier] = []
        self._thread: OwnThread | None = None
        self._sizes: dict[int, int] = {}
        """Bytes that each job holds which waits, by its id."""
        self._at_work: Job | None = None
        self._stuck: Job | None = None
        """What the thread was at when somebody waited for it in vain."""
        self.dropped = 0
        """Pieces of work that finalisers could not hand over."""

    def forked(self) -> None:
        """Forget everything: the thread and the work belong to the parent process."""
        self._lock = threading.RLock()
        self._reset()

    def ensure(self) -> bool:
        """Start the thread if it does not run; return whether it does.

        Takes a lock: not for finalisers. No thread can be started when the interpreter shuts down
        (Python 3.12), or where there are too many.
        """
        mine = None if self.running else self._new_thread()
        if mine is None:
            return True
        try:
            mine.start()
        except Exception:  # noqa: BLE001 - whatever there is too little of
            self._thread = None
            return False
        except BaseException:  # an interrupt of the application's: the thread may have begun
            if mine.ident is None:
                self._thread = None
            raise
        return True

    def _new_thread(self) -> OwnThread | None:
        """Return a thread to be started; ``None`` if another one is there by now."""
        with self._lock:  # and nothing in here that waits, as the start of a thread does
            self._renew()
            if self.running:  # last: a signal's handler may enter here meanwhile
                return None
            self._thread = mine = OwnThread(target=self._run, name="tokentrail", daemon=True)
            return mine

    def _renew(self) -> None:
        """Have a queue of the kind that there is now.

        gevent puts another in its place, perhaps only after ours was made: threads are greenlets
        from then on, and one that waits for a queue of before would hold up all others.
        """
        if not self.running and type(self._queue) is not queue.SimpleQueue:
            made, self._queue = self._queue, queue.SimpleQueue()
            while not made.empty():
                self._queue.put(made.get())

    @property
    def running(self) -> bool:
        """Whether work that is handed over now will be done."""
        thread = self._thread
        return thread is not None and not thread.is_over

    def is_current(self) -> bool:
        """Whether it is this thread."""
        return threading.current_thread() is self._thread

    def full(self) -> bool:
        """Whether so much waits that no more should come."""
        return self.backlog() >= self._capacity or self.held() >= self._most_bytes

    def backlog(self) -> int:
        """Return the number of pieces of work that wait."""
        return self._queue.qsize() + len(self._parked) + len(self._patient)

    def held(self) -> int:
        """Return about how many bytes the work holds that waits."""
        return sum(list(self._sizes.values()))  # a list is made in one step

    def put(self, job: Job) -> None:
        """Hand over ``job``. Never blocks. Not for finalisers."""
        with guard.shield("worker"):
            self._sizes[id(job)] = job.size()
        self._queue.put(job)

    def put_finalised(self, job: Job) -> bool:
        """Hand over ``job`` in a finaliser, unless far too much waits; return whether it was.

        Takes no lock.
        """
        if self.backlog() >= _DROPPED * self._capacity:
            self.dropped += 1
            return False
        with suppress(Exception):  # the log takes a lock
            self._sizes[id(job)] = job.size()
        self._queue.put(job)
        return True

    def wake(self) -> None:
        """Look at the work that waits for an encoding again. Never blocks."""
        self._queue.put(_Wake())

    def flush(self, timeout: float) -> bool:
        """Wait until all work handed over by now is done; return whether it is.

        At most ``timeout`` seconds. On the worker's own thread it returns at once. Where no thread
        can be started, the work is ended here.
        """
        # A finaliser hands over work and starts no thread.
        if self.backlog() > 0 and not self.ensure() and timeout > 0:
            self._end_all()
        if self._thread is None or threading.current_thread() is self._thread:
            return self.backlog() == 0
        barrier, until = _Barrier(), time.monotonic() + timeout
        self._queue.put(barrier)
        while not barrier.passed.wait(min(max(until - time.monotonic(), 0.0), _LOOK)):
            if time.monotonic() >= until:
                self._stuck = self._at_work
                return False
            self.ensure()  # something may have ended it
        return True

    @property
    def is_stuck(self) -> bool:
        """Whether it is at the same piece of work as when somebody waited for it in vain."""
        return self._stuck is not None and self._stuck is self._at_work

    def stop(self, timeout: float) -> None:
        """End the thread after the work that is queued; wait for it at most ``timeout`` s.

        What still waits then is ended with what is known. That takes a moment, and is given one
        also where ``timeout`` is none: nothing handed over is lost for lack of it.
        """
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is threading.current_thread():
            return
        if thread is not None:
            self._queue.put(_Stop())
            with suppress(RuntimeError):  # not started yet: then it will not begin
                thread.join(max(timeout, _GRACE))
        if thread is None or not thread.is_alive():
            self._end_all()

    def _end_all(self) -> None:
        left: list[_Item] = [*self._parked, *self._patient, *self._barriers]
        self._parked.clear()
        self._patient.clear()
        self._barriers.clear()
        while not self._queue.empty():
            left.append(self._queue.get())
        for item in left:
            if isinstance(item, _Barrier):
                item.passed.set()
            elif not isinstance(item, (_Wake, _Stop)):
                item.deadline = 0.0
                self._do(item)

    def _run(self) -> None:
        try:
            if self._thread is threading.current_thread():  # or it was stopped before it began
                self._work(self._queue)
        except BaseException as error:  # noqa: BLE001 - a bug of ours; who is needed next is another
            if self._thread is threading.current_thread():
                self._thread = None
            _report("worker", error)

    def _work(self, items: SimpleQueue[_Item]) -> None:
        while True:
            item = self._next(items)
            if isinstance(item, _Stop):
                while self._patient:
                    self._do(self._patient.popleft())
                return
            if isinstance(item, _Barrier):
                self._barriers.append(item)
            elif item is not None and not isinstance(item, _Wake):
                self._take(item)
                item = None  # what a job holds must not live until the next one
            self._look_at_parked()
            if not self._parked and not self._patient:
                self._release()

    def _next(self, items: SimpleQueue[_Item]) -> _Item | None:
        """Return what was handed over; else do what has time, or wait."""
        if self._patient:
            with suppress(queue.Empty):
                return items.get_nowait()
            self._do(self._patient.popleft())
            return None
        if not self._parked:
            return items.get()
        wait = min(job.deadline for job in self._parked) - time.monotonic()
        try:
            return items.get(timeout=max(wait, 0.0))
        except queue.Empty:
            return None

    def _release(self) -> None:
        for barrier in self._barriers:
            barrier.passed.set()
        self._barriers.clear()

    def _take(self, job: Job) -> None:
        if job.deadline == float("inf"):
            self._patient.append(job)
        elif _is_ready(job):
            self._do(job)
        else:
            self._parked.append(job)

    def _look_at_parked(self) -> None:
        waiting, self._parked = self._parked, []
        now = time.monotonic()
        for job in waiting:
            if job.deadline <= now or _is_ready(job):
                self._do(job)
            else:
                self._parked.append(job)

    def _do(self, job: Job) -> None:
        """Do ``job`` in slices; expire it when its time is over. No error of it ends the thread."""
        self._at_work = job
        try:
            begun = time.perf_counter()
            if job.deadline <= time.monotonic():
                job.expire()
            for _ in job.steps():
                if time.perf_counter() - begun > _SLICE:
                    time.sleep(_BREATH)
                    if job.deadline <= time.monotonic():
                        job.expire()
                    begun = time.perf_counter()
        except BaseException as error:
            if not is_own_thread() and not isinstance(error, Exception):
                raise  # the application's thread does the work where there is none of ours
            _report("worker", error)
        finally:
            self._at_work = self._stuck = None
            self._sizes.pop(id(job), None)
        self._note_dropped()

    def _note_dropped(self) -> None:
        if self.dropped:
            guard.warn_once(
                "queue",
                "Too much waits for tokentrail's thread: %s calls whose streams were dropped are "
                "not recorded. Logged once.",
                self.dropped,
            )


def _is_ready(job: Job) -> bool:
    try:
        return job.ready()
    except BaseException as error:
        if not is_own_thread() and not isinstance(error, Exception):
            raise
        _report("worker", error)
        return True


def _report(place: str, error: BaseException) -> None:
    try:
        guard.internal_error(place, error)
    except BaseException:  # noqa: BLE001 - strict: shown by the thread's hook, the worker lives on
        args = (type(error), error, error.__traceback__, threading.current_thread())
        threading.excepthook(threading.ExceptHookArgs(args))


def approximate_size(*roots: object) -> int:
    """Return the characters and bytes in ``roots``; takes no lock and runs no foreign code."""
    left, seen, size = list(roots), set[int](), 0
    for _ in range(_MOST):
        if not left:
            return size
        value = left.pop()
        kind = type(value)
        if kind in _TEXTS:
            size += len(value)  # type: ignore[arg-type]
        elif id(value) not in seen:
            seen.add(id(value))
            left.extend(_parts(value, kind))
    return size + _WORD * len(left)


def _parts(value: object, kind: type) -> list[object]:
    if kind is dict:
        return list(value.values())  # type: ignore[attr-defined]
    if kind in _SEQUENCES:
        return list(value)  # type: ignore[call-overload, no-any-return]
    if kind.__module__.partition(".")[0] not in _READ:
        return []
    slots = [getattr(value, name, None) for base in kind.__mro__ for name in _slots(base)]
    return [*slots, *getattr(value, "__dict__", {}).values()]


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
