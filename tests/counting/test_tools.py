"""Tool declarations: how they are rendered; what was billed for them is in facts.py."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.counting import facts

from tokentrail.counting import InputTally
from tokentrail.counting.tools import MalformedError, render
from tokentrail.operation import Message, Prompt

PUBLISHED = Path(__file__).parents[3] / "shared" / "reference" / "published-counts.json"


HELLO = (Message("user", ("hello",)),)


def count(encoding, prompt, model="gpt-4"):
    tally = InputTally(prompt)
    for _ in tally.steps(encoding, model):
        pass
    return tally


def test_the_published_file_is_among_the_facts():
    """The 12 cases of the reference: none is off by more than 1."""
    if not PUBLISHED.exists():
        pytest.skip("the reference is not here")
    known = [
        (fact.request["tools"], fact.request["tool_choice"], fact.billed)
        for fact in facts.FACTS
        if fact.category == facts.TOOLS and fact.source == "helper" and abs(fact.error) <= 1
    ]
    for case in json.loads(PUBLISHED.read_text())["tools"]:
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
    assert render([declared]).split("\n") == [
        "namespace functions {",
        "",
        "// Book a table",
        "type book = (_: {",
        "guests: number,",
        "tags?: string[],",
        "where?: {",
        " // Not outside",
        " indoors?: boolean,",
        "},",
        "}) => any;",
        "",
        "} // namespace functions",
    ]


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
    {"function": "f"},
]


@pytest.mark.parametrize("tool", WRONG)
def test_a_wrong_shape_is_an_estimate_never_an_error(o200k, tool):
    with pytest.raises(MalformedError):
        render([tool])
    tally = count(o200k, Prompt(messages=HELLO, tools=(tool,)))
    assert not tally.exact
    assert tally.tokens > 8


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "type", "properties", "items", "enum", "required", "parameters"]
            )
            | st.text(max_size=3),
            inner | st.sampled_from(["object", "array", "string"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    tool=st.dictionaries(st.sampled_from(["name", "description", "parameters", "function"]), JSON)
)
@settings(max_examples=150, deadline=None)
def test_no_declaration_raises(o200k, tool):
    tally = count(o200k, Prompt(messages=HELLO, tools=(tool,)))
    assert tally.tokens > 8
