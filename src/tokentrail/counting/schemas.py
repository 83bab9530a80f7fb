"""Schemas: how the server writes the schema of a structured output into the prompt.

In the form of OpenAI's open "harmony" format, as minified JSON in ASCII. Left out are the keywords
that are the same in every strict schema (``required``, ``additionalProperties``) and those that it
may not have (defaults, bounds).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from tokentrail.counting.rules import RuleId
from tokentrail.counting.text import weight

_KEY = 8
"""Weight of a key, or of a value that is not text: the work of reading and writing it."""
_FIELD = 256
"""Weight of a field of a class, before its schema is built."""
_LEFT_OUT = frozenset({"default", "minimum", "maximum", "minItems", "maxItems"})
_UNDERSTOOD = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "items",
        "properties",
        "required",
        "title",
        "type",
        *_LEFT_OUT,
    }
)
_NAMES = frozenset({"properties", "$defs", "definitions"})
"""Keywords with names as keys."""


def render_schema(schema: object, name: str | None, about: str | None) -> tuple[str, set[RuleId]]:
    """Return the text that a schema adds to the prompt, and by which rules; never raises."""
    rules = {RuleId.SCHEMA_CLASS} if isinstance(schema, type) else set()
    declared = _declared(schema)
    called = schema_name(schema, name)
    head = f"# Response Formats\n\n## {called}\n\n" + (f"// {about}\n" if about else "")
    try:
        text = as_json(_billed(declared, rules), ascii_only=True)
    except (RecursionError, RuntimeError):  # RuntimeError: changed while being read.
        rules.add(RuleId.SCHEMA_OTHERWISE)
        text = as_json(declared)
    if "\\u" in text:
        rules.add(RuleId.SCHEMA_ESCAPED)
    return head + text, rules


def schema_name(schema: object, name: str | None) -> str:
    """Return the name of a schema."""
    return name or str(getattr(schema, "__name__", ""))


def as_json(value: object, *, ascii_only: bool = False) -> str:
    """Return minified JSON; ``str()`` of values that JSON does not have; "" if that fails."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only, default=str)
    except (ValueError, TypeError, RuntimeError, RecursionError):
        return ""


def bulk(value: object, most: int) -> int:
    """Return the weight of writing and encoding a declaration or schema; stop above ``most``."""
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


def _billed(schema: object, rules: set[RuleId], *, names: bool = False) -> object:
    """Return the written part of a schema; ``names``: its keys are names, not keywords."""
    if isinstance(schema, (list, tuple)):
        return [_billed(value, rules) for value in schema]
    if not isinstance(schema, Mapping):
        return schema
    if names:
        return {key: _billed(value, rules) for key, value in schema.items()}
    if not schema.keys() <= _UNDERSTOOD:
        rules.add(RuleId.SCHEMA_OTHERWISE)
    if "anyOf" in schema:
        rules.add(RuleId.SCHEMA_UNION)
    if not _LEFT_OUT.isdisjoint(schema):
        rules.add(RuleId.SCHEMA_LEFT_OUT)
    return {
        key: _billed(value, rules, names=key in _NAMES)
        for key, value in schema.items()
        if not _is_free(key, value)
    }


def _is_free(key: object, value: object) -> bool:
    if key == "required":
        return isinstance(value, (list, tuple))
    return key in _LEFT_OUT or (key == "additionalProperties" and isinstance(value, bool))


def _declared(schema: object) -> object:
    """Return the schema of a pydantic class, and any other schema as it is."""
    declare = getattr(schema, "model_json_schema", None) if isinstance(schema, type) else None
    if declare is None:
        return schema
    try:
        return declare()
    except Exception:  # noqa: BLE001 - the application's own code
        return None
