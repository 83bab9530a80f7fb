"""What is said in a call: plain frozen records of messages, their parts, and tools.

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
    """Text; a refusal is text too, for the schemas have no other part for it."""

    content: str


@lean_dataclass(frozen=True, slots=True)
class Reasoning:
    """Thought that is shown, or a summary of it."""

    content: str


@lean_dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the application is to make; ``arguments`` as sent where they are no JSON."""

    name: str
    arguments: object = None
    id: str | None = None


@lean_dataclass(frozen=True, slots=True)
class ToolResponse:
    """What such a call gave: text, parts, or any JSON."""

    response: object
    id: str | None = None


@lean_dataclass(frozen=True, slots=True)
class Blob:
    """Bytes inside a message, in base64; ``content`` is ``None`` once they are left out."""

    modality: str
    mime_type: str | None
    content: str | None
    byte_size: int


@lean_dataclass(frozen=True, slots=True)
class Uri:
    """Something that lies elsewhere, by its address."""

    modality: str
    uri: str
    mime_type: str | None = None


@lean_dataclass(frozen=True, slots=True)
class File:
    """Something uploaded before, by its id."""

    modality: str
    file_id: str
    mime_type: str | None = None


@lean_dataclass(frozen=True, slots=True)
class ServerToolCall:
    """A call that the server makes itself; ``call`` has a "type"."""

    name: str
    call: Mapping[str, object]
    id: str | None = None


@lean_dataclass(frozen=True, slots=True)
class ServerToolResponse:
    """What such a call gave; ``response`` has a "type"."""

    response: Mapping[str, object]
    id: str | None = None


@lean_dataclass(frozen=True, slots=True)
class Compaction:
    """The server made a conversation shorter; what it keeps is its secret."""

    id: str | None = None


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
    """One message: who says what, in the order in which it was sent."""

    role: str
    parts: tuple[Part, ...]
    name: str | None = None


@lean_dataclass(frozen=True, slots=True)
class Tool:
    """A declared tool; what it does and takes only where that was asked for."""

    type: str
    name: str
    description: str | None = None
    parameters: object = None


@lean_dataclass(frozen=True, slots=True)
class Document:
    """What a search found: by its id, with how well it fits; never its text."""

    id: str
    score: float | None = None


@lean_dataclass(frozen=True, slots=True)
class Content:
    """What is said in one call."""

    system: tuple[Text, ...] = ()
    input: tuple[Message, ...] = ()
    output: tuple[Message, ...] = ()
    """One message for each choice of which anything came; never made up."""
    tools: tuple[Tool, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """Texts put into a stored prompt, by name."""
    query: str | None = None
    """What is searched for; where that are several texts, each on its line."""
    documents: tuple[Document, ...] = ()
