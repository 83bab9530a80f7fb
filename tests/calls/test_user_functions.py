"""Functions of the user's: whatever they raise or do costs a call its content at most."""

from __future__ import annotations

import threading
import time

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

import tokentrail
from tokentrail.support import guard
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
INPUT = "gen_ai.input.messages"


class PanicException(BaseException):
    """What a panic inside a module written in Rust is."""


@pytest.fixture
def server():
    """Give a model that answers."""
    with Server(Model()) as server:
        yield server
    assert server.failures == []


@pytest.fixture
def lenient(monkeypatch):
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "_logged", set())


async def _call(driver, client, *, stream):
    answer = await driver.call(client.chat.completions.create, **ASKED, stream=stream)
    if stream:
        await driver.read(answer)


def _raising(kind, raises):
    def function(*given):
        if raises:
            raise kind
        return given[-1]

    return function


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("threads", [True, False], ids=["worker", "no thread"])
@pytest.mark.parametrize("kind", [SystemExit, PanicException, LookupError])
async def test_what_redact_raises_costs_the_content(
    trail, driver, server, lenient, monkeypatch, caplog, kind, threads, stream
):
    raises = [True]
    trail.instrument(capture_content="SPAN_ONLY", redact=_raising(kind, raises))
    client, before = driver.client(server), guard.swallowed
    if not threads:
        monkeypatch.setattr(threading.Thread, "start", _no_thread)
    await _call(driver, client, stream=stream)
    assert len(trail.spans.all()) == 1
    raises.clear()
    await _call(driver, client, stream=stream)
    first, second = (span.attributes for span in trail.spans.all())
    assert "Hello" not in first.get(INPUT, "")
    assert "Hello" in second[INPUT]
    assert guard.swallowed > before
    assert f"tokentrail failed at redact ({kind.__name__}" in caplog.text


START = threading.Thread.start


def _no_thread(self):
    if self.name in {"tokentrail", "tokentrail-encoding"}:
        raise RuntimeError
    START(self)


@pytest.mark.parametrize("hook", ["request_hook", "response_hook"])
@pytest.mark.parametrize("kind", [SystemExit, PanicException])
async def test_what_a_hook_raises_does_not_reach_the_application(
    trail, driver, server, lenient, hook, kind
):
    trail.instrument(**{hook: _raising(kind, [True])})
    await _call(driver, driver.client(server), stream=False)
    assert trail.spans.one().attributes["tokentrail.outcome"] == "completed"


class _Raising(SpanProcessor, SpanExporter):
    """A processor, or an exporter, that raises."""

    def __init__(self, place, kind):
        self.place, self.kind = place, kind

    def on_start(self, span, parent_context=None):
        self._do("start")

    def on_end(self, span):
        self._do("end")

    def export(self, spans):
        self._do("export")

    def _do(self, place):
        if place == self.place:
            raise self.kind


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", [SystemExit, PanicException])
@pytest.mark.parametrize("place", ["start", "end", "export"])
async def test_what_a_processor_or_an_exporter_raises_stays_there(
    trail, driver, server, lenient, caplog, place, kind, stream
):
    """On the application's own thread, too: the answer is there, and the metrics are recorded."""
    raising, before = _Raising(place, kind), guard.swallowed
    trail.spans.provider.add_span_processor(
        SimpleSpanProcessor(raising) if place == "export" else raising
    )
    await _call(driver, driver.client(server), stream=stream)
    assert tokentrail.flush(10)
    assert guard.swallowed > before
    assert f"({kind.__name__} at" in caplog.text
    assert trace.get_current_span() is trace.INVALID_SPAN
    if place != "start":  # nobody sees a call that has no span
        assert trail.metrics.one("tokentrail.operations").value == 1


@pytest.mark.parametrize("function", ["redact", "request_hook", "response_hook"])
async def test_a_function_that_asks_a_model_is_not_recorded(trail, driver, server, function):
    """Recorded, each of its calls would run it again."""
    asked = []

    def ask(*given):
        asked.append(given)
        with openai.OpenAI(api_key="no-secret", base_url=server.base_url) as client:
            client.chat.completions.create(**ASKED)
        return given[-1]

    trail.instrument(capture_content="SPAN_ONLY", **{function: ask})
    await _call(driver, driver.client(server), stream=True)
    assert "Hello" in trail.spans.attributes()[INPUT]
    assert 1 <= len(asked) <= 2  # one text asked, one answered


@pytest.mark.thorough
def test_a_function_that_hangs_holds_up_one_collection(trail, server, monkeypatch):
    go = threading.Event()
    trail.instrument(
        capture_content="SPAN_ONLY", redact=lambda kind, text: text if go.wait(20) else None
    )
    with openai.OpenAI(api_key="no-secret", base_url=server.base_url) as client:
        client.chat.completions.create(**ASKED)
    took = []
    for _ in range(3):
        begun = time.monotonic()
        trail.metrics.reader.get_metrics_data()
        took.append(time.monotonic() - begun)
    go.set()
    assert took[0] > 1.0
    assert max(took[1:]) < 1.5  # where each waits it is 2 s; a busy machine takes some time, too
