"""What calls tell is what the table says, key by key: attributes, points, events, their levels.

``tokentrail.telemetry.schema`` is that table, and ``docs/telemetry.md`` is made of it.

To add a case:

- an attribute, metric or event is a row of that table, with its APIs, its condition (``When``)
  and level; ``python tools/make_telemetry.py`` writes the page;
- have a call here for which the condition holds: what is asked is in ASKED, what is answered in
  ``_body`` and ``_events``; ``_facts`` has the conditions that hold for a call, VALUES what an
  attribute must be;
- the conventions' levels of the attributes are in ``levels.py``.

What is recorded and has no row fails, and so does a row that no call records; ``schema.APART``
has what only some releases of the SDK record.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import openai
import pytest
from tests import shared
from tests.surface.table import METHODS, streams
from tests.telemetry import levels
from tests.telemetry.headers import ALL, HEADERS, ID, IS_OLD

from tokentrail.model.operations import OPERATIONS
from tokentrail.telemetry import schema, semconv, texts
from tokentrail.telemetry.meanings import MEANINGS
from tokentrail.telemetry.schema import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    FETCH,
    LATEST,
    RELEASED,
    RESPONSES,
    RETRIEVAL,
    When,
)
from tokentrail.testing.payloads import (
    Answer,
    chat,
    completions,
    embeddings,
    errors,
    judgements,
    responses,
)
from tokentrail.testing.server import Event, Plain, Stream

mode, model = shared.either_mode, shared.model

pytestmark = pytest.mark.usefixtures("encodings")

ROOT = Path(__file__).parents[2]
NOTES = "reference/gen_ai-conventions.md"

# Calls that say all that can be said, and answers that do ----------------------------------------

TOOL = {"name": "f", "description": "Does.", "parameters": {"type": "object", "properties": {}}}
SAMPLING = {
    "temperature": 0.5,
    "top_p": 1,
    "frequency_penalty": 0.25,
    "presence_penalty": -0.25,
    "seed": 7,
    "stop": ["END"],
    "n": 2,
}
BARE = {
    CHAT: {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]},
    RESPONSES: {"model": "gpt-4o", "input": "Hello, how are you?"},
    COMPLETIONS: {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello"},
    EMBEDDINGS: {"model": "text-embedding-3-small", "input": "Hello"},
    FETCH: {"response_id": "resp_1"},
    RETRIEVAL: {"vector_store_id": "vs_1", "query": "the sea"},
}
ASKED = {
    CHAT: {
        **SAMPLING,
        "response_format": {"type": "json_object"},
        "service_tier": "flex",
        "tools": [{"type": "function", "function": TOOL}],
        "extra_body": {"max_completion_tokens": 64, "reasoning_effort": "low", "top_k": 40},
    },
    RESPONSES: {
        "temperature": 0.5,
        "top_p": 1,
        "max_output_tokens": 64,
        "instructions": "Be short.",
        "tools": [{"type": "function", **TOOL}],
        "extra_body": {
            "input": [
                {"type": "compaction", "id": "cmp_1", "encrypted_content": "Z0FB"},
                {"role": "user", "content": "Hello, how are you?"},
            ],
            "reasoning": {"effort": "low"},
            "service_tier": "flex",
            "conversation": "conv_1",
            "previous_response_id": "resp_0",
            "prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Paris"}},
            "text": {"format": {"type": "json_object"}},
        },
    },
    COMPLETIONS: {**SAMPLING, "max_tokens": 64, "extra_body": {"top_k": 40}},
    EMBEDDINGS: {"dimensions": 4, "encoding_format": "float"},
    FETCH: {"extra_body": {"starting_after": 3}},
    RETRIEVAL: {"max_num_results": 3},
}
"""Beside the bare call; what openai 1.40 does not take stands in ``extra_body``."""

CHAT_USAGE = {
    "prompt_tokens": 40,
    "completion_tokens": 30,
    "total_tokens": 70,
    "prompt_tokens_details": {
        "cached_tokens": 8, "cache_write_tokens": 2, "text_tokens": 20, "image_tokens": 10,
        "audio_tokens": 6},
    "completion_tokens_details": {"reasoning_tokens": 5, "text_tokens": 20, "audio_tokens": 7},
}  # fmt: skip
RESPONSES_USAGE = {
    "input_tokens": 40,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 70,
}

SAMPLED = {
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.top_p": 1.0,
    "gen_ai.request.max_tokens": 64,
}
CHOSEN = {
    **SAMPLED,
    "gen_ai.request.choice.count": 2,
    "gen_ai.request.frequency_penalty": 0.25,
    "gen_ai.request.presence_penalty": -0.25,
    "gen_ai.request.seed": 7,
    "gen_ai.request.stop_sequences": ("END",),
    "gen_ai.request.top_k": 40,
    "gen_ai.response.finish_reasons": ("stop", "stop"),
    "openai.response.system_fingerprint": "fp_70ke27a11",
    "gen_ai.usage.text.input_tokens": 20,
    "gen_ai.usage.image.input_tokens": 10,
    "gen_ai.usage.audio.input_tokens": 6,
    "gen_ai.usage.text.output_tokens": 20,
    "gen_ai.usage.audio.output_tokens": 7,
}
SPENT = {
    "gen_ai.usage.input_tokens": 40,
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.usage.cache_read.input_tokens": 8,
    "gen_ai.usage.cache_write.input_tokens": 2,
    "gen_ai.usage.reasoning.output_tokens": 5,
    "tokentrail.usage.input.source": "reported",
    "tokentrail.usage.output.source": "reported",
}
THOUGHT = {
    "gen_ai.output.type": "json",
    "gen_ai.request.reasoning.level": "low",
    "openai.request.service_tier": "flex",
    "openai.response.service_tier": "default",
}
VALUES = {
    CHAT: {
        **CHOSEN,
        **SPENT,
        **THOUGHT,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "openai.api.type": "chat_completions",
    },
    RESPONSES: {
        **SAMPLED,
        **SPENT,
        **THOUGHT,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.status": "completed",
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.conversation.compacted": True,
        "gen_ai.request.previous_response.id": "resp_0",
        "gen_ai.prompt.name": "pmpt_1",
        "gen_ai.prompt.version": "2",
        "openai.api.type": "responses",
    },
    COMPLETIONS: {
        **CHOSEN,
        **SPENT,
        "gen_ai.operation.name": "text_completion",
        "gen_ai.request.model": "gpt-3.5-turbo-instruct",
        "gen_ai.response.id": "cmpl-1",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
    },
    EMBEDDINGS: {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.response.model": "text-embedding-3-small",
        "gen_ai.embeddings.dimension.count": 4,
        "gen_ai.request.encoding_formats": ("float",),
        "gen_ai.usage.input_tokens": 1,
        "tokentrail.usage.input.source": "reported",
    },
    FETCH: {
        "gen_ai.operation.name": "fetch_response",
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.status": "completed",
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.request.stream_cursor": "3",
        "openai.api.type": "responses",
        "openai.response.service_tier": "default",
    },
    RETRIEVAL: {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": "vs_1",
        "gen_ai.retrieval.top_k": 3,
    },
}
"""What a span tells of a call that says all, and is answered so."""

ANSWER = Answer(("Hello there.", "Hello."), None, "gpt-4o-2024-08-06", id="1")


def _body(api, *, usage):
    """Return a plain answer, with every number or with none."""
    if api == EMBEDDINGS:
        asked = {"model": BARE[api]["model"], "tokens": 1, "dimensions": 4, "as_base64": False}
        body = dict(embeddings.embeddings(["Hello"], **asked))
        return body if usage else {**body, "usage": None}
    if api == RETRIEVAL:
        return judgements.found("the sea", count=2)
    if api in {RESPONSES, FETCH}:
        said = {
            "conversation": {"id": "conv_1"},
            "instructions": "Be short.",
            "tools": [{"type": "function", **TOOL}],
            "usage": RESPONSES_USAGE,
        }
        body = responses.response(ANSWER, "completed")
        return {**body, **said} if usage else body
    body = (chat if api == CHAT else completions).completion(ANSWER)
    return {**body, "usage": CHAT_USAGE} if usage else body


def _events(api, *, usage):
    if api in {RESPONSES, FETCH}:
        *events, last = responses.events(ANSWER)
        said = {**last.data, "response": _body(api, usage=usage)}
        return [*events, Event(said, last.name)]
    chunks = chat.chunks(ANSWER) if api == CHAT else completions.events(ANSWER)
    if not usage:
        return chunks
    *chunks, done = chunks
    last = {**chunks[-1].data, "choices": [], "usage": CHAT_USAGE}
    return [*chunks, Event(last), done]


def _method(client, api):
    if api in {RESPONSES, FETCH} and not hasattr(client, "responses"):
        pytest.skip("this client has no responses")
    if api == RETRIEVAL and not hasattr(getattr(client, "vector_stores", None), "search"):
        pytest.skip("this client has no search")
    return {
        CHAT: lambda: client.chat.completions.create,
        RESPONSES: lambda: client.responses.create,
        COMPLETIONS: lambda: client.completions.create,
        EMBEDDINGS: lambda: client.embeddings.create,
        FETCH: lambda: client.responses.retrieve,
        RETRIEVAL: lambda: client.vector_stores.search,
    }[api]()


RICH, COUNTED, FAILED = "all said", "counted", "failed"
CALLS = [
    (api, streamed, state)
    for api in schema.APIS
    for streamed in (False, True)
    for state in (RICH, COUNTED, FAILED)
    if not (api in {EMBEDDINGS, RETRIEVAL} and streamed)
    and not (api in {FETCH, RETRIEVAL} and state == COUNTED)
]


async def _call(driver, serve, api, streamed, state):
    """Make the call, to its end."""
    usage = state == RICH
    reply = (
        Stream(_events(api, usage=usage), headers=HEADERS)
        if streamed
        else Plain(_body(api, usage=usage), headers=HEADERS)
    )
    if state == FAILED:
        refused = errors.model_not_found("gpt-4o")
        reply = Plain(refused.body, refused.status, HEADERS)
    asked = dict(BARE[api]) if state != RICH else {**BARE[api], **ASKED[api]}
    if api == FETCH and state == RICH:
        asked = {"response_id": "resp_1", "starting_after": 3}
    if streamed:
        asked["stream"] = True
    method = _method(driver.client(serve(reply)), api)
    if state == FAILED:
        with pytest.raises(openai.NotFoundError):
            await driver.call(method, **asked)
        return
    answer = await driver.call(method, **asked)
    if streamed:
        await driver.read(answer)


def _facts(api, streamed, state, *more):
    """Return the conditions that hold for such a call."""
    facts = {When.ALWAYS, When.NAMED, When.LOCATED, When.HEALTHY, *more}
    if streamed:
        facts |= {When.STREAMED}
    if state == FAILED:
        return facts | {When.FAILED, When.SHOWN, When.SHOWN_ID, When.RAISED}
    facts |= {When.ANSWERED, When.USED, When.ANY_USAGE, When.LIMITED}
    if streamed:
        facts |= {When.BEGUN, When.SHOWN_CONTENT, When.GAPS, When.SHOWN, When.SHOWN_ID}
    elif not IS_OLD:
        facts |= {When.SHOWN_ID}
    return facts | ({When.ASKED, When.BILLED, When.REPORTED} if state == RICH else {When.COUNTED})


def _keys(rows, api, facts):
    found = {row.name: row for row in rows if api in row.apis and row.when in facts}
    if IS_OLD:
        found.pop("tokentrail.retries", None)
    return found


def _named(attributes):
    """Return the keys, as the table names those that the application chooses a part of."""
    return {re.sub(r"^(gen_ai\.prompt\.variable)\..*", r"\1.<name>", key) for key in attributes}


def _is_of(value, kind):
    return type(value) is kind or (kind is tuple and isinstance(value, (tuple, list)))


# Spans -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("api", "streamed", "state"), CALLS)
async def test_a_span_has_the_attributes_in_the_table(trail, driver, serve, api, streamed, state):
    await _call(driver, serve, api, streamed, state)
    attributes = trail.spans.attributes()
    rows = _keys(schema.SPAN, api, _facts(api, streamed, state))
    if api == FETCH and state == RICH and not streamed:
        assert attributes["gen_ai.request.stream_cursor"] == "3"
    assert _named(attributes) == set(rows)
    for name, value in attributes.items():
        assert _is_of(value, rows[name].type), name
    if state == RICH:
        here = {
            "gen_ai.provider.name": "openai",
            "server.address": "127.0.0.1",
            "server.port": attributes["server.port"],
            "tokentrail.outcome": "completed",
        }
        seen = ALL if streamed else {} if IS_OLD else ID
        told_of_stream = {"gen_ai.request.stream": True} if streamed else {}
        for name in ("gen_ai.response.time_to_first_chunk", "tokentrail.time_to_first_content"):
            attributes.pop(name, None)
        assert attributes == {**VALUES[api], **here, **seen, **told_of_stream}


# Metrics -----------------------------------------------------------------------------------------

EVERY_ATTRIBUTE = (
    "server.address,server.port,gen_ai.response.model,"
    "openai.response.service_tier,openai.response.system_fingerprint"
)
VOCABULARIES = {"released": {RELEASED}, "latest": {LATEST}, "both": {RELEASED, LATEST}}


def _metrics(vocabularies, api, facts):
    """Return the row of each metric that is to have points; the released one where both have it."""
    rows = {}
    for row in schema.METRICS:
        if vocabularies & set(row.vocabularies) and api in row.apis and row.when in facts:
            rows.setdefault(row.name, row)
    return rows


@pytest.mark.parametrize("metrics_", VOCABULARIES)
@pytest.mark.parametrize(("api", "streamed", "state"), CALLS)
async def test_points_have_the_attributes_in_the_table(
    trail, driver, serve, api, streamed, state, metrics_
):
    trail.instrument(
        metric_names=metrics_, metric_attributes=EVERY_ATTRIBUTE, time_per_output_chunk=True
    )
    await _call(driver, serve, api, streamed, state)
    facts = _facts(api, streamed, state)
    rows = _metrics(VOCABULARIES[metrics_], api, facts)
    assert trail.metrics.names() == set(rows)
    for name, row in rows.items():
        bears = _keys(row.attributes, api, facts)
        for point in trail.metrics.points(name):
            assert set(point.attributes) == set(bears), name
            for key, value in point.attributes.items():
                assert _is_of(value, bears[key].type), (name, key)


@pytest.mark.parametrize(("api", "streamed", "state"), CALLS)
async def test_instruments_and_units_are_those_of_the_table(
    trail, driver, serve, api, streamed, state
):
    trail.instrument(metric_names="both", time_per_output_chunk=True)
    await _call(driver, serve, api, streamed, state)
    trail.spans.all()
    rows = {row.name: row for row in schema.METRICS}
    kinds = {"histogram": "Histogram", "counter": "Sum", "up-down counter": "Sum", "gauge": "Gauge"}
    collected = trail.metrics.reader.get_metrics_data()
    for resource in collected.resource_metrics:
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            row = rows[metric.name]
            made = row.instrument
            assert (metric.unit, metric.description) == (made.unit, made.description)
            assert type(metric.data).__name__ == kinds[made.kind]
            if kinds[made.kind] == "Sum":
                assert metric.data.is_monotonic is (made.kind == "counter")


@pytest.mark.settings(metric_names="latest")
async def test_modalities_sum_to_the_total(trail, driver, serve):
    await _call(driver, serve, CHAT, streamed=False, state=RICH)
    name = "gen_ai.client.inference.usage.{}_tokens"
    for kind, split in (
        ("input", {"text": 20, "image": 10, "audio": 6, "unknown": 4}),
        ("output", {"text": 20, "audio": 7, "unknown": 3}),
    ):
        points = trail.metrics.points(name.format(kind))
        assert {p.attributes["gen_ai.token.modality"]: p.value for p in points} == split
        assert sum(split.values()) == VALUES[CHAT][f"gen_ai.usage.{kind}_tokens"]


# Both vocabularies at once -----------------------------------------------------------------------

OLD, NEW = "gen_ai.client.operation.", "gen_ai.client.inference."


def _sum(trail, name, what="sum", **attributes):
    return sum(getattr(point, what) for point in trail.metrics.points(name, **attributes))


def _tokens(trail, kind):
    """Return the tokens of one direction: by the old name, the new counter, the new histogram."""
    return (
        _sum(trail, "gen_ai.client.token.usage", gen_ai_token_type=kind),
        _sum(trail, f"{NEW}usage.{kind}_tokens", "value"),
        _sum(trail, f"{NEW}operation.{kind}_tokens"),
    )


@pytest.mark.settings(metric_names="both", time_per_output_chunk=True)
async def test_old_and_new_agree_of_inferences_that_are_completed(trail, driver, serve):
    """Reported and counted, plain and streamed: every sum, and every number of calls."""
    for api in (CHAT, COMPLETIONS):
        for streamed in (False, True):
            for state in (RICH, COUNTED):
                await _call(driver, serve, api, streamed, state)
    for name in ("duration", "time_to_first_chunk", "time_per_output_chunk"):
        assert _sum(trail, OLD + name, "count") == _sum(trail, NEW + name, "count") > 0
        assert _sum(trail, OLD + name) == pytest.approx(_sum(trail, NEW + name))
    for kind in ("input", "output"):
        old, counter, histogram = _tokens(trail, kind)
        assert old == counter == histogram > 0
        assert _sum(trail, "tokentrail.usage.tokens", "value", gen_ai_token_type=kind) == old


@pytest.mark.settings(metric_names="both", time_per_output_chunk=True)
async def test_old_and_new_agree_of_responses(trail, driver, serve):
    for streamed in (False, True):
        for state in (RICH, COUNTED):
            await _call(driver, serve, RESPONSES, streamed, state)
    assert _sum(trail, f"{OLD}duration", "count") == _sum(trail, f"{NEW}duration", "count") == 4
    for kind in ("input", "output"):
        old, counter, histogram = _tokens(trail, kind)
        assert old == counter == histogram > 0


@pytest.mark.settings(metric_names="both", time_per_output_chunk=True)
async def test_embeddings_have_old_and_new_names_and_none_of_an_inference(trail, driver, serve):
    await _call(driver, serve, EMBEDDINGS, streamed=False, state=RICH)
    new = "gen_ai.client.embeddings."
    assert trail.metrics.one(f"{new}duration").count == 1
    assert trail.metrics.one(f"{new}operation.input_tokens").sum == 1
    assert _tokens(trail, "input") == (1, 0, 0)
    assert trail.metrics.one(f"{OLD}duration").count == 1
    assert [name for name in trail.metrics.names() if name.startswith(NEW)] == []


@pytest.mark.settings(metric_names="both", time_per_output_chunk=True)
async def test_a_fetched_stream_has_the_old_names_alone(trail, driver, serve):
    await _call(driver, serve, FETCH, streamed=True, state=RICH)
    for name in ("duration", "time_to_first_chunk", "time_per_output_chunk"):
        assert _sum(trail, OLD + name, "count") > 0
    assert [name for name in trail.metrics.names() if name.startswith(NEW)] == []


@pytest.mark.settings(metric_names="both", time_per_output_chunk=True)
async def test_tokens_of_a_failure_are_counted_and_in_no_histogram_of_operations(
    trail, driver, serve
):
    """As the table of differences says: a stream that fails half-way has used tokens."""
    reply = Stream([*chat.chunks(ANSWER)[:4], errors.event()])
    client = driver.client(serve(reply))
    stream = await driver.call(client.chat.completions.create, stream=True, **BARE[CHAT])
    with pytest.raises(openai.APIError):
        await driver.read(stream)
    for kind in ("input", "output"):
        old, counter, histogram = _tokens(trail, kind)
        assert (old == counter > 0, histogram) == (True, 0)
    row = _listed("chat")
    tokens = {name for name in _metrics_of(trail, "chat") if "token" in name}
    assert tokens == {*row.released, *row.latest}
    assert _sum(trail, f"{OLD}duration", "count") == _sum(trail, f"{NEW}duration", "count") == 1


def _listed(operation):
    """Return what the table of differences says of an operation."""
    (row,) = [row for row in schema.DIFFERENCES if operation in row.operations]
    return row


def _metrics_of(trail, operation):
    """Return the conventional metrics that have a point of the operation, parts of tokens aside."""
    found = {name for name in trail.metrics.names() if name.startswith("gen_ai.client.")}
    return {n for n in found if trail.metrics.points(n, gen_ai_operation_name=operation)}


OTHERS = [method for method in METHODS if method.operation not in {"chat", "text_completion"}]


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # of the method called
@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("method", OTHERS, ids=lambda method: method.path)
async def test_what_is_no_inference_is_recorded_as_in_the_table_of_differences(
    trail, driver, model, method, vocabulary
):
    """Each operation there is, plain and streamed."""
    trail.instrument(metric_names=vocabulary, time_per_output_chunk=True)
    client = driver.client(model)
    if (ask := method.on(client)) is None:
        pytest.skip(f"openai {openai.__version__} has none")
    asked = dict(method.asked)
    if method.fetches is not None:
        asked["response_id"] = (await driver.call(client.responses.create, **method.fetches)).id
    await driver.call(ask, **asked)
    if streams(method):
        await driver.read(await driver.call(ask, **asked, stream=True))
    row = _listed(method.operation)
    released = {name for name in row.released if streams(method) or "chunk" not in name}
    told_of = _metrics_of(trail, method.operation)
    latest = set(row.latest)
    wanted = {"released": released, "latest": latest, "both": released | latest}
    assert told_of == wanted[vocabulary]
    for span in trail.spans.all():
        assert _named(span.attributes) <= {attribute.name for attribute in schema.SPAN}
    assert trail.logs.all() == [], "of what is no inference there are events of exceptions alone"


def test_the_table_lists_every_operation_that_is_no_inference():
    listed = [operation for row in schema.DIFFERENCES for operation in row.operations]
    assert sorted(listed) == sorted({"chat", "text_completion", *(m.operation for m in OTHERS)})
    assert set(listed) == {row.name for row in OPERATIONS}


# Events and content ------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", [CHAT, RESPONSES, COMPLETIONS])
@pytest.mark.settings(capture_content="SPAN_AND_EVENT")
async def test_a_details_event_has_the_attributes_of_the_span(trail, driver, serve, api, streamed):
    await _call(driver, serve, api, streamed, RICH)
    row = schema.EVENTS[0]
    facts = _facts(api, streamed, RICH, When.CAPTURED)
    bears = _keys(row.attributes, api, facts)
    assert _named(trail.spans.attributes()) == set(bears)
    event = trail.logs.one(row.name)
    assert _named(event.attributes) - set(schema.APART) == set(bears)
    assert (event.severity_number.value, event.severity_text) == (5, "DEBUG")


@pytest.mark.settings(capture_content="SPAN_ONLY")
async def test_a_fetched_response_has_its_own_content(trail, driver, serve):
    await _call(driver, serve, FETCH, streamed=False, state=RICH)
    facts = _facts(FETCH, False, RICH, When.CAPTURED)
    assert _named(trail.spans.attributes()) == set(_keys(schema.SPAN, FETCH, facts))


@pytest.mark.settings(capture_content="SPAN_ONLY")
async def test_a_search_has_its_query_and_what_it_found(trail, driver, serve):
    await _call(driver, serve, RETRIEVAL, streamed=False, state=RICH)
    attributes = trail.spans.attributes()
    facts = _facts(RETRIEVAL, False, RICH, When.CAPTURED)
    assert _named(attributes) == set(_keys(schema.SPAN, RETRIEVAL, facts))
    assert attributes["gen_ai.retrieval.query.text"] == "the sea"
    found = json.loads(attributes["gen_ai.retrieval.documents"])
    assert found == [{"id": "file-0", "score": 1.0}, {"id": "file-1", "score": 0.5}]
    assert trail.spans.one().name == "retrieval vs_1"


@pytest.mark.parametrize("names", ["released", "latest", "both"])
@pytest.mark.parametrize("capture", ["NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY"])
@pytest.mark.parametrize("api", schema.APIS)
async def test_an_exception_event_has_the_attributes_in_the_table(
    trail, driver, serve, api, capture, names
):
    trail.instrument(capture_content=capture, metric_names=names)
    await _call(driver, serve, api, streamed=False, state=FAILED)
    is_renamed = names == "latest" and api in schema.EVENTS[2].apis
    row = schema.EVENTS[2 if is_renamed else 1]
    quoted = {When.QUOTED} if capture == "EVENT_ONLY" else set()
    event = trail.logs.one(row.name)
    bears = _keys(row.attributes, api, _facts(api, False, FAILED) | quoted)
    assert set(event.attributes) - set(schema.APART) == set(bears)
    assert (event.severity_number.value, event.severity_text) == (13, "WARN")
    if quoted:
        trace = event.attributes["exception.stacktrace"]
        assert trace.startswith("Traceback")
        assert event.attributes["exception.message"] in trace


# The table itself --------------------------------------------------------------------------------


def _all_rows():
    listed = [*schema.METRICS, *schema.EVENTS]
    return [*schema.SPAN, *listed, *(row for each in listed for row in each.attributes)]


def _strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _strings(item)


def test_every_name_of_the_code_is_in_the_table():
    """A name that is added is listed, with its level, or this fails."""
    known = {row.name for row in _all_rows()} | set(schema.APART)
    known |= {name.removesuffix("<name>") for name in known}
    a_name = re.compile(r"(gen_ai|openai|server|error|exception|event|tokentrail)\.[\w.]+")
    constants = [value for name, value in vars(semconv).items() if name.isupper()]
    said = {text for value in constants for text in _strings(value)}
    missing = {text for text in said if a_name.fullmatch(text)} - known
    assert missing == set()


def test_every_attribute_has_a_meaning_and_nothing_else_has():
    listed = [*schema.METRICS, *schema.EVENTS]
    rows = [*schema.SPAN, *(row for each in listed for row in each.attributes)]
    assert set(MEANINGS) == {row.name for row in rows}
    assert all(meaning.endswith(".") for meaning in MEANINGS.values())


def test_every_metric_has_an_instrument_and_nothing_else_has():
    assert set(semconv.INSTRUMENTS) == {row.name for row in schema.METRICS}
    assert all(made.description.endswith(".") for made in semconv.INSTRUMENTS.values())


def test_every_conventional_name_was_read_in_one_text():
    """None is guessed, and none that is gone stays listed."""
    read = [name for names in texts.READ_IN.values() for name in names]
    conventional = {row.name for row in _all_rows() if not row.name.startswith("tokentrail.")}
    assert sorted(read) == sorted(conventional)
    assert all(re.fullmatch(r"[0-9a-f]{40}|v0\.1\.0|read on .*", t.revision) for t in texts.READ_IN)


def test_no_name_of_ours_is_both_a_name_and_a_namespace():
    names = {row.name for row in _all_rows() if row.name.startswith("tokentrail.")}
    assert not {name for name in names if any(other.startswith(f"{name}.") for other in names)}


def test_what_is_required_is_always_recorded():
    """A required attribute depends on no more than that there is a model."""
    for row in _all_rows():
        if row.level is schema.Level.REQUIRED:
            assert row.when in {When.ALWAYS, When.NAMED}, row.name


def test_names_of_our_own_are_ours_and_content_is_opt_in():
    for row in _all_rows():
        ours = row.name.startswith("tokentrail.")
        assert not ours or row.level is schema.Level.OURS, row.name
        assert (row.when is When.CAPTURED) == (row.level is schema.Level.OPT_IN) or isinstance(
            row, schema.Event
        ), row.name


OF = {
    "inference": {CHAT, RESPONSES, COMPLETIONS, schema.MEDIA, schema.LIVE},
    "embeddings": {EMBEDDINGS},
    "fetch_response": {FETCH},
    "retrieval": {RETRIEVAL},
}
"""What is called, by the span of the conventions that it is."""


@pytest.mark.parametrize("span", levels.SPANS)
def test_levels_of_span_attributes_are_those_of_the_conventions(span):
    """Of each attribute there is, and none is told as conventional that is not."""
    asked = {name: level for level, names in levels.SPANS[span].items() for name in names}
    rows = [row for row in schema.SPAN if OF[span] & set(row.apis)]
    assert {
        row.name: row.level.value for row in rows if row.level is not schema.Level.OURS
    } == asked


def test_levels_of_metrics_and_their_attributes_are_those_of_the_conventions():
    conventional = [row for row in schema.METRICS if row.level is not schema.Level.OURS]
    assert {row.name for row in conventional} == set(levels.METRICS)
    for row in conventional:
        assert row.level is schema.Level.RECOMMENDED, row.name
        named = [each for each in row.attributes if each.level is not schema.Level.OURS]
        assert {each.name: each.level.value for each in named} == levels.METRICS[row.name]


LETTERS = {"required": "R", "conditionally required": "C", "recommended": "r", "opt-in": "O"}
SECTIONS = {
    "inference": ("2.1 Inference span", "2.2 Embeddings span"),
    "embeddings": ("2.2 Embeddings span", "dimension.count must not"),
    "fetch_response": ("2.3 fetch_response span", "2.4 Azure"),
}


@pytest.mark.outside(NOTES)
@pytest.mark.parametrize("span", SECTIONS)
def test_the_levels_here_are_those_of_the_notes(span):
    """Where the notes on the conventions are at hand: what stands there is not forgotten here."""
    begin, end = SECTIONS[span]
    text = (
        (shared.OUTSIDE / NOTES).read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
    )
    read = _levels_of_table(text) if span == "inference" else _levels_of_prose(text)
    assert read
    for name, letter in read.items():
        level = next((lv for lv, all_ in levels.SPANS[span].items() if name in all_), "")
        assert LETTERS.get(level) == letter, name


def _levels_of_table(text):
    lines = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    named = [cells for cells in lines if len(cells) > 4 and re.fullmatch(r"[a-z_.]+", cells[1])]
    return {cells[1]: cells[3].lstrip("*")[0] for cells in named}


def _levels_of_prose(text):
    found = {}
    for letter, said in re.findall(r"\b([RCrO]): (.*?)(?= · |\. |$)", text, re.DOTALL):
        for name in re.findall(r"(?:^|, )([a-z_]+(?:\.[a-z_]+)*)", re.sub(r"\(.*?\)", "", said)):
            known = name.startswith(("gen_ai.", "server.", "error.", "openai."))
            found[name if known else f"gen_ai.{name}"] = letter
    return found


def test_the_page_is_fresh():
    command = [sys.executable, str(ROOT / "tools" / "make_telemetry.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_bodies_are_json():
    """What the server sends is what one could: no value of this file is a Python thing."""
    for api in schema.APIS:
        assert json.loads(json.dumps(_body(api, usage=True)))
