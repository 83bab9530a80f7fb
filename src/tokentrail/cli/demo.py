"""``tokentrail demo``: a few calls, and what is recorded of them."""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from tokentrail.cli.command import CommandError, manual
from tokentrail.demo.error import DemoError

if TYPE_CHECKING:
    from tokentrail.cli.command import Commands

MAX_PORT: Final = 65_535
_NEEDS: Final = {"opentelemetry.sdk": "opentelemetry-sdk", "openai": "openai"}

_ABOUT: Final = """\
Makes calls of the openai client, and shows the spans and metrics recorded of them. The
server is embedded: no key, no network. With --live it is your own.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail demo                    nine calls, each of another kind
  tokentrail demo --watch            the same without end, as a small dashboard
  tokentrail demo --live             three cheap calls with your own key
  tokentrail demo --serve 8000       a server that answers like OpenAI
"""


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    demo = commands.add_parser(
        "demo",
        help="make a few calls and show what is recorded",
        **manual(_ABOUT, _EXAMPLES),
    )
    kind = demo.add_mutually_exclusive_group()
    kind.add_argument(
        "--live",
        action="store_true",
        help="three cheap calls with your own key: OPENAI_API_KEY (OPENAI_BASE_URL), or"
        " AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY, OPENAI_API_VERSION, or"
        " OPENAI_API_BASE, OPENAI_API_DEPLOY, OPENAI_API_KEY",
    )
    kind.add_argument(
        "--watch",
        action="store_true",
        help="repeat the calls and show a small dashboard until Ctrl-C; without a terminal, once"
        " and in plain lines",
    )
    kind.add_argument(
        "--serve",
        nargs="?",
        type=_port,
        const=0,
        metavar="PORT",
        help="only run the embedded server, for your own programs, until Ctrl-C; on a free port"
        " unless you name one",
    )
    demo.add_argument("--model", help="the model, or Azure deployment, for --live")
    demo.add_argument("--yes", action="store_true", help="make the calls of --live without asking")
    demo.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    if asked.serve is not None:
        from tokentrail.demo import serve

        return serve.run(asked.serve)
    if (asked.model or asked.yes) and not asked.live:
        given = "--model" if asked.model else "--yes"
        message = f"{given} goes with --live only: add --live, or leave {given} out"
        raise CommandError(message, code=2)
    _require()
    try:
        return _play(asked)
    except DemoError as error:
        raise CommandError(str(error), error.code) from error


def _play(asked: argparse.Namespace) -> int:
    if not _is_there("rich"):
        return _play_plain(asked)
    from tokentrail.demo import dash, live, run

    if asked.live:
        return live.run(asked.model, consent=asked.yes, environ=os.environ)
    return dash.run() if asked.watch else run.run()


def _play_plain(asked: argparse.Namespace) -> int:
    if asked.live or asked.watch:
        message = "--live and --watch need rich: pip install 'tokentrail[demo]'"
        raise CommandError(message, code=2)
    from tokentrail.demo import plain

    return plain.run()


def _port(text: str) -> int:
    if text.isdecimal() and int(text) <= MAX_PORT:
        return int(text)
    message = f"{text!r} is not a port: use a number from 0 to {MAX_PORT}"
    raise argparse.ArgumentTypeError(message)


def _require() -> None:
    missing = [package for module, package in _NEEDS.items() if not _is_there(module)]
    if missing:
        message = (
            f"the demo needs {', '.join(missing)}, not installed here:"
            " pip install 'tokentrail[demo]'"
        )
        raise CommandError(message, code=2)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent package
        return False
