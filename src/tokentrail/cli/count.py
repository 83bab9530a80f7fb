"""``tokentrail count``: the tokens of a text or of messages."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokentrail.cli.command import CommandError, manual

if TYPE_CHECKING:
    import argparse

    from tokentrail.cli.command import Commands
    from tokentrail.model.records import Prompt

_ABOUT: Final = """\
Counts the tokens of a text, or the input tokens that messages will be billed. If you give neither,
it reads a text from standard input. Nothing is sent anywhere.
"""
_EXAMPLES: Final = """\
examples:
  tokentrail count --model gpt-4o "How many tokens are these?"
  tokentrail count --model gpt-4o --file chapter.txt
  tokentrail count --model gpt-4o --messages request.json --json
  git diff | tokentrail count --model gpt-4o
  tokentrail count --model my-deployment --encoding cl100k_base "Hello"

Counts of text are exact if the encoding is known. Messages are counted by
rules with evidence.
"""


def add(commands: Commands) -> None:
    """Add the command to the parser's."""
    count = commands.add_parser(
        "count",
        help="count the tokens of a text or of messages",
        **manual(_ABOUT, _EXAMPLES),
    )
    what = count.add_mutually_exclusive_group()
    what.add_argument("text", nargs="?", metavar="TEXT", help="the text itself")
    what.add_argument("--file", metavar="FILE", help="a text in UTF-8; - is standard input")
    what.add_argument(
        "--messages",
        metavar="FILE",
        help="JSON: a list of messages, or a request of chat or responses; - as above",
    )
    count.add_argument(
        "--model", required=True, help="the model to count for, for example gpt-4o-mini"
    )
    count.add_argument(
        "--encoding",
        help="o200k_base or cl100k_base, for an unknown model, or to compare",
    )
    count.add_argument("--json", action="store_true", help="print an object, for programs")
    count.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    from tokentrail.counting import ENCODINGS, InputTally

    encoding = _encoding(asked.model, asked.encoding)
    prompt = _prompt(asked)
    tally = InputTally(prompt)
    for _ in tally.steps(ENCODINGS.load(encoding), asked.model):
        pass
    foreign = _foreign(asked.model, encoding)
    # A bare text has a fixed number of tokens: no rule is needed.
    exact = tally.measured if prompt.texts else tally.exact and _is_known(asked.model)
    if asked.json:
        counted = {"tokens": tally.tokens, "model": asked.model, "encoding": encoding}
        print(json.dumps({**counted, "exact": exact and foreign is None}))
    else:
        unit = "token" if tally.tokens == 1 else "tokens"
        worth = foreign or ("exact" if exact else "estimate")
        print(f"{tally.tokens} {unit}, {encoding}, {worth}")
    return 0


def _foreign(model: str, encoding: str) -> str | None:
    """Return a remark if the encoding is not the model's."""
    from tokentrail.counting import encoding_name

    own = encoding_name(model)
    return None if own in {None, encoding} else f"not as {model} counts ({own})"


def _is_known(model: str) -> bool:
    """Return whether this is the model's own encoding: the rules hold for no other."""
    from tokentrail.counting import encoding_name

    return encoding_name(model) is not None


def _encoding(model: str, encoding: str | None) -> str:
    from tokentrail.counting import ENCODINGS, encoding_name, resolve

    found = encoding_name(model) if encoding is None else resolve(encoding)
    if found is None and encoding is not None:
        message = f"--encoding {encoding} is not an encoding here: use o200k_base or cl100k_base"
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
    from tokentrail.model.records import Prompt

    if asked.messages is not None:
        return _messages(_read(asked.messages, "--messages"), asked.messages)
    if asked.text is not None:
        return Prompt(texts=(asked.text,))
    return Prompt(texts=(_read(asked.file or "-", "--file"),))


def _messages(content: str, name: str) -> Prompt:
    """Return the prompt of a list of messages, or of a whole request of either API."""
    from tokentrail.model.records import Prompt
    from tokentrail.usage.count_request import read_request

    try:
        given = json.loads(content)
    except ValueError as error:
        message = f"--messages {name} is not JSON ({error}): fix it, or count it with --file"
        raise CommandError(message, code=2) from error
    except RecursionError as error:
        message = f"--messages {name} is nested too deep: count it as text with --file"
        raise CommandError(message, code=2) from error
    request = given if isinstance(given, dict) else {"messages": given}
    messages = request.get("messages")
    if messages is None and "input" in request:
        return read_request(request).prompt or Prompt()
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        message = (
            f"--messages {name} holds no messages:"
            ' write [{"role": "user", "content": "..."}], or {"messages": [...], "tools": [...]}'
        )
        raise CommandError(message, code=2)
    return read_request(request).prompt or Prompt()


def _read(name: str, option: str) -> str:
    try:
        if name == "-":
            if sys.stdin is None or sys.stdin.isatty():
                message = "nothing to count: give a text, --file or --messages, or pipe one in"
                raise CommandError(message, code=2)
            content = sys.stdin.buffer.read()
        else:
            content = Path(name).read_bytes()
        return content.decode("utf-8-sig")  # a byte order mark is no text
    except UnicodeDecodeError as error:
        message = f"{option} {name}: byte {error.start} is not UTF-8: convert it with iconv"
        raise CommandError(message, code=2) from error
    except OSError as error:
        message = f"{option} {name}: {error.strerror}: name a file that can be read"
        raise CommandError(message, code=2) from error
