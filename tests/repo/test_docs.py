"""What the documents say is what the code's own tables say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]


def _named(page):
    return str(page.relative_to(ROOT))


def test_the_page_of_settings_and_the_signature_are_those_of_the_table():
    """One description of every setting: docs/settings.md and instrument() are made of it."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "make_settings.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_links_between_pages_lead_somewhere(page):
    """A link to a file of the project names one that is there."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    missing = [link for link in local if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_links_into_pages_lead_to_a_heading(page):
    """An anchor is a heading as GitHub spells it."""
    links = re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    targets = [(page.parent / to if to else page, at) for to, at in links if "://" not in to]
    assert [(to.name, at) for to, at in targets if at not in _anchors(to)] == []


def _anchors(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    spelt = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in spelt}


PLACES = re.findall(
    r"^\| .* \| `(src/[^`]+)` \| `([^`]+)` \|$",
    (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_the_table_of_places_answers_what_a_newcomer_asks():
    assert len(PLACES) >= 5


@pytest.mark.parametrize(("path", "name"), PLACES)
def test_what_the_table_of_places_names_is_there(path, name):
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    for part in name.split("."):
        named = {node.name: node for node in body if isinstance(node, ast.ClassDef | DEFINED)}
        assert part in named, f"{path} has no {name}"
        body = named[part].body


DEFINED = ast.FunctionDef | ast.AsyncFunctionDef


def test_every_page_is_linked_from_another():
    """Nobody finds a page that no other names."""
    linked = {
        (page.parent / link).resolve()
        for page in PAGES
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in link
    }
    own = {page for page in PAGES if page.parent.name == "docs"}
    assert {_named(page) for page in own if page.resolve() not in linked} == set()


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_no_page_names_a_place_of_one_machine(page):
    """Paths and hosts of the machine it was written on are of no use to a reader."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"/(?:work|root|tmp)/|/\.library|\.pyenv", text)
