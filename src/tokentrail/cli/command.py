"""What every command has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import argparse

EXIT_CODES: Final = "exit codes: 0 done, 1 tried and failed, 2 cannot be done as asked"

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
"""Where a command adds its parser, whose ``run`` takes what was asked and returns the exit code."""


class CommandError(Exception):
    """A command ends with this message, and this exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
