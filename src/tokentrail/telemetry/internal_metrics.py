"""What tokentrail tells of itself, and the drain before metrics are collected.

The callback of an observable instrument runs inside every collection, before the points of the
other instruments are gathered: waiting there for the worker makes a collection complete. A
callback cannot be taken back, so there is one set for each meter provider in the life of the
process, and it asks for the engine that is in force.
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


class Engine(Protocol):
    """What is told of, and waited for."""

    @property
    def deferred(self) -> int:
        """Calls that the worker had to settle."""

    @property
    def degraded(self) -> int:
        """Calls that were settled by estimate because there was no time to count."""

    @property
    def tells_health(self) -> bool:
        """Whether the numbers are told at all."""

    def flush(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds until all that ended is told."""

    def backlog(self) -> int:
        """Return the number of pieces of work that wait."""


_observed: weakref.WeakSet[MeterProvider] = weakref.WeakSet()
_engine: Engine | None = None


def set_engine(engine: Engine | None) -> None:
    """Name what collections ask from now on; ``None`` for nothing."""
    global _engine  # noqa: PLW0603 - callbacks cannot be unregistered, so they ask here
    _engine = engine


def observe(provider: MeterProvider, meter: Meter) -> None:
    """Register the callbacks with ``meter``, once for each ``provider``."""
    if provider in _observed:
        return
    _observed.add(provider)
    meter.create_observable_up_down_counter(
        semconv.QUEUE_SIZE,
        [_observer(_drained_backlog)],
        "{item}",
        "Pieces of work that wait for tokentrail's worker.",
    )
    for name, unit, about, read in (
        (
            semconv.INTERNAL_ERRORS,
            "{error}",
            "Errors of tokentrail's own that were swallowed.",
            _errors,
        ),
        (semconv.COUNTS_QUEUED, "{call}", "Calls whose count was left to the worker.", _deferred),
        (
            semconv.COUNTS_ESTIMATED,
            "{call}",
            "Calls estimated because there was no time.",
            _degraded,
        ),
    ):
        meter.create_observable_counter(name, [_observer(read)], unit, about)


def _drained_backlog(engine: Engine, options: CallbackOptions) -> int:
    engine.flush(min(LONGEST_WAIT, options.timeout_millis / 2000))
    return engine.backlog()


def _errors(engine: Engine, options: CallbackOptions) -> int:  # noqa: ARG001 - as the others
    return guard.swallowed


def _deferred(engine: Engine, options: CallbackOptions) -> int:  # noqa: ARG001 - as the others
    return engine.deferred


def _degraded(engine: Engine, options: CallbackOptions) -> int:  # noqa: ARG001 - as the others
    return engine.degraded


def _observer(
    read: Callable[[Engine, CallbackOptions], int],
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def callback(options: CallbackOptions) -> Iterable[Observation]:
        engine = _engine
        if engine is None:
            return []
        try:
            number = read(engine, options)
        except Exception as error:  # noqa: BLE001 - a collection must not fail for us
            guard.internal_error("collection", error)
            return []
        return [Observation(number)] if engine.tells_health else []

    return callback
