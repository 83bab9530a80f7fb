"""Under gevent the thread of ours is a greenlet, and a time limit may be raised in any function."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.interop

PROGRAM = """
import json, os, sys

order, url = sys.argv[1:]
if order == "patched before":
    from gevent import monkey
    monkey.patch_all()
import tokentrail
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
limits = []


def redact(kind, text):
    if limits:
        raise limits.pop()
    return text


tokentrail.instrument(
    tracer_provider=provider, capture_content="SPAN_ONLY", redact=redact, count_timeout=30
)
if order == "patched after":
    from gevent import monkey
    monkey.patch_all()
import gevent
import openai

client = openai.OpenAI(api_key="no-secret", base_url=url, max_retries=0)
asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}


def ask():
    return len(list(client.chat.completions.create(**asked, stream=True)))


def limited():
    with gevent.Timeout(30, False):
        return ask()


limits.append(gevent.Timeout(0.01))
first = ask()
assert provider.force_flush(30_000)
read = [each.get() for each in [gevent.spawn(limited) for _ in range(4)]]
assert provider.force_flush(30_000)
spans = exporter.get_finished_spans()
kept = ["Hello" in span.attributes.get("gen_ai.input.messages", "") for span in spans]
sources = {span.attributes["tokentrail.usage.output.source"] for span in spans}
tokentrail.uninstrument()
print(json.dumps({"read": min([first, *read]), "kept": kept, "sources": sorted(sources)}))
"""


@pytest.mark.timeout(120)
@pytest.mark.parametrize("order", ["patched before", "patched after"])
def test_each_stream_is_counted_and_a_time_limit_costs_the_content(server, needed, order):
    """The limit was raised in ``redact``, on our own greenlet: it is of no other's call."""
    needed("gevent")
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, order, server.base_url]
    lenient = {**os.environ, "TOKENTRAIL_STRICT": "0"}
    ran = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=100, env=lenient
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    assert seen["read"] > 1
    assert (seen["kept"], seen["sources"]) == ([False, True, True, True, True], ["counted"])
    assert "tokentrail failed at" in ran.stderr
