"""An ``error`` event is about one response or none: which one, and whether it ended by it."""

from __future__ import annotations

import gc
import json
import random
import time

import pytest
from opentelemetry.trace import StatusCode
from tests import shared
from tests.websocket.apis import TEXT_MODEL, WORDS, of, told, until, whole
from tests.websocket.peer import DROP
from websockets.exceptions import ConnectionClosed

import tokentrail
from tokentrail.support import guard
from tokentrail.websocket.session import WebSocketSession

pytestmark = pytest.mark.surface

mode = shared.either_mode


def objection(code="server_error", status=500):
    """Return an error of the protocol, which has a status."""
    return {"type": "error", "status": status, "error": {"code": code, "message": "no"}}


def breakdown(code="server_error"):
    """Return an error out of a response, which is numbered as its other events are."""
    return {"type": "error", "sequence_number": 5, "error": {"code": code, "message": "no"}}


ERRORS = pytest.mark.parametrize("error", [objection(), breakdown()], ids=["status", "number"])


def half(api):
    """Return the events of a response that does not come to its end."""
    return [api.created(), *map(api.delta, WORDS[:3])]


def usage(span):
    """Return how a call ended, and what is known of its usage."""
    attributes = span.attributes
    return (
        attributes["tokentrail.outcome"],
        attributes.get("gen_ai.usage.input_tokens"),
        attributes.get("gen_ai.usage.output_tokens"),
        attributes.get("tokentrail.usage.output.source"),
    )


REPORTED = (90, 30, "reported")


def by_temperature(trail):
    """Return the spans in the order of what tells their requests apart."""
    return sorted(trail.spans.all(), key=lambda span: span.attributes["gen_ai.request.temperature"])


# What has begun ----------------------------------------------------------------------------------


@of("realtime")
async def test_an_error_of_a_session_ends_no_response(api, peer, client, driver, trail):
    error = {"type": "error", "event_id": "event_5", "error": {"type": "x", "message": "no"}}
    peer.answers = [[*half(api), error, api.done()]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection)
    assert usage(trail.spans.one()) == ("completed", *REPORTED)


@of("responses")
@ERRORS
async def test_what_follows_an_error_says_how_the_response_failed(
    api, error, peer, client, driver, trail
):
    """As over HTTP: the usage and the code are those of the response."""
    peer.answers = [[*half(api), error, api.failed()]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection)
    span = trail.spans.one()
    assert usage(span) == ("failed", *REPORTED)
    assert span.attributes["error.type"] == "rate_limit_exceeded"
    assert span.attributes["gen_ai.response.status"] == "failed"


@of("responses")
async def test_a_retry_of_the_application_is_recorded_twice(api, peer, client, driver, trail):
    """The next is asked for before the failure of the one before it is read."""
    peer.answers = [[*half(api), breakdown(), api.failed()], whole(api, "resp_2")]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection, temperature=0.25)
        await until(driver, connection, "error")
        await api.ask(driver, connection, temperature=0.75)
        await until(driver, connection, "response.completed")
    failed, fine = by_temperature(trail)
    assert usage(failed) == ("failed", *REPORTED)
    assert failed.attributes["gen_ai.response.id"] == "resp_1"
    assert usage(fine) == ("completed", *REPORTED)
    assert fine.attributes["gen_ai.response.id"] == "resp_2"


@of("responses")
@ERRORS
async def test_an_error_ends_the_response_of_its_lane(api, error, peer, client, driver, trail):
    """Nothing more comes of it, and another begins."""
    peer.answers = [[*half(api), error], whole(api, "resp_2")]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection, "error")
        await api.ask(driver, connection)
        await until(driver, connection, "response.created")
        assert len(trail.spans.all()) == 1  # told now, not when the connection is closed
        await until(driver, connection)
    failed, fine = told(trail)
    assert usage(failed) == ("failed", 13, 3, "counted")
    assert failed.attributes["error.type"] == "server_error"
    assert failed.status.status_code is StatusCode.ERROR
    assert usage(fine) == ("completed", *REPORTED)


async def _leave(driver, connection):
    await driver.call(connection.close)


async def _lose(driver, connection):
    with pytest.raises(ConnectionClosed):
        await until(driver, connection)


async def _flush(driver, connection):
    assert tokentrail.flush(end_open_calls=True)


@of("responses")
@ERRORS
@pytest.mark.parametrize("how", [_leave, _lose, _flush])
async def test_an_error_that_nothing_follows_was_the_end(
    api, error, how, peer, client, driver, trail
):
    """It failed when the error came, however long its connection is open after that."""
    peer.answers = [[*half(api), error, *([DROP] if how is _lose else [])]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        for _ in WORDS[:3]:
            await until(driver, connection, "response.output_text.delta")
        time.sleep(0.05)
        read = time.time_ns()
        await until(driver, connection, "error")
        seen = time.time_ns()
        time.sleep(0.2)
        assert trail.spans.all() == ()
        await how(driver, connection)
        span = trail.spans.one()
    assert usage(span) == ("failed", 13, 3, "counted")
    assert span.attributes["error.type"] == "server_error"
    assert read - 20_000_000 < span.end_time < seen + 100_000_000
    assert len(trail.spans.all()) == 1


@shared.both_modes
@of("responses")
async def test_an_error_on_a_connection_that_is_dropped(api, peer, client, driver, trail):
    peer.answers = [[*half(api), breakdown()]]
    connection = await driver.call(api.connect(client).enter)
    await api.ask(driver, connection)
    await until(driver, connection, "error")
    below = connection._connection
    del connection
    gc.collect()
    assert usage(trail.spans.one()) == ("failed", 13, 3, "counted")
    await driver.call(below.close)


@of("responses")
@pytest.mark.parametrize("end", ["completed", "incomplete", "closed_early"])
async def test_an_error_about_something_else(api, end, peer, client, driver, trail):
    """The response goes on; that the server objected to another event is no failure of it."""
    last = {"completed": [api.done()], "incomplete": [api.incomplete()], "closed_early": []}
    peer.answers = [
        [*half(api), objection("unknown_event", 400), *map(api.delta, WORDS[3:]), *last[end]]
    ]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        if end == "closed_early":
            for _ in WORDS:
                await until(driver, connection, "response.output_text.delta")
        else:
            await until(driver, connection)
    span = trail.spans.one()
    if end == "closed_early":
        assert usage(span)[0] == "closed_early"
    else:
        assert usage(span) == ("completed", *REPORTED)
    assert "error.type" not in span.attributes


@of("responses")
@pytest.mark.parametrize("last", ["completed", "cancelled"])
async def test_an_end_right_after_an_error_is_what_counts(api, last, peer, client, driver, trail):
    peer.answers = [[*half(api), objection("unknown_event", 400), api.done(status=last)]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection, "error")
        connection.parse_event(await driver.call(connection.recv_bytes))
    assert usage(trail.spans.one()) == (last, *REPORTED)
    assert "error.type" not in trail.spans.attributes()


# What has not ------------------------------------------------------------------------------------


@of("responses")
@ERRORS
async def test_a_request_that_is_refused(api, error, peer, client, driver, trail):
    """It never becomes a response, but somebody asked for one; no token was spent on it."""
    peer.answers = [[{**error, "error": {"code": "model_not_found"}}]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection, "error")
        span = trail.spans.one()
    assert span.name == f"chat {TEXT_MODEL}"
    assert span.attributes["error.type"] == "model_not_found"
    assert span.attributes["tokentrail.outcome"] == "failed"
    assert not [name for name in span.attributes if ".usage." in name]
    assert not [name for name in trail.metrics.names() if "usage" in name]
    assert trail.metrics.one("gen_ai.client.operation.duration").count == 1


@of("responses")
@pytest.mark.parametrize("more", [{}, {"sequence_number": 7}], ids=["status", "status and number"])
async def test_a_request_that_is_refused_while_another_runs(api, more, peer, client, driver, trail):
    refused = {**objection("response_in_progress", 400), **more}
    peer.answers = [half(api), [refused, api.delta(WORDS[3]), api.done()]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection, temperature=0.25)
        await until(driver, connection, "response.output_text.delta")
        await api.ask(driver, connection, temperature=0.75)
        await until(driver, connection)
    first, second = by_temperature(trail)
    assert usage(first) == ("completed", *REPORTED)
    assert first.attributes["gen_ai.response.id"] == "resp_1"
    assert usage(second) == ("failed", None, None, None)
    assert second.attributes["error.type"] == "response_in_progress"
    assert "gen_ai.response.id" not in second.attributes


@of("responses")
async def test_an_error_of_the_connection_is_no_lanes(api, peer, client, driver, trail):
    lane = {"stream_id": "one"}
    peer.answers = [[api.created(**lane), objection("who_knows", 400), api.done(lane="one")]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection, **lane)
        await until(driver, connection)
    assert usage(trail.spans.one()) == ("completed", *REPORTED)


@shared.both_modes
@of("responses")
async def test_switched_off_while_an_error_is_open(api, peer, client, driver, trail):
    """What is ours goes with the response after it, which is not told."""
    peer.answers = [[*half(api), breakdown()], whole(api, "resp_2")]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection, "error")
        tokentrail.uninstrument()
        await api.ask(driver, connection)
        await until(driver, connection, "response.created")
        assert "parse_event" not in vars(connection)
        await until(driver, connection)
    (span,) = trail.spans.at_once()
    assert usage(span)[0] == "failed"


# Whatever the server says ------------------------------------------------------------------------


REFUSED = objection("refused", 400)


def _story(chance, api, name):
    """Return what becomes of a request: its events, how its call ends, the id of its response."""
    end = chance.choice(["refused", "completed", "failed", "breakdown", "both"])
    if end == "refused":
        return [REFUSED], "failed", None
    events = [api.created(name)]
    for word in chance.sample(WORDS, chance.randrange(4)):
        events += [*chance.choice([[], [objection("other")]]), api.delta(word, name)]
    if end in {"breakdown", "both"}:
        events.append(breakdown())
    if end != "breakdown":
        status = "completed" if end == "completed" else "failed"
        events.append(api.done(name, status, error={"code": "rate_limit_exceeded"}))
    return events, "completed" if end == "completed" else "failed", name


@of("responses")
@pytest.mark.parametrize("seed", range(8))
async def test_whatever_goes_wrong_each_is_recorded_once_and_by_its_own(
    api, seed, peer, client, driver, trail
):
    """Requests are known by their temperature: what is told of each is what was said to it.

    The next may be sent at any time, except that an objection to nothing known is taken for its
    refusal as long as it waits.
    """
    chance = random.Random(seed)
    stories = [_story(chance, api, f"resp_{number}") for number in range(40)]
    peer.answers = [[] for _ in stories]
    sent = 0
    async with driver.within(api.connect(client)) as connection:
        for number, (events, *_) in enumerate(stories):
            for place, event in enumerate(events):
                ahead = 0 if any("status" in later for later in events[place:]) else 1
                while sent < min(number + 1 + chance.randint(0, ahead), len(stories)):
                    await api.ask(driver, connection, temperature=sent / 100)
                    sent += 1
                connection.parse_event(json.dumps(event))
    seen = [
        (span.attributes["tokentrail.outcome"], span.attributes.get("gen_ai.response.id"))
        for span in by_temperature(trail)
    ]
    assert seen == [(ending, name) for _, ending, name in stories]


@of("responses")
async def test_an_error_of_ours_leaves_the_event_to_the_application(
    api, peer, client, driver, trail, monkeypatch, caplog
):
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "_logged", set())
    monkeypatch.setattr(WebSocketSession, "seen", lambda *_: 1 / 0)
    peer.answers = [[*half(api), api.done()]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection)
    (line,) = [line for line in caplog.messages if "tokentrail failed" in line]
    assert line.startswith("tokentrail failed at event (ZeroDivisionError")
