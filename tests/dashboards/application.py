"""An application: plays rounds of calls on the embedded server; is scraped, and sends by OTLP.

    python -m tests.dashboards.application released|latest|both URL

Says the port of the pull exporter as a line of JSON, then for each line that it reads plays a round
and says the ids of its traces. After the line "send" it sends metrics to the URL, twice a second.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import threading
import time
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import openai
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, start_http_server
from tests.billing import hearing
from tests.dashboards.scenes import (
    ENVIRONMENT,
    LIMITS,
    PAUSE,
    PIECES,
    QUESTION,
    SCENES,
    TOOL,
    TOOL_USAGE,
    VERSION,
    messages,
)

import tokentrail
from tokentrail.testing.payloads import (
    Answer,
    Usage,
    chat,
    completions,
    embeddings,
    errors,
    paced,
    responses,
)
from tokentrail.testing.server import Cut, Plain, Server, Stream, Wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from tests.dashboards.scenes import Scene

    from tokentrail.testing.server import Call, Reply

BY_NAME = {scene.name: scene for scene in SCENES}
INTERVAL = 0.5
_ASKED: dict[str, Iterator[int]] = defaultdict(count)
"""How often each scene was asked for: the oldest clients do not say which try a request is."""
_APART = count(1)
"""A temperature for each call, so that none repeats another."""


def respond(call: Call) -> Reply:
    """Answer as the scene has it that the call names in a header."""
    scene = BY_NAME[call.headers["x-scene"]]
    asked = next(_ASKED[scene.name])
    if asked % (scene.refusals + 1) < scene.refusals:
        return replace(errors.reply(429, "Slow down."), headers={"retry-after-ms": "1"})
    return replace(_answer(call, scene), headers=LIMITS)


def _answer(call: Call, scene: Scene) -> Plain | Stream:
    if scene.error == "openai.RateLimitError":
        return errors.reply(429, "Slow down.")
    if scene.api == "embeddings":
        as_base64 = call.body.get("encoding_format") == "base64"
        body = embeddings.embeddings(
            (QUESTION,), model=scene.model, tokens=6, dimensions=4, as_base64=as_base64
        )
        return Plain(body, wait=PAUSE)
    usage = None
    if scene.input and scene.output and scene.input.source == "reported":
        usage = Usage(scene.input.number, scene.output.number, scene.reasoning, scene.cached)
    answer = Answer(("".join(PIECES),), usage, scene.answers or scene.model)
    if scene.api == "responses":
        events = responses.events(answer)
        events[-1].data["response"]["tool_usage"] = TOOL_USAGE
        return Stream(paced(events, PAUSE))
    shape = chat if scene.api == "chat" else completions
    if not scene.stream:
        body = shape.completion(answer) if shape is completions else chat.completion(answer)
        return Plain(body, wait=PAUSE)
    said = chat.chunks if scene.api == "chat" else completions.events
    events = said(answer, "last" if usage else "none")
    return Stream(_stopped(paced(events, PAUSE), scene))


def _stopped(steps: Iterable[Any], scene: Scene) -> Iterable[Any]:
    """Yield the steps; where the call is not to complete, only as far as it goes."""
    if scene.read is None:
        yield from steps
        return
    left = 2 * (scene.read + 1)  # an event that opens, the pieces, and a pause before each
    for step in steps:
        if not left:
            break
        left -= 1
        yield step
    if scene.outcome != "truncated":
        yield Cut() if scene.outcome == "failed" else Wait(5.0)


def play(scene: Scene, url: str, number: int) -> None:
    """Make one call of a round, and end it as the scene has it."""
    options = {"api_key": "no-secret", "max_retries": scene.refusals}
    options["default_headers"] = {"x-scene": scene.name}
    if scene.outcome == "cancelled":
        asyncio.run(_cancel(scene, openai.AsyncOpenAI(base_url=f"{url}/v1", **options), number))
        return
    if scene.provider == "openai":
        client = openai.OpenAI(base_url=f"{url}/v1", **options)
    else:
        client = openai.AzureOpenAI(azure_endpoint=url, api_version="2024-10-21", **options)
    with client:
        try:
            answer = _ask(client, scene, number)
            for chunk in _pieces(answer) if scene.stream else ():
                if chunk == scene.read and scene.outcome == "closed_early":
                    break
            if scene.stream:
                answer.close()
        except Exception:  # the client's own; of a stream that is cut, the HTTP client's
            if scene.error is None:
                raise


def _ask(client: Any, scene: Scene, number: int) -> Any:
    model, stream = scene.model, {"stream": True} if scene.stream else {}
    apart = {"temperature": next(_APART) / 1000}
    if scene.api == "embeddings":
        return client.embeddings.create(model=model, input=QUESTION)
    if scene.api == "responses":
        return client.responses.create(model=model, input=QUESTION, **stream, **apart)
    if scene.api == "completions":
        return client.completions.create(model=model, prompt=QUESTION, **stream)
    tools = {"tools": [TOOL]} if scene.turn else {}
    asked = {"messages": messages(scene, number), **stream, **apart, **tools}
    return client.chat.completions.create(model=model, **asked)


def _pieces(stream: Any) -> Iterable[int]:
    """Yield the number of pieces of text so far."""
    number = 0
    for chunk in stream:
        choices = getattr(chunk, "choices", None)
        if choices and getattr(getattr(choices[0], "delta", None), "content", None):
            number += 1
        yield number


async def _cancel(scene: Scene, client: openai.AsyncOpenAI, number: int) -> None:
    seen = asyncio.Event()
    asked = {"messages": messages(scene, number), "temperature": next(_APART) / 1000}

    async def read() -> None:
        stream = await client.chat.completions.create(model=scene.model, **asked, stream=True)
        pieces = 0
        async for chunk in stream:
            pieces += bool(chunk.choices and chunk.choices[0].delta.content)
            if pieces == scene.read:
                seen.set()

    async with client:
        task = asyncio.create_task(read())
        await seen.wait()
        task.cancel()
        await asyncio.wait([task])


def _named(scene: Scene, number: int) -> AbstractContextManager[None]:
    if not scene.turn:
        return nullcontext()
    return tokentrail.attributes({"gen_ai.conversation.id": f"agent {number}"})


def _say(line: object) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


def _send(reader: PeriodicExportingMetricReader) -> None:
    while True:
        reader.collect()
        time.sleep(INTERVAL)


def main(vocabulary: str, url: str) -> None:
    """Serve until standard input ends."""
    spans, registry = InMemorySpanExporter(), CollectorRegistry()
    otlp = PeriodicExportingMetricReader(OTLPMetricExporter(url), math.inf)  # when it is asked
    resource = Resource.create(
        {
            "service.name": f"otlp-{vocabulary}",
            "service.instance.id": "one",
            "service.version": VERSION,
            "deployment.environment.name": ENVIRONMENT,
        }
    )
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    meters = MeterProvider([PrometheusMetricReader(registry=registry), otlp], resource)
    port = start_http_server(0, "127.0.0.1", registry)[0].server_port
    sending = threading.Thread(target=_send, args=(otlp,), daemon=True)
    tokentrail.instrument(
        tracer_provider=tracers,
        meter_provider=meters,
        metric_names=vocabulary,
        time_per_output_chunk=True,
        count_verification_ratio=1.0,
        custom_metric_attributes=("tenant",),
        explain="all",
        preload_encodings=("o200k_base", "cl100k_base"),
    )
    rounds = count(1)
    with Server(respond) as server, hearing.ears() as peer:
        _say({"pull": port})
        for asked in sys.stdin:
            if asked == "send\n":
                sending.start()
                continue
            spans.clear()
            number = next(rounds)
            for scene in SCENES:
                with tokentrail.attributes(tenant=scene.tenant), _named(scene, number):
                    play(scene, server.url, number)
            with tokentrail.attributes(tenant="acme"):
                hearing.hear(peer)
            assert tokentrail.flush(20.0)
            assert not server.failures, server.failures
            ids = [f"{span.context.trace_id:032x}" for span in spans.get_finished_spans()]
            _say({"traces": ids})


if __name__ == "__main__":
    main(*sys.argv[1:])
