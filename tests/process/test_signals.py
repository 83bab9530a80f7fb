"""A handler of a signal runs at any line of ours, and may raise, or make a call itself."""

from __future__ import annotations

import copy
import functools
import gc
import signal
import sys
import threading
from pathlib import Path

import openai
import pytest
from opentelemetry import trace

import tokentrail
from tokentrail.counting import ENCODINGS
from tokentrail.patching import replay, streams
from tokentrail.support import guard
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
OURS = str(Path(tokentrail.__file__).parent)
FEWEST = 30
"""Functions of ours that a call enters, at least."""

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal here")


class SoftTimeLimit(Exception):
    """What a task's time limit raises."""


@pytest.fixture
def client():
    assert ENCODINGS.load("o200k_base") is not None
    settings = {"api_key": "no-secret", "max_retries": 0}
    with Server(Model()) as server, openai.OpenAI(base_url=server.base_url, **settings) as client:
        client.chat.completions.create(**ASKED)
        yield client


@pytest.fixture
def lenient(monkeypatch):
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "_logged", set())


def _call(client, *, stream):
    answer = client.chat.completions.create(**ASKED, stream=stream)
    if stream:
        for _ in answer:
            pass


def _is_finalising(frame):
    """Whether ``frame`` is part of a ``__del__``, which Python lets no error out of."""
    while frame is not None and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


class Interruption:
    """Sends a signal when the main thread enters our n-th function from now on."""

    def __init__(self, number):
        self.number, self.sent, self.raised, self.finalising = number, False, False, False

    def __enter__(self):
        sys.setprofile(self._look)
        return self

    def _look(self, frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            self.number -= 1
            if self.number < 0:
                sys.setprofile(None)
                self.sent, self.finalising = True, _is_finalising(frame)
                signal.raise_signal(signal.SIGUSR1)

    def __exit__(self, kind, error, traceback):
        sys.setprofile(None)
        self.raised = kind is not None
        return isinstance(error, (SoftTimeLimit, KeyboardInterrupt))


@pytest.mark.parametrize("kind", [SoftTimeLimit, KeyboardInterrupt])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.thorough
@pytest.mark.timeout(300)  # it makes a call for each function of ours
def test_what_a_handler_raises_in_our_lines_is_the_applications(
    trail, client, lenient, caplog, monkeypatch, kind, stream
):
    """It reaches the application, no span stays current, and the next call is recorded.

    Nothing leaves a ``__del__``, ours or a generator's: Python hands it to its own hook.
    """
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: unraisable.append(report.exc_type))

    def handler(number, frame):
        raise kind

    before = signal.signal(signal.SIGUSR1, handler)
    lost, number = [], 0
    try:
        while True:
            trail.spans.clear()
            unraisable.clear()
            with Interruption(number) as interruption:
                _call(client, stream=stream)
            if not interruption.sent:
                break
            assert interruption.raised or interruption.finalising or kind in unraisable, number
            assert trace.get_current_span() is trace.INVALID_SPAN, number
            gc.collect()  # a stream that was left open
            interrupted = len(trail.spans.all())
            assert interrupted <= 1
            _call(client, stream=stream)
            assert len(trail.spans.all()) == interrupted + 1, number
            lost += [number] if interrupted == 0 else []
            number += 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert number > FEWEST
    assert lost == list(range(len(lost))), "a call was lost after its span began"
    assert "tokentrail failed" not in caplog.text


def _raise(number, frame):
    raise SoftTimeLimit


def _once(number, frame):
    signal.signal(number, signal.SIG_DFL)
    raise SoftTimeLimit


def _any(*given):
    raise SoftTimeLimit


class _Alarm:
    def __call__(self, number, frame):
        raise SoftTimeLimit


HANDLERS = {
    "function": _raise,
    "once": _once,
    "any arguments": _any,
    "partial": functools.partial(_raise),
    "object": _Alarm(),
}


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_handler_of_any_kind_is_known_by_what_it_raised(trail, client, lenient, handler, stream):
    """Also one that is registered no more when it raises."""
    before = signal.signal(signal.SIGUSR1, HANDLERS[handler])
    try:
        with Interruption(FEWEST // 2) as interruption:
            _call(client, stream=stream)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert interruption.sent
    assert interruption.raised


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.thorough
@pytest.mark.timeout(300)  # it makes a call for each function of ours
def test_a_handler_may_make_a_call_at_any_line_of_ours(trail, client, stream):
    """No lock of ours is held up by itself, and both calls are recorded."""
    before = signal.signal(signal.SIGUSR1, lambda number, frame: _call(client, stream=stream))
    number = 0
    try:
        while True:
            trail.spans.clear()
            with Interruption(number) as interruption:
                _call(client, stream=stream)
            if not interruption.sent:
                break
            number += 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert number > FEWEST


@pytest.mark.parametrize(
    "make",
    [
        lambda: streams.SyncObservedIterator.__new__(streams.SyncObservedIterator),
        lambda: streams.AsyncObservedIterator.__new__(streams.AsyncObservedIterator),
        lambda: replay._Recording.__new__(replay._Recording),
    ],
)
def test_what_is_half_made_is_asked_without_end_of_nothing(make, monkeypatch):
    """As ``copy`` and ``pickle`` make objects before they fill them."""
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    with pytest.raises(AttributeError):
        _ = make().anything
    copy.copy(make())
    assert unraisable == []


def test_locks_may_be_entered_again_by_their_own_thread():
    """A handler runs on the thread that holds them."""
    from tokentrail.runtime.worker import Worker
    from tokentrail.telemetry.metrics import totals
    from tokentrail.websocket.in_flight import InFlightResponses

    for lock in (
        Worker()._lock, totals._lock, InFlightResponses()._lock, ENCODINGS._lock,
        ENCODINGS._building,
    ):  # fmt: skip
        done = threading.Event()

        def enter(lock=lock, done=done):
            with lock, lock:
                done.set()

        threading.Thread(target=enter, daemon=True).start()
        assert done.wait(5.0)
