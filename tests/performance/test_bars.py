"""A run of ``make bench`` in which a bar is missed fails, unless it is known why."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
MICRO = 1e-6


@pytest.fixture
def bars(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("bench.bars")


@pytest.fixture
def report(bars):
    return importlib.import_module("bench.report")


@pytest.fixture
def results(bars):
    """A run in which all is as it should be."""
    results = importlib.import_module("bench.results").Results()
    for name, call, chunk in (("tokentrail", 45, 1), ("floor", 40, 1), ("genai-openai", 100, 30)):
        for label in ("call sync", "call async", "call threads"):
            _took(results, name, label, call)
        for kind in bars.KINDS:
            for length in bars.LENGTHS:
                _took(results, name, f"chunk {kind} {length}", chunk)
    for label in ("embeddings", "embeddings raw"):
        _took(results, "tokentrail", f"{label} 1", 90)
        _took(results, "tokentrail", f"{label} 100", 95)
    for name, mode, call in (
        ("tokentrail", "unsampled", 9),
        ("tokentrail", "untraced", 30),
        ("floor", "unsampled", 5),
        ("floor", "untraced", 25),
    ):
        _took(results, name, "call sync", call, mode)
        _took(results, name, "chunk chat sync 1000", 0.1, mode)
    for name in ("nobody", "tokentrail"):
        results.add("on", name, "stall", {"on": [0.0005], "wall": [0.001, 0.02]})
    for label in ("crowd 1000", "crowd threads"):
        results.add("on", "tokentrail", label, _crowd(cpu=1.1, p99=1.2))
    results.add("on", "tokentrail", "memory", {"on": [2048.0]})
    results.add("on", "tokentrail", "open streams", {"bare": [2e4], "on": [3e4]})
    results.add("on", "tokentrail", "start", {"import": [0.02], "instrument": [0.002]})
    first = {"stall": [0.003], "plain": [1e6], "loaded": [0.0]}
    results.add("on", "tokentrail", "first use", first)
    results.add("on", "tokentrail", "first use, preloaded", {**first, "plain": [49e6]})
    return results


def _crowd(cpu, p99):
    return {"bare": [2.0], "on": [2.0 * cpu], "p99_bare": [0.1], "p99_on": [0.1 * p99]}


def _took(results, name, label, micro, mode="on"):
    bare = 200 * MICRO
    taken = {"bare": [bare], "on": [bare + micro * MICRO], "others": [MICRO]}
    ended = {"end_bare": [bare], "end_on": [bare + 300 * MICRO]}
    results.samples.get(mode, {}).get(name, {}).pop(label, None)
    results.add(mode, name, label, {**taken, **(ended if label.startswith("chunk") else {})})


@pytest.fixture
def unknown(bars, monkeypatch):
    """Nothing is known to be missed."""
    monkeypatch.setattr(bars, "KNOWN", {})


def _failed(bars, results):
    return [bar.what for bar in bars.failed(results, whole=True)]


def test_a_run_that_reaches_all_bars_does_not_fail(bars, results):
    assert _failed(bars, results) == []
    assert all(bar.reached for bar in bars.bars(results))


@pytest.mark.parametrize(
    ("label", "micro", "missed"),
    [
        ("chunk responses sync 1000", 4, "chunk, responses sync: thread, 1/10 of genai-openai"),
        ("chunk chat sync 1000", 40, "chunk, chat sync: process, 1/3 of genai-openai"),
        ("chunk responses async 20000", 2, "chunk, responses async: of 20,000 as of 1,000"),
        ("embeddings 100", 500, "embeddings: of 100 x 1536 twice that of one vector"),
        ("embeddings raw 100", 500, "embeddings raw: of 100 x 1536 twice that of one vector"),
        ("call async", 110, "call async: process, as genai-openai"),
        ("call async", 55, "call async: thread, 1/2 of genai-openai"),
        ("call sync", 80, "call sync: process, 7/10 of genai-openai"),
        ("call threads", 110, "calls of 16 threads: process, as genai-openai"),
    ],
)
def test_a_figure_that_is_too_high_fails_the_run(bars, results, unknown, label, micro, missed):
    _took(results, "tokentrail", label, micro)
    assert missed in _failed(bars, results)


@pytest.mark.parametrize(
    ("label", "taken", "missed"),
    [
        (
            "chunk chat async 20000",
            {"end_bare": [0.0] * 9, "end_on": [0.405] * 9},
            "end of 20,000, chat async: 1 ms",
        ),
        ("memory", {"on": [2e5] * 9}, "20,000 chunks: 100 KB held"),
        (
            "stall",
            {"on": [0.1] * 9},
            "event loop at the end of 20,000: CPU, 1 ms beyond bare",
        ),
        ("crowd 1000", _crowd(3, 1), "1,000 streams in a loop: CPU, 1.25 of bare"),
        ("crowd threads", _crowd(1, 3), "200 threads: p99 between chunks, 1.25 of bare"),
        ("start", {"instrument": [0.007] * 9, "import": [0.01] * 9}, "instrument(): 5 ms"),
        ("start", {"import": [0.04] * 9}, "import and instrument(): 25 ms"),
        ("open streams", {"bare": [2e4] * 9, "on": [5e4] * 9}, "an open stream: 20 KB held"),
        ("first use", {"stall": [0.2] * 9}, "event loop at the first stream: 5 ms"),
        ("first use", {"loaded": [1.0] * 9}, "plain calls: encodings in memory"),
        ("first use, preloaded", {"plain": [6e7] * 9}, "an encoding: 50 MB held"),
    ],
)
def test_what_is_absolute_fails_the_run_too(bars, results, unknown, label, taken, missed):
    for _ in range(2):
        results.add("on", "tokentrail", label, taken)
    assert _failed(bars, results) == [missed]


@pytest.mark.parametrize(
    ("mode", "label", "micro", "missed"),
    [
        (
            "unsampled",
            "chunk chat sync 1000",
            1,
            "chunk chat sync 1000, telemetry disabled: 1/4 of the enabled cost",
        ),
        ("untraced", "call sync", 44, "call sync, metrics only: less, as much as the floor"),
    ],
)
def test_what_is_switched_off_must_save_something(bars, results, mode, label, micro, missed):
    _took(results, "tokentrail", label, micro, mode)
    assert _failed(bars, results) == [missed]


def test_what_other_programs_do_by_the_clock_once_does_not_fail_the_run(bars, results):
    results.add("on", "tokentrail", "stall", {"wall": [0.5]})
    assert _failed(bars, results) == []


def test_a_known_missed_bar_does_not_fail_and_shows_its_reason(bars, report, results, monkeypatch):
    what = "call sync: thread, 1.5 of the floor"
    _took(results, "floor", "call sync", 20)
    assert _failed(bars, results) == [what]
    monkeypatch.setitem(bars.KNOWN, what, "It must be.")
    assert _failed(bars, results) == []
    told = report.tables(results)
    assert f"| {what} | 45.0 µs | 30.0 µs | 31.5 µs | missed, known |" in told
    assert f"- {what}: {bars.KNOWN[what]}" in told


def test_what_is_known_as_missed_is_a_bar(bars, results):
    assert set(bars.KNOWN) <= {bar.what for bar in bars.bars(results)}


def test_what_was_not_measured_fails_a_whole_run_alone(bars, results):
    del results.samples["on"]["tokentrail"]["memory"]
    assert _failed(bars, results) == ["20,000 chunks: 100 KB held"]
    assert bars.failed(results, whole=False) == []
