"""What is measured, each in one turn of a few seconds, beside the bare client in the same process.

Times are CPU seconds of the application's thread, or of all threads of the process; a turn returns
its samples, and the driver adds those of later turns to them.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bench import wire
from openai.resources.embeddings import EmbeddingsWithRawResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.switch import Switch

    Samples = dict[str, list[float]]

BLOCK = 25
"""Chunks read from one stream before it is the other's turn."""
CALLS = 12
"""Calls before it is the other's turn."""
FIRST = 4
"""Calls before those, which are not counted: after the classes of the client were patched, Python
looks all their methods up anew (50 us of a bare call, 100 to 250 of an instrumented one), which a
program does once."""
_KIND = {False: "bare", True: "on"}
SETTLE = 0.4
"""Seconds after the end of a stream in which its end may still hold up the loop."""


class Bench:
    """Two clients, bare and instrumented in turn."""

    def __init__(self, switch: Switch, flush: Callable[[], object]) -> None:
        self.switch = switch
        self.flush = flush
        """Waits until all that ended is told."""
        self.sync, self.waiters = wire.clients()
        self.loop = asyncio.new_event_loop()
        self._chance = random.Random(7)

    def measure(self, name: str, arguments: list[Any]) -> Samples:
        """Take one turn of a measure."""
        gc.collect()
        taken = getattr(self, f"take_{name}")(*arguments)
        return taken if isinstance(taken, dict) else self.loop.run_until_complete(taken)

    def warm(self) -> None:
        """Have everything loaded, built and cached that a process needs once."""
        for on in (False, True):
            self.switch.set(on=on)
            for api in ("chat", "responses"):
                self._plain(api)
                for _ in self._opened(api, 50):
                    pass
            self.sync.embeddings.create(**wire.EMBEDDINGS)
            self.loop.run_until_complete(self._warm_async())
        self.flush()

    async def _warm_async(self) -> None:
        for api in ("chat", "responses"):
            await self._plain_async(api)
            async for _ in await self._opened_async(api, 50):
                pass

    def _plain(self, api: str) -> object:
        if api.startswith("embeddings"):
            return self._embedded(api)
        if api == "chat":
            return self.sync.chat.completions.create(**wire.CHAT)
        return self.sync.responses.create(**wire.RESPONSES)

    def _embedded(self, api: str) -> object:
        """Embed one text or a hundred: ``embeddings [raw] 1`` or ``100``."""
        asked = wire.EMBEDDINGS if api.endswith("100") else wire.EMBEDDING
        embeddings: Any = self.sync.embeddings
        if " raw " in api:  # anew each time: it keeps the method that it was made with
            embeddings = EmbeddingsWithRawResponse(embeddings)
        return embeddings.create(**asked)

    def _plain_async(self, api: str) -> Awaitable[Any]:
        if api == "chat":
            return self.waiters.chat.completions.create(**wire.CHAT)
        return self.waiters.responses.create(**wire.RESPONSES)

    def _order(self) -> tuple[bool, bool]:
        """Return who goes first and who second: by chance, as the one may warm up the other."""
        return self._chance.choice(((False, True), (True, False)))

    def _opened(self, api: str, length: int, *, pause: bool = False) -> Any:
        headers = {wire.LENGTH: str(length), **({wire.PAUSE: "yes"} if pause else {})}
        asked = {"stream": True, "extra_headers": headers}
        if api == "chat":
            return iter(self.sync.chat.completions.create(**wire.CHAT, **asked))
        return iter(self.sync.responses.create(**wire.RESPONSES, **asked))

    async def _opened_async(self, api: str, length: int, *, pause: bool = False) -> Any:
        headers = {wire.LENGTH: str(length), **({wire.PAUSE: "yes"} if pause else {})}
        asked = {"stream": True, "extra_headers": headers}
        if api == "chat":
            opened = await self.waiters.chat.completions.create(**wire.CHAT, **asked)
        else:
            opened = await self.waiters.responses.create(**wire.RESPONSES, **asked)
        return opened.__aiter__()

    def take_call(self, api: str, pairs: int) -> Samples:
        """Make plain calls, bare and instrumented, in short blocks by turns."""
        samples: Samples = {"bare": [], "on": [], "others": []}
        whole, mine, made = time.process_time(), time.thread_time(), 0
        for _ in range(pairs // CALLS):
            for on in self._order():
                self.switch.set(on=on)
                for number in range(FIRST + CALLS):
                    begun = time.thread_time()
                    self._plain(api)
                    if number >= FIRST:
                        samples[_KIND[on]].append(time.thread_time() - begun)
                made += number + 1
        self._count_others(samples, whole, mine, made // 2)
        return samples

    async def take_call_async(self, api: str, pairs: int) -> Samples:
        """Make the same calls with the async client."""
        samples: Samples = {"bare": [], "on": [], "others": []}
        whole, mine, made = time.process_time(), time.thread_time(), 0
        for _ in range(pairs // CALLS):
            for on in self._order():
                self.switch.set(on=on)
                for number in range(FIRST + CALLS):
                    begun = time.thread_time()
                    await self._plain_async(api)
                    if number >= FIRST:
                        samples[_KIND[on]].append(time.thread_time() - begun)
                made += number + 1
        self._count_others(samples, whole, mine, made // 2)
        return samples

    def take_chunks(self, api: str, length: int, streams: int) -> Samples:
        """Read two streams at once, a bare one and an instrumented one, block by block by turns.

        Then time for each the pull that finds it over.
        """
        samples = _empty_chunks()
        for _ in range(streams):
            order, both = self._order(), {}
            for on in order:
                self.switch.set(on=on)
                both[on] = self._opened(api, length)
            whole, mine = time.process_time(), time.thread_time()
            for _ in range(length // BLOCK):
                for on in self._order():
                    stream = both[on]
                    begun = time.thread_time()
                    for _ in range(BLOCK):
                        stream.__next__()
                    samples[_KIND[on]].append((time.thread_time() - begun) / BLOCK)
            for on in order:
                samples["end_" + _KIND[on]].append(_end(both.pop(on)))
            self._count_others(samples, whole, mine, length)
        return samples

    async def take_chunks_async(self, api: str, length: int, streams: int) -> Samples:
        """Read the same with the async client."""
        samples = _empty_chunks()
        for _ in range(streams):
            order, both = self._order(), {}
            for on in order:
                self.switch.set(on=on)
                both[on] = await self._opened_async(api, length)
            whole, mine = time.process_time(), time.thread_time()
            for _ in range(length // BLOCK):
                for on in self._order():
                    stream = both[on]
                    begun = time.thread_time()
                    for _ in range(BLOCK):
                        await stream.__anext__()
                    samples[_KIND[on]].append((time.thread_time() - begun) / BLOCK)
            for on in order:
                samples["end_" + _KIND[on]].append(await _end_async(both.pop(on)))
            self._count_others(samples, whole, mine, length)
        return samples

    def _count_others(self, samples: Samples, whole: float, mine: float, parts: int) -> None:
        """Add what other threads needed for each chunk or call of a turn, until all was told."""
        flushing = time.thread_time()
        self.flush()
        flushed = time.thread_time() - flushing
        spent = time.process_time() - whole - (time.thread_time() - mine)
        samples["others"].append((max(spent, 0.0) + flushed) / parts)

    def take_memory(self, length: int) -> Samples:
        """Return the most bytes that a stream holds while it is read, beyond those at its start."""
        self.switch.set(on=True)
        stream = self._opened("chat", length)
        tracemalloc.start()
        try:
            # What the client keeps from chunk to chunk is there after the first.
            for _ in range(10):
                stream.__next__()
            gc.collect()
            before, most = tracemalloc.get_traced_memory()[0], 0
            for number in range(length - 20):
                stream.__next__()
                if number % 500 == 499:  # noqa: PLR2004 - often enough
                    gc.collect()
                    most = max(most, tracemalloc.get_traced_memory()[0] - before)
        finally:
            tracemalloc.stop()
        for _ in stream:
            pass
        self.flush()
        return {"on": [most]}

    def take_open(self, streams: int, length: int) -> Samples:
        """Return the bytes that each of many open streams holds after ``length`` chunks."""
        samples: Samples = {"bare": [], "on": []}
        for on in self._order():
            self.switch.set(on=on)
            gc.collect()
            tracemalloc.start()
            try:
                kept = [self._opened("chat", 2 * length) for _ in range(streams)]
                for stream in kept:
                    for _ in range(length):
                        stream.__next__()
                gc.collect()
                samples[_KIND[on]].append(tracemalloc.get_traced_memory()[0] / streams)
            finally:
                tracemalloc.stop()
            for stream in kept:
                for _ in stream:
                    pass
            self.flush()
        return samples

    async def take_stall(self, length: int, streams: int) -> Samples:
        """Return the longest time the loop stood still around the end of ``streams`` at once.

        Seen by a ticker of 1 ms: ``on`` of CPU of the loop's own thread, ``wall`` by the clock, which
        also sees other threads that hold the interpreter, and other programs.
        """
        self.switch.set(on=True)
        ticker = _Ticker()
        ticking = asyncio.ensure_future(ticker.run())
        await asyncio.gather(*(self._read_out(length, ticker) for _ in range(streams)))
        await asyncio.sleep(SETTLE)
        ticking.cancel()
        self.flush()
        return {"on": [ticker.longest_cpu], "wall": [ticker.longest_wall]}

    async def _read_out(self, length: int, ticker: _Ticker) -> None:
        stream = await self._opened_async("chat", length, pause=True)
        for _ in range(length):  # one chunk more comes before the text, and one after it
            await stream.__anext__()
        ticker.watching = True
        async for _ in stream:
            pass

    def take_threads(self, threads: int, calls: int) -> Samples:
        """Make calls on many threads at once: CPU seconds of the process for each, all told."""
        samples: Samples = {"bare": [], "on": []}
        for on in self._order():
            self.switch.set(on=on)
            begun = time.process_time()
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(self._plain, ["chat"] * (threads * calls)):
                    pass
            self.flush()
            samples[_KIND[on]].append((time.process_time() - begun) / (threads * calls))
        return samples

    async def take_crowd(self, streams: int, length: int) -> Samples:
        """Read many streams at once in one loop: CPU seconds of the process, until all is told.

        And the p99 of the time between two chunks of a stream, by the clock.
        """
        samples = _empty_crowd()
        for on in self._order():
            self.switch.set(on=on)
            gaps: list[float] = []
            begun = time.process_time()
            await asyncio.gather(*(self._read(length, gaps) for _ in range(streams)))
            self._add_crowd(samples, _KIND[on], begun, gaps)
        return samples

    async def _read(self, length: int, gaps: list[float]) -> None:
        last = 0.0
        async for _ in await self._opened_async("chat", length, pause=True):
            now = time.perf_counter()
            if last:
                gaps.append(now - last)
            last = now

    def take_crowd_threads(self, threads: int, length: int) -> Samples:
        """Read a stream in each of many threads: the same figures."""
        samples = _empty_crowd()
        for on in self._order():
            self.switch.set(on=on)
            gaps: list[float] = []
            begun = time.process_time()
            with ThreadPoolExecutor(threads) as pool:
                for each in pool.map(self._read_in_thread, [length] * threads):
                    gaps.extend(each)
            self._add_crowd(samples, _KIND[on], begun, gaps)
        return samples

    def _read_in_thread(self, length: int) -> list[float]:
        opened = self._opened("chat", length, pause=True)
        times = [time.perf_counter() for _ in opened]
        return [after - before for before, after in pairwise(times)]

    def _add_crowd(self, samples: Samples, kind: str, begun: float, gaps: list[float]) -> None:
        self.flush()
        samples[kind].append(time.process_time() - begun)
        samples["p99_" + kind].append(statistics.quantiles(gaps, n=100)[-1])


class _Ticker:
    """Sleeps a millisecond over and over, and notes how long it took to come back."""

    def __init__(self) -> None:
        self.watching = False
        self.longest_cpu = 0.0
        self.longest_wall = 0.0

    async def run(self) -> None:
        while True:
            cpu, wall = time.thread_time(), time.perf_counter()
            await asyncio.sleep(0.001)
            if self.watching:
                self.longest_cpu = max(self.longest_cpu, time.thread_time() - cpu)
                self.longest_wall = max(self.longest_wall, time.perf_counter() - wall - 0.001)


def _empty_chunks() -> Samples:
    return {"bare": [], "on": [], "end_bare": [], "end_on": [], "others": []}


def _empty_crowd() -> Samples:
    return {"bare": [], "on": [], "p99_bare": [], "p99_on": []}


def _end(stream: Any) -> float:
    """Read what is left of a stream, and return what the pull took that found it over."""
    while True:
        begun = time.thread_time()
        try:
            stream.__next__()
        except StopIteration:
            return time.thread_time() - begun


async def _end_async(stream: Any) -> float:
    while True:
        begun = time.thread_time()
        try:
            await stream.__anext__()
        except StopAsyncIteration:
            return time.thread_time() - begun
