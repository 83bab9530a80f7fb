"""What tokentrail costs, as far as it can be told without a clock: by calls made and bytes held.

Times are the business of ``make bench``; what fails here fails on every machine.
"""

from __future__ import annotations

import gc
import sys
import threading
import tracemalloc
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NoOpTracerProvider
from tools.bench import wire

import tokentrail
from tokentrail.call.recorder import STAMP_BLOCK
from tokentrail.counting import ENCODINGS
from tokentrail.model.records import (
    Count,
    Endpoint,
    Operation,
    Outcome,
    Prompt,
    Request,
    Response,
    Source,
    Usage,
)
from tokentrail.runtime.worker import Worker
from tokentrail.telemetry.metrics import batching
from tokentrail.telemetry.metrics.attributes import MAX_SERIES, MetricAttributes
from tokentrail.telemetry.spans import MAX_TEMPLATES, SpanTemplates

pytestmark = pytest.mark.settings(
    time_per_output_chunk=False, count_verification_ratio=0, calibration=False
)
"""Without gaps, as by default: the fixture has them on. And without what only some calls pay."""

OURS = str(Path(tokentrail.__file__).parent)


@contextmanager
def counted_calls():
    """Collect the functions of ours that this thread enters, as ``telemetry.spans.finish``."""
    names = []

    def look(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS):
            module = Path(code.co_filename).relative_to(OURS).with_suffix("")
            names.append(".".join((*module.parts, code.co_name)))

    gc.collect()
    gc.disable()  # what it finds is of other calls
    sys.setprofile(look)
    try:
        yield names
    finally:
        sys.setprofile(None)
        gc.enable()


@pytest.fixture(autouse=True)
def one_job(monkeypatch):
    """The first call of a test gives the worker the points of all: no later one does."""
    monkeypatch.setattr(batching, "DELAY", 60.0)


@pytest.fixture
def client():
    sync, _ = wire.clients()
    return sync


def _stream(client, length):
    asked = {"stream": True, "extra_headers": {wire.LENGTH: str(length)}}
    return client.chat.completions.create(**wire.CHAT, **asked)


def test_a_plain_call_enters_few_functions(trail, client):
    """Each entered in a cold cache costs up to a microsecond: they are counted, not timed.

    What shields our steps is an ``except``, which enters none.
    """
    client.chat.completions.create(**wire.CHAT)
    with counted_calls() as names:
        client.chat.completions.create(**wire.CHAT)
    assert len(names) <= 68


@pytest.mark.parametrize(("stream", "most"), [(False, 16), (True, 32)])
def test_a_call_passes_few_modules(trail, client, stream, most):
    """What every call passes can be read in one afternoon, and what counts a stream in another.

    Beside the records, whose methods are made and have no file.
    """
    ENCODINGS.load("o200k_base")
    list(_stream(client, 3))
    client.chat.completions.create(**wire.CHAT)
    with counted_calls() as names:
        if stream:
            list(_stream(client, 3))
        else:
            client.chat.completions.create(**wire.CHAT)
    source = trail.spans.all()[-1].attributes["tokentrail.usage.output.source"]
    assert source == ("counted" if stream else "reported")
    modules = {name.rpartition(".")[0] for name in names}
    assert len(modules) <= most, " ".join(sorted(modules))


@pytest.mark.settings(time_per_output_chunk=False, count_verification_ratio=0)
def test_a_call_that_teaches_nothing_new_enters_two_functions_more(trail, client):
    """But for one in 32, at which calibration looks whether that is still so."""
    ENCODINGS.load("o200k_base")
    entered = []
    for _ in range(100):
        with counted_calls() as names:
            client.chat.completions.create(**wire.CHAT)
        tokentrail.flush(10)
        entered.append([name for name in names if name.endswith(("._check", ".may_learn"))])
        entered[-1] += [name for name in names if name.startswith("call.learning.")]
    looked_at = [names for names in entered[-64:] if len(names) != 2]
    assert len(looked_at) == 2


def test_calls_that_are_alike_share_the_attributes_of_their_points(trail, client):
    client.chat.completions.create(**wire.CHAT)
    with counted_calls() as names:
        client.chat.completions.create(**wire.CHAT)
    assert "telemetry.metrics.batching.add" in names
    assert {
        f"telemetry.metrics.{name}"
        for name in ("attributes.base", "attributes.own_attributes", "totals.sum")
    }.isdisjoint(names)


def test_what_calls_share_is_kept_for_a_bounded_number_of_kinds_and_ends():
    templates, points = SpanTemplates(), MetricAttributes(("gen_ai.response.model",))
    nowhere = Endpoint("openai", None, None, "")
    for number in range(3 * MAX_TEMPLATES):
        request = Request("chat", None, nowhere, model=f"model-{number}")
        kind = templates.of(request)
        assert templates.of(request) is kind
        assert templates.of(replace(request)) is kind
        assert len(templates._templates) <= MAX_TEMPLATES
    for number in range(3 * MAX_SERIES):
        response = Response(model=f"model-{number}")
        operation = Operation(request, response, Usage(), Outcome.COMPLETED, 1.0, 2, answered=True)
        again = replace(operation)
        assert templates.end_attributes(kind, operation) is templates.end_attributes(kind, again)
        assert points.of_series(operation) is points.of_series(again)
        assert len(templates._ended) <= MAX_TEMPLATES
        assert len(points._series) <= MAX_SERIES


def test_no_content_is_kept_with_a_kind_of_calls():
    templates = SpanTemplates()
    said = Prompt(texts=("a secret",))
    request = Request("chat", None, Endpoint("openai", None, None, ""), prompt=said)
    template = templates.of(request)
    assert "a secret" not in repr([template.name, template.started, template.asked])
    assert "a secret" not in repr(templates._templates)


def test_a_chunk_enters_three_functions_however_long_the_stream_is(trail, client):
    ENCODINGS.load("o200k_base")
    stream = _stream(client, 4000)
    for _ in range(100):
        next(stream)
    seen = []
    for _ in range(3):
        with counted_calls() as names:
            for _ in range(1000):
                next(stream)
        seen.append(len(names) / 1000)
    assert max(seen) < 3.5  # of which the blocks of text that are counted take their share
    assert max(seen) - min(seen) < 0.5
    stream.close()


def test_chunks_are_no_business_of_the_worker(trail, client, monkeypatch):
    """What the whole process does for a chunk is what its own thread does."""
    ENCODINGS.load("o200k_base")
    jobs = []
    monkeypatch.setattr(Worker, "put", lambda worker, job: jobs.append(job))
    stream = _stream(client, 3000)
    for _ in range(2000):
        next(stream)
    assert jobs == []
    stream.close()


@pytest.mark.settings(time_per_output_chunk=True)
def test_with_gaps_recorded_there_is_a_job_for_each_block_of_chunks(trail, client, monkeypatch):
    ENCODINGS.load("o200k_base")
    jobs = []
    monkeypatch.setattr(Worker, "put", lambda worker, job: jobs.append(job))
    stream = _stream(client, 3000)
    for _ in range(2000):
        next(stream)
    assert 0 < len(jobs) <= 2000 // (STAMP_BLOCK - 1)
    stream.close()


@pytest.mark.thorough
def test_the_end_of_a_stream_is_as_short_after_many_chunks_as_after_few(trail, client):
    """What was read is counted by then; no step waits for the end."""
    ENCODINGS.load("o200k_base")
    seen = []
    for length in (1000, 1000, 8000):
        stream = _stream(client, length)
        for _ in range(length + 2):  # one chunk comes before the text, and one after it
            next(stream)
        with counted_calls() as names:
            assert next(stream, None) is None
        seen.append(len(names))
    assert seen[2] < 1.25 * seen[1]


def test_embeddings_cost_the_same_for_any_number_of_vectors(trail, client, monkeypatch):
    few = wire._PLAIN["embeddings"]
    seen = []
    client.embeddings.create(**wire.EMBEDDINGS)
    for body in (few, few.replace(b'"data": [', b'"data": [' + _vectors(400))):
        monkeypatch.setitem(wire._PLAIN, "embeddings", body)
        tokentrail.flush(10)
        with counted_calls() as names:
            client.embeddings.create(**wire.EMBEDDINGS)
        seen.append(len(names))
    assert seen[0] == seen[1]


def _vectors(number):
    return b'{"object": "embedding", "index": 0, "embedding": [0.5]},' * number


@pytest.mark.thorough
@pytest.mark.timeout(180)  # tracing memory takes its time
@pytest.mark.settings(time_per_output_chunk=True)
def test_an_endless_stream_holds_less_than_100_kb(trail, client):
    """With counting and every metric at work; of 5,000 chunks as of 20,000."""
    ENCODINGS.load("o200k_base")
    for _ in _stream(client, 2000):  # what is made once in a process
        pass
    tokentrail.flush(10)
    stream = _stream(client, 1_000_000)
    for _ in range(20):
        next(stream)
    gc.collect()
    tracemalloc.start()
    try:
        before, most = tracemalloc.get_traced_memory()[0], 0
        for number in range(5000):
            next(stream)
            if number % 500 == 499:
                gc.collect()
                most = max(most, tracemalloc.get_traced_memory()[0] - before)
    finally:
        tracemalloc.stop()
    stream.close()
    tokentrail.flush(10)
    assert most < 100 * 1024
    assert len(trail.spans.all()) == 2


@pytest.fixture
def unheard():
    """Instrument where nobody listens: no span is sampled, and metrics are off."""
    provider = TracerProvider(sampler=ALWAYS_OFF)
    tokentrail.instrument(tracer_provider=provider, meter_provider=NoOpMeterProvider())
    yield
    tokentrail.uninstrument()


def test_a_call_without_a_provider_is_not_observed(unheard, client):
    """Its stream is the client's own, nothing is counted, and no thread is started."""
    threads = threading.active_count()
    client.chat.completions.create(**wire.CHAT)
    stream = _stream(client, 3)
    assert type(stream._iterator).__module__ != "tokentrail.patching.streams"
    assert len(list(stream)) == 5
    assert tokentrail.current_usage(stream) is None
    assert threading.active_count() == threads
    with counted_calls() as names:
        client.chat.completions.create(**wire.CHAT)
    assert len(names) < 64


def test_records_are_compared_hashed_copied_and_shown_as_dataclasses_are():
    class Same:
        @dataclass(slots=True, unsafe_hash=True)
        class Count:
            tokens: int
            source: Source
            encoding: str | None = None

    ours, theirs = (
        Count(3, Source.COUNTED, "o200k_base"),
        Same.Count(3, Source.COUNTED, "o200k_base"),
    )
    again, other = replace(ours), replace(ours, tokens=4)
    assert ours == again
    assert hash(ours) == hash(again) == hash(theirs)
    assert ours != other
    assert ours not in {other, theirs}
    assert copy(ours) == deepcopy(ours) == ours
    assert repr(theirs).endswith(repr(ours))
    assert not hasattr(ours, "__dict__")


def test_a_call_without_a_provider_still_passes_its_context_on(unheard):
    """What is instrumented below the client must learn that the trace is not sampled."""
    seen = []

    def reply(request):
        seen.append(trace.get_current_span())
        return wire.answer(request)

    sync, _ = wire.clients(reply)
    sync.chat.completions.create(**wire.CHAT)
    assert [span.get_span_context().is_valid for span in seen] == [True]
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("usage", ["observe", "request"])
@pytest.mark.parametrize("stream", [False, True])
def test_content_is_not_read_if_nothing_is_recorded(client, stream, usage):
    """Neither to count it nor as content: a long prompt takes milliseconds."""
    tokentrail.instrument(
        tracer_provider=TracerProvider(sampler=ALWAYS_OFF),
        meter_provider=NoOpMeterProvider(),
        capture_content="SPAN_ONLY",
        stream_usage=usage,
    )
    create, entered, kept = client.chat.completions.create, [], []
    try:
        for count in (1, 400):
            asked = {**wire.CHAT, "messages": wire.CHAT["messages"] * count, "stream": stream}
            kept.append(create(**asked, extra_headers={wire.LENGTH: "3"}))
            with counted_calls() as names:
                kept.append(create(**asked, extra_headers={wire.LENGTH: "3"}))
            assert not [name for name in names if name.startswith("content.")]
            # What can be read but once is looked for, where it may be sent twice.
            read = [
                name
                for name in names
                if not name.startswith(("patching.replay", "patching.include_usage"))
            ]
            entered.append(len(read))
    finally:
        tokentrail.uninstrument()
    assert entered[0] == entered[1]


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "traces", [NoOpTracerProvider(), TracerProvider(sampler=ALWAYS_OFF)], ids=["off", "unsampled"]
)
def test_where_no_span_is_recorded_nothing_is_done_that_only_a_span_has(
    metrics, client, traces, stream, raw
):
    """What a sampler and a child are shown is all that there is of it."""
    ENCODINGS.load("o200k_base")  # else the worker ends the first streams
    tokentrail.instrument(tracer_provider=traces, meter_provider=metrics.provider)
    completions = client.chat.completions
    create = completions.with_raw_response.create if raw else completions.create
    asked = {"stream": stream, "extra_headers": {wire.LENGTH: "3"}}

    def call():
        answer = create(**wire.CHAT, **asked)
        answer = answer.parse() if raw else answer
        return list(answer) if stream else answer

    try:
        call()
        with counted_calls() as names:
            call()
        tokentrail.flush(10)
    finally:
        tokentrail.uninstrument()
    spans = ("telemetry.spans.", "apis.http_metadata.")
    entered = {name for name in names if name.startswith(spans)}
    assert entered <= {
        "telemetry.spans.of",
        "telemetry.spans.finish",
        "apis.http_metadata.is_raw",
    }
    assert "telemetry.spans.finish" in entered
    assert metrics.one("gen_ai.client.operation.duration").count == 2
