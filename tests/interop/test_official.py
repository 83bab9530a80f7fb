"""Beside the official instrumentation: one span, one set of metrics, and both know the tokens."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys

import openai
import pytest

import tokentrail

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
INPUT, OUTPUT = 13, 59
"""What the server bills; what it does not report is counted as exactly that."""
SCOPES = {
    "theirs outside": "opentelemetry.instrumentation.genai.openai",
    "ours outside": "tokentrail",
}

pytestmark = pytest.mark.interop


def _recorded_once(trail, order, *, operation="chat"):
    """Return the attributes of the one span; its metrics are there once, by the same scope."""
    span = trail.spans.one()
    assert span.instrumentation_scope.name == SCOPES[order]
    duration = trail.metrics.one("gen_ai.client.operation.duration")
    assert duration.count == 1
    assert duration.attributes["gen_ai.operation.name"] == operation
    ended = trail.metrics.one("tokentrail.operations")
    assert ended.value == 1
    return dict(span.attributes)


def _tokens(trail, kind):
    """Return what the conventional metric says, and what our own counter does."""
    usage = trail.metrics.one("gen_ai.client.token.usage", gen_ai_token_type=kind)
    own = trail.metrics.one("tokentrail.usage.tokens", gen_ai_token_type=kind)
    assert usage.count == 1
    return usage.sum, own.value


def _sources(attributes):
    kinds = ("input", "output")
    return [attributes.get(f"tokentrail.usage.{kind}.source") for kind in kinds]


def _usage(attributes):
    kinds = ("input", "output")
    return tuple(attributes.get(f"gen_ai.usage.{kind}_tokens") for kind in kinds)


async def test_a_plain_call_is_recorded_once(trail, both, driver, server):
    client = driver.client(server)
    await driver.call(client.chat.completions.create, **ASKED)
    attributes = _recorded_once(trail, both)
    assert _usage(attributes) == (INPUT, OUTPUT)
    assert _sources(attributes) == ["reported", "reported"]
    assert _tokens(trail, "input") == (INPUT, INPUT)
    assert _tokens(trail, "output") == (OUTPUT, OUTPUT)


async def test_a_stream_without_usage_gains_the_counted_tokens(trail, both, driver, server):
    """On the span and in the token metric of whoever is outside."""
    client = driver.client(server)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    await driver.read(stream)
    attributes = _recorded_once(trail, both)
    assert _usage(attributes) == (INPUT, OUTPUT)
    assert _sources(attributes) == ["counted", "counted"]
    assert attributes["tokentrail.usage.encoding"] == "o200k_base"
    assert attributes["tokentrail.outcome"] == "completed"
    assert _tokens(trail, "input") == (INPUT, INPUT)
    assert _tokens(trail, "output") == (OUTPUT, OUTPUT)
    assert trail.metrics.one("gen_ai.client.operation.time_to_first_chunk").count == 1
    gaps = trail.metrics.one("gen_ai.client.operation.time_per_output_chunk")
    chunks = trail.metrics.one("gen_ai.client.operation.time_to_first_chunk")
    assert chunks.count == 1
    assert gaps.count > 1


async def test_a_stream_with_usage_has_the_servers_numbers(trail, both, driver, server):
    client = driver.client(server)
    asked = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
    await driver.read(await driver.call(client.chat.completions.create, **asked))
    attributes = _recorded_once(trail, both)
    assert _usage(attributes) == (INPUT, OUTPUT)
    assert _sources(attributes) == ["reported", "reported"]
    assert "tokentrail.usage.encoding" not in attributes


async def _close(driver, stream):
    await driver.close(stream)


async def _raise_inside(driver, stream):
    with pytest.raises(KeyError):
        async with driver.within(stream):
            raise KeyError


async def _drop(driver, stream):
    """Nothing: the caller lets go of it."""


@pytest.mark.parametrize("end", [_close, _raise_inside, _drop])
async def test_a_stream_that_is_closed_early_has_what_was_received(
    trail, both, driver, server, end
):
    """However it is closed early, and though the outer span may end before we know of it."""
    client = driver.client(server)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    for _ in range(3):
        await driver.next(stream)
    await end(driver, stream)
    del stream
    gc.collect()
    await asyncio.sleep(0.05)  # an async generator is closed by the loop
    gc.collect()
    attributes = _recorded_once(trail, both)
    assert _usage(attributes) == (INPUT, 2)
    assert _sources(attributes) == ["counted", "counted"]
    assert _tokens(trail, "output") == (2, 2)
    ended = trail.metrics.one("tokentrail.operations")
    assert ended.attributes["tokentrail.outcome"] == "closed_early"


async def test_a_raw_stream_is_recorded_once(trail, both, driver, server):
    client = driver.client(server)
    create = client.chat.completions.with_raw_response.create
    raw = await driver.call(create, stream=True, **ASKED)
    await driver.read(raw.parse())
    assert _usage(_recorded_once(trail, both)) == (INPUT, OUTPUT)


async def test_a_streaming_response_is_recorded_once(trail, both, driver, server):
    client = driver.client(server)
    create = client.chat.completions.with_streaming_response.create
    async with driver.within(create(stream=True, **ASKED)) as raw:
        await driver.read(await driver.call(raw.parse))
    assert _usage(_recorded_once(trail, both)) == (INPUT, OUTPUT)


async def test_the_helper_for_chat_streams_is_recorded_once(trail, both, driver, server):
    client = driver.client(server)
    async with driver.within(client.chat.completions.stream(**ASKED)) as stream:
        await driver.read(stream)
    assert _usage(_recorded_once(trail, both)) == (INPUT, OUTPUT)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_response_is_recorded_once(trail, both, driver, server, streamed):
    client = driver.client(server)
    asked = {"model": "gpt-4o", "input": "Hello, how are you?"}
    if streamed:
        await driver.read(await driver.call(client.responses.create, stream=True, **asked))
    else:
        await driver.call(client.responses.create, **asked)
    attributes = _recorded_once(trail, both)
    assert _usage(attributes) == (INPUT, OUTPUT)
    assert attributes["openai.api.type"] == "responses"


async def test_the_helper_for_responses_is_theirs_in_either_order(trail, both, driver, server):
    """They wrap the helper itself, so they are outside of the call that it makes."""
    client = driver.client(server)
    helper = client.responses.stream(model="gpt-4o", input="Hello, how are you?")
    async with driver.within(helper) as stream:
        await driver.read(stream)
    assert _usage(_recorded_once(trail, "theirs outside")) == (INPUT, OUTPUT)


async def test_embeddings_are_recorded_once(trail, both, driver, server):
    client = driver.client(server)
    asked = {"model": "text-embedding-3-small", "input": "Hello"}
    await driver.call(client.embeddings.create, **asked)
    attributes = _recorded_once(trail, both, operation="embeddings")
    assert attributes["gen_ai.usage.input_tokens"] == 1
    assert _tokens(trail, "input") == (1, 1)


async def test_embeddings_are_recorded_once_under_the_latest_names_too(
    trail, official, driver, server
):
    """Their duration has the same name in both vocabularies."""
    trail.instrument(metric_names="latest")
    official.instrument()
    client = driver.client(server)
    asked = {"model": "text-embedding-3-small", "input": "Hello"}
    await driver.call(client.embeddings.create, **asked)
    _recorded_once(trail, "theirs outside", operation="embeddings")


async def test_a_stored_response_is_fetched_and_recorded_once(trail, both, driver, server):
    client = driver.client(server)
    asked = {"model": "gpt-4o", "input": "Hello, how are you?"}
    kept = await driver.call(client.responses.create, **asked)
    trail.spans.clear()
    await driver.call(client.responses.retrieve, kept.id)
    span = trail.spans.one()
    assert span.instrumentation_scope.name == SCOPES[both]
    assert span.attributes["gen_ai.operation.name"] == "fetch_response"


async def test_what_they_do_not_record_is_ours(trail, both, driver, server):
    """Legacy completions, in either order."""
    client = driver.client(server)
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello"}
    await driver.call(client.completions.create, **asked)
    _recorded_once(trail, "ours outside", operation="text_completion")


async def test_a_failure_is_recorded_once(trail, both, driver, server):
    client = driver.client(server)
    with pytest.raises(openai.NotFoundError):
        await driver.call(client.chat.completions.create, **{**ASKED, "model": "none"})
    attributes = _recorded_once(trail, both)
    assert attributes["error.type"] == "openai.NotFoundError"
    assert trail.spans.one().status.status_code.name == "ERROR"


async def test_nothing_is_warned_of(trail, both, driver, server, caplog, unsaid):
    """Nothing is told twice."""
    client = driver.client(server)
    await driver.call(client.chat.completions.create, **ASKED)
    assert [r for r in caplog.records if r.name == "tokentrail"] == []


async def test_current_usage_knows_their_stream(both, driver, server):
    client = driver.client(server)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    for _ in range(3):
        await driver.next(stream)
    assert tokentrail.current_usage(stream).output.tokens == 2
    await driver.close(stream)


async def test_attribution_is_on_their_span_and_points(trail, official, driver, server):
    trail.instrument(custom_metric_attributes="feature")
    official.instrument()
    client = driver.client(server)
    with tokentrail.attributes(user="7", feature="chat"):
        await driver.call(client.chat.completions.create, **ASKED)
    attributes = _recorded_once(trail, "theirs outside")
    assert (attributes["user"], attributes["feature"]) == ("7", "chat")
    usage = trail.metrics.one("gen_ai.client.token.usage", gen_ai_token_type="output")
    assert usage.attributes["feature"] == "chat"
    assert "user" not in usage.attributes


async def test_counts_that_are_for_spans_stay_out_of_their_metric(trail, official, driver, server):
    trail.instrument(token_counting="spans_only")
    official.instrument()
    client = driver.client(server)
    await driver.read(await driver.call(client.chat.completions.create, stream=True, **ASKED))
    assert _usage(_recorded_once(trail, "theirs outside")) == (INPUT, OUTPUT)
    assert trail.metrics.points("gen_ai.client.token.usage") == []


async def test_what_is_no_more_than_seen_stays_under_our_names(trail, both, driver, server):
    """A reasoning model's stream: what it thought is billed and not shown."""
    client = driver.client(server)
    asked = {**ASKED, "model": "o4-mini", "stream": True}
    await driver.read(await driver.call(client.chat.completions.create, **asked))
    attributes = _recorded_once(trail, both)
    assert "gen_ai.usage.output_tokens" not in attributes
    assert attributes["tokentrail.usage.output.source"] == "visible"
    assert trail.metrics.points("gen_ai.client.token.usage", gen_ai_token_type="output") == []


async def test_a_framework_around_it_all_gains_the_tokens(trail, both, driver, server):
    """Its own inference span, by util-genai's handler, is the only one."""
    from opentelemetry.util.genai.handler import TelemetryHandler

    handler = TelemetryHandler(
        tracer_provider=trail.spans.provider, meter_provider=trail.metrics.provider
    )
    client = driver.client(server)
    with handler.inference("openai", request_model="gpt-4o"):
        stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
        await driver.read(stream)
    span = trail.spans.one()
    assert span.instrumentation_scope.name.startswith("opentelemetry.util.genai")
    assert _usage(span.attributes) == (INPUT, OUTPUT)
    assert _sources(span.attributes) == ["counted", "counted"]
    assert _tokens(trail, "output") == (OUTPUT, OUTPUT)


def test_nothing_of_theirs_is_imported_for_it(official, server):
    """Installed, but used by nobody."""
    program = f"""
import sys, openai, tokentrail
tokentrail.instrument()
client = openai.OpenAI(base_url={server.base_url!r}, api_key="no-secret")
client.chat.completions.create(**{ASKED!r})
assert not any(name.startswith("opentelemetry.util.genai") for name in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=40
    )
    assert done.returncode == 0, done.stderr


PROGRAM = """
import sys
import openai
client = openai.OpenAI(base_url=sys.argv[1], api_key="no-secret")
asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
for chunk in client.chat.completions.create(stream=True, **asked):
    pass
"""


def test_both_under_auto_instrumentation_record_a_call_once(official, auto_instrumented):
    """Entry points load in whatever order: whoever is outside has the counted tokens."""
    printed = auto_instrumented(PROGRAM)
    decoder, found, at = json.JSONDecoder(), [], 0
    while (at := printed.find("{", at)) >= 0:
        span, at = decoder.raw_decode(printed, at)
        found.append(span)
    (span,) = found
    assert _usage(span["attributes"]) == (INPUT, OUTPUT)
    assert _sources(span["attributes"]) == ["counted", "counted"]
