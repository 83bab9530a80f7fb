"""What a run on top of the client leaves in docs/frameworks.json: all of it, or nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
CONFTEST = """
from pathlib import Path
from tests.frameworks import results
from tests.{tests}.conftest import pytest_deselected, pytest_sessionfinish

results.RESULTS = Path(__file__).with_name("seen.json")
"""
TESTS = """
import pytest
from tests.frameworks import results

@pytest.mark.parametrize("way", ["plain", "streamed"])
def test_it(way):
    results.keep(way, ["told"], "pytest")
    assert way != "never"

def test_by_hand(request):
    if request.config.option.verbose:
        raise KeyboardInterrupt
"""


@pytest.fixture
def run(tmp_path):
    """Return what a run of such tests writes down, beside what another one did before."""

    def run(*arguments, tests="frameworks"):
        (tmp_path / "conftest.py").write_text(CONFTEST.format(tests=tests))
        (tmp_path / "test_it.py").write_text(TESTS)
        (tmp_path / "seen.json").write_text('{"other": {}}')
        command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-n", "0", *arguments]
        path = os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))
        environment = {**os.environ, "PYTHONPATH": path, "FRAMEWORKS_SEEN": "it"}
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
        return json.loads((tmp_path / "seen.json").read_text())

    return run


@pytest.mark.parametrize("tests", ["frameworks", "webservers"])
def test_a_whole_run_is_saved_with_the_others(run, tests):
    seen = run(tests=tests)
    assert set(seen) == {"it", "other"}
    assert seen["it"]["seen"] == {"plain": ["told"], "streamed": ["told"]}


@pytest.mark.parametrize(
    "arguments",
    [("-k", "plain"), ("--deselect", "test_it.py::test_it[plain]"), ("-v",)],
    ids=["chosen", "deselected", "interrupted"],
)
def test_a_part_of_a_run_is_not(run, arguments):
    assert run(*arguments) == {"other": {}}
