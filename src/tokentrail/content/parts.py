"""The content of a call: plain frozen records of messages, their parts, and tools.

They mirror the message schemas of the GenAI conventions. Absent is ``None``. A value of type
``object`` is JSON as Python has it: see :func:`tokentrail.content.values.plain`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tokentrail.support.frozen import lean_dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping


@lean_dataclass(frozen=True, slots=True)
class Text:
    """Text, or a refusal: the schemas have no part of its own for it."""

    content: str


@lean_dataclass(frozen=True, slots=True)
class Reasoning:
    """Reasoning that is shown, or a summary of it."""

    content: str


@lean_dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call for the application; ``arguments`` as they were sent if they are no JSON."""

    name: str
    arguments: object = None
    id: str | None = None


@lean_dataclass(frozen=True, slots=True)
class ToolResponse:
    """The result of such a call: text, parts, or any JSON."""

    response: object
    id: str | None = None


@lean_dataclass(frozen=True, slots=True)
class Blob:
    """Bytes inside a message, in base64; ``content`` is ``None`` if they are left out."""

    modality: str
    mime_type: str | None
    content: str | None
    byte_size: int


@lean_dataclass(frozen=True, slots=True)
class Uri:
    """Data stored elsewhere, by its address."""

    modality: str
    uri: str
    mime_type: str | None = None


@lean_dataclass(frozen=True, slots=True)
class File:
    """A file uploaded before, by its id."""

    modality: str
    file_id: str
    mime_type: str | None = None


@lean_dataclass(frozen=True, slots=True)
class ServerToolCall:
    """A call that the server runs itself; ``call`` has a "type"."""

    name: str
    call: Mapping[str, object]
    id: str | None = None


@lean_dataclass(frozen=True, slots=True)
class ServerToolResponse:
    """The result of such a call; ``response`` has a "type"."""

    response: Mapping[str, object]
    id: str | None = None


@lean_dataclass(frozen=True, slots=True)
class Compaction:
    """A compaction: the server shortened the conversation into an encrypted item."""

    id: str | None


Part: TypeAlias = (
    Text
    | Reasoning
    | ToolCall
    | ToolResponse
    | Blob
    | Uri
    | File
    | ServerToolCall
    | ServerToolResponse
    | Compaction
)


@lean_dataclass(frozen=True, slots=True)
class Message:
    """One message: its role and its parts, in the order in which they were sent."""

    role: str
    parts: tuple[Part, ...]
    name: str | None = None


@lean_dataclass(frozen=True, slots=True)
class Tool:
    """A declared tool; with description and parameters only if they are captured."""

    type: str
    name: str
    description: str | None = None
    parameters: object = None


@lean_dataclass(frozen=True, slots=True)
class Document:
    """A search result: its id and score, never its text."""

    id: str
    score: float | None = None


@lean_dataclass(frozen=True, slots=True)
class Content:
    """The content of one call."""

    system: tuple[Text, ...] = ()
    input: tuple[Message, ...] = ()
    output: tuple[Message, ...] = ()
    """One message for each choice that the server sent something for."""
    tools: tuple[Tool, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """Variables of a stored prompt, by name."""
    query: str | None = None
    """The search query; several queries are separate lines."""
    documents: tuple[Document, ...] = ()
