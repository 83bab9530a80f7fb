"""A warm process beside one tree: it forks a child for each mutant, and the child runs the tests.

What tokentrail and its tests import is imported before, so a child begins with the tests at once.
Asked and answered by lines of JSON; ``python -m tools.mutate.worker TREE``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest

OPTIONS: Final = (
    "-x", "-q", "--no-header", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:randomly",
    "-p", "no:xdist", "-p", "no:cov", "--hypothesis-seed=0", "-o", "timeout=60",
)  # fmt: skip
FAILED: Final = ".failed"
"""The file of a tree into which a child writes which test failed."""


class _Chosen:
    """The pytest plugin of a child: only these tests, in this order; notes which failed."""

    def __init__(self, tests: list[str]) -> None:
        self._place = {test: place for place, test in enumerate(tests)}
        self.failed: str | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._place),
            key=lambda item: self._place[item.nodeid],
        )

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid


def main() -> None:
    """Answer until nothing is asked any more."""
    tree = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    here = str(Path.cwd())
    os.chdir(tree)
    sys.path[:] = [str(tree / "src"), str(tree), *(p for p in sys.path if p != here)]
    os.environ["PYTHONPATH"] = str(tree / "src")
    for line in sys.stdin:
        asked = json.loads(line)
        if "warm" in asked:
            _warm(tree, asked["warm"])
            answer: dict[str, Any] = {}
        else:
            answer = _judge(tree, asked)
        print(json.dumps(answer), file=answers, flush=True)


def _warm(tree: Path, tests: list[str]) -> None:
    """Import what these test files import, except for what has to be fresh."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.redirect_stdout(sys.stderr):
            pytest.main([*OPTIONS, "--collect-only", "-qq", *tests])
        places = [(n, getattr(m, "__file__", None)) for n, m in list(sys.modules.items())]
        names = [name for name, file in places if file and not file.startswith(str(tree))]
        os.write(write, json.dumps(names).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        names = json.load(pipe)
    os.waitpid(child, 0)
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _judge(tree: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """Return how the tests took the mutant: killed (by which test), survived, timeout or broken."""
    path, original = tree / asked["path"], (tree / asked["path"]).read_bytes()
    before = path.stat()
    began = time.monotonic()
    try:
        path.write_text(asked["text"])
        # Of another second than any cache of it.
        os.utime(path, (before.st_atime, before.st_mtime + 10 + asked["number"]))
        verdict, test = _ask(tree, asked["stages"], began + asked["seconds"])
    finally:
        path.write_bytes(original)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return {"verdict": verdict, "test": test, "seconds": round(time.monotonic() - began, 2)}


def _ask(tree: Path, stages: list[list[str]], until: float) -> tuple[str, str | None]:
    """Return the verdict of the first stage in which a test fails."""
    verdicts: set[str] = set()
    for tests in stages:
        verdict, failed = _run(tree, tests, until - time.monotonic())
        if verdict in {"killed", "timeout"}:
            return verdict, failed
        verdicts.add(verdict)
    return "survived" if "survived" in verdicts else "broken", None


def _run(tree: Path, tests: list[str], seconds: float) -> tuple[str, str | None]:
    (tree / FAILED).unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _child(tree, tests)
    code = _wait(child, seconds)
    failed = (tree / FAILED).read_text() if (tree / FAILED).exists() else None
    if code is None:
        return "timeout", None
    if code == pytest.ExitCode.OK:
        return "survived", None
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        return "broken", None
    return "killed", failed


def _child(tree: Path, tests: list[str]) -> None:
    os.setsid()
    out = os.open(tree / ".log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    chosen = _Chosen(tests)
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    code: int = pytest.ExitCode.INTERNAL_ERROR
    try:
        code = pytest.main([*OPTIONS, "--rootdir", str(tree), *files], plugins=[chosen])
        if chosen.failed:
            (tree / FAILED).write_text(chosen.failed)
    finally:
        os._exit(code)


def _wait(child: int, seconds: float) -> int | None:
    """Return the exit code of the child; ``None`` if it took too long and was ended."""
    ends = time.monotonic() + seconds
    code: int | None = None
    while time.monotonic() < ends:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and what it started
    if code is None:
        os.waitpid(child, 0)
    return code


if __name__ == "__main__":
    main()
