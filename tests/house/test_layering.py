"""Three vocabularies, one direction: what openai says, what happened, how it is told."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2] / "src" / "tokentrail"

OWNERS = {
    "opentelemetry": {"tokentrail.tell", "tokentrail.instrumentor"},
    "tiktoken": {"tokentrail.counting"},
    "wrapt": {
        "tokentrail.calls",
        "tokentrail.connections",
        "tokentrail.patches",
        "tokentrail.streams",
    },
    "openai": set(),
    "genai_prices": {"tokentrail.cost.published"},
}
"""Who may import what; a package's name stands for its modules. The demo is an application."""

FRONT = "tokentrail"
"""Its signatures may name types of OpenTelemetry; at run time it imports none."""

APPLICATIONS = {
    "tokentrail.demo",
    "tokentrail.cli",
    "tokentrail.doctor",
    "tokentrail.__main__",
}

LEAVES = {
    "tokentrail.record": set(),
    "tokentrail.operation": {"tokentrail.record"},
    "tokentrail.guard": set(),
    "tokentrail.forks": set(),
    "tokentrail.version": set(),
    "tokentrail.config": {
        "tokentrail.cost.own",
        "tokentrail.guard",
        "tokentrail.counting.models",
    },
    "tokentrail.cost": {"tokentrail.guard", "tokentrail.operation"},
    "tokentrail.endpoint": {"tokentrail.operation"},
    "tokentrail.content": {"tokentrail.guard", "tokentrail.operation", "tokentrail.shapes"},
    "tokentrail.counting": {"tokentrail.forks", "tokentrail.guard", "tokentrail.operation"},
    "tokentrail.shapes": {"tokentrail.guard", "tokentrail.operation"},
    "tokentrail.tell": {
        "tokentrail.config",
        "tokentrail.content",
        "tokentrail.forks",
        "tokentrail.guard",
        "tokentrail.operation",
        "tokentrail.recorder",
        "tokentrail.version",
    },
    "tokentrail.bodies": set(),
    "tokentrail.worker": {"tokentrail.guard"},
}
"""What of our own each part may know of."""


@dataclass(frozen=True)
class Import:
    """An import statement's target and where it stands."""

    importer: str
    target: str
    line: int
    in_function: bool
    for_types: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


def _within(module: str, parts: set[str]) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def _targets(node: ast.AST, module: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{module}:{node.lineno}: imports name the whole module"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _imports(module: str, path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    checks = [node for node in nodes if isinstance(node, ast.If) and _is_type_checking(node.test)]
    in_functions = {node for function in functions for node in ast.walk(function)}
    for_types = {node for check in checks for node in ast.walk(check)}
    for node in nodes:
        for target in _targets(node, module):
            yield Import(module, target, node.lineno, node in in_functions, node in for_types)


@functools.cache
def imports() -> tuple[Import, ...]:
    """Return every import of every module."""
    return tuple(found for module, path in _modules() for found in _imports(module, path))


def test_there_is_something_to_look_at():
    assert any(found.target.startswith("opentelemetry") for found in imports())


@pytest.mark.parametrize("package", OWNERS)
def test_only_its_owners_import_a_package(package):
    allowed = OWNERS[package] | APPLICATIONS
    strangers = [
        str(found)
        for found in imports()
        if _within(found.target, {package})
        and not _within(found.importer, allowed)
        and not (found.importer == FRONT and found.for_types)
    ]
    assert strangers == []


def test_no_module_that_is_instrumented_or_heavy_is_imported_when_a_module_is():
    """What would make ``instrument()`` slow stands inside a function, or in the demo."""
    eager = [
        str(found)
        for found in imports()
        if _within(found.target, {"openai", "opentelemetry.sdk", "rich", "genai_prices"})
        and not found.in_function
        and not _within(found.importer, APPLICATIONS)
    ]
    assert eager == []


@pytest.mark.parametrize("part", LEAVES)
def test_a_part_knows_only_what_lies_before_it(part):
    allowed = {part} | LEAVES[part]
    strangers = [
        str(found)
        for found in imports()
        if _within(found.importer, {part})
        and _within(found.target, {"tokentrail"})
        and not _within(found.target, allowed)
    ]
    assert strangers == []


def test_nobody_but_the_command_line_knows_the_demo():
    guests = [
        str(found)
        for found in imports()
        if _within(found.target, APPLICATIONS) and not _within(found.importer, APPLICATIONS)
    ]
    assert guests == []


def test_the_demo_does_not_know_the_command_line_that_starts_it():
    circle = [
        str(found)
        for found in imports()
        if _within(found.target, {"tokentrail.cli"})
        and _within(found.importer, {"tokentrail.demo"})
    ]
    assert circle == []
