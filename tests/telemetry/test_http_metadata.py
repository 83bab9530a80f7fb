"""Day two: request id, retries and rate limits where an answer shows them, Azure's filter."""

from __future__ import annotations

import gc
import json

import openai
import pytest
from opentelemetry import trace
from tests import shared
from tests.telemetry.headers import ALL, HEADERS, ID, IS_OLD

from tokentrail.apis import http_metadata
from tokentrail.model.records import HttpMetadata
from tokentrail.testing.payloads import Answer, Usage, chat, responses
from tokentrail.testing.server import Drop, Event, Plain, Stream

pytestmark = pytest.mark.usefixtures("encodings")

mode = shared.either_mode

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
ONE = Answer(("Hello there.",), Usage(13, 3), "gpt-4o-2024-08-06")
PREFIXES = ("tokentrail.request_id", "tokentrail.retries", "tokentrail.rate_limit.")


def _shown(trail):
    """Return what the span tells of the exchange."""
    return {k: v for k, v in trail.spans.attributes().items() if k.startswith(PREFIXES)}


def _plain(**headers):
    return Plain(chat.completion(ONE), headers={**HEADERS, **headers})


def _stream(steps=None):
    return Stream(chat.chunks(ONE) if steps is None else steps, headers=HEADERS)


async def test_a_plain_answer_shows_its_request_id(trail, driver, serve):
    client = driver.client(serve(_plain()))
    await driver.call(client.chat.completions.create, **ASKED)
    assert _shown(trail) == ({} if IS_OLD else ID)


async def test_a_raw_answer_shows_all(trail, driver, serve):
    client = driver.client(serve(_plain()))
    raw = await driver.call(client.chat.completions.with_raw_response.create, **ASKED)
    assert _shown(trail) == ALL
    assert raw.headers["x-request-id"] == "req_70ke27a11"


async def test_a_streaming_response_shows_all(trail, driver, serve):
    client = driver.client(serve(_plain()))
    create = client.chat.completions.with_streaming_response.create
    async with driver.within(create(**ASKED)) as response:
        await driver.call(response.parse)
    assert _shown(trail) == ALL


@pytest.mark.settings(emit_event=True)
async def test_an_event_shows_all_where_the_span_is_not_recorded(trail, driver, serve):
    client = driver.client(serve(_stream()))
    unsampled = trace.NonRecordingSpan(trace.SpanContext(1, 1, is_remote=True))
    with trace.use_span(unsampled):
        stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    await driver.read(stream)
    assert trail.spans.all() == ()
    attributes = trail.logs.one("operation.details").attributes
    assert {k: v for k, v in attributes.items() if k.startswith(PREFIXES)} == ALL


@shared.both_modes
@pytest.mark.parametrize("end", ["read", "close", "drop"])
async def test_a_stream_shows_all_however_it_ends(trail, driver, serve, end):
    client = driver.client(serve(_stream()))
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    await driver.next(stream)
    if end == "read":
        await driver.read(stream)
    elif end == "close":
        await driver.close(stream)
    del stream
    gc.collect()
    await driver.close_all()
    gc.collect()
    assert _shown(trail) == ALL


async def test_an_error_in_a_stream_keeps_what_its_headers_showed(trail, driver, serve):
    steps = [*chat.chunks(ONE)[:2], Event({"error": {"message": "no", "code": None}})]
    client = driver.client(serve(_stream(steps)))
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    with pytest.raises(openai.APIError):
        await driver.read(stream)
    assert _shown(trail) == ALL


@pytest.mark.parametrize(
    ("stream", "wait"), [(False, {"retry-after": "20"}), (True, {"retry-after-ms": "20000"})]
)
async def test_a_refusal_shows_all_limits_and_how_long_to_wait(trail, driver, serve, stream, wait):
    body = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
    headers = {**HEADERS, **wait, "x-ratelimit-remaining-requests": "0"}
    client = driver.client(serve(Plain(body, 429, headers)))
    with pytest.raises(openai.RateLimitError):
        await driver.call(client.chat.completions.create, stream=stream, **ASKED)
    assert _shown(trail) == {
        **ALL,
        "tokentrail.rate_limit.requests.remaining": 0,
        "tokentrail.rate_limit.retry_after": 20.0,
    }


@pytest.mark.skipif(IS_OLD, reason="this client does not say which try it is")
@pytest.mark.parametrize("kind", ["raw", "streamed", "failed", "unreachable"])
async def test_retries_are_recorded_for_the_whole_call(trail, driver, serve, kind):
    """Two tries too many, then an answer, a failure, or no connection at all."""
    busy = Plain({"error": {"message": "busy"}}, 500, {"retry-after-ms": "1"})
    last = {"raw": _plain(), "streamed": _stream(), "failed": busy, "unreachable": Drop()}[kind]
    client = driver.client(serve(busy, busy, last), max_retries=2)
    create = client.chat.completions.create
    if kind == "raw":
        await driver.call(client.chat.completions.with_raw_response.create, **ASKED)
    elif kind == "streamed":
        await driver.read(await driver.call(create, stream=True, **ASKED))
    else:
        with pytest.raises(openai.APIError):
            await driver.call(create, **ASKED)
    assert _shown(trail)["tokentrail.retries"] == 2


@pytest.mark.skipif(IS_OLD, reason="this client does not say which try it is")
async def test_a_call_without_an_answer_shows_only_its_tries(trail, driver, serve):
    client = driver.client(serve(Drop()))
    with pytest.raises(openai.APIConnectionError):
        await driver.call(client.chat.completions.create, **ASKED)
    assert _shown(trail) == {"tokentrail.retries": 0}


async def test_other_shapes_show_it_too(trail, driver, serve):
    answer = responses.response(ONE, "completed")
    server = serve(Plain(answer, headers=HEADERS), Stream(responses.events(ONE), headers=HEADERS))
    client = driver.client(server)
    asked = {"model": "gpt-4o", "input": "Hello"}
    if not hasattr(client, "responses"):
        pytest.skip("this client has no responses")
    await driver.call(client.responses.with_raw_response.create, **asked)
    assert _shown(trail) == ALL
    trail.spans.clear()
    await driver.read(await driver.call(client.responses.create, stream=True, **asked))
    assert _shown(trail) == ALL


async def test_metrics_have_only_the_kind_of_a_limit(trail, driver, serve):
    client = driver.client(serve(_stream()))
    await driver.read(await driver.call(client.chat.completions.create, stream=True, **ASKED))
    for name in trail.metrics.names():
        for point in trail.metrics.points(name):
            found = {key for key in point.attributes if key.startswith(PREFIXES)}
            limits = name.startswith("tokentrail.rate_limit.")
            assert found == ({"tokentrail.rate_limit.type"} if limits else set()), name


async def test_headers_that_say_nonsense_say_nothing(trail, driver, serve):
    odd = {
        "x-request-id": "",
        "x-ratelimit-limit-requests": "many",
        "x-ratelimit-remaining-requests": "-1",
        "x-ratelimit-reset-requests": "soon",
        "x-ratelimit-limit-tokens": "9" * 40,
        "x-ratelimit-remaining-tokens": "1.5",
        "x-ratelimit-reset-tokens": "1s and more",
        "retry-after": "Wed, 25 Nov 2026 07:28:00 GMT",
    }
    client = driver.client(serve(Plain(chat.completion(ONE), headers=odd)))
    await driver.call(client.chat.completions.with_raw_response.create, **ASKED)
    assert set(_shown(trail)) <= {"tokentrail.retries"}


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("0s", 0.0), ("1s", 1.0), ("120ms", 0.12), ("6m0s", 360.0), ("1h2m3s", 3723.0),
        ("7.66s", 7.66), ("1d", 86400.0), ("10", 10.0), ("0.5", 0.5),
        ("", None), ("s", None), ("-1s", None), ("1y", None), ("1s,", None), ("1" * 12, None),
    ],
)  # fmt: skip
def test_how_long_until_a_limit_is_over(said, read):
    assert http_metadata.seconds(said) == (None if read is None else pytest.approx(read))


@pytest.mark.parametrize("answer", [None, "text", {"_request_id": "r"}, object(), 7])
def test_what_shows_nothing_is_nothing(answer):
    assert http_metadata.metadata_of_response(answer) is None
    assert http_metadata.metadata_of_error(ValueError(answer)) is None


def test_an_error_of_another_kind_may_have_the_same_names():
    error = ValueError("no")
    error.response, error.request, error.body = 7, "x", ["y"]
    assert http_metadata.metadata_of_error(error) is None
    error.body = {"innererror": {"content_filter_result": {"hate": {"filtered": True}}}}
    found = http_metadata.metadata_of_error(error)
    assert isinstance(found, HttpMetadata)
    assert found.content_filter.input_filtered == ("hate",)


# Azure's content filter --------------------------------------------------------------------------

SAFE = {"hate": {"filtered": False, "severity": "safe"}}
FLAGGED = {
    "hate": {"filtered": False, "severity": "low"},
    "violence": {"filtered": True, "severity": "high"},
    "jailbreak": {"filtered": False, "detected": True},
    "protected_material_code": {
        "filtered": False, "detected": False, "citation": {"URL": "tiger", "license": "tiger"}},
    "custom_blocklists": {"filtered": True, "details": [{"id": "tiger-list", "filtered": True}]},
    "tiger tiger": {"filtered": True, "severity": "high"},
    "sexual": {"filtered": False, "severity": "burning bright"},
}  # fmt: skip
SEEN = ("hate:low", "violence:high", "jailbreak:detected")
STOPPED = ("violence", "custom_blocklists")
FILTER = "tokentrail.content_filter."


def _filter(trail):
    attributes = trail.spans.attributes()
    assert "tiger" not in repr(attributes)
    return {k.removeprefix(FILTER): v for k, v in attributes.items() if k.startswith(FILTER)}


def _prompt(results):
    return {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": results}]}


def _answered(results, prompt=SAFE):
    body = json.loads(json.dumps(chat.completion(ONE)))
    body["choices"][0]["content_filter_results"] = results
    return Plain({**body, **_prompt(prompt)})


def _chunked(*results, prompt=SAFE):
    """Return a stream whose chunks bear these results in turn, the last of them all others."""
    steps, left = [], list(results)
    for event in chat.chunks(ONE):
        if isinstance(event.data, str):
            steps.append(event)
            continue
        data = json.loads(json.dumps(event.data))
        data["choices"][0]["content_filter_results"] = left.pop(0) if left else {}
        steps.append(Event(data))
    empty = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    return Stream([Event({**empty, **_prompt(prompt)}), *steps])


async def test_a_safe_answer_has_no_attributes_of_the_filter(trail, driver, serve):
    client = driver.client(serve(_answered(SAFE)), "azure")
    await driver.call(client.chat.completions.create, **ASKED)
    assert _filter(trail) == {}


@pytest.mark.parametrize("kind", ["azure", "openai"])
async def test_a_plain_answer_records_categories_and_severities(trail, driver, serve, kind):
    """Whatever client asked: the answer says so itself."""
    client = driver.client(serve(_answered(FLAGGED, FLAGGED)), kind)
    await driver.call(client.chat.completions.create, **ASKED)
    assert _filter(trail) == {
        "input.flagged": SEEN,
        "input.filtered": STOPPED,
        "output.flagged": SEEN,
        "output.filtered": STOPPED,
    }


async def test_a_stream_records_the_worst_severity_of_its_chunks(trail, driver, serve):
    medium = {"hate": {"filtered": False, "severity": "medium"}}
    low = {"hate": {"filtered": False, "severity": "low"}}
    client = driver.client(serve(_chunked(low, low, medium, low, prompt=FLAGGED)), "azure")
    await driver.read(await driver.call(client.chat.completions.create, stream=True, **ASKED))
    assert _filter(trail) == {
        "input.flagged": SEEN,
        "input.filtered": STOPPED,
        "output.flagged": ("hate:medium",),
    }


async def test_what_was_filtered_once_stays_filtered(trail, driver, serve):
    high = {"hate": {"filtered": True, "severity": "high"}}
    low = {"hate": {"filtered": False, "severity": "low"}}
    client = driver.client(serve(_chunked(high, low)), "azure")
    await driver.read(await driver.call(client.chat.completions.create, stream=True, **ASKED))
    assert _filter(trail) == {"output.flagged": ("hate:high",), "output.filtered": ("hate",)}


@shared.both_modes
async def test_a_stream_that_is_closed_early_records_what_came(trail, driver, serve):
    client = driver.client(serve(_chunked(FLAGGED)), "azure")
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    await driver.next(stream)
    await driver.close(stream)
    assert _filter(trail) == {}
    trail.spans.clear()
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    for _ in range(2):
        await driver.next(stream)
    await driver.close(stream)
    assert _filter(trail) == {"output.flagged": SEEN, "output.filtered": STOPPED}


async def test_a_refused_prompt_records_the_reason(trail, driver, serve):
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": FLAGGED}
    error = {"message": "tiger", "code": "content_filter", "status": 400, "innererror": inner}
    client = driver.client(serve(Plain({"error": error}, 400)), "azure")
    with pytest.raises(openai.BadRequestError):
        await driver.call(client.chat.completions.create, **ASKED)
    assert _filter(trail) == {"input.flagged": SEEN, "input.filtered": STOPPED}
    assert trail.spans.one().status.description == "400 content_filter"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_records_both_directions(trail, driver, serve, stream):
    filters = [
        {"source_type": "prompt", "blocked": False, "content_filter_results": FLAGGED},
        {"source_type": "completion", "blocked": False, "content_filter_results": SAFE},
    ]
    body = {**responses.response(ONE, "completed"), "content_filters": filters}
    created, *events = responses.events(ONE)
    *events, last = events
    told = Event({**last.data, "response": body}, last.name)
    server = serve(Stream([created, *events, told]) if stream else Plain(body))
    client = driver.client(server, "azure")
    if not hasattr(client, "responses"):
        pytest.skip("this client has no responses")
    answer = await driver.call(
        client.responses.create,
        model="gpt-4o",
        input="Hello",
        **({"stream": True} if stream else {}),
    )
    if stream:
        await driver.read(answer)
    assert _filter(trail) == {"input.flagged": SEEN, "input.filtered": STOPPED}


@pytest.mark.parametrize(
    "results",
    [None, [], "high", 7, {"hate": None}, {"hate": "high"}, {"hate": {"filtered": "yes"}},
     {"hate": {"severity": 3}}, {7: {"filtered": True}}, [{"filtered": True}]],
)  # fmt: skip
async def test_a_filter_that_says_nonsense_says_nothing(trail, driver, serve, results):
    client = driver.client(serve(_answered(results, results)), "azure")
    await driver.call(client.chat.completions.create, **ASKED)
    assert _filter(trail) == {}


def test_categories_without_end_end():
    from tokentrail.apis.content_filter import Findings

    found = Findings()
    for number in range(1000):
        found.of_answer({f"c{number}": {"filtered": True}})
    assert len(found.outcome().output_filtered) < 100
