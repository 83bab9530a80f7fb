"""What is mutated, by which tests it is judged, and the numbers of the bar: the one list of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SOURCE: Final = "src/tokentrail"
STORE: Final = ROOT / ".mutation"
"""What was measured is kept here; it may be removed at any time."""

SEED: Final = 20261128
"""Draws the sample. Another seed is another sample: a change of it is argued in its commit."""
SIZE: Final = 400
"""Mutants in the sample."""
BAR: Final = 0.92
"""Share of the sample, without what is set aside, that the tests must kill."""
MOST_EQUIVALENT: Final = 0.05
"""Share of the sample that may be set aside as equivalent."""

MODULES: Final = (
    # Reading of requests, answers and streams.
    "model/**/*.py", "apis/**/*.py", "content/**/*.py", "websocket/**/*.py",
    # Counting, usage and cost.
    "counting/**/*.py", "usage/**/*.py", "cost/**/*.py",
    # Telemetry.
    "telemetry/**/*.py",
    # The life of a call.
    "runtime/**/*.py", "call/**/*.py", "patching/request.py", "patching/streams.py",
    "patching/wrappers.py",
)  # fmt: skip
"""What decides what is recorded, as globs below ``SOURCE``; each must match something."""

ELSEWHERE: Final = frozenset({"telemetry/genai_util.py"})
"""What only the tests of `make interop` run, which need the official instrumentation's packages."""

TESTS: Final = "tests/**/test_*.py"
NO_TESTS: Final = frozenset({
    "dashboards", "demo", "examples", "frameworks", "load", "mock_servers", "notebooks",
    "performance", "real_server", "repo", "server", "stack", "webservers",
})  # fmt: skip
"""Folders of tests that are not asked: they need minutes, others' programs, a quiet machine, or
are about something else."""


def sources() -> list[str]:
    """Return the paths of what is mutated, relative to the root.

    Raises:
        SystemExit: If a glob matches nothing, as after a module was renamed.
    """
    found: set[str] = set()
    for pattern in MODULES:
        paths = [str(path.relative_to(ROOT)) for path in (ROOT / SOURCE).glob(pattern)]
        if not paths:
            sys.exit(f"tools/mutate/scope.py: nothing in {SOURCE} matches {pattern}")
        found.update(paths)
    return sorted(found - {f"{SOURCE}/{path}" for path in ELSEWHERE})


def tests() -> list[str]:
    """Return the paths of the test files that are asked, relative to the root."""
    paths = (path.relative_to(ROOT) for path in ROOT.glob(TESTS))
    return sorted(str(path) for path in paths if not NO_TESTS & set(path.parts))
