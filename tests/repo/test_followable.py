"""The way of a call can be followed by "go to definition": what is called has a name and a home."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src" / "tokentrail"
ON_THE_WAY = (
    "apis", "call", "content", "counting", "model", "patching", "runtime", "telemetry", "websocket",
)  # fmt: skip
MODULES = sorted(path for part in ON_THE_WAY for path in (ROOT / part).rglob("*.py"))
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(body: ast.AST) -> list[Function]:
    return [node for node in ast.walk(body) if isinstance(node, Function)]


def _returned(function: Function) -> list[ast.expr]:
    nested = {node for inner in _functions(function)[1:] for node in ast.walk(inner)}
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and node.value is not None and node not in nested
    ]


def returns_a_function(function: Function) -> bool:
    """Whether it returns a function that it defines."""
    own = {inner.name for inner in _functions(function)[1:]}
    return any(
        isinstance(value, ast.Lambda) or (isinstance(value, ast.Name) and value.id in own)
        for value in _returned(function)
    )


def rebound(owner: ast.ClassDef) -> set[str]:
    """Return the methods of a class that it replaces on its objects."""
    methods = {node.name for node in owner.body if isinstance(node, Function)}
    targets = (
        target
        for node in ast.walk(owner)
        if isinstance(node, ast.Assign)
        for target in node.targets
    )
    return methods & {
        target.attr
        for target in targets
        if isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
    }


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_no_function_returns_one_that_it_defines(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [each.name for each in _functions(tree) if returns_a_function(each)] == []


@pytest.mark.parametrize("path", MODULES, ids=_named)
def test_no_method_is_replaced_at_run_time(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    owners = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert [(owner.name, rebound(owner)) for owner in owners if rebound(owner)] == []


def test_what_cannot_be_followed_would_be_found():
    tree = ast.parse(
        "class A:\n"
        "    def take(self): ...\n"
        "    def begin(self):\n"
        "        self.take = self.begin\n"
        "def make():\n"
        "    def made(): ...\n"
        "    return made\n"
    )
    owner = tree.body[0]
    assert isinstance(owner, ast.ClassDef)
    assert rebound(owner) == {"take"}
    assert [each.name for each in _functions(tree) if returns_a_function(each)] == ["make"]
