"""``count_verification_ratio``: reported calls that are counted too, once recorded."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

import pytest
from opentelemetry import trace as otel_trace
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tests import shared

import tokentrail
from tokentrail.counting import ENCODINGS, Encodings
from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Plain, Stream

serve = shared.serve_in_turn

MESSAGES = [{"role": "user", "content": "Hello, how are you?"}]
"""13 tokens (a published count)."""
ANSWER = Answer(("Hello there.",), Usage(26, 6), "gpt-4o-2024-08-06")
"""3 tokens; what is reported is twice what is counted."""
RATIO = "tokentrail.usage.count_ratio"
COMPARED = "tokentrail.usage.compared_tokens"


@pytest.fixture(autouse=True)
def encodings():
    ENCODINGS.load("o200k_base")
    ENCODINGS.load("cl100k_base")


async def ask(driver, server, model="gpt-4o", *, stream=False, **more):
    client = driver.client(server)
    asked = {"model": model, "messages": MESSAGES, **more}
    if not stream:
        return await driver.call(client.chat.completions.create, **asked)
    made = await driver.call(client.chat.completions.create, stream=True, **asked)
    return await driver.read(made)


def reply(answer, *, stream):
    return Stream(chat.chunks(answer, "last")) if stream else Plain(chat.completion(answer))


@pytest.mark.settings(count_verification_ratio=1)
@pytest.mark.parametrize("stream", [False, True])
async def test_at_one_every_call_is_compared(driver, trail, serve, stream):
    """The ratio of each direction, under the call's own attributes."""
    await ask(driver, serve(reply(ANSWER, stream=stream)), stream=stream)
    for kind in ("input", "output"):
        point = trail.metrics.one(RATIO, gen_ai_token_type=kind)
        assert (point.count, point.sum) == (1, 0.5)
        assert point.attributes["gen_ai.request.model"] == "gpt-4o"
        assert point.attributes["gen_ai.response.model"] == "gpt-4o-2024-08-06"
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.output.source"] == "reported"
    assert not [name for name in attributes if "counted" in name]


@pytest.mark.settings(count_verification_ratio=1)
@pytest.mark.parametrize("stream", [False, True])
async def test_tokens_that_were_compared_are_summed_up_by_source(driver, trail, serve, stream):
    """So that a short answer weighs little in what counts are off by."""
    server = serve(reply(ANSWER, stream=stream))
    for _ in range(2):
        await ask(driver, server, stream=stream)
    found = {
        (point.attributes["gen_ai.token.type"], point.attributes["tokentrail.usage.source"]): point
        for point in trail.metrics.points(COMPARED)
    }
    assert {key: point.value for key, point in found.items()} == {
        ("input", "reported"): 52,
        ("input", "counted"): 26,
        ("output", "reported"): 12,
        ("output", "counted"): 6,
    }
    assert {point.attributes["gen_ai.request.model"] for point in found.values()} == {"gpt-4o"}


@pytest.mark.settings(token_counting="always")
async def test_what_is_only_counted_or_only_reported_is_not_compared(driver, trail, serve):
    """Neither a stream without a report, nor an answer of a model that nobody can count."""
    await ask(driver, serve(Stream(chat.chunks(ANSWER, "none"))), stream=True)
    await ask(driver, serve(reply(replace(ANSWER, model="our-own"), stream=False)), model="our-own")
    assert trail.metrics.points(COMPARED) == []


@pytest.mark.settings(count_verification_ratio=0)
async def test_at_zero_none_is(driver, trail, serve):
    for _ in range(20):
        await ask(driver, serve(reply(ANSWER, stream=False)))
    assert trail.metrics.points(RATIO) == []


@pytest.mark.settings(count_verification_ratio=0.5)
async def test_between_them_a_share_is(monkeypatch, driver, trail, serve):
    """By a chance of our own."""
    from tokentrail.call import observed_call

    monkeypatch.setattr(observed_call, "_chance", random.Random(1))
    server = serve(reply(ANSWER, stream=False))
    client = driver.client(server)
    for _ in range(40):
        await driver.call(client.chat.completions.create, model="gpt-4o", messages=MESSAGES)
    assert 10 < trail.metrics.one(RATIO, gen_ai_token_type="input").count < 30


async def test_the_program_s_own_random_numbers_stay_its_own(driver, trail, serve):
    """A program that seeds gets the same numbers, whatever the share.

    The SDK draws its ids, and which measurements since the last collection are exemplars.
    """
    client = driver.client(serve(reply(ANSWER, stream=False)))
    states = []
    for share in (0, 0.5, 1):
        trail.instrument(count_verification_ratio=share)
        trail.metrics.reader.collect()
        random.seed(7)
        await driver.call(client.chat.completions.create, model="gpt-4o", messages=MESSAGES)
        assert tokentrail.flush(10)
        states.append(random.getstate())
    assert states[0] == states[1] == states[2]


async def test_no_encoding_is_built_for_it(monkeypatch, driver, trail, serve):
    """Where everything is reported, no encoding is ever loaded, and nothing compared."""
    from tokentrail.runtime import runtime

    cold = Encodings()
    monkeypatch.setattr(runtime, "ENCODINGS", cold)
    monkeypatch.setattr(Encodings, "start", lambda *_: pytest.fail("an encoding was asked for"))
    trail.instrument(count_verification_ratio=1)
    await ask(driver, serve(reply(ANSWER, stream=False)))
    assert trail.metrics.points(RATIO) == []


@pytest.mark.settings(count_verification_ratio=1)
async def test_the_span_does_not_wait_for_it(monkeypatch, driver, trail, serve):
    """It is told before anything is compared; that is done on the worker's thread."""
    go, threads = threading.Event(), []
    from tokentrail.call.jobs import Comparison

    steps = Comparison.steps

    def held(self):
        threads.append(threading.current_thread().name)
        assert go.wait(10)
        yield from steps(self)

    monkeypatch.setattr(Comparison, "steps", held)
    await ask(driver, serve(reply(ANSWER, stream=False)))
    assert len(trail.spans.at_once()) == 1
    go.set()
    assert trail.metrics.one(RATIO, gen_ai_token_type="output").sum == 0.5
    assert threads == ["tokentrail"]


async def test_the_ratio_has_the_context_of_its_call(driver, spans, serve):
    """An exemplar leads to the trace whose count was off."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], exemplar_filter=AlwaysOnExemplarFilter())
    tokentrail.uninstrument()
    tokentrail.instrument(
        tracer_provider=spans.provider, meter_provider=provider, count_verification_ratio=1
    )
    try:
        await ask(driver, serve(reply(ANSWER, stream=False)))
        (span,) = spans.all()
        found = [
            exemplar
            for resource in reader.get_metrics_data().resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == RATIO
            for point in metric.data.data_points
            for exemplar in point.exemplars
        ]
    finally:
        tokentrail.uninstrument()
        provider.shutdown()
    assert {exemplar.trace_id for exemplar in found} == {span.context.trace_id}
    assert {exemplar.span_id for exemplar in found} == {span.context.span_id}
    assert not otel_trace.get_current_span().get_span_context().is_valid


SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
PET = {"anyOf": [{"type": "string"}, {"type": "integer"}]}
UNION = {
    "type": "json_schema",
    "json_schema": {"name": "s", "schema": {"type": "object", "properties": {"pet": PET}}},
}
INCOMPARABLE = {
    # answering model, arguments, the directions that are compared
    "a model that reasons": ("o4-mini", {}, {"input"}),
    "an unknown model": ("my-model", {}, set()),
    "a schema": ("gpt-4o", {"response_format": SCHEMA}, {"input", "output"}),
    "a schema of alternatives": ("gpt-4o", {"response_format": UNION}, {"output"}),
    "predicted output": (
        "gpt-4o",
        {"extra_body": {"prediction": {"type": "content", "content": "Hello"}}},
        {"input"},
    ),
}


@pytest.mark.settings(count_verification_ratio=1)
@pytest.mark.parametrize(("model", "asked", "kinds"), INCOMPARABLE.values(), ids=INCOMPARABLE)
async def test_only_a_count_is_compared(driver, trail, serve, model, asked, kinds):
    """What is visible or approximated says nothing of how good the counts are."""
    answer = Answer(("Hello there.",), Usage(26, 6), model)
    await ask(driver, serve(reply(answer, stream=False)), model, **asked)
    told = {point.attributes["gen_ai.token.type"] for point in trail.metrics.points(RATIO)}
    assert told == kinds


@pytest.mark.settings(count_verification_ratio=1)
async def test_a_report_of_zero_is_no_ratio(driver, trail, serve):
    answer = Answer(("",), Usage(26, 0), "gpt-4o")
    await ask(driver, serve(reply(answer, stream=True)), stream=True)
    told = {point.attributes["gen_ai.token.type"] for point in trail.metrics.points(RATIO)}
    assert told == {"input"}


@pytest.mark.settings(count_verification_ratio=1, token_counting="off")
async def test_where_counting_is_off_nothing_is_compared(driver, trail, serve):
    await ask(driver, serve(reply(ANSWER, stream=False)))
    assert trail.metrics.points(RATIO) == []


@pytest.mark.settings(count_verification_ratio=1)
async def test_a_call_without_report_is_not_compared(driver, trail, serve):
    answer = Answer(("Hello there.",), None, "gpt-4o")
    await ask(driver, serve(Stream(chat.chunks(answer))), stream=True)
    assert trail.metrics.points(RATIO) == []
