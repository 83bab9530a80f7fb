"""A program of a user: makes calls in threads, and ends right after the last of them.

    python -m tests.stack.program URL KIND=NUMBER ...

Nothing is flushed by hand. Where its telemetry goes, and under which name, say the variables of
OpenTelemetry. A kind is a scene of the demo, or one of those here, which the server knows by a
header.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor

import openai
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import tokentrail
from tokentrail.demo.scenes import API_KEY, SCENES, Stage, user

THREADS = 8
NAMED = {scene.name: scene.play for scene in SCENES}
MODELS = {"visible": "o4-mini", "approximated": "our-own", "failed": "gpt-nought"}
"""What is asked for, where it is not gpt-4o-mini."""


def call(url: str, kind: str) -> None:
    """Make a call of that kind; its span has the kind, to be found by."""
    with tokentrail.attributes(kind=kind):
        if kind in NAMED:
            NAMED[kind](Stage(url, lambda _: None))
        elif kind == "cancelled":
            asyncio.run(_cancel(url, kind))
        else:
            with openai.OpenAI(**_options(url, kind)) as client, _expected(kind):
                chunks = client.chat.completions.create(**_asked(kind))
                for number, _ in enumerate(chunks):
                    if (kind, number) == ("closed early", 5):
                        chunks.close()
                        break


def _expected(kind: str) -> contextlib.AbstractContextManager[None]:
    missing = (openai.NotFoundError,) if kind == "failed" else ()
    return contextlib.suppress(*missing)


async def _cancel(url: str, kind: str) -> None:
    async with openai.AsyncOpenAI(**_options(url, kind)) as client:
        chunks = await client.chat.completions.create(**_asked(kind))
        await anext(chunks)
        reading = asyncio.create_task(_read(chunks))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])


async def _read(chunks: openai.AsyncStream) -> None:
    async for _ in chunks:
        pass


def _options(url: str, kind: str) -> dict:
    return {"api_key": API_KEY, "base_url": f"{url}/v1", "default_headers": {"x-kind": kind}}


def _asked(kind: str) -> dict:
    model = MODELS.get(kind, "gpt-4o-mini")
    return {"model": model, "messages": user("Why is the sea salt?"), "stream": True}


def main(url: str, *wanted: str) -> None:
    """Make the calls that are wanted, side by side."""
    resource = Resource.create({"service.instance.id": "one"})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    metrics.set_meter_provider(MeterProvider([reader], resource))
    tokentrail.instrument()
    counts = [each.rpartition("=") for each in wanted]
    kinds = [kind for kind, _, number in counts for _ in range(int(number))]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda kind: call(url, kind), kinds))


if __name__ == "__main__":
    main(*sys.argv[1:])
