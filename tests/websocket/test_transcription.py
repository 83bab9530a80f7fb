"""What it costs to write down what a realtime session hears: usage of another model."""

from __future__ import annotations

import pytest
from tests.websocket.apis import of, until, whole

types = pytest.importorskip("openai.types.realtime", reason="openai has no realtime API")
Completed = types.ConversationItemInputAudioTranscriptionCompletedEvent
TOKENS = {
    "type": "tokens",
    "input_tokens": 100,
    "input_token_details": {"audio_tokens": 90, "text_tokens": 10},
    "output_tokens": 20,
    "total_tokens": 120,
}
HEARD = {"model": "gpt-4o-mini-transcribe"}


def transcribed(usage, item="item_0"):
    """Return the event by which something is written down; the client's type takes it as it is."""
    event = {
        "type": "conversation.item.input_audio_transcription.completed",
        "event_id": f"event_{item}",
        "item_id": item,
        "content_index": 0,
        "transcript": "How old?",
        "usage": usage,
    }
    return Completed.model_validate(event).model_dump(mode="json", exclude_unset=True)


def session(api):
    """Return the event that names the model that writes down."""
    (event,) = api.greeting()
    heard = (
        {"audio": {"input": {"transcription": HEARD}}}
        if api.path == "realtime"
        else {"input_audio_transcription": HEARD}
    )
    return {**event, "type": "session.updated", "session": {**event["session"], **heard}}


async def span_of(api, peer, client, driver, trail, *events):
    """Hear ``events`` before one response; return the attributes of its span."""
    peer.answers = [[session(api), *events, *whole(api)]]
    async with driver.within(api.connect(client)) as connection:
        await api.ask(driver, connection)
        await until(driver, connection)
    return trail.spans.attributes()


def used(attributes):
    """Return what stands on a span of a transcription."""
    start = "tokentrail.transcription."
    return {name[len(start) :]: n for name, n in attributes.items() if name.startswith(start)}


@of("realtime")
async def test_its_tokens_are_usage_of_their_own(api, peer, client, driver, trail):
    other = transcribed(TOKENS, "item_9")
    # an event that comes twice is one
    events = (transcribed(TOKENS), transcribed(TOKENS), other)
    attributes = await span_of(api, peer, client, driver, trail, *events)
    assert used(attributes) == {
        "input_tokens": 200,
        "output_tokens": 40,
        "model": "gpt-4o-mini-transcribe",
    }
    assert attributes["gen_ai.usage.input_tokens"] == api.usage()["input_tokens"]
    points = trail.metrics.points("tokentrail.transcription.tokens")
    assert {p.attributes["gen_ai.token.type"]: p.value for p in points} == {
        "input": 200,
        "output": 40,
    }
    assert {p.attributes["gen_ai.request.model"] for p in points} == {"gpt-4o-mini-transcribe"}


@of("realtime")
async def test_its_seconds_are_where_it_is_billed_by_them(api, peer, client, driver, trail):
    events = (
        transcribed({"type": "duration", "seconds": 2.5}),
        transcribed({"type": "duration", "seconds": 4.0}, "item_9"),
    )
    attributes = await span_of(api, peer, client, driver, trail, *events)
    assert used(attributes) == {"seconds": 6.5, "model": "gpt-4o-mini-transcribe"}
    assert trail.metrics.one("tokentrail.transcription.time").value == 6.5
