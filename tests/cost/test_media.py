"""What calls of the images and audio APIs cost, worked out by hand from the published prices.

In USD per million tokens. gpt-image-1.5: text 5 and 10, images 8 and 32; gpt-image-1: text 5,
images 10, output 40; gpt-4o-mini-transcribe: text 1.25 and 5, audio 3; gpt-4o-mini-tts: 0.6 and 12.
whisper-1: 0.36 an hour; tts-1: 15 a million characters.
"""

from __future__ import annotations

import inspect
import io

import openai
import pytest
from tests import shared
from tests.billing.hearing import TOKENS

from tokentrail.cost.parts import transcript_parts
from tokentrail.model.records import Reported
from tokentrail.testing.payloads import audio, images
from tokentrail.testing.server import Event, Plain, Server, Stream

data = pytest.importorskip("genai_prices.data_snapshot", reason="needs tokentrail[cost]")
priced_by_characters = pytest.mark.skipif(
    not any(model.id == "tts-1" for sold in data.get_snapshot().providers for model in sold.models),
    reason="this release of genai-prices has no price of characters",
)
pytestmark = [
    pytest.mark.settings(cost="reported"),
    pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning"),
]

mode = shared.either_mode

PNG = ("sea.png", b"\x89PNG\r\n\x1a\n", "image/png")
DRAW, EDIT = ("images", "generate"), ("images", "edit")
HEAR, TRANSLATE = ("audio.transcriptions", "create"), ("audio.translations", "create")
SPEAK = ("audio.speech", "create")


def drawn(read, written, **details):
    """Return images with this usage: text and image tokens that were read, and all written."""
    body = images.images(text_tokens=0)
    text, image = read
    body["usage"] = {
        "input_tokens": text + image,
        "input_tokens_details": {"text_tokens": text, "image_tokens": image},
        "output_tokens": written,
        "total_tokens": text + image + written,
        **details,
    }
    return body


def heard(**usage):
    """Return a transcript with this usage."""
    return {"text": audio.HEARD, "usage": usage}


UNSPLIT = {**TOKENS, "input_token_details": None}
SPLIT = {"output_tokens_details": {"text_tokens": 10, "image_tokens": 4160}}
CACHED = {"input_tokens_details": {"text_tokens": 9, "image_tokens": 9, "cached_tokens": 5}}
SPOKEN = audio.speech_events()
SVG = {"model": "o4", "input_tokens": 9, "output_tokens": 9, "reasoning_tokens": 0}


def arguments(method, model, **more):
    """Return what a call of this method is made with."""
    sound = {"file": ("sea.mp3", io.BytesIO(b"ID3\x04"), "audio/mpeg")}
    of = {
        DRAW: {"prompt": "The sea."},
        EDIT: {"prompt": "The sea.", "image": PNG},
        HEAR: sound,
        TRANSLATE: sound,
        SPEAK: {"input": "The sea.", "voice": "alloy"},
    }
    return {"model": model, **of[method], **more}


async def costs(trail, driver, reply, method, model, *, wrapper=None, **more):
    """Make a call and return what its span has of its cost: millionths of USD, source, unpriced."""
    part, name = method
    with Server(lambda _: reply) as server:
        api = driver.client(server)
        for step in part.split("."):
            api = getattr(api, step)
        create = getattr(api if wrapper is None else getattr(api, wrapper), name)
        if "stream" in more and "stream" not in inspect.signature(create).parameters:
            pytest.skip("this client does not stream it")
        answer = await driver.call(create, **arguments(method, model, **more))
        if "stream" in more:
            await driver.read(answer)
    found = trail.spans.attributes()
    amount = found.get("tokentrail.cost.amount")
    assert found.get("tokentrail.cost.currency") == (None if amount is None else "USD")
    source, unpriced = found.get("tokentrail.cost.source"), found.get("tokentrail.cost.unpriced")
    return amount and pytest.approx(amount * 1e6, rel=1e-9), source, unpriced


PUBLISHED = "published_prices"


@pytest.mark.parametrize(
    ("method", "model", "body", "usd"),
    [
        # 30 x 5, 20 x 8, 10 of thought x 10, 4160 x 32
        (DRAW, "gpt-image-1.5", drawn((30, 20), 4170, **SPLIT), 150 + 160 + 100 + 133_120),
        # output that is not split is images, which cost what the output does
        (EDIT, "gpt-image-1", drawn((4, 272), 272), 20 + 2720 + 10_880),
        (HEAR, "gpt-4o-mini-transcribe", heard(**TOKENS), 90 * 3 + 10 * 1.25 + 20 * 5),
        (HEAR, "whisper-1", heard(type="duration", seconds=90), 9000),
        (TRANSLATE, "whisper-1", {"text": "", "duration": 3.0}, 300),
        (SPEAK, "gpt-4o-mini-tts", SPOKEN, 7 * 0.6 + 60 * 12),
    ],
)
async def test_each_part_has_its_price(trail, driver, method, model, body, usd):
    found = await costs(trail, driver, Plain(body), method, model)
    assert found == (usd, PUBLISHED, None)


@pytest.mark.parametrize(
    ("method", "model", "events", "usd"),
    [
        (DRAW, "gpt-image-1.5", images.events(text_tokens=30), 30 * 5 + 272 * 32),
        (HEAR, "gpt-4o-mini-transcribe", audio.events(), 30 * 3 + 4 * 1.25 + 7 * 5),
    ],
)
async def test_streams_have_the_cost_of_their_last_event(trail, driver, method, model, events, usd):
    found = await costs(trail, driver, Stream(events), method, model, stream=True)
    assert found == (usd, PUBLISHED, None)


async def test_a_raw_answer_has_its_cost(trail, driver):
    body, raw = heard(type="duration", seconds=90), "with_raw_response"
    found = await costs(trail, driver, Plain(body), HEAR, "whisper-1", wrapper=raw)
    assert found == (9000, PUBLISHED, None)


@pytest.mark.parametrize("method", [HEAR, TRANSLATE])
async def test_seconds_that_are_billed_are_counted_by_the_model_that_was_asked(
    trail, driver, method
):
    await costs(trail, driver, Plain({"text": "", "duration": 1.5}), method, "whisper-1")
    point = trail.metrics.one("tokentrail.transcription.time")
    assert (point.value, point.attributes["gen_ai.request.model"]) == (1.5, "whisper-1")


@priced_by_characters
@pytest.mark.parametrize("wrapper", ["with_raw_response", "with_streaming_response"])
async def test_speech_billed_by_characters_costs_the_same_however_it_is_read(
    trail, driver, wrapper
):
    with Server(lambda _: Plain(audio.SPOKEN)) as server:
        api = getattr(driver.client(server).audio.speech, wrapper)
        asked = {"model": "tts-1-hd", "input": "The s\u00e9a. \U0001f30a", "voice": "alloy"}
        made = api.create(**asked)
        if wrapper == "with_raw_response":
            made if driver.mode == "sync" else await made
        elif driver.mode == "sync":
            with made as answer:
                for _ in answer.iter_bytes():
                    pass
        else:
            async with made as answer:
                async for _ in answer.iter_bytes():
                    pass
    assert trail.spans.attributes()["tokentrail.cost.amount"] == pytest.approx(10 * 30e-6)


async def test_speech_that_was_refused_costs_nothing(trail, driver):
    with pytest.raises(openai.BadRequestError):
        await costs(trail, driver, Plain({"error": {"message": "no"}}, 400), SPEAK, "tts-1")
    assert not {name for name in trail.spans.attributes() if ".cost." in name}


OWN = {
    "ours": {"input": 1, "output": 2},
    "pictures": {"input": 1},
    "by-the-hour": {"audio_hour": 0.9},
    "by-letters": {"characters": 20},
}


@pytest.mark.settings(cost="reported", prices=OWN)
@pytest.mark.parametrize(
    ("method", "model", "body", "found"),
    [
        # images and speech have the price of their whole, audio that is heard its own or none
        (DRAW, "ours", drawn((30, 20), 40), (50 + 80, "own_prices", None)),
        (SPEAK, "ours", SPOKEN, (7 + 120, "own_prices", None)),
        (HEAR, "by-the-hour", heard(type="duration", seconds=4.0), (1000, "own_prices", None)),
        (HEAR, "ours", heard(**TOKENS), (None, None, ("audio_input",))),
        (HEAR, "ours", heard(type="duration", seconds=4), (None, None, ("audio_hour",))),
        (DRAW, "pictures", drawn((30, 20), 40), (None, None, ("image_output",))),
        # what the server does not say
        (HEAR, "gpt-4o-mini-transcribe", heard(**UNSPLIT), (None, None, ("audio_input",))),
        (DRAW, "gpt-image-1", drawn((9, 9), 4, **CACHED), (None, None, ("cache_read",))),
        (DRAW, "gpt-image-1", drawn((9, 9), 4, **SPLIT), (None, None, None)),  # more than all of it
        (DRAW, "gpt-image-9", drawn((30, 20), 40), (None, None, ("model",))),
        (DRAW, "gpt-image-1.5", {**drawn((30, 0), 40), "svg_usage": SVG}, (None, None, ("svg",))),
        # what reports nothing: speech may be billed by characters, which are known
        (DRAW, "dall-e-3", {"created": 1, "data": []}, (None, None, ("model",))),
        (DRAW, "gpt-image-1", {"created": 1, "data": []}, (None, None, ("image_output",))),
        (HEAR, "gpt-4o-mini-transcribe", {"text": "Sea."}, (None, None, ("audio_input",))),
        (HEAR, "whisper-1", {"text": "Sea."}, (None, None, ("audio_hour",))),
        pytest.param(
            *(SPEAK, "tts-1", audio.SPOKEN, (8 * 15, PUBLISHED, None)), marks=priced_by_characters
        ),
        (SPEAK, "gpt-4o-mini-tts", audio.SPOKEN, (None, None, ("audio_output",))),
        (SPEAK, "by-letters", audio.SPOKEN, (8 * 20, "own_prices", None)),
        # the provider's own number goes first, and is all that xAI reports of images
        (
            DRAW,
            "ours",
            {"data": [], "usage": {"cost_in_usd_ticks": 400_000_000}},
            (40_000, "provider", None),
        ),
    ],
)
async def test_own_prices_and_parts_without_one(trail, driver, method, model, body, found):
    assert await costs(trail, driver, Plain(body), method, model) == found


async def test_a_stream_with_fewer_images_than_asked_for_has_no_cost(trail, driver):
    done = Event(
        {"type": "image_generation.completed", "b64_json": "", "usage": drawn((30, 0), 40)["usage"]}
    )
    found = await costs(trail, driver, Stream([done]), DRAW, "gpt-image-1.5", stream=True, n=2)
    assert found == (None, None, None)


def test_a_transcript_without_reported_input_has_no_parts():
    """Its output alone would be a partial sum."""
    assert transcript_parts(Reported(output_tokens=20)) is None
    assert transcript_parts(Reported(input_tokens=0, output_tokens=20)) == {"output": 20}
