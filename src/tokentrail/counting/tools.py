"""Tools: how the server writes function declarations into the prompt.

The declarations are rendered as TypeScript, a form found by experiment (hmarr/openai-chat-tokens,
forestwanglin/openai-java, pamelafox/openai-messages-token-helper), here with one space of
indentation for each level of nesting: of the forms tried it fits the published counts best (14 of
18 exact, the others off by 1 or 2). Declarations come from the caller: a wrong shape raises
MalformedError, whatever is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_SCALARS = {"boolean": "boolean", "null": "null", "string": "string"}
_NUMBERS = ("integer", "number")
_DEPTH = 32
"""Nested deeper than this, a schema is taken to contain itself."""


class MalformedError(ValueError):
    """A declaration that cannot be rendered."""


def render(tools: Sequence[Mapping[str, object]]) -> str:
    """Return the declarations of functions as the server is believed to write them."""
    lines = ["namespace functions {", ""]
    for tool in tools:
        lines += _function(_mapping(tool.get("function", tool)))
        lines.append("")
    lines.append("} // namespace functions")
    return "\n".join(lines)


def _function(function: Mapping[str, object]) -> list[str]:
    name = _text(function.get("name"))
    lines = _comment(function)
    parameters = _mapping(function.get("parameters") or {})
    properties = _properties(parameters, 0)
    if properties:
        return [*lines, f"type {name} = (_: {{", *properties, "}) => any;"]
    return [*lines, f"type {name} = () => any;"]


def _properties(schema: Mapping[str, object], depth: int) -> list[str]:
    if depth > _DEPTH:
        message = "a schema nested too deeply"
        raise MalformedError(message)
    required = schema.get("required") or ()
    if not isinstance(required, Sequence):
        message = f"required is a {type(required).__name__}"
        raise MalformedError(message)
    lines = []
    for key, value in _mapping(schema.get("properties") or {}).items():
        declared = _mapping(value)
        mark = "" if key in required else "?"
        lines += _comment(declared)
        lines.append(f"{key}{mark}: {_type(declared, depth)},")
    return [" " * depth + line for line in lines]


def _type(schema: Mapping[str, object], depth: int) -> str:
    kind = schema.get("type")
    choices = schema.get("enum")
    if isinstance(choices, Sequence) and not isinstance(choices, str) and kind != "boolean":
        quote = '"' if kind not in _NUMBERS else ""
        return " | ".join(f"{quote}{choice}{quote}" for choice in choices)
    if kind in _NUMBERS:
        return "number"
    if kind == "array":
        items = schema.get("items")
        return f"{_type(_mapping(items), depth + 1)}[]" if items else "any[]"
    if kind == "object":
        return "\n".join(("{", *_properties(schema, depth + 1), "}"))
    return _SCALARS.get(kind, "any") if isinstance(kind, str) else "any"


def _comment(declared: Mapping[str, object]) -> list[str]:
    description = declared.get("description")
    return [f"// {_text(description)}"] if description else []


def _mapping(value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    message = f"an object was expected, not a {type(value).__name__}"
    raise MalformedError(message)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    message = f"a text was expected, not a {type(value).__name__}"
    raise MalformedError(message)
