"""What a prompt costs beside its texts, and how it is counted; what was billed is in facts.py."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.counting import facts

from tokentrail.apis.chat.messages import read_messages
from tokentrail.counting import InputTally
from tokentrail.counting.images import UNKNOWN
from tokentrail.counting.text import INLINE
from tokentrail.model.records import Image, Message, Prompt, ToolCall

PUBLISHED = Path(__file__).parents[3] / "shared" / "reference" / "published-counts.json"


def count(encoding, prompt, model="gpt-4o"):
    tally = InputTally(prompt)
    for _ in tally.steps(encoding, model):
        pass
    return tally


def messages(*pairs):
    return Prompt(messages=tuple(Message(role, (text,)) for role, text in pairs))


COOKBOOK = Prompt(messages=read_messages(facts.COOKBOOK))


def test_the_published_messages_are_among_the_facts():
    if not PUBLISHED.exists():
        pytest.skip("the reference is not here")
    published = [
        (case["message"], case["cl100k_base"], case["o200k_base"])
        for case in json.loads(PUBLISHED.read_text())["single_messages"]
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


def test_parts_of_a_content_are_counted_each_by_itself(o200k):
    parts = count(o200k, Prompt(messages=(Message("user", ("in", "ternational")),)))
    joined = count(o200k, Prompt(messages=(Message("user", ("international",)),)))
    assert parts.tokens > joined.tokens


IMAGE = Image("https://example.org/a.png", "low")


@pytest.mark.parametrize(
    ("prompt", "model", "more", "exact"),
    [
        (Message("user", ("hi",), images=(IMAGE,)), "gpt-4o", 85, True),
        (Message("user", ("hi",), images=(IMAGE, IMAGE)), "gpt-4o-mini", 5666, True),
        (Message("user", ("hi",), images=(Image(IMAGE.url, "high"),)), "gpt-4o", UNKNOWN, False),
        (Message("user", ("hi",), images=(Image(None, None),)), "gpt-4o", UNKNOWN, False),
        (Message("user", ("hi",), images=(IMAGE,)), "my-deployment", UNKNOWN, False),
        (Message("user", ("hi",), unknown_parts=1), "gpt-4o", 0, False),
    ],
)
def test_what_stands_beside_the_text(o200k, prompt, model, more, exact):
    bare = count(o200k, messages(("user", "hi")), model).tokens
    tally = count(o200k, Prompt(messages=(prompt,)), model)
    assert (tally.tokens - bare, tally.exact) == (more, exact)


def test_several_tool_calls_at_once_are_a_guess(o200k):
    call = ToolCall("look", "{}")
    one = count(o200k, Prompt(messages=(Message("assistant", tool_calls=(call,)),)))
    two = count(o200k, Prompt(messages=(Message("assistant", tool_calls=(call, call)),)))
    assert (one.exact, two.exact) == (True, False)


def test_the_first_answer_is_to_the_first_of_several_calls(o200k):
    """In place of its role stands the name of the function, of those that are left the next."""
    short, long = ToolCall("look", "{}"), ToolCall("look_around_the_whole_garden", "{}")

    def tokens(*calls):
        asked = Message("assistant", tool_calls=calls)
        return count(o200k, Prompt(messages=(asked, Message("tool", ("{}",))))).tokens

    names = [len(o200k.encode_ordinary(call.name)) for call in (short, long)]
    assert tokens(long, short) - tokens(short, long) == names[1] - names[0] > 0


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
def test_a_schema_is_a_guess_and_never_an_error(o200k, schema, text):
    bare = count(o200k, messages(("user", "hi"))).tokens
    tally = count(o200k, Prompt(messages=(Message("user", ("hi",)),), schema=schema))
    assert tally.tokens - bare == len(o200k.encode_ordinary(text))
    assert not tally.exact


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
