"""``tokentrail doctor``: what is installed and set here, and what is wrong with it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from tokentrail.cli.command import manual, status

if TYPE_CHECKING:
    import argparse

    from tokentrail.cli.command import Commands

_ABOUT: Final = """\
Lists every setting with its value, where it comes from and what is allowed; versions; the methods
that are told; other instrumentations; providers; encodings.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail doctor                                here
  opentelemetry-instrument tokentrail doctor       as a program started like this would be told
  tokentrail doctor --json | jq .settings
"""
_EXIT_CODES: Final = "exit codes: 0 all is well, 1 something is wrong"


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    doctor = commands.add_parser(
        "doctor",
        help="say what is installed and set here, and what is wrong with it",
        **manual(_ABOUT, _EXAMPLES, _EXIT_CODES),
    )
    doctor.add_argument("--json", action="store_true", help="print an object, for programs")
    doctor.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    from tokentrail import doctor

    # A second or more: openai is imported, which is most of it, and both encodings are built.
    with status("looking at the client and the encodings"):
        found = doctor.examine(os.environ)
    print(json.dumps(found.as_json(), indent=2) if asked.json else found.as_text())
    return 1 if found.problems else 0
