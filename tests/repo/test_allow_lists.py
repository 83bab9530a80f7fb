"""Lists of what is allowed name only what there is: an exception goes with what it was for."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest
from tests.calls.test_every_function import APART, EDGES, SILENT, TWOFOLD, _functions
from tests.repo.test_layering import OWNERS, imports

if sys.version_info < (3, 11):
    pytest.skip("reads TOML", allow_module_level=True)

import tomllib

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tokentrail"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NOQA = re.compile(r"# noqa: [A-Z0-9, ]+(.*)$", re.MULTILINE)


def test_what_may_not_be_broken_or_may_fail_in_silence_is_there():
    named = {(module, name) for module, names in EDGES.items() for name in names} | set(SILENT)
    there = {(module, name) for module, name, _ in _functions().values()}
    assert sorted(named - there) == []


def test_the_modules_that_tests_leave_out_or_run_twice_are_there():
    for name in TWOFOLD:
        assert importlib.import_module(name)
    for name in APART:
        path = SOURCE.joinpath(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").exists(), name


def test_who_may_import_a_package_does():
    for package, owners in OWNERS.items():
        for owner in owners:
            who = [
                i for i in imports() if i.importer == owner or i.importer.startswith(f"{owner}.")
            ]
            assert any(i.target.split(".")[0] == package for i in who), (package, owner)


@pytest.mark.parametrize("pattern", SETTINGS["tool"]["ruff"]["lint"]["per-file-ignores"])
def test_files_with_exceptions_for_ruff_exist(pattern):
    folders, _, rest = pattern.removeprefix("{").partition("}")
    several = [f"{one}{rest}" for one in folders.split(",")] if pattern[0] == "{" else [pattern]
    inner = re.fullmatch(r"(.*)\{(.*)\}(.*)", pattern)
    if inner is not None and pattern[0] != "{":
        several = [f"{inner[1]}{one}{inner[3]}" for one in inner[2].split(",")]
    for each in several:
        assert any(ROOT.glob(each)), each


def test_an_exception_for_ruff_has_its_reason_and_there_are_few():
    told = [
        (path.name, reason)
        for path in sorted(SOURCE.rglob("*.py"))
        for reason in NOQA.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(told) <= 40
    assert [name for name, reason in told if not re.match(r" ?- \w+", reason)] == []
