"""Reads the items of the responses API, in its input and its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tokentrail.apis.chat.content_messages import (
    read_call,
    read_content,
    read_custom_call,
    read_message,
    read_result,
)
from tokentrail.apis.values import fields, is_absent, nonempty_str, plain_str, sequence
from tokentrail.content.parts import (
    Compaction,
    Message,
    Part,
    Reasoning,
    ServerToolCall,
    ServerToolResponse,
    Text,
    ToolCall,
    ToolResponse,
)
from tokentrail.content.values import parsed, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def read_instructions(given: object) -> tuple[Text, ...]:
    """Read instructions: text, or a list of messages (in a fetched response)."""
    whole = plain_str(given)
    if whole is not None:
        return (Text(whole),) if whole else ()
    contents = (read_content(fields(message).get("content")) for message in sequence(given))
    return tuple(part for parts in contents for part in parts if isinstance(part, Text))


def read_input(given: object) -> tuple[Message, ...]:
    """Read an input: text, or a list of items, each of which becomes a message."""
    whole = plain_str(given)
    if whole is not None:
        return (Message("user", (Text(whole),)),) if whole else ()
    read = (_message(fields(item)) for item in sequence(given))
    return tuple(message for message in read if message is not None)


def read_output(items: object) -> tuple[Message, ...]:
    """Read the items of an output as one assistant message, if there are any parts."""
    parts = tuple(part for item in sequence(items) for part in read_item(fields(item)))
    return (Message("assistant", parts),) if parts else ()


def _message(item: Mapping[str, object]) -> Message | None:
    if plain_str(item.get("type")) in {None, "message"}:
        return read_message(item)
    parts = read_item(item)
    if not parts:
        return None
    given = isinstance(parts[0], (ToolResponse, ServerToolResponse))
    return Message("tool" if given else "assistant", parts)


def read_item(item: Mapping[str, object]) -> tuple[Part, ...]:
    """Read one item as parts of a message; unknown kinds are left out."""
    kind = plain_str(item.get("type"))
    if kind is None:
        return ()
    known, server = _ITEMS.get(kind), _SERVER_TOOLS.get(kind)
    if known is not None:
        read = known(item)
    elif server is not None:
        read = server.parts(item)
    elif kind.endswith("_call_output"):
        read = (_output(item),)
    elif kind.endswith("_call"):
        read = (_other_call(kind, item),)
    else:
        read = ()
    return tuple(part for part in read if part is not None)


_Read = tuple[Part | None, ...]


def _message_parts(item: Mapping[str, object]) -> _Read:
    return read_content(item.get("content"))


def _thought(item: Mapping[str, object]) -> _Read:
    """Read reasoning and its summaries; encrypted reasoning is left out."""
    parts = (*read_content(item.get("summary")), *read_content(item.get("content")))
    return tuple(Reasoning(part.content) if isinstance(part, Text) else part for part in parts)


def _call(item: Mapping[str, object]) -> _Read:
    return (read_call(item.get("name"), item.get("arguments"), item.get("call_id")),)


def _custom_call(item: Mapping[str, object]) -> _Read:
    return (read_custom_call(item.get("name"), item.get("input"), item.get("call_id")),)


def _other_call(kind: str, item: Mapping[str, object]) -> ToolCall:
    """Read a call of a tool without a name other than its kind: computer, shell, patch."""
    asked = item.get("action", item.get("operation"))
    return ToolCall(
        kind.removesuffix("_call"),
        None if is_absent(asked) else plain(asked),
        nonempty_str(item.get("call_id")) or nonempty_str(item.get("id")),
    )


def _output(item: Mapping[str, object]) -> ToolResponse:
    output = item.get("output")
    part = read_content([output])
    read = read_result(output)
    if read is None and not is_absent(output):
        read = part or plain(output)
    return ToolResponse(read, nonempty_str(item.get("call_id")) or nonempty_str(item.get("id")))


def _compaction(item: Mapping[str, object]) -> _Read:
    return (Compaction(nonempty_str(item.get("id"))),)


_ITEMS: Final[dict[str, Callable[[Mapping[str, object]], _Read]]] = {
    "message": _message_parts,
    "reasoning": _thought,
    "function_call": _call,
    "custom_tool_call": _custom_call,
    "compaction": _compaction,
}


@dataclass(frozen=True, slots=True)
class _ServerTool:
    """Reads the items of one hosted tool, which the server runs itself."""

    type: str
    asked: tuple[str, ...] = ()
    """Fields of the call."""
    given: tuple[str, ...] = ()
    """Fields of the result."""

    def parts(self, item: Mapping[str, object]) -> _Read:
        """Return the call, and its result if the item has one."""
        name = nonempty_str(item.get("id"))
        asked, given = self._payload(item, self.asked), self._payload(item, self.given)
        return (
            ServerToolCall(nonempty_str(item.get("name")) or self.type, asked, name)
            if self.asked
            else None,
            ServerToolResponse(given, name) if len(given) > 1 else None,
        )

    def _payload(self, item: Mapping[str, object], names: tuple[str, ...]) -> dict[str, object]:
        held: dict[str, object] = {"type": self.type}
        for name in names:
            value = item.get(name)
            if not is_absent(value):
                text = plain_str(value) if name == "arguments" else None
                held[name] = plain(value) if text is None else parsed(text)
        return held


_SERVER_TOOLS: Final = {
    "web_search_call": _ServerTool("web_search", ("action", "status")),
    "file_search_call": _ServerTool("file_search", ("queries", "status"), ("results",)),
    "code_interpreter_call": _ServerTool(
        "code_interpreter", ("code", "container_id", "status"), ("outputs",)
    ),
    "image_generation_call": _ServerTool("image_generation", ("status",), ("result",)),
    "mcp_call": _ServerTool("mcp", ("server_label", "arguments"), ("output", "error")),
    "mcp_list_tools": _ServerTool("mcp_list_tools", ("server_label",), ("error",)),
    "mcp_approval_request": _ServerTool("mcp_approval_request", ("server_label", "arguments")),
    "mcp_approval_response": _ServerTool(
        "mcp_approval_response", (), ("approval_request_id", "approve", "reason")
    ),
    "tool_search_call": _ServerTool("tool_search", ("arguments", "status")),
}
