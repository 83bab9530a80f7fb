"""The command line: ``tokentrail demo``, ``count``, ``dashboards`` and ``doctor``.

Exit codes: 0 it was done; 1 it was tried and failed; 2 it cannot be done as it was asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tokentrail.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokentrail.operation import Prompt

_DEMO_NEEDS = {"rich": "rich", "opentelemetry.sdk": "opentelemetry-sdk", "openai": "openai"}
_EXIT_CODES = "exit codes: 0 done, 1 tried and failed, 2 cannot be done as asked"


class CommandError(Exception):
    """A command ends with this message, and this exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


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
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tokentrail",
        description="Every call of the openai client told to OpenTelemetry, its tokens known.",
        epilog=_EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=f"tokentrail {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_demo(commands)
    _add_count(commands)
    _add_dashboards(commands)
    _add_doctor(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="make a few calls and show what is told of them",
        description="Makes calls of the openai client and shows the spans and metrics told of"
        " them. The server is embedded: no key, no network. With --live it is your own.",
        epilog=_EXIT_CODES,
    )
    demo.add_argument(
        "--live",
        action="store_true",
        help="three cheap calls with your own key: OPENAI_API_KEY (OPENAI_BASE_URL), or"
        " AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY, OPENAI_API_VERSION, or"
        " OPENAI_API_BASE, OPENAI_API_DEPLOY, OPENAI_API_KEY",
    )
    demo.add_argument("--model", help="the model, or Azure deployment, that --live asks")
    demo.add_argument("--yes", action="store_true", help="spend with --live without being asked")
    demo.add_argument(
        "--watch",
        action="store_true",
        help="the calls over and over, as a small dashboard, until Ctrl-C; once, in plain lines,"
        " where there is no terminal",
    )
    demo.set_defaults(run=_demo)


def _add_count(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    count = commands.add_parser(
        "count",
        help="count the tokens of a text or of messages",
        description="Counts the tokens of a text, or what messages will be billed as input."
        " Reads standard input where neither is given. Nothing is sent anywhere.",
        epilog=_EXIT_CODES,
    )
    what = count.add_mutually_exclusive_group()
    what.add_argument("text", nargs="?", metavar="TEXT", help="the text itself")
    what.add_argument("--file", metavar="FILE", help="a text in UTF-8; - is standard input")
    what.add_argument(
        "--messages",
        metavar="FILE",
        help="JSON: a list of messages, or a request with its messages and tools; - as above",
    )
    count.add_argument("--model", required=True, help="whose tokens, for example gpt-4o-mini")
    count.add_argument(
        "--encoding", help="o200k_base or cl100k_base, for a model that is not known"
    )
    count.add_argument("--json", action="store_true", help="print an object, for programs")
    count.set_defaults(run=_count)


def _add_dashboards(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    dashboards = commands.add_parser(
        "dashboards",
        help="write the Grafana dashboards and the Prometheus rules",
        description="Writes the Grafana dashboards and the Prometheus rules into a folder, which"
        " is made where it is not. A file there that is not the same is kept.",
        epilog=_EXIT_CODES,
    )
    dashboards.add_argument("folder", metavar="DIR", help="where they are to be")
    dashboards.add_argument("--force", action="store_true", help="write over what is there")
    dashboards.set_defaults(run=_dashboards)


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="say what is installed and set here, and what is wrong with it",
        description="Lists every setting with its value, where it comes from and what is allowed;"
        " versions; the methods that are told; other instrumentations; providers; encodings."
        " Under opentelemetry-instrument it sees what a program would.",
        epilog="exit codes: 0 all is well, 1 something is wrong",
    )
    doctor.add_argument("--json", action="store_true", help="print an object, for programs")
    doctor.set_defaults(run=_doctor)


def _doctor(asked: argparse.Namespace) -> int:
    from tokentrail import doctor  # noqa: PLC0415 - on demand

    found = doctor.examine(os.environ)
    print(json.dumps(found.as_json(), indent=2) if asked.json else found.as_text())
    return 1 if found.problems else 0


def _demo(asked: argparse.Namespace) -> int:
    _require_demo()
    if asked.watch and asked.live:
        message = "--watch makes calls without end: leave --live out"
        raise CommandError(message, code=2)
    if asked.live:
        from tokentrail.demo import live  # noqa: PLC0415 - on demand

        return live.run(asked.model, consent=asked.yes, environ=os.environ)
    if asked.model or asked.yes:
        given = "--model" if asked.model else "--yes"
        message = f"{given} goes with --live only: add --live, or leave {given} out"
        raise CommandError(message, code=2)
    from tokentrail.demo import dash, run  # noqa: PLC0415 - on demand

    return dash.run() if asked.watch else run.run()


def _require_demo() -> None:
    missing = [package for module, package in _DEMO_NEEDS.items() if not _is_there(module)]
    if missing:
        message = (
            f"the demo needs {', '.join(missing)}, not installed here:"
            " pip install 'tokentrail[demo]'"
        )
        raise CommandError(message)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent
        return False


def _count(asked: argparse.Namespace) -> int:
    from tokentrail.counting import ENCODINGS, InputTally  # noqa: PLC0415 - on demand

    encoding = _encoding(asked.model, asked.encoding)
    prompt = _prompt(asked)
    tally = InputTally(prompt)
    for _ in tally.steps(ENCODINGS.load(encoding), asked.model):
        pass
    exact = tally.exact and not (prompt.messages and _is_ruleless(prompt, asked.model))
    if asked.json:
        counted = {"tokens": tally.tokens, "model": asked.model, "encoding": encoding}
        print(json.dumps({**counted, "exact": exact}))
    else:
        unit = "token" if tally.tokens == 1 else "tokens"
        print(f"{tally.tokens} {unit}, {encoding}, {'exact' if exact else 'estimate'}")
    return 0


def _is_ruleless(prompt: Prompt, model: str) -> bool:
    """Return whether no published rule says what these messages are billed."""
    from tokentrail.counting import encoding_name, may_reason  # noqa: PLC0415 - on demand

    has_calls = any(said.tool_calls or said.function_call for said in prompt.messages)
    return bool(prompt.tools) or has_calls or may_reason(model) or encoding_name(model) is None


def _encoding(model: str, encoding: str | None) -> str:
    from tokentrail.counting import ENCODINGS, encoding_name, resolve  # noqa: PLC0415 - on demand

    found = encoding_name(model) if encoding is None else resolve(encoding)
    if found is None and encoding is not None:
        message = f"--encoding {encoding} is not there: there are o200k_base and cl100k_base"
        raise CommandError(message, code=2)
    if found is None:
        message = (
            f"--model {model} has no known encoding: add --encoding o200k_base (OpenAI's models"
            " since gpt-4o) or cl100k_base (before) to count anyway"
        )
        raise CommandError(message, code=2)
    if ENCODINGS.load(found) is None:
        message = f"the encoding {found} cannot be built: install tokentrail again"
        raise CommandError(message)
    return found


def _prompt(asked: argparse.Namespace) -> Prompt:
    from tokentrail.operation import Prompt  # noqa: PLC0415 - on demand

    if asked.messages is not None:
        return _messages(_read(asked.messages, "--messages"), asked.messages)
    if asked.text is not None:
        return Prompt(texts=(asked.text,))
    return Prompt(texts=(_read(asked.file or "-", "--file"),))


def _messages(content: str, name: str) -> Prompt:
    """Return the prompt of a list of messages, or of a whole request of chat completions."""
    from tokentrail.operation import Endpoint, Prompt  # noqa: PLC0415 - on demand
    from tokentrail.shapes.chat import ChatShape  # noqa: PLC0415 - on demand

    try:
        given = json.loads(content)
    except ValueError as error:
        message = f"--messages {name} is no JSON ({error}): mend it, or count it with --file"
        raise CommandError(message, code=2) from error
    request = given if isinstance(given, dict) else {"messages": given}
    messages = request.get("messages")
    if not isinstance(messages, list) or not all(isinstance(said, dict) for said in messages):
        message = (
            f"--messages {name} holds no messages:"
            ' write [{"role": "user", "content": "..."}], or {"messages": [...], "tools": [...]}'
        )
        raise CommandError(message, code=2)
    nowhere = Endpoint(provider="openai", address=None, port=None, key="")
    prompt = ChatShape().request(nowhere, request).prompt
    return prompt if prompt is not None else Prompt()


def _read(name: str, option: str) -> str:
    try:
        if name == "-":
            if sys.stdin.isatty():
                message = "nothing to count: give a text, --file or --messages, or pipe one in"
                raise CommandError(message, code=2)
            content = sys.stdin.buffer.read()
        else:
            content = Path(name).read_bytes()
        return content.decode()
    except UnicodeDecodeError as error:
        message = f"{option} {name}: byte {error.start} is no UTF-8: convert it, with iconv say"
        raise CommandError(message, code=2) from error
    except OSError as error:
        message = f"{option} {name}: {error.strerror}: name a file that can be read"
        raise CommandError(message, code=2) from error


def _dashboards(asked: argparse.Namespace) -> int:
    folder = Path(asked.folder)
    shipped = sorted((Path(__file__).parent / "dashboards").iterdir())
    try:
        mine = [p.name for p in shipped if not asked.force and _differs(p, folder / p.name)]
        if mine:
            message = f"{', '.join(mine)} in {folder} would be lost: add --force, or name another"
            raise CommandError(message, code=2)
        folder.mkdir(parents=True, exist_ok=True)
        for path in shipped:
            (folder / path.name).write_bytes(path.read_bytes())
            print(folder / path.name)
    except OSError as error:
        message = f"cannot write {error.filename} ({error.strerror}): name another folder"
        raise CommandError(message) from error
    return 0


def _differs(shipped: Path, there: Path) -> bool:
    return there.exists() and there.read_bytes() != shipped.read_bytes()


def _complain(message: str, code: int) -> int:
    print(f"tokentrail: {message}", file=sys.stderr)
    return code
