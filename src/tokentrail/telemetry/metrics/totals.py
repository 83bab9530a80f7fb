"""Counters of our own that cost next to nothing per call.

Adding to an SDK counter takes as long as recording a histogram. So sums are kept here, and an
observable counter reports them at each collection; conventional metrics, whose exemplars others may
read, are recorded call by call. A total lives as long as its meter provider, through any
number of ``instrument()``, since its series must never fall.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation

from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider
    from opentelemetry.util.types import AttributeValue

    Attributes = dict[str, AttributeValue]
    Sum = list[int]

MAX_SERIES = 2000
"""Sets of attributes per total, as in the SDK's own counters."""
OVERFLOW = (("otel.metric.overflow", True),)
"""The attribute that the conventions have for all further sets."""

_totals: weakref.WeakKeyDictionary[MeterProvider, dict[str, Total]] = weakref.WeakKeyDictionary()


_lock = threading.RLock()
"""One lock for all totals, since a call adds to several; a signal handler may enter it again."""


def add(sums: list[Sum], read: int, written: int, wasted: list[Sum] | None) -> None:
    """Add a call and its input and output tokens, each to its sum.

    ``wasted``: the sums of wasted input and output tokens.
    """
    ended, given, made = sums
    with _lock:
        ended[0] += 1
        given[0] += read
        made[0] += written
        if wasted is not None:
            wasted[0][0] += read
            wasted[1][0] += written


def increase(found: Sum) -> None:
    """Add one to a sum."""
    with _lock:
        found[0] += 1


class Total:
    """Sums by attributes; the attributes of one total always stand in the same order."""

    def __init__(self) -> None:
        self._sums: dict[tuple[tuple[str, AttributeValue], ...], Sum] = {}

    def sum(self, attributes: Attributes) -> Sum:
        """Return the sum of ``attributes``, to be kept: finding it costs more than adding."""
        key = tuple(attributes.items())
        with _lock:
            if key not in self._sums and len(self._sums) >= MAX_SERIES:
                key = OVERFLOW
            return self._sums.setdefault(key, [0])

    def add(self, number: int, attributes: Attributes) -> None:
        """Look up the sum of ``attributes`` and add to it: for totals that seldom change."""
        found = self.sum(attributes)
        with _lock:
            found[0] += number

    def observe(self, options: CallbackOptions) -> Iterable[Observation]:
        """Return every sum."""
        with _lock:
            return [Observation(number, dict(key)) for key, (number,) in self._sums.items()]


def total(provider: MeterProvider, meter: Meter, name: str) -> Total:
    """Return the total of that name, recorded by ``meter``; each ``provider`` has one."""
    mine = _totals.setdefault(provider, {})
    if name not in mine:
        mine[name] = Total()
        row = semconv.INSTRUMENTS[name]
        meter.create_observable_counter(name, [mine[name].observe], row.unit, row.description)
    return mine[name]


def _forked() -> None:
    """Replace a lock that the parent process may have held at the fork."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
