"""A chat call, plain and streamed: all that is told, key by key."""

from __future__ import annotations

import time

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from tests.telemetry.headers import RETRIES

from tokentrail.apis.readers import adapter_of
from tokentrail.model.operations import CHAT
from tokentrail.testing.payloads import Answer, Usage, chat, errors
from tokentrail.testing.server import Event, Plain, Stream

pytestmark = pytest.mark.usefixtures("encodings")

MESSAGES = [{"role": "user", "content": "Hello, how are you?"}]
ASKED = {"model": "gpt-4o", "messages": MESSAGES}
ANSWER = Answer(
    ("Hello there.", "Hello."), Usage(13, 20, reasoning=5, cached=8), "gpt-4o-2024-08-06", id="1"
)
ONE = Answer(("Hello there.",), Usage(13, 3), "gpt-4o-2024-08-06", id="1")
AT_START = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "server.address": "127.0.0.1",
}
PLAIN = {
    **AT_START,
    "openai.api.type": "chat_completions",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.finish_reasons": ("stop",),
    "openai.response.service_tier": "default",
    "openai.response.system_fingerprint": "fp_70ke27a11",
    "gen_ai.usage.input_tokens": 13,
    "gen_ai.usage.output_tokens": 3,
    "tokentrail.usage.input.source": "reported",
    "tokentrail.usage.output.source": "reported",
    "tokentrail.outcome": "completed",
}
RICH_REQUEST = {
    "n": 2,
    "extra_body": {"max_completion_tokens": 64, "reasoning_effort": "low"},
    "temperature": 0.5,
    "top_p": 1,
    "frequency_penalty": 0.25,
    "presence_penalty": -0.25,
    "seed": 7,
    "stop": ["END", "\n\n"],
    "response_format": {"type": "json_object"},
    "service_tier": "flex",
}
"""What openai 1.40 does not take stands in ``extra_body``, which is sent just the same."""
RICH = {
    **PLAIN,
    "gen_ai.request.choice.count": 2,
    "gen_ai.request.max_tokens": 64,
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.top_p": 1.0,
    "gen_ai.request.frequency_penalty": 0.25,
    "gen_ai.request.presence_penalty": -0.25,
    "gen_ai.request.seed": 7,
    "gen_ai.request.stop_sequences": ("END", "\n\n"),
    "gen_ai.output.type": "json",
    "gen_ai.request.reasoning.level": "low",
    "openai.request.service_tier": "flex",
    "gen_ai.response.finish_reasons": ("stop", "stop"),
    "gen_ai.usage.output_tokens": 20,
    "gen_ai.usage.cache_read.input_tokens": 8,
    "gen_ai.usage.reasoning.output_tokens": 5,
}


def _port(server):
    return {"server.port": int(server.url.rpartition(":")[2])}


async def _plain(driver, server, **asked):
    client = driver.client(server)
    return await driver.call(client.chat.completions.create, **{**ASKED, **asked})


async def _streamed(driver, server, **asked):
    stream = await _plain(driver, server, stream=True, **asked)
    return await driver.read(stream)


@pytest.mark.parametrize(
    ("answer", "asked", "expected"),
    [(ONE, {}, PLAIN), (ANSWER, RICH_REQUEST, RICH)],
    ids=["bare", "rich"],
)
async def test_the_span_of_a_plain_call(trail, driver, serve, answer, asked, expected):
    server = serve(Plain(chat.completion(answer)))
    await _plain(driver, server, **asked)
    span = trail.spans.one()
    assert dict(span.attributes) == {**expected, **_port(server)}
    assert (span.name, span.kind) == ("chat gpt-4o", SpanKind.CLIENT)
    assert (span.status.status_code, span.status.description) == (StatusCode.UNSET, None)
    assert (span.events, span.links, span.parent) == ((), (), None)


@pytest.mark.parametrize(
    ("answer", "asked", "expected"),
    [(ONE, {}, PLAIN), (ANSWER, RICH_REQUEST, RICH)],
    ids=["bare", "rich"],
)
async def test_the_span_of_a_streamed_call_says_the_same_and_that_it_streams(
    trail, driver, serve, answer, asked, expected
):
    server = serve(Stream(chat.chunks(answer, "last")))
    await _streamed(driver, server, stream_options={"include_usage": True}, **asked)
    span = trail.spans.one()
    attributes = dict(span.attributes)
    first = attributes.pop("gen_ai.response.time_to_first_chunk")
    assert attributes.pop("tokentrail.time_to_first_content") >= first
    assert attributes == {**expected, **_port(server), **RETRIES, "gen_ai.request.stream": True}
    assert 0 < first <= (span.end_time - span.start_time) / 1e9
    assert (span.name, span.kind) == ("chat gpt-4o", SpanKind.CLIENT)
    assert span.status.status_code is StatusCode.UNSET
    assert span.events == ()


async def test_what_is_not_in_the_request_is_absent(trail, driver, serve):
    """``auto``, one choice, no stream and null are nothing said."""
    server = serve(Plain({"id": "", "choices": [], "model": None, "usage": None}))
    await _plain(
        driver, server, n=1, service_tier="auto", stream=False, seed=None, temperature=None
    )
    assert dict(trail.spans.one().attributes) == {
        **AT_START,
        **_port(server),
        "openai.api.type": "chat_completions",
        "tokentrail.outcome": "completed",
    }


async def test_what_a_sampler_sees(metrics, driver, serve):
    """Exactly the five attributes that the conventions call relevant for sampling."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

    import tokentrail

    seen = []

    class Watching(Sampler):
        def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, *_):
            seen.append((name, kind, dict(attributes)))
            return SamplingResult(Decision.RECORD_AND_SAMPLE)

        def get_description(self):
            return "watching"

    tokentrail.uninstrument()
    tokentrail.instrument(
        tracer_provider=TracerProvider(sampler=Watching()), meter_provider=metrics.provider
    )
    server = serve(Plain(chat.completion(ONE)))
    try:
        await _plain(driver, server)
    finally:
        tokentrail.uninstrument()
    assert seen == [("chat gpt-4o", SpanKind.CLIENT, {**AT_START, **_port(server)})]


async def test_the_parent_of_the_span_is_where_the_call_was_made(trail, driver, serve):
    """Its parent is the span around the call; it lasts from request to answer."""
    server = serve(Plain(chat.completion(ONE), wait=0.02))
    tracer = trail.spans.provider.get_tracer("application")
    with tracer.start_as_current_span("around") as around:
        before = time.time_ns()
        await _plain(driver, server)
        after = time.time_ns()
        assert trace.get_current_span() is around
    inner, outer = trail.spans.all()
    assert inner.parent.span_id == outer.context.span_id
    assert before <= inner.start_time < inner.end_time <= after
    assert inner.end_time - inner.start_time >= 20e6


async def test_the_prompt_of_a_stream_is_read_after_it_was_sent(trail, driver, serve, monkeypatch):
    """To read a long one takes milliseconds, which would delay the request."""
    adapter, read, answered = adapter_of(CHAT), [], []
    parse = adapter.parse_request

    def noting(endpoint, arguments, *, prompt=True):
        if prompt:
            read.append(time.time_ns())
        return parse(endpoint, arguments, prompt=prompt)

    def steps():
        answered.append(time.time_ns())
        yield from chat.chunks(ONE)

    monkeypatch.setattr(adapter, "parse_request", noting)
    await driver.read(await _plain(driver, serve(Stream(steps())), stream=True))
    assert trail.spans.attributes()["tokentrail.usage.input.source"] == "counted"
    assert read
    assert answered[0] < min(read)


async def test_the_span_is_not_current_while_the_stream_is_read(trail, driver, serve):
    server = serve(Stream(chat.chunks(ONE)))
    stream = await _plain(driver, server, stream=True)
    await driver.next(stream)
    assert trace.get_current_span() is trace.INVALID_SPAN
    await driver.close(stream)


@pytest.mark.parametrize(
    ("reply", "description"),
    [
        (errors.model_not_found("gpt-4o"), "404 model_not_found"),
        (errors.reply(500, "secret words"), "500"),
        (errors.wrong_key("sk-12345678901234"), "401 invalid_api_key"),
    ],
)
async def test_an_error_is_on_span_and_duration(trail, driver, serve, reply, description):
    """The class of what the application gets; of its text only status and code."""
    server = serve(reply)
    with pytest.raises(Exception) as raised:
        await _plain(driver, server)
    kind = f"openai.{type(raised.value).__name__}"
    span = trail.spans.one()
    assert dict(span.attributes) == {
        **AT_START,
        **_port(server),
        **RETRIES,
        "openai.api.type": "chat_completions",
        "tokentrail.outcome": "failed",
        "error.type": kind,
    }
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, description)
    assert span.events == ()
    point = trail.metrics.one("gen_ai.client.operation.duration")
    assert point.count == 1
    assert dict(point.attributes) == {**AT_START, **_port(server), "error.type": kind}


async def test_an_error_in_a_stream_is_on_span_and_duration_alone(trail, driver, serve):
    """The other metrics keep their series."""
    server = serve(Stream([*chat.chunks(ONE)[:3], errors.event()]))
    with pytest.raises(Exception) as raised:
        await _streamed(driver, server)
    kind = f"openai.{type(raised.value).__name__}"
    assert trail.spans.attributes()["error.type"] == kind
    for name in trail.metrics.names():
        for point in trail.metrics.points(name):
            told = point.attributes.get("error.type")
            assert told == (kind if name == "gen_ai.client.operation.duration" else None), name


async def test_finish_reasons_that_never_came_are_errors(trail, driver, serve):
    server = serve(Stream([*chat.chunks(ANSWER)[:4], Event("[DONE]")]))
    await _streamed(driver, server, n=2)
    reasons = trail.spans.attributes()["gen_ai.response.finish_reasons"]
    assert reasons == ("error", "error")
