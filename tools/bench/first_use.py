"""One fresh process of tokentrail: what its first stream costs, once, since an encoding is built.

    python -m bench.first_use [ENCODING]

Prints the longest time that the event loop stood still meanwhile, by the clock of a ticker of 1 ms,
and the MB by which the process grew with plain calls, and with the encoding. With ENCODING that is
preloaded: then its build is in what plain calls take, not in the stall.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import wire
from bench.turns import providers

import tokentrail
from tokentrail.counting import ENCODINGS

if TYPE_CHECKING:
    from openai import AsyncOpenAI

CALLS = 50
STREAMS = 20
LENGTH = "200"
PATIENCE = 30.0
"""Seconds in which an encoding is built on any machine."""


def _resident() -> float:
    """Return the bytes of the process that are in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


async def _longest_gap(until: asyncio.Event) -> float:
    longest = 0.0
    while not until.is_set():
        begun = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - begun - 0.001)
    return longest


async def _stream(client: AsyncOpenAI) -> None:
    headers = {wire.LENGTH: LENGTH, wire.PAUSE: "yes"}
    async for _ in await client.chat.completions.create(
        **wire.CHAT, stream=True, extra_headers=headers
    ):
        pass


async def _streams() -> float:
    """Read streams until the encoding is there; return the longest time that the loop stood."""
    _, client = wire.clients()
    over = asyncio.Event()
    ticking = asyncio.ensure_future(_longest_gap(over))
    await asyncio.sleep(0)  # it ticks when the first stream is asked for
    until = time.monotonic() + PATIENCE
    for number in range(10_000):
        await _stream(client)
        if (number >= STREAMS and ENCODINGS.has_any) or time.monotonic() > until:
            break
    over.set()
    return await ticking


def main() -> None:
    """Instrument, make plain calls, then streams, and print what it came to."""
    answers = os.fdopen(os.dup(1), "w")
    logging.disable(logging.CRITICAL)
    client, _ = wire.clients()
    client.chat.completions.create(**wire.CHAT)
    # The client imports and builds things of its own at its first stream, for some 15 ms.
    asyncio.run(_stream(wire.clients()[1]))
    begun = _resident()
    traces, metrics = providers("on")
    tokentrail.instrument(
        tracer_provider=traces, meter_provider=metrics, preload_encodings=sys.argv[1:]
    )
    for _ in range(CALLS):
        client.chat.completions.create(**wire.CHAT)
    tokentrail.flush(60)
    plain = _resident()
    is_loaded = ENCODINGS.has_any
    stall = asyncio.run(_streams())
    tokentrail.flush(60)
    taken = {
        "stall": stall,
        "plain": plain - begun,
        "encoding": _resident() - plain,
        "loaded": float(is_loaded),
    }
    print(json.dumps(taken), file=answers, flush=True)


if __name__ == "__main__":
    main()
