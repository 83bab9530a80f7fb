"""A recorder hands one call on exactly once, with its true times, in whatever order it is told."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.call.recorder import STAMP_BLOCK, Recorder
from tokentrail.model.records import Endpoint, Outcome

EPOCH = 1_700_000_000_000_000_000
ENDPOINT = Endpoint("openai", None, None, "")
SHAPE = ChatAdapter()
SECONDS = st.integers(0, 10**9).map(lambda whole: whole / 1024)
"""Times that add up exactly."""


class Sink:
    """Keeps the text of an answer."""

    def __init__(self):
        self.text = ""

    def add(self, kind, choice, item, text):
        self.text += text

    def append_buffer(self, kind, choice, item):
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
        self.ended, self.blocks, self.sink = [], [], Sink()
        self.recorder = Recorder(_request(stream=True), SHAPE, self.sink, lambda: self.now, EPOCH)
        self.recorder.keep_chunk_times()
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
        self.recorder.on_stream_opened()
        if not self.over:
            self.headers = self.now

    @precondition(lambda self: self.headers is not None)
    @rule(count=st.sampled_from([1, 2, STAMP_BLOCK - 1, STAMP_BLOCK, STAMP_BLOCK + 1]))
    def chunks_come(self, count):
        for _ in range(count):
            self.now += 0.125
            self._comes(_chunk("a"))
            if not self.over:
                self.chunks.append(self.now)
                self.text += "a"

    @precondition(lambda self: self.headers is not None)
    @rule()
    def finish_reason_comes(self):
        self._comes(_chunk(reason="stop"))
        if not self.over:
            self.chunks.append(self.now)
            self.finished = True

    @precondition(lambda self: self.headers is not None)
    @rule()
    def text_comes_beside(self):
        """It is text of the answer, but no chunk, so it has no time."""
        self.recorder.on_control_event(_chunk("b"))
        if not self.over:
            self.text += "b"

    def _comes(self, chunk):
        if self.recorder.on_chunk(chunk):
            self.blocks.append(self.recorder.take_full_block())
        assert self.recorder.take_full_block() is None

    @rule()
    def somebody_asks(self):
        so_far = self.recorder.snapshot()
        assert so_far.duration == self.now - 7.0
        assert (so_far.first_chunk is not None) is bool(self.chunks)

    @rule(way=st.sampled_from(["exhausted", "closed", "collected", "failed", "left"]))
    def ends(self, way):
        """One rule for all ways, so that a call often lives long enough to be worth ending."""
        getattr(self, f"_{way}")()

    def _exhausted(self):
        self._over(self.recorder.on_stream_end(), Outcome.COMPLETED)

    def _closed(self):
        self._over(self.recorder.on_closed(), Outcome.CLOSED_EARLY)

    def _collected(self):
        seen = self.chunks[-1] if self.chunks else self.headers or 7.0
        self._over(self.recorder.on_collected(), Outcome.CLOSED_EARLY, at=seen)

    def _failed(self):
        operation = self.recorder.on_error(ValueError("secret"))
        self._over(operation, Outcome.FAILED, error="ValueError")

    def _left(self):
        self._over(self.recorder.on_error(asyncio.CancelledError()), Outcome.CANCELLED)

    def _over(self, operation, ending, *, at=None, error=None):
        if operation is not None:
            self.ended.append(operation)
        if self.over:
            return
        if ending is Outcome.CLOSED_EARLY and self.finished:
            ending = Outcome.COMPLETED  # all that the model had to say was there
        if ending is Outcome.COMPLETED and self.headers is not None and not self.finished:
            ending = Outcome.TRUNCATED  # nobody said that this is the end
        self.end = (ending, self.now if at is None else at, error)

    @invariant()
    def it_ended_once_or_not_yet(self):
        """The call is returned the moment it ends, and never again."""
        assert len(self.ended) == (1 if self.over else 0)
        assert self.recorder.is_open is not self.over

    @invariant()
    def what_is_recorded_is_true(self):
        """The facts are those of the moment of the end, whatever came after it."""
        if not self.over:
            return
        (told,) = self.ended
        outcome, at, error = self.end
        assert told.outcome is outcome
        assert told.duration == at - 7.0
        assert told.end_time == EPOCH + int((at - 7.0) * 1e9)
        assert told.first_chunk == (self.chunks[0] - 7.0 if self.chunks else None)
        nothing_came = outcome is Outcome.TRUNCATED and not self.chunks and not self.text
        assert told.answered is (self.headers is not None and not nothing_came)
        assert (told.response is not None) is (self.headers is not None)
        assert (told.error_type, told.error_description) == (error, None)

    @invariant()
    def text_is_complete(self):
        """All text until the end is in the sink, and none from after it."""
        assert self.sink.text == self.text

    @invariant()
    def blocks_are_bounded(self):
        """Stamps are handed on as soon as there are as many as a block holds."""
        assert all(len(stamps) == STAMP_BLOCK for stamps in self.blocks)

    def teardown(self):
        """Every chunk's time is handed on once; blocks overlap by the stamp that joins them."""
        stamps = []
        for block in [*self.blocks, self.recorder.take_last_block()]:
            assert not stamps or block[0] == stamps[-1]
            stamps += block[1:] if stamps else block
        assert stamps == self.chunks
        assert len(self.recorder.take_last_block()) == 0


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestLife = Life.TestCase


@given(wait=SECONDS)
@settings(max_examples=25)
def test_a_plain_answer_is_over_when_it_comes(wait):
    """One event is the whole life of a plain call."""
    now, sink = [1.0], Sink()
    recorder = Recorder(_request(stream=False), SHAPE, sink, lambda: now[0], EPOCH)
    now[0] += wait
    message = {"role": "assistant", "content": "sea"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    told = recorder.on_response({"choices": [choice]})
    now[0] += 1
    assert recorder.on_error(ValueError()) is None
    assert recorder.on_collected() is None
    assert (told.outcome, told.duration) == (Outcome.COMPLETED, wait)
    assert (told.answered, told.first_chunk) == (True, None)
    assert told.response.finish_reasons == ("stop",)
    assert sink.text == "", "a text that nobody counts was read"
    recorder.feed_text(sink)
    assert sink.text == "sea"


class _Interrupted(Recorder):
    """Closed by a signal, or another thread, while its first chunk is taken."""

    first = None
    closed = 0

    @property
    def _first(self):
        return self.first

    @_first.setter
    def _first(self, when):
        self.first = when
        if when is not None and self.on_closed() is not None:
            self.closed += 1


@pytest.mark.parametrize("stamped", [True, False])
def test_what_comes_after_an_end_is_ignored_whenever_that_was(stamped):
    sink = Sink()
    recorder = _Interrupted(_request(stream=True), SHAPE, sink, lambda: 1.0, EPOCH)
    if stamped:
        recorder.keep_chunk_times()
    recorder.on_stream_opened()
    for _ in range(3):
        recorder.on_chunk(_chunk("a"))
    recorder.on_stream_opened()
    recorder.on_chunk(_chunk("a"))
    recorder.on_control_event(_chunk("a"))
    assert (recorder.closed, sink.text) == (1, "")


class _Broken:
    """A shape whose accumulator cannot say what it gathered."""

    has_content = False

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
    recorder = Recorder(_request(stream=True), SHAPE, None, lambda: 1.0, EPOCH)
    told = recorder.on_error(error)
    assert (told.outcome, told.error_type) == (Outcome.CANCELLED, None)


@pytest.mark.parametrize("end", ["on_stream_end", "on_closed", "on_collected"])
def test_an_end_is_passed_on_whatever_fails_in_reading(end):
    """A bug in a shape costs what that shape reads, never the span."""
    recorder = Recorder(_request(stream=True), _Broken(), None, lambda: 1.0, EPOCH)
    recorder.on_stream_opened()
    recorder.on_chunk(object())
    told = getattr(recorder, end)()
    assert isinstance(recorder.reading_error, LookupError)
    assert (told.response, told.answered, told.first_chunk is not None) == (None, True, True)


def test_a_plain_end_is_passed_on_whatever_fails_in_reading():
    """The same goes for a plain answer."""
    recorder = Recorder(_request(stream=False), _Broken(), None, lambda: 1.0, EPOCH)
    assert recorder.on_response(object()).outcome is Outcome.COMPLETED
    assert isinstance(recorder.reading_error, LookupError)


@pytest.mark.parametrize("answer", [None, "text", {"_request_id": "r"}, object(), 7])
def test_an_answer_that_shows_no_request_id_has_no_metadata(answer):
    recorder = Recorder(_request(stream=False), SHAPE, None, lambda: 1.0, EPOCH)
    assert recorder.on_response(answer).http is None


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
    error = ValueError("the prompt")
    vars(error).update(fields)
    recorder = Recorder(_request(stream=False), SHAPE, None, lambda: 1.0, EPOCH)
    assert recorder.on_error(error).error_description == description
