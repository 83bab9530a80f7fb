"""Check every page: links, anchors, words that we gave up, and proselint's advice on prose.

    python -m tools.check_pages            # all pages
    python -m tools.check_pages FILE...    # these

Links to other sites are not followed: a check must not fail because a server elsewhere is down.
proselint sees prose alone, without code, tables' rules and links' targets. It was chosen over Vale,
which is a program that its package on PyPI downloads when it first runs.
"""

from __future__ import annotations

import itertools
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent

GIVEN_UP = (
    *(r"tells?", r"told", r"telling", r"bears?", r"bore", r"aside", r"ought"),
    *(r"br(?:oke|oken|eak|eaks|eaking) off", r"nobody writes", r"imitations?", r"elders"),
    *(r"shall", r"hearsay", r"whoever", r"as ever", r"thereof", r"wherefore", r"mends?"),
)
"""Words of an English that readers stumbled over. ``tells apart`` and code are let be."""
_GIVEN_UP = re.compile(rf"\b(?:{'|'.join(GIVEN_UP)})\b(?! apart| me)", re.IGNORECASE)

NO_ADVICE = {
    "typography": False,  # straight quotes and three dots, which can be typed and searched
    "lexical_illusions": False,  # takes cells of a table for repeated words
    "dates_times": False,  # takes options of commands for dates
}
"""Of proselint, by group."""
_IGNORED = {"weasel_words.very"}

_PARSER = MarkdownIt("commonmark").enable("table")


def pages() -> list[Path]:
    """Return all pages of the repository."""
    folders = (ROOT / "docs").glob("*.md"), (ROOT / "examples").rglob("*.md")
    return [*sorted(ROOT.glob("*.md")), *sorted(page for found in folders for page in found)]


def problems(page: Path) -> Iterator[str]:
    """Yield what is wrong with a page, each with its line."""
    yield from link_problems(page)
    if page.name == "CHANGELOG.md":
        return  # its older entries stay as they were published
    prose = _prose(_tokens(page))
    for number, line in enumerate(prose.splitlines(), 1):
        yield from (f"{number}: plainer, please: {m.group()!r}" for m in _GIVEN_UP.finditer(line))
    yield from _advice(page, prose)


@cache
def _tokens(page: Path) -> list[Token]:
    return _PARSER.parse(page.read_text(encoding="utf-8"))


def _inline(tokens: Iterable[Token]) -> Iterator[tuple[int, Token]]:
    """Yield what is inside of blocks, with the line that its block begins on."""
    line = 0
    for token in tokens:
        if token.map:
            line = token.map[0] + 1
        for child in token.children or ():
            yield line, child


def _links(tokens: Iterable[Token]) -> Iterator[tuple[int, str]]:
    for line, token in _inline(tokens):
        target = token.attrGet("href") or token.attrGet("src")
        if target:
            yield line, str(target)


def link_problems(page: Path) -> Iterator[str]:
    """Yield the links to other pages, headings and files that are not there, each with its line."""
    for line, target in _links(_tokens(page)):
        yield from (f"{line}: {problem}" for problem in _problems_of(page, target))


def _problems_of(page: Path, target: str) -> Iterator[str]:
    if re.match(r"[a-z][a-z+.-]*:", target):
        return
    path, _, anchor = unquote(target).partition("#")
    found = page.parent / path if path else page
    if not found.exists():
        yield f"leads nowhere: {target}"
    elif anchor and (found.suffix != ".md" or anchor not in _anchors(found)):
        yield f"no such heading: {target}"


@cache
def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of headings; a second of the same name gets a number."""
    anchors: dict[str, int] = {}
    tokens = _tokens(page)
    for before, token in itertools.pairwise(tokens):
        if before.type == "heading_open":
            text = "".join(child.content for child in token.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")
            times = anchors[slug] = anchors.get(slug, -1) + 1
            if times:
                anchors[f"{slug}-{times}"] = 0
    return set(anchors)


def _prose(tokens: list[Token]) -> str:
    """Return the text of a page on its own lines, without code, targets and tables' rules."""
    lines: dict[int, list[str]] = {}
    for line, token in _inline(tokens):
        if token.type == "text":
            lines.setdefault(line, []).append(token.content)
        elif token.type in {"softbreak", "code_inline"}:
            lines.setdefault(line, []).append(" " if token.type == "softbreak" else "``")
    last = max(lines, default=0)
    return "\n".join("".join(lines.get(number, ())) for number in range(1, last + 1))


def _advice(page: Path, prose: str) -> Iterator[str]:
    from proselint.checks import __register__
    from proselint.config import DEFAULT
    from proselint.registry import CheckRegistry
    from proselint.tools import LintFile

    registry = CheckRegistry()
    if not registry.checks:
        registry.register_many(__register__)
    checks = {**DEFAULT["checks"], **NO_ADVICE}
    for found in LintFile(str(page), prose).lint({**DEFAULT, "checks": checks}):
        if found.check_result.check_path not in _IGNORED:
            line = found.pos[0]
            yield f"{line}: {found.check_result.check_path}: {found.check_result.message}"


def orphans(every: Iterable[Path]) -> list[Path]:
    """Return the pages of docs/ that no other page links: nobody would find them."""
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in every
        for _, target in _links(_tokens(page))
    }
    return [page for page in every if page.parent.name == "docs" and page not in linked]


def main(arguments: list[str]) -> int:
    """Print what is wrong; return the exit status."""
    every = [Path(name).resolve() for name in arguments] or pages()
    found = [f"{_shown(page)}:{problem}" for page in every for problem in problems(page)]
    if not arguments:
        found += [f"{_shown(page)}: no other page links it" for page in orphans(every)]
    for line in found:
        print(line)
    return int(bool(found))


def _shown(page: Path) -> str:
    return str(page.relative_to(ROOT) if page.is_relative_to(ROOT) else page)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
