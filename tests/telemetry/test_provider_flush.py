"""A provider that flushes or shuts down exports what had ended, also what waits for the worker."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import openai
import pytest
from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider, export
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tokentrail
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}


def _slowly(kind, text):
    time.sleep(0.1)
    return text


@pytest.fixture
def model_server():
    with Server(Model()) as server:
        yield server
    assert server.failures == []


@pytest.fixture
def sync_client(model_server):
    with openai.OpenAI(api_key="no-secret", base_url=model_server.base_url) as client:
        yield client


@pytest.fixture
def batched():
    """A tracer provider whose own batch exports only when it is asked to."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=600_000))
    yield provider, exporter
    tokentrail.uninstrument()
    provider.shutdown()


async def _call(driver, server, *, stream):
    client = driver.client(server)
    answer = await driver.call(client.chat.completions.create, **ASKED, stream=stream)
    if stream:
        await driver.read(answer)


REDACTED = {"redact": _slowly, "capture_content": "SPAN_ONLY", "skip_dep_check": True}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["force_flush", "shutdown"])
async def test_what_waits_for_the_worker_is_exported(driver, model_server, batched, how, stream):
    provider, exporter = batched
    tokentrail.instrument(tracer_provider=provider, **REDACTED)
    await _call(driver, model_server, stream=stream)
    getattr(provider, how)()
    (span,) = exporter.get_finished_spans()
    assert "Hello" in span.attributes["gen_ai.input.messages"]


async def test_a_provider_that_is_set_later_is_flushed(driver, model_server, batched, monkeypatch):
    provider, exporter = batched
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    tokentrail.instrument(**REDACTED)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    await _call(driver, model_server, stream=True)
    assert provider.force_flush()
    assert len(exporter.get_finished_spans()) == 1


@pytest.mark.parametrize("how", ["force_flush", "shutdown"])
def test_events_are_exported_too(model_server, batched, sync_client, how):
    exporter = _events()
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(export.BatchLogRecordProcessor(exporter))
    settings = {**REDACTED, "capture_content": "EVENT_ONLY"}
    tokentrail.instrument(tracer_provider=batched[0], logger_provider=logs, **settings)
    sync_client.chat.completions.create(**ASKED)
    getattr(logs, how)()
    assert len(exporter.get_finished_logs()) == 1


def _events():
    name = "InMemoryLogRecordExporter"
    return getattr(export, name, None)() if hasattr(export, name) else export.InMemoryLogExporter()


def test_nothing_is_left_on_the_provider(model_server, batched, sync_client):
    provider, exporter = batched
    before = dict(vars(provider))
    tokentrail.instrument(tracer_provider=provider, **REDACTED)
    assert set(vars(provider)) - set(before) == {"force_flush", "shutdown"}
    sync_client.chat.completions.create(**ASKED)
    tokentrail.uninstrument()
    assert vars(provider) == before
    assert provider.force_flush()
    assert len(exporter.get_finished_spans()) == 1


def test_each_provider_has_its_own_flush(model_server, batched, sync_client):
    """One that was in use before does not wait for what the next one is given."""
    provider, exporter = batched
    first = TracerProvider()
    tokentrail.instrument(tracer_provider=first, skip_dep_check=True)
    tokentrail.uninstrument()
    tokentrail.instrument(tracer_provider=provider, **REDACTED)
    sync_client.chat.completions.create(**ASKED)
    assert first.force_flush()
    assert exporter.get_finished_spans() == ()
    assert provider.force_flush()
    assert len(exporter.get_finished_spans()) == 1


class _Hanging(InMemorySpanExporter):
    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def export(self, spans):
        assert self.go.wait(10.0)
        return super().export(spans)


def test_an_exporter_that_hangs_holds_up_no_flush_beyond_its_timeout(model_server, sync_client):
    provider, exporter = TracerProvider(), _Hanging()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tokentrail.instrument(tracer_provider=provider, **REDACTED)
    sync_client.chat.completions.create(**ASKED)
    begun = time.monotonic()
    assert provider.force_flush(600) is False
    assert time.monotonic() - begun < 2.0
    exporter.go.set()
    assert provider.force_flush()
    assert len(exporter.get_finished_spans()) == 1
    tokentrail.uninstrument()
    provider.shutdown()


SET_LATER = """
import sys
import openai
import tokentrail
from opentelemetry.sdk.trace import TracerProvider
tokentrail.instrument(tracer_provider=TracerProvider())
client = openai.OpenAI(base_url="http://127.0.0.1:1", api_key="none", max_retries=0)
def fail():
    try:
        client.chat.completions.create(model="gpt-4o", messages=[])
    except openai.APIConnectionError:
        tokentrail.flush(10)
fail()
assert "opentelemetry._logs" not in sys.modules
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider, export
class Printed(export.SimpleLogRecordProcessor):
    def on_emit(self, record):
        print(record.log_record.attributes["exception.type"])
    emit = on_emit
logs = LoggerProvider()
logs.add_log_record_processor(Printed(None))
_logs.set_logger_provider(logs)
fail()
print("force_flush" in vars(logs))
"""


def test_a_provider_of_log_records_that_is_set_later_gets_events_and_is_flushed():
    """Until somebody imports the API of logs, tokentrail does not."""
    command = [sys.executable, "-c", SET_LATER]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert done.stdout.split() == ["openai.APIConnectionError", "True"], done.stderr
