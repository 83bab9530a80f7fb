"""A pytest plugin: how long each test took, and whether it passed, into the file of an option."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def pytest_addoption(parser: Any) -> None:
    """Take the path of the file."""
    parser.addoption("--record-tests", type=Path)


def pytest_configure(config: Any) -> None:
    """Listen where the reports of all workers come together."""
    path = config.getoption("--record-tests")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recording(path))


class _Recording:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, float] = {}
        self._odd: set[str] = set()

    def pytest_runtest_logreport(self, report: Any) -> None:
        known = self._seconds.get(report.nodeid, 0.0)
        self._seconds[report.nodeid] = known + report.duration
        if not report.passed:
            self._odd.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        passed = {test: s for test, s in self._seconds.items() if test not in self._odd}
        self._path.write_text(json.dumps(passed))
