"""Servers whose deltas repeat all text so far: content and count are those of the last one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import shared
from tests.servers.conftest import responses_of

from tokentrail.support.increments import Pieces
from tokentrail.testing.server import Event, Stream

from .conftest import HEAD, MESSAGES, chunk, streamed

pytestmark = pytest.mark.settings(capture_content="SPAN_ONLY")

mode = shared.either_mode
TEXT = "Alders and willows stand at the river, and 2 old poplars."
STEPS = ["Ald", "Alders", "Alders and willows stand", TEXT]
LONG = [("Alders. Willows stand there. " * 40)[:end] for end in range(7, 1100, 7)]


def _new(texts):
    """Return what each of these texts adds to the one before."""
    return [text[len(before) :] for before, text in zip(["", *texts], texts, strict=False)]


def _chat(field):
    def reply(texts):
        return streamed(*(chunk({field: text}) for text in texts), chunk({}, "stop"))

    return reply


def _completions(texts):
    def event(text, finish):
        choice = {"index": 0, "text": text, "finish_reason": finish}
        return Event({**HEAD, "object": "text_completion", "choices": [choice]})

    return streamed(*(event(text, None) for text in texts), event("", "stop"))


RESPONSE = {"id": "r", "object": "response", "created_at": 5, "model": "gpt-4o-mini", "output": []}


def _responses(kind, **place):
    def reply(texts):
        deltas = [
            Event({"type": f"response.{kind}.delta", "output_index": 0, "delta": text, **place})
            for text in texts
        ]
        end = {"type": "response.completed", "response": {**RESPONSE, "status": "completed"}}
        return Stream([*deltas, Event(end)])

    return reply


FORMS = {
    "text": ("chat", _chat("content")),
    "reasoning": ("chat", _chat("reasoning_content")),
    "refusal": ("chat", _chat("refusal")),
    "completions": ("completions", _completions),
    "responses": ("responses", _responses("output_text", content_index=0)),
    "thought of responses": ("responses", _responses("reasoning_text", content_index=0)),
    "arguments of responses": ("responses", _responses("custom_tool_call_input")),
}


@pytest.fixture
def tell(driver, serve, trail):
    """Return a function that reads a stream to its end, and returns its texts and its usage."""

    async def tell(api, reply):
        trail.spans.clear()
        client = driver.client(serve(reply))
        create, asked = {
            "chat": lambda: (client.chat.completions.create, {"messages": MESSAGES}),
            "completions": lambda: (client.completions.create, {"prompt": "Trees?"}),
            "responses": lambda: (responses_of(client).create, {"input": "Trees?"}),
        }[api]()
        await driver.read(await driver.call(create, model="gpt-4o-mini", stream=True, **asked))
        told = trail.spans.attributes()
        return json.loads(told.get("gen_ai.output.messages", "[]")), {
            name: value for name, value in told.items() if ".usage." in name
        }

    return tell


@pytest.mark.parametrize("texts", [STEPS, LONG, [*STEPS, TEXT]], ids=["short", "long", "again"])
@pytest.mark.parametrize("form", FORMS)
async def test_deltas_that_repeat_the_text_so_far_are_one_text(tell, form, texts):
    api, reply = FORMS[form]
    usual = await tell(api, reply(_new(texts)))
    assert await tell(api, reply(texts)) == usual
    assert usual[1]


@pytest.mark.parametrize(
    ("texts", "text", "source"),
    [
        (["1", "10", " trees"], "110 trees", "counted"),  # a text as any other
        (["ha", "ha", "ha"], "hahaha", "counted"),
        (["Alders", "Alders."], "Alders.", "approximated"),  # or "AldersAlders."
        (["Alders and willows", TEXT], TEXT, "counted"),
        ([*STEPS, " Yes."], TEXT + " Yes.", "approximated"),
    ],
)
async def test_a_text_that_may_be_repeated_is_no_sure_count(tell, texts, text, source):
    """One repetition of a short text is no proof; the next delta may show that there was none."""
    messages, usage = await tell("chat", _chat("content")(texts))
    assert messages[0]["parts"][0]["content"] == text
    assert usage["tokentrail.usage.output.source"] == source
    _, usual = await tell("chat", _chat("content")([text]))
    assert usage["tokentrail.usage.output.source"] != "counted" or usage == usual


@pytest.mark.settings(capture_content="SPAN_ONLY", content_max_chars=30)
@pytest.mark.parametrize("form", ["text", "responses"])
async def test_what_is_repeated_does_not_use_up_the_limit_of_content(tell, form):
    api, reply = FORMS[form]
    usual, _ = await tell(api, reply(_new(STEPS)))
    messages, _ = await tell(api, reply(STEPS))
    assert messages == usual


@given(st.lists(st.text("ab ", min_size=1), min_size=3))
def test_any_text_is_found_again_from_what_it_was_after_each_piece(pieces):
    """Of three texts that each begin with the one before; the last may come again."""
    texts = ["".join(pieces[: end + 1]) for end in range(len(pieces))]
    found = Pieces()
    grown = sum(map(found.grow, [*texts, texts[-1]]))
    assert "".join(found) == texts[-1]
    assert grown == len(texts[-1])
