"""``tokentrail check-counts``: exchanges of one's own, counted again beside what was billed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from tokentrail.cli.command import CommandError, manual

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tokentrail.cli.check_counts.replay import Counted, Exchange
    from tokentrail.cli.command import Commands

_ABOUT: Final = """\
Counts exchanges of your own again, offline, and shows where counts and bills
differ, by kind of request and by rule. A file holds one exchange a line, in
JSON: {"request": {...}, "response": {...}, "usage": {...}}. Nothing is sent
anywhere. What is printed are shapes and numbers, nothing of what was said and no
name of your own: it can be sent in.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail check-counts exchanges.jsonl
  tokentrail check-counts monday.jsonl.gz tuesday.jsonl.gz --json > report.json

docs/check-counts.md says how to record exchanges, and how to read the report.
"""
_EXIT_CODES: Final = (
    "exit codes: 0 no number that is known is wrong, 1 one is, 2 no exchange could be read"
)
_MOST_COMPLAINTS: Final = 5


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    check = commands.add_parser(
        "check-counts",
        help="compare counts with the bills of exchanges of your own",
        **manual(_ABOUT, _EXAMPLES, _EXIT_CODES),
    )
    check.add_argument("files", nargs="+", metavar="FILE", help="JSON lines; .gz is unpacked")
    check.add_argument("--json", action="store_true", help="print an object, for programs")
    check.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    # What counts takes a while to import, and other commands do without it.
    from tokentrail.cli.check_counts import replay, report

    exchanges = not_read = 0
    counted: list[Counted] = []
    for found in _exchanges(asked.files):
        if found is None:
            not_read += 1
            continue
        exchanges += 1
        counted += replay.replay(found)
    if not exchanges:
        message = "no line is an exchange: docs/check-counts.md says what one looks like"
        raise CommandError(message, code=2)
    made = report.report(exchanges, not_read, counted)
    print(report.as_json(made) if asked.json else report.as_table(made))
    return 0 if made.is_right else 1


def _exchanges(paths: list[str]) -> Iterator[Exchange | None]:
    """Yield the exchanges of files, ``None`` for a line that holds none; say which, and why."""
    from tokentrail.cli.check_counts import replay

    complaints = 0
    for path in paths:
        try:
            for number, line in enumerate(replay.lines(path), 1):
                if not line.strip():
                    continue
                try:
                    yield replay.exchange_of(line)
                except (ValueError, RecursionError) as error:
                    complaints += 1
                    if complaints <= _MOST_COMPLAINTS:
                        print(f"tokentrail: {path}:{number}: {_why(error)}", file=sys.stderr)
                    yield None
        except UnicodeDecodeError as error:
            message = f"{path} is no UTF-8: convert it, with iconv say"
            raise CommandError(message, code=2) from error
        except OSError as error:
            message = f"{path}: {error.strerror or error}: name a file that can be read"
            raise CommandError(message, code=2) from error
    if complaints > _MOST_COMPLAINTS:
        more = complaints - _MOST_COMPLAINTS
        print(f"tokentrail: and {more} lines more that hold no exchange", file=sys.stderr)


def _why(error: Exception) -> str:
    """Return what is wrong with a line, without a word of it."""
    return "it is no JSON" if hasattr(error, "doc") else str(error)
