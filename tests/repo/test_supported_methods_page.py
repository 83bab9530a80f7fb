"""docs/supported-methods.md is made of the table of methods and of what the surface tests saw."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STORED = json.loads((ROOT / "docs" / "supported-methods.json").read_text(encoding="utf-8"))


def _matrix():
    """Return the releases of openai in noxfile.py, which is not imported: it needs nox."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "OPENAI"
    )
    return ast.literal_eval(value)


def test_the_page_is_fresh():
    command = [sys.executable, str(ROOT / "tools" / "make_supported_methods.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_row_without_a_result_is_found(tmp_path):
    """A new row without results is named, rather than left out of the page."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "make_supported_methods", ROOT / "tools" / "make_supported_methods.py"
    )
    make_supported_methods = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_supported_methods)
    for release in (stored := json.loads(json.dumps(STORED))).values():
        release["methods"]["embeddings.create"] = {}
    with pytest.raises(SystemExit, match=r"embeddings\.create"):
        make_supported_methods.render(stored)


def test_every_release_of_the_matrix_is_on_the_page():
    matrix = _matrix()
    assert list(STORED) == list(matrix)
    pins = {name: f"openai == {release['openai']}" for name, release in STORED.items()}
    assert all(pins[name] in wanted for name, wanted in matrix.items() if name != "newest")
