"""What every command has in common."""

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
EXIT_CODES: Final = "exit codes: 0 done, 1 tried and failed, 2 cannot be done as asked"

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - nothing public names it
"""Where a command adds its parser, whose ``run`` takes what was asked and returns the exit code."""


def manual(about: str, examples: str, exit_codes: str = EXIT_CODES) -> dict[str, Any]:
    """Return what makes a parser's help read as a manual does: what it is for, then examples."""
    return {
        "description": "\n\n".join(fill(part, WIDTH) for part in about.split("\n\n")),
        "epilog": f"{examples}\n{exit_codes}",
        "formatter_class": partial(argparse.RawDescriptionHelpFormatter, width=WIDTH),
    }


@contextmanager
def status(what: str) -> Iterator[None]:
    """Say on a terminal what takes a while, until it is done; nothing where there is no terminal.

    On standard error, so that what is printed can be piped meanwhile.
    """
    if not sys.stderr.isatty():
        yield
        return
    said = f"{what} ..."
    print(said, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:  # written over, so that dumb terminals, too, are left as they were
        print(f"\r{' ' * len(said)}\r", end="", file=sys.stderr, flush=True)


class CommandError(Exception):
    """A command ends with this message, and this exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
