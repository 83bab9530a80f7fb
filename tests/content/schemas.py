"""JSON Schemas of messages, written from the rules of the GenAI conventions (read 2026-11-23).

Stricter than theirs: they let any further part and field pass, here what is not named is an error,
so that a field cannot be misspelt or invented.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

STRING = {"type": "string"}
MAYBE = {"type": ["string", "null"]}
ANY: dict[str, Any] = {}
MODALITY = {"enum": ["image", "video", "audio", "document"]}
TYPED = {"type": "object", "properties": {"type": STRING}, "required": ["type"]}


def _part(kind: str, required: dict[str, Any], optional: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"type": {"const": kind}, **required, **optional},
        "required": ["type", *required],
        "additionalProperties": False,
    }


_BYTES = {"type": "integer", "minimum": 0}
_BLOB = {"modality": MODALITY, "content": {**STRING, "contentEncoding": "base64"}}

TEXT = _part("text", {"content": STRING}, {})
PARTS = {
    "text": TEXT,
    "reasoning": _part("reasoning", {"content": STRING}, {}),
    "tool_call": _part("tool_call", {"name": STRING}, {"id": MAYBE, "arguments": ANY}),
    "tool_call_response": _part("tool_call_response", {"response": ANY}, {"id": MAYBE}),
    "blob": _part("blob", _BLOB, {"mime_type": MAYBE, "byte_size": _BYTES}),
    "uri": _part("uri", {"modality": MODALITY, "uri": STRING}, {"mime_type": MAYBE}),
    "file": _part("file", {"modality": MODALITY, "file_id": STRING}, {"mime_type": MAYBE}),
    "server_tool_call": _part(
        "server_tool_call", {"name": STRING, "server_tool_call": TYPED}, {"id": MAYBE}
    ),
    "server_tool_call_response": _part(
        "server_tool_call_response", {"server_tool_call_response": TYPED}, {"id": MAYBE}
    ),
    "compaction": _part("compaction", {}, {"id": MAYBE, "content": MAYBE}),
}
MESSAGES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "role": {"type": "string", "minLength": 1},
            "parts": {"type": "array", "items": {"oneOf": list(PARTS.values())}},
            "name": STRING,
        },
        "required": ["role", "parts"],
        "additionalProperties": False,
    },
}
OUTPUT = {
    **MESSAGES,
    "items": {
        **MESSAGES["items"],
        "properties": {**MESSAGES["items"]["properties"], "role": {"const": "assistant"}},
    },
}
SYSTEM = {"type": "array", "items": TEXT}
TOOLS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "type": STRING,
            "name": STRING,
            "description": STRING,
            "parameters": ANY,
        },
        "required": ["type", "name"],
        "additionalProperties": False,
    },
}

SCHEMAS = {
    "gen_ai.input.messages": MESSAGES,
    "gen_ai.output.messages": OUTPUT,
    "gen_ai.system_instructions": SYSTEM,
    "gen_ai.tool.definitions": TOOLS,
}
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in SCHEMAS.items()}


def check(name: str, value: Any) -> Any:
    """Return ``value`` if it is what the attribute ``name`` may be."""
    problems = [error.message for error in VALIDATORS[name].iter_errors(value)]
    assert problems == [], f"{name}: {problems}"
    return value
