"""The forms in which servers write a message, beside OpenAI's own; for count and content alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tokentrail.apis.values import fields, is_sequence, nonempty_str, plain_str

_NAMES: Final = (
    "reasoning_content", "reasoning", "thinking", "reasoning_text", "thinking_content", "thought",
)  # fmt: skip
"""Where thought stands in a message. A server that uses two of them repeats itself."""
_BLOCKS: Final = ("reasoning_details", "thinking_blocks")
"""Lists that repeat the thought, or are all there is of it."""
_HOLDERS: Final = ("text", "thinking", "content", "summary")
"""Fields of an object in which thought stands."""
THOUGHT_FIELDS: Final = frozenset({*_NAMES, *_BLOCKS})
KNOWN_FIELDS: Final = THOUGHT_FIELDS | {
    "annotations", "audio", "content", "function_call", "images", "name", "parsed", "refusal",
    "role", "tool_calls", "usage",
}  # fmt: skip
_SERVER_TOOLS: Final = ("executed_tools",)
"""What a server did of its own while it answered."""


def message_of(choice: Mapping[str, object]) -> Mapping[str, object]:
    """Return the message of a plain answer's choice; some servers have a delta, or bare text."""
    said = fields(choice.get("message")) or fields(choice.get("delta"))
    return said or {"content": choice.get("text")}


def holds_thought(said: Mapping[str, object]) -> bool:
    """Whether a message or a delta has thought of any form."""
    return any(map(said.get, THOUGHT_FIELDS))


def thought_of(said: Mapping[str, object]) -> str | None:
    """Return the thought of a message or a delta; empty if there is some that is not understood."""
    for name in (*_NAMES, *_BLOCKS):
        value = said.get(name)
        if value:
            return "".join(map(_text, value if is_sequence(value) else (value,)))
    return None


def _text(value: object) -> str:
    """Return the text of a thought, or of a block of it: bare, or of an object."""
    given = fields(value)
    held = (plain_str(given.get(name)) for name in _HOLDERS)
    return plain_str(value) or next(filter(None, held), "")


def holds_other_words(said: Mapping[str, object]) -> bool:
    """Whether a field that nobody knows holds words, or a tool of the server's what it did."""
    if any(map(said.get, _SERVER_TOOLS)):
        return True
    others = (nonempty_str(said[name]) for name in said if name not in KNOWN_FIELDS)
    return any(text is not None and " " in text for text in others)


def content_parts(content: object) -> object:
    """Return the content of a message; a part that stands in no list is one of one."""
    return [content] if isinstance(content, Mapping) else content
