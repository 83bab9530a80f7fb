"""When the server is asked, and what the application's own arguments come to."""

from __future__ import annotations

import collections

import openai
import pytest
from openai import _types

from tokentrail.testing.payloads import chat, responses
from tokentrail.testing.server import Plain, Stream

from .conftest import ANSWER, BILLED, MESSAGES, is_asked, says, says_text, seen

OMIT = getattr(_types, "omit", _types.NOT_GIVEN)
OBFUSCATION = {"include_obfuscation": False}

ARGUMENTS = {
    # arguments, what is sent as stream_options (None: nothing)
    "silence": ({}, {"include_usage": True}),
    "NOT_GIVEN": ({"stream_options": _types.NOT_GIVEN}, {"include_usage": True}),
    "omit": ({"stream_options": OMIT}, {"include_usage": True}),
    "another option": (
        {"stream_options": OBFUSCATION},
        {"include_obfuscation": False, "include_usage": True},
    ),
    "on": ({"stream_options": {"include_usage": True}}, {"include_usage": True}),
    "off": ({"stream_options": {"include_usage": False}}, {"include_usage": False}),
    "a null inside": ({"stream_options": {"include_usage": None}}, {"include_usage": None}),
    "off by extra_body": (
        {"extra_body": {"stream_options": {"include_usage": False}}},
        {"include_usage": False},
    ),
    "null by extra_body": ({"extra_body": {"stream_options": None}}, None),
    "another option by extra_body": (
        {"extra_body": {"stream_options": OBFUSCATION}},
        OBFUSCATION,
    ),
    "something else by extra_body": ({"extra_body": {"user": "me"}}, {"include_usage": True}),
}


@pytest.mark.parametrize("mode", ["sync"])
@pytest.mark.parametrize(("asked", "sent"), ARGUMENTS.values(), ids=ARGUMENTS)
async def test_what_the_application_says_holds(driver, ways, serve, asked, sent):
    """It is asked for where the application was silent; its own word is the last."""
    server = serve(says())
    client = driver.client(server)

    async def program():
        stream = client.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True, **asked
        )
        return [seen(chunk) for chunk in stream]

    before = repr(asked)
    await ways.compared(program)
    assert server.calls[-1].body.get("stream_options") == sent
    assert repr(asked) == before
    attributes = ways.trail.spans.attributes()
    ours = asked.get("stream_options") is None or sent != asked["stream_options"]
    ours = ours and not ({"stream_options"} & set(asked.get("extra_body", {})))
    assert attributes.get("tokentrail.stream_usage") == ("requested" if ours else None)
    source = "reported" if (sent or {}).get("include_usage") else "counted"
    assert attributes["tokentrail.usage.output.source"] == source


def test_a_null_by_keyword_is_the_application_s_word(trail, serve):
    """``None`` is sent as null, and is no silence."""
    trail.instrument(stream_usage="request")
    server = serve(says())
    with openai.OpenAI(base_url=server.base_url, api_key="k") as client:
        list(
            client.chat.completions.create(
                model="gpt-4o-mini", messages=MESSAGES, stream=True, stream_options=None
            )
        )
    assert not is_asked(server.calls[0])
    assert server.calls[0].body.get("stream_options", "left out") in {None, "left out"}


async def test_by_default_nothing_is_asked(driver, trail, serve):
    """``observe`` sends what the application sends."""
    server = serve(says())
    stream = await driver.call(
        driver.client(server).chat.completions.create,
        model="gpt-4o-mini",
        messages=MESSAGES,
        stream=True,
    )
    await driver.read(stream)
    assert "stream_options" not in server.calls[0].body
    assert "tokentrail.stream_usage" not in trail.spans.attributes()


async def test_the_environment_asks_too(monkeypatch, driver, trail, serve):
    """``TOKENTRAIL_STREAM_USAGE`` is the same switch."""
    monkeypatch.setenv("TOKENTRAIL_STREAM_USAGE", "request")
    trail.instrument()
    server = serve(says())
    stream = await driver.call(
        driver.client(server).chat.completions.create,
        model="gpt-4o-mini",
        messages=MESSAGES,
        stream=True,
    )
    await driver.read(stream)
    assert is_asked(server.calls[0])
    assert trail.spans.attributes()["gen_ai.usage.output_tokens"] == BILLED.output


async def test_raw_and_streaming_responses_are_left_alone(driver, trail, serve):
    """The application reads the wire there, so nothing of ours is put on it."""
    trail.instrument(stream_usage="request")
    server = serve(says())
    chats = driver.client(server).chat.completions
    asked = {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": True}
    raw = await driver.call(chats.with_raw_response.create, **asked)
    await driver.read(raw.parse())
    async with driver.within(chats.with_streaming_response.create(**asked)) as response:
        lines = response.iter_lines()
        got = [line async for line in lines] if driver.mode == "async" else list(lines)
    assert got
    assert not any("stream_options" in call.body for call in server.calls)
    assert not any("tokentrail.stream_usage" in span.attributes for span in trail.spans.all())


async def test_the_responses_api_reports_by_itself(driver, trail, serve):
    """It has no such option."""
    if not hasattr(openai.OpenAI, "responses"):
        pytest.skip("this openai has no responses")
    trail.instrument(stream_usage="request")
    server = serve(lambda _: Stream(responses.events(ANSWER)))
    client = driver.client(server)
    stream = await driver.call(
        client.responses.create, model="gpt-4o-mini", input="hi", stream=True
    )
    await driver.read(stream)
    assert "stream_options" not in server.calls[0].body
    assert trail.spans.attributes()["gen_ai.usage.output_tokens"] == BILLED.output


async def test_what_is_not_recorded_is_not_asked_for(driver, trail, serve):
    """Under ``suppress_instrumentation`` the request is the application's, word for word."""
    utils = pytest.importorskip("opentelemetry.instrumentation.utils")
    trail.instrument(stream_usage="request")
    server = serve(says())
    client = driver.client(server)
    with utils.suppress_instrumentation():
        stream = await driver.call(
            client.chat.completions.create, model="gpt-4o-mini", messages=MESSAGES, stream=True
        )
        assert len(await driver.read(stream)) == 9
    assert "stream_options" not in server.calls[0].body
    assert trail.spans.all() == ()


async def test_a_coroutine_awaited_without_recording_asks_for_nothing(serve, trail):
    """What was prepared at the call is taken back at the await."""
    utils = pytest.importorskip("opentelemetry.instrumentation.utils")
    trail.instrument(stream_usage="request")
    server = serve(says())
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="k") as client:
        coroutine = client.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, stream=True
        )
        with utils.suppress_instrumentation():
            assert len([chunk async for chunk in await coroutine]) == 9
    assert [call.body.get("stream_options") for call in server.calls] == [None]


def test_a_stream_only_by_extra_body_is_no_stream(ways, serve):
    """The client hands over text then, and the application reads it."""
    server = serve(lambda _: Stream(chat.chunks(ANSWER)))
    ways.trail.instrument(stream_usage="request")
    with openai.OpenAI(base_url=server.base_url, api_key="k") as client:
        client.chat.completions.create(
            model="gpt-4o-mini", messages=MESSAGES, extra_body={"stream": True}
        )
    assert "stream_options" not in server.calls[0].body


CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
PART = {"type": "text", "text": "Tell me of the sea."}


def with_content():
    return [{"role": "user", "content": iter([PART])}]


def with_calls():
    return ({"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": iter([CALL])})


def in_a_deque():
    return collections.deque([{"role": "user", "content": iter([PART])}])


READ_ONCE = {
    # method, arguments, what is sent for them
    "content": ("chat.completions", {"messages": with_content}, [[PART], None]),
    "tool calls": ("chat.completions", {"messages": with_calls}, ["hi", [CALL]]),
    "in what is no list": ("chat.completions", {"messages": in_a_deque}, [[PART], None]),
    "ids": ("completions", {"prompt": lambda: [iter([1, 2, 3])]}, [[1, 2, 3]]),
}


@pytest.mark.parametrize(("method", "asked", "sent"), READ_ONCE.values(), ids=READ_ONCE)
def test_arguments_that_hold_what_can_be_read_but_once_are_not_asked_with(
    trail, serve, method, asked, sent
):
    """If the server refused, they could not be sent again."""
    trail.instrument(stream_usage="request")
    server = serve(says_text(ANSWER) if method == "completions" else says())
    with openai.OpenAI(base_url=server.base_url, api_key="k") as client:
        owner = client.completions if method == "completions" else client.chat.completions
        arguments = {name: make() for name, make in asked.items()}
        list(owner.create(model="gpt-4o-mini", stream=True, **arguments))
    body = server.calls[0].body
    assert "stream_options" not in body
    found = body.get("prompt") or [
        message.get(name)
        for message, name in zip(body["messages"], ("content", "tool_calls"), strict=False)
    ]
    assert found == [part for part in sent if part is not None]


def test_a_plain_call_of_the_same_client_stays_plain(trail, serve):
    """The switch is about streams."""
    trail.instrument(stream_usage="request")
    server = serve(lambda _: Plain(chat.completion(ANSWER)))
    with openai.OpenAI(base_url=server.base_url, api_key="k") as client:
        client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES)
    assert "stream_options" not in server.calls[0].body
