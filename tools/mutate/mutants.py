"""Every mutant of the sources, each with a key that survives a move of its lines or its module."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import OPERATORS_TYPE, mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode
from tools.mutate import scope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _without_call(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """Leave out a statement that does nothing but call."""
    value = node.value.expression if isinstance(node.value, cst.Await) else node.value
    if isinstance(value, cst.Call):
        yield cst.Pass()


def _one_side(node: cst.BooleanOperation) -> Iterator[cst.CSTNode]:
    """Keep one side of an ``and`` or an ``or``."""
    yield node.left
    yield node.right


OPERATORS: Final[OPERATORS_TYPE] = [
    *mutation_operators,
    (cst.Expr, _without_call),
    (cst.BooleanOperation, _one_side),
]
"""mutmut's, and two that it lacks: most survivors that were found by hand are of these."""


MANY: Final = 10
"""Files whose mutants are found on all cores."""


@dataclass(frozen=True)
class Site:
    """One mutant of one file, by its place in the list of them all."""

    function: str
    line: int
    span: tuple[int, int]
    """First and last line of the statement, or of the head of one that has a body."""
    names: tuple[str, ...]
    """What the statement assigns, where no function holds it."""
    before: str
    after: str


@dataclass(frozen=True)
class Mutant:
    """A mutant that can be drawn."""

    key: str
    path: str
    index: int
    site: Site


def digest(*parts: str) -> str:
    """Return a short hash of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class _Visitor(MutationVisitor):
    """mutmut's visitor, which also notes where each mutation is."""

    def __init__(self) -> None:
        super().__init__(OPERATORS, IgnoredCode(set(), set(), set()))
        self.places: list[tuple[str, int, tuple[int, int], tuple[str, ...]]] = []
        self._names: list[str] = []
        self._statements: list[cst.CSTNode] = []
        self._functions = 0

    def on_visit(self, node: cst.CSTNode) -> bool:
        self._enter(node)
        if _is_for_readers(node):
            return False
        known = len(self.mutations)
        goes_on = super().on_visit(node)
        if len(self.mutations) > known:
            self.places += [self._place(node)] * (len(self.mutations) - known)
        return goes_on

    def on_leave(self, original_node: cst.CSTNode) -> None:
        super().on_leave(original_node)
        if isinstance(original_node, (cst.FunctionDef, cst.ClassDef)):
            self._names.pop()
        if isinstance(original_node, cst.FunctionDef):
            self._functions -= 1
        if isinstance(original_node, cst.BaseStatement):
            self._statements.pop()

    def _enter(self, node: cst.CSTNode) -> None:
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self._names.append(node.name.value)
        if isinstance(node, cst.FunctionDef):
            self._functions += 1
        if isinstance(node, cst.BaseStatement):
            self._statements.append(node)

    def _place(self, node: cst.CSTNode) -> tuple[str, int, tuple[int, int], tuple[str, ...]]:
        statement = self._statements[-1]
        where = self.get_metadata(PositionProvider, statement)
        last = where.end.line
        body = getattr(statement, "body", None)
        if isinstance(body, cst.BaseSuite):
            last = max(where.start.line, self.get_metadata(PositionProvider, body).start.line - 1)
        at = self.get_metadata(PositionProvider, node, None)
        line = min(max(at.start.line, where.start.line), last) if at else where.start.line
        names = () if self._functions else _assigned(statement)
        return ".".join(self._names), line, (where.start.line, last), names


def _is_for_readers(node: cst.CSTNode) -> bool:
    """Whether a program runs the same whatever stands there: imports of types, ``__all__``."""
    if isinstance(node, cst.If):
        return getattr(node.test, "value", None) == "TYPE_CHECKING"
    return isinstance(node, cst.SimpleStatementLine) and "__all__" in _assigned(node)


def _assigned(statement: cst.CSTNode) -> tuple[str, ...]:
    if not isinstance(statement, cst.SimpleStatementLine):
        return ()
    targets: list[cst.CSTNode] = []
    for small in statement.body:
        if isinstance(small, cst.Assign):
            targets += [each.target for each in small.targets]
        elif isinstance(small, cst.AnnAssign):
            targets.append(small.target)
    return tuple(target.value for target in targets if isinstance(target, cst.Name))


class Source:
    """A file and its mutants."""

    def __init__(self, text: str) -> None:
        visitor = _Visitor()
        self._module = MetadataWrapper(cst.parse_module(text)).visit(visitor)
        self._mutations = visitor.mutations
        self._places = visitor.places

    def sites(self) -> list[Site]:
        """Return them, in the order of the text."""
        code = self._module.code_for_node
        return [
            Site(*place, code(each.original_node).strip(), code(each.mutated_node).strip())
            for each, place in zip(self._mutations, self._places, strict=True)
        ]

    def mutated(self, index: int) -> str:
        """Return the text with one mutation."""
        mutation = self._mutations[index]
        changed = self._module.deep_replace(mutation.original_node, mutation.mutated_node)
        assert isinstance(changed, cst.Module)  # noqa: S101 - a node within it was replaced
        return changed.code


def population(texts: dict[str, str]) -> list[Mutant]:
    """Return all mutants of these files."""
    seen: Counter[str] = Counter()
    mutants: list[Mutant] = []
    _find_new(list(texts.values()))
    for path, text in sorted(texts.items()):
        for index, site in enumerate(_sites(text)):
            same = digest(site.function, site.before, site.after)
            mutants.append(Mutant(digest(same, str(seen[same]))[:12], path, index, site))
            seen[same] += 1
    return mutants


def _find_new(texts: list[str]) -> None:
    """Find the mutants of many texts on all cores: on one it takes 20 s."""
    new = [text for text in texts if not _kept(text).exists()]
    if len(new) >= MANY:
        with ProcessPoolExecutor() as pool:
            for _ in pool.map(_sites, new):
                pass


def _kept(text: str) -> Path:
    return scope.STORE / "mutants" / f"{digest(_ENGINE, text)}.json"


def _sites(text: str) -> list[Site]:
    """Return the mutants of a text, as it was found last time if that is kept."""
    kept = _kept(text)
    if kept.exists():
        return [_read(each) for each in json.loads(kept.read_text())]
    sites = Source(text).sites()
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps([asdict(site) for site in sites]))
    return sites


def _read(kept: dict[str, Any]) -> Site:
    return Site(**{**kept, "span": tuple(kept["span"]), "names": tuple(kept["names"])})


def change(before: str, after: str) -> str:
    """Return the lines in which two texts differ, as ``before -> after``."""
    old, new = _differing(before, after, *_ends(before, after))
    return f"{_flat(old)}  ->  {_flat(new)}"


def patch(before: str, after: str) -> tuple[str, str]:
    """Return the lines in which two texts differ, with as many around as make them unique."""
    start, end = _ends(before, after)
    old, new = _differing(before, after, start, end)
    while before.count(old) != 1:
        start, end = max(start - 1, 0), max(end - 1, 0)
        old, new = _differing(before, after, start, end)
    return old, new


def _ends(before: str, after: str) -> tuple[int, int]:
    """Return how many lines are the same at the start and at the end of two texts."""
    old, new = before.splitlines(), after.splitlines()
    least = min(len(old), len(new))
    start = next((n for n in range(least) if old[n] != new[n]), least)
    least -= start
    end = next((n for n in range(least) if old[-1 - n] != new[-1 - n]), least)
    return start, end


def _differing(before: str, after: str, start: int, end: int) -> tuple[str, str]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(old[start : len(old) - end]), "".join(new[start : len(new) - end])


def _flat(text: str) -> str:
    return " ".join(text.split())


_ENGINE: Final = digest((scope.ROOT / "tools/mutate/mutants.py").read_text())
