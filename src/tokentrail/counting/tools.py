"""Tools: how the server writes function declarations into the prompt.

The declarations are rendered as TypeScript, a form found by experiment (hmarr/openai-chat-tokens,
forestwanglin/openai-java, pamelafox/openai-messages-token-helper), here with one space of
indentation for each level of nesting: of the forms tried it fits the published counts best (14 of
18 exact, the others off by 1 or 2). No published count has a reference, a union, a title, a default
or objects in objects: those are written as TypeScript would have them, which is a guess.
Declarations come from the caller: a wrong shape raises MalformedError, whatever is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

_SCALARS = {"boolean": "boolean", "null": "null", "string": "string"}
_NUMBERS = ("integer", "number")
_UNIONS = (("anyOf", " | "), ("oneOf", " | "), ("allOf", " & "))
_DEPTH = 32
"""Nested deeper than this, a schema is taken to contain itself."""
_TYPES = 20_000
"""More types than this in all declarations are references to references to references."""

_BILLED = frozenset(
    {"additionalProperties", "description", "enum", "items", "properties", "required", "type"}
)
_BILLED_KINDS = (None, "string", *_NUMBERS, "boolean")
"""What stands in the declarations of which it is known what was billed."""


class MalformedError(ValueError):
    """A declaration that cannot be rendered."""


class Rendering:
    """The declarations of functions, as the server is believed to write them."""

    __slots__ = ("_left", "_lines", "_root", "_within", "exact")

    def __init__(self) -> None:
        """Begin without a function."""
        self._lines = ["namespace functions {", ""]
        self._root: Mapping[str, object] = {}
        self._within: list[str] = []
        self._left = _TYPES
        self.exact = True
        """Every form that was met is one that has a billed example."""

    def add(self, tool: Mapping[str, object]) -> None:
        """Write one more function."""
        function = _mapping(tool.get("function", tool))
        name = _text(function.get("name"))
        self._lines += _comment(function)
        self._root = parameters = _mapping(function.get("parameters") or {})
        self._judge(parameters, -1)
        properties = self._properties(parameters, 0)
        if properties:
            self._lines += [f"type {name} = (_: {{", *properties, "}) => any;", ""]
        else:
            self._lines += [f"type {name} = () => any;", ""]

    def text(self) -> str:
        """Return all of it."""
        return "\n".join((*self._lines, "} // namespace functions"))

    def _properties(self, schema: Mapping[str, object], depth: int) -> list[str]:
        required = schema.get("required") or ()
        if not isinstance(required, Sequence):
            message = f"required is a {type(required).__name__}"
            raise MalformedError(message)
        lines = []
        for key, value in _mapping(schema.get("properties") or {}).items():
            declared = _mapping(value)
            mark = "" if key in required else "?"
            lines += _comment(declared)
            lines.append(f"{key}{mark}: {self._type(declared, depth)},")
        return [" " * depth + line for line in lines]

    def _type(self, schema: Mapping[str, object], depth: int) -> str:
        self._left -= 1
        if depth > _DEPTH or self._left < 0:
            message = "a schema nested too deeply"
            raise MalformedError(message)
        self._judge(schema, depth)
        if "$ref" in schema:
            return self._referred(_text(schema["$ref"]), depth)
        for name, sign in _UNIONS:
            choices = schema.get(name)
            if isinstance(choices, (list, tuple)):
                return self._union(map(_mapping, choices), sign, depth)
        kind = schema.get("type")
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(values, Sequence) and not isinstance(values, str) and kind != "boolean":
            return " | ".join(_literal(value, kind) for value in values)
        if isinstance(kind, (list, tuple)):
            return self._union(({**schema, "type": one} for one in kind), " | ", depth)
        return self._plain(kind, schema, depth)

    def _plain(self, kind: object, schema: Mapping[str, object], depth: int) -> str:
        if kind in _NUMBERS:
            return "number"
        if kind == "array":
            items = schema.get("items")
            return f"{self._type(_mapping(items), depth + 1)}[]" if items else "any[]"
        if kind == "object":
            return "\n".join(("{", *self._properties(schema, depth + 1), "}"))
        return _SCALARS.get(kind, "any") if isinstance(kind, str) else "any"

    def _union(self, schemas: Iterable[Mapping[str, object]], sign: str, depth: int) -> str:
        types = [self._type(schema, depth) for schema in schemas]
        return sign.join(dict.fromkeys(types))

    def _referred(self, reference: str, depth: int) -> str:
        """Return the type that a reference names, "any" where it stands within itself."""
        if reference in self._within:
            return "any"
        self._within.append(reference)
        try:
            return self._type(self._target(reference), depth)
        finally:
            self._within.pop()

    def _target(self, reference: str) -> Mapping[str, object]:
        """Return what a reference into the function's own parameters points to."""
        first, *steps = reference.split("/")
        found: object = self._root if first == "#" else None
        for step in steps:
            found = _mapping(found).get(step.replace("~1", "/").replace("~0", "~"))
        return _mapping(found)

    def _judge(self, schema: Mapping[str, object], depth: int) -> None:
        """Note a form that no billed example has; ``depth`` is -1 for a function's parameters."""
        kind, more = schema.get("type"), schema.get("additionalProperties", False)
        known = kind in _BILLED_KINDS
        if kind == "object":
            known = depth <= 0
        elif kind == "array":
            items = schema.get("items")
            known = isinstance(items, Mapping) and items.get("type") == "string"
            known = known and "enum" not in _mapping(items)
        known = known and isinstance(more, bool) and schema.keys() <= _BILLED
        self.exact = self.exact and known


def _literal(value: object, kind: object) -> str:
    quoted = kind not in _NUMBERS if isinstance(kind, str) else isinstance(value, str)
    if quoted:
        return f'"{value}"'
    return f"{value}" if kind in _NUMBERS else json.dumps(value, default=str)


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
