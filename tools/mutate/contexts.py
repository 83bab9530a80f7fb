"""Which test passes which line, measured once a test file, and so which are asked of a mutant.

A test file is measured anew when it, or what its folder shares, changes; when a source changes,
what is known of its lines moves with them.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from coverage import CoverageData
from tools.mutate import scope
from tools.mutate.mutants import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tools.mutate.mutants import Mutant

FOLDER: Final = scope.STORE / "contexts"
TEXTS: Final = scope.STORE / "texts"

SECONDS: Final = 40.0
"""Of tests, as measured, that are asked of one mutant at most."""
SLOW: Final = 3.0
"""Seconds from which on a test is asked last."""

SETTINGS: Final = """\
    [run]
    branch = false
    parallel = true
    data_file = {folder}/.coverage
    include =
        {sources}
    """


@dataclass(frozen=True)
class Test:
    """A test that passes some line."""

    name: str
    seconds: float
    breadth: int
    """Lines it passes in all."""
    key: str
    """Of its file, as it was measured."""


@dataclass(frozen=True)
class _Passed:
    """A test, and bits of the line numbers it passes, by source."""

    test: Test
    bits: dict[str, int]


@dataclass
class _File:
    """What was measured of one test file: bits of line numbers by test and source."""

    key: str
    texts: dict[str, str]
    tests: dict[str, dict[str, Any]] = field(default_factory=dict)


def key_of(test_file: str) -> str:
    """Return a hash of a test file and of what its folder and all tests share."""
    path = scope.ROOT / test_file
    shared = [p for p in path.parent.glob("*.py") if not p.name.startswith("test_")]
    shared += (scope.ROOT / "tests").glob("*.py")
    return digest(test_file, *(p.read_text() for p in [path, *sorted(shared)]))


class Contexts:
    """What is known of all test files."""

    def __init__(self, texts: dict[str, str], files: list[str]) -> None:
        self._texts = texts
        self._keys = {file: key_of(file) for file in files}
        self._files: dict[str, _File] = {}
        self._tests: list[_Passed] = []

    def measure(self, tree: Path, *, jobs: int) -> int:
        """Measure the test files of which nothing (or too little) is known; return how many."""
        self._load()
        stale = [file for file in self._keys if file not in self._files]
        if stale:
            _run(tree, self._texts, stale, jobs)
            self._keep(tree, stale)
        self._index()
        return len(stale)

    def _load(self) -> None:
        for file, key in self._keys.items():
            path = FOLDER / f"{key}.json"
            if not path.exists():
                continue
            known = _File(**json.loads(path.read_text()))
            if known.texts.keys() == self._texts.keys():
                self._files[file] = known

    def _keep(self, tree: Path, stale: list[str]) -> None:
        FOLDER.mkdir(exist_ok=True)
        TEXTS.mkdir(exist_ok=True)
        hashes = {path: digest(text) for path, text in self._texts.items()}
        for path, text in self._texts.items():
            (TEXTS / hashes[path]).write_text(text)
        for file in stale:
            self._files[file] = _File(self._keys[file], hashes)
        for name, seconds in json.loads((tree / ".tests.json").read_text()).items():
            rows = self._files.get(name.partition("::")[0])
            if rows is not None:
                rows.tests[name] = {"seconds": round(seconds, 3), "lines": {}}
        for path, line, name in _passed(tree, self._texts):
            rows = self._files.get(name.partition("::")[0])
            if rows is not None and name in rows.tests:
                lines = rows.tests[name]["lines"]
                lines[path] = lines.get(path, 0) | 1 << line
        for file in stale:
            rows = self._files[file]
            for test in rows.tests.values():
                test["lines"] = {path: f"{bits:x}" for path, bits in test["lines"].items()}
            (FOLDER / f"{rows.key}.json").write_text(json.dumps(vars(rows)))

    def _index(self) -> None:
        for rows in self._files.values():
            for name, row in rows.tests.items():
                bits = {path: int(hexed, 16) for path, hexed in row["lines"].items()}
                breadth = sum(each.bit_count() for each in bits.values())
                self._tests.append(_Passed(Test(name, row["seconds"], breadth, rows.key), bits))

    def of(self, mutant: Mutant) -> list[Test]:
        """Return the tests that pass the mutant, the most telling first, as time allows."""
        first, last = mutant.site.span
        tests = self._at({mutant.path: range(first, last + 1)})
        uses = self._at(self._uses(mutant)) if mutant.site.names else []
        # What runs at import belongs to no test: then those that pass a use of it, or the module.
        rest = [] if tests else self._at({mutant.path: range(1, 10_000)})
        return choose(ranked(uses), ranked(tests), ranked(rest))

    def _at(self, places: dict[str, Sequence[int]]) -> list[Test]:
        """Return the tests that pass one of these lines."""
        masks = {
            rows.key: {
                path: _mask(rows.texts[path], self._texts[path], lines)
                for path, lines in places.items()
            }
            for rows in self._files.values()
        }
        return [
            each.test
            for each in self._tests
            if any(each.bits.get(path, 0) & mask for path, mask in masks[each.test.key].items())
        ]

    def _uses(self, mutant: Mutant) -> dict[str, Sequence[int]]:
        """Return the lines that name what the mutant assigns."""
        word = re.compile(rf"\b(?:{'|'.join(mutant.site.names)})\b")
        private = all(name.startswith("_") for name in mutant.site.names)
        return {
            path: [n for n, line in enumerate(text.splitlines(), start=1) if word.search(line)]
            for path, text in self._texts.items()
            if path == mutant.path or not private
        }


def ranked(tests: list[Test]) -> list[Test]:
    """One case of each test function before the second of any; the narrowest first."""
    rounds: dict[str, int] = {}
    placed: list[tuple[bool, int, int, Test]] = []
    for test in sorted(tests, key=lambda test: (test.breadth, test.name)):
        function = test.name.partition("[")[0]
        rounds[function] = turn = rounds.get(function, -1) + 1
        placed.append((test.seconds > SLOW, turn, test.breadth, test))
    return [row[-1] for row in sorted(placed, key=lambda row: row[:3])]


def choose(*groups: list[Test]) -> list[Test]:
    """Return the tests of all groups in their order, each once, until the time is spent."""
    chosen: dict[str, Test] = {}
    left = SECONDS
    for test in (test for group in groups for test in group):
        if test.name in chosen:
            continue
        left -= test.seconds
        if chosen and left < 0:
            break
        chosen[test.name] = test
    return list(chosen.values())


def _run(tree: Path, sources: Iterable[str], files: list[str], jobs: int) -> None:
    settings = tree / ".coveragerc"
    paths = "\n    ".join(str(tree / source) for source in sources)
    settings.write_text(textwrap.dedent(SETTINGS).format(folder=tree, sources=paths))
    for old in tree.glob(".coverage.*"):
        old.unlink()
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "tools.mutate.recording", "-p", "no:randomly",
        "--record-tests", str(tree / ".tests.json"), "-n", str(jobs), "--dist", "loadfile",
        "--cov", f"--cov-config={settings}", "--cov-context=test", "--cov-report=",
        "-o", "timeout=300", "--no-header", *files,
    ]  # fmt: skip
    print(f"measuring which test passes which line: {len(files)} test files ...", flush=True)
    log = scope.STORE / "measure.log"
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    with log.open("w") as out:
        done = subprocess.run(  # noqa: S603 - our own interpreter
            command, cwd=tree, env=environment, stdout=out, stderr=out, check=False
        )
    if done.returncode not in {0, 1}:  # a test that fails is not asked
        sys.exit(f"the tests could not be run: see {log}")
    print(log.read_text().strip().rpartition("\n")[-1], flush=True)


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


def _mask(old: str, new: str, lines: Sequence[int]) -> int:
    """Return the bits of these lines of ``new`` as they were in the text with hash ``old``."""
    back = lines_before(old, new)
    mask = 0
    for line in lines:
        for before in back.get(line, ()):
            mask |= 1 << before
    return mask


@cache
def lines_before(old: str, new: str) -> dict[int, Sequence[int]]:
    """Return which line of the text with hash ``old`` each line of ``new`` was.

    What was rewritten was any of the lines that it replaced; what is new, the line before it.
    """
    before = (TEXTS / old).read_text().splitlines()
    if digest((TEXTS / old).read_text()) == digest(new):
        return {line: (line,) for line in range(1, len(before) + 1)}
    back: dict[int, Sequence[int]] = {}
    matcher = difflib.SequenceMatcher(a=before, b=new.splitlines(), autojunk=False)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        for step, line in enumerate(range(j1 + 1, j2 + 1)):
            back[line] = (
                (i1 + 1 + step,) if kind == "equal" else range(max(i1, 1), max(i1, i2, 1) + 1)
            )
    return back
