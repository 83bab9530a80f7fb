"""Calls made while another is under way: each of them is told, and none twice."""

from __future__ import annotations

import asyncio

import openai
import pytest
from tests.conftest import HTTP

import tokentrail
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
SOUGHT = {"model": "text-embedding-3-small", "input": "Hello"}


@pytest.fixture
def server():
    with Server(Model()) as server:
        yield server


def _hooked(driver, call):
    """Return a client of HTTP that makes ``call`` before it sends a request."""

    def now(_request):
        call()

    async def awaited(_request):
        await call()

    hook = awaited if driver.mode == "async" else now
    return HTTP[driver.mode](verify=False, event_hooks={"request": [hook]})


async def test_another_client_inside_a_request_is_told(trail, driver, server):
    """A cache that looks for a like question, say, in a hook of the application's."""
    other = driver.client(server)
    http = _hooked(driver, lambda: other.embeddings.create(**SOUGHT))
    client = driver.client(server, http_client=http)
    await driver.call(client.chat.completions.create, **ASKED)
    told = [span.attributes["gen_ai.operation.name"] for span in trail.spans.all()]
    assert told == ["embeddings", "chat"]


async def test_a_task_that_was_started_inside_is_told_when_the_call_is_over(trail, server):
    """Its context is that of the call, which it outlives."""
    tasks, over = [], asyncio.Event()

    async def later(_request):
        async def wait():
            await over.wait()
            await client.embeddings.create(**SOUGHT)

        if not tasks:
            tasks.append(asyncio.create_task(wait()))

    http = openai.DefaultAsyncHttpxClient(verify=False, event_hooks={"request": [later]})
    client = openai.AsyncOpenAI(api_key="none", base_url=server.base_url, http_client=http)
    await client.chat.completions.create(**ASKED)
    over.set()
    await tasks[0]
    await client.close()
    told = [span.attributes["gen_ai.operation.name"] for span in trail.spans.all()]
    assert told == ["chat", "embeddings"]


class Held:
    """What opentelemetry-instrumentation-openai-v2 gives for a stream, as far as it matters."""

    def __init__(self, stream):
        self.stream = stream

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.stream)

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await self.stream.__anext__()


async def test_a_stream_that_another_one_holds_is_observed(trail, driver, server, monkeypatch):
    """It was switched on before us, so what it made of the stream is what we get."""
    from openai.resources.chat.completions import AsyncCompletions, Completions

    tokentrail.count_tokens("", model="gpt-4o")  # until it is built, a count is a guess
    tokentrail.uninstrument()
    plain, awaited = Completions.create, AsyncCompletions.create

    async def hold(self, **asked):
        return Held(await awaited(self, **asked))

    monkeypatch.setattr(Completions, "create", lambda self, **asked: Held(plain(self, **asked)))
    monkeypatch.setattr(AsyncCompletions, "create", hold)
    trail.instrument()
    client = driver.client(server)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    assert type(stream) is Held
    await driver.take(stream, 3)
    await driver.close(stream.stream)
    said = trail.spans.attributes()
    tokentrail.uninstrument()
    assert said["tokentrail.ending"] == "broken_off"
    assert said["tokentrail.usage.output.source"] == "counted"
