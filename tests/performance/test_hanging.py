"""A subject of ``make bench`` that hangs is left out; the run goes on."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("bench.__main__")


@pytest.fixture
def subject(bench, monkeypatch, tmp_path):
    """A process in the place of a subject's, which says nothing more after it is ready."""
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\necho '{}'\nexec sleep 60\n")
    interpreter.chmod(0o700)
    monkeypatch.setattr(bench, "LONGEST", 0.3)
    process = bench.Process(bench.SUBJECTS[0], interpreter, "on")
    process.ready()
    yield process
    process.close()


def test_a_subject_that_hangs_is_left_out(bench, subject):
    results, running = bench.Results(), {"it": subject}
    turn = bench.Turn("call sync", ["call", "chat", 1], only=("it",))
    bench._take(turn, running, results, of=())
    assert results.skipped == {"it: call sync": "no answer in 0.3 s"}
    assert running == {}
    assert subject._process.returncode is not None
