"""The metrics: what they are called, which points a call gives, and where those point."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import tokentrail
from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Plain, Stream, Wait

pytestmark = pytest.mark.usefixtures("encodings")

MESSAGES = [{"role": "user", "content": "Hello, how are you?"}]
ONE = Answer(("Hello there.",), Usage(13, 3), "gpt-4o-2024-08-06")
SECONDS = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
TOKENS = (
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
)  # fmt: skip
CONVENTIONAL = {
    "gen_ai.client.operation.duration": ("s", SECONDS),
    "gen_ai.client.operation.time_to_first_chunk": ("s", SECONDS),
    "gen_ai.client.operation.time_per_output_chunk": ("s", SECONDS),
    "gen_ai.client.token.usage": ("{token}", TOKENS),
}
DURATION, FIRST, GAPS, USAGE = CONVENTIONAL
OWN = "tokentrail.usage.tokens"
RATIO = "tokentrail.usage.count_ratio"
COMPARED = "tokentrail.usage.compared_tokens"
PARTS = tuple(
    f"gen_ai.client.inference.usage.{part}_tokens"
    for part in ("cache_read.input", "reasoning.output")
)
"""Reported as 0, and recorded so."""
TOLD = (OWN, RATIO, COMPARED, *PARTS)


async def _call(driver, server, *, stream=True, model="gpt-4o"):
    client = driver.client(server)
    create = client.chat.completions.create
    options = {"stream": True} if stream else {}
    answer = await driver.call(create, model=model, messages=MESSAGES, **options)
    return await driver.read(answer) if stream else answer


def _base(server):
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "server.address": "127.0.0.1",
        "server.port": int(server.url.rpartition(":")[2]),
    }


REFINED = {"openai.response.service_tier": "default"}
"""Conventions for OpenAI add it to duration and tokens, not to the metrics of chunks."""


def _own(kind, source):
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.token.type": kind,
        "tokentrail.usage.source": source,
        "tokentrail.outcome": "completed",
    }


def _collect(reader):
    """Return the metrics that tell of calls, by name; what tells of tokentrail is left out."""
    collected = reader.get_metrics_data()
    found = {
        metric.name: metric
        for resource in collected.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    return {name: m for name, m in found.items() if name.startswith(("gen_ai.", *TOLD))}


@pytest.mark.settings(token_counting="always")
async def test_names_units_and_boundaries(trail, driver, serve):
    """The released names, and the boundaries of the conventions as advice."""
    await _call(driver, serve(Stream(chat.chunks(ONE, "last"))))
    found = _collect(trail.metrics.reader)
    assert set(found) == {*CONVENTIONAL, *TOLD}
    for name, (unit, bounds) in CONVENTIONAL.items():
        (point, *_) = found[name].data.data_points
        assert (found[name].unit, tuple(point.explicit_bounds)) == (unit, bounds)
    ratio = found[RATIO]
    bounds = ratio.data.data_points[0].explicit_bounds
    assert ratio.unit == "1"
    assert 1 not in bounds, "an exact count stands in a bucket of its own"
    assert tuple(bounds) == (
        0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.001, 1.01, 1.02, 1.05, 1.1, 1.25, 2.0,
    )  # fmt: skip
    assert found[OWN].unit == "{token}"
    assert found[OWN].data.is_monotonic
    assert all(metric.description for metric in found.values())


async def test_the_points_of_a_plain_call(trail, driver, serve):
    server = serve(Plain(chat.completion(ONE)))
    await _call(driver, server, stream=False)
    span = trail.spans.one()
    base = {**_base(server), **REFINED}
    found = _collect(trail.metrics.reader)
    assert set(found) == {DURATION, USAGE, OWN, *PARTS}
    (duration,) = found[DURATION].data.data_points
    assert dict(duration.attributes) == base
    assert duration.count == 1
    assert duration.sum == pytest.approx((span.end_time - span.start_time) / 1e9, abs=1e-6)
    assert len(found[USAGE].data.data_points) == 2
    for point in found[USAGE].data.data_points:
        kind = point.attributes["gen_ai.token.type"]
        assert (point.count, point.sum) == (1, {"input": 13, "output": 3}[kind])
        assert dict(point.attributes) == {
            **base,
            "gen_ai.token.type": kind,
            "tokentrail.usage.source": "reported",
        }
    own = {p.attributes["gen_ai.token.type"]: p for p in found[OWN].data.data_points}
    assert {kind: point.value for kind, point in own.items()} == {"input": 13, "output": 3}
    for kind, point in own.items():
        assert dict(point.attributes) == _own(kind, "reported")


CHOSEN = (
    "gen_ai.response.model",
    "server.address",
    "server.port",
    "openai.response.service_tier",
    "openai.response.system_fingerprint",
)


@pytest.mark.parametrize("wanted", ["none", *CHOSEN])
async def test_a_point_has_no_attribute_that_was_not_chosen(trail, driver, serve, wanted):
    trail.instrument(metric_attributes=wanted)
    await _call(driver, serve(Plain(chat.completion(ONE))), stream=False)
    attributes = trail.metrics.one(DURATION).attributes
    assert [name for name in CHOSEN if name in attributes] == [wanted][wanted == "none" :]


async def test_the_points_of_a_streamed_call(trail, driver, serve):
    server = serve(Stream(chat.chunks(ONE)))
    chunks = await _call(driver, server)
    span = trail.spans.one()
    base = _base(server)
    found = _collect(trail.metrics.reader)
    assert set(found) == {*CONVENTIONAL, OWN}
    for name, refined in ((DURATION, REFINED), (FIRST, {}), (GAPS, {})):
        (point,) = found[name].data.data_points
        assert dict(point.attributes) == {**base, **refined}, name
    (duration,) = found[DURATION].data.data_points
    (first,) = found[FIRST].data.data_points
    (gaps,) = found[GAPS].data.data_points
    assert duration.sum == pytest.approx((span.end_time - span.start_time) / 1e9, abs=1e-6)
    assert (first.count, first.sum) == (
        1,
        span.attributes["gen_ai.response.time_to_first_chunk"],
    )
    assert gaps.count == len(chunks) - 1
    assert 0 < gaps.sum <= duration.sum - first.sum
    for point in found[USAGE].data.data_points:
        kind = point.attributes["gen_ai.token.type"]
        assert (point.count, point.sum) == (1, {"input": 13, "output": 3}[kind])
        assert dict(point.attributes) == {
            **base,
            **REFINED,
            "gen_ai.token.type": kind,
            "tokentrail.usage.source": "counted",
        }
    for point in found[OWN].data.data_points:
        kind = point.attributes["gen_ai.token.type"]
        assert dict(point.attributes) == _own(kind, "counted")


@pytest.mark.parametrize("count", [1, 511, 512, 513, 1100])
@pytest.mark.parametrize("mode", ["sync"])
async def test_each_gap_is_recorded_once_however_long_the_stream(trail, driver, serve, count):
    """Gaps are handed over in blocks; none is lost or told twice where one block ends."""
    answer = Answer((" a" * count,), None, "gpt-4o-2024-08-06")
    chunks = await _call(driver, serve(Stream(chat.chunks(answer))))
    span = trail.spans.one()
    gaps = trail.metrics.points(GAPS)
    assert sum(point.count for point in gaps) == len(chunks) - 1
    first = trail.metrics.one(FIRST).sum
    duration = trail.metrics.one(DURATION).sum
    assert sum(point.sum for point in gaps) <= duration - first
    assert span.attributes["gen_ai.usage.output_tokens"] == count


def _with_trace(point, name):
    """Return the exemplars that point to a call: of the gaps of a stream the longest does."""
    if name.endswith("time_per_output_chunk"):
        return [max(point.exemplars, key=lambda exemplar: exemplar.value)]
    return point.exemplars


async def test_exemplars_point_to_the_calls_own_trace(spans, driver, serve):
    """Also where the worker records, and however many calls run: one call, one trace.

    Our own totals are observed, not recorded, and have no exemplars to give.
    """
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], exemplar_filter=AlwaysOnExemplarFilter())
    tokentrail.uninstrument()
    tokentrail.instrument(
        tracer_provider=spans.provider, meter_provider=provider, time_per_output_chunk=True
    )
    models = ("gpt-4o", "gpt-4o-mini")
    server = serve(Stream(chat.chunks(ONE)))
    tracer = spans.provider.get_tracer("application")
    try:
        for model in models:
            with tracer.start_as_current_span(f"around {model}"):
                await _call(driver, server, model=model)
        told = {span.name: span.context for span in spans.all()}
        found = _collect(reader)
    finally:
        tokentrail.uninstrument()
        provider.shutdown()
    for name in CONVENTIONAL:
        points = found[name].data.data_points
        assert {point.attributes["gen_ai.request.model"] for point in points} == set(models), name
        for point in points:
            context = told[f"chat {point.attributes['gen_ai.request.model']}"]
            assert point.exemplars, name
            for exemplar in _with_trace(point, name):
                assert exemplar.trace_id == context.trace_id, name
                assert exemplar.span_id == context.span_id, name


async def test_exemplars_of_counts_that_waited_point_to_their_call_too(
    spans, driver, serve, monkeypatch
):
    from tokentrail.counting import Encodings
    from tokentrail.runtime import runtime

    monkeypatch.setattr(runtime, "ENCODINGS", Encodings())
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], exemplar_filter=AlwaysOnExemplarFilter())
    tokentrail.uninstrument()
    settings = {"count_timeout": 10, "time_per_output_chunk": True}
    tokentrail.instrument(tracer_provider=spans.provider, meter_provider=provider, **settings)
    try:
        await _call(driver, serve(Stream(chat.chunks(ONE))))
        assert spans.at_once() == ()
        context = spans.one().context
        found = _collect(reader)
    finally:
        tokentrail.uninstrument()
        provider.shutdown()
    for name in CONVENTIONAL:
        for point in found[name].data.data_points:
            assert [exemplar.span_id for exemplar in point.exemplars] != [], name
            assert {one.span_id for one in _with_trace(point, name)} == {context.span_id}, name


async def test_of_the_gaps_of_a_stream_the_longest_points_to_it(trail, driver, serve):
    """Of one that hung, that is what one wants to see."""
    first, *rest = chat.chunks(Answer((" a" * 8,), None, "gpt-4o-2024-08-06"))
    await _call(driver, serve(Stream([first, *rest[:3], Wait(0.1), *rest[3:]])))
    point = trail.metrics.one(GAPS)
    span = trail.spans.one().context.span_id
    assert [(one.value, one.span_id) for one in point.exemplars] == [(point.max, span)]
    assert point.max >= 0.05


async def test_a_span_that_is_sampled_out_still_gives_metrics(metrics, driver, serve):
    tokentrail.uninstrument()
    tokentrail.instrument(
        tracer_provider=TracerProvider(sampler=ALWAYS_OFF), meter_provider=metrics.provider
    )
    try:
        await _call(driver, serve(Stream(chat.chunks(ONE))))
        assert metrics.names() >= {*CONVENTIONAL, OWN} - {GAPS}
        assert metrics.one(USAGE, gen_ai_token_type="output").sum == 3
    finally:
        tokentrail.uninstrument()


async def test_without_a_first_chunk_there_is_no_time_to_it(trail, driver, serve):
    server = serve(Stream(chat.chunks(ONE)))
    client = driver.client(server)
    stream = await driver.call(
        client.chat.completions.create, model="gpt-4o", messages=MESSAGES, stream=True
    )
    await driver.close(stream)
    assert trail.metrics.names() & {FIRST, GAPS} == set()
    assert "gen_ai.response.time_to_first_chunk" not in trail.spans.attributes()
