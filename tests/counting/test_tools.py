"""Tool declarations: how they are rendered; what was billed for them is in facts.py."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.counting import facts
from tests.shared import OUTSIDE

from tokentrail.counting import InputTally
from tokentrail.counting.rules import RuleId, all_proven
from tokentrail.counting.text import INLINE
from tokentrail.counting.tools import MalformedError, Rendering
from tokentrail.model.records import Message, Prompt

PUBLISHED = "reference/published-counts.json"


HELLO = (Message("user", ("hello",)),)


def count(encoding, prompt, model="gpt-4"):
    tally = InputTally(prompt)
    for _ in tally.steps(encoding, model):
        pass
    return tally


def rendered(*tools):
    rendering = Rendering()
    for tool in tools:
        rendering.add(tool)
    return rendering


def lines_of(*tools):
    return rendered(*tools).text().split("\n")


@pytest.mark.outside(PUBLISHED)
def test_the_published_file_is_among_the_facts():
    """The 12 cases of the reference: none is off by more than 1."""
    known = [
        (fact.request["tools"], fact.request["tool_choice"], fact.billed)
        for fact in facts.FACTS
        if fact.category == facts.TOOLS and fact.source == "helper" and abs(fact.error) <= 1
    ]
    for case in json.loads((OUTSIDE / PUBLISHED).read_text())["tools"]:
        tools = [{**tool, "function": _stripped(tool["function"])} for tool in case["tools"]]
        assert (tools, case["tool_choice"], case["cl100k_base"]) in known


def _stripped(declared):
    """Leave out an empty list of required properties."""
    parameters = declared.get("parameters")
    if parameters is None or parameters.get("required", True):
        return declared
    rest = {key: value for key, value in parameters.items() if key != "required"}
    return {**declared, "parameters": rest}


def test_a_declaration_is_rendered_as_typescript():
    declared = facts.function(
        "book",
        "Book a table",
        properties={
            "guests": {"type": "integer"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "where": {
                "type": "object",
                "properties": {"indoors": {"type": "boolean", "description": "Not outside"}},
            },
        },
        required=["guests"],
    )
    assert lines_of(declared) == [
        "namespace functions {",
        "",
        "// Book a table",
        "type book = (_: { guests: number, tags?: string[], where?: {",
        "// Not outside",
        "indoors?: boolean,",
        "} }) => any;",
        "",
        "} // namespace functions",
    ]


def test_a_boolean_of_one_value_is_a_boolean():
    """As a strict schema narrows one: it has no literals."""
    form = {"type": "boolean", "enum": [True]}
    rendering = rendered(facts.function("f", properties={"a": form}))
    assert "(_: { a?: boolean })" in rendering.text()


def test_comments_stand_each_on_a_line_of_its_own():
    """Titles, descriptions of several lines and defaults; what has none shares its line."""
    declared = facts.function(
        "book",
        " Book a table.\n\n  Or two. ",
        title="Booking",
        properties={
            "guests": {"type": "integer", "title": "Guests", "default": 2},
            "where": {"type": "string", "title": "Where", "description": "In or out"},
        },
    )
    assert lines_of(declared)[2:-2] == [
        "// Book a table.",
        "//",
        "// Or two.",
        "type book = (_: // Booking",
        "{",
        "// Guests",
        "guests?: number, // default: 2",
        "// Where",
        "//",
        "// In or out",
        "where?: string,",
        "}) => any;",
    ]


ADDRESS = {"type": "object", "properties": {"street": {"type": "string"}}}
FORMS = {
    "a reference": ({"$ref": "#/$defs/Address"}, "{ street?: string }"),
    "a reference of old": ({"allOf": [{"$ref": "#/$defs/Address"}]}, "{ street?: string }"),
    "a reference with signs in its name": ({"$ref": "#/$defs/a~1b~0c"}, "number"),
    "a reference with an escaped escape": ({"$ref": "#/$defs/d~01e"}, "boolean"),
    "a boolean constant": ({"const": True, "type": "boolean"}, "boolean"),
    "something or null": ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string | null"),
    "one of": ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "string | number"),
    "two types": ({"type": ["string", "null"]}, "string | null"),
    "the same twice": ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, "number"),
    "choices and null": ({"type": ["string", "null"], "enum": ["a", None]}, '"a" | null'),
    "a constant": ({"const": "a", "type": "string"}, '"a"'),
    "a constant without a type": ({"const": 5}, "5"),
    "a list of objects": ({"type": "array", "items": {"$ref": "#/$defs/a~1b~0c"}}, "number[]"),
}
DEFS = {"Address": ADDRESS, "a/b~c": {"type": "integer"}, "d~1e": {"type": "boolean"}, "d/e": {}}


@pytest.mark.parametrize(("form", "written"), FORMS.values(), ids=FORMS)
def test_a_form_is_written_as_typescript_has_it(form, written):
    declared = facts.function("f", properties={"a": form})
    declared["parameters"]["$defs"] = DEFS
    rendering = rendered(declared)
    assert f"(_: {{ a?: {written} }})" in rendering.text()


RULES_OF = {
    "scalars": ({"a": {"type": "string"}, "b": {"type": "boolean"}, "c": {}}, set()),
    "an enum": ({"a": {"type": "integer", "enum": [1, 2]}}, {RuleId.DECLARED_ENUM}),
    "a constant": ({"a": {"const": "b"}}, {RuleId.DECLARED_ENUM}),
    "an array": ({"a": {"type": "array", "items": {"type": "string"}}}, {RuleId.DECLARED_ARRAY}),
    "an object": ({"a": ADDRESS}, {RuleId.DECLARED_OBJECT}),
    "an object in an object": (
        {"a": {"type": "object", "properties": {"b": ADDRESS}}},
        {RuleId.DECLARED_OBJECT, RuleId.DECLARED_NESTED},
    ),
    "no other properties": (
        {"a": {**ADDRESS, "additionalProperties": False}},
        {RuleId.DECLARED_OBJECT},
    ),
    "other properties of a type": (
        {"a": {**ADDRESS, "additionalProperties": {"type": "string"}}},
        {RuleId.DECLARED_OBJECT, RuleId.DECLARED_OTHERWISE},
    ),
    "a title": ({"a": {"type": "string", "title": "A"}}, {RuleId.DECLARED_TITLE}),
    "a default": ({"a": {"type": "integer", "default": 5}}, {RuleId.DECLARED_DEFAULT}),
    "a choice": ({"a": {"anyOf": [{"type": "null"}]}}, {RuleId.DECLARED_UNION}),
    "a pattern": ({"a": {"type": "string", "pattern": "b"}}, {RuleId.DECLARED_OTHERWISE}),
}


@pytest.mark.parametrize(("properties", "rules"), RULES_OF.values(), ids=RULES_OF)
def test_a_declaration_names_the_rules_it_is_written_by(o200k, properties, rules):
    """A count with it is exact where each of them is proven."""
    tool = facts.function("f", properties=properties)
    used = {RuleId.DECLARATION, *rules}
    assert rendered(tool).rules == used
    tally = count(o200k, Prompt(messages=HELLO, tools=(tool,)))
    assert {part.rule for part in tally.parts} >= used
    assert tally.exact is all_proven(used)


def test_a_type_within_itself_is_named_once():
    """A tree is no tower: what it says of itself inside is left out."""
    node = {
        "type": "object",
        "properties": {side: {"$ref": "#/$defs/Node"} for side in ("left", "right")},
    }
    tool = facts.function("f", properties={"root": {"$ref": "#/$defs/Node"}})
    tool["parameters"]["$defs"] = {"Node": node}
    assert "(_: { root?: { left?: any, right?: any } })" in rendered(tool).text()


def test_what_a_property_refers_to_describes_it():
    declared = facts.function("f", properties={"at": {"$ref": "#/$defs/Place"}})
    declared["parameters"]["$defs"] = {"Place": {"type": "string", "description": "A town"}}
    assert lines_of(declared)[2:-2] == ["type f = (_: {", "// A town", "at?: string,", "}) => any;"]


def doubling(depth=40):
    """References to references, each twice: 2 to the 40th types."""
    defs = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(depth)}
    defs[f"d{depth}"] = {"type": "string"}
    return {"properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": defs}


def wide():
    """The same, but not deep."""
    defs = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 20} for n in range(9)}
    return {"properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": {**defs, "d9": {}}}


def big(properties):
    about = {"type": "string", "description": "The quick brown fox jumps over it. " * 6}
    return facts.function("f", properties={f"p{n}": about for n in range(properties)})


def test_declarations_weigh_what_they_say(o200k):
    """A large one goes to the worker, and is not read to its end to know that."""
    small = InputTally(Prompt(messages=HELLO, tools=(TOOL,) * 5))
    assert len(o200k.encode_ordinary(rendered(*[TOOL] * 5).text())) < small.weight < INLINE
    for prompt in (
        Prompt(messages=HELLO, tools=(big(40),)),
        Prompt(messages=HELLO, schema=big(40)["parameters"]),
        Prompt(messages=HELLO, schema={"description": "word " * 2_000, "enum": ("a", "b")}),
        Prompt(messages=HELLO, tools=({"name": "f", "parameters": {"enum": ["word"] * 10**6}},)),
    ):
        assert InputTally(prompt).weight > INLINE
    assert InputTally(Prompt(tools=(big(2),), schema=big(3))).weight < INLINE


TOOL = facts.function("look", "Look around", properties={"at": {"type": "string"}})


def test_a_class_weighs_by_its_fields(monkeypatch):
    """Its schema is not asked for: that may take long, and is the application's own code."""

    class Answer:
        model_fields = dict.fromkeys("abc")

        @classmethod
        def model_json_schema(cls):
            pytest.fail("asked")

    few = InputTally(Prompt(messages=HELLO, schema=Answer)).weight
    monkeypatch.setattr(Answer, "model_fields", dict.fromkeys(range(100)))
    assert few < INLINE < InputTally(Prompt(messages=HELLO, schema=Answer)).weight
    monkeypatch.setattr(Answer, "model_fields", None)
    assert InputTally(Prompt(messages=HELLO, schema=Answer)).weight < few


def recursive():
    schema = {"type": "object", "properties": {}}
    schema["properties"]["self"] = schema
    return schema


WRONG = [
    {},
    {"name": None},
    {"name": 5},
    {"name": "f", "description": ["d"]},
    {"name": "f", "parameters": "none"},
    {"name": "f", "parameters": {"properties": ["a"]}},
    {"name": "f", "parameters": {"properties": {"a": None}}},
    {"name": "f", "parameters": {"properties": {"a": {}}, "required": 5}},
    {"name": "f", "parameters": {"properties": {"a": {"type": "array", "items": [1]}}}},
    {"name": "f", "parameters": recursive()},
    {"name": "f", "parameters": doubling()},
    {"name": "f", "parameters": wide()},
    {"name": "f", "parameters": {"properties": {"a": {"$ref": "#/$defs/none"}}}},
    {"name": "f", "parameters": {"properties": {"a": {"$ref": "https://example.org/a"}}}},
    {"name": "f", "parameters": {"properties": {"a": {"$ref": "b/$defs/A"}}, "$defs": {"A": {}}}},
    {"name": "f", "parameters": {"properties": {"a": {"$ref": 5}}}},
    {"name": "f", "parameters": {"properties": {"a": {"anyOf": [5]}}}},
    {"function": "f"},
]


@pytest.mark.parametrize("tool", WRONG)
def test_a_wrong_shape_is_an_estimate_never_an_error(o200k, tool):
    with pytest.raises(MalformedError):
        rendered(tool)
    tally = count(o200k, Prompt(messages=HELLO, tools=(tool,)))
    assert not tally.exact
    assert tally.tokens > 8


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "type",
                    "properties",
                    "items",
                    "enum",
                    "required",
                    "parameters",
                    "anyOf",
                    "$ref",
                    "$defs",
                    "const",
                ]
            )
            | st.text(max_size=3),
            inner | st.sampled_from(["object", "array", "string", "#", "#/$defs/name"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    tool=st.dictionaries(st.sampled_from(["name", "description", "parameters", "function"]), JSON)
)
@settings(max_examples=150)
def test_no_declaration_raises(o200k, tool):
    tally = count(o200k, Prompt(messages=HELLO, tools=(tool,)))
    assert tally.tokens > 8
