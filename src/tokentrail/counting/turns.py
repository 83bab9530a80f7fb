"""Turns: the messages of a prompt, with the calls of one answer and their results together."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tokentrail.support.frozen import lean_dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokentrail.model.records import Message, Prompt, ToolCall

_LONGEST = 64 * 1024
"""Characters of JSON parsed at once: about half a millisecond."""


@lean_dataclass(frozen=True, slots=True)
class Turn:
    """A message; if it calls tools, all calls of that answer and the results that follow."""

    message: Message
    calls: tuple[ToolCall, ...] = ()
    results: tuple[Message, ...] = ()
    first: int = 0
    """Index in the prompt of its first message, and of the first result."""
    first_result: int = 0
    dropped: bool = False
    """It is reasoning of an earlier turn, which the server leaves out."""


def turns(prompt: Prompt) -> Iterator[Turn]:
    """Yield the turns of a prompt in order."""
    messages, at = prompt.messages, 0
    last_asked = max((i for i, said in enumerate(messages) if said.role == "user"), default=-1)
    while at < len(messages):
        message, first = messages[at], at
        at += 1
        if not message.tool_calls:
            dropped = message.role == "reasoning" and first < last_asked
            yield Turn(message, first=first, dropped=dropped)
            continue
        calls = [*message.tool_calls]
        while prompt.of_responses and at < len(messages) and _only_calls(messages[at]):
            calls += messages[at].tool_calls
            at += 1
        end = at
        while end < min(len(messages), at + len(calls)) and messages[end].role == "tool":
            end += 1
        yield Turn(message, tuple(calls), tuple(messages[at:end]), first, at)
        at = end


def _only_calls(message: Message) -> bool:
    return bool(message.tool_calls) and not any(message.texts)


def minified(arguments: str) -> str:
    """Return JSON without blanks; a text that is no JSON or too long is returned as it is."""
    parsed = _parsed(arguments)
    if parsed is None:
        return arguments
    return json.dumps(parsed[0], separators=(",", ":"), ensure_ascii=False)


def is_spaced(arguments: str) -> bool:
    """Return whether arguments are JSON with a blank after each colon and comma."""
    parsed = _parsed(arguments)
    return parsed is not None and bool(parsed[0]) and json.dumps(parsed[0]) == arguments


def wrapped_calls(calls: Sequence[tuple[str, str]]) -> str:
    """Return several calls as models write them: as one call of a hidden tool."""
    uses = (f'{{"recipient_name":"functions.{n}","parameters":{a or "{}"}}}' for n, a in calls)
    return '{"tool_uses":[' + ",".join(uses) + "]}"


def listed_results(results: Sequence[str]) -> str:
    """Return the results of such calls as the server lists them: JSON in JSON is not quoted."""
    found = (_parsed(result) for result in results)
    values = [
        text if value is None else value[0] for text, value in zip(results, found, strict=True)
    ]
    return json.dumps(values, ensure_ascii=False)


def _parsed(text: str) -> tuple[object] | None:
    if len(text) > _LONGEST:
        return None
    try:
        return (json.loads(text),)
    except (ValueError, RecursionError):
        return None
