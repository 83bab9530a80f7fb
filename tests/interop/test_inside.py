"""What one instrumentation knows and the other does not: who is outside tells it, once."""

from __future__ import annotations

from typing import Any

import pytest
from tests.conftest import HTTP

import tokentrail
from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Plain, Server, Stream

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
ANSWER = Answer(("Hello there.",), Usage(40, 30, reasoning=5, cached=8), "gpt-4o-2024-08-06")
DETAILS = "gen_ai.client.inference.operation.details"
INFERENCE = "gen_ai.client.inference."
THEIRS = "opentelemetry.instrumentation.genai.openai"

pytestmark = pytest.mark.interop


@pytest.fixture
def serve():
    """Start a server that reports what it bills, cached and reasoning too; streamed, if asked."""

    def respond(call):
        if not call.body.get("stream"):
            return Plain(chat.completion(ANSWER))
        asked = (call.body.get("stream_options") or {}).get("include_usage")
        return Stream(chat.chunks(ANSWER, "last" if asked else "none"))

    with Server(respond) as server:
        yield server


# Ours outside ------------------------------------------------------------------------------------


@pytest.fixture
def inside(driver, serve, needed):
    """Give a client whose transport tells the inference again, by util-genai, and knows more."""
    needed("opentelemetry.util.genai.handler")
    from opentelemetry.util.genai.handler import TelemetryHandler

    handler = TelemetryHandler()

    def client(**knows: Any) -> Any:
        def tell(_request: Any = None) -> None:
            with handler.inference("a gateway", request_model="inner") as inference:
                for name, value in knows.items():
                    if isinstance(value, dict):
                        getattr(inference, name).update(value)
                    else:
                        setattr(inference, name, value)

        async def tell_later(request: Any) -> None:
            tell(request)

        hooks = {"request": [tell if driver.mode == "sync" else tell_later]}
        http_client = HTTP[driver.mode](verify=False, event_hooks=hooks)
        return driver.client(serve, http_client=http_client)

    return client


async def _ask(driver, client, *, stream=False, reported=True, **more):
    if stream:
        more = {**more, "stream": True, "stream_options": {"include_usage": reported}}
    answer = await driver.call(client.chat.completions.create, **ASKED, **more)
    return await driver.read(answer) if stream else answer


@pytest.mark.settings(emit_event=True)
async def test_what_those_inside_know_is_on_the_span_and_in_its_event(trail, driver, inside):
    """Any field of theirs that is empty with us, and whatever attributes they have beside."""
    client = inside(conversation_id="conv_1", top_k=7, seed=99, attributes={"gateway.region": "eu"})
    await _ask(driver, client)
    told = {
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.request.top_k": 7,
        "gen_ai.request.seed": 99,
        "gateway.region": "eu",
    }
    attributes = trail.spans.attributes()
    assert told.items() <= attributes.items()
    event = trail.logs.one(DETAILS)
    assert {k: v for k, v in event.attributes.items() if k != "event.name"} == attributes


@pytest.mark.settings(emit_event=True)
async def test_what_we_know_is_not_overwritten(trail, driver, inside):
    """Neither what a span has from its start nor what it gains at its end."""
    said = {"gen_ai.provider.name": "inner", "gen_ai.response.id": "inner", "server.address": "in"}
    await _ask(driver, inside(temperature=0.1, attributes=said), temperature=0.9)
    for attributes in (trail.spans.attributes(), trail.logs.one(DETAILS).attributes):
        assert attributes["gen_ai.provider.name"] == "openai"
        assert attributes["gen_ai.request.model"] == "gpt-4o"
        assert attributes["server.address"] == "127.0.0.1"
        assert attributes["gen_ai.response.id"] == chat.completion(ANSWER)["id"]
        assert attributes["gen_ai.request.temperature"] == 0.9


async def test_parts_of_a_reported_total_are_filled(trail, driver, inside):
    await _ask(driver, inside(cache_write_input_tokens=3, cache_read_input_tokens=1))
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.usage.cache_write.input_tokens"] == 3
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 8


async def test_a_count_of_ours_gains_neither_parts_nor_another_total(trail, driver, inside):
    """They would be parts of a number that is not there."""
    client = inside(cache_read_input_tokens=1, thinking_tokens=2, output_tokens=500)
    await _ask(driver, client, stream=True, reported=False)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.output.source"] == "counted"
    assert attributes["gen_ai.usage.output_tokens"] == 3
    parts = [name for name in attributes if "cache_read" in name or "reasoning" in name]
    assert parts == []


async def test_what_is_not_so_stays_absent(trail, driver, inside):
    """Nought of a part, and no for an answer."""
    client = inside(cache_write_input_tokens=0, request_stream=False)
    await _ask(driver, client)
    absent = {"gen_ai.usage.cache_write.input_tokens", "gen_ai.request.stream"}
    assert not absent & trail.spans.attributes().keys()


@pytest.mark.settings(custom_metric_attributes="feature,tier")
async def test_points_have_only_the_allowed_labels(trail, driver, inside):
    """The application's own goes over it; neither is on the span by that."""
    labels = {"feature": "theirs", "tier": "gold", "tenant": "acme", "error.type": "none"}
    with tokentrail.attributes(feature="ours"):
        await _ask(driver, inside(metric_attributes=labels))
    for name in ("gen_ai.client.operation.duration", "gen_ai.client.token.usage"):
        for point in trail.metrics.points(name):
            assert (point.attributes["feature"], point.attributes["tier"]) == ("ours", "gold")
            assert not {"tenant", "error.type"} & point.attributes.keys()
    attributes = trail.spans.attributes()
    assert (attributes["feature"], "tier" in attributes) == ("ours", False)


@pytest.mark.settings(custom_metric_attributes="feature")
async def test_a_label_that_no_point_can_have_harms_no_metric(trail, driver, inside):
    await _ask(driver, inside(metric_attributes={"feature": ["a", "b"]}))
    assert "feature" not in trail.metrics.one("gen_ai.client.operation.duration").attributes


async def test_a_record_that_is_none_of_theirs_does_no_harm(
    trail, driver, inside, monkeypatch, caplog
):
    """A next release of theirs may have other fields."""
    from tokentrail.support import guard
    from tokentrail.telemetry.emitter import genai_util

    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "_logged", set())
    monkeypatch.setattr(genai_util, "inner_attributes", lambda record, _: record.no_such_field)
    await _ask(driver, inside())
    assert trail.spans.one().attributes["tokentrail.outcome"] == "completed"
    assert trail.metrics.one("gen_ai.client.operation.duration").count == 1
    assert "tokentrail failed at inner attributes" in caplog.text


@pytest.mark.parametrize("order", ["ours outside"])
@pytest.mark.usefixtures("both")
async def test_our_span_is_the_same_with_the_official_instrumentation(
    trail, official, driver, serve
):
    """It sees no more than we do, so it has nothing to fill."""
    told = []
    for beside in (True, False):
        if not beside:
            tokentrail.uninstrument()
            official.uninstrument()
            trail.instrument()
        await _ask(driver, driver.client(serve), stream=True, stop=["END"], seed=7)
        told.append(trail.spans.attributes())
        trail.spans.clear()
        assert told[-1].pop("gen_ai.response.time_to_first_chunk") > 0
        assert told[-1].pop("tokentrail.time_to_first_content") > 0
    assert told[0] == told[1]


@pytest.mark.parametrize("order", ["ours outside"])
@pytest.mark.usefixtures("both")
async def test_the_length_of_an_embedding_in_base64_is_no_dimension(trail, driver, server):
    create = driver.client(server).embeddings.create
    await driver.call(create, model="text-embedding-3-small", input="Hi", encoding_format="base64")
    assert "gen_ai.embeddings.dimension.count" not in trail.spans.attributes()


# Theirs outside ----------------------------------------------------------------------------------

PARTS = {
    f"{INFERENCE}usage.cache_read.input_tokens": 8,
    f"{INFERENCE}usage.reasoning.output_tokens": 5,
}
LATEST = {
    f"{INFERENCE}duration",
    f"{INFERENCE}usage.input_tokens",
    f"{INFERENCE}usage.output_tokens",
    f"{INFERENCE}operation.input_tokens",
    f"{INFERENCE}operation.output_tokens",
}
CHUNKS = {f"{INFERENCE}time_to_first_chunk", f"{INFERENCE}time_per_output_chunk"}


def _scopes(trail, name):
    collected = trail.metrics.reader.get_metrics_data()
    return [
        scope.scope.name
        for resource in collected.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_cached_and_reasoning_tokens_are_counted_once_beside_them(
    trail, official, driver, serve, stream
):
    """They have no such counters; without these a cost is overstated."""
    official.instrument()
    await _ask(driver, driver.client(serve), stream=stream)
    for name, tokens in PARTS.items():
        assert trail.metrics.one(name).value == tokens
        assert _scopes(trail, name) == ["tokentrail"]
    assert {n for n in trail.metrics.names() if n.startswith(INFERENCE)} == set(PARTS)
    assert trail.metrics.one("gen_ai.client.operation.duration").count == 1


@pytest.mark.parametrize("vocabulary", ["latest", "both"])
@pytest.mark.parametrize("stream", [False, True])
async def test_the_latest_metrics_are_ours_and_recorded_once(
    trail, official, driver, serve, stream, vocabulary
):
    """They have the released ones alone, whatever we are asked for."""
    trail.instrument(metric_names=vocabulary, time_per_output_chunk=True)
    official.instrument()
    await _ask(driver, driver.client(serve), stream=stream)
    told = {name for name in trail.metrics.names() if name.startswith(INFERENCE)}
    assert told == LATEST | set(PARTS) | (CHUNKS if stream else set())
    for name in told:
        assert _scopes(trail, name) == ["tokentrail"]
    for name in LATEST:
        points = trail.metrics.points(name)
        calls = {point.count for point in points if hasattr(point, "count")}
        assert len(points) == 1
        assert calls <= {1}
    assert trail.metrics.one(f"{INFERENCE}usage.output_tokens").value == 30
    old = trail.metrics.one("gen_ai.client.token.usage", gen_ai_token_type="output")
    assert (old.count, old.sum) == (1, 30)
    assert _scopes(trail, "gen_ai.client.operation.duration") == [THEIRS]


@pytest.mark.parametrize("stream", [False, True])
async def test_released_gaps_are_theirs_alone(trail, official, driver, serve, stream):
    trail.instrument(time_per_output_chunk=True)
    official.instrument()
    await _ask(driver, driver.client(serve), stream=stream)
    name = "gen_ai.client.operation.time_per_output_chunk"
    assert _scopes(trail, name) == ([THEIRS] if stream else [])
