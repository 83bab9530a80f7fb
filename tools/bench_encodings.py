"""Measure what an encoding weighs: the longest pause of an event loop, and memory, forked or not.

    python tools/bench_encodings.py

Each measurement runs in a process of its own. The pause is the longest gap of a 1 ms ticker in an
asyncio program while an encoder is made in another thread, in Python or by tiktoken; the memory is
what stays (Rss), and what four forked workers and their parent take together (Pss: shared pages
count once). Linux only.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

WORKERS = 4
NAMES = ("cl100k_base", "o200k_base")


def kilobytes(kind: str) -> int:
    """Return Rss or Pss of this process in kB."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))


async def longest_gap(until: threading.Event) -> float:
    """Tick every millisecond until the event is set; return the longest gap in ms."""
    longest, last = 0.0, time.perf_counter()
    while not until.is_set():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest * 1000


def made(name: str, *, by_tiktoken: bool) -> None:
    """Make an encoder in another thread beside a ticker."""
    import tiktoken

    from tokentrail.counting import Encodings

    held = [0.0]

    def constructed(*args: object, **kwargs: object) -> object:
        begun = time.thread_time()
        try:
            return construct(*args, **kwargs)
        finally:
            held[0] = max(held[0], time.thread_time() - begun)

    construct, tiktoken.Encoding = tiktoken.Encoding, constructed
    ready, encodings = threading.Event(), Encodings()

    def load() -> None:
        encodings.load(name)
        ready.set()

    gc.collect()
    before, spent = kilobytes("Rss"), time.process_time()
    if by_tiktoken:
        threading.Thread(target=load).start()
    else:
        encodings.start(name, ready.set)
    gap = asyncio.run(longest_gap(ready))
    gc.collect()
    kept = (kilobytes("Rss") - before) / 1024
    print(f"{gap:.1f} {(time.process_time() - spent) * 1000:.0f} {kept:.0f} {held[0] * 1000:.1f}")


def idle(_: str) -> None:
    """Tick beside nothing, for as long as a build takes."""
    ready = threading.Event()
    threading.Timer(0.5, ready.set).start()
    print(f"{asyncio.run(longest_gap(ready)):.1f}")


def forked(name: str, *, preload: bool) -> None:
    """Fork workers that count; print the sum of what all take for it, in MB."""
    import tiktoken  # noqa: F401 - its import is not what is measured

    from tokentrail.counting import ENCODINGS

    if preload:
        ENCODINGS.load(name)
    pipes = []
    for _ in range(WORKERS):
        (told, tell), (go, let_go) = os.pipe(), os.pipe()
        if os.fork() == 0:
            _work(name, tell, go)
            os._exit(0)
        pipes.append((told, let_go))
    for told, _ in pipes:
        os.read(told, 1)
    total = kilobytes("Pss")
    for _, let_go in pipes:
        os.write(let_go, b"m")
    total += sum(int(os.read(told, 20)) for told, _ in pipes)
    for _, let_go in pipes:
        os.write(let_go, b"x")
    print(f"{total / 1024:.0f}")


def _work(name: str, tell: int, go: int) -> None:
    """Count in a forked worker, and tell what it takes while all are alive."""
    from tokentrail.counting import ENCODINGS

    encoding = ENCODINGS.load(name) if name else None
    for _ in range(200 if encoding is not None else 0):
        encoding.encode_ordinary("The quick brown fox jumps over the lazy dog. " * 20)
    gc.collect()
    os.write(tell, b"r")
    os.read(go, 1)
    os.write(tell, str(kilobytes("Pss")).encode())
    os.read(go, 1)


def measured(what: str, name: str) -> list[str]:
    """Run one measurement in a process of its own; return what it printed."""
    command = [sys.executable, __file__, what, name]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return run.stdout.split()


def main() -> None:
    """Print the table."""
    nothing = float(measured("workers", "")[0])
    print(f"a ticker beside nothing: longest gap {measured('idle', '')[0]} ms")
    for name in NAMES:
        for how in ("python", "tiktoken"):
            gap, spent, kept, held = measured(how, name)
            print(
                f"{name}, {how}: {spent} ms CPU, {held} ms of it in tiktoken's constructor, longest"
                f" gap {gap} ms; {kept} MB kept"
            )
        each, shared = (float(measured(how, name)[0]) - nothing for how in ("workers", "preloaded"))
        print(
            f"{name}: {WORKERS} forked workers and their parent: {each:.0f} MB where each builds"
            f" it, {shared:.0f} MB with preload_encodings"
        )


if __name__ == "__main__":
    MEASUREMENTS = {
        "python": lambda name: made(name, by_tiktoken=False),
        "tiktoken": lambda name: made(name, by_tiktoken=True),
        "idle": idle,
        "workers": lambda name: forked(name, preload=False),
        "preloaded": lambda name: forked(name, preload=True),
    }
    if len(sys.argv) > 1:
        MEASUREMENTS[sys.argv[1]](sys.argv[2])
    else:
        main()
