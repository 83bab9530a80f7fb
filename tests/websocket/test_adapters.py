"""What the events of a realtime session are read as, whatever a server sends."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.websocket.apis import APIS, MODEL, NAMED

from tokentrail.apis.realtime.adapter import RealtimeAdapter
from tokentrail.model.records import Endpoint

HERE = Endpoint("openai", None, None, "here")
SPEECH = APIS[0]


class Sink:
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def add(self, kind, choice, item, text):
        """Keep a piece."""
        self.told.append((kind, choice, item, text))

    def append_buffer(self, kind, choice, item):
        """Have each piece added."""


def request(model=MODEL, **response):
    return RealtimeAdapter(model).parse_request(HERE, response)


@pytest.mark.parametrize(
    ("said", "speaks"),
    [
        ({"output_modalities": ["text"]}, False),
        ({"output_modalities": ["audio"]}, True),
        ({"modalities": ["text"]}, False),
        ({"modalities": ["text", "audio"]}, True),
        ({}, True),
    ],
)
def test_what_may_be_spoken_cannot_be_counted(said, speaks):
    asked = request(**said)
    assert asked.inexact_output is speaks
    assert asked.output_type == ("speech" if speaks else "text")


def test_the_model_is_the_one_asked_for_and_the_session_names_another():
    shape = RealtimeAdapter(MODEL)
    shape.learn("session.created", {"session": {"model": NAMED}})
    assert shape.parse_request(HERE, {}).model == MODEL
    assert shape.stream_accumulator(shape.parse_request(HERE, {}), None).response().model == NAMED


def test_where_no_model_was_asked_for_it_is_the_sessions():
    """A call that is joined has one already; it may be changed while it lasts."""
    shape = RealtimeAdapter(None)
    assert shape.parse_request(HERE, {}).model is None
    for name in ("one", "two"):
        shape.learn("session.updated", {"session": {"model": name}})
        assert shape.parse_request(HERE, {}).model == name


def test_no_limit_is_no_number():
    assert request(max_output_tokens="inf").max_tokens is None
    assert request(max_output_tokens=64).max_tokens == 64


def test_sound_is_not_held():
    sound = "UklGRg==" * 100
    event = SPEECH.delta(sound, kind=SPEECH.sound)
    before, sink = sys.getrefcount(sound), Sink()
    gathered = RealtimeAdapter(MODEL).stream_accumulator(request(), sink)
    gathered.add(event)
    assert sys.getrefcount(sound) == before
    assert sink.told == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
NAMES = ("delta", "item", "response", "response_id", "output_index", "content_index", "session")
KINDS = (
    SPEECH.text,
    SPEECH.sound,
    "response.created",
    "response.done",
    "response.output_item.added",
    "session.created",
)
RESPONSES = st.fixed_dictionaries(
    {},
    optional={
        name: JSON | st.sampled_from(["completed", "failed", "incomplete"])
        for name in (
            "id",
            "status",
            "status_details",
            "usage",
            "conversation_id",
            "output_modalities",
        )
    },
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS) | JSON},
    optional={name: RESPONSES if name == "response" else JSON for name in NAMES},
)


@given(st.lists(EVENTS, max_size=6))
def test_nothing_that_a_server_sends_is_too_strange(events):
    shape = RealtimeAdapter(None)
    gathered = shape.stream_accumulator(shape.parse_request(HERE, {}), Sink())
    for event in events:
        shape.stream_id(event)
        shape.learn(str(event["type"]), event)
        shape.parse_request(HERE, event.get("response", {}))
        gathered.add(event)
    assert isinstance(gathered.response().finish_reasons, tuple)
