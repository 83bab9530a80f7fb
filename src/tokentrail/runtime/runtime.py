"""What all calls of an instrumented program share: settings, emitter, worker, encodings, memory.

A runtime knows no calls: those that have not ended are a set of things that can be ended.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from contextlib import suppress
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from tokentrail.config import Cost, OnConflict, TokenCounting
from tokentrail.counting.encodings import ENCODINGS
from tokentrail.runtime.stream_usage import StreamUsageMemory
from tokentrail.runtime.worker import Worker
from tokentrail.support import guard
from tokentrail.support.bounded import BoundedCache
from tokentrail.telemetry import coexistence
from tokentrail.telemetry.metrics.batching import reject
from tokentrail.usage import resolve
from tokentrail.usage.background import BackgroundUsage
from tokentrail.usage.calibration import Calibration

if TYPE_CHECKING:
    from tokentrail.config import Settings
    from tokentrail.content import Redaction
    from tokentrail.cost import Prices
    from tokentrail.model.records import Request, Response
    from tokentrail.runtime.worker import Job
    from tokentrail.telemetry.emitter import Emitter
    from tokentrail.usage.explain.explainer import Explainer

_REMEMBERED = 512
"""Deployments whose model is remembered."""


class OpenCall(Protocol):
    """A call that has not ended."""

    def on_closed(self) -> None:
        """End it, as if the application had closed its answer."""


class Runtime:
    """Runs the calls of one ``instrument()``, from there to ``uninstrument()``."""

    def __init__(self, settings: Settings, emitter: Emitter) -> None:
        self.settings = settings
        self.emitter = emitter
        self.encodings = ENCODINGS
        self.worker = Worker()
        self.conflicts = Conflicts(settings.on_conflict)
        self.stream_usage = StreamUsageMemory()
        self.background = BackgroundUsage(counts_all=settings.fetched_usage_metrics)
        """Usage of responses that are made in the background."""
        counts = settings.token_counting is not TokenCounting.OFF
        self.calibration = Calibration() if settings.calibration and counts else None
        """``None`` where nothing is to be learned from reports."""
        self.explainer = _explainer(settings) if counts else None
        """``None`` where nothing is explained. For the worker alone."""
        self.prices = _prices(settings)
        """``None`` where cost is not asked for."""
        self.open_calls: set[OpenCall] = set()
        """Calls that have not ended."""
        self.generation = 0
        """Differs in a forked child, which must not record its parent's calls."""
        self._models: BoundedCache[tuple[str, str], str] = BoundedCache(_REMEMBERED)
        self.is_prepared = False
        """What must be there before the program ends is in place."""
        self._is_closed = False
        emitter.metrics.batch.submit = self.submit_unless_on_worker
        emitter.provider_flush.drain = self.flush
        _runtimes.add(self)

    @cached_property
    def redaction(self) -> Redaction:
        """What is done to content before it is recorded."""
        from tokentrail.content import Redaction

        settings = self.settings
        return Redaction(settings.redact, settings.content_max_chars, settings.capture_binary)

    def prepare(self) -> None:
        """Have in place what must be there before the program ends. The first call does it."""
        self.is_prepared = True
        atexit.register(self._exit)
        # tiktoken needs it in the background, and it cannot be loaded while a program exits.
        import_module("concurrent.futures.thread")
        self.emitter.inform_of_no_provider()

    def submit(self, job: Job) -> bool:
        """Give ``job`` to the worker; return whether it was taken. Not for finalisers."""
        if self._is_closed or self.worker.full() or not self.worker.ensure():
            return False
        self.worker.put(job)
        self.emitter.provider_flush.look_again()
        return True

    def submit_unless_on_worker(self, job: Job) -> bool:
        """Give the worker a job, unless it is at work on this very call: then it goes on."""
        taken = not self.worker.is_current() and self.submit(job)
        return taken and not self._is_closed

    def start_encoding(self, name: str) -> None:
        """Have the encoding built in the background, unless it is there already."""
        if not self.encodings.is_settled(name):
            self.encodings.start(name, self.worker.wake)

    def identify(self, request: Request, response: Response | None) -> resolve.Model:
        """Return what to count ``request`` with, its answer being known as ``response``."""
        named = response.model if response is not None else None
        remembered = self._models.get((request.endpoint.key, request.model or ""))
        return resolve.identify(request.model, named, remembered, self.settings.model_aliases)

    def remember(self, request: Request, response: Response | None) -> None:
        """Keep what model a deployment turned out to be, for calls that end before it is named."""
        model = response.model if response is not None else None
        if model is None or request.model is None:
            return
        deployment = request.endpoint.key, request.model
        if model == request.model:
            self._models.pop(deployment, None)
        elif self._models.get(deployment) != model:
            self._models.keep(deployment, model)

    @property
    def emits_internal_metrics(self) -> bool:
        """Whether tokentrail's metrics of itself are wanted."""
        return self.settings.internal_metrics

    def flush(self, timeout: float) -> bool:
        """Wait until every call that ended by now is recorded; return whether all are."""
        if self._is_closed:  # a stream that outlived it was dropped, and no thread is to come back
            self.worker.stop(timeout)
        batch = self.emitter.metrics.batch
        batch.waiters.append(None)
        try:
            return self.worker.flush(timeout)
        finally:
            batch.waiters.pop()
            with guard.shield("metrics"):
                batch.empty()  # what came to the worker too late, or not at all

    def drain(self, timeout: float) -> bool:
        """Flush; a function of the user's that hangs holds up only the first who waits for it."""
        return self.flush(0.0 if self.worker.is_stuck else timeout)

    def backlog(self) -> int:
        """Return the number of pieces of work that wait for the worker."""
        return self.worker.backlog()

    def close(self) -> None:
        """Record what ended and end the worker; calls still open are recorded when they end."""
        until = time.monotonic() + self.settings.count_timeout
        self.flush(self.settings.count_timeout)
        self._is_closed = True
        self.worker.stop(until - time.monotonic())
        batch = self.emitter.metrics.batch
        batch.submit = reject
        self.emitter.provider_flush.remove()
        with guard.shield("metrics"):
            batch.empty()
        if not self.open_calls:  # else whoever drops an open stream leaves it to the program's end
            atexit.unregister(self._exit)

    def _exit(self) -> None:
        """Record what is left at the end of the program, before the providers shut down."""
        self.end_open_calls()
        self.close()
        _end_by_interrupt_still()

    def end_open_calls(self) -> None:
        """End the calls that are still open."""
        for call in list(self.open_calls):
            call.on_closed()

    def forked(self) -> None:
        """Forget, in a forked child, what belongs to its parent."""
        self.generation += 1
        self.open_calls.clear()
        self.emitter.metrics.batch.forked()
        self.worker.forked()
        if self.calibration is not None:
            self.calibration.forked()


def _end_by_interrupt_still() -> None:
    """Have a program that an unhandled ``KeyboardInterrupt`` ends exit by SIGINT all the same.

    CPython forgets it when it executes the text of some code meanwhile, as each dataclass of a
    module imported now does, and remembers it when such a text is interrupted. An interactive
    Python lives on after an interrupt, and ends as it does without.
    """
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1"):
        with suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102 - a constant, and the only way to say so


class Conflicts:
    """Whether another instrumentation records the calls, too; asked for every call."""

    def __init__(self, on_conflict: OnConflict) -> None:
        self._defers = on_conflict is OnConflict.DEFER
        """Calls that another instrumentation records are left to it."""
        self._may_warn = on_conflict is OnConflict.BOTH
        """No conflict was seen yet, and one would be warned of."""
        self._modules = 0
        """How many modules were imported when others were looked for ..."""
        self._others = False
        """... and whether there were any."""

    def is_recorded_elsewhere(self, client: object, operation: str) -> bool:
        """Whether a call is left to another one; warn once where it is recorded twice."""
        if self._may_warn:
            if len(sys.modules) != self._modules:  # looked for when anything was imported
                self._modules = len(sys.modules)
                self._others = not coexistence.MODULES.isdisjoint(sys.modules)
            if self._others:
                self._may_warn = not coexistence.warn_of_conflict(client)
        return self._defers and coexistence.is_instrumented_elsewhere(client, operation)


def _explainer(settings: Settings) -> Explainer | None:
    if settings.explain <= 0:
        return None
    from tokentrail.usage.explain.explainer import Explainer

    names = settings.capture_content.on_spans and not settings.withhold
    return Explainer(settings.explain, names=names)


def _prices(settings: Settings) -> Prices | None:
    if settings.cost is Cost.OFF:
        return None
    from tokentrail.cost import Prices

    return Prices(
        settings.prices, counted=settings.cost is Cost.COUNTED, attributes=settings.cost_attributes
    )


active: Runtime | None = None
"""What is in force between instrument() and uninstrument()."""
_runtimes: weakref.WeakSet[Runtime] = weakref.WeakSet()
"""All that there are: one that was switched off may have open calls."""


def current() -> Runtime | None:
    """Return what is in force between instrument() and uninstrument()."""
    return active


def activate(runtime: Runtime | None) -> None:
    """Put ``runtime`` in force from now on; ``None`` for nothing."""
    global active
    active = runtime


def flush(timeout: float, *, end_open_calls: bool = False) -> bool:
    """Wait until every call of the program that ended by now is recorded; return whether all are.

    ``end_open_calls``: those that are open end now.
    """
    if end_open_calls:
        for runtime in list(_runtimes):
            runtime.end_open_calls()
    done = [runtime.flush(timeout) for runtime in list(_runtimes)]  # each, whatever the others say
    return all(done)


def _forked() -> None:
    ENCODINGS.forked()
    for runtime in list(_runtimes):
        runtime.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
