"""Images, sound, moderations, decisions: what is read of them, and what is not even looked at."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tokentrail.apis import media
from tokentrail.model.records import Reported

TOKENS = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}
PICTURES = {
    **TOKENS,
    "input_tokens_details": {"text_tokens": 4, "image_tokens": 6},
    "output_tokens_details": {"text_tokens": 1, "image_tokens": 19},
}
HEARD = {**TOKENS, "type": "tokens", "input_token_details": {"text_tokens": 3, "audio_tokens": 7}}
SAID = b'data: {"type":"speech.audio.done","usage":{"input_tokens":10,"output_tokens":20}}\n\n'
FIRST = SAID.replace(b"20", b"19")


class Untouchable:
    """A file, a text or a picture of the application's: whoever reads it fails."""

    def __getattr__(self, name):
        raise AssertionError(name)

    def __iter__(self):
        raise AssertionError

    def __str__(self):
        raise AssertionError


SHAPES = [value for value in vars(media).values() if isinstance(value, media.MediaAdapter)]


def _binary(content):
    return SimpleNamespace(response=SimpleNamespace(_content=content))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.operation)
def test_what_is_sent_is_never_looked_at(shape, endpoint):
    names = ("prompt", "image", "mask", "file", "input", "instructions", "questions")
    asked = shape.parse_request(endpoint, {**{name: Untouchable() for name in names}, "model": "m"})
    assert (asked.operation, asked.model, asked.prompt) == (shape.operation, "m", None)


def test_operations_are_distinguished():
    assert len({shape.operation for shape in SHAPES}) == len(SHAPES) == 8


@pytest.mark.parametrize(
    ("shape", "answer", "reported"),
    [
        (
            media.GENERATE_IMAGE,
            {"usage": PICTURES},
            Reported(
                input_tokens=10, output_tokens=20, text_input_tokens=4, image_input_tokens=6,
                text_output_tokens=1, image_output_tokens=19,
            ),
        ),
        (media.EDIT_IMAGE, {"usage": TOKENS}, Reported(input_tokens=10, output_tokens=20)),
        (media.VARY_IMAGE, {"data": []}, None),
        (
            media.TRANSCRIBE,
            {"usage": HEARD},
            Reported(
                input_tokens=10, output_tokens=20, text_input_tokens=3, audio_input_tokens=7
            ),
        ),
        (
            media.TRANSCRIBE,
            {"usage": {"type": "duration", "seconds": 3}, "duration": 2.5},
            Reported(audio_seconds=3.0),
        ),
        (media.TRANSCRIBE, {"duration": "2.5"}, Reported(audio_seconds=2.5)),
        (media.TRANSLATE, {"duration": 2.5}, Reported(audio_seconds=2.5)),
        (media.TRANSCRIBE, {"duration": "long"}, None),
        (media.TRANSCRIBE, {"duration": "inf"}, None),
        (media.TRANSCRIBE, {"duration": -1.0}, None),
        (media.TRANSCRIBE, {"duration": True}, None),
        (media.TRANSCRIBE, "WEBVTT", None),
        (media.SPEAK, _binary(b"ID3" * 5000), None),
        (media.SPEAK, _binary(b"data: 1\n\n" + SAID), Reported(input_tokens=10, output_tokens=20)),
        (media.SPEAK, _binary(FIRST + SAID), Reported(input_tokens=10, output_tokens=20)),
        (media.SPEAK, _binary(SAID[:40]), None),
        (media.SPEAK, _binary(SAID[6:]), None),
        (media.SPEAK, _binary(None), None),
        (media.SPEAK, SAID, Reported(input_tokens=10, output_tokens=20)),
        (media.SPEAK, SAID[:40], None),
        (media.SPEAK, SAID.decode(), None),
        (media.SPEAK, {"usage": TOKENS}, Reported(input_tokens=10, output_tokens=20)),
        (media.MODERATE, {"usage": TOKENS}, None),
        (
            media.DECIDE,
            {"usage": {**TOKENS, "input_tokens_details": {"cached_tokens": 2}}},
            Reported(input_tokens=10, output_tokens=20, cache_read_tokens=2),
        ),
    ],
)  # fmt: skip
def test_usage(shape, answer, reported):
    assert shape.parse_response(answer, None).reported == reported


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.operation)
@pytest.mark.parametrize("answer", [None, "", b"", 1, [], {"usage": 1}, {"usage": {"seconds": {}}}])
def test_any_answer_may_come(shape, answer):
    assert shape.parse_response(answer, None).reported is None


@pytest.mark.parametrize(
    ("given", "told"),
    [("json", "json"), ("verbose_json", "json"), ("srt", "text"), ("mp3", None), (None, None)],
)
def test_the_format_of_a_transcript(given, told, endpoint):
    assert media.TRANSCRIBE.parse_request(endpoint, {"response_format": given}).output_type == told


@pytest.mark.parametrize(
    ("kind", "shape", "usage"),
    [
        ("image_generation.completed", media.GENERATE_IMAGE, PICTURES),
        ("image_edit.completed", media.EDIT_IMAGE, PICTURES),
        ("transcript.text.done", media.TRANSCRIBE, HEARD),
    ],
)
def test_a_stream_is_complete_with_its_last_event(kind, shape, usage, endpoint):
    stream = shape.stream_accumulator(shape.parse_request(endpoint, {}), None)
    stream.add({"type": "image_generation.partial_image", "b64_json": Untouchable()})
    assert (stream.response().reported, stream.response().complete) == (None, False)
    stream.add({"type": kind, "usage": usage})
    assert stream.response().complete
    assert stream.response().reported.output_tokens == 20


@pytest.fixture
def pictures(endpoint):
    """Give a stream of three pictures."""
    shape = media.GENERATE_IMAGE
    return shape.stream_accumulator(shape.parse_request(endpoint, {"n": 3}), None)


def _drawn(stream, *reports):
    for usage in reports:
        stream.add({"type": "image_generation.completed", "usage": usage})
    return stream.response()


def test_several_pictures_end_several_times(pictures):
    assert not _drawn(pictures, None, None).complete
    assert _drawn(pictures, None).complete


def test_what_several_pictures_took_adds_up_and_their_one_prompt_does_not(pictures):
    assert _drawn(pictures, PICTURES, PICTURES, PICTURES).reported == Reported(
        input_tokens=10, output_tokens=60, text_input_tokens=4, image_input_tokens=6,
        text_output_tokens=3, image_output_tokens=57,
    )  # fmt: skip


def test_pictures_that_came_until_now_are_what_is_known(pictures):
    said = _drawn(pictures, PICTURES, PICTURES)
    assert (said.reported.output_tokens, said.complete) == (40, False)


@pytest.mark.parametrize("reports", [(None, PICTURES), (PICTURES, None), ({}, PICTURES, {})])
def test_a_picture_without_a_report_adds_nothing(pictures, reports):
    assert _drawn(pictures, *reports).reported == media.GENERATE_IMAGE.usage({"usage": PICTURES})


def test_a_part_that_only_one_report_has_is_kept(pictures):
    said = _drawn(pictures, TOKENS, PICTURES, TOKENS).reported
    assert (said.output_tokens, said.image_output_tokens) == (60, 19)
