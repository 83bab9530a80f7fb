"""Each function of ours that a call enters is broken in turn: the application never notices.

``test_faults`` breaks what belongs to OpenTelemetry; here the list of what there is to break is
found by itself, so a function that is added tomorrow is broken, too.

To add a case:

- a function of the package needs nothing: it is broken as soon as ``Program`` (``test_faults``)
  enters it;
- a kind of call that ``Program`` does not make gets a step in its ``run``;
- a function that stands between application and client, and can only pass things on, goes into
  EDGES;
- one that may fail without a line in the log goes into SILENT, with the reason;
- a package that no call enters goes into APART;
- to see one function alone, have ``everywhere`` in the test below be its place.

``test_allow_lists`` fails for a name in these lists that is gone.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import pkgutil
import sys
import threading
from contextlib import contextmanager
from types import FunctionType

import pytest
from tests.calls.test_faults import SECRET, OurBug, Program, logged

import tokentrail
from tokentrail.runtime.runtime import _runtimes
from tokentrail.support import guard

pytestmark = [
    pytest.mark.thorough,
    # Since Python 3.15, where a generator's code gives place to a plain function's.
    pytest.mark.filterwarnings("ignore:Assigning a code object of non-matching type"),
]

APART = (
    "cli", "config", "demo", "diagnosis", "instrumentor", "patching.install", "pytest",
    "run.", "support.guard",
    "testing", "__main__",
)  # fmt: skip
"""What no call enters, and the guard, in which all ends."""
EDGES = {
    "tokentrail.patching.wrappers": {
        "AsyncWrapper.__call__", "SyncWrapper.__call__", "_awaited", "_on_answer", "_on_error",
        "_leave",
        "_on_refused", "_read", "_retry_kwargs", "_start", "_start_in_this_context",
        "PatchedMethod.__call__", "PatchedMethod.__get__", "PatchedMethod.__reduce_ex__",
        "RawRequestWrapper.__call__", "_Sending.__init__", "_Sending.without_us",
        "AnswerSeam.__call__", "PatchedSeam.__get__", "PatchedSeam.__init__", "RetrySeam.__call__",
    },
    "tokentrail.patching.request": {"SentCall.__init__"},
    "tokentrail.support.threads": {"OwnThread.run"},
    "tokentrail.support.coroutines": {"Pending.__init__", "Pending.__del__", "named_as"},
    "tokentrail.patching.replay": {
        "_Recording.__class__", "_Recording.__getattr__", "_Recording.__iter__",
        "_Recording.__next__",
    },
    "tokentrail.patching.streams": {
        "AsyncObservedIterator.__aiter__", "AsyncObservedIterator.__anext__", "_Close.__call__",
        "ObservedIterator.__del__", "ObservedIterator.__getattr__", "ObservedIterator.__init__",
        "_Parse.__call__",
        "_Parse.__del__", "_Parse.__init__", "_Parse._later", "_Parse._observe",
        "SyncObservedIterator.__iter__", "SyncObservedIterator.__next__", "_collect",
        "_on_pull_error",
    },
    # The application's own flush(), which also ends what an uninstrument() left:
    "tokentrail.runtime.runtime": {"Runtime.flush", "current", "flush"},
    "tokentrail.runtime.worker": {
        "Worker._run", "_report",  # the thread's own edge
    },
}  # fmt: skip
"""What stands between application and client: a shield, and nothing in it that could break."""
SILENT = {
    (
        "tokentrail.call.observed_call",
        "ObservedCall.on_collected",
    ): "Only finalisers call it, which take no lock: none of logging's either.",
    ("tokentrail.call.observed_call", "ObservedCall._queue_without_lock"): "As above.",
    ("tokentrail.runtime.worker", "Worker.put_finalised"): "As above.",
    ("tokentrail.call.recorder", "Recorder.on_collected"): "As above.",
}
"""What may be broken without a word, and why. Everything else is told in the log."""
EVERYTHING = {
    "capture_content": "SPAN_AND_EVENT",
    "emit_event": True,
    "metric_names": "both",
    "stream_usage": "request",
    "count_verification_ratio": 1.0,
    "redact": lambda kind, text: text,
    "request_attributes": "user",
    "request_hook": lambda span, given: None,
    "response_hook": lambda span, answer: None,
}
PARTS = 8
"""Into which the functions are parted, to stay far from a test's timeout."""
TWOFOLD = (
    "tokentrail.patching.wrappers",
    "tokentrail.support.coroutines",
    "tokentrail.patching.request",
    "tokentrail.patching.streams",
)
"""Where sync and async differ; everywhere else they run the same lines."""


def _functions():
    """Return every function of ours, with its place, by the code that it runs."""
    found = {}
    for module in pkgutil.walk_packages(tokentrail.__path__, "tokentrail."):
        name = module.name.removeprefix("tokentrail.")
        if name.replace(".", "").isidentifier() and not name.startswith(APART):
            owner = importlib.import_module(module.name)
            for place, function in _functions_of(owner, module.name):
                found[function.__code__] = (module.name, place, function)
    return found


def _functions_of(owner, module, prefix=""):
    for name, value in list(vars(owner).items()):
        if isinstance(value, type) and value.__module__ == module and not prefix:
            yield from _functions_of(value, module, f"{name}.")
        for function in (getattr(value, "fget", None), getattr(value, "__func__", None), value):
            if isinstance(function, FunctionType) and function.__module__ == module:
                yield prefix + name, function


async def _entered(program):
    """Return the functions that a run of the program enters, on whichever thread."""
    known, met = _functions(), {}

    def look(frame, event, argument):
        if event == "call" and (found := known.get(frame.f_code)):
            module, name, function = found
            if name not in EDGES.get(module, ()):
                met[module, name] = function

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        await _runs(program)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return met


async def _runs(program):
    """Run the program in a context of its own: a broken function may leave one changed."""
    await asyncio.create_task(program.run())
    tokentrail.flush(0.3)


_BROKEN = """
def outer():
    {cells} = None
    def broken(*args, **kwargs):
        ({free})
        __bug()
    return broken
"""
"""Code that takes the place of another must have as many free variables."""


@contextmanager
def _broken(function):
    """Have a function raise, by whatever name it was imported; give how often it was met."""
    free, met = function.__code__.co_freevars, []

    def bug(*args, **kwargs):
        met.append(function)
        raise OurBug(SECRET)

    scope = {}
    exec(_BROKEN.format(cells=" = ".join([*free, "_"]), free=", ".join(free)), scope)  # noqa: S102 - a function with the same cells
    own, function.__globals__["__bug"] = function.__code__, bug
    function.__code__ = scope["outer"]().__code__
    try:
        yield met
    finally:
        function.__code__ = own
        del function.__globals__["__bug"]


@pytest.fixture
def lenient(monkeypatch):
    """Swallow our own errors, as in production."""
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "_logged", set())


@pytest.fixture
def collected():
    """Collect garbage between the runs alone.

    The pool of older clients waits for itself if a stream is collected while it is locked.
    """
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("part", range(PARTS))
async def test_a_bug_of_ours_is_ours_alone(driver, stage, apis, trail, lenient, caplog, part):
    """Every call goes as it goes without us; the log says so once for a place, and quotes nothing.

    What is whole again works again.
    """
    program = Program(driver, stage, apis["chat"])
    trail.instrument(**EVERYTHING)
    met = await _entered(program)
    assert len(met) > 200
    everywhere = sorted(met) if driver.mode == "sync" else sorted(p for p in met if p[0] in TWOFOLD)
    noticed = {}
    for place in everywhere[part::PARTS]:
        trail.instrument(**EVERYTHING)
        try:
            noticed[place] = await _with_a_bug(program, met[place], caplog, place in SILENT)
        except Exception as error:
            noticed[place] = repr(error)
        for active in list(_runtimes):
            active.open_calls.clear()  # what a broken function never ended, nobody will
        gc.collect()
    assert {place: what for place, what in noticed.items() if what} == {}
    trail.instrument(**EVERYTHING)
    trail.spans.exporter.clear()
    await _runs(program)
    assert len(trail.spans.all()) == 8


async def _with_a_bug(program, function, caplog, may_be_silent):
    """Return what is wrong with a run in which this function is broken."""
    guard._logged.clear()
    caplog.clear()
    program.stage.gate.clear()
    before = guard.swallowed
    with _broken(function) as met:
        await _runs(program)
    places = logged(caplog)
    if met and not places and not may_be_silent:
        return "nobody was told" if guard.swallowed == before else "counted without a word"
    return None if len(places) <= 12 else f"said at {places}"
