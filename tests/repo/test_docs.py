"""What the documents say is what the code's own tables say, and what they link is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tools import check_pages

ROOT = Path(__file__).parents[2]
PAGES = check_pages.pages()


def _named(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("maker", ["make_settings", "make_api"])
def test_what_is_made_of_the_code_is_fresh(maker):
    """Settings: the page and instrument() are made of one table. API: the page, of docstrings."""
    if maker == "make_api":
        pytest.importorskip("griffe", reason="needs tokentrail[dev]")
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / f"{maker}.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_links_lead_to_files_and_headings(page):
    assert list(check_pages.link_problems(page)) == []


def test_every_page_is_linked_from_another_and_is_in_the_index():
    assert check_pages.orphans(PAGES) == []
    index = ROOT / "docs" / "README.md"
    listed = set(re.findall(r"^\| \[[^]]+\]\(([^)]+)\) \|", index.read_text("utf-8"), re.MULTILINE))
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= listed


PLACES = re.findall(
    r"^\| .* \| `(src/[^`]+)` \| `([^`]+)` \|$",
    (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(
    "asked",
    [
        "the decision that a stream was closed early",
        "the source of `gen_ai.provider.name`",
        "the reading of a field of the usage report",
        "the export of waiting spans when a provider is flushed",
        "the look-up of a model's price",
    ],
)
def test_the_table_of_places_answers_what_a_newcomer_asks(asked):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| {asked}.*\| `(src/[^`]+)` \| `([^`]+)` \|$", text, re.MULTILINE)
    assert row in PLACES


@pytest.mark.parametrize(("path", "name"), PLACES)
def test_what_the_table_of_places_names_is_there(path, name):
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    for part in name.split("."):
        named = {node.name: node for node in body if isinstance(node, ast.ClassDef | DEFINED)}
        assert part in named, f"{path} has no {name}"
        body = named[part].body


DEFINED = ast.FunctionDef | ast.AsyncFunctionDef


def test_what_is_wrong_with_a_page_is_found(tmp_path):
    pytest.importorskip("proselint", reason="needs tokentrail[dev]")
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n[here](#a-page) [gone](gone.md) ![no](no.png) [there](#there)\n\n"
        "What is told is very unique; `told` is code.\n\n```text\ntold\n```\n"
    )
    assert list(check_pages.problems(page)) == [
        "3: leads nowhere: gone.md",
        "3: leads nowhere: no.png",
        "3: no such heading: #there",
        "5: plainer, please: 'told'",
        "5: uncomparables: Comparison of an uncomparable: 'very unique' is not comparable.",
    ]


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_no_page_names_a_place_of_one_machine(page):
    """Paths and hosts of the machine it was written on are of no use to a reader."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"/(?:work|root|tmp)/|/\.library|\.pyenv", text)
