"""``tokentrail explain``: the parts of the input of requests, and what their cache served."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokentrail.cli.command import CommandError, manual

if TYPE_CHECKING:
    import argparse

    from tokentrail.cli.command import Commands

_ABOUT: Final = """\
Shows where the input tokens of a request come from: by part, message and tool,
each number with its source. Between the turns of a conversation it also shows
what the prompt cache could have served, and why it did not. It works offline:
nothing is sent anywhere, and no content is printed.

FILE is a request (JSON), one request or exchange per line, a file written by
`tokentrail run --record`, or a trace with content as OTLP JSON.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail explain request.json
  tokentrail explain conversation.jsonl --html page.html
  tokentrail explain request.json --model gpt-4o
"""


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    explain = commands.add_parser(
        "explain",
        help="show where the input tokens of requests come from",
        **manual(_ABOUT, _EXAMPLES),
    )
    explain.add_argument("file", metavar="FILE", help="JSON or JSON lines; - is standard input")
    explain.add_argument("--model", help="the model of requests that name no known one")
    explain.add_argument("--html", metavar="PAGE", help="also write an HTML page")
    explain.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    # What counts takes a while to import, and other commands do without it.
    from tokentrail.cli.explain import files, page, table, turns

    try:
        given = sys.stdin.read() if asked.file == "-" else Path(asked.file).read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{asked.file} is not UTF-8: convert it with iconv"
        raise CommandError(message, code=2) from error
    except OSError as error:
        message = f"{asked.file}: {error.strerror or error}: name a file that can be read"
        raise CommandError(message, code=2) from error
    found = files.calls_of(given)
    if not found:
        message = (
            f"{asked.file} has no request in JSON, with messages or input:"
            " tokentrail explain --help shows what it can read"
        )
        raise CommandError(message, code=2)
    explained = turns.explain(found, asked.model)
    if not explained:
        message = (
            f"no request of {asked.file} names a known model: name one, for example --model gpt-4o"
        )
        raise CommandError(message, code=2)
    print(table.of(explained, ascii_only="utf" not in (sys.stdout.encoding or "").lower()))
    if asked.html is not None:
        try:
            Path(asked.html).write_text(page.of(explained), encoding="utf-8")
        except OSError as error:
            message = f"--html {asked.html}: {error.strerror}: name a file that can be written"
            raise CommandError(message, code=2) from error
    return 0
