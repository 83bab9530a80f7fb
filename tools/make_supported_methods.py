"""Make docs/supported-methods.md: method by method and release by release, what is told.

    python tools/make_supported_methods.py            # write it
    python tools/make_supported_methods.py --check    # exit 1 if it is stale, naming what is

The methods are those of ``tokentrail.patching.methods.ROWS``; what is told of each was seen by the
tests in tests/surface, which ``nox -s methods`` runs on every release and which leave it in
docs/supported-methods.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tokentrail.patching.methods import ROWS

DOCS = Path(__file__).resolve().parent.parent / "docs"
SOURCE, TARGET = DOCS / "supported-methods.json", DOCS / "supported-methods.md"

Ways = dict[str, str]

HEAD = """\
# Supported methods

Made by `tools/make_supported_methods.py` of the table in `tokentrail.patching.methods` and of what
the tests in `tests/surface` saw on each release of openai (`nox -s methods`): nobody writes here.

Each method is told alike on `OpenAI`, `AsyncOpenAI`, `AzureOpenAI` and `AsyncAzureOpenAI`, and
alike whether it is called itself or through `with_raw_response` or `with_streaming_response`.

- **told as**: the span's `gen_ai.operation.name`.
- **plain, streamed, asked**: how usage is known of a plain answer; of a stream; of a stream with
  `stream_options={"include_usage": True}`. `reported` is the server's own number. `counted` is
  ours, where the server sends none: as here for streams, so for any answer without a report.
  `none`: nothing is spent, or it was told by the call that spent it.
- **a release**: `●` told in all ways, `-` it has no such method, else the ways in which it is told.

"""

ABOVE = """
## Methods that call one of these

Told once, as the call that it makes.

"""


def _usage(told: str | None) -> str:
    """Return how usage is known, from what was seen of a call: operation, input, output."""
    if told is None:
        return ""
    _, given, made = told.split()
    if given == made:
        return "none" if given == "-" else given
    return f"input {given}" if made == "-" else f"{given}, {made}"


def _ways(ways: Ways, most: Ways) -> str:
    """Return what a release has of a method, and where it tells it in another manner."""
    if not ways:
        return "-"
    if ways == most:
        return "●"
    return ", ".join(
        name if told == most.get(name) else f"{name}: {_usage(told)}" for name, told in ways.items()
    )


def _row(path: str, releases: list[dict[str, Ways]], columns: tuple[str, ...]) -> list[str]:
    """Return the cells of a method. What it is told as, the newest release that has it says."""
    most = next((ways for each in reversed(releases) if (ways := each.get(path))), None)
    if most is None:
        message = f"nothing was seen of {path} on any release: run nox -s methods"
        raise SystemExit(message)
    return [
        f"`{path}`",
        f"`{next(iter(most.values())).split()[0]}`",
        *(_usage(most.get(name)) for name in columns),
        *(_ways(each.get(path, {}), most) for each in releases),
    ]


def _table(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] * len(head)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *rows))


def render(stored: dict[str, Any]) -> str:
    """Return the page."""
    versions = [release["openai"] for release in stored.values()]
    releases = [release["methods"] for release in stored.values()]
    paths = list(dict.fromkeys(row.path for row in ROWS))
    above = [path for path in releases[-1] if path not in paths]
    ways = ("plain", "streamed", "streamed, usage asked for")
    return "".join(
        (
            HEAD,
            _table(
                ["method", "told as", "plain", "streamed", "asked", *versions],
                [_row(path, releases, ways) for path in paths],
            ),
            ABOVE,
            _table(
                ["method", "told as", "usage", *versions],
                [_row(path, releases, ("helper",)) for path in above],
            ),
        )
    )


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; return the exit status."""
    page = render(json.loads(SOURCE.read_text(encoding="utf-8")))
    if arguments != ["--check"]:
        TARGET.write_text(page, encoding="utf-8")
        return 0
    there = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
    stale = [line for line in page.splitlines() if line not in there.splitlines()]
    if page != there:
        print(
            f"{TARGET.name} is stale: run python tools/make_supported_methods.py", *stale, sep="\n"
        )
    return int(page != there)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
