"""One call of an instrumented program, from its start until its telemetry is recorded.

A call that can be counted in well under a millisecond is counted at once. Its span is then final
before the application continues; its metric points are final at the next collection. The worker
gets long text and calls whose encoding is still being built, with the true end time and a deadline.

The module is long because it keeps the states of a call and all their transitions together. Other
modules of the package hold what only few calls need.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

from tokentrail import call as late
from tokentrail import counting
from tokentrail.apis import http_metadata
from tokentrail.call.jobs import Gaps, record_gaps
from tokentrail.call.reader import LatePrompt
from tokentrail.config import TokenCounting
from tokentrail.model.records import REPORTED, Usage
from tokentrail.runtime.worker import approximate_size
from tokentrail.support import guard
from tokentrail.telemetry import internal_metrics
from tokentrail.usage import resolve
from tokentrail.usage.tools import tools_of

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator

    from tokentrail.apis.capture import Capture
    from tokentrail.call.live_usage import LiveUsage
    from tokentrail.call.price import PriceLookup
    from tokentrail.call.reader import RequestReader
    from tokentrail.call.recorder import Recorder
    from tokentrail.call.usage_counter import UsageCounter
    from tokentrail.counting import OutputTally
    from tokentrail.model.records import CallCost, Operation, Prompt, Request
    from tokentrail.runtime.runtime import Runtime
    from tokentrail.telemetry.emitter import CallTelemetry

LONG = 8192
"""Size of a request above which the worker reads its prompt: twice what is counted at once."""
_chance = random.Random()  # noqa: S311 - a sample; the program's own random numbers stay its own


class CallState(Enum):
    """The state of a call.

    ======== ==================================================== ========
    state    event                                                next
    ======== ==================================================== ========
    OPEN     an ``on_*`` method has the recorder end the call     ENDED
    ENDED    nothing to count, or counting it now is quick        RECORDED
    ENDED    counting takes long, or the encoding is not built    QUEUED
    ENDED    a finaliser ended the call; it may take no lock      QUEUED
    ENDED    the worker refuses the job: the rest is estimated    RECORDED
    QUEUED   the worker counted all, or the deadline passed       RECORDED
    ======== ==================================================== ========

    In a forked child, a call of the parent stays ENDED: the parent records it.
    """

    OPEN = "open"
    ENDED = "ended"
    QUEUED = "queued"
    RECORDED = "recorded"


_OPEN, _ENDED, _QUEUED, _RECORDED = CallState  # read often: see COMPLETED in model.records


class ObservedCall:
    """Records one call, ends it once, counts its usage and emits its telemetry.

    It is also the worker's job for the call. Class attributes are the values not known yet.
    """

    state = _OPEN
    capture: Capture | None = None
    """Accumulates the content; ``None`` if content is not captured or was already emitted."""
    deadline = 0.0
    """The time, as of ``time.monotonic()``, until which the worker may count."""
    usage: Usage | None = None
    """The known usage once the call ended; the complete usage once it is recorded."""
    _counter: UsageCounter | None = None
    _is_awaiting = False
    """Whether the worker has asked for the encoding."""
    _is_expired = False
    _is_explained = False
    _is_settled = False
    """Whether the call was counted."""
    _live: LiveUsage | None = None
    _operation: Operation
    """The whole call, set once it ended."""

    def __init__(
        self,
        runtime: Runtime,
        request: Request,
        telemetry: CallTelemetry,
        recorder: Recorder,
        output: OutputTally | None,
        reader: RequestReader | None,
    ) -> None:
        """``output`` counts a stream; ``reader`` reads what ``request`` does not have yet."""
        self._runtime = runtime
        self.request = request
        """The request without its prompt; it is kept until the metric points are recorded."""
        self.telemetry = telemetry
        self.recorder = recorder
        self._output = output
        self._reader = reader
        self._prompt: Prompt | None = None
        self._generation = runtime.generation
        if request.prompt is not None:
            self._prompt, self.request = request.prompt, replace(request, prompt=None)

    # While it is open ----------------------------------------------------------------------------

    def prompt(self) -> Prompt | None:
        """Return what the input is counted from; call it once the answer has begun.

        The prompt is read only once: a long one takes milliseconds. If reading fails, no count that
        depends on the prompt is exact.
        """
        reader = self._reader
        if reader is not None:
            inexact = True
            with guard.shield("request"):
                read = reader.read_request()
                self._prompt, inexact = read.prompt, read.inexact_output
            self._reader = None  # after a failure too: a later read might find another prompt
            if inexact is not self.request.inexact_output:
                self.request = replace(self.request, inexact_output=inexact)
        return self._prompt

    def on_chunk(self, chunk: object) -> None:
        """Take the next chunk of the stream."""
        if self.recorder.on_chunk(chunk):
            self.after_chunk()

    def on_control_event(self, event: object) -> None:
        """Take an event that is not a chunk of an answer."""
        self.recorder.on_control_event(event)
        if self.recorder.is_followed:
            self.after_chunk()

    def after_chunk(self) -> None:
        """After a chunk, submit a full block of chunk times and publish the partial usage."""
        block = self.recorder.take_full_block()
        if block is not None and self._is_ours():
            response = self.recorder.response_so_far()
            model = response.model if response is not None else None
            self._runtime.submit(Gaps(self.telemetry, self.request, block, model))
        if self.telemetry.wants_partial_usage:
            self.telemetry.publish_partial_usage(self.known_usage())

    def known_usage(self) -> Usage:
        """Return the usage known so far."""
        if self.usage is not None:
            return self.usage
        if self._live is None:
            self._live = late.LiveUsage(self._runtime)
        prompt, so_far = self.prompt(), self.recorder.snapshot()
        so_far.request = self.request
        return self._live.of(so_far, prompt, self._output)

    # How it ends: these methods may be called in any state, the first one ends the call -----------

    def on_response(self, answer: object) -> None:
        """Take the whole plain answer: the call is completed."""
        self._go_on(self.recorder.on_response(answer))

    def on_stream_end(self, *, is_page: bool = False) -> None:
        """Note that the stream ended. ``is_page``: the body was no stream of events."""
        self._go_on(self.recorder.on_stream_end(is_page=is_page))

    def on_unread_end(self) -> None:
        """Note that the application read the whole body of a stream that was not parsed here."""
        self._go_on(self.recorder.on_unread_end())

    def on_closed(self, *, finalising: bool = False) -> None:
        """Note that the application closed the answer. ``finalising``: no lock may be taken."""
        self._go_on(self.recorder.on_closed(), finalising=finalising)

    def on_error(self, error: BaseException) -> None:
        """Note that the client raises ``error`` to the application."""
        operation = self.recorder.on_error(error)
        if operation is not None and self._runtime.settings.capture_account:
            headers = http_metadata.headers_of_error(error)
            operation.http = http_metadata.with_account(operation.http, headers)
        self._go_on(operation)

    def on_collected(self) -> None:
        """Note, in a finaliser, that the answer was garbage collected."""
        self._go_on(self.recorder.on_collected(), finalising=True)

    def discard_cut_off(self) -> None:
        """End the span if a signal interrupted the end of the call and nothing else will end it."""
        if self.state is _OPEN and not self.recorder.is_open:
            self.state = _RECORDED
            self._runtime.open_calls.discard(self)
            self.telemetry.discard()

    def _go_on(self, operation: Operation | None, *, finalising: bool = False) -> None:
        """Continue with the call if it has just ended; then raise what reading it raised."""
        try:
            if operation is not None:
                self.state, self._operation = _ENDED, operation
                self.telemetry.client = None  # an ended call must not hide another
                if self._generation == self._runtime.generation:
                    self._end(operation, finalising=finalising)
        except BaseException:  # our own bug, or a signal: record what is known
            if self.state is _ENDED and not finalising and self._is_ours():
                self._record()
            raise
        finally:
            error = self.recorder.reading_error
            if error is not None:
                self.recorder.reading_error = None
                raise error

    def _is_ours(self) -> bool:
        """Whether the call was started in this process, not in its parent before a fork."""
        return self._generation == self._runtime.generation

    # OPEN -> ENDED -> RECORDED or QUEUED ---------------------------------------------------------

    def _end(self, operation: Operation, *, finalising: bool) -> None:
        """Record the call at once if that is quick. For a finaliser the worker does everything."""
        runtime = self._runtime
        runtime.open_calls.discard(self)
        self._live = None
        if self.request.prompt_name is not None:
            self._name_model(operation)
        operation.request = request = self.request
        if request.background or request.fetches:
            runtime.background.claim(operation)
        response = operation.response
        reported = response.reported if response is not None else None
        if (
            request.searches_web
            or (response is not None and response.tools)
            or (reported is not None and reported.web_searches is not None)
        ):  # rare
            operation.tools = tools_of(request, response)
        mode = runtime.settings.token_counting
        self.usage = operation.usage = resolve.resolve_usage(operation, None, None, mode)
        gaps = self._last_gaps(operation) if request.stream else None
        if runtime.explainer is not None and operation.answered:
            self._is_explained = runtime.explainer.explains(request)
        if finalising:
            self._queue_without_lock(gaps)
            return
        if gaps is not None:
            record_gaps(runtime, gaps)
        is_free = self.capture is None and runtime.prices is None
        if not (resolve.is_complete(operation, mode) and (is_free or self._is_cheap_to_emit())):
            self._count()
        elif self._is_explained:
            self._set_deadline()
            self._queue()
        else:  # nearly always
            self._record()

    def _name_model(self, operation: Operation) -> None:
        """Set the model of a stored prompt, which the request does not name, from the answer."""
        request, response = self.request, operation.response
        if request.model is not None or response is None:
            return
        self.request = replace(request, model=response.model)

    def _queue_without_lock(self, gaps: Gaps | None) -> None:
        worker = self._runtime.worker
        if gaps is not None and not worker.full():
            worker.put_finalised(gaps)
        self._set_deadline()
        if worker.full():
            self._let_go_of_text()
        self.state = _QUEUED
        worker.put_finalised(self)

    def _let_go_of_text(self) -> None:
        """Release the text and keep what is known: too much text waits for the worker already."""
        capture, self.capture = self.capture, None
        if capture is not None:
            capture.release()
        if self._output is not None:
            self._output.surrender()
        self._prompt = self._reader = None
        self._is_expired = True

    def size(self) -> int:
        """Return roughly how many bytes of text the waiting call holds."""
        capture = self.capture
        held = None if capture is None else capture.held
        output = 0 if self._output is None else self._output.size()
        asked = self._prompt if self._reader is None else self._reader.held
        return output + approximate_size(asked, held)

    def _count(self) -> None:
        """Count and record at once if that is quick; otherwise queue the call for the worker."""
        self._set_deadline()
        is_cheap = self._is_cheap()
        if is_cheap and (self._is_explained or self._may_be_calibrated()):
            with guard.shield("count"):  # readers get this count now; the span gets a better one
                for _ in self._settle():
                    pass
        elif is_cheap:
            for _ in self.steps():
                pass
            return
        self._queue()

    def _queue(self) -> None:
        """Leave the rest to the worker; if it refuses, estimate the rest and record here."""
        self.state = _QUEUED
        if self._runtime.submit(self):
            return
        self.state = _ENDED
        self.expire()
        for _ in self.steps():
            pass

    def _set_deadline(self) -> None:
        self.deadline = time.monotonic() + self._runtime.settings.count_timeout

    def _last_gaps(self, operation: Operation) -> Gaps | None:
        stamps: array[float] = self.recorder.take_last_block()
        if len(stamps) < 2:  # noqa: PLR2004 - no gap
            return None
        response = operation.response
        model = response.model if response is not None else None
        return Gaps(self.telemetry, self.request, stamps, model)

    def _is_cheap(self) -> bool:
        """Whether the remaining work takes well under a millisecond."""
        with guard.shield("end of a call"):
            if self._awaited_encoding() or self._is_long() or not self._is_cheap_to_emit():
                return False
            return self.ready() and self._counting().is_short()
        return True  # the span must end in any case

    def _awaited_encoding(self) -> str | None:
        """Return the encoding that the output of a stream needs to be counted, if it is not there.

        The worker then gets the call, and until the encoding is there nothing is prepared.
        """
        runtime, operation = self._runtime, self._operation
        mode = runtime.settings.token_counting
        if self._output is None or not resolve.needed_counts(operation, None, mode).output:
            return None
        name = runtime.identify(self.request, operation.response).encoding
        return None if runtime.encodings.is_settled(name) else name

    def _is_long(self) -> bool:
        """Whether the prompt is still unread and reading it takes long."""
        return self._reader is not None and approximate_size(self._reader.held) > LONG

    def _may_be_calibrated(self) -> bool:
        """Whether calibration may know a correction of the input; the worker looks it up."""
        calibration = self._runtime.calibration
        if calibration is None or not calibration.may_know(self.request):
            return False
        return resolve.reported_input(self._operation) is None

    def _is_cheap_to_emit(self) -> bool:
        """Whether the price needs no lookup and the content is short."""
        capture = self.capture
        with guard.shield("content"):
            price = self._price()
            return (price is None or price.is_cheap()) and (capture is None or capture.is_cheap())
        return True

    def _price(self) -> PriceLookup | None:
        prices = self._runtime.prices
        if prices is None:
            return None
        self._operation.usage = self.usage or Usage()
        return late.price_of(prices, self._runtime, self._operation)

    def _counting(self) -> UsageCounter:
        """Return the counter of the call; the first call of this decides what has to be counted."""
        if self._counter is None:
            runtime, operation, prompt = self._runtime, self._operation, self.prompt()
            model = runtime.identify(self.request, operation.response)
            wanted = resolve.needed_counts(operation, prompt, runtime.settings.token_counting)
            read = None
            if prompt is not None and wanted.input:
                read = resolve.input_tally(prompt, operation.response)
            generated = self._output_tally(prompt) if wanted.output else None
            self._counter = late.UsageCounter(runtime, model, read, generated)
        return self._counter

    def _output_tally(self, prompt: Prompt | None) -> OutputTally | None:
        """Return the tally of the output: that of the stream, or a new one of the plain answer."""
        tally = self._output
        if not self.request.stream:
            tally = counting.OutputTally()
            self.recorder.feed_text(tally)
        if tally is not None:
            response = self._operation.response
            model = self._runtime.identify(self.request, response)
            tally.surcharges = resolve.surcharges(self.request, prompt, response, model)
        return tally

    # The worker's job ----------------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether the encoding is built or has failed, so that counting can start."""
        awaited = self._awaited_encoding()
        if awaited is not None:
            if not self._is_awaiting:
                self._is_awaiting = True
                self._runtime.start_encoding(awaited)
            return False
        counting = self._counting()
        return counting.is_ready() and (not self._is_explained or counting.is_encoded())

    def expire(self) -> None:
        """From now on estimate what is not counted yet, unless counting it is quick.

        A short text may have waited long because hundreds of threads kept the worker from running.
        """
        if self._is_expired:
            return
        if self._is_cheap():
            return
        self._is_expired = True
        with guard.shield("count"):
            self._counting().expire()

    def steps(self) -> Iterator[None]:
        """Count in short slices, then record the call."""
        if self.state is _QUEUED:
            internal_metrics.note_queued()
        try:
            with guard.shield("count"):
                if not self._is_settled:
                    yield from self._settle()
                if self.state is _QUEUED and not self._is_expired:
                    yield from self._refine()
        finally:
            self._record()

    def _settle(self) -> Iterator[None]:
        """Count, then combine the counts with the reported usage."""
        counter = self._counting()
        yield from counter.steps()
        if self._is_expired and counter.has_work:
            internal_metrics.note_estimated()
        read, generated = counter.counts(self.request)
        mode = self._runtime.settings.token_counting
        self.usage = resolve.resolve_usage(self._operation, read, generated, mode)
        self._is_settled = True

    def _refine(self) -> Iterator[None]:
        """Correct the counted input and explain it, where this is enabled and possible."""
        runtime, operation, prompt, usage = (
            self._runtime, self._operation, self.prompt(), self.usage,
        )  # fmt: skip
        if prompt is None or usage is None or usage.input is None:
            return
        operation.request = self.request
        if self._may_be_calibrated():
            tally = self._counting().counted_input
            usage = yield from late.put_right(runtime, operation, prompt, tally, usage)
        self.usage = operation.usage = usage
        if self._is_explained:
            yield from late.explain(runtime, operation, prompt, self.deadline)

    # ENDED or QUEUED -> RECORDED -----------------------------------------------------------------

    def _record(self) -> None:
        """Emit the telemetry of the call, once, with its final usage."""
        if self.state is _RECORDED:
            return
        self.state = _RECORDED
        runtime, operation = self._runtime, self._operation
        operation.request, operation.usage = self.request, self.usage or Usage()
        content = None
        try:
            if runtime.settings.capture_account:
                operation.http = http_metadata.with_account(operation.http, operation.headers)
            if runtime.prices is not None:
                operation.cost = self._cost()
            capture, self.capture = self.capture, None
            if capture is not None:  # may be disabled by now: see OpenAIInstrumentor
                is_wanted = runtime.emitter.captures_content
                content = late.redacted_content(operation, capture, is_wanted=is_wanted)
        finally:  # even if a function of the user or a signal raises
            try:
                self.telemetry.finish(operation, content)
            except BaseException:
                self.telemetry.discard()
                raise
        runtime.remember(operation.request, operation.response)
        is_chosen = _chance.random() < runtime.settings.count_verification_ratio
        if runtime.encodings.has_any and (is_chosen or runtime.calibration is not None):
            self._check(operation, is_chosen=is_chosen)
        self._counter = self._output = None

    def _cost(self) -> CallCost | None:
        """Return the cost of the call, if its price is known and there is time to look it up."""
        with guard.shield("cost"):
            price = self._price()
            if price is not None and (not self._is_expired or price.is_cheap()):
                return price.cost()
        return None

    def _check(self, operation: Operation, *, is_chosen: bool) -> None:
        """Let the worker also count a call with reported usage, if nothing has to wait for that.

        A chosen call is counted to record how accurate the count is. Any call may be counted for
        calibration, as long as there is something to learn.
        """
        runtime, read = self._runtime, operation.usage.input
        if read is None or read.source is not REPORTED:
            return
        is_compared = is_chosen and runtime.settings.token_counting is TokenCounting.MISSING
        calibration = runtime.calibration
        learns = calibration is not None and (is_chosen or calibration.may_learn(self.request))
        if not (is_compared or learns):
            return
        counted = late.verification_of(runtime, operation)
        if counted is None:
            return
        if learns:
            counted.learn(LatePrompt(self._reader, self._prompt), verifies=is_chosen)
        if is_compared:
            counted.compare(self.telemetry, self.prompt(), self._output_tally)
        else:
            counted.submit()
