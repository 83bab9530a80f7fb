"""Applied to content before it is recorded: the user's redaction, a size limit, no bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from tokentrail.content.parts import (
    Blob,
    Content,
    Message,
    Part,
    Reasoning,
    ServerToolCall,
    ServerToolResponse,
    Text,
    Tool,
    ToolCall,
    ToolResponse,
    Uri,
)
from tokentrail.content.values import LEFT_OUT, clean, parsed, sized, to_json
from tokentrail.support import guard
from tokentrail.support.frozen import lean_dataclass

KINDS: Final = (
    "system",
    "input",
    "output",
    "reasoning",
    "tool_arguments",
    "tool_response",
    "tool_definition",
    "variable",
    "name",
    "uri",
    "error",
    "stop",
)
"""The kind of a text that is passed to ``redact``. Values that are not text are passed as JSON."""

_NO_TEXT: Final = (
    "redact returned an object of the class %s, which is neither text nor None: "
    "nothing is recorded in its place. Logged once."
)


@lean_dataclass(frozen=True, slots=True)
class Redaction:
    """How much of the content the user wants recorded."""

    redact: Callable[[str, str], str | None] | None = None
    limit: int | None = None
    binary: bool = False

    def text(self, kind: str, content: str) -> str | None:
        """Return a text redacted, then cut; ``None`` if nothing of it may be recorded.

        If ``redact`` raises, nothing is recorded.
        """
        kept: str | None = clean(content)
        if self.redact is not None and kept is not None:
            redacted: object = None
            with guard.shield("redact"):  # the user's own function may raise
                redacted = self.redact(kind, kept)
            if not isinstance(redacted, str):
                if redacted is not None:
                    guard.warn_once("redact's type", _NO_TEXT, type(redacted).__name__)
                return None
            kept = clean(str.__str__(redacted))
        if self.limit is not None and kept is not None and len(kept) > self.limit:
            kept = kept[: self.limit - 1] + LEFT_OUT
        return kept

    def value(self, kind: str, value: object) -> object:
        """Return a JSON value redacted and cut; as text if it is then no longer valid JSON."""
        if isinstance(value, str):
            return self.text(kind, value)
        light = value if self.binary else _without_binary(value)
        if light is None or (self.redact is None and self.limit is None):
            return light
        content = to_json(light)
        kept = self.text(kind, content)
        if kept is None or kept == content:
            return None if kept is None else light
        return parsed(kept)

    def content(self, content: Content) -> Content:
        """Return the content of a whole call, redacted and cut."""
        return Content(
            system=tuple(
                Text(kept)
                for part in content.system
                if (kept := self.text("system", part.content)) is not None
            ),
            input=tuple(self._message("input", message) for message in content.input),
            output=tuple(self._message("output", message) for message in content.output),
            tools=tuple(map(self._tool, content.tools)),
            variables=tuple(
                (name, kept)
                for name, value in content.variables
                if (kept := self.text("variable", value)) is not None
            ),
            query=None if content.query is None else self.text("input", content.query),
            documents=content.documents,
        )

    def _message(self, kind: str, message: Message) -> Message:
        parts = self._parts(kind, message.parts)
        name = None if message.name is None else self.text("name", message.name)
        return Message(message.role, parts, name)

    def _parts(self, kind: str, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        kept = (self._part(kind, part) for part in parts)
        return tuple(part for part in kept if part is not None)

    def _part(self, kind: str, part: Part) -> Part | None:  # noqa: PLR0911 - one for each kind
        if isinstance(part, Text):
            content = self.text(kind, part.content)
            return None if content is None else Text(content)
        if isinstance(part, Reasoning):
            content = self.text("reasoning", part.content)
            return None if content is None else Reasoning(content)
        if isinstance(part, ToolCall):
            return replace(part, arguments=self.value("tool_arguments", part.arguments))
        if isinstance(part, ToolResponse):
            return replace(part, response=self._response(part.response))
        if isinstance(part, Blob):
            return part if self.binary else replace(part, content=None)
        if isinstance(part, Uri):
            address = self.text("uri", part.uri if self.binary else _without_query(part.uri))
            return None if address is None else replace(part, uri=address)
        if isinstance(part, ServerToolCall):
            return replace(part, call=self._payload("tool_arguments", part.call))
        if isinstance(part, ServerToolResponse):
            return replace(part, response=self._payload("tool_response", part.response))
        return part

    def _response(self, response: object) -> object:
        if isinstance(response, tuple):
            return self._parts("tool_response", response)
        return self.value("tool_response", response)

    def _payload(self, kind: str, payload: Mapping[str, object]) -> Mapping[str, object]:
        """Return a payload redacted and cut; it always keeps its type."""
        named = {"type": payload["type"]}
        kept = self.value(kind, payload)
        if isinstance(kept, Mapping):
            return {**kept, **named}
        return named if kept is None else {**named, "content": kept}

    def _tool(self, tool: Tool) -> Tool:
        about, taken = tool.description, tool.parameters
        return replace(
            tool,
            description=None if about is None else self.text("tool_definition", about),
            parameters=self.value("tool_definition", taken),
        )


def _without_query(address: str) -> str:
    """Return an address up to its path: a signature after it would give access to private data."""
    return address.partition("?")[0].partition("#")[0]


def _without_binary(value: object, name: str = "") -> object:
    """Return ``value`` with base64 data replaced by its size."""
    if isinstance(value, str):
        if name == "result" and len(value) > _SHORT and _is_base64(value):
            return sized(len(value) * 3 // 4)
        if value[:5].lower() == "data:" and ";base64," in value[:_HEAD]:
            return sized((len(value) - value.index(",")) * 3 // 4)
        return value
    if isinstance(value, Mapping):
        return {key: _without_binary(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_binary(item) for item in value]
    return value


_SHORT: Final = 256
"""Characters up to which base64 is kept; images are longer."""
_HEAD: Final = 256
"""Characters within which the header of a ``data:`` URL ends."""


def _is_base64(text: str) -> bool:
    return text.isascii() and " " not in text[:_SHORT]
