"""What a prompt costs beside its texts, and how it is counted; what was billed is in facts.py."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.counting import facts
from tests.shared import OUTSIDE

from tokentrail.apis.chat.messages import read_messages
from tokentrail.counting import InputTally
from tokentrail.counting.rules import RuleId
from tokentrail.counting.text import INLINE
from tokentrail.model.records import Image, Message, Prompt, ToolCall

PUBLISHED = "reference/published-counts.json"


def count(encoding, prompt, model="gpt-4o"):
    tally = InputTally(prompt)
    for _ in tally.steps(encoding, model):
        pass
    return tally


def messages(*pairs):
    return Prompt(messages=tuple(Message(role, (text,)) for role, text in pairs))


COOKBOOK = Prompt(messages=read_messages(facts.COOKBOOK))


@pytest.mark.outside(PUBLISHED)
def test_the_published_messages_are_among_the_facts():
    published = [
        (case["message"], case["cl100k_base"], case["o200k_base"])
        for case in json.loads((OUTSIDE / PUBLISHED).read_text())["single_messages"]
    ]
    assert published == facts.SINGLE


def test_models_that_reason_are_one_lower(o200k):
    asked = messages(("user", "Say this is a test"))
    assert count(o200k, asked, "gpt-5.4").tokens == count(o200k, asked, "gpt-4o").tokens - 1


def test_bare_texts_and_ids_have_no_frame(cl100k):
    texts = Prompt(texts=("hello world", "This is a test"), token_ids=5)
    assert count(cl100k, texts, "text-embedding-3-small").tokens == 2 + 4 + 5
    assert count(cl100k, texts).exact


def test_nothing_costs_nothing(cl100k):
    assert count(cl100k, Prompt()).tokens == 0


def test_text_parts_of_a_message_are_joined_and_then_encoded(o200k):
    parts = count(o200k, Prompt(messages=(Message("user", ("in", "ternational")),)))
    joined = count(o200k, Prompt(messages=(Message("user", ("international",)),)))
    assert parts.tokens == joined.tokens
    assert RuleId.TEXT_PARTS in {part.rule for part in parts.parts}


def test_a_name_costs_its_tokens_and_one_or_nothing_if_it_equals_the_role(o200k):
    def tokens(name):
        return count(o200k, Prompt(messages=(Message("user", ("hi",), name),))).tokens

    assert tokens("anna") - tokens(None) == len(o200k.encode_ordinary("anna")) + 1
    assert tokens("user") - tokens(None) == 1


def asked(*messages, tools=(), responses=False, **more):
    said = [Message("user", ("hi",)), *messages]
    return Prompt(messages=tuple(said), tools=tools, of_responses=responses, **more)


LOOK = facts.function("look", "Look around", properties={"at": {"type": "string"}})
DECLARED = """namespace functions {

// Look around
type look = (_: { at?: string }) => any;

} // namespace functions"""
TOOLS_COST = [
    ("gpt-4o", False, 9),
    ("gpt-4o", True, 3),
    ("gpt-5.4", False, 91),
    ("gpt-5", True, 9),
    ("o4-mini", False, 10),
]


@pytest.mark.parametrize(("model", "responses", "frame"), TOOLS_COST)
def test_tools_cost_their_declarations_and_a_frame_by_family_and_api(
    o200k, model, responses, frame
):
    bare = count(o200k, asked(responses=responses), model).tokens
    tally = count(o200k, asked(tools=(LOOK,), responses=responses), model)
    assert tally.tokens - bare == len(o200k.encode_ordinary(DECLARED)) + frame


def test_an_earlier_answer_costs_a_model_that_reasons_two_more(o200k):
    answer = Message("assistant", ("yes",))
    plain, thinking = (
        count(o200k, asked(answer), model).tokens - count(o200k, asked(), model).tokens
        for model in ("gpt-4o", "gpt-5.4")
    )
    assert thinking == plain + 2


IMAGE = Image("https://example.org/a.png", "low")


@pytest.mark.parametrize(
    ("prompt", "model", "more", "rule"),
    [
        (Message("user", ("hi",), images=(IMAGE,)), "gpt-4o", 85, RuleId.IMAGE_TILES_LOW),
        (
            Message("user", ("hi",), images=(IMAGE, IMAGE)),
            "gpt-4o-mini",
            5666,
            RuleId.IMAGE_TILES_LOW,
        ),
        (
            Message("user", ("hi",), images=(Image(IMAGE.url, "high"),)),
            "gpt-4o",
            255,
            RuleId.IMAGE_UNSIZED,
        ),
        (
            Message("user", ("hi",), images=(Image(None, None),)),
            "gpt-5.4",
            157,
            RuleId.IMAGE_UNSIZED,
        ),
        (Message("user", ("hi",), unknown_parts=1), "gpt-4o", 0, RuleId.NOT_READ),
    ],
)
def test_what_stands_beside_the_text(o200k, prompt, model, more, rule):
    bare = count(o200k, messages(("user", "hi")), model).tokens
    tally = count(o200k, Prompt(messages=(prompt,)), model)
    assert tally.tokens - bare == more
    assert rule in {part.rule for part in tally.parts}
    assert tally.exact is (rule is RuleId.IMAGE_TILES_LOW)


def test_a_file_of_text_is_counted_and_any_other_left_out(o200k):
    bare = count(o200k, messages(("user", "hi"))).tokens
    for url, more, rule in (
        ("data:text/plain;base64,dHdvIHdvcmRz", 2, RuleId.FILE_TEXT),
        ("data:application/pdf;base64,dHdvIHdvcmRz", 0, RuleId.NOT_READ),
    ):
        tally = count(o200k, Prompt(messages=(Message("user", ("hi",), files=(url,)),)))
        assert rule in {part.rule for part in tally.parts}
        assert (tally.tokens - bare >= more) is True
        assert not tally.exact


CALL = ToolCall("look", '{"at": "sea"}', "c")


def called(*calls, results=1, responses=False):
    """Return a prompt with calls of one answer and their results, as an API has them."""
    made = [Message("assistant", tool_calls=(one,)) for one in calls]
    if not responses:
        made = [Message("assistant", tool_calls=calls)]
    back = [Message("tool", ("blue",), call_id="c")] * results
    return asked(*made, *back, responses=responses)


def test_the_calls_of_one_answer_stand_in_the_prompt_as_one(o200k):
    """As JSON of a hidden tool without blanks; its result is one list."""
    use = '{"recipient_name":"functions.look","parameters":{"at":"sea"}}'
    texts = (f'{{"tool_uses":[{use},{use}]}}', '["blue", "blue"]')
    tally = count(o200k, called(CALL, CALL, results=2))
    assert RuleId.CALLS_CHAT in {part.rule for part in tally.parts}
    apart = sum(len(o200k.encode_ordinary(text)) for text in texts)
    assert 0 < tally.tokens - count(o200k, asked()).tokens - apart < 25


def test_blanks_in_the_arguments_of_a_call_cost_nothing_in_chat(o200k):
    spaced, dense = (ToolCall("look", a) for a in ('{"at": "sea"}', '{"at":"sea"}'))
    assert count(o200k, called(spaced)).tokens == count(o200k, called(dense)).tokens
    written = [count(o200k, called(one, responses=True)).tokens for one in (spaced, dense)]
    assert written[0] > written[1]


@pytest.mark.parametrize("tools", [(), (facts.function("look", "Look around"),)])
def test_a_developer_s_message_costs_what_a_system_message_does(o200k, tools):
    """Also where it carries the tools."""
    system, developer = (
        count(o200k, Prompt(messages=(Message(role, ("Be kind",)),), tools=tools)).tokens
        for role in ("system", "developer")
    )
    assert developer == system


class Answer:
    @classmethod
    def model_json_schema(cls):
        return {"type": "object"}


class Broken:
    @classmethod
    def model_json_schema(cls):
        raise RuntimeError


def cyclic():
    schema = {}
    schema["self"] = schema
    return schema


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "object"}, '# Response Formats\n\n## \n\n{"type":"object"}'),
        (Answer, '# Response Formats\n\n## Answer\n\n{"type":"object"}'),
        (Broken, "# Response Formats\n\n## Broken\n\nnull"),
        (cyclic(), "# Response Formats\n\n## \n\n"),
        (
            {
                "properties": {"required": {"type": "string"}},
                "required": ["required"],
                "additionalProperties": False,
            },
            '# Response Formats\n\n## \n\n{"properties":{"required":{"type":"string"}}}',
        ),
        (  # what a strict schema may not have, beside what it has
            {
                "default": 1,
                "minimum": 1,
                "maximum": 2,
                "minItems": 1,
                "maxItems": 2,
                "$ref": "#/$defs/A",
            },
            '# Response Formats\n\n## \n\n{"$ref":"#/$defs/A"}',
        ),
        (  # a property of that name, and what other properties are: both are billed
            {"properties": {"additionalProperties": {}}},
            '# Response Formats\n\n## \n\n{"properties":{"additionalProperties":{}}}',
        ),
        (
            {"additionalProperties": {"type": "string"}},
            '# Response Formats\n\n## \n\n{"additionalProperties":{"type":"string"}}',
        ),
    ],
)
def test_a_schema_costs_its_text_and_is_never_an_error(o200k, schema, text):
    """In Responses with 1 beside it; in chat in a system message, and its name once more."""
    responses, chat = (
        count(o200k, asked(schema=schema, responses=api)).tokens
        - count(o200k, asked(responses=api)).tokens
        for api in (True, False)
    )
    written = len(o200k.encode_ordinary(text))
    name = len(o200k.encode_ordinary(getattr(schema, "__name__", "")))
    assert (responses, chat) == (written + 1, written + 4 + 2 + name)


def test_a_class_for_a_schema_is_never_exact(o200k):
    assert not count(o200k, asked(schema=Answer)).exact
    assert count(o200k, asked(schema={"type": "object"})).exact


@pytest.mark.parametrize(
    ("schema", "rule"),
    [
        ({"$defs": {"A": {"const": 1, "title": "A"}}, "$ref": "#/$defs/A", "enum": [1]}, None),
        ({"type": "array", "items": {}, "required": [], "description": "a"}, None),
        ({"anyOf": [{}], "properties": {"pattern": {}}}, RuleId.SCHEMA_UNION),
        ({"minimum": 1, "maxItems": 2}, RuleId.SCHEMA_LEFT_OUT),
        ({"pattern": "a"}, RuleId.SCHEMA_OTHERWISE),
        ({"description": "é"}, RuleId.SCHEMA_ESCAPED),
    ],
)
def test_a_schema_names_the_rules_it_is_written_by(o200k, schema, rule):
    plain = {part.rule for part in count(o200k, asked(schema={"type": "object"})).parts}
    rules = {part.rule for part in count(o200k, asked(schema=schema)).parts}
    assert rules - plain == ({rule} if rule else set())


@pytest.mark.parametrize(
    ("role", "rule"),
    [("reasoning", RuleId.REASONING_SEALED), ("compaction", RuleId.COMPACTION)],
)
def test_what_is_sealed_is_estimated_by_its_length(o200k, role, rule):
    sealed = Message(role, sealed=2_200)
    tally = count(o200k, Prompt(messages=(Message("user", ("hi",)), sealed)), "gpt-5")
    assert [part.tokens for part in tally.parts if part.rule is rule] == [200]


def test_a_prompt_not_fully_read_is_not_exact(o200k):
    assert not count(o200k, Prompt(texts=("hi",), incomplete=True)).exact


def test_without_an_encoding_everything_is_an_estimate(o200k):
    tally = count(None, COOKBOOK)
    assert not tally.exact
    assert tally.tokens == pytest.approx(124, rel=0.4)


def test_counting_again_gives_the_same(o200k):
    tally = InputTally(COOKBOOK)
    for _ in range(2):
        for _ in tally.steps(o200k, "gpt-4o"):
            pass
    assert tally.tokens == 124


@given(texts=st.lists(st.text(max_size=30), max_size=5), bare=st.lists(st.text(max_size=30)))
@settings(max_examples=50)
def test_the_weight_is_at_least_that_of_the_texts(texts, bare):
    prompt = Prompt(messages=(Message("user", tuple(texts)),), texts=tuple(bare))
    assert InputTally(prompt).weight >= min(INLINE, sum(map(len, (*texts, *bare))))


def test_what_is_heavy_is_not_weighed_to_its_end():
    """A conversation of 10,000 messages goes to the worker after the first few."""
    prompt = messages(*[("user", "The quick brown fox. " * 50)] * 10_000)
    looked = []

    class Counting(tuple):
        __slots__ = ()

        def __iter__(self):
            for message in super().__iter__():
                looked.append(message)
                yield message

    heavy = InputTally(Prompt(messages=Counting(prompt.messages))).weight
    assert INLINE < heavy < 3 * INLINE
    assert len(looked) < 10


def test_a_long_prompt_is_counted_in_small_steps(o200k):
    text = "The quick brown fox jumps over the lazy dog. " * 4_000
    tally = InputTally(messages(("user", text)))
    assert sum(1 for _ in tally.steps(o200k, "gpt-4o")) > len(text) / 4096
    assert tally.tokens == 7 + len(o200k.encode_ordinary(text))
