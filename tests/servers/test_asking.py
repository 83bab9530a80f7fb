"""Usage that is there because we asked is nobody's; what a server sends anyway stays."""

from __future__ import annotations

import contextlib

import pytest

import tokentrail
from tokentrail.patching.include_usage import habit_of
from tokentrail.runtime import stream_usage
from tokentrail.runtime.stream_usage import Habit
from tokentrail.testing.server import Cut, Event, Stream

from .conftest import HEAD, MESSAGES, chunk, streamed

USAGE = {"prompt_tokens": 83, "completion_tokens": 12, "total_tokens": 95}
SAID = chunk({"content": "Alders."})


def _is_asked(call):
    return "stream_options" in call.body


OWN = {"a chunk of its own": {"choices": []}, "a chunk without the field": {}}


def _ends(place, usage):
    """Return the last chunks of a stream, with the usage at a place."""
    if place in OWN:
        return [
            chunk({}, "stop"),
            *([Event({**HEAD, **OWN[place], "usage": usage})] if usage else []),
        ]
    if place == "finish":
        return [chunk({}, "stop", **({"usage": usage} if usage else {}))]
    if place == "an empty delta":
        return [chunk({}, "stop"), *([chunk({}, usage=usage)] if usage else [])]
    held = {"usage": usage} if usage else {}
    if place == "the delta":
        return [chunk(held, "stop")]
    more = {
        "objects in objects": {"gateway": {"route": {"billing": held}}},
        "x_groq": {"x_groq": {"id": "r", **held}},
        "another object": {"meta": held},
    }
    return [chunk({}, "stop", **more.get(place, {"choice": held}))]


PLACES = (
    *OWN,
    "finish",
    "an empty delta",
    "x_groq",
    "objects in objects",
    "another object",
    "the delta",
    "the choice",
)


def _seen(chunks):
    return [one.to_json() for one in chunks]


async def _streams(driver, client, times):
    seen = []
    for _ in range(times):
        stream = await driver.call(
            client.chat.completions.create, model="gpt-4o-mini", messages=MESSAGES, stream=True
        )
        seen.append(_seen(await driver.read(stream)))
    return seen


async def _with_and_without(trail, driver, server, times):
    """Return what a program saw without us, and with; one of ours runs first, to learn."""
    client = driver.client(server)
    tokentrail.uninstrument()
    bare = await _streams(driver, client, 1)
    trail.instrument(stream_usage="request")
    return bare[0], await _streams(driver, client, times)


@pytest.mark.parametrize("place", PLACES)
async def test_what_came_because_we_asked_is_seen_nowhere(trail, driver, serve, place):
    """After a stream that asked and one that did not, it is known that the server heeds it."""
    server = serve(lambda call: streamed(SAID, *_ends(place, USAGE if _is_asked(call) else None)))
    bare, (_, *seen) = await _with_and_without(trail, driver, server, 4)
    assert [one == bare for one in seen] == [True] * 3
    assert [_is_asked(call) for call in server.calls] == [False, True, False, True, True]
    values = [span.attributes["tokentrail.usage.output.source"] for span in trail.spans.all()]
    assert values == ["reported", "counted", "reported", "reported"]


@pytest.mark.parametrize("place", PLACES)
async def test_what_a_server_sends_always_is_seen_and_it_is_not_asked(trail, driver, serve, place):
    server = serve(lambda _: streamed(SAID, *_ends(place, USAGE)))
    bare, (_, *seen) = await _with_and_without(trail, driver, server, 3)
    assert seen == [bare] * 2
    assert [_is_asked(call) for call in server.calls] == [False, True, False, False]
    told = {span.attributes["tokentrail.usage.output.source"] for span in trail.spans.all()}
    assert told == {"reported"}


async def test_null_on_the_other_chunks_shows_at_once_that_the_option_is_heeded(
    trail, driver, serve
):
    def respond(call):
        if not _is_asked(call):
            return streamed(SAID, chunk({}, "stop"))
        return streamed(chunk({"content": "Alders."}, usage=None), chunk({}, "stop", usage=USAGE))

    bare, seen = await _with_and_without(trail, driver, serve(respond), 1)
    assert seen == [bare]


async def test_usage_on_every_chunk_is_the_server_s_own(trail, driver, serve):
    said = chunk({"content": "Alders."}, usage={**USAGE, "completion_tokens": 1})
    server = serve(lambda _: streamed(said, chunk({}, "stop", usage=USAGE)))
    bare, seen = await _with_and_without(trail, driver, server, 2)
    assert seen == [bare] * 2


async def test_a_first_chunk_with_usage_begins_the_answer_and_is_seen(trail, driver, serve):
    """Usage on every chunk, also on the one with the role, and ``null`` at the end."""
    events = [
        chunk(delta, finish, usage={**USAGE, "completion_tokens": number})
        for number, (delta, finish) in enumerate(
            [({"role": "assistant", "content": ""}, None), ({"content": "Alders."}, None)]
        )
    ]
    events += [chunk({}, "stop", usage=USAGE), Event({**HEAD, "choices": [], "usage": None})]
    bare, seen = await _with_and_without(trail, driver, serve(lambda _: streamed(*events)), 1)
    assert seen == [bare]


async def _part(driver, client, chunks):
    stream = await driver.call(
        client.chat.completions.create, model="gpt-4o-mini", messages=MESSAGES, stream=True
    )
    await driver.take(stream, chunks)
    return stream


async def test_a_stream_that_is_still_open_is_the_only_one_not_asked(trail, driver, serve):
    """Others start meanwhile; when it has ended, it is known of the server."""
    trail.instrument(stream_usage="request")
    server = serve(lambda _: streamed(SAID, *_ends("a chunk of its own", USAGE)))
    client = driver.client(server)
    await _streams(driver, client, 1)
    open_one = await _part(driver, client, 1)
    await _streams(driver, client, 2)
    await driver.read(open_one)
    await _streams(driver, client, 1)
    assert [_is_asked(call) for call in server.calls] == [True, False, True, True, False]


@pytest.mark.parametrize("how", ["closed", "cut", "truncated"])
async def test_a_stream_that_did_not_end_decides_nothing(trail, driver, serve, monkeypatch, how):
    """For a minute all are asked; then another stream finds it out."""
    trail.instrument(stream_usage="request")
    whole = [SAID, *_ends("a chunk of its own", USAGE)]
    breaks = {"closed": whole, "cut": [SAID, Cut()], "truncated": [SAID]}
    replies = iter([whole, breaks[how], whole, whole, whole])
    server = serve(lambda _: Stream([*next(replies), Event("[DONE]")]))
    client = driver.client(server)
    await _streams(driver, client, 1)
    if how == "closed":
        await driver.close(await _part(driver, client, 1))
    else:
        with contextlib.suppress(Exception):
            await _streams(driver, client, 1)
    clock = stream_usage.time.monotonic
    for later in (50, 61, 62):
        monkeypatch.setattr(stream_usage.time, "monotonic", lambda later=later: clock() + later)
        await _streams(driver, client, 1)
    assert [_is_asked(call) for call in server.calls] == [True, False, True, False, False]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.mistral.ai", Habit.ALWAYS),
        ("openrouter.ai", Habit.ALWAYS),
        ("adb-1.azuredatabricks.net", Habit.ALWAYS),
        ("notopenrouter.ai", None),
        ("api.openai.com", Habit.ASKED),
        ("eu.api.openai.com", Habit.ASKED),
        ("mine.openai.azure.com", Habit.ASKED),
        ("127.0.0.1", None),
        (None, None),
    ],
)
def test_what_is_known_of_a_host_before_its_first_stream(host, expected):
    assert habit_of(host) is expected
