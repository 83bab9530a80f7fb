"""What is told of images, sound, moderations and decisions: exactly that, and no token metric."""

from __future__ import annotations

import inspect
import io
from collections import Counter

import openai
import pytest
from tests import shared

from tokentrail.apis import http_body
from tokentrail.testing.payloads import audio, images
from tokentrail.testing.server import Cut, Event, Plain, Stream

model = shared.model

PNG = ("sea.png", b"\x89PNG\r\n\x1a\n", "image/png")
SPEECH = {"model": "gpt-4o-mini-tts", "input": "A secret sea.", "voice": "alloy"}
DRAWN = {"model": "gpt-image-1", "prompt": "A secret sea."}
SPENT = "gen_ai.usage."
SECRETS = ("secret", "iVBOR", "PNG", "ID3", "old and wide")


def _sound():
    return ("sea.mp3", io.BytesIO(b"ID3\x04"), "audio/mpeg")


def _usage(said):
    return {name.removeprefix(SPENT): value for name, value in said.items() if SPENT in name}


def _own(trail):
    found = Counter()
    for point in trail.metrics.points("tokentrail.usage.tokens"):
        found[point.attributes["gen_ai.token.type"]] += point.value
    return found


def _parts(trail):
    """Return the tokens of our own counter by type and modality: what decides their price."""
    points = trail.metrics.points("tokentrail.usage.tokens")
    kinds = ("gen_ai.token.type", "gen_ai.token.modality")
    return {tuple(p.attributes[kind] for kind in kinds): p.value for p in points}


def _nothing_conventional(trail):
    """No token metric of the conventions, in either vocabulary, and no counter of their parts."""
    tokens = {name for name in trail.metrics.names() if "token" in name and "gen_ai" in name}
    assert tokens == set()
    return True


def _nothing_leaked(trail):
    told = [str(dict(span.attributes)) for span in trail.spans.all()]
    assert not any(secret in text for text in told for secret in SECRETS)
    return True


def _takes_stream(method):
    if "stream" not in inspect.signature(method).parameters:
        pytest.skip(f"openai {openai.__version__} does not stream it")


@pytest.mark.settings(
    metric_names="both", capture_content="SPAN_AND_EVENT", token_counting="always"
)
async def test_a_picture(trail, driver, model):
    """With content captured, too: there is none of these."""
    client = driver.client(model)
    await driver.call(client.images.edit, **DRAWN, image=PNG, n=2)
    span = trail.spans.one()
    assert span.name == "edit_image gpt-image-1"
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "edit_image",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-image-1",
        "gen_ai.request.choice.count": 2,
        "gen_ai.output.type": "image",
        "server.address": "127.0.0.1",
        "server.port": int(model.url.rpartition(":")[2]),
        "tokentrail.outcome": "completed",
        "tokentrail.usage.input.source": "reported",
        "tokentrail.usage.output.source": "reported",
        "gen_ai.usage.input_tokens": 4 + 272,
        "gen_ai.usage.text.input_tokens": 4,
        "gen_ai.usage.image.input_tokens": 272,
        "gen_ai.usage.output_tokens": 544,
        "gen_ai.usage.image.output_tokens": 544,
    }
    drawn = {("input", "text"): 4, ("input", "image"): 272, ("output", "image"): 544}
    assert _parts(trail) == drawn
    assert _nothing_conventional(trail)
    assert _nothing_leaked(trail)


async def test_a_streamed_picture(trail, driver, model):
    client = driver.client(model)
    _takes_stream(client.images.generate)
    stream = await driver.call(client.images.generate, **DRAWN, stream=True)
    kinds = [event.type for event in await driver.read(stream)]
    assert kinds == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "completed"
    assert attributes["gen_ai.response.time_to_first_chunk"] > 0
    assert attributes["gen_ai.usage.image.output_tokens"] == 272
    assert _own(trail) == {"input": 4, "output": 272}
    assert _nothing_conventional(trail)
    assert _nothing_leaked(trail)


async def test_streamed_pictures_are_recorded_together(trail, driver, serve):
    """As the same two would be in one answer: the prompt once, each picture for itself."""
    client = driver.client(serve(Stream(images.events(text_tokens=4) * 2)))
    _takes_stream(client.images.generate)
    stream = await driver.call(client.images.generate, **DRAWN, n=2, stream=True)
    await driver.read(stream)
    assert trail.spans.attributes()["tokentrail.outcome"] == "completed"
    assert _own(trail) == {"input": 4, "output": 544}


@pytest.mark.parametrize("seen", [1, 2])
async def test_a_picture_closed_early_has_no_usage(trail, driver, model, seen):
    client = driver.client(model)
    _takes_stream(client.images.generate)
    stream = await driver.call(client.images.generate, **DRAWN, stream=True)
    await driver.take(stream, seen)
    await driver.close(stream)
    attributes = trail.spans.attributes()
    assert (attributes["tokentrail.outcome"], _usage(attributes)) == ("closed_early", {})
    assert _own(trail) == {}


async def test_a_picture_closed_after_its_last_event_is_whole(trail, driver, model):
    client = driver.client(model)
    _takes_stream(client.images.generate)
    stream = await driver.call(client.images.generate, **DRAWN, stream=True)
    await driver.take(stream, 3)
    await driver.close(stream)
    assert trail.spans.attributes()["tokentrail.outcome"] == "completed"


async def test_a_picture_that_the_connection_did_not_bring(trail, driver, serve):
    client = driver.client(serve(Stream([images.events(text_tokens=1)[0], Cut()])))
    _takes_stream(client.images.generate)
    stream = await driver.call(client.images.generate, **DRAWN, stream=True)
    with pytest.raises(Exception, match=r"."):
        await driver.read(stream)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "failed"
    assert attributes["error.type"]


async def test_an_error_in_the_stream_is_a_failure(trail, driver, serve):
    error = Event({"error": {"message": "A secret sea.", "code": "moderation_blocked"}}, "error")
    client = driver.client(serve(Stream([images.events(text_tokens=1)[0], error])))
    _takes_stream(client.images.generate)
    stream = await driver.call(client.images.generate, **DRAWN, stream=True)
    with pytest.raises(openai.APIError):
        await driver.read(stream)
    assert trail.spans.attributes()["tokentrail.outcome"] == "failed"
    assert _nothing_leaked(trail)


async def test_a_refusal(trail, driver, serve):
    client = driver.client(serve(Plain({"error": {"message": "A secret sea."}}, 400)))
    with pytest.raises(openai.BadRequestError):
        await driver.call(client.moderations.create, input="A secret sea.")
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.operation.name"] == "moderate"
    assert attributes["error.type"] == "openai.BadRequestError"
    assert _nothing_leaked(trail)


@pytest.mark.parametrize("method", ["transcriptions", "translations"])
@pytest.mark.parametrize("form", ["text", "srt", "vtt"])
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_an_answer_that_is_text(trail, driver, model, method, form):
    """The application gets its str, and nothing of it is told."""
    create = getattr(driver.client(model).audio, method).create
    answer = await driver.call(create, model="whisper-1", file=_sound(), response_format=form)
    assert type(answer) is str
    assert audio.HEARD in answer
    attributes = trail.spans.attributes()
    assert (attributes["tokentrail.outcome"], attributes["gen_ai.output.type"]) == (
        "completed",
        "text",
    )
    assert _usage(attributes) == {}
    assert _nothing_leaked(trail)


async def test_sound_that_is_billed_by_the_second(trail, driver, model):
    """An attribute, and no tokens anywhere."""
    create = driver.client(model).audio.transcriptions.create
    await driver.call(create, model="whisper-1", file=_sound())
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.audio_seconds"] == 3.0
    assert _usage(attributes) == {}
    assert _own(trail) == {}
    assert _nothing_conventional(trail)
    assert trail.metrics.one("gen_ai.client.operation.duration").count == 1


async def test_sound_that_is_billed_by_tokens(trail, driver, model):
    create = driver.client(model).audio.transcriptions.create
    file = _sound()
    await driver.call(create, model="gpt-4o-transcribe", file=file)
    told = {"input_tokens": 34, "text.input_tokens": 4, "audio.input_tokens": 30}
    assert _usage(trail.spans.attributes()) == {**told, "output_tokens": 7}
    heard = {("input", "text"): 4, ("input", "audio"): 30, ("output", "unknown"): 7}
    assert _parts(trail) == heard
    assert _nothing_conventional(trail)
    assert b"ID3\x04" in model.calls[-1].content


async def test_a_streamed_transcript(trail, driver, model):
    create = driver.client(model).audio.transcriptions.create
    _takes_stream(create)
    stream = await driver.call(create, model="gpt-4o-transcribe", file=_sound(), stream=True)
    events = await driver.read(stream)
    assert events[-1].text == audio.HEARD
    assert _own(trail) == {"input": 34, "output": 7}
    assert _nothing_conventional(trail)
    assert _nothing_leaked(trail)


async def test_speech_is_whole_and_of_its_own_type(trail, driver, model):
    answer = await driver.call(driver.client(model).audio.speech.create, **SPEECH)
    assert type(answer).__name__ == "HttpxBinaryResponseContent"
    assert answer.content == audio.SPOKEN
    attributes = trail.spans.attributes()
    assert (attributes["gen_ai.output.type"], _usage(attributes)) == ("speech", {})
    assert _nothing_leaked(trail)


async def test_speech_as_events_has_its_usage(trail, driver, model):
    asked = {**SPEECH, "extra_body": {"stream_format": "sse"}}
    answer = await driver.call(driver.client(model).audio.speech.create, **asked)
    assert answer.content == audio.speech_events()
    assert _own(trail) == {"input": 7, "output": 60}


@pytest.mark.parametrize("kind", ["openai", "azure"])
async def test_speech_as_events_that_is_read_whole_has_its_usage(trail, driver, model, kind):
    create = driver.client(model, kind).audio.speech.with_streaming_response.create
    asked = {**SPEECH, "extra_body": {"stream_format": "sse"}}
    async with driver.within(create(**asked)) as answer:
        assert await driver.call(answer.read) == audio.speech_events()
    assert trail.spans.attributes()["tokentrail.outcome"] == "completed"
    assert _own(trail) == {"input": 7, "output": 60}


@pytest.mark.parametrize("way", ["with_streaming_response", "with_raw_response"])
async def test_long_speech_as_events_has_its_usage(trail, driver, serve, way):
    """Of an answer so large only the ends are read."""
    said = audio.speech_events()
    delta = said[: said.index(b"\n\n") + 2]
    long = delta * (2 * http_body.MAX_PARSED_BYTES // len(delta)) + said
    create = getattr(driver.client(serve(Plain(long))).audio.speech, way).create
    asked = {**SPEECH, "extra_body": {"stream_format": "sse"}}
    if way == "with_raw_response":
        assert (await driver.call(create, **asked)).content == long
    else:
        async with driver.within(create(**asked)) as answer:
            assert await driver.call(answer.read) == long
    assert _own(trail) == {"input": 7, "output": 60}


async def test_speech_as_events_that_is_not_kept_has_no_usage(trail, driver, model):
    """Who reads it line by line has it alone: nothing is read twice, or held back."""
    create = driver.client(model).audio.speech.with_streaming_response.create
    asked = {**SPEECH, "extra_body": {"stream_format": "sse"}}
    async with driver.within(create(**asked)) as answer:
        lines = answer.iter_lines()
        got = [line async for line in lines] if driver.mode == "async" else list(lines)
    assert any("speech.audio.done" in line for line in got)
    assert trail.spans.attributes()["tokentrail.outcome"] == "completed"
    assert _own(trail) == {}


@pytest.mark.parametrize("whole", [True, False])
async def test_speech_in_pieces_is_recorded_at_its_end(trail, driver, model, whole):
    """The normal way to get it; we neither read ahead nor hold anything back."""
    create = driver.client(model).audio.speech.with_streaming_response.create
    async with driver.within(create(**SPEECH)) as answer:
        assert trail.spans.all() == ()
        if whole:
            pieces = answer.iter_bytes(500)
            got = [piece async for piece in pieces] if driver.mode == "async" else list(pieces)
            assert b"".join(got) == audio.SPOKEN
    ending = "completed" if whole else "closed_early"
    assert trail.spans.attributes()["tokentrail.outcome"] == ending


async def test_a_moderation(trail, driver, model):
    client = driver.client(model)
    await driver.call(client.moderations.create, input=["A secret sea."])
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.response.model"] == "omni-moderation-2024-09-26"
    assert attributes["gen_ai.response.id"] == "modr-70ke27a11"
    assert _usage(attributes) == {}
    assert _nothing_leaked(trail)


@pytest.mark.settings(metric_names="both", count_verification_ratio=1.0)
async def test_a_decision(trail, driver, model):
    """Calibration has nothing to compare: what was decided is no text that could be counted."""
    client = driver.client(model)
    if not hasattr(client, "decisions"):
        pytest.skip(f"openai {openai.__version__} has no decisions")
    questions = [{"type": "predicate", "question": "A secret sea?"}]
    asked = {"model": "gpt-6-luna", "input": "A secret sea.", "questions": questions}
    await driver.call(client.decisions.create, **asked)
    told = {"input_tokens": 4, "output_tokens": 1, "cache_read.input_tokens": 2}
    assert _usage(trail.spans.attributes()) == told
    assert _own(trail) == {"input": 4, "output": 1}
    assert _nothing_conventional(trail)
    assert trail.metrics.points("tokentrail.usage.count_ratio") == []
    assert _nothing_leaked(trail)
