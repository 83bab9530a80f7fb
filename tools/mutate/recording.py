"""A pytest plugin for measuring: some cases of each test are run, and it is noted how they went."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_BEGAN: Final = pytest.StashKey[float]()

CASES: Final = 4
"""Of each parametrised test, from all over its list; the others are taken to be like them."""


def pytest_addoption(parser: Any) -> None:
    """Take the path of the file that is written."""
    parser.addoption("--record-tests", type=Path)


def pytest_configure(config: Any) -> None:
    """Listen where the reports of all workers come together."""
    path = config.getoption("--record-tests")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recording(path))


def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    """Leave some cases of each test, and write down the others, by test."""
    path = config.getoption("--record-tests")
    if path is None:
        return
    cases: dict[str, list[Any]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    chosen = {id(item) for alike in cases.values() for item in spread(alike, CASES)}
    left = [item for item in items if id(item) not in chosen]
    items[:] = [item for item in items if id(item) in chosen]
    config.hook.pytest_deselected(items=left)
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        path.with_suffix(".left").write_text(json.dumps([item.nodeid for item in left]))


def spread(things: list[Any], count: int) -> list[Any]:
    """Return so many things from all over a list, the first and the last among them."""
    if len(things) <= count:
        return things
    last = len(things) - 1
    return [things[round(place * last / (count - 1))] for place in range(count)]


def pytest_runtest_setup(item: Any) -> None:
    """Begin to count the time of all cores, of programs that the test starts too."""
    item.stash[_BEGAN] = _cpu()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: Any) -> Generator[None]:
    """Give that time to the report of the last phase."""
    yield
    item.user_properties.append(("cpu", _cpu() - item.stash.get(_BEGAN, _cpu())))


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class _Recording:
    """Collects seconds and outcome of each test."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, float] = {}
        self._cpu: dict[str, float] = {}
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        known = self._seconds.get(report.nodeid, 0.0)
        self._seconds[report.nodeid] = known + report.duration
        self._cpu[report.nodeid] = dict(report.user_properties).get("cpu", 0.0)
        if not report.passed:
            self._outcomes[report.nodeid] = report.outcome

    def pytest_sessionfinish(self) -> None:
        rows = {
            test: {
                "seconds": round(seconds, 3),
                "cpu": round(self._cpu[test], 3),
                "outcome": self._outcomes.get(test, "passed"),
            }
            for test, seconds in self._seconds.items()
        }
        self._path.write_text(json.dumps(rows))
