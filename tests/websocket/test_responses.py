"""Each response on a connection is a span of its own, with the usage that the server reports."""

from __future__ import annotations

import json

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from tests import shared
from tests.websocket.apis import (
    ENDS,
    MODEL,
    NAMED,
    TEXT_MODEL,
    TEXT_NAMED,
    WORDS,
    of,
    told,
    until,
    whole,
)

import tokentrail
from tokentrail.runtime import runtime
from tokentrail.websocket.in_flight import MAX_IN_FLIGHT

pytestmark = pytest.mark.surface

mode = shared.either_mode


REPORTED = {
    "gen_ai.usage.input_tokens": 90,
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.usage.cache_read.input_tokens": 48,
    "tokentrail.usage.input.source": "reported",
    "tokentrail.usage.output.source": "reported",
}
SOUND = {
    "gen_ai.usage.text.input_tokens": 20,
    "gen_ai.usage.audio.input_tokens": 70,
    "gen_ai.usage.text.cache_read.input_tokens": 16,
    "gen_ai.usage.audio.cache_read.input_tokens": 32,
    "gen_ai.usage.text.output_tokens": 5,
    "gen_ai.usage.audio.output_tokens": 25,
}


def _by_temperature(trail):
    """Return the ids of the responses, and what tells their requests apart."""
    return [
        (span.attributes["gen_ai.response.id"], span.attributes["gen_ai.request.temperature"])
        for span in told(trail)
    ]


async def test_a_response_is_a_span_with_its_usage(api, peer, client, driver, trail):
    peer.answers = [whole(api)]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection)
    attributes = trail.spans.attributes()
    assert 0 < attributes.pop("gen_ai.response.time_to_first_chunk") < 30
    assert 0 < attributes.pop("tokentrail.time_to_first_content") < 30
    speaks = api.type == "realtime"
    model = MODEL if speaks else TEXT_MODEL
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.request.stream": True,
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.model": NAMED if speaks else TEXT_NAMED,
        "gen_ai.response.status": "completed",
        "gen_ai.response.finish_reasons": ("stop",),
        "openai.api.type": api.type,
        "server.address": "127.0.0.1",
        "server.port": peer.port,
        "tokentrail.outcome": "completed",
        **REPORTED,
        **(SOUND if speaks else {}),
        **({"gen_ai.conversation.id": "conv_1", "gen_ai.output.type": "text"} if speaks else {}),
    }
    span = trail.spans.one()
    assert span.name == f"chat {model}"
    assert span.kind is trace.SpanKind.CLIENT
    assert span.status.status_code is trace.StatusCode.UNSET


async def test_metrics_are_those_of_any_inference(api, peer, client, driver, trail):
    peer.answers = [whole(api)]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection)
    one = trail.metrics.one
    assert one("gen_ai.client.token.usage", gen_ai_token_type="input").sum == 90
    assert one("gen_ai.client.token.usage", gen_ai_token_type="output").sum == 30
    assert one("gen_ai.client.operation.duration").count == 1
    assert one("gen_ai.client.operation.time_to_first_chunk").count == 1
    gaps = one("gen_ai.client.operation.time_per_output_chunk")
    assert gaps.count == len(WORDS) - 1
    assert one("tokentrail.usage.tokens", gen_ai_token_type="output").value == 30
    assert one("tokentrail.operations", tokentrail_outcome="completed").value == 1


async def test_several_in_one_connection(api, peer, client, driver, trail):
    names = ["resp_1", "resp_2", "resp_3"]
    peer.answers = [whole(api, name) for name in names]
    async with driver.within(api.connect(client)) as connection:
        for name in names:
            await api.ask(driver, connection)
            await until(driver, connection)
            assert trail.spans.all()[-1].attributes["gen_ai.response.id"] == name
    assert len(trail.spans.all()) == 3


async def test_a_response_that_the_server_begins_by_itself(api, peer, client, driver, trail):
    """Somebody was heard to stop talking; or a response was steered into another one."""
    peer.greeting += whole(api)
    async with driver.within(api.connect(client)) as connection:
        await until(driver, connection)
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.response.id"] == "resp_1"
    assert attributes.items() >= REPORTED.items()
    if api.type == "responses":  # nobody saw which model was asked for, and none is guessed
        assert "gen_ai.request.model" not in attributes
        assert trail.spans.one().name == "chat"


@of("realtime")
async def test_two_at_once_in_a_session(api, peer, client, driver, trail):
    """One of them is out of the conversation; their events come mixed."""
    beside = {"conversation_id": None}
    peer.answers = [
        [
            api.created("resp_1"),
            api.created("resp_2", **beside),
            api.delta("One", "resp_1"),
            api.delta("Two", "resp_2"),
            api.done("resp_2", usage=None, **beside),
            api.delta(" more", "resp_1"),
            api.done("resp_1", usage=None),
        ]
    ]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection, "response.done")
        await until(driver, connection, "response.done")
    first, second = told(trail)
    assert first.attributes["gen_ai.response.id"] == "resp_1"
    assert first.attributes["gen_ai.usage.output_tokens"] == 2
    assert first.attributes["gen_ai.conversation.id"] == "conv_1"
    assert second.attributes["gen_ai.response.id"] == "resp_2"
    assert second.attributes["gen_ai.usage.output_tokens"] == 1
    assert "gen_ai.conversation.id" not in second.attributes


@of("responses")
async def test_a_response_not_requested_here_has_no_counted_input(api, peer, client, driver, trail):
    """It repeats its instructions but not its input: a count of one part would be wrong."""
    created = api.created()
    created["response"]["instructions"] = "Be brief."
    async with driver.within(api.connect(client)) as connection:
        for event in (created, *map(api.delta, WORDS), api.done(usage=None)):
            connection.parse_event(json.dumps(event))
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.usage.output_tokens"] == len(WORDS) + 1  # and the token that ends it
    assert not [name for name in attributes if name.startswith("gen_ai.usage.input")]
    assert "tokentrail.usage.input.source" not in attributes


@of("responses")
async def test_two_lanes_of_one_connection(api, peer, client, driver, trail):
    one, two = {"stream_id": "one"}, {"stream_id": "two"}
    peer.answers = [
        [api.created("resp_1", **one), api.delta("One", **one)],
        [
            api.created("resp_2", **two),
            api.delta("Two", "resp_2", **two),
            api.delta(" more", **one),
            api.done("resp_2", lane="two", usage=None),
            api.done("resp_1", lane="one", usage=None),
        ],
    ]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection, stream_id="one", temperature=0.5)
        await api.ask(driver, connection, stream_id="two")
        await until(driver, connection, "response.completed")
        await until(driver, connection, "response.completed")
    first, second = told(trail)
    assert first.attributes["gen_ai.response.id"] == "resp_1"
    assert first.attributes["gen_ai.request.temperature"] == 0.5
    assert first.attributes["gen_ai.usage.output_tokens"] == 3
    assert second.attributes["gen_ai.response.id"] == "resp_2"
    assert second.attributes["gen_ai.usage.output_tokens"] == 2
    assert first.attributes["tokentrail.usage.input.source"] == "counted"


@of("responses")
async def test_requests_on_one_lane_are_answered_in_turn(api, peer, client, driver, trail):
    peer.answers = [whole(api, "resp_1"), whole(api, "resp_2")]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection, temperature=0.25)
        await api.ask(driver, connection, temperature=0.75)
        await until(driver, connection, "response.completed")
        await until(driver, connection, "response.completed")
    assert _by_temperature(trail) == [("resp_1", 0.25), ("resp_2", 0.75)]


async def test_bytes_may_be_read_and_parsed(api, peer, client, driver, trail):
    peer.answers = [whole(api)]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        event = None
        while event is None or event.type not in ENDS:
            event = connection.parse_event(await driver.call(connection.recv_bytes))
    assert trail.spans.attributes().items() >= REPORTED.items()


async def test_an_event_parsed_twice_is_no_other_response(api, peer, client, driver, trail):
    peer.answers = [whole(api)]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        event = None
        while event is None or event.type not in ENDS:
            received = await driver.call(connection.recv_bytes)
            event = connection.parse_event(received)
            if event.type == "response.created":
                connection.parse_event(received)
    assert trail.spans.attributes()["gen_ai.response.id"] == "resp_1"


@of("responses")
async def test_an_end_parsed_twice_ends_no_other_response(api, peer, client, driver, trail):
    peer.answers = [whole(api, "resp_1"), whole(api, "resp_2")]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection, temperature=0.25)
        ended = (await until(driver, connection))[-1]
        await api.ask(driver, connection, temperature=0.75)
        connection.parse_event(ended.to_json())
        await until(driver, connection, "response.created")
        connection.parse_event(ended.to_json())
        await until(driver, connection)
    assert _by_temperature(trail) == [("resp_1", 0.25), ("resp_2", 0.75)]


@of("responses")
@pytest.mark.parametrize("kinds", [{"delta", "completed"}, {"completed"}])
async def test_who_parses_a_part_of_the_events(api, kinds, peer, client, driver, trail):
    """Whose beginning was not seen is the one that was asked for."""
    peer.answers = [whole(api, "resp_1"), whole(api, "resp_2")]
    async with driver.within(api.connect(client)) as connection:
        for temperature in (0.25, 0.75):
            await api.ask(driver, connection, temperature=temperature)
            kind = ""
            while kind != "completed":
                received = await driver.call(connection.recv_bytes)
                kind = json.loads(received)["type"].split(".")[-1]
                if kind in kinds:
                    connection.parse_event(received)
    assert _by_temperature(trail) == [("resp_1", 0.25), ("resp_2", 0.75)]
    assert all(span.attributes.items() >= REPORTED.items() for span in trail.spans.all())


@of("responses")
async def test_responses_that_run_at_once_on_one_lane(api, peer, client, driver, trail):
    """No server should; each ends by its own last event all the same."""
    created = [api.created("resp_1"), api.created("resp_2")]
    peer.answers = [[], [*created, api.done("resp_2"), api.done("resp_1")]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection, temperature=0.25)
        await api.ask(driver, connection, temperature=0.75)
        await until(driver, connection)
        assert _by_temperature(trail) == [("resp_2", 0.75)]
        await until(driver, connection)
    assert _by_temperature(trail) == [("resp_1", 0.25), ("resp_2", 0.75)]


@shared.both_modes
async def test_a_connection_may_be_opened_without_with(api, peer, client, driver, trail):
    peer.answers = [whole(api)]
    connection = await driver.call(api.connect(client).enter)
    await api.ask(driver, connection)
    await until(driver, connection)
    await driver.call(connection.close)
    assert trail.spans.attributes().items() >= REPORTED.items()


async def test_handlers_may_be_dispatched_to(api, peer, client, driver, trail):
    peer.answers = [[*whole(api), "bye"]]
    async with driver.within(api.connect(client)) as connection:
        if not hasattr(connection, "dispatch_events"):
            pytest.skip("this openai does not dispatch")
        seen = []
        connection.on("response.output_text.delta", lambda event: seen.append(event.delta))
        await api.ask(driver, connection)
        await driver.call(connection.dispatch_events)
    assert seen == WORDS
    assert trail.spans.attributes().items() >= REPORTED.items()


@shared.both_modes
async def test_the_parent_is_what_was_current_at_that_moment(api, peer, client, driver, trail):
    """At the request, where it is seen; else at the event: not when the connection was opened."""
    tracer = trail.spans.provider.get_tracer("application")
    peer.answers = [whole(api)]
    with tracer.start_as_current_span("opened"):
        connection = await driver.call(api.connect(client).enter)
    with tracer.start_as_current_span("turn") as turn, tokentrail.attributes(turn="1"):
        await api.ask(driver, connection)
        events = await until(driver, connection, "response.created")
        assert trace.get_current_span() is turn
    events += await until(driver, connection)
    await driver.call(connection.close)
    span = next(span for span in trail.spans.all() if span.name.startswith("chat"))
    assert span.parent.span_id == turn.get_span_context().span_id
    assert span.attributes["turn"] == "1"
    assert len(events) >= len(WORDS) + 2


async def test_what_is_suppressed_is_not_recorded(api, peer, client, driver, trail):
    peer.answers = [whole(api)]
    async with driver.within(api.connect(client)) as connection:
        with suppress_instrumentation():
            await api.ask(driver, connection)
            await until(driver, connection)
    assert trail.spans.all() == ()


@of("responses")
async def test_what_is_asked_for_in_silence_stays_silent(api, peer, client, driver, trail):
    """Suppression holds for the response, wherever it is read; the next one is told as its own."""
    peer.answers = [whole(api, "resp_1"), whole(api, "resp_2")]
    async with driver.within(api.connect(client)) as connection:
        with suppress_instrumentation():
            await api.ask(driver, connection, temperature=0.25)
        await api.ask(driver, connection, temperature=0.75)
        await until(driver, connection)
        await until(driver, connection)
    assert _by_temperature(trail) == [("resp_2", 0.75)]


@of("responses")
async def test_what_is_refused_in_silence_is_not_recorded(api, peer, client, driver, trail):
    refused = {"type": "error", "status": 400, "error": {"code": "refused", "message": "no"}}
    peer.answers = [[refused], whole(api)]
    async with driver.within(api.connect(client)) as connection:
        with suppress_instrumentation():
            await api.ask(driver, connection, temperature=0.25)
        await until(driver, connection, "error")
        await api.ask(driver, connection, temperature=0.75)
        await until(driver, connection)
    assert _by_temperature(trail) == [("resp_1", 0.75)]


@of("responses")
@pytest.mark.parametrize("mode", ["async"])
async def test_what_is_never_awaited_was_never_asked_for(api, peer, client, driver, trail):
    peer.answers = [whole(api)]
    asked = {"type": "response.create", "model": TEXT_MODEL, "input": "Tell me of the sea."}
    async with driver.within(api.connect(client)) as connection:
        connection.send({**asked, "temperature": 0.25}).close()
        await connection.send({**asked, "temperature": 0.75})
        await until(driver, connection)
    assert len(peer.received) == 1
    assert _by_temperature(trail) == [("resp_1", 0.75)]


@of("responses")
@pytest.mark.parametrize("mode", ["async"])
async def test_the_parent_is_what_was_current_when_it_was_awaited(api, peer, client, driver, trail):
    tracer = trail.spans.provider.get_tracer("application")
    peer.answers = [whole(api)]
    asked = {"type": "response.create", "model": TEXT_MODEL, "input": "Tell me of the sea."}
    async with driver.within(api.connect(client)) as connection:
        with tracer.start_as_current_span("made"), tokentrail.attributes(turn="made"):
            sending = connection.send(asked)
        with tracer.start_as_current_span("awaited") as awaited, tokentrail.attributes(turn="1"):
            await sending
        await until(driver, connection)
    span = next(span for span in trail.spans.all() if span.name.startswith("chat"))
    assert span.parent.span_id == awaited.get_span_context().span_id
    assert span.attributes["turn"] == "1"


async def test_tools_and_length_are_finish_reasons(api, peer, client, driver, trail):
    call = {"type": "function_call", "name": "tide", "call_id": "call_1", "arguments": ""}
    added = {"type": "response.output_item.added", "output_index": 0, "item": call}
    where = {"response_id": "resp_1", "event_id": "event_9", "sequence_number": 2}
    written = {
        "type": "response.function_call_arguments.delta",
        "output_index": 0,
        "item_id": "item_1",
        "delta": '{"when": "now"}',
        **where,
    }
    peer.answers = [
        [api.created(), {**added, **where}, written, api.done()],
        [api.created(), api.delta("The"), api.incomplete()],
    ]
    async with driver.within(api.connect(client)) as connection:
        for _ in range(2):
            await api.ask(driver, connection)
            await until(driver, connection)
    reasons = [span.attributes["gen_ai.response.finish_reasons"] for span in trail.spans.all()]
    assert reasons == [("tool_call",), ("length",)]


@of("realtime")
async def test_azure_and_where_it_is(api, peer, driver, trail):
    peer.answers = [whole(api)]
    client = driver.client(peer, "azure", websocket_base_url=peer.websocket_base_url)
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection)
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert attributes["server.port"] == peer.port


@pytest.mark.settings(instrumented_apis="chat,embeddings")
async def test_an_api_that_is_not_instrumented(api, peer, client, driver, trail):
    peer.answers = [whole(api)]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection)
    assert trail.spans.all() == ()


@of("responses")
@pytest.mark.settings(capture_content="span_only")
async def test_content_of_responses_is_recorded_if_asked_for(api, peer, client, driver, trail):
    peer.answers = [whole(api)]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection)
    attributes = trail.spans.attributes()
    assert "Tell me of the sea." in attributes["gen_ai.input.messages"]
    assert "The sea is old." in attributes["gen_ai.output.messages"]


@of("realtime")
@pytest.mark.settings(capture_content="span_only")
async def test_content_of_a_session_is_never_recorded(api, peer, client, driver, trail):
    peer.answers = [whole(api)]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection)
    assert "sea" not in str(trail.spans.attributes())


@shared.both_modes
@of("responses")
async def test_lanes_of_the_clients_own_session(api, peer, client, driver, trail):
    """It sends below the connection: what was asked is not known, what is answered is."""
    module = pytest.importorskip("openai.lib.responses_websocket")
    if api.path.startswith("beta"):
        pytest.skip("it is made for the other one")
    prefix = "Async" if driver.mode == "async" else ""
    sessions = getattr(module, f"{prefix}ResponsesWebSocketSession")
    most = dict.fromkeys(("max_events_per_lane", "max_events"), 64)
    size = dict.fromkeys(("max_bytes_per_lane", "max_bytes"), 1 << 20)
    limits = module.ResponsesWebSocketLimits(max_lanes=2, max_response_bytes=None, **most, **size)
    peer.answers = [whole(api)]
    async with (
        driver.within(api.connect(client)) as connection,
        driver.within(sessions(connection, limits=limits)) as session,
    ):
        asked = {"type": "response.create", "model": TEXT_MODEL, "input": "Tell me of the sea."}
        await driver.call(session.default.send, asked)
        response = await driver.call(session.default.get_final_response)
    assert response.id == "resp_1"
    attributes = trail.spans.attributes()
    assert attributes.items() >= REPORTED.items()
    assert attributes["gen_ai.response.model"] == TEXT_NAMED
    assert "gen_ai.request.model" not in attributes


async def test_responses_that_never_end_are_bounded(api, peer, client, driver, trail):
    """Of a server that begins them and ends none, the oldest are let go, as closed early."""
    begun = MAX_IN_FLIGHT + 20
    peer.greeting += [api.created(f"resp_{number}") for number in range(begun)]
    peer.greeting.append(api.done(f"resp_{begun - 1}"))
    async with driver.within(api.connect(client)) as connection:
        await until(driver, connection)
        ended = [span.attributes for span in trail.spans.all()]
        assert len(runtime.current().open_calls) == MAX_IN_FLIGHT - 1
    assert [each["gen_ai.response.id"] for each in ended] == [
        *(f"resp_{number}" for number in range(20)),
        f"resp_{begun - 1}",
    ]
    assert [each["tokentrail.outcome"] for each in ended] == ["closed_early"] * 20 + ["completed"]
    assert len(trail.spans.all()) == begun
