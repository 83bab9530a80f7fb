"""Reads prompts as callers write them: messages, their parts, and tool declarations.

Chat and responses share this module. It takes references to the caller's immutable strings, so
later changes of the application's lists do not matter. It reads only lists, tuples and mappings,
and never consumes an iterator of the caller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from tokentrail.apis.values import (
    deep_copy,
    fields,
    is_absent,
    is_sequence,
    nonempty_str,
    plain_str,
    sequence,
)
from tokentrail.model.records import ALLOWED, Image, Message, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable

_UNSAID: Final = [None, None, None]
_VARIANTS: Final = frozenset({"tools", "text", "verbosity", "parallel_tool_calls"})
"""The arguments that `input_variant` reads."""
_TOOL_CHOICES: Final = frozenset({"none", "auto", "required"})


def read_messages(messages: object) -> tuple[Message, ...] | None:
    """Return the messages of a list or tuple of dicts or model objects; else ``None``."""
    if not is_sequence(messages):
        return None
    return tuple(map(read_message, messages))


def read_message(message: object) -> Message:
    """Return one message; ``unknown_parts`` counts the parts whose tokens cannot be counted."""
    given = fields(message)
    role = nonempty_str(given.get("role"))
    content = read_content(given.get("content"))
    refusal = nonempty_str(given.get("refusal"))
    calls, unread = _tool_calls(given.get("tool_calls"))
    unread += (role is None) + (not is_absent(given.get("audio")))
    return Message(
        role=role or "",
        texts=content.texts if refusal is None else (*content.texts, refusal),
        name=nonempty_str(given.get("name")),
        tool_calls=calls,
        function_call=_call(given.get("function_call"), "arguments"),
        images=content.images,
        files=content.files,
        call_id=nonempty_str(given.get("tool_call_id")),
        unknown_parts=content.unknown + unread,
    )


class ReadContent(NamedTuple):
    """The content of a message, by kind of part."""

    texts: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    files: tuple[str, ...] = ()
    unknown: int = 0
    """The number of parts that were not understood."""


class File(NamedTuple):
    """A file part: its ``data:`` URL."""

    url: str


def read_content(content: object) -> ReadContent:
    """Return the texts, images and files of a message's content, and the number of other parts."""
    whole = plain_str(content)
    if whole is not None:
        return ReadContent(texts=(whole,))
    if is_absent(content):
        return ReadContent()
    if not is_sequence(content):
        return ReadContent(unknown=1)
    parts = tuple(map(_part, content))
    return ReadContent(
        texts=tuple(part for part in parts if isinstance(part, str)),
        images=tuple(part for part in parts if isinstance(part, Image)),
        files=tuple(part.url for part in parts if isinstance(part, File)),
        unknown=parts.count(None),
    )


def _part(part: object) -> str | Image | File | None:
    bare = plain_str(part)
    if bare is not None:
        return bare
    given = fields(part)
    kind = plain_str(given.get("type"))
    reader = _PARTS.get(kind) if kind is not None else None
    return None if reader is None else reader(given)


def _text_part(part: Mapping[str, object]) -> str | None:
    return plain_str(part.get("text"))


def _refusal_part(part: Mapping[str, object]) -> str | None:
    return plain_str(part.get("refusal"))


def _image_part(part: Mapping[str, object]) -> Image:
    """Read an image: chat nests ``{"url", "detail"}``, responses has a flat URL, uploads none."""
    source = part.get("image_url")
    nested = fields(source)
    url = nonempty_str(nested.get("url")) if nested else nonempty_str(source)
    return Image(url=url, detail=nonempty_str((nested or part).get("detail")))


def _file_part(part: Mapping[str, object]) -> File | None:
    """Read a file: chat nests ``{"file_data"}``, responses has it flat, uploads lack it."""
    data = nonempty_str((fields(part.get("file")) or part).get("file_data"))
    return None if data is None else File(data)


_PARTS: Final[dict[str, Callable[[Mapping[str, object]], str | Image | File | None]]] = {
    "text": _text_part,
    "input_text": _text_part,
    "output_text": _text_part,
    "refusal": _refusal_part,
    "image_url": _image_part,
    "input_image": _image_part,
    "file": _file_part,
    "input_file": _file_part,
}


def _tool_calls(calls: object) -> tuple[tuple[ToolCall, ...], int]:
    """Return the calls, and how many cannot be counted: unreadable ones, and custom tools'."""
    if not is_sequence(calls):
        return (), int(not is_absent(calls))
    found = tuple(map(read_tool_call, calls))
    read = tuple(call for call in found if call is not None)
    custom = sum(
        1
        for given, call in zip(calls, found, strict=True)
        if call is not None and not fields(fields(given).get("function"))
    )
    return read, len(found) - len(read) + custom


def read_tool_call(call: object) -> ToolCall | None:
    """Return a function or custom tool call of a chat message."""
    given = fields(call)
    own_id = nonempty_str(given.get("id"))
    function = _call(given.get("function"), "arguments", own_id)
    return function or _call(given.get("custom"), "input", own_id)


def _call(call: object, arguments: str, own_id: str | None = None) -> ToolCall | None:
    if call is None:
        return None
    given = fields(call)
    name = nonempty_str(given.get("name"))
    if name is None:
        return None
    return ToolCall(name=name, arguments=plain_str(given.get(arguments)) or "", id=own_id)


def read_tools(tools: object) -> tuple[Mapping[str, object], ...]:
    """Return the function declarations as ``{name, description, parameters}``, as given.

    It reads chat's ``tools``, the flat tools of responses and the legacy ``functions``. Anything
    other than a function declaration is left out, so the result may be shorter than the input. The
    parameters are copied, because the caller may modify its own later.
    """
    if not is_sequence(tools):
        return ()
    found = (_declaration(fields(tool)) for tool in tools)
    return tuple(tool for tool in found if tool is not None)


def _declaration(tool: Mapping[str, object]) -> Mapping[str, object] | None:
    if plain_str(tool.get("type")) not in {None, "function"}:
        return None
    given = fields(tool["function"]) if "function" in tool else tool
    name = nonempty_str(given.get("name"))
    if name is None:
        return None
    declaration: dict[str, object] = {"name": name}
    description = plain_str(given.get("description"))
    if description is not None:
        declaration["description"] = description
    parameters = given.get("parameters")
    if isinstance(parameters, Mapping):
        declaration["parameters"] = deep_copy(parameters)
    return declaration


def read_tool_choice(choice: object) -> str | None:
    """Return "none", "auto", "required" or "name:<function>", in any API's form."""
    if choice is None:
        return None
    if isinstance(choice, str):
        return plain_str(choice) if choice in _TOOL_CHOICES else None
    given = fields(choice)
    for held in (given.get("function"), given.get("custom"), given):
        name = nonempty_str(fields(held).get("name"))
        if name is not None:
            return f"name:{name}"
    allowed = fields(given.get("allowed_tools", given))
    mode = plain_str(allowed.get("mode"))
    if mode not in _TOOL_CHOICES:
        return None
    return mode + ALLOWED if "tools" in allowed else mode


def input_variant(arguments: Mapping[str, object]) -> str | None:
    """Return, as JSON, other settings that may change how the server writes the prompt."""
    if _VARIANTS.isdisjoint(arguments):  # nearly always
        return None
    strict = [_is_strict(fields(tool)) for tool in sequence(arguments.get("tools"))]
    verbosity = fields(arguments.get("text")).get("verbosity"), arguments.get("verbosity")
    given = (arguments.get("parallel_tool_calls"), *verbosity)
    values = [value if isinstance(value, (str, bool)) else None for value in given]
    return json.dumps([*values, strict]) if any(strict) or values != _UNSAID else None


def _is_strict(tool: Mapping[str, object]) -> bool:
    return (fields(tool.get("function")) or tool).get("strict") is True


def holds_only_functions(tools: object) -> bool:
    """Return whether ``tools`` is absent, or a list of function declarations only."""
    if is_sequence(tools):
        return len(read_tools(tools)) == len(tools)
    return is_absent(tools)
