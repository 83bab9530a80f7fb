"""Content as the JSON of the conventions' message schemas.

Absent optional fields are left out, and so is the finish reason of a message, which the conventions
have withdrawn. A blob without its bytes has an empty content and its size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tokentrail.content.parts import (
    Blob,
    Compaction,
    File,
    Reasoning,
    ServerToolCall,
    ServerToolResponse,
    Text,
    ToolCall,
    ToolResponse,
    Uri,
)
from tokentrail.content.values import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokentrail.content.parts import Document, Message, Part, Tool

Json: TypeAlias = dict[str, object]


def serialize_messages(messages: Iterable[Message]) -> list[Json]:
    """Return messages as their schema has them."""
    return [
        _present(
            role=clean(message.role),
            parts=serialize_parts(message.parts),
            name=_clean(message.name),
        )
        for message in messages
    ]


def serialize_parts(parts: Iterable[Part]) -> list[Json]:
    """Return parts as their schema has them."""
    return [_part(part) for part in parts]


def serialize_documents(documents: Iterable[Document]) -> list[Json]:
    """Return retrieved documents as their schema has them."""
    return [_present(id=clean(found.id), score=found.score) for found in documents]


def serialize_tools(tools: Iterable[Tool]) -> list[Json]:
    """Return tool definitions as their schema has them."""
    return [
        _present(
            type=clean(tool.type),
            name=clean(tool.name),
            description=tool.description,
            parameters=tool.parameters,
        )
        for tool in tools
    ]


def _part(part: Part) -> Json:  # noqa: PLR0911 - one for each kind
    if isinstance(part, Text):
        return {"type": "text", "content": part.content}
    if isinstance(part, Reasoning):
        return {"type": "reasoning", "content": part.content}
    if isinstance(part, ToolCall):
        return _present(
            type="tool_call", id=_clean(part.id), name=clean(part.name), arguments=part.arguments
        )
    if isinstance(part, ToolResponse):
        return {**_present(type="tool_call_response", id=_clean(part.id)), "response": _given(part)}
    if isinstance(part, (Blob, Uri, File)):
        return _medium(part)
    if isinstance(part, ServerToolCall):
        return _present(
            type="server_tool_call",
            id=_clean(part.id),
            name=clean(part.name),
            server_tool_call=part.call,
        )
    if isinstance(part, ServerToolResponse):
        return _present(
            type="server_tool_call_response",
            id=_clean(part.id),
            server_tool_call_response=part.response,
        )
    return _compaction(part)


def _compaction(part: Compaction) -> Json:
    return _present(type="compaction", id=_clean(part.id))


def _given(part: ToolResponse) -> object:
    response = part.response
    return serialize_parts(response) if isinstance(response, tuple) else response


def _medium(part: Blob | Uri | File) -> Json:
    head = _present(modality=part.modality, mime_type=_clean(part.mime_type))
    if isinstance(part, Blob):
        content = clean(part.content or "")
        return {"type": "blob", **head, "content": content, "byte_size": part.byte_size}
    if isinstance(part, Uri):
        return {"type": "uri", **head, "uri": part.uri}
    return {"type": "file", **head, "file_id": clean(part.file_id)}


def _clean(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _present(**given: object) -> Json:
    return {name: value for name, value in given.items() if value is not None}
