"""Tokens that were paid and not used: by reason, type and source; always on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import openai
import pytest

from tokentrail.testing.payloads import Answer, Usage, chat, responses
from tokentrail.testing.replies import Event
from tokentrail.testing.server import Plain, Stream, Wait

pytestmark = pytest.mark.usefixtures("encodings")

WASTE = "tokentrail.waste.tokens"
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
ANSWER = Answer(("One two three.",), Usage(13, 3), "gpt-4o-2024-08-06")
"""The question is counted as 13 tokens, too."""


def _waste(trail):
    """Return the tokens of each series that are not none, by what tells series apart."""
    return {
        (
            point.attributes["tokentrail.waste.reason"],
            point.attributes["gen_ai.token.type"],
            point.attributes["tokentrail.usage.source"],
        ): point.value
        for point in trail.metrics.points(WASTE)
    }


async def test_an_answer_that_was_used_wastes_nothing(trail, driver, serve):
    create = driver.client(serve(Plain(chat.completion(ANSWER)))).chat.completions.create
    await driver.call(create, **ASKED)
    assert trail.metrics.points(WASTE) == []


@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_that_was_cut(trail, driver, serve, reason, streamed):
    cut = replace(ANSWER, finish_reason=reason)
    server = serve(Stream(chat.chunks(cut, "last")) if streamed else Plain(chat.completion(cut)))
    asked = {**ASKED, "stream": True} if streamed else ASKED
    answer = await driver.call(driver.client(server).chat.completions.create, **asked)
    if streamed:
        await driver.read(answer)
    assert _waste(trail) == {
        (reason, "input", "reported"): 13,
        (reason, "output", "reported"): 3,
    }
    (point, _) = trail.metrics.points(WASTE)
    assert set(point.attributes) == {
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.token.type",
        "tokentrail.usage.source",
        "tokentrail.waste.reason",
    }


async def test_a_response_that_met_its_limit(trail, driver, serve):
    client = driver.client(serve(Plain(responses.response(ANSWER, "incomplete"))))
    if not hasattr(client, "responses"):
        pytest.skip("this openai has no responses")
    await driver.call(client.responses.create, model="gpt-4o", input="Hello")
    assert _waste(trail) == {
        ("length", "input", "reported"): 13,
        ("length", "output", "reported"): 3,
    }


async def test_a_stream_that_is_closed_early_wastes_what_was_counted_of_it(trail, driver, serve):
    """Its outcome goes before any finish reason."""
    server = serve(Stream(chat.chunks(replace(ANSWER, finish_reason="length"))))
    stream = await driver.call(driver.client(server).chat.completions.create, **ASKED, stream=True)
    await driver.take(stream, 3)  # the role, and two tokens
    await driver.close(stream)
    assert _waste(trail) == {
        ("closed_early", "input", "counted"): 13,
        ("closed_early", "output", "counted"): 2,
    }


async def test_a_stream_that_failed_after_tokens_were_spent(trail, driver, serve):
    events = chat.chunks(ANSWER)
    error = Event({"error": {"message": "overloaded", "type": "server_error"}})
    server = serve(Stream([*events[:3], error]))
    stream = await driver.call(driver.client(server).chat.completions.create, **ASKED, stream=True)
    with suppress(openai.APIError):
        await driver.read(stream)
    assert _waste(trail) == {
        ("failed", "input", "counted"): 13,
        ("failed", "output", "counted"): 2,
    }


async def test_a_call_that_was_refused_wastes_nothing(trail, driver, serve):
    create = driver.client(serve(Plain({"error": {"message": "no"}}, 401))).chat.completions.create
    with suppress(openai.APIError):
        await driver.call(create, **ASKED)
    assert trail.metrics.points(WASTE) == []


@pytest.mark.settings(token_counting="spans_only")
async def test_counted_tokens_that_are_for_spans_alone_are_no_waste_either(trail, driver, serve):
    server = serve(Stream([*chat.chunks(ANSWER)[:3], Wait(5)]))
    stream = await driver.call(driver.client(server).chat.completions.create, **ASKED, stream=True)
    await driver.take(stream, 3)
    await driver.close(stream)
    assert _waste(trail) == {}


async def test_a_stream_that_ends_without_its_end(trail, driver, serve):
    server = serve(Stream(chat.chunks(ANSWER)[:3]))
    stream = await driver.call(driver.client(server).chat.completions.create, **ASKED, stream=True)
    await driver.read(stream)
    assert _waste(trail) == {
        ("truncated", "input", "counted"): 13,
        ("truncated", "output", "counted"): 2,
    }


@pytest.mark.parametrize("mode", ["async"], indirect=True)
async def test_a_task_that_is_cancelled(trail, driver, serve):
    server = serve(Stream([*chat.chunks(ANSWER)[:3], Wait(5)]))
    stream = await driver.call(driver.client(server).chat.completions.create, **ASKED, stream=True)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(driver.read(stream), 0.5)
    assert _waste(trail) == {
        ("cancelled", "input", "counted"): 13,
        ("cancelled", "output", "counted"): 2,
    }
