"""Time to the first content of a stream: what a person waits for."""

from __future__ import annotations

import pytest
from tests.servers.conftest import responses_of

from tokentrail.testing.payloads import Answer, responses
from tokentrail.testing.server import Stream, Wait

from .conftest import MESSAGES, chunk, streamed

FIRST, CONTENT = "gen_ai.response.time_to_first_chunk", "tokentrail.time_to_first_content"
METRIC = "tokentrail.client.time_to_first_content"
PAUSE = 0.05
CALL = {"index": 0, "id": "c", "function": {"name": "weather_of", "arguments": ""}}
CONTENTS = {
    "text": {"content": "Alders."},
    "a refusal": {"refusal": "No."},
    "sound": {"audio": {"id": "a", "data": "AAAA"}},
    "a call": {"tool_calls": [CALL]},
    "a function": {"function_call": {"name": "weather_of"}},
}
BEFORE = {
    "an empty delta": {"role": "assistant", "content": ""},
    "thought": {"reasoning_content": "Near water,"},
    "a part of thought": {"content": [{"type": "thinking", "thinking": "Near water,"}]},
    "a call that is nothing yet": {"tool_calls": [{"index": 0, "id": "c", "function": {}}]},
}


async def _read(driver, client, method, **asked):
    answer = await driver.call(method(client), model="gpt-4o-mini", stream=True, **asked)
    await driver.read(answer)


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("before", BEFORE)
async def test_of_a_chat_stream(trail, driver, serve, before, content):
    steps = [chunk(BEFORE[before]), Wait(PAUSE), chunk(CONTENTS[content]), chunk({}, "stop")]
    client = driver.client(serve(streamed(*steps)))
    await _read(driver, client, lambda c: c.chat.completions.create, messages=MESSAGES)
    attributes = trail.spans.attributes()
    assert attributes[CONTENT] >= max(attributes[FIRST], PAUSE * 0.8)
    assert trail.metrics.one(METRIC).sum == attributes[CONTENT]
    assert trail.metrics.one("gen_ai.client.operation.time_to_first_chunk").sum == attributes[FIRST]


@pytest.mark.parametrize("captured", [False, True])
async def test_of_a_responses_stream(trail, driver, serve, captured):
    trail.instrument(capture_content="SPAN_ONLY" if captured else "NO_CONTENT")
    head, *rest = responses.events(Answer(("Alders.",), None, "gpt-4o-mini"))
    client = driver.client(serve(Stream([head, Wait(PAUSE), *rest])))
    await _read(driver, client, lambda c: responses_of(c).create, input="Trees?")
    attributes = trail.spans.attributes()
    assert attributes[CONTENT] >= max(attributes[FIRST], PAUSE * 0.8)
    assert trail.metrics.one(METRIC).sum == attributes[CONTENT]


async def test_of_legacy_completions(trail, driver, serve):
    head = {"id": "t", "object": "text_completion", "created": 1, "model": "gpt-4o-mini"}
    texts = ("", "Alders.")
    events = [chunk(choice={"text": text, "delta": None}, **head) for text in texts]
    client = driver.client(serve(streamed(events[0], Wait(PAUSE), events[1])))
    await _read(driver, client, lambda c: c.completions.create, prompt="Trees?")
    attributes = trail.spans.attributes()
    assert attributes[CONTENT] >= max(attributes[FIRST], PAUSE * 0.8)


async def test_a_stream_without_content_has_no_such_time(trail, driver, serve):
    client = driver.client(serve(streamed(chunk(BEFORE["thought"]), chunk({}, "length"))))
    await _read(driver, client, lambda c: c.chat.completions.create, messages=MESSAGES)
    assert FIRST in trail.spans.attributes()
    assert CONTENT not in trail.spans.attributes()
    assert METRIC not in trail.metrics.names()
