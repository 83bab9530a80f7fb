"""Usage that is there because we asked is nobody's; what a server sends anyway stays."""

from __future__ import annotations

import pytest

import tokentrail
from tokentrail.patching.include_usage import reports_unasked

from .conftest import MESSAGES, chunk, streamed

USAGE = {"prompt_tokens": 83, "completion_tokens": 12, "total_tokens": 95}
SAID = chunk({"content": "Alders."})


def _is_asked(call):
    return "stream_options" in call.body


def _ends(place, usage):
    """Return the last chunks of a stream, with the usage at a place."""
    if place == "finish":
        return [chunk({}, "stop", **({"usage": usage} if usage else {}))]
    if place == "an empty delta":
        return [chunk({}, "stop"), *([chunk({}, usage=usage)] if usage else [])]
    if place == "x_groq":
        return [chunk({}, "stop", x_groq={"id": "r", **({"usage": usage} if usage else {})})]
    if place == "the delta":
        return [chunk({"usage": usage} if usage else {}, "stop")]
    if place == "another object":
        return [chunk({}, "stop", meta={"usage": usage} if usage else {})]
    return [chunk({}, "stop", choice={"usage": usage} if usage else {})]


PLACES = ("finish", "an empty delta", "x_groq", "another object", "the delta", "the choice")


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
    told = [span.attributes["tokentrail.usage.output.source"] for span in trail.spans.all()]
    assert told == ["reported", "counted", "reported", "reported"]


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


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("api.mistral.ai", True),
        ("openrouter.ai", True),
        ("adb-1.azuredatabricks.net", True),
        ("notopenrouter.ai", False),
        ("api.openai.com", False),
        (None, False),
    ],
)
def test_hosts_that_were_seen_to_report_unasked_are_not_asked(host, expected):
    assert reports_unasked(host) is expected
