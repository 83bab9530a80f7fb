"""However a response ends, or the connection under it: one span, which says how."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import json
import random
import threading

import pytest
from opentelemetry.trace import StatusCode
from tests.websocket.apis import WORDS, of, told, until, whole
from tests.websocket.peer import BYE, DROP, Peer
from websockets.exceptions import ConnectionClosed

import tokentrail

pytestmark = pytest.mark.surface

SEAMS = {"parse_event", "recv_bytes", "close"}


def seams(connection):
    """Return the names of what is ours on a connection."""
    kinds = {name: type(value).__module__ for name, value in vars(connection).items()}
    return {name for name, module in kinds.items() if module.startswith("tokentrail")}


def half(api):
    """Return the events of a response that does not come to its end."""
    return [api.created(), *map(api.delta, WORDS[:3])]


async def begun(api, driver, connection):
    """Ask for a response and read three pieces of it."""
    await api.ask(driver, connection)
    for _ in WORDS[:3]:
        await until(driver, connection, *DELTAS)


DELTAS = ("response.output_text.delta", "response.text.delta")


TOKENS = 3
"""Of half a response. The one that the Responses API bills for an end is not among them."""


def broken(attributes):
    """Return how a call ended, and what is known of its output."""
    return (
        attributes["tokentrail.outcome"],
        attributes.get("gen_ai.usage.output_tokens"),
        attributes.get("tokentrail.usage.output.source"),
    )


# What the server says ----------------------------------------------------------------------------


async def test_cancelled_by_the_application(api, peer, client, driver, trail):
    peer.answers = [half(api), [api.cancelled()]]
    async with driver.within(api.connect(client)) as connection:
        await begun(api, driver, connection)
        await driver.call(connection.send, {"type": "response.cancel"})
        if api.type == "responses":  # no release has a class for its event
            connection.parse_event(await driver.call(connection.recv_bytes))
        else:
            await until(driver, connection)
    attributes = trail.spans.attributes()
    assert broken(attributes) == ("cancelled", 30, "reported")
    assert attributes["gen_ai.response.finish_reasons"] == ("error",)
    assert attributes["gen_ai.response.status"] == "cancelled"
    assert trail.spans.one().status.status_code is StatusCode.UNSET


async def test_failed_at_the_server(api, peer, client, driver, trail):
    peer.answers = [[*half(api), api.failed()], whole(api, "resp_2")]
    async with driver.within(api.connect(client)) as connection:
        await begun(api, driver, connection)
        await until(driver, connection)
        await api.ask(driver, connection)
        await until(driver, connection)
    failed, fine = told(trail)
    assert broken(failed.attributes) == ("failed", 30, "reported")
    assert failed.attributes["error.type"] == "rate_limit_exceeded"
    assert failed.status.status_code is StatusCode.ERROR
    assert fine.attributes["tokentrail.outcome"] == "completed"


# What becomes of the connection ------------------------------------------------------------------


@pytest.mark.parametrize("how", ["leave", "close", "raise"])
async def test_closed_in_the_middle(api, how, peer, client, driver, trail):
    peer.answers = [half(api)]
    with contextlib.suppress(LookupError):
        async with driver.within(api.connect(client)) as connection:
            await begun(api, driver, connection)
            if how == "close":
                await driver.call(connection.close)
            if how == "raise":
                raise LookupError
    assert broken(trail.spans.attributes()) == ("closed_early", TOKENS, "counted")
    assert trail.spans.one().status.status_code is StatusCode.UNSET
    assert seams(connection) == set()


@of("realtime")
async def test_of_speech_the_words_are_an_estimate(api, peer, client, driver, trail):
    """Sound has no tokens that could be counted here; a transcript has, which are not all."""
    sound = api.delta("UklGRg==" * 1000, kind=api.sound)
    said = [api.delta(word, kind=api.spoken) for word in WORDS]
    peer.answers = [[api.created(speaks=True), sound, *said]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        for _ in range(2 + len(WORDS)):
            await until(driver, connection, "response.created", api.sound, api.spoken)
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.output.type"] == "speech"
    assert attributes["tokentrail.usage.approximated.output_tokens"] == len(WORDS)
    assert "gen_ai.usage.output_tokens" not in attributes
    assert attributes["gen_ai.response.time_to_first_chunk"] > 0


@of("realtime")
async def test_of_sound_alone_nothing_is_known(api, peer, client, driver, trail):
    peer.answers = [[api.created(speaks=True), api.delta("UklGRg==", kind=api.sound)]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection, api.sound)
    attributes = trail.spans.attributes()
    assert not [name for name in attributes if name.endswith("_tokens")]


@pytest.mark.parametrize(("what", "name"), [(DROP, "ClosedError"), (BYE, "ClosedOK")])
async def test_lost_in_the_middle(api, what, name, peer, client, driver, trail):
    peer.answers = [[*half(api), what]]
    async with driver.within(api.connect(client)) as connection:
        await begun(api, driver, connection)
        with pytest.raises(ConnectionClosed):
            await until(driver, connection)
        attributes = trail.spans.attributes()  # told at once, not when it is left
    assert broken(attributes) == ("failed", TOKENS, "counted")
    assert attributes["error.type"] == f"websockets.exceptions.Connection{name}"
    assert trail.spans.one().status.status_code is StatusCode.ERROR


@of("realtime")
async def test_lost_and_found_again(api, peer, client, driver, trail):
    """The client may connect again by itself: what was under way is lost all the same."""
    if "on_reconnecting" not in inspect.signature(api.of(client).connect).parameters:
        pytest.skip("this openai does not connect again")
    peer.answers = [[*half(api), DROP], whole(api, "resp_2")]
    manager = api.connect(client, on_reconnecting=lambda _: None, initial_delay=0.01)
    async with driver.within(manager) as connection:
        events = aiter(connection) if driver.mode == "async" else iter(connection)
        kind = None
        while kind != "response.done":
            kind = (await driver.next(events)).type
            if kind == "session.created":
                await api.ask(driver, connection)
    lost, found = told(trail)
    assert broken(lost.attributes) == ("failed", 3, "counted")
    assert broken(found.attributes) == ("completed", 30, "reported")


async def test_reading_continues_over_a_cancelled_read(api, peer, client, driver, trail):
    """To cancel a read is safe, says the client; so it ends nothing."""
    gate = threading.Event()
    peer.answers = [[*half(api), gate, api.done()]]
    async with driver.within(api.connect(client)) as connection:
        await begun(api, driver, connection)
        if driver.mode == "async":
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(connection.recv(), 0.05)
        gate.set()
        await until(driver, connection)
    assert broken(trail.spans.attributes()) == ("completed", 30, "reported")


@pytest.mark.parametrize("mode", ["async"])
async def test_a_task_that_is_cancelled(api, peer, client, driver, trail):
    gate, ready = threading.Event(), asyncio.Event()
    peer.answers = [[*half(api), gate]]

    async def talk():
        async with api.connect(client) as connection:
            await begun(api, driver, connection)
            ready.set()
            await connection.recv()

    task = asyncio.create_task(talk())
    await ready.wait()
    task.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert broken(trail.spans.attributes()) == ("cancelled", TOKENS, "counted")


async def test_dropped_without_a_close(api, peer, client, driver, trail):
    peer.answers = [[*half(api)]]
    connection = await driver.call(api.connect(client).enter)
    await begun(api, driver, connection)
    below = connection._connection
    del connection
    gc.collect()
    assert broken(trail.spans.attributes()) == ("closed_early", TOKENS, "counted")
    await driver.call(below.close)


@of("responses")
async def test_not_sent(api, peer, client, driver, trail):
    """What could not be sent was never asked of a server."""
    peer.answers = []
    connection = await driver.call(api.connect(client).enter)
    await driver.call(connection._connection.close)
    with pytest.raises(ConnectionClosed):
        await api.ask(driver, connection)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "failed"
    assert attributes["error.type"].startswith("websockets.exceptions.ConnectionClosed")
    await driver.call(connection.close)
    assert len(trail.spans.all()) == 1


# Switching off -----------------------------------------------------------------------------------


async def test_switched_off_in_the_middle(api, peer, client, driver, trail):
    """What is under way is told when it ends; then nothing of ours is left, and nothing begins."""
    peer.answers = [[*half(api), api.done()], whole(api)]
    async with driver.within(api.connect(client)) as connection:
        await begun(api, driver, connection)
        tokentrail.uninstrument()
        assert seams(connection) >= SEAMS
        await until(driver, connection)
        assert seams(connection) == set()
        await api.ask(driver, connection)
        await until(driver, connection)
    spans = trail.spans.at_once()
    assert [broken(span.attributes) for span in spans] == [("completed", 30, "reported")]


async def test_switched_off_while_nothing_is_under_way(api, peer, client, driver, trail):
    peer.answers = [whole(api), whole(api)]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection)
        tokentrail.uninstrument()
        assert seams(connection) == set()
        await api.ask(driver, connection)
        await until(driver, connection)
    assert len(trail.spans.at_once()) == 1


async def test_the_seams_are_these_and_go_with_the_close(api, peer, client, driver, trail):
    async with driver.within(api.connect(client)) as connection:
        assert seams(connection) == SEAMS | ({"send"} if api.type == "responses" else set())
        assert seams(connection._connection) == set()
        assert seams(client) == set()
    assert seams(connection) == set()
    assert trail.spans.all() == ()


# Nothing of the application changes ---------------------------------------------------------------


async def _conversation(api, peer, driver, client):
    """Return all that an application can see of a conversation that is lost in the end."""
    peer.answers = [[*whole(api), {"type": "who.knows", "x": 1}], [*half(api), api.failed(), DROP]]
    seen = []
    async with driver.within(api.connect(client)) as connection:
        faces = [
            (name, inspect.iscoroutinefunction(getattr(connection, name)), method.__qualname__)
            for name in ("parse_event", "recv_bytes", "recv", "send", "close")
            for method in [getattr(connection, name)]
        ]
        try:
            connection.parse_event("{")
        except Exception as error:
            seen.append((type(error), str(error)))
        for _ in range(2):
            await api.ask(driver, connection)
            seen.extend(
                (type(event), event.to_json(exclude_unset=True))
                for event in await until(driver, connection)
            )
        try:
            while True:
                event = await driver.call(connection.recv)
                seen.append((type(event), event.to_json()))
        except Exception as error:
            seen.append((type(error), str(error)))
    return faces, seen, json.dumps(peer.received), peer.paths


async def test_nothing_is_seen_of_it(api, driver):
    found = []
    for instrumented in (False, True):
        with Peer(greeting=api.greeting()) as peer:
            client = driver.client(peer, websocket_base_url=peer.websocket_base_url)
            if instrumented:
                tokentrail.instrument()
            try:
                found.append(await _conversation(api, peer, driver, client))
            finally:
                tokentrail.uninstrument()
    assert found[0] == found[1]


@pytest.mark.parametrize("mode", ["sync"])
async def test_one_thread_sends_while_another_reads(api, peer, client, driver, trail):
    count = 20
    peer.answers = [whole(api, f"resp_{number}") for number in range(count)]
    with api.connect(client) as connection:
        asking = threading.Thread(
            target=lambda: [asyncio.run(api.ask(driver, connection)) for _ in range(count)]
        )
        asking.start()
        for _ in range(count):
            await until(driver, connection)
        asking.join()
    ids = [span.attributes["gen_ai.response.id"] for span in trail.spans.all()]
    assert ids == [f"resp_{number}" for number in range(count)]


@of("realtime")
@pytest.mark.parametrize("seed", range(5))
async def test_each_is_recorded_once_in_any_order(api, seed, client, driver, trail):
    """Events that belong to nothing under way, or come again, are nobody's."""
    chance, begun, ended = random.Random(seed), 0, 0
    under_way = set()
    async with driver.within(api.connect(client)) as connection:
        for _ in range(200):
            name = chance.choice(["resp_1", "resp_2", "resp_3", "resp_4"])
            event = chance.choice([api.created(name), api.delta(" sea", name), api.done(name)])
            connection.parse_event(json.dumps(event))
            if event["type"] == "response.created":
                begun += name not in under_way
                under_way.add(name)
            elif event["type"] == "response.done":
                ended += name in under_way
                under_way.discard(name)
    endings = [span.attributes["tokentrail.outcome"] for span in trail.spans.all()]
    assert len(endings) == begun
    assert endings.count("completed") == ended
    assert endings.count("closed_early") == len(under_way)
