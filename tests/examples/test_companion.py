"""``examples/companion``: what the official instrumentation gains."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.interop


def test_two_streams_are_recorded_once_each_and_gain_their_tokens(examples, environment):
    if "REQUIRE_INTEROP" not in os.environ:
        pytest.importorskip("opentelemetry.instrumentation.genai.openai", reason="make interop")
    done = subprocess.run(
        [sys.executable, examples / "companion" / "companion.py"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    alone, beside = done.stdout.split("tokentrail beside it\n")
    assert alone.count("in -  out -  source -  outcome -") == 2
    told = re.findall(r"in (\d+)  out (\d+)  source (\w+)  outcome (\w+)", beside)
    (_, whole, *first), (_, partial, *second) = told
    assert [first, second] == [["counted", "completed"], ["counted", "closed_early"]]
    assert 0 < int(partial) < int(whole)
