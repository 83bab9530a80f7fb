"""A program that makes calls, ends them in every way, and keeps its own account of both."""

from __future__ import annotations

import asyncio
import gc
import itertools
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
from soak import metrics
from tokentrail.runtime import runtime

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

ENDINGS = ("read", "read", "read", "closed", "dropped", "raised", "cancelled", "plain", "failed")
REPORTED = 50
"""Tokens of output that a plain answer reports."""
LONGEST = 30
"""Tokens of a streamed answer."""
WARM = 3
"""Calls that each thread and task makes before growth is watched."""
THINKS = 2.0
"""Seconds that a thread waits at most between two calls, or 200 would leave the loop no turn."""
FAILS = "x-soak-fails"
chance = random.Random(7)


class Enough(Exception):
    """Raised by the application in the middle of a stream."""


@dataclass
class Ledger:
    """What the application knows: calls made, and tokens that it was sent."""

    calls: int = 0
    output: int = 0
    warm: int = 0
    """Threads and tasks that have made their first calls: in the beginning all begin at once."""
    unanswered: int = 0
    """Those of the calls that were cancelled before there were headers."""
    dropped: int = 0
    """Those of the calls that the collector ends, sooner or later."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, output: int | None, ending: str = "read") -> None:
        """Add a call that is over; ``None``: it never had an answer."""
        with self.lock:
            self.calls += 1
            self.output += output or 0
            self.unanswered += output is None
            self.dropped += ending == "dropped"

    def ended(self) -> int:
        """Return how many calls have ended for certain."""
        with self.lock:
            return self.calls - self.dropped

    def warmed_up(self, made: int) -> None:
        """Note that a thread or task has made so many calls."""
        if made == WARM:
            with self.lock:
                self.warm += 1


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
        attributes = span.attributes or {}
        tokens = attributes.get("gen_ai.usage.output_tokens", 0)
        with self.lock:
            self.spans += 1
            self.output += tokens if isinstance(tokens, int) else 0
            self.estimated += attributes.get("tokentrail.usage.output.source") == "approximated"


class Application:
    """An instrumented program on a transport inside the process."""

    def __init__(self, *processors: SpanProcessor, **settings: Any) -> None:
        self.ledger = Ledger()
        self.told = Told()
        self.traces = traces = TracerProvider()
        for processor in (self.told, *processors):
            traces.add_span_processor(processor)
        self.reader = InMemoryMetricReader()
        self.before: dict[str, int] = {}
        """What metrics said when the account began."""
        self.sync, self.waiters = wire.clients(_reply)
        tokentrail.instrument(
            tracer_provider=traces,
            meter_provider=MeterProvider(metric_readers=[self.reader]),
            preload_encodings="o200k_base",
            count_verification_ratio=0.0,
            **settings,
        )

    def forked(self) -> None:
        """Begin a new account, in a worker that was forked."""
        self.ledger = Ledger()
        self.told.forked()
        self.before = {**metrics.calls(self.reader), **metrics.output(self.reader)}

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
        for made in itertools.count(1):
            ending = chance.choice(ENDINGS)
            self.ledger.add(self.call(ending), ending)
            self.ledger.warmed_up(made)
            if over.wait(chance.uniform(0, THINKS)):
                break

    async def _tasks(self, over: threading.Event, streams: int) -> None:
        async def one() -> None:
            for made in itertools.count(1):
                await self.call_async(chance.choice(ENDINGS))
                self.ledger.warmed_up(made)
                if over.is_set():
                    break

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

    async def call_async(self, ending: str) -> None:
        """Make one call with the async client, and enter it into the ledger."""
        create = self.waiters.chat.completions.create
        if ending in {"plain", "failed"}:
            with suppress(openai.APIError):
                await create(**wire.CHAT, **_plain(ending))
            self.ledger.add(REPORTED if ending == "plain" else 0)
            return
        reading = Reading(ending)
        task = asyncio.ensure_future(reading.one_of(create))
        if ending == "cancelled":
            await asyncio.sleep(0)  # or it would be no call yet
            for _ in range(chance.randrange(LONGEST)):
                await asyncio.sleep(0)
            task.cancel()
        with suppress(Enough, asyncio.CancelledError):
            await task
        if ending in {"closed", "cancelled", "raised"} and reading.stream is not None:
            await reading.stream.close()
        self.ledger.add(None if reading.stream is None else reading.seen)

    def check(self) -> list[str]:
        """Say how the accounts compare; return what does not add up, once all is told."""
        gc.collect()
        if runtime.current() is not None:
            say(f"{runtime.current().backlog():,} pieces of work waited for the worker at the end")
        if not tokentrail.flush(120):
            return ["not all was told within two minutes"]
        ledger, told = self.ledger, self.told
        say(f"{ledger.calls:,} calls ({ledger.unanswered:,} without headers), {told.spans:,} spans")
        say(f"{ledger.output:,} tokens received, {told.output:,} told; {told.estimated} estimates")
        wrong = [f"{told.estimated} estimates"] if told.estimated else []
        wrong += self._compared(ledger.calls, {"spans": told.spans, **metrics.calls(self.reader)})
        tokens = {"tokens on spans": told.output, **metrics.output(self.reader)}
        return [*wrong, *self._compared(ledger.output, tokens)]

    def _compared(self, known: int, told: dict[str, int]) -> list[str]:
        beyond = {name: value - self.before.get(name, 0) for name, value in told.items()}
        return [
            f"{known} known, {value} {name}" for name, value in beyond.items() if value != known
        ]

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
    stream: Any = None

    def is_enough(self, chunk: Any) -> bool:
        """Take a chunk; return whether it is the last that is wanted."""
        self.seen += tokens_of(chunk)
        if self.ending == "read" or self.seen < self.until:
            return False
        if self.ending == "raised":
            raise Enough
        return True

    async def one_of(self, create: Any) -> None:
        """Open a stream and read what is wanted of it."""
        self.stream = await create(**wire.CHAT, **_streamed(self))
        async for chunk in self.stream:
            if self.is_enough(chunk):
                break


def tokens_of(chunk: Any) -> int:
    """Return the tokens that a chunk is billed: a piece of text is one, and so is the end."""
    choices = chunk.choices
    return sum(bool(choice.delta.content or choice.finish_reason) for choice in choices)


def over_in(seconds: float) -> threading.Event:
    """Return what is set after so long."""
    over = threading.Event()
    threading.Timer(seconds, over.set).start()
    return over


def say(text: str) -> None:
    """Print a line of the report."""
    print(f"  {text}", flush=True)


def _reply(request: Any) -> Any:
    if FAILS in request.headers:
        return wire.httpx.Response(500, json={"error": {"message": "no"}})
    return wire.answer(request)


def _plain(ending: str) -> dict[str, Any]:
    return {"extra_headers": {FAILS: "yes"}} if ending == "failed" else {}


def _streamed(reading: Reading) -> dict[str, Any]:
    headers = {wire.LENGTH: str(reading.length), wire.PAUSE: "yes"}
    return {"stream": True, "extra_headers": headers}
