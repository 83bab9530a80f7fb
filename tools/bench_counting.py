"""Measure what counting costs an application: per chunk, in memory, and in pauses of its loop.

    python tools/bench_counting.py [chunk] [memory] [pause] [request] [ask]

The client is real, the server is a function beneath it (no sockets, so that nothing else is
measured). Everything stands as a ratio or a difference within one run, rounds in turn: with us, and
without. Encodings are built before: bench_encodings.py measures that.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tokentrail
from tokentrail.counting import ENCODINGS

try:  # what openai sends with, from 3.0 on and before
    import httpx2 as httpx
except ImportError:
    import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

WORDS = ("The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog", ".")
QUESTION = [{"role": "user", "content": "Tell me of the fox."}]
MEGABYTE = {
    "English": "The quick brown fox jumps over the lazy dog, and sleeps. ",
    "Chinese": "敏捷的棕色狐狸跳过了懒狗，然后睡着了。",
    "code": "def f(x):\n    return {'a': [1, 2], 'b': x['c'] + 3}\n\n",
    "base64": "aGVsbG8gd29ybGQsIHRoaXMgaXMgYmFzZTY0",
}


def event(piece: str) -> bytes:
    """Return a chunk of a streamed chat completion."""
    delta = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    return b"data: " + json.dumps({**head, "choices": [delta]}).encode() + b"\n\n"


EVENTS = [event(word) for word in WORDS]
DONE = b"data: [DONE]\n\n"
HEADERS = {"content-type": "text/event-stream"}


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A stream of so many chunks."""

    def __init__(self, chunks: int, pause: float = 0.0) -> None:
        self.chunks, self.pause = chunks, pause

    def __iter__(self) -> Iterator[bytes]:
        """Yield the events."""
        yield from itertools.islice(itertools.cycle(EVENTS), self.chunks)
        yield DONE

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the events, with a pause after each."""
        for content in self:
            yield content
            await asyncio.sleep(self.pause)


def client_of(chunks: int) -> openai.OpenAI:
    """Return a client whose server streams so many chunks."""
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers=HEADERS, stream=Body(chunks))
    )
    return openai.OpenAI(api_key="k", http_client=httpx.Client(transport=transport))


def instrument(**settings: Any) -> None:
    """Tell everything, into memory."""
    spans = TracerProvider()
    spans.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    metrics = MeterProvider(metric_readers=[InMemoryMetricReader()])
    tokentrail.instrument(tracer_provider=spans, meter_provider=metrics, **settings)


def timed(read: Callable[[], None], settings: dict[str, Any] | None) -> float:
    """Return the CPU seconds of the whole process for one stream."""
    if settings is not None:
        instrument(**settings)
    gc.collect()
    begun = time.process_time()
    read()
    if settings is not None:
        tokentrail.flush(10)
    spent = time.process_time() - begun
    tokentrail.uninstrument()
    return spent


def per_chunk(chunks: int = 5_000, rounds: int = 9) -> None:
    """Compare streams without us, told but not counted, and counted."""
    client = client_of(chunks)

    def read() -> None:
        for _ in client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True):
            pass

    ways = {"without us": None, "told": {"token_counting": "off"}, "told and counted": {}}
    spent: dict[str, list[float]] = {way: [] for way in ways}
    timed(read, None)
    for _ in range(rounds):
        for way, settings in ways.items():
            spent[way].append(timed(read, settings))
    best = {way: statistics.median(times) / chunks * 1e6 for way, times in spent.items()}
    for way, cost in best.items():
        print(f"{way}: {cost:.1f} us a chunk, {cost / best['without us']:.3f} of that without us")
    ratio = best["told and counted"] / best["told"]
    print(f"a counted stream against an uncounted one, per chunk: {ratio:.3f}")


def asked(chunks: int = 5_000, rounds: int = 5) -> None:
    """Compare counted streams with and without asking for the usage at each chunk."""
    client = client_of(chunks)

    def read() -> None:
        for _ in client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True):
            pass

    def ask() -> None:
        stream = client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
        for _ in stream:
            tokentrail.current_usage(stream)

    quiet, curious = [], []
    for _ in range(rounds):
        quiet.append(timed(read, {}))
        curious.append(timed(ask, {}))
    more = statistics.median(curious) - statistics.median(quiet)
    print(f"current_usage at each chunk: {more / chunks * 1e6:.1f} us a chunk more")


def resident() -> int:
    """Return the memory of this process in kB. Linux only."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def memory(chunks: int = 100_000) -> None:
    """Print the memory after each tenth of one long stream."""
    client = client_of(chunks)
    instrument()
    sizes = []
    stream = client.chat.completions.create(model="gpt-4o", messages=QUESTION, stream=True)
    for number, _ in enumerate(stream, start=1):
        if number % (chunks // 10) == 0:
            gc.collect()
            sizes.append(resident())
    tokentrail.uninstrument()
    change = sizes[9] / sizes[1] - 1
    print(f"{chunks} chunks, MB after each tenth: {' '.join(f'{s / 1024:.1f}' for s in sizes)}")
    print(f"from the 2nd to the 10th tenth: {change:+.2%}")


async def longest_gap(asked: dict[str, Any]) -> float:
    """Ask and stream beside a 1 ms ticker; return its longest gap in ms."""
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers=HEADERS, stream=Body(40, 0.002))
    )
    gaps, over = [], asyncio.Event()

    async def tick() -> None:
        last = time.perf_counter()
        while not over.is_set():
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    async with openai.AsyncOpenAI(
        api_key="k", http_client=httpx.AsyncClient(transport=transport)
    ) as client:
        ticker = asyncio.create_task(tick())
        await asyncio.sleep(0.02)
        stream: Any = await client.chat.completions.create(model="gpt-4o", stream=True, **asked)
        async for _ in stream:
            pass
        # All of the counting is done beside the ticker.
        for _ in range(400):
            await asyncio.sleep(0.002)
        over.set()
        await ticker
    return max(gaps) * 1000


def _tool(number: int, properties: int) -> dict[str, Any]:
    about = {"type": "string", "description": MEGABYTE["English"] * 4}
    declared = {f"p{n}": about for n in range(properties)}
    parameters = {"type": "object", "properties": declared}
    function = {"name": f"f{number}", "description": about["description"], "parameters": parameters}
    return {"type": "function", "function": function}


def prompts() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is asked in the pauses, and its name."""
    for name, unit in MEGABYTE.items():
        text = (unit * (1_000_000 // len(unit.encode()) + 1))[: 1_000_000 // len(unit[0].encode())]
        yield f"1 MB of {name}", {"messages": [{"role": "user", "content": text}]}
    for number, size in ((1_000, 1_000), (10_000, 100)):
        said = (MEGABYTE["English"] * 20)[:size]
        messages = [{"role": "user", "content": said} for _ in range(number)]
        yield f"{number} messages of {size} characters", {"messages": messages}
    for number, size in ((128, 20), (3, 1_500)):
        tools = [_tool(n, size) for n in range(number)]
        yield f"{number} tools of {size} properties", {"messages": QUESTION, "tools": tools}


def pauses(rounds: int = 9) -> None:
    """Compare the longest gaps of a ticker with and without us, from the request to the end."""
    for name, asked in prompts():
        gaps: dict[bool, list[float]] = {False: [], True: []}
        for _, ours in itertools.product(range(rounds), (False, True)):
            if ours:
                instrument()
            gaps[ours].append(asyncio.run(longest_gap(asked)))
            tokentrail.uninstrument()
        without, with_us = (statistics.median(gaps[ours]) for ours in (False, True))
        print(
            f"{name}: longest gap {with_us:.1f} ms with us, {without:.1f} ms without"
            f" (medians of {rounds}; shortest {min(gaps[True]):.1f} and {min(gaps[False]):.1f}):"
            f" {with_us - without:+.1f} ms"
        )


def requests(rounds: int = 9) -> None:
    """Compare what it takes to ask and close, without us and with us: CPU time of the thread."""
    client = client_of(1)
    for name, given in prompts():
        spent: dict[bool, list[float]] = {False: [], True: []}
        for _, ours in itertools.product(range(rounds), (False, True)):
            if ours:
                instrument()
            gc.collect()
            begun = time.thread_time()
            client.chat.completions.create(model="gpt-4o", stream=True, **given).close()
            spent[ours].append(time.thread_time() - begun)
            tokentrail.flush(10)
            tokentrail.uninstrument()
        without, with_us = (min(spent[ours]) * 1000 for ours in (False, True))
        print(f"{name}: {without:.1f} ms to ask without us, {with_us - without:+.1f} ms with us")


BENCHMARKS = {
    "chunk": per_chunk,
    "ask": asked,
    "pause": pauses,
    "request": requests,
    "memory": memory,
}


def main() -> None:
    """Run the benchmarks that are asked for, or all."""
    ENCODINGS.load("o200k_base")
    for name in sys.argv[1:] or BENCHMARKS:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
