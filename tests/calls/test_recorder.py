"""A recorder hands one call on exactly once, with its true times, in whatever order it is told."""

from __future__ import annotations

import asyncio
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.call.recorder import STAMP_BLOCK, Recorder
from tokentrail.model.records import Endpoint, Outcome, Usage

EPOCH = 1_700_000_000_000_000_000
ENDPOINT = Endpoint("openai", None, None, "")
SHAPE = ChatAdapter()
SECONDS = st.integers(0, 10**9).map(lambda whole: whole / 1024)
"""Times that add up exactly."""


class Listener:
    """Keeps what a recorder hands on."""

    def __init__(self):
        self.told = []
        self.finalising = []
        self.blocks = []

    def stamps(self, stamps, model):
        self.blocks.append((array("d", stamps), model))

    def ended(self, ended, *, finalising):
        self.told.append(ended)
        self.finalising.append(finalising)

    def known(self):
        return Usage()


class Sink:
    """Keeps the text of an answer."""

    def __init__(self):
        self.text = ""

    def add(self, kind, choice, item, text):
        self.text += text

    def pieces(self, kind, choice, item):
        return None


def _request(*, stream):
    return SHAPE.parse_request(ENDPOINT, {"model": "m", "messages": [], "stream": stream})


def _chunk(text=None, reason=None):
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": reason}
    return {"id": "c", "model": "m-1", "choices": [choice]}


class Life(RuleBasedStateMachine):
    """A streamed call of which anything is told at any time, also after its end."""

    def __init__(self):
        super().__init__()
        self.now = 7.0
        self.listener, self.sink = Listener(), Sink()
        self.recorder = Recorder(
            _request(stream=True), SHAPE, self.sink, self.listener, lambda: self.now, EPOCH
        )
        self.headers = None
        self.chunks = []
        self.text = ""
        self.finished = False
        self.end = None

    @property
    def over(self):
        return self.end is not None

    @rule(seconds=SECONDS)
    def time_passes(self, seconds):
        self.now += seconds

    @precondition(lambda self: not self.chunks)
    @rule()
    def headers_come(self):
        self.recorder.streaming()
        if not self.over:
            self.headers = self.now

    @precondition(lambda self: self.headers is not None)
    @rule(count=st.sampled_from([1, 2, STAMP_BLOCK - 1, STAMP_BLOCK, STAMP_BLOCK + 1]))
    def chunks_come(self, count):
        for _ in range(count):
            self.now += 0.125
            self.recorder.chunk(_chunk("a"))
            if not self.over:
                self.chunks.append(self.now)
                self.text += "a"

    @precondition(lambda self: self.headers is not None)
    @rule()
    def finish_reason_comes(self):
        self.recorder.chunk(_chunk(reason="stop"))
        if not self.over:
            self.chunks.append(self.now)
            self.finished = True

    @precondition(lambda self: self.headers is not None)
    @rule()
    def text_comes_beside(self):
        """It is text of the answer, but no chunk, so it has no time."""
        self.recorder.beside(_chunk("b"))
        if not self.over:
            self.text += "b"

    @rule()
    def somebody_asks(self):
        so_far = self.recorder.so_far()
        assert so_far.duration == self.now - 7.0
        assert (so_far.first_chunk is not None) is bool(self.chunks)

    @rule(way=st.sampled_from(["exhausted", "closed", "finalised", "collected", "failed", "left"]))
    def ends(self, way):
        """One rule for all ways, so that a call often lives long enough to be worth ending."""
        getattr(self, f"_{way}")()

    def _exhausted(self):
        self.recorder.exhausted()
        self._over(Outcome.COMPLETED)

    def _closed(self, *, finalising=False):
        self.recorder.broken_off(finalising=finalising)
        self._over(Outcome.BROKEN_OFF, finalising=finalising)

    def _finalised(self):
        self._closed(finalising=True)

    def _collected(self):
        self.recorder.abandoned()
        seen = self.chunks[-1] if self.chunks else self.headers or 7.0
        self._over(Outcome.BROKEN_OFF, at=seen, finalising=True)

    def _failed(self):
        self.recorder.failed(ValueError("secret"))
        self._over(Outcome.FAILED, error="ValueError")

    def _left(self):
        self.recorder.failed(asyncio.CancelledError())
        self._over(Outcome.CANCELLED)

    def _over(self, ending, *, at=None, error=None, finalising=False):
        if self.over:
            return
        if ending is Outcome.BROKEN_OFF and self.finished:
            ending = Outcome.COMPLETED  # all that the model had to say was there
        self.end = (ending, self.now if at is None else at, error, finalising)

    @invariant()
    def it_ended_once_or_not_yet(self):
        """The call is told the moment it ends, and never again."""
        assert len(self.listener.told) == (1 if self.over else 0)
        assert self.recorder.open is not self.over

    @invariant()
    def what_was_told_is_true(self):
        """The facts are those of the moment of the end, whatever came after it."""
        if not self.over:
            return
        (told,) = self.listener.told
        ending, at, error, finalising = self.end
        assert told.ending is ending
        assert self.listener.finalising == [finalising]
        assert told.duration == at - 7.0
        assert told.end_time == EPOCH + int((at - 7.0) * 1e9)
        assert told.first_chunk == (self.chunks[0] - 7.0 if self.chunks else None)
        assert told.answered is (self.headers is not None)
        assert (told.response is not None) is told.answered
        assert (told.error_type, told.error_description) == (error, None)

    @invariant()
    def text_is_complete(self):
        """All text until the end is in the sink, and none from after it."""
        assert self.sink.text == self.text

    @invariant()
    def blocks_are_bounded(self):
        """Stamps are handed on as soon as there are as many as a block holds."""
        assert all(len(stamps) == STAMP_BLOCK for stamps, _ in self.listener.blocks)

    def teardown(self):
        """Every chunk's time is handed on once; blocks overlap by the stamp that joins them."""
        stamps = []
        blocks = [stamps for stamps, _ in self.listener.blocks]
        for block in [*blocks, self.recorder.last_stamps()]:
            assert not stamps or block[0] == stamps[-1]
            stamps += block[1:] if stamps else block
        assert stamps == self.chunks
        assert {model for _, model in self.listener.blocks} <= {"m-1"}
        assert len(self.recorder.last_stamps()) == 0


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestLife = Life.TestCase


@given(wait=SECONDS)
@settings(max_examples=25)
def test_a_plain_answer_is_over_when_it_comes(wait):
    """One event is the whole life of a plain call."""
    now, listener, sink = [1.0], Listener(), Sink()
    recorder = Recorder(_request(stream=False), SHAPE, sink, listener, lambda: now[0], EPOCH)
    now[0] += wait
    message = {"role": "assistant", "content": "sea"}
    recorder.answered({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    now[0] += 1
    recorder.failed(ValueError())
    recorder.abandoned()
    (told,) = listener.told
    assert (told.ending, told.duration) == (Outcome.COMPLETED, wait)
    assert (told.answered, told.first_chunk) == (True, None)
    assert told.response.finish_reasons == ("stop",)
    assert sink.text == "", "a text that nobody counts was read"
    recorder.tell_text(sink)
    assert sink.text == "sea"


class _Interrupted(Recorder):
    """Closed by a signal, or another thread, while its first chunk is taken."""

    first = None

    @property
    def _first(self):
        return self.first

    @_first.setter
    def _first(self, when):
        self.first = when
        if when is not None:
            self.broken_off()


@pytest.mark.parametrize("stamped", [True, False])
def test_what_comes_after_an_end_is_ignored_whenever_that_was(stamped):
    listener, sink = Listener(), Sink()
    recorder = _Interrupted(
        _request(stream=True), SHAPE, sink, listener, lambda: 1.0, EPOCH, stamped=stamped
    )
    recorder.streaming()
    for _ in range(3):
        recorder.chunk(_chunk("a"))
    recorder.streaming()
    recorder.chunk(_chunk("a"))
    recorder.beside(_chunk("a"))
    assert (len(listener.told), sink.text) == (1, "")


class _Broken:
    """A shape whose accumulator cannot say what it gathered."""

    def stream_accumulator(self, request, sink):
        return self

    def add(self, chunk):
        pass

    def response(self):
        raise LookupError

    def parse_response(self, answer, sink):
        raise LookupError


@pytest.mark.parametrize("error", [GeneratorExit(), KeyboardInterrupt(), SystemExit()])
def test_leaving_is_no_error(error):
    """What is no Exception ends a call as a cancellation does."""
    listener = Listener()
    recorder = Recorder(_request(stream=True), SHAPE, None, listener, lambda: 1.0, EPOCH)
    recorder.failed(error)
    assert (listener.told[0].ending, listener.told[0].error_type) == (Outcome.CANCELLED, None)


@pytest.mark.parametrize("end", ["exhausted", "broken_off", "abandoned"])
def test_an_end_is_handed_on_whatever_fails_in_reading(end):
    """A bug in a shape costs what that shape reads, never the span."""
    listener = Listener()
    recorder = Recorder(_request(stream=True), _Broken(), None, listener, lambda: 1.0, EPOCH)
    recorder.streaming()
    recorder.chunk(object())
    with pytest.raises(LookupError):
        getattr(recorder, end)()
    (told,) = listener.told
    assert (told.response, told.answered, told.first_chunk is not None) == (None, True, True)


def test_a_plain_end_is_handed_on_whatever_fails_in_reading():
    """The same goes for a plain answer."""
    listener = Listener()
    recorder = Recorder(_request(stream=False), _Broken(), None, listener, lambda: 1.0, EPOCH)
    with pytest.raises(LookupError):
        recorder.answered(object())
    assert [told.ending for told in listener.told] == [Outcome.COMPLETED]


@pytest.mark.parametrize(
    ("fields", "description"),
    [
        ({}, None),
        ({"status_code": 429, "code": "rate_limit"}, "429 rate_limit"),
        ({"status_code": True, "code": 7}, None),
        ({"code": "the prompt, quoted"}, None),
        ({"code": "x" * 65}, None),
    ],
)
def test_a_description_holds_number_and_code_and_no_prose(fields, description):
    """What an error says may quote the request, so it is not told."""
    listener, error = Listener(), ValueError("the prompt")
    vars(error).update(fields)
    recorder = Recorder(_request(stream=False), SHAPE, None, listener, lambda: 1.0, EPOCH)
    recorder.failed(error)
    assert listener.told[0].error_description == description
