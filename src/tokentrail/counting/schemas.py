"""Schemas: how the server writes the schema of a structured output into the prompt.

A guess that fits what is known: 8 recordings of 2 schemas, 4 exact and 4 one less. The form is that
of OpenAI's open "harmony" format; ``required`` and ``additionalProperties``, which a strict schema
always says, are not billed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from tokentrail.counting.text import weight

_KEY = 8
"""What a key, or anything but text, weighs: it is looked at and written."""
_FIELD = 256
"""What a field of a class weighs, before its schema is asked for."""


def render_schema(schema: object, name: str | None, about: str | None) -> str:
    """Return what a schema adds to the prompt; never raises, whatever it is."""
    declared = _declared(schema)
    called = name or getattr(schema, "__name__", "")
    head = f"# Response Formats\n\n## {called}\n\n" + (f"// {about}\n" if about else "")
    try:
        return head + as_json(_billed(declared))
    except (RecursionError, RuntimeError):  # RuntimeError: changed while it was read.
        return head + as_json(declared)


def as_json(value: object) -> str:
    """Return minified JSON; what JSON cannot say as Python's text; "" where nothing helps."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
    except (ValueError, TypeError, RuntimeError, RecursionError):
        return ""


def bulk(value: object, most: int) -> int:
    """Return what writing and encoding a declaration or a schema weighs; past ``most``, a part."""
    if isinstance(value, type):
        fields = getattr(value, "model_fields", None)
        return _FIELD * len(fields) if isinstance(fields, Mapping) else 0
    total, left = 0, [value]
    while left and total <= most:
        part = left.pop()
        if isinstance(part, str):
            total += weight(part)
        elif isinstance(part, Mapping):
            total += _KEY * len(part)
            left += [*part, *part.values()] if total <= most else ()
        elif isinstance(part, (list, tuple)):
            total += _KEY * len(part)
            left += part if total <= most else ()
    return total


def _billed(schema: object) -> object:
    if isinstance(schema, Mapping):
        return {key: _billed(value) for key, value in schema.items() if not _is_free(key, value)}
    if isinstance(schema, (list, tuple)):
        return [_billed(value) for value in schema]
    return schema


def _is_free(key: object, value: object) -> bool:
    """Tell what is left out; a property may bear such a name, but not such a value."""
    if key == "required":
        return isinstance(value, (list, tuple))
    return key == "additionalProperties" and isinstance(value, bool)


def _declared(schema: object) -> object:
    """Return the schema that a class (pydantic's) stands for, any other as it is."""
    declare = getattr(schema, "model_json_schema", None) if isinstance(schema, type) else None
    if declare is None:
        return schema
    try:
        return declare()
    except Exception:  # noqa: BLE001 - the application's own code
        return None
