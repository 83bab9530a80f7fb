"""When the points of a call are recorded: soon, by the worker, and before anybody looks."""

from __future__ import annotations

import os
import threading
import time
from functools import partial

import pytest
from opentelemetry.sdk.metrics import Histogram

from tokentrail.runtime import runtime
from tokentrail.telemetry import internal_metrics
from tokentrail.telemetry.metrics import batching
from tokentrail.telemetry.metrics.batching import FEW, PointBatch
from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Plain, Stream

pytestmark = pytest.mark.usefixtures("encodings")

DURATION = "gen_ai.client.operation.duration"
MESSAGES = [{"role": "user", "content": "Hello, how are you?"}]
ONE = Answer(("Hello there.",), Usage(13, 3), "gpt-4o-2024-08-06")


@pytest.fixture
def recorded(monkeypatch):
    """The names of the threads on which points are recorded."""
    names, record = [], Histogram.record

    def watched(self, *args, **kwargs):
        record(self, *args, **kwargs)
        names.append(threading.current_thread().name)

    monkeypatch.setattr(Histogram, "record", watched)
    return names


@pytest.fixture
def ask(driver, serve):
    """Make a plain call whose usage is reported."""
    client = driver.client(serve(Plain(chat.completion(ONE))))

    async def one():
        await driver.call(client.chat.completions.create, model="gpt-4o", messages=MESSAGES)

    return one


async def test_the_worker_records_points_soon_without_a_collection(trail, ask, recorded):
    await ask()
    assert recorded == []
    end = time.monotonic() + 2.5
    while len(recorded) < 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert recorded == ["tokentrail"] * 3


async def test_who_collects_finds_every_point_at_once(trail, ask, recorded, monkeypatch):
    monkeypatch.setattr(batching, "DELAY", 60.0)
    for _ in range(3):
        await ask()
    begun = time.monotonic()
    assert trail.metrics.one(DURATION).count == 3
    assert time.monotonic() - begun < 2.0
    assert recorded == ["tokentrail"] * 9


@pytest.mark.parametrize("streamed", [True, False])
async def test_points_that_wait_do_not_keep_what_was_asked(
    trail, driver, serve, monkeypatch, streamed
):
    """A long prompt may have megabytes."""
    monkeypatch.setattr(batching, "DELAY", 60.0)
    silent = {**chat.completion(ONE), "usage": None}
    reply = Stream(chat.chunks(ONE)) if streamed else Plain(silent)
    create = driver.client(serve(reply)).chat.completions.create
    answer = await driver.call(create, model="gpt-4o", messages=MESSAGES, stream=streamed)
    if streamed:
        await driver.read(answer)
    assert len(trail.spans.at_once()) == 1
    (record,) = runtime.current().emitter.metrics.batch._waiting
    assert MESSAGES[0]["content"] not in repr(record)


async def test_points_belong_to_the_spans_of_their_calls(trail, ask):
    await ask()
    (exemplar,) = trail.metrics.one(DURATION).exemplars
    span = trail.spans.one().context
    assert (exemplar.trace_id, exemplar.span_id) == (span.trace_id, span.span_id)


async def test_when_it_is_undone_nothing_is_left_behind(trail, ask, monkeypatch):
    import tokentrail

    monkeypatch.setattr(batching, "DELAY", 60.0)
    await ask()
    begun = time.monotonic()
    tokentrail.uninstrument()
    assert time.monotonic() - begun < 2.0
    assert trail.metrics.one(DURATION).count == 1


async def test_where_there_is_no_worker_for_it_the_call_records_itself(
    trail, ask, recorded, monkeypatch
):
    monkeypatch.setattr(runtime.current(), "submit", lambda job: False)
    await ask()
    assert recorded == [threading.current_thread().name] * 3


async def test_only_so_many_wait(trail, ask, recorded, monkeypatch):
    monkeypatch.setattr(batching, "DELAY", 60.0)
    monkeypatch.setattr(batching, "MAX_WAITING", 2)
    for _ in range(4):
        await ask()
    assert len(runtime.current().emitter.metrics.batch._waiting) == 2
    assert recorded == [threading.current_thread().name] * 6
    assert trail.metrics.one(DURATION).count == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
async def test_a_child_records_nothing_of_its_parent(trail, ask, monkeypatch):
    monkeypatch.setattr(batching, "DELAY", 60.0)
    await ask()
    child = os.fork()
    if not child:
        os._exit(len(trail.metrics.points(DURATION)))
    _, status = os.waitpid(child, 0)  # noqa: ASYNC222 - at once
    assert os.waitstatus_to_exitcode(status) == 0
    assert trail.metrics.one(DURATION).count == 1


@pytest.mark.settings(token_counting="always")
async def test_the_worker_does_not_wait_for_itself(trail, ask, recorded):
    """What it counts, it records before whoever collects goes on."""
    await ask()
    assert trail.metrics.one(DURATION).count == 1


def _collected(trail):
    """How many calls a reader finds, which waits for nobody else."""
    return sum(
        point.count
        for resource in trail.metrics.reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if metric.name == DURATION
    )


def _recording(*numbers):
    """Records of a list; of 1 it raises."""
    got = []

    def record(number):
        if number == 1:
            raise ZeroDivisionError
        got.append(number)

    return [partial(record, number) for number in numbers], got


@pytest.mark.parametrize("how", ["worker", "flush"])
def test_one_that_cannot_be_recorded_keeps_no_other_from_it(monkeypatch, how):
    from tokentrail.support import guard

    monkeypatch.setattr(guard, "strict", False)
    jobs, (records, got), swallowed = [], _recording(0, 1, 2), guard.swallowed
    waiting = PointBatch()
    waiting.submit = lambda job: jobs.append(job) or True
    for record in records:
        waiting.add(record)
    assert jobs == [waiting]
    assert not waiting.ready()
    if how == "worker":
        assert len(list(waiting.steps())) == 1
    else:
        waiting.empty()
    assert got == [0, 2]
    assert waiting.ready()
    assert guard.swallowed == swallowed + 1
    waiting.add(records[0])
    assert len(jobs) == (2 if how == "worker" else 1)  # which will find it


def test_a_job_that_the_worker_lost_is_given_again(monkeypatch):
    """As by an interrupt between the two, or a thread that ended."""
    now = [1000.0]
    monkeypatch.setattr(batching.time, "monotonic", lambda: now[0])
    (record,), got = _recording(0)
    waiting = PointBatch()

    def interrupted(job):
        raise KeyboardInterrupt

    waiting.submit = interrupted
    with pytest.raises(KeyboardInterrupt):
        waiting.add(record)
    jobs = []
    waiting.submit = lambda job: jobs.append(job) or True
    waiting.add(record)
    assert (jobs, got) == ([], [])
    now[0] += 2 * batching.DELAY + 1.0
    waiting.add(record)
    assert jobs == [waiting]
    list(waiting.steps())
    assert got == [0, 0, 0]


def test_a_call_that_finds_no_worker_records_no_more_than_takes_a_moment():
    waiting, (records, got) = PointBatch(), _recording(*[0] * 100)
    waiting.submit = lambda job: True
    for record in records:
        waiting.add(record)
    waiting._overdue, waiting.submit = 0.0, batching.reject
    waiting.add(records[0])
    assert len(got) == FEW
    waiting.add(records[0])
    assert len(got) == 2 * FEW
    waiting.empty()
    assert len(got) == 102


async def test_no_call_waits_for_a_worker_that_is_delayed(trail, ask, monkeypatch):
    """By an exporter, as long as it likes: who collects records what waits himself."""
    import tokentrail

    monkeypatch.setattr(internal_metrics, "LONGEST_WAIT", 0.1)
    held, go = threading.Event(), threading.Event()

    class Slow:
        deadline = float("inf")

        def size(self):
            return 0

        def steps(self):
            held.set()
            go.wait(20.0)
            yield

    assert runtime.current().submit(Slow())
    assert held.wait(5.0)
    try:
        for _ in range(3):
            await ask()
        assert _collected(trail) == 3
        await ask()
        assert not tokentrail.flush(0.05)
        assert _collected(trail) == 4
    finally:
        go.set()


async def test_who_collects_on_the_worker_finds_every_point(trail, ask, monkeypatch):
    """As a hook does that flushes."""
    monkeypatch.setattr(batching, "DELAY", 60.0)
    found = []

    class Collecting:
        deadline = float("inf")

        def size(self):
            return 0

        def steps(self):
            found.append(_collected(trail))
            yield

    await ask()
    assert runtime.current().submit(Collecting())
    end = time.monotonic() + 5.0
    while not found and time.monotonic() < end:
        time.sleep(0.01)
    assert found == [1]


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_fork_waits_while_the_worker_records():
    """What is locked at a fork is locked for ever in the child."""
    lock, begun = threading.Lock(), threading.Event()

    def record():
        with lock:
            begun.set()
            time.sleep(0.3)

    waiting = PointBatch()
    waiting.submit = lambda job: True
    waiting.add(record)
    worker = threading.Thread(target=lambda: list(waiting.steps()))
    worker.start()
    assert begun.wait(5.0)
    child = os.fork()
    if not child:
        os._exit(0 if lock.acquire(timeout=0) else 1)
    worker.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
