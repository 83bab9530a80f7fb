"""One daemon thread for work that must not run on the application's threads.

It waits for encodings, counts long text, records blocks of chunk gaps and the metric points of
calls, and records queued calls. It works in slices and pauses between them: a thread that never
pauses keeps the interpreter lock for 5 ms at a time, which delays an event loop in the program.

Jobs are handed over through a ``queue.SimpleQueue``. Its ``put`` may be called anywhere, even in a
finaliser that interrupts another ``put``.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from tokentrail.support import guard
from tokentrail.support.frozen import lean_dataclass
from tokentrail.support.threads import OwnThread, is_own_thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from queue import SimpleQueue

_SLICE = 0.0005
"""Seconds of work before a pause."""
_BREATH = 0.0002
MOST_BYTES = 64 * 1024 * 1024
"""How many bytes waiting jobs may hold."""
_DROPPED = 4
"""Finalisers may fill the queue to this multiple of its capacity; more work is dropped."""
_LOOK = 0.25
"""Seconds between checks, while waiting for the thread, that it is still alive."""
_GRACE = 1.0
"""Seconds that a stopping thread gets at least, to end jobs whose deadline has passed."""

_MOST: Final = 1024
"""How many objects are measured, in a third of a millisecond. Others count as one word."""
_WORD: Final = 8
_SEQUENCES: Final = frozenset({list, tuple, set, frozenset})
_TEXTS: Final = frozenset({str, bytes, bytearray})
_SCALARS: Final = frozenset({int, float, bool, type(None)})
_READ: Final = ("tokentrail", "openai")
"""Packages whose objects are measured, by their fields, so that none of their code runs."""


class Job(Protocol):
    """A piece of work for the worker."""

    deadline: float
    """The time, as of ``time.monotonic()``, after which the job ends with what is known."""

    def size(self) -> int:
        """Return roughly how many bytes the job holds. Takes no lock."""

    def ready(self) -> bool:
        """Whether the job can run now; checked again after each wake-up."""

    def steps(self) -> Iterator[None]:
        """Do the work; yield at least every millisecond."""

    def expire(self) -> None:
        """Make ``steps``, started or not, end at once with what is known."""


class _Barrier:
    """Passed once all jobs handed over before it are done."""

    def __init__(self) -> None:
        self.passed = threading.Event()


class _Wake:
    """Asks the worker to check parked jobs again."""


@lean_dataclass(frozen=True, slots=True)
class _Stop:
    """Asks a thread to end; another that takes it goes on."""

    thread: threading.Thread


_Item = Job | _Barrier | _Wake | _Stop


class Worker:
    """The thread and its queue; the thread starts when first needed."""

    def __init__(self, capacity: int = 2048, most_bytes: int = MOST_BYTES) -> None:
        self._capacity = capacity
        self._most_bytes = most_bytes
        self._lock = threading.RLock()
        self._reset()

    def _reset(self) -> None:
        self._queue: SimpleQueue[_Item] = queue.SimpleQueue()
        self._parked: list[Job] = []
        self._patient: deque[Job] = deque()
        """Jobs without a deadline; jobs with one run first."""
        self._barriers: list[_Barrier] = []
        self._ending: list[tuple[threading.Thread, threading.Event]] = []
        """Who ends jobs in place of the thread, and what is set once they are ended."""
        self._stopped: OwnThread | None = None
        """The thread that was asked to end and is still at work."""
        self._thread: OwnThread | None = None
        self._sizes: dict[int, int] = {}
        """The bytes that each waiting job holds, by the job's id."""
        self._at_work: Job | None = None
        self._stuck: Job | None = None
        """The job that was running when a flush timed out."""
        self.dropped = 0
        """The number of jobs that finalisers could not hand over."""

    def forked(self) -> None:
        """Drop everything: the thread and the jobs belong to the parent process."""
        self._lock = threading.RLock()
        self._reset()

    def ensure(self) -> bool:
        """Start the thread if it is not running; return whether it is running now.

        Takes a lock, so finalisers must not call it. No thread can start while the interpreter
        shuts down (since Python 3.12), or if there are too many.
        """
        mine = None if self.running else self._new_thread()
        if mine is None:
            return True
        try:
            mine.start()
        except Exception:  # noqa: BLE001 - any exhausted resource
            self._thread = None
            return False
        except BaseException:  # an interrupt of the application: the thread may have started
            if mine.ident is None:
                self._thread = None
            raise
        return True

    def _new_thread(self) -> OwnThread | None:
        """Return a thread to start; ``None`` if another one is running by now."""
        with self._lock:  # nothing may wait in here, as the start of a thread does
            self._renew()
            if self.running:  # tested last: a signal handler may run this meanwhile
                return None
            self._thread = mine = OwnThread(target=self._run, name="tokentrail", daemon=True)
            return mine

    def _renew(self) -> None:
        """Replace the queue if its class is no longer ``queue.SimpleQueue``.

        gevent replaces that class, perhaps after our queue was created. From then on threads are
        greenlets, and one that waits for an old queue would block all others.
        """
        if not self.running and type(self._queue) is not queue.SimpleQueue:
            made, self._queue = self._queue, queue.SimpleQueue()
            while not made.empty():
                self._queue.put(made.get())

    @property
    def running(self) -> bool:
        """Whether jobs handed over now will run."""
        thread = self._thread
        return thread is not None and not thread.is_over

    def is_current(self) -> bool:
        """Whether the current thread is the worker's."""
        return threading.current_thread() is self._thread

    def full(self) -> bool:
        """Whether too much waits to accept more jobs."""
        return self.backlog() >= self._capacity or self.held() >= self._most_bytes

    def backlog(self) -> int:
        """Return the number of waiting jobs."""
        return self._queue.qsize() + len(self._parked) + len(self._patient)

    def held(self) -> int:
        """Return roughly how many bytes the waiting jobs hold."""
        return sum(list(self._sizes.values()))  # list() copies in one atomic step

    def put(self, job: Job) -> None:
        """Hand over ``job``. Never blocks. Not for finalisers."""
        with guard.shield("worker"):
            self._sizes[id(job)] = job.size()
        self._queue.put(job)

    def put_finalised(self, job: Job) -> bool:
        """Hand over ``job`` in a finaliser, unless far too much waits; return whether it succeeded.

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
        """Make the worker check again the jobs that wait for an encoding. Never blocks."""
        self._queue.put(_Wake())

    def flush(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds until all jobs handed over are done; return whether so.

        On the worker's own thread it returns at once. If no thread can be started, the jobs are
        ended on the calling thread.
        """
        until = time.monotonic() + timeout
        # Finalisers hand over jobs but do not start the thread.
        if self.backlog() > 0 and not self.ensure() and timeout > 0:
            self._end_all()
        if threading.current_thread() is self._thread:
            return self.backlog() == 0
        if self._thread is None:
            return self._is_ended(until) and self.backlog() == 0
        barrier = _Barrier()
        self._queue.put(barrier)
        while not barrier.passed.wait(min(max(until - time.monotonic(), 0.0), _LOOK)):
            if time.monotonic() >= until:
                self._stuck = self._at_work
                return False
            self.ensure()  # the thread may have died
        return True

    @property
    def is_stuck(self) -> bool:
        """Whether the job that was running when a flush timed out is still running."""
        return self._stuck is not None and self._stuck is self._at_work

    def warn_if_stuck(self) -> None:
        """Log, once, that calls are not recorded because what they wait for does not return."""
        if self.is_stuck:
            guard.warn_once(
                "stuck",
                "Calls that have ended are not recorded: tokentrail's thread waits for a redact or "
                "a hook of yours, a span processor or an exporter that does not return. They are "
                "lost unless it returns before the program ends. Logged once.",
            )

    def stop(self, timeout: float) -> None:
        """Stop the thread after the queued jobs; wait for it at most ``timeout`` seconds.

        Jobs that still wait then are ended with what is known. The thread gets a moment for them
        even if ``timeout`` is 0, so that no job is lost.
        """
        until = time.monotonic() + timeout
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._stopped = thread
        if thread is threading.current_thread():
            return
        if thread is not None:
            self._queue.put(_Stop(thread))
            with suppress(RuntimeError):  # not started yet, and it will do nothing once started
                thread.join(max(timeout, _GRACE))
        if thread is None or not thread.is_alive():
            self._end_all()
            self._is_ended(until)

    def _is_ended(self, until: float) -> bool:
        """Wait for jobs in the hands of other threads; return whether there are none left."""
        mine, stopped = threading.current_thread(), self._stopped
        if stopped is not None and stopped is not mine:
            with suppress(RuntimeError):  # as in stop()
                stopped.join(max(until - time.monotonic(), 0.0))
                if stopped.is_alive():
                    return False
        return all(
            over.wait(max(until - time.monotonic(), 0.0))
            for thread, over in list(self._ending)
            if thread is not mine
        )

    def _end_all(self) -> None:
        """End all waiting jobs on this thread."""
        this = (threading.current_thread(), threading.Event())
        self._ending.append(this)  # first: from then on nobody else finds the jobs
        try:
            self._end_here()
        finally:
            self._ending.remove(this)
            this[1].set()
            if self.running:
                self.wake()

    def _end_here(self) -> None:
        left: list[_Item] = [*self._parked, *self._patient, *self._barriers]
        self._parked.clear()
        self._patient.clear()
        self._barriers.clear()
        with suppress(queue.Empty):
            while True:
                left.append(self._queue.get_nowait())
        for item in left:
            if isinstance(item, _Barrier):
                item.passed.set()
            elif not isinstance(item, (_Wake, _Stop)):
                item.deadline = 0.0
                self._do(item)

    def _run(self) -> None:
        try:
            if self._thread is threading.current_thread():  # else it was stopped before it started
                self._work(self._queue)
        except BaseException as error:  # noqa: BLE001 - our bug; a later job starts a new thread
            if self._thread is threading.current_thread():
                self._thread = None
            _report("worker", error)
        finally:
            if self._stopped is threading.current_thread():
                self._stopped = None
                if self.running:
                    self.wake()

    def _work(self, items: SimpleQueue[_Item]) -> None:
        mine = threading.current_thread()
        while True:
            # Others may have taken all that waits, also what asks this thread to end.
            is_left = self._stopped is mine and items.empty()
            item = _Stop(mine) if is_left else self._next(items)
            if isinstance(item, _Stop) and item.thread is mine:
                self._end_own()
                return
            if isinstance(item, _Barrier):
                self._barriers.append(item)
            elif item is not None and not isinstance(item, (_Wake, _Stop)):
                self._take(item)
                item = None  # release the job before waiting for the next one
            self._look_at_parked()
            if not self._parked and not self._patient:
                self._release()

    def _end_own(self) -> None:
        """Do what has no deadline, and end what waits for an encoding with what is known."""
        while self._patient:
            self._do(self._patient.popleft())
        waiting, self._parked = self._parked, []
        for job in waiting:
            job.deadline = 0.0
            self._do(job)
        self._release()

    def _next(self, items: SimpleQueue[_Item]) -> _Item | None:
        """Return the next item; without one, run a job that has no deadline, or wait."""
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
        if self._is_shared():
            return  # jobs from before are in other hands, which wake the thread
        for barrier in self._barriers:
            barrier.passed.set()
        self._barriers.clear()

    def _is_shared(self) -> bool:
        """Whether other threads may have jobs in hand."""
        mine, stopped = threading.current_thread(), self._stopped
        if self._ending or stopped is None:
            return bool(self._ending)
        return stopped is not mine or self.running

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
        """Run ``job`` in slices; expire it at its deadline. No error of it ends the thread."""
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
                raise  # without a worker, a thread of the application runs jobs
            _report("worker", error)
        finally:
            self._at_work = self._stuck = None
            self._sizes.pop(id(job), None)
        self._note_dropped()

    def _note_dropped(self) -> None:
        if self.dropped:
            guard.warn_once(
                "queue",
                "Too much work waits for tokentrail's thread, so %s calls are not recorded: their "
                "streams were never closed. Close streams, or run more processes. Logged once.",
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
    """Return about how many characters and bytes ``roots`` hold; no lock, no foreign code."""
    left, seen, size = list(roots), set[int](), 0
    for _ in range(_MOST):
        if not left:
            return size
        value = left.pop()
        kind = type(value)
        if kind in _TEXTS:
            size += len(value)  # type: ignore[arg-type]
        elif kind not in _SCALARS and id(value) not in seen:
            seen.add(id(value))
            if kind is dict:
                left.extend(value.values())  # type: ignore[attr-defined]
            else:
                left.extend(value if kind in _SEQUENCES else _parts(value, kind))  # type: ignore[arg-type]
    return size + _WORD * len(left)


def _parts(value: object, kind: type) -> list[object]:
    if kind.__module__.partition(".")[0] not in _READ:
        return []
    slots = [getattr(value, name, None) for base in kind.__mro__ for name in _slots(base)]
    return [*slots, *getattr(value, "__dict__", {}).values()]


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
