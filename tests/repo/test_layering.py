"""One ordered list of all packages: what a module may import stands before it."""

from __future__ import annotations

import ast
import functools
import graphlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2] / "src" / "tokentrail"

LAYERS = (
    "tokentrail.version",
    "tokentrail.support",
    "tokentrail.model",
    "tokentrail.content",
    "tokentrail.apis",
    "tokentrail.counting",
    "tokentrail.cost",
    "tokentrail.config",
    "tokentrail.usage",
    "tokentrail.telemetry",
    "tokentrail.runtime",
    "tokentrail.call",
    "tokentrail.websocket",
    "tokentrail.patching",
    "tokentrail.instrumentor",
    "tokentrail.diagnosis",
    "tokentrail",
    "tokentrail.testing",
    "tokentrail.run",
    "tokentrail.pytest",
    "tokentrail.demo",
    "tokentrail.cli",
    "tokentrail.__main__",
)
"""All of the package, from what knows nobody to what knows everything before it. A module imports
from layers before its own, for types too."""

APPLICATIONS = {
    f"tokentrail.{name}" for name in ("cli", "demo", "diagnosis", "pytest", "run", "__main__")
}
"""Programs of their own, which may import what they like."""

OWNERS = {
    "opentelemetry": {
        "tokentrail.telemetry",
        "tokentrail.instrumentor",
    },
    "tiktoken": {"tokentrail.counting"},
    "wrapt": {"tokentrail.patching", "tokentrail.websocket"},
    "openai": set(),
    "genai_prices": {"tokentrail.cost.genai_prices"},
}
"""Who may import what; a package's name stands for its modules."""

FRONT = "tokentrail"
"""Its signatures may name types of OpenTelemetry; at run time it imports none."""


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


def test_importing_a_module_imports_no_instrumented_or_heavy_one():
    """What would make ``instrument()`` slow stands inside a function, or in the demo."""
    eager = [
        str(found)
        for found in imports()
        if _within(found.target, {"openai", "opentelemetry.sdk", "rich", "genai_prices"})
        and not found.in_function
        and not _within(found.importer, APPLICATIONS)
    ]
    assert eager == []


def layer_of(module: str) -> int:
    """Return the place of a module, or of a name in one, in LAYERS."""
    parts = module.split(".")[:2]
    names = (".".join(parts), "tokentrail")
    return next(LAYERS.index(name) for name in names if name in LAYERS)


def test_every_module_has_a_layer():
    top = {".".join(name.split(".")[:2]) for name, _ in _modules()}
    assert top == set(LAYERS)


def test_the_page_of_the_architecture_has_the_same_list():
    page = (ROOT.parents[1] / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)`(?: itself)? \|", page, re.MULTILINE)
    assert rows == [name.rpartition(".")[2] for name in LAYERS]


def test_a_module_imports_only_from_layers_before_its_own():
    upward = [
        str(found)
        for found in imports()
        if _within(found.target, {"tokentrail"})
        and layer_of(found.target) > layer_of(found.importer)
    ]
    assert upward == []


def test_no_two_modules_import_each_other_by_any_way():
    """Imports for types count: who must be read to understand whom is what this is about."""
    modules = {name for name, _ in _modules()}
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for found in imports():
        named = found.target if found.target in modules else found.target.rpartition(".")[0]
        if named in modules and named != found.importer:
            graph[found.importer].add(named)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_list_of_layers_would_notice_a_wrong_import():
    assert layer_of("tokentrail.apis.chat.adapter") < layer_of("tokentrail.usage.resolve")
    assert layer_of("tokentrail.flush") == layer_of("tokentrail")
