"""``tokentrail doctor``: whether calls made here are exported, and if not, why not."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from tokentrail.cli.command import manual, status

if TYPE_CHECKING:
    import argparse

    from tokentrail.cli.command import Commands

_ABOUT: Final = """\
Checks whether calls of the openai client in this process are exported, and where
to; if not, it says why. With --verbose it also prints every setting, its value
and where it comes from, versions, methods, other instrumentations, providers and
encodings.
"""
_EXAMPLES: Final = """\
examples:
  opentelemetry-instrument tokentrail doctor   the way your program starts
  opentelemetry-instrument tokentrail doctor --connect
  tokentrail doctor --verbose                  what is installed and set here
  tokentrail doctor --json | jq .settings
"""
_EXIT_CODES: Final = """\
exit codes: 0 exported, 1 not exported or something is wrong, 2 unknown:
no instrumentation is active in this process"""


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    doctor = commands.add_parser(
        "doctor",
        help="check whether calls are exported here, and if not, why not",
        **manual(_ABOUT, _EXAMPLES, _EXIT_CODES),
    )
    doctor.add_argument("--json", action="store_true", help="print an object, for programs")
    doctor.add_argument(
        "--verbose",
        action="store_true",
        help="also print settings, versions, methods, providers and encodings",
    )
    doctor.add_argument(
        "--connect", action="store_true", help="also connect to the endpoints of the exporters"
    )
    doctor.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    from tokentrail import diagnosis

    # Takes a second or more: openai is imported, and both encodings are built.
    with status("checking the client and the encodings"):
        verdict = diagnosis.diagnose(os.environ, connect=asked.connect)
    if asked.json:
        print(json.dumps(verdict.as_json(), indent=2))
    else:
        print(diagnosis.report(verdict, verbose=asked.verbose))
    return verdict.exit_code
