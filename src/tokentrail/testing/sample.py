"""Values that fit a JSON schema: the stand-in model's arguments for a tool."""

from __future__ import annotations

from collections.abc import Mapping

_WORDS = {"city": "Paris", "location": "Paris", "name": "Ada", "unit": "c"}
_PLAIN: Mapping[str, object] = {"integer": 3, "number": 0.5, "boolean": True, "null": None}


def sample(schema: object, name: str = "") -> object:
    """Return a value of the schema's type; an object has all its properties."""
    if not isinstance(schema, Mapping):
        return None
    return _sample(schema, name, schema.get("$defs", {}))


def _sample(schema: Mapping[str, object], name: str, defs: object) -> object:
    schema = _resolved(schema, defs)
    if isinstance(choices := schema.get("enum"), list) and choices:
        return choices[0]
    if "const" in schema:
        return schema["const"]
    if isinstance(properties := schema.get("properties"), Mapping):
        return {key: _sample(part, key, defs) for key, part in properties.items()}
    if isinstance(items := schema.get("items"), Mapping):
        return [_sample(items, name, defs)]
    kind = schema.get("type")
    if kind in ("object", "array"):
        return {} if kind == "object" else []
    return _PLAIN.get(str(kind), _WORDS.get(name, "word"))


def _resolved(schema: Mapping[str, object], defs: object) -> Mapping[str, object]:
    if isinstance(options := schema.get("anyOf"), list) and options:
        schema = options[0]
    reference = schema.get("$ref")
    if isinstance(reference, str) and isinstance(defs, Mapping):
        found = defs.get(reference.rpartition("/")[2])
        return found if isinstance(found, Mapping) else {}
    return schema
