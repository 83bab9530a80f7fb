"""The command line: one module per command.

Exit codes: 0 done; 1 tried and failed; 2 the command cannot be run as given.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

from tokentrail.cli import (
    check_counts,
    count,
    dashboards,
    demo,
    doctor,
    explain,
    prices,
    reconcile,
    run,
)
from tokentrail.cli.command import CommandError, manual
from tokentrail.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CommandError", "main"]

_COMMANDS: Final = (demo, run, count, check_counts, explain, dashboards, prices, reconcile, doctor)
"""In the order in which the help shows them."""

_ABOUT: Final = "OpenTelemetry spans and metrics of your openai calls, with their token usage."
_EXAMPLES: Final = """\
examples:
  tokentrail demo                              what is recorded, without a key
  tokentrail run app.py                        the same for your own program
  tokentrail doctor                            check whether calls are exported
  tokentrail count "How many?" --model gpt-4o   count the tokens of a text
  tokentrail dashboards grafana/               for Grafana and Prometheus

Run tokentrail COMMAND --help for the options of a command.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit code."""
    asked = _parser().parse_args(arguments)
    try:
        code: int = asked.run(asked)
        sys.stdout.flush()
    except CommandError as error:
        return _complain(str(error), error.code)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:  # the reader of the pipe has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tokentrail", **manual(_ABOUT, _EXAMPLES))
    parser.add_argument("--version", action="version", version=f"tokentrail {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in _COMMANDS:
        command.add(commands)
    return parser


def _complain(message: str, code: int) -> int:
    print(f"tokentrail: {message}", file=sys.stderr)
    return code
