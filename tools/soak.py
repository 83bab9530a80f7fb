"""Load and age: what a few minutes of hard use do to a program that tokentrail instruments.

    make soak                              # all of it, in about five minutes
    make soak ARGS="load --seconds 600"    # one part, for longer
    make soak ARGS="recorder --calls 1000000"

load      1,000 streams on one event loop and 200 threads, ended in every way
slow      an exporter that takes 50 ms, on the thread that ends the span
forks     workers forked while streams are open: each tells its own
recorder  recorder and metrics alone, each call with a model name of its own

Everything is on a transport inside the process. Exits 1 if a span is missing or told twice, a token
is miscounted, or objects, threads or memory grow.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import os
import random
import statistics
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import openai
from bench import wire
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import NoOpTracerProvider

import tokentrail
from tokentrail import calls
from tokentrail.prepared import prepare
from tokentrail.shapes.chat import ChatShape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

FAILS = "x-soak-fails"
REPORTED = 50
"""Tokens of output that a plain answer reports."""
ENDINGS = ("read", "read", "read", "closed", "dropped", "raised", "cancelled", "plain", "failed")
APART = 0.05
"""Share by which the second and the last tenth of a run may differ."""
chance = random.Random(7)  # noqa: S311 - the same mixture in every run


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
        self.spans = self.output = self.inexact = 0
        self.lock = threading.Lock()

    def on_end(self, span: ReadableSpan) -> None:
        """Add a span."""
        said = span.attributes or {}
        tokens = said.get("gen_ai.usage.output_tokens", 0)
        with self.lock:
            self.spans += 1
            self.output += tokens if isinstance(tokens, int) else 0
            self.inexact += said.get("tokentrail.usage.output.source") == "approximated"


class SlowExporter(SpanExporter):
    """Takes 50 ms for each span."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sleep."""
        time.sleep(0.05 * len(spans))
        return SpanExportResult.SUCCESS


class Application:
    """Makes calls and ends them in every way."""

    def __init__(self, *processors: SpanProcessor, told: Told | None = None) -> None:
        self.ledger = Ledger()
        self.told = told or Told()
        traces = TracerProvider()
        for processor in (self.told, *processors):
            traces.add_span_processor(processor)
        self.reader = InMemoryMetricReader()
        metrics = MeterProvider(metric_readers=[self.reader])
        self.sync, self.awaited = wire.clients(_reply)
        tokentrail.instrument(
            tracer_provider=traces, meter_provider=metrics, preload="o200k_base", calibration=0.0
        )

    def once(self, ending: str) -> None:
        """Make one call with the sync client."""
        create = self.sync.chat.completions.create
        if ending in {"plain", "failed"}:
            self.ledger.add(_plain(ending, lambda headers: create(**wire.CHAT, **headers)))
            return
        length, until = chance.randrange(1, 30), chance.randrange(1, 30)
        stream = create(**wire.CHAT, **_streamed(length))
        seen = 0
        with suppress(Enough):
            for chunk in stream:
                seen += bool(chunk.choices and chunk.choices[0].delta.content)
                if seen >= until and ending != "read":
                    _leave(ending)
                    break
        if ending in {"closed", "cancelled", "raised"}:
            stream.close()
        self.ledger.add(seen)

    async def once_async(self, ending: str) -> None:
        """Make one call with the async client."""
        create = self.awaited.chat.completions.create
        if ending in {"plain", "failed"}:
            said = 0
            with suppress(openai.APIError):
                await create(
                    **wire.CHAT, extra_headers={FAILS: "yes"} if ending == "failed" else {}
                )
                said = REPORTED
            self.ledger.add(said)
            return
        length, until = chance.randrange(1, 30), chance.randrange(1, 30)
        stream = await create(**wire.CHAT, **_streamed(length))
        seen = [0]
        reading = self._read(stream, seen, until if ending != "read" else length + 9, ending)
        if ending == "cancelled":
            task = asyncio.ensure_future(reading)
            for _ in range(chance.randrange(40)):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await stream.close()
        else:
            with suppress(Enough):
                await reading
        if ending in {"closed", "raised"}:
            await stream.close()
        self.ledger.add(seen[0])

    async def _read(self, stream: Any, seen: list[int], until: int, ending: str) -> None:  # noqa: ANN401
        async for chunk in stream:
            seen[0] += bool(chunk.choices and chunk.choices[0].delta.content)
            if seen[0] >= until:
                _leave(ending)
                break

    def check(self, title: str) -> list[str]:
        """Return what does not add up, once all is told."""
        gc.collect()
        if not tokentrail.flush(60):
            return [f"{title}: not all was told within a minute"]
        ledger, told = self.ledger, self.told
        print(
            f"{title}: {ledger.calls:,} calls, {told.spans:,} spans; {ledger.output:,} tokens sent,"
            f" {told.output:,} told, {told.inexact} calls estimated"
        )
        wrong = []
        if ledger.calls != told.spans:
            wrong.append(f"{title}: {ledger.calls} calls and {told.spans} spans")
        if ledger.output != told.output:
            wrong.append(f"{title}: {ledger.output} tokens sent and {told.output} told")
        return wrong


def _reply(request: Any) -> Any:  # noqa: ANN401 - httpx or its successor
    if FAILS in request.headers:
        return wire.httpx.Response(500, json={"error": {"message": "no"}})
    return wire.answer(request)


def _streamed(length: int) -> dict[str, Any]:
    return {"stream": True, "extra_headers": {wire.LENGTH: str(length), wire.PAUSE: "yes"}}


def _plain(ending: str, create: Any) -> int:  # noqa: ANN401 - a method of the client
    with suppress(openai.APIError):
        create({"extra_headers": {FAILS: "yes"} if ending == "failed" else {}})
        return REPORTED
    return 0


def _leave(ending: str) -> None:
    if ending == "raised":
        raise Enough


@dataclass
class Growth:
    """Objects, threads and memory over a run."""

    samples: list[tuple[float, float, float]] = field(default_factory=list)

    def take(self) -> None:
        """Take a sample."""
        gc.collect()
        self.samples.append((len(gc.get_objects()), threading.active_count(), _memory()))

    def check(self, title: str) -> list[str]:
        """Return what differs too much between the second and the last tenth."""
        tenth = max(len(self.samples) // 10, 1)
        early, late = self.samples[tenth : 2 * tenth], self.samples[-tenth:]
        if not early or len(late) < tenth:
            return [f"{title}: too few samples"]
        wrong = []
        for number, name in enumerate(("objects", "threads", "memory (MB)")):
            before, after = ([sample[number] for sample in some] for some in (early, late))
            first, last = statistics.median(before), statistics.median(after)
            print(f"{title}: {name}: {first:,.0f} in the second tenth, {last:,.0f} in the last")
            if last > first * (1 + APART):
                wrong.append(f"{title}: {name} grew from {first:,.0f} to {last:,.0f}")
        return wrong


def _memory() -> float:
    """Return the resident memory in MB."""
    try:
        with open("/proc/self/statm", encoding="ascii") as said:  # noqa: PTH123 - not a file
            return int(said.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


def load(asked: argparse.Namespace) -> list[str]:
    """1,000 streams on one loop and 200 threads."""
    application, growth = Application(), Growth()
    until = time.monotonic() + asked.seconds

    def thread() -> None:
        while time.monotonic() < until:
            application.once(chance.choice(ENDINGS))

    async def task() -> None:
        while time.monotonic() < until:
            await application.once_async(chance.choice(ENDINGS))

    async def loop() -> None:
        tasks = [asyncio.ensure_future(task()) for _ in range(asked.streams)]
        await asyncio.gather(*tasks)

    def sampler() -> None:
        while time.monotonic() < until:
            time.sleep(asked.seconds / 100)
            growth.take()

    threads = [threading.Thread(target=thread) for _ in range(asked.threads)]
    threads.append(threading.Thread(target=sampler))
    for each in threads:
        each.start()
    asyncio.run(loop())
    for each in threads:
        each.join()
    wrong = application.check("load") + growth.check("load")
    tokentrail.uninstrument()
    if any(each.name == "tokentrail" for each in threading.enumerate()):
        wrong.append("load: the worker is still there")
    return wrong


def slow(asked: argparse.Namespace) -> list[str]:
    """An exporter of 50 ms: it may hold up the application by that, and not by more."""
    application = Application(SimpleSpanProcessor(SlowExporter()))
    seconds, threads = min(asked.seconds, 20), 8
    until = time.monotonic() + seconds

    def thread() -> None:
        while time.monotonic() < until:
            application.once(chance.choice(ENDINGS))

    running = [threading.Thread(target=thread) for _ in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    made, most = application.ledger.calls, threads * seconds / 0.05
    print(f"slow: {made:,} calls, of {most:,.0f} that such an exporter leaves time for")
    wrong = application.check("slow")
    if application.told.inexact:
        wrong.append(f"slow: {application.told.inexact} counts were starved")
    if made < most / 2:
        wrong.append(f"slow: {made} calls in the time of {most:,.0f}")
    tokentrail.uninstrument()
    return wrong


def forks(asked: argparse.Namespace) -> list[str]:  # noqa: ARG001 - as the others
    """Fork while streams are open and the worker is busy: each process tells its own."""
    application = Application()
    wrong = []
    for _ in range(8):
        open_ = [application.sync.chat.completions.create(**wire.CHAT, **_streamed(20))]
        next(open_[0])
        child = os.fork()
        if child == 0:
            os._exit(_in_child(application, open_))
        application.ledger.add(sum(bool(chunk.choices[0].delta.content) for chunk in open_[0]))
        for _ in range(50):
            application.once(chance.choice(ENDINGS))
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            wrong.append("forks: a child's numbers do not add up")
    wrong += application.check("forks")
    tokentrail.uninstrument()
    return wrong


def _in_child(application: Application, inherited: list[Any]) -> int:
    """Make calls in a forked worker; what it inherited is its parent's to tell."""
    application.told.forked()
    application.ledger = Ledger()
    for _ in inherited.pop():
        pass
    for _ in range(100):
        application.once(chance.choice(ENDINGS))
    return 1 if application.check("forks, child") else 0


def recorder(asked: argparse.Namespace) -> list[str]:
    """Recorder and metrics of many calls, each of another model."""
    reader = InMemoryMetricReader()
    tokentrail.instrument(
        tracer_provider=NoOpTracerProvider(), meter_provider=MeterProvider(metric_readers=[reader])
    )
    sync, _ = wire.clients()
    answer = sync.chat.completions.create(**wire.CHAT)
    engine, shape, growth = calls.engine, ChatShape(), Growth()
    if engine is None:
        return ["recorder: not instrumented"]
    for number in range(asked.calls):
        given = {**wire.CHAT, "model": f"model-{number}"}
        answer.model = f"model-{number}-long"
        recording, _ = prepare(engine, shape, sync.chat.completions, (), given).start()
        if recording is not None:
            recording.answered(answer)
        if number % (asked.calls // 50) == 0:
            growth.take()
    tokentrail.flush(10)
    wrong = growth.check("recorder")
    most = max(
        len(metric.data.data_points)
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
    print(f"recorder: {asked.calls:,} calls, at most {most} series of a metric")
    if most > 2001:  # noqa: PLR2004 - the SDK's own bound
        wrong.append(f"recorder: {most} series")
    tokentrail.uninstrument()
    return wrong


PARTS = {"load": load, "slow": slow, "forks": forks, "recorder": recorder}


def main() -> None:
    """Run what is asked for, each part in a process of its own."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=200)
    parser.add_argument("--calls", type=int, default=200_000)
    asked = parser.parse_args()
    wrong = []
    for name in asked.parts or PARTS:
        child = os.fork()
        if child == 0:
            faulthandler.dump_traceback_later(300 + 3 * asked.seconds, exit=True)
            found = PARTS[name](asked)
            print(*found, sep="\n", file=sys.stderr, flush=True)
            sys.stdout.flush()
            os._exit(bool(found))
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            wrong.append(name)
    print("all is well" if not wrong else f"failed: {', '.join(wrong)}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
