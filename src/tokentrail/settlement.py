"""From the end of a call to its telling: usage is settled, here and now or by the worker.

What can be counted in well under a millisecond is counted on the spot, so that span and metrics
are final before the application goes on. Long text, and a call whose encoding is still being
built, go to the worker, with the true end time and a deadline.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tokentrail import guard, usage
from tokentrail.config import TokenCounting
from tokentrail.counting import INLINE, InputTally, OutputTally
from tokentrail.jobs import Comparison
from tokentrail.operation import Operation, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.call import Call
    from tokentrail.content import Capture, Content
    from tokentrail.counting import Encoder
    from tokentrail.operation import Prompt, Raised, Usage
    from tokentrail.recorder import Ended, Recorder

_chance = random.Random()  # noqa: S311 - a sample; the program's own random numbers stay its own


deferred = degraded = 0
"""Calls of this process whose count was left to the worker, and that were estimated for lack of
time. They never fall, whatever is switched off and on."""


def note_deferred() -> None:
    """Count a call that is left to the worker."""
    global deferred  # noqa: PLW0603 - one number for the process
    deferred += 1


def _note_degraded() -> None:
    global degraded  # noqa: PLW0603 - as above
    degraded += 1


class Settlement:
    """Settles the usage of a call that ended and has it told; also the worker's job for it."""

    __slots__ = (
        "_call", "_encoder", "_ended", "_hurried", "_input", "_model", "_output", "_recorder",
        "_told", "deadline", "usage",
    )  # fmt: skip

    def __init__(self, call: Call, ended: Ended, recorder: Recorder | None) -> None:
        self._call = call
        if call.request.background or call.request.fetches:
            ended = replace(ended, response=call.engine.owed.settled(call.request, ended.response))
        self._ended = ended
        self._recorder = recorder
        self._model: usage.Model | None = None
        self._input: InputTally | None = None
        self._output = call.output
        self._encoder: _TimedEncoder | None = None
        self._hurried = False
        self._told = False
        self.usage = usage.settle(ended, None, None, call.engine.settings.token_counting)
        """What is known without counting; once the call is told, all."""
        self.deadline = time.monotonic() + call.engine.settings.flush_timeout

    def settle(self) -> None:
        """Settle and tell the call at once if that is quick, else by the worker."""
        engine, request = self._call.engine, self._call.request
        mode = engine.settings.token_counting
        if usage.is_whole(request, self._ended, self.usage, mode) and self._is_light():
            self._tell()
            return
        if not self._is_quick():
            if engine.hand_over(self):
                note_deferred()
                return
            self.hurry()
        for _ in self.steps():
            pass

    def _is_quick(self) -> bool:
        try:
            return self._is_light() and self.ready() and self._weight() <= INLINE
        except Exception as error:  # noqa: BLE001 - the span must end whatever happens
            guard.report("settlement", error)
            return True

    def _is_light(self) -> bool:
        capture = self._call.capture
        if capture is None and self._call.engine.prices is None:  # as nearly always
            return True
        try:
            return self._is_priced() and (capture is None or capture.is_light())
        except Exception as error:  # noqa: BLE001 - the span must end whatever happens
            guard.report("content", error)
            return True

    def _is_priced(self) -> bool:
        """Whether the price is known, or never will be, without looking it up."""
        prices, request = self._call.engine.prices, self._call.request
        if prices is None or (request.fetches and self.usage.input is None):
            return True
        return prices.is_quick(request, self._names(), self._tier(), self._ended.timing.end_time)

    def _names(self) -> tuple[str, ...]:
        """Return the names of the model, the surest first."""
        call, response = self._call, self._ended.response
        answered = response.model if response is not None else None
        found = (call.model(response).name, answered, call.request.model)
        return tuple(dict.fromkeys(name for name in found if name))

    def _tier(self) -> str | None:
        response = self._ended.response
        told = response.service_tier if response is not None else None
        return told or self._call.request.service_tier

    def _cost(self) -> float | None:
        """Return what the call costs, if that is asked for and there is time to look it up."""
        prices = self._call.engine.prices
        try:
            if prices is None or (self._hurried and not self._is_priced()):
                return None
            at = self._ended.timing.end_time
            return prices.cost(self._call.request, self._names(), self._tier(), at, self.usage)
        except Exception as error:  # noqa: BLE001 - the span must end whatever happens
            guard.report("cost", error)
            return None

    def ready(self) -> bool:
        """Whether what counting needs is there, or never will be."""
        model = self._prepared()
        if self._input is None and self._output is None:
            return True
        encodings = self._call.engine.encodings
        return encodings.get(model.encoding) is not None or encodings.failed(model.encoding)

    def hurry(self) -> None:
        """Estimate from now on what is not counted yet, unless counting the rest takes no time.

        A short text may have waited long, where hundreds of threads left the worker no turn.
        """
        if not self._hurried and self._is_quick():
            return
        if not self._hurried and (self._input is not None or self._output is not None):
            _note_degraded()
        self._hurried = True
        if self._encoder is not None:
            self._encoder.over = True

    def steps(self) -> Iterator[None]:
        """Count what has to be counted in short slices, then tell the call."""
        try:
            model = self._prepared()
            encoding = self._call.encoder(model)
            if encoding is not None and not self._hurried:
                self._encoder = _TimedEncoder(encoding)
            if self._input is not None:
                yield from self._input.steps(self._encoder, model.name)
            if self._output is not None:
                yield from self._output.steps(self._encoder)
            self.usage = self._settled(model)
        except Exception as error:  # noqa: BLE001 - the span must end whatever happens
            guard.report("count", error)
        finally:
            self._tell()

    def _prepared(self) -> usage.Model:
        """Find out, once, what has to be counted and with what."""
        if self._model is not None:
            return self._model
        call, ended = self._call, self._ended
        engine = call.engine
        self._model = model = call.model(ended.response)
        prompt = call.prompt()
        wanted = usage.wanted(call.request, prompt, ended, engine.settings.token_counting)
        if prompt is not None and wanted.input:
            self._input = InputTally(prompt)
        self._output = self._text(prompt) if wanted.output else None
        if wanted.input or wanted.output:
            engine.start_encoding(model.encoding)
        return model

    def _text(self, prompt: Prompt | None) -> OutputTally | None:
        """Return the tally of what was generated: a stream's own, or one of the plain answer."""
        call = self._call
        tally = call.output
        if not call.request.stream and self._recorder is not None:
            tally = OutputTally()
            self._recorder.tell_text(tally)
        if tally is not None:
            tally.surcharges = usage.surcharges(call.request, prompt)
        return tally

    def _weight(self) -> int:
        weight = self._input.weight if self._input is not None else 0
        return weight + (self._output.held if self._output is not None else 0)

    def _settled(self, model: usage.Model) -> Usage:
        request, encoded = self._call.request, self._encoder is not None
        return usage.settle(
            self._ended,
            usage.count(request, model, self._input, output=False, encoded=encoded),
            usage.count(request, model, self._output, output=True, encoded=encoded),
            self._call.engine.settings.token_counting,
        )

    def _tell(self) -> None:
        if self._told:
            return
        self._told = True
        call, ended = self._call, self._ended
        raised, content = ended.raised, None
        if call.capture is not None:
            raised, content = self._said(call.capture)
        call.telling.finish(
            Operation(
                request=call.request,
                response=ended.response,
                usage=self.usage,
                timing=ended.timing,
                ending=ended.ending,
                error_type=ended.error_type,
                error_description=ended.error_description,
                usage_request=ended.usage_request,
                raised=raised,
                cost=None if call.engine.prices is None else self._cost(),
                exchange=ended.exchange,
            ),
            content,
        )
        call.engine.remember(call.request, ended.response)
        if _chance.random() < call.engine.settings.calibration:
            self._calibrate()
        self._input = self._output = call.output = self._recorder = None

    def _said(self, capture: Capture) -> tuple[Raised | None, Content | None]:
        """Return what is kept of what was said, and let go of the rest."""
        raised, content = self._ended.raised, None
        self._call.capture = None
        try:
            if raised is not None and raised.message is not None:
                raised = replace(raised, message=capture.rules.text("error", raised.message))
            content = capture.content()
        except Exception as error:  # noqa: BLE001 - the span must end whatever happens
            raised = raised and replace(raised, message=None)
            guard.report("content", error)
        finally:
            capture.release()
        return raised, content

    def _calibrate(self) -> None:
        """Have a share of the reported calls counted too, where that costs no waiting."""
        call, settings = self._call, self._call.engine.settings
        reported = self.usage.input is not None and self.usage.input.source is Source.REPORTED
        if not reported or settings.token_counting is not TokenCounting.MISSING:
            return
        model = call.model(self._ended.response)
        encoder = call.encoder(model)
        if encoder is None or not model.known:
            return
        prompt = call.prompt()
        given = InputTally(prompt) if prompt is not None and not prompt.unknowable else None
        tallies = (given, self._text(prompt) if usage.shows_output(call.request) else None)
        call.engine.hand_over(Comparison(call, self._ended, model, encoder, tallies))


class _TimedEncoder:
    """An encoding for as long as there is time; what it refuses then, the tallies estimate."""

    __slots__ = ("_encoding", "over")

    def __init__(self, encoding: Encoder) -> None:
        self._encoding = encoding
        self.over = False

    def encode_ordinary(self, text: str) -> list[int]:
        """Encode ``text``.

        Raises:
            TimeoutError: there is no more time.
        """
        if self.over:
            raise TimeoutError
        return self._encoding.encode_ordinary(text)
