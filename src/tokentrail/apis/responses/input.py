"""The input of the responses API: instructions, items, tools, and data stored on the server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokentrail.apis.chat.messages import (
    holds_only_functions,
    input_variant,
    read_content,
    read_message,
    read_tool_choice,
    read_tools,
)
from tokentrail.apis.values import (
    deep_copy,
    fields,
    is_absent,
    is_sequence,
    nonempty_str,
    plain_str,
    sequence,
)
from tokentrail.model.records import Message, Prompt, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_STORED: Final = ("previous_response_id", "conversation", "prompt")
"""Arguments that make the server add stored data to the input."""
_OWN_TOOLS: Final = frozenset({"function", "custom"})
"""Tools of the application. For every other kind the server adds its own instructions."""


def read_prompt(arguments: Mapping[str, object]) -> Prompt:
    """Read everything of a call to responses that is input.

    It is ``unknowable`` if the server adds to it: a stored conversation or prompt template, hosted
    tools, references to stored items, or the reasoning of several models. It is ``incomplete`` if
    an item is not understood, or if the server may leave some out.
    """
    get = arguments.get
    instructions, tools = get("instructions"), get("tools")
    system = _instructions(instructions)
    messages, unread = _input(get("input"))
    kinds = {plain_str(fields(item).get("type")) for item in sequence(get("input"))}
    stored = any(not is_absent(get(name)) for name in _STORED) or "item_reference" in kinds
    unread_instructions = not is_absent(instructions) and not system
    form = fields(fields(get("text")).get("format"))
    reasoning = fields(get("reasoning"))
    thinks_elsewhere = reasoning.get("mode") == "pro" or _recalls(messages)
    context = (get("context_management"), reasoning.get("context"))
    managed = any(not is_absent(value) for value in context)
    return Prompt(
        messages=(*system, *messages),
        tools=read_tools(tools),
        hosted_tools=holds_server_tools(tools),
        tool_choice=read_tool_choice(get("tool_choice")),
        schema=_schema(arguments),
        schema_name=nonempty_str(form.get("name")),
        schema_about=nonempty_str(form.get("description")),
        unknowable=stored or thinks_elsewhere or holds_server_tools(tools),
        incomplete=unread or unread_instructions or managed or not holds_only_functions(tools),
        truncates=get("truncation") == "auto",
        variant=input_variant(arguments),
        of_responses=True,
    )


def holds_server_tools(tools: object) -> bool:
    """Return whether ``tools`` has a hosted tool, which the server describes and runs itself."""
    kinds = {plain_str(fields(tool).get("type")) for tool in sequence(tools)}
    return bool(kinds - _OWN_TOOLS - {None})


def _instructions(instructions: object) -> tuple[Message, ...]:
    whole = plain_str(instructions)
    return () if whole is None else (Message(role="system", texts=(whole,)),)


def _input(given: object) -> tuple[tuple[Message, ...], bool]:
    """Return the messages, and whether any item could not be read as a message."""
    whole = plain_str(given)
    if whole is not None:
        return (Message(role="user", texts=(whole,)),), False
    if not is_sequence(given):
        return (), not is_absent(given)
    found = [_item(item) for item in _since_compaction(given)]
    return tuple(item for item in found if item is not None), None in found


def _since_compaction(items: list[object] | tuple[object, ...]) -> Sequence[object]:
    """Return the items from the last compaction on, which replaces all items before it."""
    kept = len(items)
    while kept and fields(items[kept - 1]).get("type") != "compaction":
        kept -= 1
    return items[max(kept - 1, 0) :]


def _item(item: object) -> Message | None:
    given = fields(item)
    kind = given.get("type")
    if is_absent(kind):
        return read_message(item)
    known = plain_str(kind)
    reader = None if known is None else _ITEMS.get(known)
    return None if reader is None else reader(given)


def _recalls(messages: tuple[Message, ...]) -> bool:
    """Return whether any reasoning since the last user message is only an id of stored data."""
    since = len(messages)
    while since and messages[since - 1].role != "user":
        since -= 1
    return any(message.role == "reasoning" and not message.sealed for message in messages[since:])


def _sealed(item: Mapping[str, object]) -> Message:
    """Return reasoning or a compaction, of which only encrypted text is available."""
    kind, text = plain_str(item.get("type")), plain_str(item.get("encrypted_content"))
    return Message(role=kind or "", sealed=0 if text is None else len(text))


def _function_call(item: Mapping[str, object]) -> Message | None:
    return _call(item, "arguments")


def _custom_call(item: Mapping[str, object]) -> Message | None:
    """Return a call of a custom tool; how the server writes it in the prompt is unknown."""
    call = _call(item, "input")
    return call and replace(call, unknown_parts=1)


def _call(item: Mapping[str, object], arguments: str) -> Message | None:
    name = nonempty_str(item.get("name"))
    if name is None:
        return None
    call = ToolCall(
        name,
        plain_str(item.get(arguments)) or "",
        id=nonempty_str(item.get("call_id")),
        completed=item.get("status") == "completed",
    )
    return Message(role="assistant", tool_calls=(call,))


def _call_output(item: Mapping[str, object]) -> Message:
    content = read_content(item.get("output"))
    return Message(
        role="tool",
        texts=content.texts,
        images=content.images,
        files=content.files,
        call_id=nonempty_str(item.get("call_id")),
        unknown_parts=content.unknown,
    )


_ITEMS: Final[dict[str, Callable[[Mapping[str, object]], Message | None]]] = {
    "message": read_message,
    "reasoning": _sealed,
    "compaction": _sealed,
    "function_call": _function_call,
    "function_call_output": _call_output,
    "custom_tool_call": _custom_call,
    "custom_tool_call_output": _call_output,
}


def _schema(arguments: Mapping[str, object]) -> object:
    form = arguments.get("text_format")
    if isinstance(form, type):
        return form
    return deep_copy(fields(fields(arguments.get("text")).get("format")).get("schema"))
