"""What calibration may take: keys, memory, waiting calls and the time of the worker."""

from __future__ import annotations

import sys
import tracemalloc

from tokentrail.model.records import Endpoint, Request
from tokentrail.usage.calibration import BURST, KEYS, PENDING, PLACES, RATE, Calibration

MINUTE = 60.0


def _request(number=0):
    endpoint = Endpoint("openai", "localhost", 443, f"https://localhost/{number}")
    return Request("chat", "chat_completions", endpoint, "gpt-4o")


def test_keys_are_bounded_and_take_little_memory():
    calibration, taught = Calibration(), 60
    tracemalloc.start()
    try:
        for kind in range(KEYS + PLACES):
            for report in range(taught):
                key, counted = kind.to_bytes(16, "big"), 1000 + report
                calibration.learn(key, _request(kind), hash((kind, report)), counted, counted + 9)
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(calibration._differences) == KEYS
    assert len(calibration._places) == PLACES
    assert calibration.difference((KEYS + PLACES - 1).to_bytes(16, "big")) == 9
    assert calibration.difference((0).to_bytes(16, "big")) is None
    assert size < 4_000_000, size / KEYS + sys.getsizeof(calibration)


def test_in_no_minute_it_takes_more_than_two_hundredths_of_a_core():
    now = [0.0]
    calibration, spent = Calibration(clock=lambda: now[0]), []
    while now[0] < 5 * MINUTE:
        now[0] += 0.01
        if calibration.may_learn(_request()):
            calibration.use(0.005)
            spent.append(now[0])
    for begin in range(int(4 * MINUTE)):
        within = sum(begin <= at < begin + MINUTE for at in spent)
        assert within * 0.005 <= 0.02 * MINUTE + 0.01
    assert len(spent) * 0.005 >= 0.9 * (BURST + 5 * MINUTE * RATE)


def test_only_a_few_calls_wait_to_be_learned_from():
    """Each holds its prompt."""
    calibration = Calibration()
    jobs = [object() for _ in range(PENDING)]
    for job in jobs:
        assert calibration.may_learn(_request())
        calibration.wait(job)
    assert not calibration.may_learn(_request())
    calibration.begin(jobs[0])
    assert calibration.may_learn(_request())
    calibration.wait(jobs[0])
    calibration.forked()
    assert calibration.may_learn(_request())
