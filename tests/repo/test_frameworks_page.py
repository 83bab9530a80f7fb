"""docs/frameworks.md says what was seen on top of the client, of each framework that there is."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LACKS = {
    "crewai": {"closed early"},  # it reads every stream to its end
    "smolagents": {"async"},
}
"""Ways that a framework does not have; its docstring says so."""
STORED = json.loads((ROOT / "docs" / "frameworks.json").read_text(encoding="utf-8"))


def _frameworks():
    """Return those in noxfile.py, which is not imported: it needs nox."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FRAMEWORKS"
    )
    return ast.literal_eval(value)


def test_the_page_is_fresh():
    command = [sys.executable, str(ROOT / "tools" / "make_frameworks.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_framework_was_run():
    """Each has a session, tests and results; and so have the web servers."""
    tests = {path.stem for path in (ROOT / "tests" / "frameworks").glob("test_*.py")}
    assert {f"test_{name}" for name in _frameworks()} == tests
    assert set(STORED) == {*_frameworks(), "webservers"}


def test_each_was_run_in_every_way():
    for name in _frameworks():
        run = " ".join(STORED[name]["seen"])
        ways = {"plain", "streamed", "async", "closed early", "tools"}
        assert {way for way in ways if way not in run} == LACKS.get(name, set()), name


def test_calls_that_are_not_recorded_are_on_the_page():
    """DSPy's own HTTP client is none of openai's: who looks for it finds that out."""
    seen = STORED["dspy"]["seen"]
    assert {title for title, told in seen.items() if told == ["not recorded"]} == {
        "plain",
        "plain, async",
    }
