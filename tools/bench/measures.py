"""What is measured, each in one turn of a few seconds, beside the bare client in the same process.

Times are CPU seconds of the application's thread, or of all threads of the process; a turn returns
its samples, and the driver adds those of later turns to them.
"""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

from bench import wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bench.switch import Switch

    Samples = dict[str, list[float]]

BLOCK = 25
"""Chunks read from one stream before it is the other's turn."""
SETTLE = 0.4
"""Seconds after the end of a stream in which its end may still hold up the loop."""


class Bench:
    """Two clients, bare and instrumented in turn."""

    def __init__(self, switch: Switch, flush: Callable[[], object]) -> None:
        self.switch = switch
        self.flush = flush
        """Waits until all that ended is told."""
        self.sync, self.awaited = wire.clients()
        self.loop = asyncio.new_event_loop()

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
        if api == "embeddings":
            return self.sync.embeddings.create(**wire.EMBEDDINGS)
        if api == "chat":
            return self.sync.chat.completions.create(**wire.CHAT)
        return self.sync.responses.create(**wire.RESPONSES)

    def _plain_async(self, api: str) -> Awaitable[Any]:
        if api == "chat":
            return self.awaited.chat.completions.create(**wire.CHAT)
        return self.awaited.responses.create(**wire.RESPONSES)

    def _opened(self, api: str, length: int) -> Any:  # noqa: ANN401 - a stream, or what stands for it
        asked = {"stream": True, "extra_headers": {wire.LENGTH: str(length)}}
        if api == "chat":
            return iter(self.sync.chat.completions.create(**wire.CHAT, **asked))
        return iter(self.sync.responses.create(**wire.RESPONSES, **asked))

    async def _opened_async(self, api: str, length: int, *, pause: bool = False) -> Any:  # noqa: ANN401
        headers = {wire.LENGTH: str(length), **({wire.PAUSE: "yes"} if pause else {})}
        asked = {"stream": True, "extra_headers": headers}
        if api == "chat":
            opened = await self.awaited.chat.completions.create(**wire.CHAT, **asked)
        else:
            opened = await self.awaited.responses.create(**wire.RESPONSES, **asked)
        return opened.__aiter__()

    def take_call(self, api: str, pairs: int) -> Samples:
        """Make plain calls, bare and instrumented by turns."""
        samples: Samples = {"bare": [], "on": []}
        for _ in range(pairs):
            for on in (False, True):
                self.switch.set(on=on)
                begun = time.thread_time()
                self._plain(api)
                samples["on" if on else "bare"].append(time.thread_time() - begun)
        return samples

    async def take_call_async(self, api: str, pairs: int) -> Samples:
        """Make the same calls with the async client."""
        samples: Samples = {"bare": [], "on": []}
        for _ in range(pairs):
            for on in (False, True):
                self.switch.set(on=on)
                begun = time.thread_time()
                await self._plain_async(api)
                samples["on" if on else "bare"].append(time.thread_time() - begun)
        return samples

    def take_chunks(self, api: str, length: int, streams: int) -> Samples:
        """Read two streams at once, a bare one and an instrumented one, block by block by turns."""
        samples = _empty_chunks()
        for _ in range(streams):
            both = []
            for on in (False, True):
                self.switch.set(on=on)
                both.append(self._opened(api, length))
            whole, mine = time.process_time(), time.thread_time()
            count = 0
            ends = [0.0, 0.0]
            while not all(ends):
                block = [0.0, 0.0]
                for on, stream in enumerate(both):
                    begun = time.thread_time()
                    for _ in range(BLOCK):
                        try:
                            stream.__next__()
                        except StopIteration:
                            ends[on] = 1.0
                            break
                    block[on] = time.thread_time() - begun
                count += BLOCK
                _add_block(samples, block, over=any(ends))
            self._count_others(samples, whole, mine, count)
        return samples

    async def take_chunks_async(self, api: str, length: int, streams: int) -> Samples:
        """Read the same with the async client."""
        samples = _empty_chunks()
        for _ in range(streams):
            both = []
            for on in (False, True):
                self.switch.set(on=on)
                both.append(await self._opened_async(api, length))
            whole, mine = time.process_time(), time.thread_time()
            count = 0
            ends = [0.0, 0.0]
            while not all(ends):
                block = [0.0, 0.0]
                for on, stream in enumerate(both):
                    begun = time.thread_time()
                    for _ in range(BLOCK):
                        try:
                            await stream.__anext__()
                        except StopAsyncIteration:
                            ends[on] = 1.0
                            break
                    block[on] = time.thread_time() - begun
                count += BLOCK
                _add_block(samples, block, over=any(ends))
            self._count_others(samples, whole, mine, count)
        return samples

    def _count_others(self, samples: Samples, whole: float, mine: float, chunks: int) -> None:
        """Add what other threads needed for the stream that just ended, until all was told."""
        flushing = time.thread_time()
        self.flush()
        flushed = time.thread_time() - flushing
        spent = time.process_time() - whole - (time.thread_time() - mine)
        samples["others"].append((max(spent, 0.0) + flushed) / chunks)

    def take_end(self, api: str, length: int, pairs: int) -> Samples:
        """Time the pull that ends a stream, bare and instrumented by turns."""
        samples: Samples = {"bare": [], "on": []}
        for _ in range(pairs):
            for on in (False, True):
                self.switch.set(on=on)
                stream = self._opened(api, length)
                begun = time.thread_time()
                try:
                    while True:
                        begun = time.thread_time()
                        stream.__next__()
                except StopIteration:
                    samples["on" if on else "bare"].append(time.thread_time() - begun)
                self.flush()
        return samples

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

    async def take_crowd(self, streams: int, length: int) -> Samples:
        """Read many streams at once: CPU seconds of the process, until all is told."""
        samples: Samples = {"bare": [], "on": []}
        for on in (False, True):
            self.switch.set(on=on)
            begun = time.process_time()
            await asyncio.gather(*(self._read(length) for _ in range(streams)))
            self.flush()
            samples["on" if on else "bare"].append(time.process_time() - begun)
        return samples

    async def _read(self, length: int) -> None:
        async for _ in await self._opened_async("chat", length, pause=True):
            pass


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
    return {"bare": [], "on": [], "others": []}


def _add_block(samples: Samples, block: list[float], *, over: bool) -> None:
    if not over:  # the last block is not a whole one, and has the end in it
        samples["bare"].append(block[0] / BLOCK)
        samples["on"].append(block[1] / BLOCK)
