"""What all commands share."""

from __future__ import annotations

import argparse
import sys
from contextlib import contextmanager
from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH: Final = 80
EXIT_CODES: Final = "exit codes: 0 done, 1 tried and failed, 2 the command cannot be run as given"

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - nothing public names it
"""Where a command adds its parser; its default ``run`` returns the exit code."""


def manual(about: str, examples: str, exit_codes: str = EXIT_CODES) -> dict[str, Any]:
    """Return the keywords that give a parser a help with its purpose first, then examples."""
    return {
        "description": "\n\n".join(fill(part, WIDTH) for part in about.split("\n\n")),
        "epilog": f"{examples}\n{exit_codes}",
        "formatter_class": partial(argparse.RawDescriptionHelpFormatter, width=WIDTH),
    }


@contextmanager
def status(what: str) -> Iterator[None]:
    """Show on a terminal what is in progress, until it is done; nothing without a terminal.

    It writes to standard error, so standard output can be piped.
    """
    if not sys.stderr.isatty():
        yield
        return
    line = f"{what} ..."
    print(line, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:  # overwritten by blanks, so that dumb terminals are cleared too
        print(f"\r{' ' * len(line)}\r", end="", file=sys.stderr, flush=True)


class CommandError(Exception):
    """Ends a command with this message and this exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
