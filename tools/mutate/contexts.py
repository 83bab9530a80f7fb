"""Which tests are asked of a mutant: those that pass its lines, the most telling first.

Most telling are tests of files that import what was mutated, then those that share words with it,
then the narrowest. When a source changes, what is known of its lines moves with them.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from tools.mutate import measure, scope
from tools.mutate.mutants import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.mutate.measure import Measured
    from tools.mutate.mutants import Mutant

SECONDS: Final = 25.0
"""Of a core: what the tests that are asked of one mutant may take together."""
SLOW: Final = 1.0
"""Of a core: from which on a test is asked last, unless it imports the module of the mutant."""
AHEAD: Final = 3
"""By so many cases a test is asked earlier for each word of the mutant that it has too."""
OWN: Final = 6
"""By so many where its file imports the module of the mutant."""
NEAR: Final = 2
"""By so many later where it passes the function of the mutant, but not the line, as far as known:
of a test with many cases only some are measured."""

_WORD: Final = re.compile(r"[a-z]{4,}", re.IGNORECASE)
"""Part of a name: what tests call a thing is often more than what the code does."""


@dataclass(frozen=True)
class Test:
    """A test that passes some line."""

    name: str
    seconds: float
    cpu: float
    """Seconds of a core, which a busy machine does not change."""
    breadth: int
    """Lines it passes in all."""
    key: str
    """Of its file, as it was measured."""


@dataclass(frozen=True)
class _Passed:
    """A test, and bits of the line numbers it passes, by source."""

    test: Test
    bits: dict[str, int]


class Contexts:
    """What is known of all test files."""

    def __init__(
        self,
        texts: dict[str, str],
        files: list[Measured],
        killers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """``killers``: the test that killed a mutant last, which is asked of it first."""
        self._texts = texts
        self._killers = killers
        self._files = files
        self._tests: list[_Passed] = []
        self._index()

    def _index(self) -> None:
        for file in self._files:
            alike: dict[str, list[_Passed]] = {}
            failed = {_function(name) for name, row in file.tests.items() if _has_failed(row)}
            for name, row in file.tests.items():
                if row["outcome"] == "passed":
                    bits = {path: int(hexed, 16) for path, hexed in row["lines"].items()}
                    test = _Passed(
                        Test(name, row["seconds"], row["cpu"], _breadth(bits), file.key), bits
                    )
                    alike.setdefault(_function(name), []).append(test)
            likes = {name: _like(tests) for name, tests in alike.items() if name not in failed}
            for tests in alike.values():
                self._tests += tests
            for name in file.left:
                if like := likes.get(_function(name)):
                    self._tests.append(replace(like, test=replace(like.test, name=name)))

    def of(self, mutant: Mutant) -> list[Test]:
        """Return the tests that could notice the mutant, the most telling first, as time allows."""
        first, last = mutant.site.span
        start, end = _function_around(self._texts[mutant.path], mutant.site.line)
        passing = self._at({mutant.path: range(first, last + 1)})
        near = self._at({mutant.path: range(start, end)})
        uses = self._at(self._uses(mutant)) if mutant.site.names else []
        at_home = [each.test for each in self._tests if _imports(each.test.name, mutant)]
        # What runs at import belongs to no test: then all of the files that import it are asked.
        alike = [*passing, *uses] if passing else [*uses, *at_home]
        # ... and those that pass the module, or any.
        rest = [] if passing else self._at({mutant.path: range(1, 10_000)})
        every = [] if alike or rest else [each.test for each in self._tests]
        words = _words(mutant.site.before, *mutant.site.names, mutant.site.function)
        turns = {test.name: NEAR for test in near} | dict.fromkeys((t.name for t in alike), 0)
        for test in at_home:
            if test.name in turns:
                turns[test.name] -= OWN
        known = {test.name: test for test in (*near, *alike)}
        killer = self._killers.get(mutant.key)
        last = [each.test for each in self._tests if each.test.name == killer]
        return choose(
            last,
            ranked(list(known.values()), words, turns),
            ranked(rest, words),
            ranked(every, words),
        )

    def _at(self, places: dict[str, Sequence[int]]) -> list[Test]:
        """Return the tests that pass one of these lines."""
        masks = {
            rows.key: {
                path: mask
                for path, lines in places.items()
                if (mask := _mask(rows.texts[path], self._texts[path], lines))
            }
            for rows in self._files
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


def ranked(
    tests: list[Test],
    words: frozenset[str] = frozenset(),
    turns: Mapping[str, int] = MappingProxyType({}),
) -> list[Test]:
    """One case of each test function before the second of any; the narrowest first.

    Those that share words with the mutant go before their turn; ``turns`` moves others by name.
    """
    rounds: Counter[str] = Counter()
    placed: list[tuple[bool, int, int, Test]] = []
    for test in sorted(tests, key=lambda test: (test.breadth, test.name)):
        function = _function(test.name)
        moved = turns.get(test.name, 0)
        said = _words_of(function) | _words(test.name.partition("[")[2])
        turn = rounds[function] + moved - AHEAD * len(words & said)
        rounds[function] += 1
        placed.append((test.cpu > SLOW and moved >= 0, turn, test.breadth, test))
    return [row[-1] for row in sorted(placed, key=lambda row: row[:3])]


def _imports(test: str, mutant: Mutant) -> bool:
    """Whether the file of a test imports the module of a mutant, or the class that is mutated."""
    module = mutant.path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__")
    dotted = module.replace("/", ".")
    owner = mutant.site.function.partition(".")[0]
    return not {dotted, f"{dotted.rpartition('.')[0]}:{owner}"}.isdisjoint(_imported(file_of(test)))


@cache
def _imported(file: str) -> frozenset[str]:
    """Return the modules that a file imports, and ``package:name`` of what it takes from each."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(_text(file))):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{each.name}" for each in node.names)
            found.update(f"{node.module}:{each.name}" for each in node.names)
    return frozenset(found)


@cache
def _function_around(text: str, line: int) -> tuple[int, int]:
    """Return the first line of the innermost function around a line, and the one after it."""
    around = [
        (node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(around, default=(0, 0))


def _words(*texts: str) -> frozenset[str]:
    return frozenset(word.lower() for text in texts for word in _WORD.findall(text))


@cache
def _words_of(function: str) -> frozenset[str]:
    """Return the words of a test function, with those of its decorators and of its name."""
    file, _, name = function.partition("::")
    text = _functions(file).get(name.rpartition("::")[2], "")
    return _words(text)


@cache
def _functions(file: str) -> dict[str, str]:
    lines = _text(file).splitlines()
    return {
        node.name: "\n".join(lines[_first(node) - 1 : node.end_lineno])
        for node in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


def _text(file: str) -> str:
    path = scope.ROOT / file
    return path.read_text() if path.exists() else ""


def _first(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return min(each.lineno for each in (node, *node.decorator_list))


def choose(*groups: list[Test]) -> list[Test]:
    """Return the tests of all groups in their order, each once, until the time is spent."""
    chosen: dict[str, Test] = {}
    left = SECONDS
    for test in (test for group in groups for test in group):
        if test.name in chosen:
            continue
        left -= test.cpu
        if chosen and left < 0:
            break
        chosen[test.name] = test
    return list(chosen.values())


def file_of(test: str) -> str:
    """Return the file of a test."""
    return test.partition("::")[0]


def _function(test: str) -> str:
    return test.partition("[")[0]


def _has_failed(row: dict[str, Any]) -> bool:
    return bool(row["outcome"] == "failed")


def _breadth(bits: dict[str, int]) -> int:
    return sum(each.bit_count() for each in bits.values())


def _like(measured: list[_Passed]) -> _Passed:
    """Return what stands for the cases not measured: it passes whatever one of these passes."""
    bits: dict[str, int] = {}
    for each in measured:
        for path, lines in each.bits.items():
            bits[path] = bits.get(path, 0) | lines
    longest = max((each.test for each in measured), key=lambda test: test.cpu)
    return _Passed(replace(longest, breadth=_breadth(bits)), bits)


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
    before = (measure.TEXTS / old).read_text().splitlines()
    if digest((measure.TEXTS / old).read_text()) == digest(new):
        return {line: (line,) for line in range(1, len(before) + 1)}
    back: dict[int, Sequence[int]] = {}
    matcher = difflib.SequenceMatcher(a=before, b=new.splitlines(), autojunk=False)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        for step, line in enumerate(range(j1 + 1, j2 + 1)):
            back[line] = (
                (i1 + 1 + step,) if kind == "equal" else range(max(i1, 1), max(i1, i2, 1) + 1)
            )
    return back
