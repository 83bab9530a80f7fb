"""Reads chat messages, sent or received, and the content parts of any message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis import content_media as media
from tokentrail.apis.chat.forms import content_parts, thought_of
from tokentrail.apis.chat.tool_calls import (
    arguments_of,
    arguments_text,
    called,
    each_call,
    repeats_a_call,
)
from tokentrail.apis.values import fields, is_sequence, nonempty_str, plain_str, sequence
from tokentrail.content.parts import Message, Part, Reasoning, Text, ToolCall, ToolResponse
from tokentrail.content.values import clean, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_RESPONDENTS: Final = frozenset({"tool", "function"})
"""Roles whose content is the result of a call."""


def read_messages(messages: object) -> tuple[Message, ...]:
    """Read a list or tuple of messages, dicts or model objects."""
    read = (read_message(fields(message)) for message in sequence(messages))
    return tuple(message for message in read if message is not None)


def read_message(given: Mapping[str, object]) -> Message | None:
    """Read one message; ``None`` if it has no role."""
    role = nonempty_str(given.get("role"))
    if role is None:
        return None
    if role in _RESPONDENTS:
        response = ToolResponse(
            read_result(given.get("content")), nonempty_str(given.get("tool_call_id"))
        )
        return Message(role, (response,), nonempty_str(given.get("name")))
    return Message(role, read_message_parts(given), nonempty_str(given.get("name")))


def read_message_parts(given: Mapping[str, object]) -> tuple[Part, ...]:
    """Read the parts of a message: reasoning, content, refusal, audio and calls, in this order."""
    thought = thought_of(given) or None
    parts: list[Part] = [] if thought is None else [Reasoning(thought)]
    parts += read_content(given.get("content"))
    refusal = nonempty_str(given.get("refusal"))
    if refusal is not None:
        parts.append(Text(refusal))
    parts += _sound(fields(given.get("audio")))
    parts += _calls(given)
    return tuple(parts)


def read_content(content: object) -> tuple[Part, ...]:
    """Read content: text, or a list of parts. Unknown kinds are left out."""
    whole = plain_str(content)
    if whole is not None:
        return (Text(whole),) if whole else ()
    read = (_part(part) for part in sequence(content_parts(content)))
    return tuple(part for part in read if part is not None)


def read_result(content: object) -> object:
    """Read the result of a call: a text, or a list of parts."""
    whole = plain_str(content)
    if whole is not None:
        return whole
    return read_content(content) if is_sequence(content) else None


def read_call(name: object, arguments: object, call_id: object) -> ToolCall | None:
    """Read a call whose arguments are JSON text."""
    called, given = nonempty_str(name), arguments_text(arguments)
    if called is None and not given:
        return None
    return ToolCall(called or "", parsed(given) if given else None, nonempty_str(call_id))


def read_custom_call(name: object, given: object, call_id: object) -> ToolCall | None:
    """Read a call whose input is free text, even if it looks like JSON."""
    called, text = nonempty_str(name), plain_str(given)
    if called is None and not text:
        return None
    return ToolCall(called or "", clean(text) if text else None, nonempty_str(call_id))


def _calls(given: Mapping[str, object]) -> list[Part]:
    found: list[ToolCall | None] = []
    calls = each_call(given.get("tool_calls"))
    for call in calls:
        text = called(call)
        is_custom = bool(fields(call.get("custom"))) and not fields(call.get("function"))
        read = read_custom_call if is_custom else read_call
        if text:
            found.append(read(text.get("name"), arguments_of(text), call.get("id")))
    legacy = fields(given.get("function_call"))
    if legacy and not repeats_a_call(legacy, calls):
        found.append(read_call(legacy.get("name"), legacy.get("arguments"), None))
    return [call for call in found if call is not None]


def _sound(audio: Mapping[str, object]) -> list[Part]:
    """Read an answer's audio: transcript and bytes; only an id if it is sent back."""
    transcript, content, name = (
        nonempty_str(audio.get(key)) for key in ("transcript", "data", "id")
    )
    parts: list[Part] = [] if transcript is None else [Text(transcript)]
    if content is not None:
        parts.append(media.blob("audio", None, content))
    elif transcript is None and (uploaded := media.upload("audio", name)) is not None:
        parts.append(uploaded)
    return parts


def _part(part: object) -> Part | None:
    bare = plain_str(part)
    if bare is not None:
        return Text(bare)
    given = fields(part)
    kind = plain_str(given.get("type")) or ("text" if "text" in given else None)
    reader = None if kind is None else _PARTS.get(kind)
    return None if reader is None else reader(given)


def _text(part: Mapping[str, object]) -> Text | None:
    text = nonempty_str(part.get("text"))
    return None if text is None else Text(text)


def _refusal(part: Mapping[str, object]) -> Text | None:
    text = nonempty_str(part.get("refusal"))
    return None if text is None else Text(text)


def _thought(part: Mapping[str, object]) -> Reasoning | None:
    text = nonempty_str(part.get("text"))
    return None if text is None else Reasoning(text)


def _thinking(part: Mapping[str, object]) -> Reasoning | None:
    """Read reasoning in Mistral's form: text, or parts of text."""
    parts = read_content(part.get("thinking"))
    text = "".join(part.content for part in parts if isinstance(part, (Text, Reasoning)))
    return Reasoning(text) if text else None


_PARTS: Final[dict[str, Callable[[Mapping[str, object]], Part | None]]] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": _refusal,
    "reasoning_text": _thought,
    "summary_text": _thought,
    "thinking": _thinking,
    "image_url": media.image,
    "input_image": media.image,
    "computer_screenshot": media.image,
    "input_audio": media.sound,
    "file": media.document,
    "input_file": media.document,
}
