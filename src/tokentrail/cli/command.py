"""What every command has in common."""

from __future__ import annotations

import argparse
from typing import Any, Final, TypeAlias

EXIT_CODES: Final = "exit codes: 0 done, 1 tried and failed, 2 cannot be done as asked"

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
"""Where a command adds its parser, whose ``run`` takes what was asked and returns the exit code."""


def manual(about: str, examples: str, exit_codes: str = EXIT_CODES) -> dict[str, Any]:
    """Return what makes a parser's help read as a manual does: what it is for, then examples."""
    return {
        "description": about,
        "epilog": f"{examples}\n{exit_codes}",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


class CommandError(Exception):
    """A command ends with this message, and this exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
