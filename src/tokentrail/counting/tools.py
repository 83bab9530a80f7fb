"""Tools: how the server writes function declarations into the prompt.

The declarations are rendered as TypeScript, in the form of OpenAI's open "harmony" format, which
fits recorded exchanges of all its models: a comment for each line of a description, for a title
(and an empty comment below it, if a description follows) and after a property for its default;
properties without any comment on one line. Keywords other than these are left out.
Declarations come from the application: any malformed one raises MalformedError.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from tokentrail.counting.rules import RuleId

_SCALARS = {"boolean": "boolean", "null": "null", "string": "string"}
_NUMBERS = ("integer", "number")
_UNIONS = (("anyOf", " | "), ("oneOf", " | "), ("allOf", " & "))
_DEPTH = 32
"""A schema nested deeper than this is treated as one that contains itself."""
_TYPES = 20_000
"""More types than this in all declarations mean references that multiply."""

_FORMS = {
    "title": RuleId.DECLARED_TITLE,
    "default": RuleId.DECLARED_DEFAULT,
    "enum": RuleId.DECLARED_ENUM,
    "const": RuleId.DECLARED_ENUM,
    "$ref": RuleId.DECLARED_REFERENCE,
    **{name: RuleId.DECLARED_UNION for name, _ in _UNIONS},
}
_UNDERSTOOD = frozenset(
    {
        "$defs",
        "additionalProperties",
        "definitions",
        "description",
        "items",
        "properties",
        "required",
        "type",
        *_FORMS,
    }
)


class MalformedError(ValueError):
    """A declaration that cannot be rendered."""


class Rendering:
    """The declarations of functions, as the server seems to write them."""

    __slots__ = ("_left", "_root", "_text", "_within", "described", "rules")

    def __init__(self) -> None:
        """Start without any function."""
        self._text = ["namespace functions {\n\n"]
        self._root: Mapping[str, object] = {}
        self._within: list[str] = []
        self._left = _TYPES
        self.described = False
        """At least one function has a description."""
        self.rules = {RuleId.DECLARATION}
        """The rules that the declarations so far need."""

    def add(self, tool: Mapping[str, object]) -> None:
        """Write one more function."""
        function = _mapping(tool.get("function", tool))
        name = _string(function.get("name"))
        comment = self._comment(function.get("description"))
        self.described = self.described or bool(comment)
        self._root = parameters = _mapping(function.get("parameters") or {})
        argument = ""
        if parameters.get("properties"):
            self._judge(parameters)
            argument = f"_: {self._heading(parameters)}{self._object(parameters, 0)}"
        self._text.append(f"{comment}type {name} = ({argument}) => any;\n\n")

    def text(self) -> str:
        """Return all declarations as one text."""
        return "".join((*self._text, "} // namespace functions"))

    def _object(self, schema: Mapping[str, object], depth: int) -> str:
        required = schema.get("required") or ()
        if not isinstance(required, Sequence):
            message = f"required is a {type(required).__name__}"
            raise MalformedError(message)
        lines, commented = [], False
        for key, value in _mapping(schema.get("properties") or {}).items():
            declared = self._resolved(_mapping(value))
            mark = "" if key in required else "?"
            above, behind = self._heading(declared), self._default(declared)
            commented = commented or bool(above or behind)
            lines.append((above, f"{key}{mark}: {self._type(_mapping(value), depth)}", behind))
        if lines and not commented:
            return "{ " + ", ".join(line for _, line, _ in lines) + " }"
        return "{\n" + "".join(f"{up}{line},{behind}\n" for up, line, behind in lines) + "}"

    def _heading(self, declared: Mapping[str, object]) -> str:
        """Return the comments above a property, or above all parameters."""
        about = self._comment(declared.get("description"))
        title = declared.get("title")
        if not title:
            return about
        return f"// {_string(title)}\n//\n{about}" if about else f"// {_string(title)}\n"

    def _comment(self, description: object) -> str:
        if not description:
            return ""
        lines = _string(description).strip().split("\n")
        if len(lines) > 1:
            self.rules.add(RuleId.DECLARED_LINES)
        return "".join(f"// {line.strip()}".rstrip() + "\n" for line in lines)

    def _default(self, declared: Mapping[str, object]) -> str:
        if "default" not in declared:
            return ""
        value = declared["default"]
        bare = isinstance(value, str) and "enum" in declared
        return f" // default: {value if bare else json.dumps(value, default=str)}"

    def _type(self, schema: Mapping[str, object], depth: int) -> str:
        self._left -= 1
        if depth > _DEPTH or self._left < 0:
            message = "a schema nested too deeply"
            raise MalformedError(message)
        self._judge(schema)
        if "$ref" in schema:
            return self._referred(_string(schema["$ref"]), depth)
        for name, sign in _UNIONS:
            choices = schema.get(name)
            if isinstance(choices, (list, tuple)):
                return self._union(map(_mapping, choices), sign, depth)
        kind = schema.get("type")
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(values, Sequence) and not isinstance(values, str) and kind != "boolean":
            return " | ".join(_literal(value, kind) for value in values)
        if isinstance(kind, (list, tuple)):
            self.rules.add(RuleId.DECLARED_UNION)
            return self._union(({**schema, "type": one} for one in kind), " | ", depth)
        return self._plain(kind, schema, depth)

    def _plain(self, kind: object, schema: Mapping[str, object], depth: int) -> str:
        if kind in _NUMBERS:
            return "number"
        if kind == "array":
            self.rules.add(RuleId.DECLARED_ARRAY)
            items = schema.get("items")
            return f"{self._type(_mapping(items), depth + 1)}[]" if items else "any[]"
        if kind == "object":
            self.rules.add(RuleId.DECLARED_OBJECT if depth == 0 else RuleId.DECLARED_NESTED)
            return self._object(schema, depth + 1)
        return _SCALARS.get(kind, "any") if isinstance(kind, str) else "any"

    def _union(self, schemas: Iterable[Mapping[str, object]], sign: str, depth: int) -> str:
        types = [self._type(schema, depth) for schema in schemas]
        return sign.join(dict.fromkeys(types))

    def _resolved(self, schema: Mapping[str, object]) -> Mapping[str, object]:
        """Return a property merged with what its reference points to, if it has a valid one."""
        reference = schema.get("$ref")
        if not isinstance(reference, str) or reference in self._within:
            return schema
        return {**self._target(reference), **schema}

    def _referred(self, reference: str, depth: int) -> str:
        """Return the type that a reference names; "any" if it contains itself."""
        if reference in self._within:
            return "any"
        self._within.append(reference)
        try:
            return self._type(self._target(reference), depth)
        finally:
            self._within.pop()

    def _target(self, reference: str) -> Mapping[str, object]:
        """Return the schema that a reference into the function's own parameters points to."""
        first, *steps = reference.split("/")
        found: object = self._root if first == "#" else None
        for step in steps:
            found = _mapping(found).get(step.replace("~1", "/").replace("~0", "~"))
        return _mapping(found)

    def _judge(self, schema: Mapping[str, object]) -> None:
        """Note the rules that a schema needs; keywords that are left out have a rule too."""
        self.rules.update(rule for key, rule in _FORMS.items() if key in schema)
        known = schema.keys() <= _UNDERSTOOD
        if not known or not isinstance(schema.get("additionalProperties", False), bool):
            self.rules.add(RuleId.DECLARED_OTHERWISE)


def _literal(value: object, kind: object) -> str:
    quoted = kind not in _NUMBERS if isinstance(kind, str) else isinstance(value, str)
    if quoted:
        return f'"{value}"'
    return f"{value}" if kind in _NUMBERS else json.dumps(value, default=str)


def _mapping(value: object) -> Mapping[str, object]:
    if isinstance(value, Mapping):
        return value
    message = f"an object was expected, not a {type(value).__name__}"
    raise MalformedError(message)


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    message = f"a text was expected, not a {type(value).__name__}"
    raise MalformedError(message)
