"""When OpenTelemetry or our own code fails, the application's call does not, and the log is calm.

A program that makes all kinds of calls runs over what is broken, with an error that quotes the
prompt. ``test_every_function`` breaks all of our own code; here are OpenTelemetry, and those seams
that must not cost the span.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import importlib
import logging
import re
import subprocess
import sys
import textwrap

import openai
import pytest
from opentelemetry import _logs as api_logs
from opentelemetry import metrics as api_metrics
from opentelemetry import trace as api_trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

import tokentrail
from tokentrail.runtime.runtime import _runtimes
from tokentrail.support import guard
from tokentrail.testing.payloads import errors

PROMPT = "Tell me of the sea."
SECRET = f"our own bug, quoting {PROMPT}"
PLACE = re.compile(r"tokentrail failed at ([\w :.]+) \(")


class OurBug(Exception):
    """What the broken seams raise."""


@pytest.fixture
def lenient(monkeypatch):
    """Swallow our own errors, as in production, with no place told yet."""
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "_logged", set())
    yield
    for active in list(_runtimes):  # what a broken seam never ended, nobody will
        active.open_calls.clear()
        atexit.unregister(active._exit)


# The program -------------------------------------------------------------------------------------


class Program:
    """Makes all kinds of calls and checks that each goes as it goes without us."""

    def __init__(self, driver, stage, api):
        self.driver, self.stage, self.api = driver, stage, api
        self.client = driver.client(stage.server)
        self.asked = {"model": api.model, **api.asked}

    @property
    def create(self):
        """The method as it is now, patched or not."""
        return self.api.method(self.client)

    async def run(self):
        await self.plain()
        await self.streamed()
        await self.closed_early()
        await self.failed()
        await self.refused()
        await self.raw()
        await self.left_raw()
        await self.dropped()
        await self.collected()

    async def collected(self):
        for _ in range(3):
            gc.collect()
            for _ in range(5):
                await asyncio.sleep(0)

    async def plain(self):
        self.stage.says(self.api.body())
        answer = await self.driver.call(
            self.create, **{**self.asked, "messages": iter(self.asked["messages"])}
        )
        assert answer.choices[0].message.content == "The sea is old and wide."

    async def streamed(self):
        self.stage.streams(self.api.events())
        stream = await self.driver.call(self.create, **self.asked, stream=True)
        self._all_of(await self.driver.read(stream))

    async def closed_early(self):
        self.stage.streams([*self.api.events()[:4], self.stage.OPEN])
        stream = await self.driver.call(self.create, **self.asked, stream=True)
        chunks = await self.driver.take(stream, 3)
        await self.driver.close(stream)
        assert [self.api.text(chunk) for chunk in chunks] == ["", "The", " sea"]
        assert stream.response.is_closed

    async def failed(self):
        self.stage.streams([*self.api.events()[:4], errors.event(code="overloaded")])
        stream = await self.driver.call(self.create, **self.asked, stream=True)
        chunks = []

        async def pull():
            while True:
                chunks.append(await self.driver.next(stream))

        with pytest.raises(openai.APIError) as caught:
            await pull()
        assert len(chunks) == 4
        assert caught.value.code == "overloaded"
        assert caught.value.__context__ is None

    async def refused(self):
        self.stage.reply = errors.model_not_found(self.api.model)
        with pytest.raises(openai.NotFoundError):
            await self.driver.call(self.create, **self.asked)

    async def raw(self):
        self.stage.says(self.api.body())
        create = self.client.chat.completions.with_streaming_response.create
        async with self.driver.within(create(**self.asked)) as raw:
            answer = await self.driver.call(raw.parse)
        assert answer.choices[0].message.content == "The sea is old and wide."

    async def left_raw(self):
        self.stage.streams(self.api.events())
        create = self.client.chat.completions.with_streaming_response.create
        async with self.driver.within(create(**self.asked, stream=True)) as raw:
            if self.driver.mode == "async":
                lines = [line async for line in raw.iter_lines()]
            else:
                lines = list(raw.iter_lines())
        assert "data: [DONE]" in lines

    async def dropped(self):
        self.stage.streams([*self.api.events()[:4], self.stage.OPEN])
        stream = await self.driver.call(self.create, **self.asked, stream=True)
        assert len(await self.driver.take(stream, 3)) == 3

    def _all_of(self, chunks):
        assert "".join(map(self.api.text, chunks)) == "The sea is old and wide."
        assert len(chunks) == 9


@pytest.fixture
def program(driver, stage, apis):
    return Program(driver, stage, apis["chat"])


def logged(caplog):
    """Return what our log says, having asserted that it quotes nothing and repeats nothing."""
    ours = [record for record in caplog.records if record.name.startswith("tokentrail")]
    for record in ours:
        text = logging.Formatter("%(message)s").format(record)
        assert PROMPT not in text
        assert "sea" not in text
        assert record.exc_info is None
    messages = [record.getMessage() for record in ours if record.levelno >= logging.WARNING]
    places = [match[1] for message in messages if (match := PLACE.match(message))]
    assert len(places) == len(messages) == len(set(places))
    return places


# Our own code ------------------------------------------------------------------------------------


def _break(monkeypatch, seam):
    """Have a seam raise; return how often it was met."""
    place, _, name = seam.partition(":")
    if not name:
        place, _, name = seam.rpartition(".")
    owner = importlib.import_module(f"tokentrail.{place}")
    *holders, attribute = name.split(".")
    for holder in holders:
        owner = getattr(owner, holder)
    met = []

    def broken(*args, **kwargs):
        met.append(seam)
        raise OurBug(SECRET)

    assert hasattr(owner, attribute), f"there is no {seam}"
    monkeypatch.setattr(owner, attribute, broken)
    return met


@pytest.mark.parametrize(
    "seam",
    [
        "apis.choices:ChunkAccumulator.add",
        "apis.choices:ChunkAccumulator.response",
        "counting.output:OutputTally.add",
        "counting.output:OutputTally.steps",
        "counting.prompt:InputTally.steps",
        "call.observed_call:ObservedCall.ready",
        "telemetry.metrics.batching:PointBatch.add",
        "call.jobs:Gaps.steps",
        "usage.resolve:count_source",
        "call.observed_call:ObservedCall.prompt",
    ],
)
async def test_a_bug_in_reading_or_counting_does_not_cost_the_span(
    program, trail, lenient, monkeypatch, seam
):
    """The span of the call is told all the same, with what is known without the broken part."""
    with monkeypatch.context() as broken:
        assert _break(broken, seam) == []
        await program.streamed()
        tokentrail.flush(1)
        await program.closed_early()
        tokentrail.flush(1)
    endings = [span.attributes["tokentrail.outcome"] for span in trail.spans.all()]
    # Where no chunk could be read, the mark of the end was not seen.
    first = "truncated" if seam.endswith("Accumulator.add") else "completed"
    assert endings == [first, "closed_early"]


async def test_a_bug_in_a_job_does_not_stop_the_worker(program, trail, lenient, monkeypatch):
    """A job that fails is the last of its kind, not of the thread."""
    with monkeypatch.context() as broken:
        _break(broken, "call.observed_call:ObservedCall.ready")
        await program.dropped()
        await program.collected()
        assert tokentrail.flush(2)
    await program.dropped()
    await program.collected()
    assert trail.spans.all()[-1].attributes["tokentrail.outcome"] == "closed_early"


# OpenTelemetry -----------------------------------------------------------------------------------


class BrokenProcessor(SpanProcessor):
    """Raises where it is told to."""

    def __init__(self, *at):
        self.at = at

    def on_start(self, span, parent_context=None):
        if "on_start" in self.at:
            raise OurBug(SECRET)

    def on_end(self, span):
        if "on_end" in self.at:
            raise OurBug(SECRET)


class BrokenExporter(SpanExporter):
    """Cannot export."""

    def export(self, spans):
        raise OurBug(SECRET)


class BrokenSpan(api_trace.NonRecordingSpan):
    """Records, but takes nothing."""

    def __init__(self, broken):
        super().__init__(api_trace.INVALID_SPAN_CONTEXT)
        self.broken = broken

    def _do(self, what):
        if what in self.broken:
            raise OurBug(SECRET)

    def is_recording(self):
        self._do("is_recording")
        return True

    def set_attribute(self, key, value):
        self._do("set_attribute")

    def set_attributes(self, attributes):
        self._do("set_attributes")

    def set_status(self, status, description=None):
        self._do("set_status")

    def end(self, end_time=None):
        self._do("end")


class BrokenTracers(api_trace.TracerProvider):
    """Makes spans that fail, or none."""

    def __init__(self, *broken):
        self.broken = broken

    def get_tracer(self, *args, **kwargs):
        provider = self

        class Tracer(api_trace.NoOpTracer):
            def start_span(self, *args, **kwargs):
                if "start_span" in provider.broken:
                    raise OurBug(SECRET)
                return BrokenSpan(provider.broken)

        return Tracer()


class BrokenLoggers(api_logs.LoggerProvider):
    """Makes a logger that takes no record."""

    def get_logger(self, *args, **kwargs):
        class Logger(api_logs.NoOpLogger):
            def emit(self, *args, **kwargs):
                raise OurBug(SECRET)

        return Logger("broken")


class NoMeters(api_metrics.MeterProvider):
    """Cannot even give a meter."""

    def get_meter(self, *args, **kwargs):
        raise OurBug(SECRET)


class BrokenMeters(api_metrics.MeterProvider):
    """Makes instruments that take no measurement."""

    def get_meter(self, *args, **kwargs):
        class Histogram(api_metrics.NoOpHistogram):
            def record(self, *args, **kwargs):
                raise OurBug(SECRET)

        class Counter(api_metrics.NoOpCounter):
            def add(self, *args, **kwargs):
                raise OurBug(SECRET)

        class Meter(api_metrics.NoOpMeter):
            def create_histogram(self, name, *args, **kwargs):
                return Histogram(name)

            def create_counter(self, name, *args, **kwargs):
                return Counter(name)

        return Meter("broken")


def _tracers(processor):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider


@pytest.mark.parametrize(
    "providers",
    [
        pytest.param({"tracer_provider": _tracers(BrokenProcessor("on_start"))}, id="on_start"),
        pytest.param({"tracer_provider": _tracers(BrokenProcessor("on_end"))}, id="on_end"),
        pytest.param({"tracer_provider": BrokenTracers("start_span")}, id="start_span"),
        pytest.param({"tracer_provider": BrokenTracers("is_recording")}, id="is_recording"),
        pytest.param(
            {"tracer_provider": BrokenTracers("set_attribute", "set_attributes")},
            id="set_attribute",
        ),
        pytest.param({"tracer_provider": BrokenTracers("set_status")}, id="set_status"),
        pytest.param({"tracer_provider": BrokenTracers("end")}, id="end"),
        pytest.param({"meter_provider": BrokenMeters()}, id="record"),
        pytest.param({"logger_provider": BrokenLoggers(), "emit_event": True}, id="emit"),
    ],
)
async def test_an_opentelemetry_that_raises_is_not_the_application_s(
    program, lenient, caplog, providers
):
    """Whatever a span, a processor or an instrument raises: the calls go on, said once."""
    tokentrail.uninstrument()
    tokentrail.instrument(**providers)
    try:
        await program.run()
        tokentrail.flush(1)
    finally:
        tokentrail.uninstrument()
    assert 1 <= len(logged(caplog)) <= 6


async def test_what_raises_in_instrument_leaves_everything_as_it_was(program, lenient, caplog):
    """A provider that cannot be used at all is said where it was named, and nothing is patched."""
    tokentrail.uninstrument()
    bare = program.create.__func__
    with pytest.raises(OurBug):
        tokentrail.instrument(meter_provider=NoMeters())
    assert program.create.__func__ is bare
    await program.run()
    assert logged(caplog) == []


async def test_an_exporter_that_raises_is_the_sdk_s_business(program, lenient, caplog):
    """The SDK swallows and logs that; nothing of it comes from us."""
    tokentrail.uninstrument()
    tokentrail.instrument(tracer_provider=_tracers(SimpleSpanProcessor(BrokenExporter())))
    try:
        await program.run()
        tokentrail.flush(1)
    finally:
        tokentrail.uninstrument()
    assert logged(caplog) == []


async def test_without_providers_nothing_happens_and_nothing_is_logged(program, caplog):
    """The API without an SDK is no fault."""
    tokentrail.uninstrument()
    tokentrail.instrument()
    try:
        await program.run()
        assert tokentrail.flush(2)
    finally:
        tokentrail.uninstrument()
    assert logged(caplog) == []


@pytest.mark.thorough
def test_without_an_sdk_installed_calls_are_made(stage, apis):
    """The SDK is no dependency: the program runs and exits as the bare one does.

    Since Python 3.14 a stream that is open at the exit has the bare client print an error, too.
    """
    stage.streams(apis["chat"].events())
    program = f"""
        import sys
        sys.modules["opentelemetry.sdk"] = None
        import tokentrail
        tokentrail.instrument()
        import openai
        client = openai.OpenAI(base_url={stage.server.base_url!r}, api_key="k")
        messages = [{{"role": "user", "content": "Tell me of the sea."}}]
        stream = client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
        print("".join(chunk.choices[0].delta.content or "" for chunk in stream))
        stream = client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True)
        print(next(stream).choices[0].delta.role)
    """  # and ends long before an encoding is built
    ended = []
    for text in (program, program.replace("tokentrail.instrument()", "")):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(text)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "The sea is old and wide.\nassistant\n")
        ended.append(done.stderr.splitlines()[-1:])
    assert ended[0] == ended[1]
    assert sys.version_info >= (3, 14) or ended[0] == []


async def test_in_strict_mode_a_bug_of_ours_is_raised(program, trail, monkeypatch):
    """Under tests our own errors must not hide: TOKENTRAIL_STRICT raises them."""
    assert guard.strict
    _break(monkeypatch, "apis.choices:ChunkAccumulator.add")
    with pytest.raises(OurBug):
        await program.streamed()
    await program.collected()
