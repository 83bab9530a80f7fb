"""``tokentrail run``: a program as it is, and a row for each of its calls."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokentrail.cli.command import CommandError, manual
from tokentrail.run.totals import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokentrail.cli.command import Commands
    from tokentrail.run.supervisor import Output

_ABOUT: Final = """\
Runs a Python program unchanged, and shows on standard error each call of the
openai client as it ends, with tokens, their source and cost; at the end the sums.
Nothing is exported. Standard input and output, arguments, signals and the exit
code are the program's own.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail run app.py                     a row for each of its calls
  tokentrail run -m mypackage.app --port 80
  tokentrail run uvicorn app:app            a command that runs on this Python
  tokentrail run --record calls.jsonl --quiet app.py
  tokentrail run --max-cost 0.05 app.py     for CI: exits with 9 if exceeded
"""
_EXIT_CODES: Final = """\
exit codes: 0 done, or that of your program; 9 it ended with 0 and exceeded a
limit; 2 the arguments are wrong"""
_PYTHON: Final = {".py", ".pyw", ".pyz", ".zip"}


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    run = commands.add_parser(
        "run",
        help="run a program and show its calls as they end",
        usage="tokentrail run [options] (PROGRAM | -m MODULE) [ARGUMENTS ...]",
        **manual(_ABOUT, _EXAMPLES, _EXIT_CODES),
    )
    look = run.add_mutually_exclusive_group()
    look.add_argument("--json", action="store_true", help="print rows as JSON, one object per line")
    look.add_argument("--quiet", action="store_true", help="print no rows and no summary")
    run.add_argument("--record", type=Path, metavar="FILE", help="write a line of JSON per call")
    run.add_argument(
        "--content",
        action="store_true",
        help="record messages, in FILE and on spans; they are not recorded without it",
    )
    run.add_argument(
        "--max-tokens", type=_tokens, metavar="N", help="exit with 9 if all calls used more tokens"
    )
    run.add_argument(
        "--max-cost", type=_cost, metavar="USD", help="exit with 9 if all calls cost more"
    )
    run.add_argument(
        "-m",
        dest="module",
        nargs=argparse.REMAINDER,
        metavar="MODULE",
        help="run a module, as python -m does",
    )
    run.add_argument("program", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    run.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    from tokentrail.run import supervisor

    command = _command(asked)
    _require()
    record = _emptied(asked.record)
    if asked.content and record is None:
        message = "--content goes with --record: name the file that the messages go to"
        raise CommandError(message, code=2)
    code = supervisor.supervise(
        command,
        _output(asked),
        limits=Limits(asked.max_tokens, asked.max_cost),
        rows=not asked.quiet,
        record=record,
        content=asked.content,
    )
    return code if code >= 0 else supervisor.die_by(-code)


def _output(asked: argparse.Namespace) -> Output:
    from tokentrail.run.display import Display, JsonLines

    return JsonLines(sys.stderr) if asked.json else Display(sys.stderr)


def _command(asked: argparse.Namespace) -> list[str]:
    """Return what is to be executed: a file or module with this Python, else a command."""
    if asked.module is not None:
        rest = [*asked.module, *asked.program]
        if not rest:
            message = "-m needs the name of a module: tokentrail run -m mypackage.app"
            raise CommandError(message, code=2)
        return [sys.executable, "-m", *rest]
    words: Sequence[str] = asked.program[asked.program[:1] == ["--"] :]
    if not words:
        message = "no program is named: write tokentrail run app.py"
        raise CommandError(message, code=2)
    path = Path(words[0])
    if path.is_dir() or (path.is_file() and (path.suffix in _PYTHON or not _is_program(path))):
        return [sys.executable, *words]
    found = shutil.which(words[0])
    if found is None:
        message = f"{words[0]} is neither a file nor a command on PATH: check its name"
        raise CommandError(message, code=2)
    return [found, *words[1:]]


def _is_program(path: Path) -> bool:
    return os.access(path, os.X_OK)


def _emptied(record: Path | None) -> Path | None:
    if record is not None:
        try:
            record.write_bytes(b"")
        except OSError as error:
            message = f"--record {record}: {error.strerror}: name a file that can be written"
            raise CommandError(message, code=2) from None
    return record


def _require() -> None:
    if find_spec("opentelemetry.sdk") is None:
        message = (
            "run needs opentelemetry-sdk, which is not installed: pip install 'tokentrail[run]'"
        )
        raise CommandError(message, code=2)


def _tokens(text: str) -> int:
    if text.replace("_", "").isdecimal():
        return int(text)
    message = f"{text!r} is not a number of tokens: write one like 10000"
    raise argparse.ArgumentTypeError(message)


def _cost(text: str) -> float:
    try:
        amount = float(text.removeprefix("$"))
    except ValueError:
        amount = -1.0
    if not 0 <= amount < float("inf"):
        message = f"{text!r} is not an amount of USD: write one like 0.05"
        raise argparse.ArgumentTypeError(message)
    return amount
