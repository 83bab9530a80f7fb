"""A server that adds to the text of each input a constant of its own, by what is asked."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

from tokentrail.testing.payloads import Answer, Usage, chat, responses
from tokentrail.testing.server import Plain, Stream

if TYPE_CHECKING:
    from tokentrail.testing.replies import Call, Reply

MODEL = "gpt-4o-2024-08-06"
CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def text(words: int) -> str:
    """Return a text of so many tokens."""
    return " ".join(["hello"] * words)


def tool(name: str) -> dict[str, object]:
    """Return a function of chat completions."""
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def flat(name: str) -> dict[str, object]:
    """Return the same for the responses API."""
    return {"type": "function", **tool(name)["function"]}


def hidden(body: object) -> int:
    """Return what is added to the text of such requests: 100 to 355 tokens."""
    constant = {name: body[name] for name in body if name not in {"messages", "input", "stream"}}
    turns = [item["role"] for item in body.get("messages", []) if "role" in item]
    return 100 + zlib.crc32(json.dumps([constant, turns], sort_keys=True).encode()) % 256


def words(body: object) -> int:
    """Return the tokens of the texts of a request."""
    return json.dumps(body.get("messages") or body.get("input")).count("hello")


class Biller:
    """Answers as a model whose input costs its words and a hidden constant."""

    def __init__(self) -> None:
        self.more = 0
        """Tokens that are added to each input beside the constant."""
        self.model = MODEL
        self.constant = hidden
        self.billed: list[int] = []
        """What each request was billed as input."""

    def __call__(self, call: Call) -> Reply:
        """Answer; a stream without usage."""
        body = call.body
        self.billed.append(words(body) + self.constant(body) + self.more)
        answer = Answer(("Hello there.",), Usage(self.billed[-1], 3), self.model)
        if call.path.endswith("/responses"):
            if not body.get("stream"):
                return Plain(responses.response(answer))
            return Stream(responses.events(replace(answer, usage=None)))
        if not body.get("stream"):
            return Plain(chat.completion(answer))
        return Stream(chat.chunks(answer))
