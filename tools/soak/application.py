"""A program that makes calls, ends them in every way, and keeps its own account of both."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import openai
from bench import wire
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

import tokentrail
from tokentrail import calls

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

ENDINGS = ("read", "read", "read", "closed", "dropped", "raised", "cancelled", "plain", "failed")
REPORTED = 50
"""Tokens of output that a plain answer reports."""
LONGEST = 30
"""Tokens of a streamed answer."""
FAILS = "x-soak-fails"
chance = random.Random(7)  # noqa: S311 - a mixture of endings, not a secret


class Enough(Exception):  # noqa: N818 - an error of the application's, raised in its loop
    """Raised by the application in the middle of a stream."""


@dataclass
class Ledger:
    """What the application knows: calls made, and tokens that it was sent."""

    calls: int = 0
    output: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, output: int) -> None:
        """Add a call that is over."""
        with self.lock:
            self.calls += 1
            self.output += output


class Told(SpanProcessor):
    """What the spans say, summed up."""

    def __init__(self) -> None:
        self.forked()

    def forked(self) -> None:
        """Begin anew."""
        self.spans = self.output = self.estimated = 0
        self.lock = threading.Lock()

    def on_end(self, span: ReadableSpan) -> None:
        """Add a span."""
        said = span.attributes or {}
        tokens = said.get("gen_ai.usage.output_tokens", 0)
        with self.lock:
            self.spans += 1
            self.output += tokens if isinstance(tokens, int) else 0
            self.estimated += said.get("tokentrail.usage.output.source") == "approximated"


class Application:
    """An instrumented program on a transport inside the process."""

    def __init__(self, *processors: SpanProcessor) -> None:
        self.ledger = Ledger()
        self.told = Told()
        traces = TracerProvider()
        for processor in (self.told, *processors):
            traces.add_span_processor(processor)
        self.sync, self.awaited = wire.clients(_reply)
        tokentrail.instrument(
            tracer_provider=traces,
            meter_provider=MeterProvider(metric_readers=[InMemoryMetricReader()]),
            preload="o200k_base",
            calibration=0.0,
        )

    def forked(self) -> None:
        """Begin a new account, in a worker that was forked."""
        self.ledger = Ledger()
        self.told.forked()

    def run(self, over: threading.Event, *, threads: int, streams: int = 0) -> None:
        """Make calls until it is over, in so many threads and tasks of one event loop."""
        running = [threading.Thread(target=self._calls, args=(over,)) for _ in range(threads)]
        for thread in running:
            thread.start()
        if streams:
            asyncio.run(self._tasks(over, streams))
        for thread in running:
            thread.join()

    def _calls(self, over: threading.Event) -> None:
        while not over.is_set():
            self.ledger.add(self.call(chance.choice(ENDINGS)))

    async def _tasks(self, over: threading.Event, streams: int) -> None:
        async def one() -> None:
            while not over.is_set():
                self.ledger.add(await self.call_async(chance.choice(ENDINGS)))

        await asyncio.gather(*(one() for _ in range(streams)))

    def call(self, ending: str) -> int:
        """Make one call with the sync client; return the tokens of output received."""
        create = self.sync.chat.completions.create
        if ending in {"plain", "failed"}:
            with suppress(openai.APIError):
                create(**wire.CHAT, **_plain(ending))
                return REPORTED
            return 0
        reading = Reading(ending)
        stream = create(**wire.CHAT, **_streamed(reading))
        with suppress(Enough):
            for chunk in stream:
                if reading.is_enough(chunk):
                    break
        if ending in {"closed", "cancelled", "raised"}:
            stream.close()
        return reading.seen

    async def call_async(self, ending: str) -> int:
        """Make one call with the async client; return the tokens of output received."""
        create = self.awaited.chat.completions.create
        if ending in {"plain", "failed"}:
            with suppress(openai.APIError):
                await create(**wire.CHAT, **_plain(ending))
                return REPORTED
            return 0
        reading = Reading(ending)
        stream = await create(**wire.CHAT, **_streamed(reading))
        task = asyncio.ensure_future(reading.all_of(stream))
        if ending == "cancelled":
            for _ in range(chance.randrange(LONGEST)):
                await asyncio.sleep(0)
            task.cancel()
        with suppress(Enough, asyncio.CancelledError):
            await task
        if ending in {"closed", "cancelled", "raised"}:
            await stream.close()
        return reading.seen

    def check(self) -> list[str]:
        """Say how the accounts compare; return what does not add up, once all is told."""
        gc.collect()
        if calls.engine is not None:
            say(f"{calls.engine.backlog():,} pieces of work waited for the worker at the end")
        if not tokentrail.flush(120):
            return ["not all was told within two minutes"]
        ledger, told = self.ledger, self.told
        say(f"{ledger.calls:,} calls, {told.spans:,} spans")
        say(f"{ledger.output:,} tokens received, {told.output:,} told; {told.estimated} estimates")
        wrong = []
        if ledger.calls != told.spans:
            wrong.append(f"{ledger.calls} calls and {told.spans} spans")
        if ledger.output != told.output or told.estimated:
            wrong.append(f"{ledger.output} tokens received and {told.output} told")
        return wrong

    def close(self) -> list[str]:
        """Uninstrument; return what is left."""
        tokentrail.uninstrument()
        left = [thread.name for thread in threading.enumerate() if thread.name == "tokentrail"]
        return ["the worker is still there"] if left else []


@dataclass
class Reading:
    """How one stream is read, and what was seen of it."""

    ending: str
    length: int = field(default_factory=lambda: chance.randrange(1, LONGEST))
    until: int = field(default_factory=lambda: chance.randrange(1, LONGEST))
    seen: int = 0

    def is_enough(self, chunk: Any) -> bool:  # noqa: ANN401 - any version's class
        """Take a chunk; return whether it is the last that is wanted."""
        self.seen += bool(chunk.choices and chunk.choices[0].delta.content)
        if self.ending == "read" or self.seen < self.until:
            return False
        if self.ending == "raised":
            raise Enough
        return True

    async def all_of(self, stream: Any) -> None:  # noqa: ANN401 - any version's class
        """Read what is wanted of a stream."""
        async for chunk in stream:
            if self.is_enough(chunk):
                break


def over_in(seconds: float) -> threading.Event:
    """Return what is set after so long."""
    over = threading.Event()
    threading.Timer(seconds, over.set).start()
    return over


def say(text: str) -> None:
    """Print a line of the report."""
    print(f"  {text}", flush=True)


def _reply(request: Any) -> Any:  # noqa: ANN401 - httpx or its successor
    if FAILS in request.headers:
        return wire.httpx.Response(500, json={"error": {"message": "no"}})
    return wire.answer(request)


def _plain(ending: str) -> dict[str, Any]:
    return {"extra_headers": {FAILS: "yes"}} if ending == "failed" else {}


def _streamed(reading: Reading) -> dict[str, Any]:
    headers = {wire.LENGTH: str(reading.length), wire.PAUSE: "yes"}
    return {"stream": True, "extra_headers": headers}
