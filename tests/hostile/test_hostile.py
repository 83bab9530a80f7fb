"""Servers that answer as none should: bounded memory, and no hang of ours.

Malformed JSON, invalid UTF-8, wrong content types and a second ``[DONE]`` stand in ``tests/calls``;
an endless stream in ``tests/costs``.
"""

from __future__ import annotations

import time

import openai
import pytest

import tokentrail
from tokentrail.counting import ENCODINGS
from tokentrail.demo.payloads import Answer, chat
from tokentrail.demo.server import Cut, Event, Server, Stream

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello?"}], "stream": True}
MEGABYTE = 1024 * 1024


@pytest.fixture
def says():
    """Return a function that starts a server of these steps."""
    servers = []

    def says(*steps, **headers):
        server = Server(lambda call: Stream(list(steps), headers=headers))
        server.start()
        servers.append(server)
        return server

    yield says
    for server in servers:
        server.close()


def _chunks(*texts):
    return chat.chunks(Answer(texts=("".join(texts),), model="gpt-4o", usage=None), "none")


def _with_text(text):
    head, *_, last, done = _chunks("a", "b")
    return [head, Event({**_data(head), "choices": [_choice(text)]}), last, done]


def _data(event):
    return event.data if isinstance(event, Event) else event


def _choice(text):
    return {"index": 0, "delta": {"content": text}, "finish_reason": None, "logprobs": None}


@pytest.mark.parametrize(
    "text", ["the sea " * MEGABYTE, "a" * (8 * MEGABYTE)], ids=["words", "run"]
)
async def test_a_giant_chunk_is_counted_elsewhere_and_not_for_long(trail, driver, says, text):
    """8 MB in one chunk: the application gets it at once, and the span within its time."""
    ENCODINGS.load("o200k_base")
    server = says(*_with_text(text))
    stream = await driver.call(driver.client(server).chat.completions.create, **ASKED)
    for _ in range(2):
        chunk = await driver.next(stream)
    assert len(chunk.choices[0].delta.content) == 8 * MEGABYTE
    begun = time.thread_time()
    await driver.read(stream)
    assert time.thread_time() - begun < 0.5
    assert tokentrail.flush(10)
    span = trail.spans.one()
    assert span.attributes["tokentrail.ending"] == "completed"
    assert span.end_time - span.start_time < 10e9


async def test_headers_and_then_nothing_is_a_completed_stream(trail, driver, says):
    server = says()
    stream = await driver.call(driver.client(server).chat.completions.create, **ASKED)
    assert await driver.read(stream) == []
    span = trail.spans.one()
    assert span.attributes["tokentrail.ending"] == "completed"
    assert "gen_ai.response.time_to_first_chunk" not in span.attributes


async def test_headers_and_then_a_cut_is_a_failure(trail, driver, says):
    server = says(Cut())
    with pytest.raises((openai.APIConnectionError, Exception)) as raised:
        await driver.read(await driver.call(driver.client(server).chat.completions.create, **ASKED))
    span = trail.spans.one()
    assert span.attributes["tokentrail.ending"] == "failed"
    assert span.attributes["error.type"].endswith(type(raised.value).__name__)
