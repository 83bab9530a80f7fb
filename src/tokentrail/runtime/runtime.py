"""What all calls of an instrumented program share: settings, teller, worker, encodings, memory."""

from __future__ import annotations

import atexit
import os
import sys
import time
import weakref
from importlib import import_module
from typing import TYPE_CHECKING

from tokentrail.apis.observed import ObservedAdapter
from tokentrail.call import finalize
from tokentrail.call.call import Call
from tokentrail.call.recorder import Recorder
from tokentrail.config import Cost, OnConflict, TokenCounting
from tokentrail.content import Capture, CapturingAdapter, Content, Redaction, content_accumulator
from tokentrail.cost import Prices
from tokentrail.counting import ENCODINGS, OutputTally
from tokentrail.patching.include_usage import Refusals
from tokentrail.runtime.worker import Worker
from tokentrail.support import guard
from tokentrail.telemetry import attribution, coexistence
from tokentrail.telemetry.metrics.batching import reject
from tokentrail.usage import resolve
from tokentrail.usage.background import BackgroundUsage

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context

    from tokentrail.apis import ApiAdapter
    from tokentrail.config import Settings
    from tokentrail.model.records import Request, Response
    from tokentrail.runtime.worker import Job
    from tokentrail.telemetry.emitter import Teller, Telling

_REMEMBERED = 512
"""Deployments whose model is remembered."""


class Engine:
    """Runs the calls of one ``instrument()``, from there to ``uninstrument()``."""

    def __init__(self, settings: Settings, teller: Teller) -> None:
        self.settings = settings
        self.teller = teller
        self.encodings = ENCODINGS
        self.worker = Worker()
        self.refusals = Refusals()
        self.owed = BackgroundUsage()
        self.prices = _prices(settings)
        """``None`` where cost is not asked for."""
        self.open: set[Call] = set()
        """Calls that have not ended."""
        self.generation = 0
        """Differs in a forked child, which must not tell its parent's calls."""
        self._rules = Redaction(
            settings.redact, settings.content_max_chars, settings.capture_binary
        )
        self._models: dict[tuple[str, str], str] = {}
        self._used = False
        self._alone = settings.on_conflict is OnConflict.BOTH
        """No conflict was seen yet, and one would be warned of."""
        self._imported = 0
        """How many modules were when neighbours were looked for ..."""
        self._neighbours = False
        """... and whether there were any."""
        self._defers = settings.on_conflict is OnConflict.DEFER
        """Calls that another instrumentation tells are left to it."""
        self._closed = False
        teller.metrics.deferred.give = self._leave
        _engines.add(self)

    def start(  # noqa: PLR0913, PLR0917 - the parts of one call
        self,
        shape: ApiAdapter,
        client: object,
        context: Context,
        request: Request,
        late_request: Callable[[], Request] | None,
        said: Callable[[], Callable[[], Content]],
        *,
        early: bool = False,
        watched: bool = False,
    ) -> tuple[Recorder | None, Telling]:
        """Start to record and tell a call that is about to be made in ``context``.

        There is no recorder where nobody would be told: no span is recorded, metrics and events are
        off. ``late_request``: reads what was not read of the request; ``early``: that is done now.
        ``said``: returns what returns what the request says. ``watched``: its stream has to be seen
        in any case, since it was asked for its usage, which will be there.
        """
        if not self._used:
            self._used = True
            atexit.register(self._exit)
            # tiktoken needs it in the background, and it cannot be loaded while a program exits.
            import_module("concurrent.futures.thread")
        if self._alone and self._has_neighbours():
            self._alone = not coexistence.warn_of_conflict(client)
        request = attribution.with_context_attributes(request, self.settings.baggage_keys, context)
        aside = self._defers and coexistence.is_instrumented_elsewhere(client, request.operation)
        begun = time.perf_counter()
        telling = self.teller.begin(request, client, context, aside=aside)
        heard = telling.heard
        if not (watched or heard):
            return None, telling
        output = self._tally(request) if request.stream and heard else None
        call = Call(self, request, telling, output, late_request if heard else None)
        if early or self.teller.captures:
            self._read(call, said, early=early and heard)
        if call.capture is not None:
            shape = CapturingAdapter(shape, call.capture)
        if telling.follows:
            shape = ObservedAdapter(shape, call.follow)
        gaps = self.settings.time_per_output_chunk and telling.tells_gaps
        call.recorder = recorder = Recorder(
            request,
            shape,
            output,
            call,
            time.perf_counter,
            telling.start_time,
            begun=begun,
            stamped=gaps,
        )
        recorder.detailed = telling.detailed
        self.open.add(call)
        if call.capture is not None:
            recorder.quotes = True
        if output is not None:
            output.ask(call.stream_encoder)
        if self.settings.token_counting is TokenCounting.ALWAYS or (
            request.stream and not watched and self.settings.token_counting is not TokenCounting.OFF
        ):
            self.start_encoding(call.model(None).encoding)
        return recorder, telling

    def _has_neighbours(self) -> bool:
        """Whether another instrumentation is imported; looked for when anything was."""
        if len(sys.modules) != self._imported:
            self._imported = len(sys.modules)
            self._neighbours = not coexistence.MODULES.isdisjoint(sys.modules)
        return self._neighbours

    def _read(self, call: Call, said: Callable[[], Callable[[], Content]], *, early: bool) -> None:
        """Read what a call says, as far as anybody is to be told and it cannot wait."""
        try:
            if early:
                call.read_prompt()
            if self.teller.captures and call.telling.wants_content:
                call.capture = self._capture(call.request, said)
        except BaseException:  # an interrupt: to read what is long takes a while
            call.telling.drop()
            raise

    def _tally(self, request: Request) -> OutputTally | None:
        """Return what counts the answer of a stream, if it is counted; have the worker ready."""
        self.worker.ensure()
        if self.settings.token_counting is TokenCounting.OFF or not resolve.shows_output(request):
            return None
        return OutputTally()

    def _capture(self, request: Request, said: Callable[[], Callable[[], Content]]) -> Capture:
        gathering = content_accumulator(request, schemas=self.settings.capture_tool_schemas)
        asked: Callable[[], Content] = Content
        try:
            asked = said()
        except Exception as error:  # noqa: BLE001 - the call is told without
            guard.internal_error("content of a request", error)
        return Capture(asked, gathering, self._rules, foreign=self.teller.has_hook)

    def hand_over(self, job: Job) -> bool:
        """Give ``job`` to the worker; return whether it was taken. Not for finalisers."""
        if self._closed or self.worker.full() or not self.worker.ensure():
            return False
        self.worker.put(job)
        return True

    def _leave(self, job: Job) -> bool:
        """Give the worker a job, unless it is at work on this very call: then it goes on."""
        taken = not self.worker.is_current() and self.hand_over(job)
        return taken and not self._closed

    def start_encoding(self, name: str) -> None:
        """Have the encoding built in the background, unless it is there already."""
        if self.encodings.get(name) is None and not self.encodings.failed(name):
            self.encodings.start(name, self.worker.wake)

    def identify(self, request: Request, named: str | None) -> resolve.Model:
        """Return what to count ``request`` with, its answer being by the model ``named``."""
        remembered = self._models.get((request.endpoint.key, request.model or ""))
        return resolve.identify(request.model, named, remembered, self.settings.model_aliases)

    def remember(self, request: Request, response: Response | None) -> None:
        """Keep what model a deployment turned out to be, for calls that end before it is named."""
        model = response.model if response is not None else None
        if model is None or request.model is None:
            return
        models, deployment = self._models, (request.endpoint.key, request.model)
        if model == request.model:
            models.pop(deployment, None)
            return
        models[deployment] = model
        if len(models) > _REMEMBERED:
            models.pop(next(iter(models)), None)

    @property
    def deferred(self) -> int:
        """Calls of this process whose count was left to the worker."""
        return finalize.deferred

    @property
    def degraded(self) -> int:
        """Calls of this process that were estimated because there was no time to count."""
        return finalize.degraded

    @property
    def tells_health(self) -> bool:
        """Whether tokentrail tells of itself."""
        return self.settings.internal_metrics

    def flush(self, timeout: float) -> bool:
        """Wait until every call that ended by now is told; return whether all are."""
        if self._closed:  # a stream that outlived it was dropped, and no thread is to come back
            self.worker.stop(timeout)
        deferred = self.teller.metrics.deferred
        deferred.awaited.append(None)
        try:
            return self.worker.flush(timeout)
        finally:
            deferred.awaited.pop()
            try:
                deferred.empty()  # what came to the worker too late, or not at all
            except Exception as error:  # noqa: BLE001 - the worker has it
                guard.internal_error("metrics", error)

    def backlog(self) -> int:
        """Return the number of pieces of work that wait for the worker."""
        return self.worker.backlog()

    def close(self) -> None:
        """Tell what ended and end the worker; calls still open are told when they end."""
        until = time.monotonic() + self.settings.count_timeout
        self.flush(self.settings.count_timeout)
        self._closed = True
        self.worker.stop(until - time.monotonic())
        deferred = self.teller.metrics.deferred
        deferred.give = reject
        try:
            deferred.empty()
        except Exception as error:  # noqa: BLE001 - as in flush
            guard.internal_error("metrics", error)
        if not self.open:  # else whoever drops an open stream leaves it to the end of the program
            atexit.unregister(self._exit)

    def _exit(self) -> None:
        """Tell what is left at the end of the program, before the providers shut down."""
        self.end_open_calls()
        self.close()

    def end_open_calls(self) -> None:
        """End the calls that are still open."""
        for call in list(self.open):
            if call.recorder is not None:
                call.recorder.broken_off()

    def _forked(self) -> None:
        self.generation += 1
        self.open.clear()
        self.teller.metrics.deferred.forked()
        self.worker.forked()


def _prices(settings: Settings) -> Prices | None:
    if settings.cost is Cost.OFF:
        return None
    return Prices(settings.prices, counted=settings.cost is Cost.COUNTED)


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def flush(timeout: float, *, end_open_calls: bool = False) -> bool:
    """Wait until every call of the program that ended by now is told; return whether all are.

    ``end_open_calls``: those that are open end now.
    """
    if end_open_calls:
        for engine in list(_engines):
            engine.end_open_calls()
    told = [engine.flush(timeout) for engine in list(_engines)]  # each, whatever the others say
    return all(told)


def _forked() -> None:
    ENCODINGS.forked()
    for engine in list(_engines):
        engine._forked()  # noqa: SLF001 - same module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
