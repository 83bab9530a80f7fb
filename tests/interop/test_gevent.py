"""Programs that gevent patched, with the real package."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import sys, gevent, openai, tokentrail
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exported, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(BatchSpanProcessor(exported))

def redact(kind, text):
    if "late" in text:
        raise gevent.Timeout(1)
    return text

def call(text):
    messages = [{"role": "user", "content": text}]
    for _ in client.chat.completions.create(model="gpt-4o", stream=True, messages=messages):
        pass

tokentrail.instrument(tracer_provider=provider, capture_content="SPAN_ONLY", redact=redact)
client = openai.OpenAI(api_key="no-secret", base_url=sys.argv[1])
calls = [gevent.spawn(call, text) for text in ("late", "in time", "late", "in time")]
gevent.joinall(calls, raise_error=True)
assert provider.force_flush()
print(sorted(
    (span.attributes["tokentrail.outcome"], "in time" in span.attributes.get("gen_ai.input.messages", ""))
    for span in exported.get_finished_spans()
))
"""


def test_a_timeout_in_redact_costs_the_content_and_every_span_is_exported(server):
    pytest.importorskip("gevent")
    command = [sys.executable, "-c", PROGRAM, server.base_url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    outcomes = ast.literal_eval(done.stdout)
    assert outcomes == [("completed", False)] * 2 + [("completed", True)] * 2
    assert "tokentrail failed at redact (Timeout" in done.stderr
