"""Calls made while another is under way: each of them is told, and none twice."""

from __future__ import annotations

import asyncio

import openai
import pytest
import wrapt
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


@pytest.mark.parametrize("posted", [False, True])
async def test_another_client_inside_a_request_is_recorded(trail, driver, server, posted):
    """A cache that looks for a like question, say, in a hook of the application's."""
    other = driver.client(server)

    def seek():
        if posted:
            return other.post("/embeddings", body=SOUGHT, cast_to=object)
        return other.embeddings.create(**SOUGHT)

    http = _hooked(driver, seek)
    client = driver.client(server, http_client=http)
    await driver.call(client.chat.completions.create, **ASKED)
    values = [span.attributes["gen_ai.operation.name"] for span in trail.spans.all()]
    assert values == ["embeddings", "chat"]


async def test_a_task_started_inside_a_call_is_recorded_after_it(trail, server):
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
    values = [span.attributes["gen_ai.operation.name"] for span in trail.spans.all()]
    assert values == ["chat", "embeddings"]


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

    def close(self):
        return self.stream.close()


class Proxied(wrapt.ObjectProxy):
    """What opentelemetry-instrumentation-openai gives for one, as far as it matters."""

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.__wrapped__)

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await self.__wrapped__.__anext__()


class Parsing(wrapt.ObjectProxy):
    """What opentelemetry-instrumentation-genai-openai gives for a raw answer, likewise."""

    def parse(self):
        return Held(self.__wrapped__.parse())


def _held_and_proxied(stream):
    return Proxied(Held(stream))


def _parsing_twice(raw):
    return Parsing(Parsing(raw))


@pytest.fixture
def instrument_after(trail, monkeypatch):
    """Instrument after another, who puts something around every answer."""
    from openai.resources.chat.completions import AsyncCompletions, Completions

    plain, awaited = Completions.create, AsyncCompletions.create

    def instrument(held):
        async def hold(self, **asked):
            return held(await awaited(self, **asked))

        tokentrail.uninstrument()
        monkeypatch.setattr(Completions, "create", lambda self, **asked: held(plain(self, **asked)))
        monkeypatch.setattr(AsyncCompletions, "create", hold)
        trail.instrument()

    tokentrail.count_tokens("", model="gpt-4o")  # until it is built, a count is a guess
    yield instrument
    tokentrail.uninstrument()


@pytest.mark.parametrize("held", [Held, Proxied, _held_and_proxied])
async def test_a_stream_that_another_one_holds_is_observed(
    trail, driver, server, instrument_after, held
):
    """It was switched on before us, so what it made of the stream is what we get."""
    instrument_after(held)
    client = driver.client(server)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    assert isinstance(stream, (Held, Proxied))
    await driver.take(stream, 3)
    await driver.close(stream)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "closed_early"
    assert attributes["tokentrail.usage.output.source"] == "counted"


@pytest.mark.parametrize("held", [Parsing, _parsing_twice])
async def test_a_raw_answer_that_others_hold_is_observed(
    trail, driver, server, instrument_after, held
):
    """However many they are, what is inside of them all gives the stream, and is left clean."""
    instrument_after(held)
    create = driver.client(server).chat.completions.with_raw_response.create
    raw = await driver.call(create, stream=True, **ASKED)
    stream = raw.parse()
    assert isinstance(stream, Held)
    await driver.take(stream, 3)
    await driver.close(stream)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "closed_early"
    assert attributes.get("tokentrail.usage.output.source") == "counted"
    assert "parse" not in vars(raw)
