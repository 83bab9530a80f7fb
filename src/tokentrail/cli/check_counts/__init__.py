"""``tokentrail check-counts``: your own exchanges, counted again and compared with the bill."""

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
Counts your own exchanges again, offline, and shows where counts and bills
differ, by kind of request and by rule. A file has one exchange per line, in
JSON: {"request": {...}, "response": {...}, "usage": {...}}. Nothing is sent
anywhere. The report has kinds of requests and numbers, no content and none of
your own names, so you can share it.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail check-counts exchanges.jsonl
  tokentrail check-counts monday.jsonl.gz tuesday.jsonl.gz --json > report.json

See docs/check-counts.md for how to record exchanges and read the report.
"""
_EXIT_CODES: Final = "exit codes: 0 no exact count is wrong, 1 one is, 2 no exchange could be read"
_MOST_COMPLAINTS: Final = 5


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    check = commands.add_parser(
        "check-counts",
        help="compare counts with the bills of your own exchanges",
        **manual(_ABOUT, _EXAMPLES, _EXIT_CODES),
    )
    check.add_argument(
        "files", nargs="+", metavar="FILE", help="a file of JSON lines; .gz is unpacked"
    )
    check.add_argument("--json", action="store_true", help="print JSON, for programs")
    check.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    # Counting is slow to import, and other commands do not need it.
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
        message = "no line is an exchange: docs/check-counts.md shows what one looks like"
        raise CommandError(message, code=2)
    made = report.report(exchanges, not_read, counted)
    print(report.as_json(made) if asked.json else report.as_table(made))
    return 0 if made.is_right else 1


def _exchanges(paths: list[str]) -> Iterator[Exchange | None]:
    """Yield the exchanges of files, ``None`` for a line without one; print which, and why."""
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
            message = f"{path} is not UTF-8: convert it, for example with iconv"
            raise CommandError(message, code=2) from error
        except OSError as error:
            message = f"{path}: {error.strerror or error}: name a file that can be read"
            raise CommandError(message, code=2) from error
    if complaints > _MOST_COMPLAINTS:
        more = complaints - _MOST_COMPLAINTS
        print(f"tokentrail: and {more}  more lines without an exchange", file=sys.stderr)


def _why(error: Exception) -> str:
    """Return what is wrong with a line, without quoting it."""
    return "it is not JSON" if hasattr(error, "doc") else str(error)
