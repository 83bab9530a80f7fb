"""llama.cpp's own server and a model of another tokenizer: everything is told, nothing breaks.

What the server reports is the truth, whoever's tokens it counts; what is counted here with an
encoding of OpenAI is an approximation. That of the input is not, where the user says that the model
has that encoding.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from tokentrail.counting import ENCODINGS

MESSAGES = [{"role": "user", "content": "Tell me about Solar system"}]
LIMIT = 20
# "user: ", the question and "\nassistant:" in the model's own bytes, and <s>.
PROMPT = 57
# The same in the encodings of OpenAI, their own framing added.
PROMPT_OPENAI = 12

ASKED = {"model": "tiny", "messages": MESSAGES, "max_tokens": LIMIT}
RESPONDING = {"model": "tiny", "input": MESSAGES[0]["content"], "max_output_tokens": LIMIT}
WITH_USAGE = {"stream_options": {"include_usage": True}}

REPORTED = {
    "gen_ai.usage.input_tokens": PROMPT,
    "gen_ai.usage.output_tokens": LIMIT,
    "tokentrail.usage.input.source": "reported",
    "tokentrail.usage.output.source": "reported",
    "tokentrail.outcome": "completed",
    "gen_ai.response.model": "tiny",
}
needs_responses = pytest.mark.skipif(
    not hasattr(openai.OpenAI, "responses"), reason="openai without a Responses API"
)
USAGE = {"gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"}


def _text(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def _assert_approximated(attributes, output):
    assert attributes["tokentrail.usage.input.source"] == "approximated"
    assert attributes["tokentrail.usage.output.source"] == "approximated"
    assert attributes["tokentrail.usage.approximated.input_tokens"] == PROMPT_OPENAI
    assert attributes["tokentrail.usage.approximated.output_tokens"] == output
    assert attributes.keys().isdisjoint(USAGE)


@pytest.fixture
def count():
    """Return what counts a text with o200k_base, by tiktoken alone."""
    encoding = ENCODINGS.load("o200k_base")
    return lambda text: len(encoding.encode_ordinary(text))


async def test_a_report_of_foreign_tokens_comes_through(trail, driver, chat_server):
    client = driver.client(chat_server)
    answer = await driver.call(client.chat.completions.create, **ASKED)
    assert answer.usage.total_tokens == PROMPT + LIMIT
    attributes = trail.spans.attributes()
    assert attributes.items() >= REPORTED.items()
    assert attributes["gen_ai.response.finish_reasons"] == ("length",)
    assert trail.metrics.one("gen_ai.client.token.usage", gen_ai_token_type="input").sum == PROMPT
    assert trail.metrics.one("gen_ai.client.token.usage", gen_ai_token_type="output").sum == LIMIT


async def test_a_report_at_the_end_of_a_stream_comes_through(trail, driver, chat_server):
    client = driver.client(chat_server)
    stream = await driver.call(client.chat.completions.create, stream=True, **WITH_USAGE, **ASKED)
    chunks = await driver.read(stream)
    assert chunks[-1].choices == []
    assert trail.spans.attributes().items() >= REPORTED.items()
    gaps = trail.metrics.one("gen_ai.client.operation.time_per_output_chunk")
    assert gaps.count == len(chunks) - 1


async def test_a_prompt_that_the_server_had_cached_says_so(trail, driver, chat_server):
    client = driver.client(chat_server)
    for _ in range(2):
        answer = await driver.call(client.chat.completions.create, **ASKED)
    cached = answer.usage.to_dict()["prompt_tokens_details"]["cached_tokens"]
    assert cached == PROMPT - 1
    last = trail.spans.all()[-1]
    assert last.attributes["gen_ai.usage.cache_read.input_tokens"] == cached


async def test_the_timings_of_a_stream_without_usage_are_its_report(trail, driver, chat_server):
    """The same numbers as with ``include_usage``; the second time the prompt is in the cache."""
    client = driver.client(chat_server)
    for cached in (0, PROMPT - 1):
        stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
        chunks = await driver.read(stream)
        assert chunks[-1].usage is None
        attributes = trail.spans.all()[-1].attributes
        assert attributes.items() >= REPORTED.items()
        assert attributes.get("gen_ai.usage.cache_read.input_tokens", 0) in {0, cached, PROMPT - 1}


@pytest.mark.settings(model_aliases={"tiny": "o200k_base"})
async def test_input_of_a_model_that_the_user_gave_an_encoding_is_counted(
    trail, driver, chat_server, count
):
    """Of its output the text alone is: the encoding does not say whether it thinks."""
    client = driver.client(chat_server)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    text = _text(await driver.take(stream, 3))  # its timings come at the end
    await driver.close(stream)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.input.source"] == "counted"
    assert attributes["tokentrail.usage.output.source"] == "approximated"
    assert attributes["tokentrail.usage.encoding"] == "o200k_base"
    assert attributes["gen_ai.usage.input_tokens"] == PROMPT_OPENAI
    assert attributes["tokentrail.usage.approximated.output_tokens"] == count(text)
    assert "gen_ai.usage.output_tokens" not in attributes
    told = trail.metrics.one("gen_ai.client.token.usage", gen_ai_token_type="input")
    assert told.sum == PROMPT_OPENAI
    guess = trail.metrics.one("tokentrail.usage.tokens", gen_ai_token_type="output")
    assert guess.value == count(text)
    assert guess.attributes["tokentrail.usage.source"] == "approximated"


@pytest.mark.settings(token_counting="always")
async def test_an_approximation_is_not_compared_with_the_report(trail, driver, chat_server):
    client = driver.client(chat_server)
    await driver.call(client.chat.completions.create, **ASKED)
    attributes = trail.spans.attributes()
    assert attributes.items() >= REPORTED.items()
    assert "tokentrail.usage.counted.input_tokens" not in attributes
    assert trail.metrics.points("tokentrail.usage.count_ratio") == []


@pytest.mark.settings(token_counting="always", model_aliases={"tiny": "cl100k_base"})
async def test_a_wrong_encoding_shows_in_the_comparison(trail, driver, chat_server):
    ENCODINGS.load("cl100k_base")
    client = driver.client(chat_server)
    await driver.call(client.chat.completions.create, **ASKED)
    assert trail.spans.attributes().items() >= REPORTED.items()
    ratio = trail.metrics.one("tokentrail.usage.count_ratio", gen_ai_token_type="input")
    assert ratio.sum == pytest.approx(PROMPT_OPENAI / PROMPT)


async def test_a_stream_closed_early_is_recorded_at_once(trail, driver, chat_server, count):
    client = driver.client(chat_server)
    asked = ASKED | {"max_tokens": 1000}
    stream = await driver.call(client.chat.completions.create, stream=True, **WITH_USAGE, **asked)
    text = _text(await driver.take(stream, 6))
    await driver.close(stream)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "closed_early"
    assert "error.type" not in attributes
    _assert_approximated(attributes, count(text))


@needs_responses
async def test_a_response_is_recorded(trail, driver, chat_server):
    client = driver.client(chat_server)
    answer = await driver.call(client.responses.create, **RESPONDING)
    assert answer.usage.output_tokens == LIMIT
    assert trail.spans.attributes().items() >= REPORTED.items()


@needs_responses
async def test_a_streamed_response_is_recorded(trail, driver, chat_server):
    client = driver.client(chat_server)
    stream = await driver.call(client.responses.create, stream=True, **RESPONDING)
    events = await driver.read(stream)
    assert events[-1].type == "response.completed"
    assert trail.spans.attributes().items() >= REPORTED.items()


@needs_responses
async def test_a_streamed_response_closed_early_is_recorded_at_once(
    trail, driver, chat_server, count
):
    client = driver.client(chat_server)
    stream = await driver.call(client.responses.create, stream=True, **RESPONDING)
    events = await driver.take(stream, 8)
    await driver.close(stream)
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "closed_early"
    assert attributes["tokentrail.usage.approximated.output_tokens"] == count(text)
    assert attributes.keys().isdisjoint(USAGE)


async def test_a_completion_is_recorded(trail, driver, chat_server):
    client = driver.client(chat_server)
    answer = await driver.call(
        client.completions.create, model="tiny", prompt="Tell me", max_tokens=5
    )
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens
    assert attributes["gen_ai.usage.output_tokens"] == 5


async def test_embeddings_are_recorded(trail, driver, embedding_server):
    client = driver.client(embedding_server)
    answer = await driver.call(
        client.embeddings.create, model="tiny", input=["Tell me about Solar system", "bana"]
    )
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.usage.input_tokens"] == answer.usage.prompt_tokens > 0
    assert attributes["tokentrail.usage.input.source"] == "reported"
    assert "gen_ai.usage.output_tokens" not in attributes


async def test_what_the_server_refuses_is_recorded_as_its_error(trail, driver, chat_server):
    client = driver.client(chat_server)
    with pytest.raises(openai.InternalServerError):
        await driver.call(client.embeddings.create, model="tiny", input="Tell me")
    attributes = trail.spans.attributes()
    assert attributes["error.type"] == "openai.InternalServerError"
    assert attributes["tokentrail.outcome"] == "failed"
    assert attributes.keys().isdisjoint(USAGE)


async def test_eight_calls_at_once_are_recorded_separately(trail, driver, chat_server):
    client = driver.client(chat_server)
    limits = range(10, 26, 2)

    async def one(limit):
        asked = ASKED | WITH_USAGE | {"max_tokens": limit}
        stream = await driver.call(client.chat.completions.create, stream=True, **asked)
        return (await driver.read(stream))[-1].usage.completion_tokens

    if driver.mode == "async":
        told = await asyncio.gather(*map(one, limits))
    else:
        with ThreadPoolExecutor(len(limits)) as threads:
            told = list(threads.map(lambda limit: asyncio.run(one(limit)), limits))
    assert told == list(limits)
    outputs = [span.attributes["gen_ai.usage.output_tokens"] for span in trail.spans.all()]
    assert sorted(outputs) == list(limits)
    assert trail.metrics.one("gen_ai.client.operation.duration").count == len(limits)
