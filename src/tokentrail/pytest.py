"""``pytest -p tokentrail.pytest``: after the tests, the calls that they made and their sum.

It is no entry point of pytest's, so it never loads by itself.
"""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import tokentrail
from tokentrail.run import hooks
from tokentrail.run.call_file import CONTENT, FILE, CallFile
from tokentrail.run.display import Display
from tokentrail.run.totals import LIMIT_PASSED, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLUSH: Final = 10.0
_CALLS: Final = pytest.StashKey[CallFile]()
_FOLDER: Final = pytest.StashKey["tempfile.TemporaryDirectory[str]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of ``tokentrail run``."""
    group = parser.getgroup("tokentrail", "calls of the openai client")
    group.addoption("--tokentrail-record", type=Path, metavar="FILE", help="a JSON line per call")
    group.addoption("--tokentrail-max-tokens", type=int, metavar="N", help="fail beyond that")
    group.addoption("--tokentrail-max-cost", type=float, metavar="USD", help="fail beyond that")


def pytest_configure(config: pytest.Config) -> None:
    """Have the calls written into a file; workers of xdist write into that of their controller."""
    if find_spec("opentelemetry.sdk") is None:
        message = "tokentrail.pytest needs opentelemetry-sdk: pip install 'tokentrail[run]'"
        raise pytest.UsageError(message)
    hooks.register()
    if _is_worker(config):
        return
    folder = tempfile.TemporaryDirectory(prefix="tokentrail-")
    calls = CallFile(Path(folder.name) / "calls.jsonl")
    if (record := config.getoption("--tokentrail-record")) is not None:
        record.write_bytes(b"")
        calls.record = record
    config.stash[_FOLDER], config.stash[_CALLS] = folder, calls
    os.environ.update(calls.environment(os.environ))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Have calls know the test that they belong to."""
    from tokentrail.run import observer

    observer.current_test = item.nodeid
    try:
        return (yield)
    finally:
        observer.current_test = None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Wait for calls that have ended; fail a run that was good and passed a limit."""
    tokentrail.flush(_FLUSH)
    calls = session.config.stash.get(_CALLS, None)
    if calls is not None:
        calls.read()
        if session.exitstatus == 0 and _limits(session.config).passed(calls.totals):
            session.exitstatus = LIMIT_PASSED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show the calls, below the tests that made them, and what they come to."""
    calls = config.stash.get(_CALLS, None)
    if calls is None or not calls.rows:
        return
    terminalreporter.section("calls of the openai client")
    display = Display(_Reporter(terminalreporter))
    for row in sorted(calls.rows, key=lambda row: (row.test or "", row.start_time)):
        display.row(row)
    display.summary(calls.totals)
    limits = _limits(config)
    for sentence in (*limits.passed(calls.totals), limits.unsure(calls.totals)):
        if sentence is not None:
            display.note(sentence, "red")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the file away."""
    folder = config.stash.get(_FOLDER, None)
    if folder is not None:
        for name in (FILE, CONTENT):
            os.environ.pop(name, None)
        folder.cleanup()


class _Reporter:
    """pytest's terminal, as a display writes to it."""

    def __init__(self, reporter: Any) -> None:
        self._reporter = reporter
        self.encoding = sys.stdout.encoding

    def isatty(self) -> bool:
        return bool(self._reporter.isatty)

    def write(self, text: str) -> object:
        return self._reporter.write(text)

    def flush(self) -> None:
        """Nothing: pytest does that."""


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _limits(config: pytest.Config) -> Limits:
    tokens, cost = "--tokentrail-max-tokens", "--tokentrail-max-cost"
    return Limits(config.getoption(tokens), config.getoption(cost), tokens, cost)
