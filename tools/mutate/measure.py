"""Which test passes which line: measured by coverage once for each test file, and kept.

A test file is measured anew when it changes, or what its folder and all tests share.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from coverage import CoverageData
from tools.mutate import scope
from tools.mutate.mutants import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FOLDER: Final = scope.STORE / "contexts"
TEXTS: Final = scope.STORE / "texts"
"""Sources as they were when something was measured, by hash."""

AT_ONCE: Final = 50
"""Test files that are measured by one run of pytest."""

RECORD: Final = ".tests.json"
"""The file of a tree into which the plugin writes."""

SETTINGS: Final = """\
    [run]
    branch = false
    parallel = true
    data_file = {folder}/.coverage
    include =
        {sources}
    """


@dataclass
class Measured:
    """What was measured of one test file."""

    key: str
    texts: dict[str, str]
    """Hashes of the sources as they were."""
    tests: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Seconds, outcome and, by source, the lines of each test; bits, written as hex."""
    left: list[str] = field(default_factory=list)
    """Cases that are like some that were measured."""


def measured(texts: dict[str, str], files: list[str], tree: Path, *, jobs: int) -> list[Measured]:
    """Return what is known of these test files; what is not known is measured in ``tree``."""
    keys = {file: key_of(file) for file in files}
    known = {file: _load(key) for file, key in keys.items()}
    # Where a source came or went, nobody knows what would pass it.
    fit = {file: m for file, m in known.items() if m is not None and m.texts.keys() == texts.keys()}
    stale = {file: key for file, key in keys.items() if file not in fit}
    for start in range(0, len(stale), AT_ONCE):  # what was measured is kept if it is interrupted
        some = dict(list(stale.items())[start : start + AT_ONCE])
        _run(tree, texts, list(some), jobs)
        fit.update(_keep(tree, texts, some))
    return list(fit.values())


def key_of(test_file: str) -> str:
    """Return a hash of a test file and of what its folder and all tests share."""
    path = scope.ROOT / test_file
    shared = [p for p in path.parent.glob("*.py") if not p.name.startswith("test_")]
    shared += (scope.ROOT / "tests").glob("*.py")
    return digest(test_file, *(p.read_text() for p in [path, *sorted(shared)]))


def _load(key: str) -> Measured | None:
    path = FOLDER / f"{key}.json"
    return Measured(**json.loads(path.read_text())) if path.exists() else None


def _keep(tree: Path, texts: dict[str, str], stale: dict[str, str]) -> dict[str, Measured]:
    FOLDER.mkdir(exist_ok=True)
    files = {file: Measured(key, _keep_texts(texts)) for file, key in stale.items()}
    for name, row in json.loads((tree / RECORD).read_text()).items():
        files[_file(name)].tests[name] = {**row, "lines": {}}
    for name in json.loads((tree / RECORD).with_suffix(".left").read_text()):
        files[_file(name)].left.append(name)
    for path, line, name in _passed(tree, texts):
        if name in files[_file(name)].tests:
            lines = files[_file(name)].tests[name]["lines"]
            lines[path] = lines.get(path, 0) | 1 << line
    for file in files.values():
        for test in file.tests.values():
            test["lines"] = {path: f"{bits:x}" for path, bits in test["lines"].items()}
        (FOLDER / f"{file.key}.json").write_text(json.dumps(vars(file)))
    return files


def _keep_texts(texts: dict[str, str]) -> dict[str, str]:
    TEXTS.mkdir(exist_ok=True)
    hashes = {path: digest(text) for path, text in texts.items()}
    for path, text in texts.items():
        (TEXTS / hashes[path]).write_text(text)
    return hashes


def _run(tree: Path, sources: Iterable[str], files: list[str], jobs: int) -> None:
    settings = tree / ".coveragerc"
    paths = "\n    ".join(str(tree / source) for source in sources)
    settings.write_text(textwrap.dedent(SETTINGS).format(folder=tree, sources=paths))
    for old in tree.glob(".coverage.*"):
        old.unlink()
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "tools.mutate.recording", "-p", "no:randomly",
        "--record-tests", str(tree / RECORD), "-n", str(jobs), "--dist", "loadfile",
        "--cov", f"--cov-config={settings}", "--cov-context=test", "--cov-report=",
        "-o", "timeout=300", "--no-header", *files,
    ]  # fmt: skip
    print(f"measuring which test passes which line: {len(files)} test files ...", flush=True)
    log = scope.STORE / "measure.log"
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    with log.open("w") as out:
        done = subprocess.run(
            command, cwd=tree, env=environment, stdout=out, stderr=out, check=False
        )
    if done.returncode not in {0, 1}:  # a test that fails is not asked
        sys.exit(f"the tests could not be run: see {log}")
    print(log.read_text().strip().rpartition("\n")[-1], flush=True)


def _file(test: str) -> str:
    return test.partition("::")[0]


def _passed(tree: Path, texts: dict[str, str]) -> Iterator[tuple[str, int, str]]:
    """Yield source, line and test for what was passed."""
    for path in tree.glob(".coverage*"):
        if path.name == ".coveragerc":
            continue
        data = CoverageData(basename=str(path))
        data.read()
        for source in texts:
            for line, tests in data.contexts_by_lineno(str(tree / source)).items():
                for name in {test.rpartition("|")[0] for test in tests if test}:
                    yield source, line, name
