"""Whether objects, threads or memory grow over a run."""

from __future__ import annotations

import gc
import os
import statistics
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soak.application import say

if TYPE_CHECKING:
    from collections.abc import Callable

APART = 0.05
"""Share by which the second and the last tenth of a run may differ."""
FEWEST = 20
"""Samples that make tenths."""


@dataclass
class Growth:
    """Samples of a run, taken at equal distances."""

    samples: list[tuple[float, float, float]] = field(default_factory=list)

    def take(self) -> None:
        """Take a sample.

        Blocks stand for objects: to list those may break a tuple that another thread is making.
        """
        gc.collect()
        self.samples.append((sys.getallocatedblocks(), threading.active_count(), _memory()))

    def watch(self, seconds: float, is_warm: Callable[[], bool]) -> threading.Event:
        """Take samples for so long once it is warm; return what is set when it is over."""
        over = threading.Event()

        def watch() -> None:
            while not is_warm():
                time.sleep(0.1)
            until = time.monotonic() + seconds
            while time.monotonic() < until or len(self.samples) < 2 * FEWEST:
                self.take()
                time.sleep(seconds / 100)
            over.set()

        threading.Thread(target=watch).start()
        return over

    def check(self) -> list[str]:
        """Say how the tenths compare; return what grew."""
        if len(self.samples) < FEWEST:
            return [f"{len(self.samples)} samples are too few to see growth: run longer"]
        tenth = len(self.samples) // 10
        early, late = self.samples[tenth : 2 * tenth], self.samples[-tenth:]
        wrong = []
        for number, name in enumerate(("objects", "threads", "megabytes")):
            before, after = (statistics.median(each[number] for each in t) for t in (early, late))
            apart = after / max(before, 1) - 1
            say(f"{before:,.0f} {name} in the second tenth, {after:,.0f} in the last: {apart:+.1%}")
            if apart > APART:
                wrong.append(f"{name} grew from {before:,.0f} to {after:,.0f}")
        return wrong


def _memory() -> float:
    """Return the resident memory in MB; where nobody says, none."""
    try:
        with open("/proc/self/statm", encoding="ascii") as said:  # noqa: PTH123 - no file on a disk
            return int(said.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0
