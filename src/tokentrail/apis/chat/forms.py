"""Message forms of other servers than OpenAI, for counting and for content."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tokentrail.apis.values import fields, is_sequence, nonempty_str, plain_str, sequence

_NAMES: Final = (
    "reasoning_content", "reasoning", "thinking", "reasoning_text", "thinking_content", "thought",
)  # fmt: skip
"""Message fields with reasoning. If a server fills two of them, they repeat each other."""
_BLOCKS: Final = ("reasoning_details", "thinking_blocks")
"""Lists that repeat the reasoning, or contain all of it."""
_HOLDERS: Final = ("text", "thinking", "content", "summary")
"""Fields of an object that have the text of reasoning."""
THOUGHT_FIELDS: Final = frozenset({*_NAMES, *_BLOCKS})
KNOWN_FIELDS: Final = THOUGHT_FIELDS | {
    "annotations", "audio", "content", "function_call", "images", "name", "parsed", "refusal",
    "role", "tool_calls", "usage",
}  # fmt: skip
_SERVER_TOOLS: Final = ("executed_tools",)
"""Fields with the tools that a server ran itself while it answered."""


def message_of(choice: Mapping[str, object]) -> Mapping[str, object]:
    """Return the message of a plain answer's choice; some servers send a delta or bare text."""
    message = fields(choice.get("message")) or fields(choice.get("delta"))
    return message or {"content": choice.get("text")}


def holds_thought(message: Mapping[str, object]) -> bool:
    """Whether a message or delta has reasoning in any form."""
    return any(map(message.get, THOUGHT_FIELDS))


def thought_of(message: Mapping[str, object]) -> str | None:
    """Return the reasoning of a message or delta; empty if it has an unknown form."""
    for name in (*_NAMES, *_BLOCKS):
        value = message.get(name)
        if value:
            return "".join(map(_text, value if is_sequence(value) else (value,)))
    return None


def _text(value: object) -> str:
    """Return the text of reasoning or of a block of it: bare, or in an object."""
    given = fields(value)
    held = (plain_str(given.get(name)) for name in _HOLDERS)
    return plain_str(value) or next(filter(None, held), "")


def holds_other_words(message: Mapping[str, object]) -> bool:
    """Whether an unknown field contains words or data, or the server ran tools of its own."""
    if any(map(message.get, _SERVER_TOOLS)):
        return True
    return any(
        _is_written(message[name], _DEPTH if _THOUGHT.search(name) else 0)
        for name in message
        if name not in KNOWN_FIELDS
    )


_THOUGHT: Final = re.compile("thought|think|reason", re.IGNORECASE)


_DEPTH: Final = 4


def _is_written(value: object, depth: int) -> bool:
    """Whether a value has words or data, or the values in it, so deep."""
    text = nonempty_str(value)
    if text is not None:
        return " " in text or text.startswith("data:")
    within = fields(value).values() or sequence(value)
    return depth > 0 and any(_is_written(one, depth - 1) for one in within)


def content_parts(content: object) -> object:
    """Return the content of a message; a single part without a list is put into one."""
    return [content] if isinstance(content, Mapping) else content
