"""Our thread beside the application's: when it runs, what waits for it, and what it may not do."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from dataclasses import replace

import pytest

import tokentrail
from tokentrail.runtime import runtime
from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Plain, Server, Stream

MESSAGES = [{"role": "user", "content": "Hello, how are you?"}]
LONG = "All work and no play makes Jack a dull boy. " * 1500
"""66 KB, 16,501 tokens: counted by the worker."""


@pytest.fixture
def encoding():
    from tokentrail.counting import ENCODINGS

    assert ENCODINGS.load("o200k_base") is not None


@pytest.fixture
def short():
    """Give a server that says three tokens and no usage."""
    answer = Answer(("Hello there.",), None, "gpt-4o-2024-08-06")

    def respond(call):
        if call.body.get("stream"):
            return Stream(chat.chunks(answer))
        return Plain(chat.completion(answer))

    with Server(respond) as server:
        yield server


def _number(trail, name):
    """Return a number that is of the process, not of the test."""
    return trail.metrics.one(f"tokentrail.internal.counts.{name}").value


def _ours():
    return [t.name for t in threading.enumerate() if t.name == "tokentrail"]


async def _ask(driver, server, *, text=None, stream=True):
    client = driver.client(server)
    create = client.chat.completions.create
    messages = MESSAGES if text is None else [{"role": "user", "content": text}]
    answer = await driver.call(create, model="gpt-4o", messages=messages, stream=stream)
    return await driver.read(answer) if stream else answer


async def test_no_thread_of_ours_runs_before_a_call_or_after_the_end(
    trail, driver, short, encoding
):
    assert _ours() == []
    await _ask(driver, short)
    assert _ours() == ["tokentrail"]
    tokentrail.uninstrument()
    assert _ours() == []


async def test_switching_off_records_waiting_calls(trail, driver, short, encoding):
    """Nothing that ended is lost, and nothing is told after."""
    await _ask(driver, short, text=LONG, stream=False)
    tokentrail.uninstrument()
    (span,) = trail.spans.at_once()
    assert span.attributes["gen_ai.usage.input_tokens"] > 15_000
    assert _ours() == []


async def test_a_stream_that_outlives_the_end_starts_no_thread(trail, driver, short, encoding):
    """There is much to count, and nobody left to count it: it is told at once."""
    create = driver.client(short).chat.completions.create
    messages = [{"role": "user", "content": LONG}]
    stream = await driver.call(create, model="gpt-4o", messages=messages, stream=True)
    tokentrail.uninstrument()
    await driver.read(stream)
    assert _ours() == []
    (span,) = trail.spans.at_once()
    assert span.attributes["tokentrail.outcome"] == "completed"


async def test_a_short_call_is_recorded_before_the_application_continues(
    trail, driver, short, encoding
):
    """Span and metrics are final when the last chunk was asked for."""
    await _ask(driver, short)
    (span,) = trail.spans.at_once()
    assert span.attributes["tokentrail.usage.output.source"] == "counted"


async def test_a_long_prompt_is_counted_by_the_worker(trail, driver, short, encoding):
    """The whole of it: the number is that of the text counted at once."""
    queued, estimated = _number(trail, "queued"), _number(trail, "estimated")
    await _ask(driver, short, text=LONG, stream=False)
    assert trail.spans.at_once() == ()
    assert tokentrail.flush(10) is True
    (span,) = trail.spans.at_once()
    text = tokentrail.count_tokens(LONG, model="gpt-4o")
    assert span.attributes["gen_ai.usage.input_tokens"] == text + 3 + 1 + 3
    assert span.attributes["tokentrail.usage.input.source"] == "counted"
    assert _number(trail, "queued") == queued + 1
    assert _number(trail, "estimated") == estimated


@pytest.mark.settings(count_timeout=0.05)
async def test_a_count_that_takes_too_long_is_ended_at_its_deadline(trail, driver, short, encoding):
    """What was not counted by then is estimated, and the whole number is an estimate."""
    estimated = _number(trail, "estimated")
    await _ask(driver, short, text=LONG * 60, stream=False)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.input.source"] == "approximated"
    assert attributes["tokentrail.usage.approximated.input_tokens"] > 60 * 10_000
    assert _number(trail, "estimated") == estimated + 1


async def test_collecting_metrics_waits_for_the_worker(trail, driver, short, encoding):
    """A collection right after a call has its points, though they are recorded later."""
    await _ask(driver, short, text=LONG)
    collected = trail.metrics.reader.get_metrics_data()
    names = {
        metric.name: metric
        for resource in collected.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    (duration,) = names["gen_ai.client.operation.duration"].data.data_points
    assert duration.count == 1
    (gaps,) = names["gen_ai.client.operation.time_per_output_chunk"].data.data_points
    assert gaps.count == 4
    (waiting,) = names["tokentrail.internal.queue.size"].data.data_points
    assert waiting.value == 0


async def test_flushing_the_meter_provider_waits_for_the_worker(spans, driver, short, encoding):
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import (
        MetricExporter,
        MetricExportResult,
        PeriodicExportingMetricReader,
    )

    exported = []

    class Keeping(MetricExporter):
        def export(self, metrics_data, timeout_millis=10_000, **kwargs):
            for resource in metrics_data.resource_metrics:
                for scope in resource.scope_metrics:
                    exported.extend(metric.name for metric in scope.metrics)
            return MetricExportResult.SUCCESS

        def force_flush(self, timeout_millis=10_000):
            return True

        def shutdown(self, timeout_millis=30_000, **kwargs):
            pass

    reader = PeriodicExportingMetricReader(Keeping(), export_interval_millis=3_600_000)
    provider = MeterProvider(metric_readers=[reader])
    tokentrail.uninstrument()
    tokentrail.instrument(tracer_provider=spans.provider, meter_provider=provider)
    try:
        await _ask(driver, short, text=LONG, stream=False)
        provider.force_flush()
        assert "gen_ai.client.operation.duration" in exported
        assert "gen_ai.client.token.usage" in exported
    finally:
        tokentrail.uninstrument()
        provider.shutdown()


async def test_a_full_queue_estimates_and_drops_no_span(trail, driver, short, encoding):
    """What the worker cannot take is told at once, and says what its numbers are worth."""

    class Stuck:
        deadline = time.monotonic() + 60
        begun = threading.Event()
        released = threading.Event()

        def size(self):
            return 0

        def ready(self):
            return True

        def expire(self):
            self.released.set()

        def steps(self):
            self.begun.set()
            self.released.wait(30)
            yield

    estimated = _number(trail, "estimated")
    worker = runtime.current().worker
    worker._capacity = 3
    stuck = Stuck()
    assert runtime.current().submit(stuck)
    assert stuck.begun.wait(5)
    assert [runtime.current().submit(stuck) for _ in range(4)] == [True, True, True, False]
    try:
        begun = time.monotonic()
        for _ in range(3):
            await _ask(driver, short, text=LONG, stream=False)
        assert time.monotonic() - begun < 10
        spans = trail.spans.at_once()
        assert len(spans) == 3
        for span in spans:
            assert span.attributes["tokentrail.usage.input.source"] == "approximated"
            assert span.attributes["tokentrail.usage.approximated.input_tokens"] > 10_000
            assert "gen_ai.usage.input_tokens" not in span.attributes
            assert "tokentrail.usage.encoding" not in span.attributes
    finally:
        stuck.released.set()
    assert tokentrail.flush(30)
    assert _number(trail, "estimated") == estimated + 3
    await _ask(driver, short, text=LONG, stream=False)
    assert trail.spans.all()[-1].attributes["tokentrail.usage.input.source"] == "counted"


@pytest.mark.settings(capture_content="SPAN_ONLY", redact=lambda _kind, text: text.upper())
@pytest.mark.parametrize(("usage", "more"), [(Usage(40, 50), 0), (None, 1)])
@pytest.mark.parametrize("streamed", [False, True])
async def test_only_what_is_estimated_adds_to_the_estimated(
    trail, driver, encoding, monkeypatch, usage, more, streamed
):
    """A redaction goes to the worker, which has no room here: that alone costs no number."""
    answer = Answer(("Hello there.",), usage, "gpt-4o-2024-08-06")
    estimated = _number(trail, "estimated")
    monkeypatch.setattr(runtime.current().worker, "_capacity", 0)
    reply = Stream(chat.chunks(answer, "last")) if streamed else Plain(chat.completion(answer))
    with Server(lambda _: reply) as server:
        await _ask(driver, server, stream=streamed)
    (span,) = trail.spans.at_once()
    source = "reported" if usage else "approximated"
    assert span.attributes["tokentrail.usage.input.source"] == source
    assert "HELLO THERE." in span.attributes["gen_ai.output.messages"]
    assert _number(trail, "estimated") == estimated + more


def test_flush_without_anything_to_wait_for(trail):
    assert tokentrail.flush(0) is True
    tokentrail.uninstrument()
    assert tokentrail.flush(0) is True


async def test_flush_gives_up_in_time_and_says_so(trail, driver, short, encoding):
    gate = threading.Event()

    class Waiting:
        deadline = time.monotonic() + 60

        def size(self):
            return 0

        def ready(self):
            return gate.is_set()

        def expire(self):
            gate.set()

        def steps(self):
            yield

    runtime.current().submit(Waiting())
    begun = time.monotonic()
    assert tokentrail.flush(0.1) is False
    assert time.monotonic() - begun < 5
    gate.set()
    runtime.current().worker.wake()
    assert tokentrail.flush(5) is True


@pytest.mark.parametrize("mode", ["async"])
async def test_the_loop_continues_while_the_worker_counts(trail, driver, short, encoding):
    """A ticker beside 12 long prompts is mostly not held up; a busy machine has three tries."""
    for _ in range(3):
        trail.spans.clear()
        gaps = await _gaps_beside_counting(driver, short)
        assert len(trail.spans.at_once()) == 12
        if not gaps or gaps[len(gaps) // 2] < 0.01:
            return
    pytest.fail(f"half of the turns came {gaps[len(gaps) // 2]} s late, or later")


async def _gaps_beside_counting(driver, short):
    gaps, ticking = [], True

    async def tick():
        last = time.perf_counter()
        while ticking:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    for _ in range(12):
        await _ask(driver, short, text=LONG, stream=False)
    ticker = asyncio.ensure_future(tick())
    flushed = await asyncio.to_thread(tokentrail.flush, 20)
    ticking = False
    await ticker
    assert flushed
    return sorted(gaps)


async def test_the_switch_interval_is_the_programs_own(trail, driver, short, encoding):
    before = sys.getswitchinterval()
    await _ask(driver, short, text=LONG)
    assert tokentrail.flush(10)
    tokentrail.uninstrument()
    assert sys.getswitchinterval() == before


@pytest.mark.parametrize("stream", [True, False])
async def test_an_encoding_is_built_in_the_background_by_the_first_call(
    spans, metrics, driver, short, monkeypatch, stream
):
    """The call does not wait for it; the next one finds it."""
    from tokentrail.counting import Encodings
    from tokentrail.runtime import runtime

    cold = Encodings()
    monkeypatch.setattr(runtime, "ENCODINGS", cold)
    tokentrail.uninstrument()
    tokentrail.instrument(
        tracer_provider=spans.provider, meter_provider=metrics.provider, count_timeout=10
    )
    try:
        await _ask(driver, short, stream=stream)
        assert cold.get("o200k_base") is None, "nobody waited"
        assert spans.at_once() == ()
        assert spans.one().attributes["tokentrail.usage.output.source"] == "counted"
        await _ask(driver, short, stream=stream)
        assert len(spans.at_once()) == 2
    finally:
        tokentrail.uninstrument()


async def test_an_encoding_that_cannot_be_built_is_not_waited_for(
    trail, driver, short, monkeypatch
):
    """The first call is estimated as soon as that is known, the next at once."""
    from tokentrail.counting import Encodings
    from tokentrail.counting.encodings import RECIPES
    from tokentrail.runtime import runtime

    damaged = replace(RECIPES["o200k_base"], sha256="0" * 64)
    monkeypatch.setitem(RECIPES, "o200k_base", damaged)
    monkeypatch.setattr(runtime, "ENCODINGS", Encodings())
    trail.instrument(count_timeout=15)
    await _ask(driver, short)
    assert len(trail.spans.all()) == 1
    await _ask(driver, short)
    spans = trail.spans.at_once()
    assert len(spans) == 2
    for span in spans:
        assert span.attributes["tokentrail.usage.output.source"] == "approximated"
        assert "tokentrail.usage.encoding" not in span.attributes
