"""Content as attributes: JSON text on spans, structured on events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tokentrail.content import (
    serialize_documents,
    serialize_messages,
    serialize_parts,
    serialize_tools,
    to_json,
)
from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from tokentrail.content import Content


def content_attributes(content: Content) -> dict[str, Any]:
    """Return the attributes of messages and tools; empty ones have none."""
    attributes: dict[str, Any] = {
        semconv.SYSTEM_INSTRUCTIONS: serialize_parts(content.system),
        semconv.INPUT_MESSAGES: serialize_messages(content.input),
        semconv.OUTPUT_MESSAGES: serialize_messages(content.output),
        semconv.TOOL_DEFINITIONS: serialize_tools(content.tools),
        semconv.RETRIEVAL_QUERY: content.query,
        semconv.RETRIEVAL_DOCUMENTS: serialize_documents(content.documents),
    }
    variables = {semconv.PROMPT_VARIABLE + name: value for name, value in content.variables}
    return {**{name: value for name, value in attributes.items() if value}, **variables}


def content_attributes_json(content: Content) -> dict[str, str]:
    """Return the same with each value that is no text as JSON text."""
    return {
        name: value if isinstance(value, str) else to_json(value)
        for name, value in content_attributes(content).items()
    }


def flattened(value: object) -> object:
    """Return ``value``, as JSON text if it is a list of mappings."""
    is_nested = isinstance(value, list) and any(isinstance(item, dict) for item in value)
    return to_json(value) if is_nested else value


def uniform(value: object) -> object:
    """Return ``value`` with each list inside it whose items differ in type as JSON text."""
    if isinstance(value, dict):
        return {name: uniform(item) for name, item in value.items()}
    if not isinstance(value, (list, tuple)):
        return value
    items = [uniform(item) for item in value]
    return items if len({type(item) for item in items} - {type(None)}) < _MIXED else to_json(value)


_MIXED: Final = 2
