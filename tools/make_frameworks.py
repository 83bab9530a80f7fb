"""Make docs/frameworks.md: frameworks and web servers, their versions, and what was seen of them.

    python tools/make_frameworks.py            # write it
    python tools/make_frameworks.py --check    # exit 1 if it is stale

What was run and seen, ``nox -s frameworks webservers`` leaves in docs/frameworks.json; what is said
of each stands in the docstring of its tests.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SOURCE, TARGET = DOCS / "frameworks.json", DOCS / "frameworks.md"
SERVERS = "webservers"

HEAD = """\
# Frameworks and web servers

Made by `tools/make_frameworks.py` of what the tests in `tests/frameworks` and `tests/webservers`
saw (`make frameworks`, `make webservers`): nobody writes here.

Each call is made bare and instrumented, against a model on loopback. What the framework gives and
what goes over the wire is the same; each request is told by one span, under the span of the
application. Under a span of the framework's own it was seen with pydantic-ai, the only one whose
own OpenTelemetry was switched on here.
The tokens are those that the model bills. Only where tools or a JSON schema go along and usage is
counted, they are those within 24: the model on loopback bills these in its own way. How near a
count comes to OpenAI's way: [accuracy.md](accuracy.md).
A stream's usage is **reported** where the framework asks the server for it, else **counted** here;
`tokentrail.instrument(stream_usage="request")` asks on its behalf, except for raw answers.

"""
SERVED = """
## Web servers

One stream inside a web framework, under the span that its own instrumentation makes of the request.
What each server needs so that no span is lost at its end: [web-servers.md](web-servers.md).

"""


def _said(name: str) -> tuple[str, str]:
    """Return the name that the tests of a framework give it, and what they say of it."""
    path = ROOT / "tests" / "frameworks" / f"test_{name}.py"
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    title, _, note = said.partition("\n\n")
    return title.rstrip("."), note


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def _versions(seen: dict[str, Any]) -> str:
    return ", ".join(f"{name} {version}" for name, version in seen["packages"].items())


def _rows(seen: dict[str, Any]) -> list[list[str]]:
    """Return a row for each thing that is told alike: what was run, and what was seen."""
    alike: dict[str, list[str]] = {}
    for title, told in seen["seen"].items():
        alike.setdefault(" + ".join(f"`{each}`" for each in told), []).append(title)
    return [["; ".join(titles), told] for told, titles in alike.items()]


def render(stored: dict[str, Any]) -> str:
    """Return the page."""
    on_top = {name: seen for name, seen in stored.items() if name != SERVERS}
    head = ["framework", "openai", "Python", "what was run"]
    page = HEAD + _table(
        head,
        [
            [_versions(seen), seen["openai"], seen["python"], f"{len(seen['seen'])} ways"]
            for seen in on_top.values()
        ],
    )
    for name, seen in on_top.items():
        title, note = _said(name)
        told = _table(["what was run", "what was seen"], _rows(seen))
        page += f"\n## {title}\n\n{note}\n\n{told}"
    if (seen := stored.get(SERVERS)) is not None:
        page += f"{SERVED}With {_versions(seen)}, openai {seen['openai']}.\n\n"
        page += _table(["what was run", "what was seen"], _served(seen))
    return page


def _served(seen: dict[str, Any]) -> list[list[str]]:
    """Return a row for each application and server: what was seen of each end."""
    return [[title, f"`{told[0]}`"] for title, told in seen["seen"].items()]


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; return the exit status."""
    page = render(json.loads(SOURCE.read_text(encoding="utf-8")))
    if arguments != ["--check"]:
        TARGET.write_text(page, encoding="utf-8")
        return 0
    there = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
    if page != there:
        print(f"{TARGET.name} is stale: run python tools/make_frameworks.py")
    return int(page != there)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
