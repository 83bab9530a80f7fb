"""Servers that are like OpenAI's in their own ways: what each sends, and what is told of it.

`docs/mock-servers.md` tells it as a table; the facts of it are those of these tests.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from tests.mock_servers.table import MOCK_SERVERS

import tokentrail
from tokentrail.counting import ENCODINGS

pytestmark = [pytest.mark.mock_servers, pytest.mark.slow, pytest.mark.timeout(180)]

MODEL = "gpt-4o-mini"
MESSAGES = [{"role": "user", "content": "Tell me about Solar system"}]
ASKED = {"model": MODEL, "messages": MESSAGES}
RESPONDING = {"model": MODEL, "input": MESSAGES[0]["content"]}
COMPLETING = {"model": "gpt-3.5-turbo-instruct", "prompt": MESSAGES[0]["content"]}
EMBEDDING = {"model": "text-embedding-3-small", "input": ["Tell me about Solar system", "b"]}
METHODS = {"completions": COMPLETING, "embeddings": EMBEDDING, "responses": RESPONDING}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
AT_ONCE = 8
ASKING = [
    pytest.param({}, id="unasked"),
    pytest.param({"stream_options": {"include_usage": True}}, id="asked"),
]
needs_responses = pytest.mark.skipif(
    not hasattr(openai.OpenAI, "responses"), reason="openai without a Responses API"
)


def having(what):
    """Run a test against the mock servers that have this beside chat completions."""
    found = [facts for facts in MOCK_SERVERS if what in facts.also]
    return pytest.mark.parametrize("mock_server", found, indirect=True, ids=str)


def _text(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def _usage(reported):
    said = reported.to_dict()
    return {
        "gen_ai.usage.input_tokens": said.get("prompt_tokens", said.get("input_tokens")),
        "gen_ai.usage.output_tokens": said.get("completion_tokens", said.get("output_tokens")),
        "tokentrail.usage.input.source": "reported",
        "tokentrail.usage.output.source": "reported",
    }


@pytest.fixture
def counted():
    """Return what makes of a text the usage to be told where the server tells none."""
    encoding = ENCODINGS.load("o200k_base")

    def counted(text, **asked):
        messages = asked.pop("messages", MESSAGES)
        return {
            "gen_ai.usage.input_tokens": tokentrail.count_tokens(messages, model=MODEL, **asked),
            "gen_ai.usage.output_tokens": len(encoding.encode_ordinary(text)),
            "tokentrail.usage.input.source": "counted",
            "tokentrail.usage.output.source": "counted",
            "tokentrail.usage.encoding": "o200k_base",
        }

    return counted


async def test_a_plain_answer_is_recorded_as_reported(trail, driver, mock_server):
    client = driver.client(mock_server)
    answer = await driver.call(client.chat.completions.create, **ASKED)
    attributes = trail.spans.attributes()
    assert attributes.items() >= _usage(answer.usage).items()
    assert attributes["gen_ai.response.model"] == MODEL
    assert attributes["tokentrail.outcome"] == "completed"


@pytest.mark.parametrize("options", ASKING)
async def test_a_stream_is_recorded_as_reported_or_counted(
    trail, driver, mock_server, counted, options
):
    client = driver.client(mock_server)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED, **options)
    chunks = await driver.read(stream)
    reporting = [chunk for chunk in chunks if chunk.usage]
    usage = mock_server.facts.usage
    assert len(reporting) == (usage == "always" or (usage == "asked" and bool(options)))
    attributes = trail.spans.attributes()
    if reporting:
        assert reporting == chunks[-1:]
        assert bool(chunks[-1].choices) == (usage == "always")
        assert attributes.items() >= _usage(chunks[-1].usage).items()
    else:
        assert attributes.items() >= counted(_text(chunks)).items()
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["tokentrail.outcome"] == "completed"


@pytest.mark.parametrize("options", ASKING)
async def test_a_stream_closed_early_is_counted(trail, driver, mock_server, counted, options):
    client = driver.client(mock_server)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED, **options)
    text = _text(await driver.take(stream, 2))
    await driver.close(stream)
    assert text
    attributes = trail.spans.attributes()
    assert attributes.items() >= counted(text).items()
    assert attributes["tokentrail.outcome"] == "closed_early"
    assert "error.type" not in attributes


async def test_eight_calls_at_once_are_recorded_separately(trail, driver, mock_server, counted):
    """Each asks something longer than the one before, so that none can be taken for another."""
    client = driver.client(mock_server)

    async def one(number):
        said = MESSAGES[0]["content"] + " again" * number
        asked = ASKED | {"messages": [{"role": "user", "content": said}]}
        options = {"stream_options": {"include_usage": number % 2 == 0}}
        stream = await driver.call(client.chat.completions.create, stream=True, **asked, **options)
        chunks = await driver.read(stream)
        if chunks[-1].usage:
            return _usage(chunks[-1].usage)
        return counted(_text(chunks), messages=asked["messages"])

    if driver.mode == "async":
        usages = await asyncio.gather(*map(one, range(AT_ONCE)))
    else:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            usages = list(threads.map(lambda number: asyncio.run(one(number)), range(AT_ONCE)))
    told = [dict(span.attributes) for span in trail.spans.all()]
    names = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    sources = ("tokentrail.usage.input.source", "tokentrail.usage.output.source")
    facts = [tuple(usage[name] for name in names + sources) for usage in usages]
    assert sorted(tuple(span[name] for name in names + sources) for span in told) == sorted(facts)
    assert [span["tokentrail.outcome"] for span in told] == ["completed"] * AT_ONCE
    assert trail.metrics.one("tokentrail.operations").value == AT_ONCE


@having("tools")
async def test_a_tool_call_is_recorded_as_reported(trail, driver, mock_server):
    client = driver.client(mock_server)
    answer = await driver.call(client.chat.completions.create, **ASKED, tools=TOOLS)
    attributes = trail.spans.attributes()
    assert attributes.items() >= _usage(answer.usage).items()
    assert attributes["gen_ai.response.finish_reasons"] == ("tool_calls",)


@having("tools")
async def test_a_streamed_tool_call_is_counted(trail, driver, mock_server, counted):
    client = driver.client(mock_server)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED, tools=TOOLS)
    chunks = await driver.read(stream)
    assert not any(chunk.usage for chunk in chunks)
    attributes = trail.spans.attributes()
    expected = counted("", tools=TOOLS)
    del expected["gen_ai.usage.output_tokens"]
    assert attributes.items() >= expected.items()
    # The name and the arguments, and what frames them: most where the arguments have blanks, as
    # those have that OpenAI's models wrapped in a call of several.
    called = "".join(
        f"{call.function.name or ''}{call.function.arguments}"
        for chunk in chunks
        for call in chunk.choices[0].delta.tool_calls or ()
    )
    output = counted(called)["gen_ai.usage.output_tokens"]
    assert output < attributes["gen_ai.usage.output_tokens"] <= output + 22
    assert attributes["gen_ai.response.finish_reasons"] == ("tool_calls",)


@having("completions")
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_a_completion_is_recorded_as_reported(trail, driver, mock_server, streamed):
    client = driver.client(mock_server)
    answer = await driver.call(client.completions.create, **COMPLETING, stream=streamed)
    last = (await driver.read(answer))[-1] if streamed else answer
    attributes = trail.spans.attributes()
    assert attributes.items() >= _usage(last.usage).items()
    assert attributes["tokentrail.outcome"] == "completed"


@having("embeddings")
async def test_embeddings_are_recorded_as_reported(trail, driver, mock_server):
    client = driver.client(mock_server)
    answer = await driver.call(client.embeddings.create, **EMBEDDING)
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens > 0
    assert attributes["tokentrail.usage.input.source"] == "reported"
    assert "gen_ai.usage.output_tokens" not in attributes


@needs_responses
@having("responses")
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_a_response_is_recorded_as_reported(trail, driver, mock_server, streamed):
    client = driver.client(mock_server)
    answer = await driver.call(client.responses.create, **RESPONDING, stream=streamed)
    whole = (await driver.read(answer))[-1].response if streamed else answer
    attributes = trail.spans.attributes()
    assert attributes.items() >= _usage(whole.usage).items()
    assert attributes["gen_ai.response.id"] == whole.id
    assert attributes["tokentrail.outcome"] == "completed"


@needs_responses
@having("responses")
async def test_a_streamed_response_closed_early_is_counted(trail, driver, mock_server, counted):
    client = driver.client(mock_server)
    stream = await driver.call(client.responses.create, **RESPONDING, stream=True)
    text = ""
    while not text:
        event = await driver.next(stream)
        text = event.delta if event.type == "response.output_text.delta" else ""
    await driver.close(stream)
    expected = counted(text)  # the token that ends an answer was never made
    attributes = trail.spans.attributes()
    assert attributes.items() >= expected.items()
    assert attributes["tokentrail.outcome"] == "closed_early"


@pytest.mark.parametrize(
    ("mock_server", "method"),
    [
        pytest.param(facts, method, id=f"{facts}-{method}")
        for facts in MOCK_SERVERS
        for method in sorted(METHODS.keys() - facts.also)
    ],
    indirect=["mock_server"],
)
async def test_a_method_that_a_server_lacks_is_recorded_as_not_found(
    trail, driver, mock_server, method
):
    if (api := getattr(driver.client(mock_server), method, None)) is None:
        pytest.skip(f"openai without {method}")
    with pytest.raises(openai.NotFoundError):
        await driver.call(api.create, **METHODS[method])
    attributes = trail.spans.attributes()
    assert attributes["error.type"] == "openai.NotFoundError"
    assert attributes["tokentrail.outcome"] == "failed"
    assert not any("usage" in name for name in attributes)
