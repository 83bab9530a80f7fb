"""Servers that answer as none should: the application gets what it gets without us, and no more.

Memory stays bounded, nothing of ours hangs, and the span says how it ended. What ends a stream is
compared with a bare run; more such runs stand in ``tests/calls``.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from itertools import repeat

import openai
import pytest
from tests import shared

import tokentrail
from tokentrail.counting import ENCODINGS
from tokentrail.testing.payloads import Answer, chat, responses
from tokentrail.testing.server import Cut, Event, Plain, Raw, Server, Stream

mode = shared.either_mode

MEGABYTE = 1024 * 1024
HERE = "<text>"
ASKED = {
    "chat": {"messages": [{"role": "user", "content": "Hello?"}]},
    "responses": {"input": "Hello?"},
}


@pytest.fixture(params=["chat", "responses"])
def api(request):
    """Run the test once for each API."""
    if request.param == "responses" and not hasattr(openai.OpenAI, "responses"):
        pytest.skip("this openai has no responses")
    return request.param


@pytest.fixture
def ask(driver, api):
    """Return a function that asks a server that gives this reply."""
    servers = []

    async def ask(reply, *, stream=True):
        ENCODINGS.load("o200k_base")
        server = Server(lambda call: reply)
        server.start()
        servers.append(server)
        client = driver.client(server)
        create = client.chat.completions.create if api == "chat" else client.responses.create
        return await driver.call(create, model="gpt-4o", stream=stream, **ASKED[api])

    yield ask
    for server in servers:
        server.close()


def _events(api, text="The sea."):
    """Return the first event, one that bears ``text``, and the rest."""
    answer = Answer(texts=(HERE,), model="gpt-4o", usage=None, split=lambda _: [HERE])
    events = chat.chunks(answer, "none") if api == "chat" else responses.events(answer)
    at = next(n for n, event in enumerate(events) if HERE.encode() in event.encode())
    said = events[at].encode().replace(HERE.encode(), text.encode())
    return events[:at], Raw(said), events[at + 1 :]


async def _read(driver, stream):
    """Read all there is; return the error it ended with."""
    try:
        await driver.read(stream)
    except Exception as error:
        return error
    return None


@pytest.mark.thorough
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "text", ["the sea " * MEGABYTE, "a" * (8 * MEGABYTE)], ids=["words", "run"]
)
async def test_a_giant_chunk_is_counted_elsewhere_and_not_for_long(trail, driver, ask, api, text):
    """8 MB in one chunk: its text is no work of the application's thread, and the span ends."""
    head, giant, rest = _events(api, text)
    stream = await ask(Stream([*head, giant, *(rest if api == "chat" else rest[-1:])]))
    for _ in range(len(head) + 1):
        await driver.next(stream)
    begun = time.thread_time()
    await driver.read(stream)
    assert time.thread_time() - begun < 1
    assert tokentrail.flush(100)
    span = trail.spans.one()
    assert span.attributes["tokentrail.outcome"] == "completed"
    assert span.attributes["tokentrail.usage.output.source"] in {"counted", "approximated"}


@pytest.mark.thorough
async def test_an_endless_stream_is_closed_early_when_the_application_likes(
    trail, driver, ask, api
):
    """What is held of it does not grow with it."""
    head, said, _ = _events(api, "the sea and the sea and the sea ")
    stream = await ask(Stream([*head, *repeat(said, 9000)]))
    held = []
    for _ in range(4):
        await driver.take(stream, 500)
        tracemalloc.start() if not held else gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    await driver.close(stream)
    assert held[3] - held[1] < MEGABYTE / 4
    span = trail.spans.one()
    assert span.attributes["tokentrail.outcome"] == "closed_early"
    assert span.attributes["gen_ai.usage.output_tokens"] > 2000


HOSTILE = {
    "malformed json": [Event("{nonsense")],
    "not an object": [Event("[1, 2]"), Event("3"), Event("null"), Event('"text"')],
    "deeply nested": [Raw(b"data: " + b"[" * 50_000 + b"]" * 50_000 + b"\n\n")],
    "invalid utf-8": [Raw(b'data: {"a": "\xff\xfe"}\n\n')],
    "no event at all": [Raw(b"\x00\x01\x02" * 9999)],
    "a line without end": [Raw(b"data: " + b"a" * MEGABYTE)],
    "done twice": [Event("[DONE]"), Event("[DONE]")],
    "done, and on": [Event("[DONE]"), *repeat(Event({"choices": None}), 99)],
    "headers only": [],
    "headers and a cut": [Cut()],
    "a reset": [Cut(reset=True)],
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("begun", [False, True], ids=["at once", "in the middle"])
async def test_nonsense_ends_a_stream_as_it_does_without_us(trail, driver, ask, api, name, begun):
    """The same error or none, one span, which says so, and a next call that is told as ever."""
    head, said, rest = _events(api)
    steps = [*([*head, said] if begun else []), *HOSTILE[name]]
    error = await _read(driver, await ask(Stream(steps)))
    span = trail.spans.one()
    assert span.attributes["tokentrail.outcome"] == ("failed" if error else "truncated")
    assert span.attributes.get("error.type", "").endswith(type(error).__name__ if error else "")
    assert span.attributes.get("gen_ai.usage.output_tokens", 0) in ({3, 4} if begun else {0})
    tokentrail.uninstrument()
    bare = await _read(driver, await ask(Stream(steps)))
    assert (type(bare), str(bare)) == (type(error), str(error))
    trail.instrument()
    assert await _read(driver, await ask(Stream([*head, said, *rest]))) is None
    assert trail.spans.all()[-1].attributes["tokentrail.outcome"] == "completed"


ANSWERS = {
    "not json": (b"{nonsense", "application/json"),
    "another type": (b"<html>", "text/html"),
    "no type": (b"{}", ""),
    "empty": (b"", "application/json"),
    "invalid utf-8": (b'{"id": "\xff"}', "application/json"),
    "a list": (b"[]", "application/json"),
    "a megabyte": (b'{"id": "' + b"a" * MEGABYTE + b'"}', "application/json"),
    "numbers": (
        b'{"id": 1, "model": 2, "choices": 3, "output": 4, "usage": 5}',
        "application/json",
    ),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_of_another_kind_is_what_it_is_without_us(trail, driver, ask, name, stream):
    """Also where a stream was asked for: the same type or the same error, and one span."""
    content, kind = ANSWERS[name]
    seen = []
    for _ in range(2):
        try:
            answer = await ask(Plain(content, headers={"content-type": kind}), stream=stream)
            error = await _read(driver, answer) if stream else None
        except Exception as raised:
            answer, error = None, raised
        seen.append((type(answer), type(error), str(error)))
        if len(seen) == 1:
            assert len(trail.spans.all()) == 1
            tokentrail.uninstrument()
    assert seen[0] == seen[1]
    assert len(trail.spans.all()) == 1
