"""Runs the program in a process of its own and shows what its calls write.

A process of its own, since its signals, its tracebacks and its exit code are then what they are
without us, and since what it started, forked or was killed with is in the file all the same.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tokentrail.run.call_file import CallFile
from tokentrail.run.totals import LIMIT_PASSED, Limits, Totals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import FrameType

    from tokentrail.run.call_row import CallRow

_FROM_KEYBOARD: Final = ("SIGINT", "SIGQUIT")
_FORWARDED: Final = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", *_FROM_KEYBOARD)


class Output(Protocol):
    """Where rows go: a display, or lines of JSON."""

    def row(self, row: CallRow) -> None:
        """Take a call."""

    def summary(self, totals: Totals) -> None:
        """Take what all come to."""

    def note(self, text: str, style: str = ...) -> None:
        """Take a sentence."""


def supervise(
    command: Sequence[str],
    output: Output,
    *,
    limits: Limits,
    rows: bool = True,
    record: Path | None = None,
    content: bool = False,
) -> int:
    """Run ``command`` to its end and return the exit code, negative for a signal.

    ``rows``: whether rows and summary are shown. ``record``: a file to append lines to, with
    messages if ``content``.
    """
    with tempfile.TemporaryDirectory(prefix="tokentrail-") as folder:
        calls = CallFile(Path(folder) / "calls.jsonl", record=record, keep_rows=False)
        if rows:
            calls.on_row = output.row
        environ = calls.environment(os.environ, content=content, children=True)
        with calls.followed():
            code = _run(command, environ)
    if rows:
        output.summary(calls.totals)
        if not calls.totals.all.calls:
            output.note(f"no call of the openai client ended: {_why_none(calls, os.environ)}")
    return _judge(calls.totals, limits, output, code)


def _judge(totals: Totals, limits: Limits, output: Output, code: int) -> int:
    for passed in limits.passed(totals):
        output.note(passed, "red")
        code = code or LIMIT_PASSED
    unsure = limits.unsure(totals)
    if unsure is not None:
        output.note(unsure)
    return code


def _why_none(calls: CallFile, environ: Mapping[str, str]) -> str:
    if not calls.processes:
        return (
            "the program did not import openai, or runs on another Python than tokentrail is"
            f" installed for ({sys.executable})"
        )
    if not any(calls.processes):
        return "openai was imported, and tokentrail is not switched on: run tokentrail doctor"
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return "OTEL_SDK_DISABLED=true"
    return "openai was imported, and nothing was asked of it"


def _run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    with _signals_for() as child:
        process = subprocess.Popen(command, env=environ, close_fds=False)
        child.append(process)
        return process.wait()


@contextmanager
def _signals_for() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Hand signals on to the process in the list; those of the keyboard it has itself."""
    child: list[subprocess.Popen[bytes]] = []

    def forward(number: int, _: FrameType | None) -> None:
        if signal.Signals(number).name in _FROM_KEYBOARD and _in_foreground():
            return
        for process in child:
            with suppress(ProcessLookupError):
                process.send_signal(number)

    before = {}
    for name in _FORWARDED:
        number = getattr(signal, name, None)
        # What is ignored here stays ignored there.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, forward)
    try:
        yield child
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    """Whether the keyboard's signals reach this process and what it started alike."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def die_by(number: int) -> int:
    """End as the program did, by that signal; return the shell's code where that is not to be."""
    with suppress(OSError, ValueError, ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one core, of the program
    with suppress(OSError, ValueError):  # some signals have no handler to be put back
        signal.signal(number, signal.SIG_DFL)
    with suppress(OSError):
        os.kill(os.getpid(), number)
    return 128 + number
