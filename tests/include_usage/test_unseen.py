"""The application receives what it would have received without us: chunks, order, text, time."""

from __future__ import annotations

import time
from dataclasses import replace

import openai
import pytest
from tests.shared import helper_stream

from tokentrail.testing.payloads import ToolCall, chat, completions, errors
from tokentrail.testing.server import Cut, Event, Plain, Server, Stream

from .conftest import ANSWER, BILLED, MESSAGES, Turn, is_asked, says, says_text, seen

INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
REPORTED = {
    INPUT: BILLED.input,
    OUTPUT: BILLED.output,
    "tokentrail.usage.input.source": "reported",
    "tokentrail.usage.output.source": "reported",
    "tokentrail.stream_usage": "requested",
}
CALLS = (ToolCall("look", '{"at":"sea"}', "c1"), ToolCall("look", '{"at":"sky"}', "c2"))
HEAD = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o-mini"}


def _without_choices(call):
    """Answer as a server whose usage chunk has no ``choices`` at all."""
    events = chat.chunks(ANSWER, "last" if is_asked(call) else "none")
    if is_asked(call):
        body = {k: v for k, v in events[-2].data.items() if k != "choices"}
        events[-2] = Event(body)
    return Stream(events)


def _lowercased(call):
    """Answer as a server that asked or not, leaves null out."""
    asked = is_asked(call)
    events = chat.chunks(ANSWER, "none")
    if asked:
        events[-1:-1] = [chat.chunks(ANSWER, "last")[-2]]
    return Stream(events)


def _with_sparse_chunks(call):
    """Answer with an empty chunk in the middle, and a chunk of nothing."""
    null = {"usage": None} if is_asked(call) else {}
    events = chat.chunks(ANSWER, "last" if is_asked(call) else "none")
    return Stream([events[0], Event({**HEAD, "choices": [], **null}), *events[1:]])


CHAT = {
    "a text": says(),
    "three choices": says(replace(ANSWER, texts=("One.", "Two and more.", ""))),
    "tool calls": says(replace(ANSWER, texts=("",), tool_calls=CALLS)),
    "Azure's filter chunk": says(replace(ANSWER, azure=True)),
    "nothing said": says(replace(ANSWER, texts=("",))),
    "no null beside": _lowercased,
    "no choices beside the usage": _without_choices,
    "an empty chunk in the middle": _with_sparse_chunks,
}


async def _program(driver, client, method="chat.completions.create", **asked):
    owner = client
    for part in method.split("."):
        owner = getattr(owner, part)
    stream = await driver.call(owner, stream=True, model="gpt-4o-mini", **asked)
    return [seen(chunk) for chunk in await driver.read(stream)]


@pytest.mark.parametrize("respond", CHAT.values(), ids=CHAT)
async def test_a_chat_stream_shows_no_difference(ways, serve, respond):
    """Types, order, ``to_json()``, fields set: all equal; and the report is told."""
    server = serve(respond)
    client = ways.driver.client(server)
    saw = await ways.compared(lambda: _program(ways.driver, client, messages=MESSAGES))
    assert '"usage"' not in "".join(chunk[2] for chunk in saw)
    told = ways.trail.spans.attributes()
    assert {**told, **REPORTED} == told
    assert told["gen_ai.usage.reasoning.output_tokens"] == BILLED.reasoning
    assert [is_asked(call) for call in server.calls] == [False, True]


@pytest.mark.parametrize("texts", [("The sea is old.",), ("One.", "Two and more.")])
async def test_a_legacy_stream_shows_no_difference(ways, serve, texts):
    """The same for ``completions.create``."""
    client = ways.driver.client(serve(says_text(replace(ANSWER, texts=texts))))
    program = "completions.create"
    saw = await ways.compared(lambda: _program(ways.driver, client, program, prompt="Tell me."))
    assert '"usage"' not in "".join(chunk[2] for chunk in saw)
    attributes = ways.trail.spans.attributes()
    assert {**attributes, **REPORTED} == attributes


@pytest.mark.parametrize("answer", [ANSWER, replace(ANSWER, texts=("",), tool_calls=CALLS)])
async def test_a_helper_stream_shows_no_difference(ways, serve, answer):
    """Its events, and the whole completion, which has no usage either way."""
    client = ways.driver.client(serve(says(answer)))

    async def program():
        manager = helper_stream(client)(model="gpt-4o-mini", messages=MESSAGES)
        async with ways.driver.within(manager) as stream:
            events = [seen(event) for event in await ways.driver.read(stream)]
            whole = await ways.driver.call(stream.get_final_completion)
        assert whole.usage is None
        return [*events, seen(whole)]

    await ways.compared(program)
    attributes = ways.trail.spans.attributes()
    assert {**attributes, **REPORTED} == attributes


async def test_usage_that_comes_with_a_choice_is_left(ways, serve):
    """Some servers report, asked or not, where there is a choice: that chunk is nobody's secret."""
    client = ways.driver.client(serve(lambda _: Stream(chat.chunks(ANSWER, "finish"))))
    saw = await ways.compared(lambda: _program(ways.driver, client, messages=MESSAGES))
    assert '"usage"' in saw[-1][2]
    attributes = ways.trail.spans.attributes()
    assert {**attributes, **REPORTED} == attributes


@pytest.mark.parametrize("said", [chat.chunks, completions.events])
async def test_a_server_that_ignores_the_option_is_counted(driver, trail, serve, said):
    """The answer is whole, and its count is told as a count."""
    trail.instrument(stream_usage="request")
    method = "chat.completions.create" if said is chat.chunks else "completions.create"
    asked = {"messages": MESSAGES} if said is chat.chunks else {"prompt": "Tell me."}
    server = serve(lambda _: Stream(said(replace(ANSWER, model="gpt-3.5-turbo"), "none")))
    assert await _program(driver, driver.client(server), method, **asked)
    told = trail.spans.attributes()
    assert told["tokentrail.usage.output.source"] == "counted"
    assert told[OUTPUT] == 7
    assert told["tokentrail.stream_usage"] == "requested"


async def test_a_stream_closed_early_is_counted(driver, trail, serve):
    """The report stands at the end, which nobody waits for."""
    trail.instrument(stream_usage="request")
    client = driver.client(serve(says()))
    stream = await driver.call(
        client.chat.completions.create, model="gpt-4o-mini", messages=MESSAGES, stream=True
    )
    chunks = await driver.take(stream, 4)
    await driver.close(stream)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "closed_early"
    assert attributes["tokentrail.usage.output.source"] == "counted"
    assert attributes[OUTPUT] == len([c for c in chunks if c.choices[0].delta.content])


@pytest.mark.parametrize("end", [Cut(), errors.event()], ids=["cut", "error"])
async def test_an_error_in_the_middle_shows_no_difference(ways, serve, end):
    """The same chunks, then the same error."""

    def respond(call):
        return Stream([*chat.chunks(ANSWER, "last" if is_asked(call) else "none")[:4], end])

    client = ways.driver.client(serve(respond))

    async def program():
        stream = await ways.driver.call(
            client.chat.completions.create, model="gpt-4o-mini", messages=MESSAGES, stream=True
        )
        got = []
        try:
            while True:
                got.append(seen(await ways.driver.next(stream)))
        except Exception as error:
            return [*got, type(error), str(error), error.__context__.__class__]

    assert len(await ways.compared(program)) == 4 + 3


async def test_each_chunk_arrives_as_it_is_sent(driver, trail, serve):
    """Nothing is read ahead: a chunk is there before the server has sent the next one.

    The last is the finish chunk, which does not wait for usage or ``[DONE]``.
    """
    trail.instrument(stream_usage="request")
    turn = Turn()
    events = chat.chunks(ANSWER, "last")
    client = driver.client(serve(lambda _: Stream(turn.paced(events))))
    stream = await driver.call(
        client.chat.completions.create, model="gpt-4o-mini", messages=MESSAGES, stream=True
    )
    for number in range(len(events) - 2):
        turn.steps.release()
        chunk = await driver.next(stream)
        assert turn.waited == 0, number
    assert chunk.choices[0].finish_reason == "stop"
    turn.steps.release(2)
    with pytest.raises(StopAsyncIteration):
        await driver.next(stream)
    assert turn.waited == 0
    attributes = trail.spans.attributes()
    assert {**attributes, **REPORTED} == attributes


async def test_a_done_held_back_holds_back_no_chunk(driver, trail, serve):
    """Usage was sent and ``[DONE]`` was not: the application is where it would be without us."""
    trail.instrument(stream_usage="request")
    turn = Turn()
    events = chat.chunks(ANSWER, "last")
    turn.steps.release(len(events) - 1)
    client = driver.client(serve(lambda _: Stream(turn.paced(events))))
    stream = await driver.call(
        client.chat.completions.create, model="gpt-4o-mini", messages=MESSAGES, stream=True
    )
    begun = time.monotonic()
    chunks = [await driver.next(stream) for _ in range(len(events) - 2)]
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert time.monotonic() - begun < 2
    await driver.close(stream)
    turn.steps.release()
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "completed"
    assert attributes[OUTPUT] == 7


async def test_plain_answers_and_other_methods_are_not_asked(driver, trail, serve):
    """Only streams have the option."""
    trail.instrument(stream_usage="request")
    server = serve(lambda _: Plain(chat.completion(ANSWER)))
    client = driver.client(server)
    for stream in ({}, {"stream": False}, {"stream": None}):
        await driver.call(
            client.chat.completions.create, model="gpt-4o-mini", messages=MESSAGES, **stream
        )
    assert not any("stream_options" in call.body for call in server.calls)


def test_the_response_below_is_not_touched(trail, serve):
    """What reads the wire sees the wire: documented, not hidden."""
    trail.instrument(stream_usage="request")
    server: Server = serve(says())
    with openai.OpenAI(base_url=server.base_url, api_key="k") as client:
        stream = client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
        assert b'"usage":{"prompt_tokens":113' in stream.response.read()
