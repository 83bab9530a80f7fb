"""What tokentrail emits about itself, and the drain before metrics are collected.

The callback of an observable instrument runs inside every collection, before the points of the
other instruments are gathered: waiting there for the worker makes a collection complete. A
callback cannot be taken back, so there is one set for each meter provider in the life of the
process, and it asks for the runtime that is in force.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Protocol

from opentelemetry.metrics import Observation

from tokentrail.support import guard
from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider

LONGEST_WAIT = 2.0
"""Seconds that a collection waits for the worker."""

_queued = _estimated = _corrected = 0


class Measured(Protocol):
    """What is measured, and waited for."""

    @property
    def emits_internal_metrics(self) -> bool:
        """Whether the numbers are wanted at all."""

    def drain(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds until all that ended is recorded.

        Not at all for what others waited for in vain.
        """

    def backlog(self) -> int:
        """Return the number of pieces of work that wait."""


def note_queued() -> None:
    """Add a call whose count was left to the worker. The number never falls in this process."""
    global _queued
    _queued += 1


def note_estimated() -> None:
    """Add a call that was estimated for lack of time to count. The number never falls, either."""
    global _estimated
    _estimated += 1


def note_corrected() -> None:
    """Add a count by proven rules that calibration has put right. The number never falls."""
    global _corrected
    _corrected += 1


_observed: weakref.WeakSet[MeterProvider] = weakref.WeakSet()


def observe(provider: MeterProvider, meter: Meter, current: Callable[[], Measured | None]) -> None:
    """Register the callbacks with ``meter``, once for each ``provider``.

    ``current`` returns what collections measure, ``None`` where that is nothing.
    """
    if provider in _observed:
        return
    _observed.add(provider)
    size = semconv.INSTRUMENTS[semconv.QUEUE_SIZE]
    meter.create_observable_up_down_counter(
        semconv.QUEUE_SIZE, [_Observer(_drained_backlog, current)], size.unit, size.description
    )
    for name, read in (
        (semconv.INTERNAL_ERRORS, _errors),
        (semconv.COUNTS_QUEUED, _left),
        (semconv.COUNTS_ESTIMATED, _guessed),
        (semconv.COUNTS_CORRECTED, _put_right),
    ):
        row = semconv.INSTRUMENTS[name]
        observer = _Observer(read, current)
        meter.create_observable_counter(name, [observer], row.unit, row.description)


def _drained_backlog(measured: Measured, options: CallbackOptions) -> int:
    measured.drain(min(LONGEST_WAIT, options.timeout_millis / 2000))
    return measured.backlog()


def _errors(measured: Measured, options: CallbackOptions) -> int:
    return guard.swallowed


def _left(measured: Measured, options: CallbackOptions) -> int:
    return _queued


def _guessed(measured: Measured, options: CallbackOptions) -> int:
    return _estimated


def _put_right(measured: Measured, options: CallbackOptions) -> int:
    return _corrected


class _Observer:
    """The callback of one instrument."""

    def __init__(
        self,
        read: Callable[[Measured, CallbackOptions], int],
        current: Callable[[], Measured | None],
    ) -> None:
        self._read = read
        self._current = current

    def __call__(self, options: CallbackOptions) -> Iterable[Observation]:
        measured = self._current()
        if measured is not None:
            with guard.shield("collection"):
                number = self._read(measured, options)
                return [Observation(number)] if measured.emits_internal_metrics else []
        return []
