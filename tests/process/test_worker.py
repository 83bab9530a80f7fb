"""The worker: laws of a thread that does what must not happen on the application's."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import weakref
from dataclasses import dataclass, field

import pytest
from tests.waiting import wait_until

from tokentrail.runtime.worker import Worker, approximate_size
from tokentrail.support.threads import OwnThread

NEVER = 60.0


@dataclass
class Job:
    """A job of ``length`` steps that may have to wait for ``gate``."""

    log: list[str]
    name: str = "job"
    length: int = 1
    gate: threading.Event | None = None
    seconds: float = NEVER
    error: BaseException | None = None
    not_ready: BaseException | None = None
    hurried: bool = False
    deadline: float = 0.0
    bytes: int = 0
    done: threading.Event = field(default_factory=threading.Event)
    thread: str = ""

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.seconds

    def size(self) -> int:
        return self.bytes

    def ready(self) -> bool:
        if self.not_ready is not None:
            raise self.not_ready
        return self.gate is None or self.gate.is_set()

    def expire(self) -> None:
        self.hurried = True

    def steps(self):
        try:
            for _ in range(self.length):
                if self.hurried:
                    break
                if self.error is not None:
                    raise self.error
                yield
        finally:
            self.thread = threading.current_thread().name
            self.log.append(self.name)
            self.done.set()


class Held(Job):
    """Work that is in the worker's hands until it is let go."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def steps(self):
        self.begun.set()
        assert self.go.wait(5.0)
        yield from super().steps()


@pytest.fixture
def worker():
    worker = Worker(capacity=8)
    yield worker
    worker.stop(5.0)


@pytest.fixture
def log():
    return []


def _put(worker, *jobs):
    worker.ensure()
    for job in jobs:
        worker.put(job)


def _wait_for_backlog(worker, size):
    end = time.monotonic() + 5.0
    while worker.backlog() != size and time.monotonic() < end:
        time.sleep(0.001)
    assert worker.backlog() == size


def test_no_thread_runs_before_it_is_needed(worker):
    assert not worker.running
    assert worker.flush(0.0)
    assert not worker.running


def test_work_is_done_in_its_order_on_one_daemon_thread(worker, log):
    jobs = [Job(log, str(number)) for number in range(5)]
    _put(worker, *jobs)
    assert worker.flush(5.0)
    assert log == ["0", "1", "2", "3", "4"]
    assert {job.thread for job in jobs} == {"tokentrail"}
    (thread,) = [t for t in threading.enumerate() if t.name == "tokentrail"]
    assert thread.daemon


def test_many_who_need_it_start_one_thread(worker, log):
    threads = [threading.Thread(target=_put, args=(worker, Job(log))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.flush(5.0)
    assert len(log) == 16
    assert [t.name for t in threading.enumerate()].count("tokentrail") == 1


def test_the_start_of_its_thread_delays_no_other_thread(worker, log, monkeypatch):
    """It waits for the thread to run: under gevent others run meanwhile, on this very thread."""
    begun, go = threading.Event(), threading.Event()
    start = threading.Thread.start

    def slowly(self):
        if self.name == "tokentrail":
            begun.set()
            assert go.wait(5.0)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", slowly)
    first = threading.Thread(target=worker.ensure)
    first.start()
    assert begun.wait(5.0)
    assert worker.ensure()
    worker.put(Job(log))
    go.set()
    first.join()
    assert worker.flush(5.0)
    assert log == ["job"]


def test_a_thread_that_is_stopped_before_it_began_does_not_begin(worker, log, monkeypatch):
    start = threading.Thread.start

    def stopped(self):
        worker.put(Job(log))
        worker.stop(0.1)
        start(self)
        self.join(5.0)
        assert not self.is_alive()

    monkeypatch.setattr(threading.Thread, "start", stopped)
    worker.ensure()
    assert not worker.running
    assert log == ["job"]


def test_it_waits_for_a_queue_of_the_kind_there_is_when_it_starts(worker, log, monkeypatch):
    """Gevent puts its own in the place of Python's, which would hold up all greenlets."""

    class Cooperative(queue.Queue):
        pass

    worker.put(Job(log, "before"))
    monkeypatch.setattr(queue, "SimpleQueue", Cooperative)
    _put(worker, Job(log, "after"))
    assert type(worker._queue) is Cooperative
    assert worker.flush(5.0)
    assert log == ["before", "after"]


def test_work_that_waits_delays_no_other_thread(worker, log):
    waiting = Job(log, "waiting", gate=threading.Event())
    _put(worker, waiting, Job(log, "other"))
    assert not worker.flush(0.05)
    assert log == ["other"]
    assert worker.backlog() >= 1
    waiting.gate.set()
    worker.wake()
    assert worker.flush(5.0)
    assert log == ["other", "waiting"]
    assert not waiting.hurried


def test_a_flush_waits_for_all_that_was_handed_over_before_it(worker, log):
    """Also for work that waits; and each flush is let go only then."""
    gate = threading.Event()
    _put(worker, Job(log, "slow", gate=gate))
    found = []
    flushes = [threading.Thread(target=lambda: found.append(worker.flush(5.0))) for _ in range(3)]
    for flush in flushes:
        flush.start()
    time.sleep(0.05)
    assert found == []
    gate.set()
    worker.wake()
    for flush in flushes:
        flush.join()
    assert found == [True] * 3
    assert log == ["slow"]


def test_a_flush_waits_for_work_without_a_deadline(worker, log):
    """Such work is put off while there is other work, but a flush is no reason to skip it."""
    first, patient = Held(log, "first"), Held(log, "patient", seconds=float("inf"))
    _put(worker, first, patient)
    assert first.begun.wait(5.0)
    found = []
    flush = threading.Thread(target=lambda: found.append(worker.flush(5.0)))
    flush.start()
    _wait_for_backlog(worker, 2)
    first.go.set()
    assert patient.begun.wait(5.0)
    flush.join(0.05)
    assert found == []
    patient.go.set()
    flush.join(5.0)
    assert found == [True]
    assert log == ["first", "patient"]


def test_a_flush_gives_up_when_its_time_is_over(worker, log):
    _put(worker, Job(log, gate=threading.Event()))
    begun = time.monotonic()
    assert worker.flush(0.1) is False
    assert 0.1 <= time.monotonic() - begun < 2.0


def test_a_flush_on_the_workers_own_thread_does_not_wait_for_itself(worker, log):
    found = []

    class Flushing(Job):
        def steps(self):
            found.append(worker.flush(5.0))
            yield from super().steps()

    _put(worker, Flushing(log), Job(log, gate=threading.Event(), seconds=0.5))
    assert worker.flush(5.0)
    assert len(found) == 1


def test_work_that_waits_too_long_ends_at_its_deadline(worker, log):
    job = Job(log, gate=threading.Event(), seconds=0.1)
    _put(worker, job)
    assert job.done.wait(5.0)
    assert time.monotonic() >= job.deadline
    assert job.hurried


def test_each_of_several_waiting_jobs_ends_at_its_own_deadline(worker, log):
    gate = threading.Event()
    short, long = Job(log, "short", gate=gate, seconds=0.1), Job(log, "long", gate=gate)
    _put(worker, long, short)
    assert short.done.wait(5.0)
    assert short.hurried
    assert not long.hurried
    assert log == ["short"]


def test_work_that_takes_too_long_ends_at_its_deadline(worker, log):
    job = Job(log, length=10**9, seconds=0.1)
    _put(worker, job)
    assert job.done.wait(5.0)
    assert job.hurried
    assert job.deadline <= time.monotonic() < job.deadline + 1.0


def test_work_that_is_in_time_is_never_ended_early(worker, log):
    jobs = [Job(log, length=3) for _ in range(5)]
    _put(worker, *jobs)
    assert worker.flush(5.0)
    assert not any(job.hurried for job in jobs)


@pytest.mark.parametrize("failure", ["error", "not_ready"])
def test_work_that_fails_is_the_only_work_that_fails(worker, log, failure, monkeypatch):
    """The thread lives on; strict tests see the error through the thread's own hook."""
    shown = []
    monkeypatch.setattr(threading, "excepthook", lambda args: shown.append(args.exc_type))
    _put(worker, Job(log, "bad", **{failure: LookupError("ours")}), Job(log, "good"))
    assert worker.flush(5.0)
    assert log[-1] == "good"
    assert LookupError in shown


def test_a_thread_that_fails_itself_is_followed_by_another(worker, log, monkeypatch):
    """What is handed over after it is done by the next one, and so is what it left."""
    shown = []
    monkeypatch.setattr(threading, "excepthook", lambda args: shown.append(args.exc_type))
    with monkeypatch.context() as broken:
        broken.setattr(worker, "_take", [].remove)
        _put(worker, Job(log, "lost"), Job(log, "left"))
        while worker.running:
            time.sleep(0.001)
    assert worker.flush(5.0)
    _put(worker, Job(log, "next"))
    assert worker.flush(5.0)
    assert log == ["left", "next"]
    assert shown == [ValueError]


def test_stopping_does_what_is_queued_and_ends_the_thread(worker, log):
    _put(worker, *[Job(log, str(number), length=50) for number in range(4)])
    worker.stop(5.0)
    assert log == ["0", "1", "2", "3"]
    assert not worker.running
    assert "tokentrail" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("timeout", [0.0, 5.0])
def test_stopping_ends_what_waits_with_what_is_known(worker, log, timeout):
    """Nothing that was handed over is lost, however little time there is."""
    waiting = Job(log, "waiting", gate=threading.Event())
    _put(worker, waiting, Job(log, "other"))
    worker.stop(timeout)
    assert sorted(log) == ["other", "waiting"]
    assert waiting.hurried


def test_stopping_leaves_work_without_a_deadline_to_the_thread(worker, log):
    """It may take long, and who stops the worker waits for a limited time."""
    first, patient = Held(log, "first"), Job(log, "patient", seconds=float("inf"))
    _put(worker, first, patient)
    assert first.begun.wait(5.0)
    stop = threading.Thread(target=worker.stop, args=(5.0,))
    stop.start()
    _wait_for_backlog(worker, 2)
    first.go.set()
    stop.join(5.0)
    assert log == ["first", "patient"]
    assert patient.thread == "tokentrail"


def _stopped_in_the_middle_of(worker, job):
    """Return the thread that stops the worker, in whose hands ``job`` is now."""
    stopping = threading.Thread(target=worker.stop, args=(0.0,))
    stopping.start()
    assert job.begun.wait(NEVER)
    return stopping


@pytest.mark.parametrize("runs_again", [False, True])
def test_a_flush_waits_for_work_that_who_stops_does_himself(worker, log, runs_again):
    """Such as a provider that is shut down in one thread while another uninstruments."""
    job = Held(log, gate=threading.Event())
    _put(worker, job)
    _wait_for_backlog(worker, 1)
    stopping = _stopped_in_the_middle_of(worker, job)
    if runs_again:
        assert worker.ensure()
    assert not worker.flush(0.0)
    job.go.set()
    assert worker.flush(NEVER)
    assert log == ["job"]
    stopping.join()


def test_a_flush_waits_for_work_that_a_thread_that_was_stopped_still_does(worker, log, monkeypatch):
    """It waits already when another thread stops that one; then a new thread is there as well."""
    monkeypatch.setattr(sys.modules[Worker.__module__], "_GRACE", 0.0)
    jobs = [Held(log, str(number), gate=threading.Event()) for number in range(2)]
    _put(worker, *jobs)
    _wait_for_backlog(worker, 2)
    flushed = []
    flushing = threading.Thread(target=lambda: flushed.append((worker.flush(NEVER), len(log))))
    flushing.start()
    wait_until(lambda: worker._barriers, "the flush begins")
    for job in jobs:
        job.gate.set()
    worker.wake()
    assert jobs[0].begun.wait(NEVER)
    worker.stop(0.0)
    assert worker.ensure()
    worker.wake()
    wait_until(worker._queue.empty, "another thread looks")
    for job in jobs:
        job.go.set()
    flushing.join()
    assert flushed == [(True, 2)]


def test_a_flush_after_a_stop_waits_for_work_that_the_thread_still_does(worker, log, monkeypatch):
    monkeypatch.setattr(sys.modules[Worker.__module__], "_GRACE", 0.0)
    job = Held(log)
    _put(worker, job)
    assert job.begun.wait(NEVER)
    worker.stop(0.0)
    for _ in range(2):  # as often as somebody flushes
        worker.stop(0.0)
        assert not worker.flush(0.0)
    job.go.set()
    worker.stop(NEVER)
    assert worker.flush(0.0)
    assert log == ["job"]
    assert not [t for t in threading.enumerate() if t.name == "tokentrail"]


def test_stopping_lets_go_who_flushes(worker, log):
    _put(worker, Job(log, gate=threading.Event()))
    found = []
    flush = threading.Thread(target=lambda: found.append(worker.flush(30.0)))
    flush.start()
    time.sleep(0.05)
    worker.stop(5.0)
    flush.join(5.0)
    assert found == [True]


def test_what_a_finaliser_left_without_a_thread_is_done_by_a_flush(worker, log):
    """``put`` starts no thread, for it may be called where no lock may be taken."""
    worker.put(Job(log))
    assert not worker.running
    assert worker.flush(5.0)
    assert log == ["job"]


def test_what_a_finaliser_left_without_a_thread_is_ended_by_a_stop(worker, log):
    worker.put(Job(log))
    worker.stop(0.0)
    assert log == ["job"]


def test_it_can_be_needed_again_after_a_stop(worker, log):
    _put(worker, Job(log, "first"))
    worker.stop(5.0)
    _put(worker, Job(log, "second"))
    assert worker.flush(5.0)
    assert log == ["first", "second"]


def test_it_is_full_at_its_capacity_and_no_longer_when_work_is_done(worker, log):
    gate = threading.Event()
    _put(worker, *[Job(log, gate=gate) for _ in range(7)])
    assert not worker.full()
    worker.put(Job(log, gate=gate))
    wait_until(worker.full, "the worker to be full: one it looks at is not counted meanwhile")
    gate.set()
    worker.wake()
    assert worker.flush(5.0)
    assert (worker.full(), worker.backlog()) == (False, 0)


def test_where_no_thread_can_be_started_it_says_so(worker, log, monkeypatch):
    """As when the interpreter shuts down; later it may be possible again."""

    def refused(self):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        assert worker.ensure() is False
        assert not worker.running
        worker.put(Job(log))
        assert worker.flush(0.0) is False
    assert worker.ensure() is True
    assert worker.flush(5.0)
    assert log == ["job"]


class Busy(Job):
    """Work that takes 0.4 s."""

    def steps(self):
        end = time.perf_counter() + 0.4
        while time.perf_counter() < end:
            yield
        self.done.set()


def test_it_breathes_while_it_works(worker, log):
    """Another thread gets its turn within a few ms of busy work; a busy machine has three tries."""
    assert any(_median_of_turns(worker, log) < 0.004 for _ in range(3))


def _median_of_turns(worker, log):
    _put(worker, busy := Busy(log))
    gaps, last = [], time.perf_counter()
    while not busy.done.is_set():
        time.sleep(0.001)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
    return sorted(gaps)[len(gaps) // 2]


def test_a_job_that_is_done_is_not_held_until_the_next(worker, log):
    """What it holds (a call, its text) can be freed at once, though nothing more comes."""
    job = Job(log)
    done, freed = job.done, weakref.ref(job)
    _put(worker, job)
    del job
    assert done.wait(5.0)
    end = time.monotonic() + 5.0
    while freed() is not None and time.monotonic() < end:
        time.sleep(0.001)
    assert freed() is None


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_thread_that_starts_the_parents_worker_does_not_block_a_child(worker, log, monkeypatch):
    """What such a thread had locked at the fork, nobody unlocks in the child."""
    begun, go = threading.Event(), threading.Event()

    class Slow(OwnThread):
        def __init__(self, **options):
            begun.set()
            assert go.wait(5.0)
            super().__init__(**options)

    starting = threading.Thread(target=worker.ensure)
    with monkeypatch.context() as patched:
        patched.setattr(sys.modules[Worker.__module__], "OwnThread", Slow)
        starting.start()
        assert begun.wait(5.0)
    child = os.fork()
    if not child:
        worker.forked()
        threading.Thread(target=_put, args=(worker, Job(log)), daemon=True).start()
        end = time.monotonic() + 3.0
        while not log and time.monotonic() < end:
            time.sleep(0.001)
        os._exit(0 if log else 1)
    _, status = os.waitpid(child, 0)
    go.set()
    starting.join(5.0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize(
    "kind", [SystemExit, KeyboardInterrupt, type("Panic", (BaseException,), {})]
)
@pytest.mark.parametrize("failure", ["error", "not_ready"])
def test_nothing_that_work_raises_ends_the_thread(worker, log, monkeypatch, kind, failure):
    shown = []
    monkeypatch.setattr(threading, "excepthook", lambda args: shown.append(args.exc_type))
    _put(worker, Job(log, "bad", **{failure: kind()}))
    (thread,) = [t for t in threading.enumerate() if t.name == "tokentrail"]
    _put(worker, Job(log, "good"))
    assert worker.flush(5.0)
    assert log[-1] == "good"
    assert thread.is_alive()
    assert kind in shown


def test_who_waits_for_a_thread_that_was_ended_gets_another(worker, log, monkeypatch):
    """Gevent may kill it as any other greenlet."""
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    held = Held(log, "held")
    _put(worker, held)
    assert held.begun.wait(5.0)
    monkeypatch.setattr(worker, "_look_at_parked", iter([]).__next__)
    left, found = Job(log, "left"), []
    worker.put(left)
    flush = threading.Thread(target=lambda: found.append(worker.flush(10.0)))
    flush.start()
    held.go.set()
    while worker.running:
        time.sleep(0.001)
    monkeypatch.undo()
    flush.join(10.0)
    assert found == [True]
    assert log == ["held", "left"]


@pytest.mark.parametrize("error", [RuntimeError(), MemoryError(), OSError(11, "again")])
def test_where_no_thread_can_be_started_a_flush_does_the_work(worker, log, monkeypatch, error):
    def refused(self):
        raise error

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert worker.ensure() is False
    worker.put(Job(log))
    assert worker.flush(1.0)
    assert log == ["job"]


def test_it_is_full_at_2048_pieces_unless_asked_otherwise(log):
    worker, jobs = Worker(), [Job(log) for _ in range(2048)]
    for job in jobs[1:]:
        worker.put(job)
    assert not worker.full()
    worker.put(jobs[0])
    assert worker.full()


def test_it_is_full_by_what_its_work_holds(log):
    worker, gate = Worker(most_bytes=100), threading.Event()
    _put(worker, Job(log, gate=gate, bytes=99))
    assert not worker.full()
    worker.put(Job(log, gate=gate, bytes=1))
    assert worker.full()
    gate.set()
    worker.wake()
    assert worker.flush(5.0)
    assert (worker.full(), worker.held()) == (False, 0)
    worker.stop(5.0)


def test_finalisers_hand_over_a_bounded_number(worker, log, caplog):
    jobs = [Job(log) for _ in range(33)]
    assert [worker.put_finalised(job) for job in jobs] == [True] * 32 + [False]
    assert worker.flush(5.0)
    assert len(log) == 32
    assert worker.dropped == 1


def test_only_the_first_who_waits_for_work_that_hangs_waits(worker, log):
    held = Held(log, "held")
    _put(worker, held)
    assert held.begun.wait(5.0)
    assert not worker.is_stuck
    assert worker.flush(0.01) is False
    assert worker.is_stuck
    held.go.set()
    assert worker.flush(5.0)
    assert not worker.is_stuck


def test_what_many_small_texts_take_is_not_thought_less_than_they_are():
    """Only some of them are looked at; the bytes that may wait are bounded by this."""
    assert approximate_size([f"{number:06}" for number in range(5000)]) >= 5000 * 6
