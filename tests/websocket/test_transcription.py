"""What it costs to write down what a realtime session hears: usage of another model."""

from __future__ import annotations

import pytest
from tests.billing.hearing import SECONDS, TOKENS, transcribed
from tests.websocket.apis import of, until, whole

pytest.importorskip("openai.types.realtime", reason="openai has no realtime API")
MINI = "gpt-4o-mini-transcribe"


def session(api, model=MINI):
    """Return the event that names the model that writes down."""
    (event,) = api.greeting()
    named = {"model": model}
    heard = (
        {"audio": {"input": {"transcription": named}}}
        if api.path == "realtime"
        else {"input_audio_transcription": named}
    )
    return {**event, "type": "session.updated", "session": {**event["session"], **heard}}


async def span_of(api, peer, client, driver, trail, *events, model=MINI):
    """Hear ``events`` before one response; return the attributes of its span."""
    peer.answers = [[session(api, model), *events, *whole(api)]]
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
    one, other = transcribed(TOKENS, "item_0"), transcribed(TOKENS, "item_9")
    # an event that comes twice is one
    events = (one, one, other)
    attributes = await span_of(api, peer, client, driver, trail, *events)
    assert used(attributes) == {
        "input_tokens": 200,
        "output_tokens": 40,
        "model": "gpt-4o-mini-transcribe",
    }
    assert attributes["gen_ai.usage.input_tokens"] == api.usage()["input_tokens"]
    points = trail.metrics.points("tokentrail.transcription.tokens")
    names = ("gen_ai.token.type", "gen_ai.token.modality")
    assert {tuple(p.attributes[name] for name in names): p.value for p in points} == {
        ("input", "audio"): 180,
        ("input", "text"): 20,
        ("output", "unknown"): 40,
    }
    assert {p.attributes["gen_ai.request.model"] for p in points} == {"gpt-4o-mini-transcribe"}


@of("realtime")
async def test_its_seconds_are_where_it_is_billed_by_them(api, peer, client, driver, trail):
    events = (
        transcribed({"type": "duration", "seconds": 2.5}, "item_0"),
        transcribed({"type": "duration", "seconds": 4.0}, "item_9"),
    )
    attributes = await span_of(api, peer, client, driver, trail, *events)
    assert used(attributes) == {"seconds": 6.5, "model": "gpt-4o-mini-transcribe"}
    assert trail.metrics.one("tokentrail.transcription.time").value == 6.5


# text: 4 at 5, 16 cached at 2.5, 5 written at 20; sound: 38 at 40, 32 cached at 2.5, 25 at 80
RESPONSE = 4 * 5 + 16 * 2.5 + 38 * 40 + 32 * 2.5 + 5 * 20 + 25 * 80
# 90 of its tokens are sound, 10 text; 20 were written down
OF_TOKENS = 90 * 3 + 10 * 1.25 + 20 * 5


@of("realtime")
@pytest.mark.settings(cost="reported")
@pytest.mark.parametrize(
    ("model", "usages", "usd"),
    [
        (None, (), RESPONSE),
        ("gpt-4o-mini-transcribe", (TOKENS, TOKENS), RESPONSE + 2 * OF_TOKENS),
        # 0.36 USD an hour, and 1.02 of a model that has no other price
        ("whisper-1", (SECONDS,), RESPONSE + 9000),
        ("gpt-live-transcribe", (SECONDS, SECONDS), RESPONSE + 51000),
        # billed by what its model has no price for; or which of its tokens are sound is not known
        ("gpt-4o-mini-transcribe", (SECONDS,), None),
        ("gpt-4o-mini-transcribe", ({**TOKENS, "input_token_details": None},), None),
        ("our-own", (TOKENS,), None),
    ],
)
async def test_a_span_costs_what_was_transcribed_too(
    api, peer, client, driver, trail, model, usages, usd
):
    pytest.importorskip("genai_prices", reason="needs tokentrail[cost]")
    events = [transcribed(usage, f"item_{n}") for n, usage in enumerate(usages)]
    attributes = await span_of(api, peer, client, driver, trail, *events, model=model)
    if usd is None:
        assert attributes["tokentrail.cost.unpriced"] == ("transcription",)
        assert "tokentrail.cost.amount" not in attributes
        return
    assert attributes["tokentrail.cost.amount"] * 1e6 == pytest.approx(usd, rel=1e-9)
