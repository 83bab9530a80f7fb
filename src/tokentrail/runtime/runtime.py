"""The state that all calls share: settings, emitter, worker, encodings, memory of servers.

A runtime does not know the class of calls: it holds open calls as objects that can be ended.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from contextlib import suppress
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Protocol

from tokentrail.config import Cost, OnConflict, TokenCounting
from tokentrail.counting.encodings import ENCODINGS
from tokentrail.runtime.worker import Worker
from tokentrail.support import guard
from tokentrail.support.bounded import BoundedCache
from tokentrail.support.fork import IMPORTING
from tokentrail.support.lazy import LateModule, import_once
from tokentrail.telemetry import coexistence
from tokentrail.telemetry.metrics.batching import reject
from tokentrail.usage import resolve
from tokentrail.usage.background import BackgroundUsage
from tokentrail.usage.calibration import Calibration

if TYPE_CHECKING:
    from tokentrail import content
    from tokentrail.config import Settings
    from tokentrail.content import Redaction
    from tokentrail.cost import Prices
    from tokentrail.model.records import Request, Response
    from tokentrail.runtime import stream_usage
    from tokentrail.runtime.stream_usage import StreamUsageMemory
    from tokentrail.runtime.worker import Job
    from tokentrail.telemetry.emitter import Emitter
    from tokentrail.usage.explain.explainer import Explainer
else:
    content = LateModule("content")
    stream_usage = LateModule("runtime.stream_usage")

_REMEMBERED = 512
"""How many deployments have their model remembered."""


class OpenCall(Protocol):
    """A call that has not ended."""

    def on_closed(self) -> None:
        """End the call as if the application had closed its answer."""


class Runtime:
    """Serves the calls of one ``instrument()``, until ``uninstrument()``."""

    def __init__(self, settings: Settings, emitter: Emitter) -> None:
        self.settings = settings
        self.emitter = emitter
        self.encodings = ENCODINGS
        self.worker = Worker()
        self.conflicts = Conflicts(settings.on_conflict)
        self.background = BackgroundUsage(counts_all=settings.fetched_usage_metrics)
        """The usage of responses that the server generates in the background."""
        counts = settings.token_counting is not TokenCounting.OFF
        self.calibration = Calibration() if settings.calibration and counts else None
        """``None`` if calibration is disabled."""
        self.explainer = _explainer(settings) if counts else None
        """``None`` if nothing is explained. Only the worker uses it."""
        self.prices = _prices(settings)
        """``None`` if costs are not enabled."""
        self.open_calls: set[OpenCall] = set()
        """Calls that have not ended."""
        self.generation = 0
        """Increased in a forked child, which must not record its parent's calls."""
        self._models: BoundedCache[tuple[str, str], str] = BoundedCache(_REMEMBERED)
        identify = partial(resolve.identify, models=settings.model_aliases)
        self._identified = lru_cache(_REMEMBERED)(identify)
        self.is_prepared = False
        """Whether :meth:`prepare` was called."""
        self._is_closed = False
        emitter.metrics.batch.submit = self.submit_unless_on_worker
        emitter.provider_flush.drain = self.flush
        emitter.provider_flush.warn = self.worker.warn_if_stuck
        _runtimes.add(self)

    @cached_property
    def stream_usage(self) -> StreamUsageMemory:
        """What is known about servers, where the usage of streams is requested."""
        memory: StreamUsageMemory = stream_usage.StreamUsageMemory()
        return memory

    @cached_property
    def redaction(self) -> Redaction:
        """The redaction of content before it is recorded."""
        settings = self.settings
        redact, limit = settings.redact, settings.content_max_chars
        return content.Redaction(redact, limit, settings.capture_binary)

    def prepare(self) -> None:
        """Prepare for the end of the program. The first call runs this."""
        self.is_prepared = True
        atexit.register(self._exit)
        # tiktoken needs this module in the background; it cannot be imported while a program exits.
        import_once("concurrent.futures.thread")
        self.emitter.inform_of_no_provider()

    def submit(self, job: Job) -> bool:
        """Give ``job`` to the worker; return whether it accepted. Not for finalisers."""
        if self._is_closed or self.worker.full() or not self.worker.ensure():
            return False
        self.worker.put(job)
        self.emitter.provider_flush.look_again()
        return True

    def submit_unless_on_worker(self, job: Job) -> bool:
        """Submit ``job``, unless this is the worker's thread; return whether it was taken."""
        taken = not self.worker.is_current() and self.submit(job)
        return taken and not self._is_closed

    def start_encoding(self, name: str) -> None:
        """Start building the encoding in the background, unless it is built or has failed."""
        if not self.encodings.is_settled(name):
            self.encodings.start(name, self.worker.wake)

    def identify(self, request: Request, response: Response | None) -> resolve.Model:
        """Return the model to count ``request`` with, given the ``response`` known so far."""
        named = response.model if response is not None else None
        remembered = self._models.get((request.endpoint.key, request.model or ""))
        return self._identified(request.model, named, remembered)

    def remember(self, request: Request, response: Response | None) -> None:
        """Remember the model of a deployment, for calls that end before the answer names it."""
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
        """Whether tokentrail's internal metrics are enabled."""
        return self.settings.internal_metrics

    def flush(self, timeout: float) -> bool:
        """Wait until every call that has ended is recorded; return whether all are."""
        batch = self.emitter.metrics.batch
        batch.waiters.append(None)
        try:
            with guard.shield("flush"):
                if self._is_closed:  # a late stream may have queued work; no thread may start again
                    self.worker.stop(timeout)
                return self.worker.flush(timeout)
            return False
        finally:
            batch.waiters.pop()
            with guard.shield("metrics"):
                batch.empty()  # what reached the worker too late, or not at all

    def drain(self, timeout: float) -> bool:
        """Flush; if a user's function hangs, only the first flush waits for it."""
        return self.flush(0.0 if self.worker.is_stuck else timeout)

    def backlog(self) -> int:
        """Return the number of jobs that wait for the worker."""
        return self.worker.backlog()

    def close(self) -> None:
        """Record ended calls and stop the worker; open calls are recorded when they end."""
        until = time.monotonic() + self.settings.count_timeout
        self.flush(self.settings.count_timeout)
        self._is_closed = True
        with guard.shield("stop"):
            self.worker.stop(until - time.monotonic())
            self.worker.warn_if_stuck()
        batch = self.emitter.metrics.batch
        batch.submit = reject
        self.emitter.provider_flush.remove()
        with guard.shield("metrics"):
            batch.empty()
        if not self.open_calls:  # else the exit hook records dropped streams
            atexit.unregister(self._exit)

    def _exit(self) -> None:
        """Record the remaining calls at exit, before the providers shut down."""
        self.end_open_calls()
        self.close()
        _end_by_interrupt_still()

    def end_open_calls(self) -> None:
        """End all open calls."""
        for call in list(self.open_calls):
            call.on_closed()

    def forked(self) -> None:
        """In a forked child, drop the state that belongs to the parent."""
        self.generation += 1
        self.open_calls.clear()
        self.emitter.metrics.batch.forked()
        self.worker.forked()
        if self.calibration is not None:
            self.calibration.forked()


def _end_by_interrupt_still() -> None:
    """Let a program that ends by an unhandled ``KeyboardInterrupt`` still exit by SIGINT.

    CPython forgets the interrupt if code is executed from text meanwhile, as each dataclass of a
    module imported now does. It remembers it again if such a text is interrupted. An interactive
    Python survives an interrupt, so its exit is left unchanged.
    """
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1"):
        with suppress(KeyboardInterrupt):
            exec("raise KeyboardInterrupt")  # noqa: S102 - a constant, and the only way to say so


class Conflicts:
    """Checks, for every call, whether another instrumentation records it too."""

    def __init__(self, on_conflict: OnConflict) -> None:
        self._defers = on_conflict is OnConflict.DEFER
        """Whether calls that another instrumentation records are left to it."""
        self._may_warn = on_conflict is OnConflict.BOTH
        """Whether a conflict has to be warned about: none was seen yet."""
        self._modules = 0
        """The number of imported modules at the last search for other instrumentations."""
        self._others = False
        """Whether that search found any."""

    def is_recorded_elsewhere(self, client: object, operation: str) -> bool:
        """Whether a call is left to another instrumentation; warn once if it is recorded twice."""
        if self._may_warn:
            if len(sys.modules) != self._modules:  # search again after imports
                self._modules = len(sys.modules)
                self._others = not coexistence.MODULES.isdisjoint(sys.modules)
            if self._others:
                self._may_warn = not coexistence.warn_of_conflict(client)
        return self._defers and coexistence.is_instrumented_elsewhere(client, operation)


def _explainer(settings: Settings) -> Explainer | None:
    if settings.explain <= 0:
        return None
    with IMPORTING:
        from tokentrail.usage.explain.explainer import Explainer

    names = settings.capture_content.on_spans and not settings.withhold
    return Explainer(settings.explain, names=names)


def _prices(settings: Settings) -> Prices | None:
    if settings.cost is Cost.OFF:
        return None
    with IMPORTING:
        from tokentrail.cost import Prices

    return Prices(
        settings.prices, counted=settings.cost is Cost.COUNTED, attributes=settings.cost_attributes
    )


active: Runtime | None = None
"""The runtime between instrument() and uninstrument()."""
_runtimes: weakref.WeakSet[Runtime] = weakref.WeakSet()
"""All runtimes: one that was deactivated may still have open calls."""


def current() -> Runtime | None:
    """Return the active runtime, between instrument() and uninstrument()."""
    return active


def activate(runtime: Runtime | None) -> None:
    """Make ``runtime`` the active one; ``None`` for none."""
    global active
    active = runtime


def flush(timeout: float, *, end_open_calls: bool = False) -> bool:
    """Wait until every call of the program that has ended is recorded; return whether all are.

    ``end_open_calls``: end open calls first.
    """
    if end_open_calls:
        for runtime in list(_runtimes):
            runtime.end_open_calls()
    done = [runtime.flush(timeout) for runtime in list(_runtimes)]  # all, even if one is late
    return all(done)


def _forked() -> None:
    ENCODINGS.forked()
    for runtime in list(_runtimes):
        runtime.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
