"""From the end of a call to its telling: usage is settled, here and now or by the worker.

What can be counted in well under a millisecond is counted on the spot, so that the span is final
before the application goes on (its points, once anybody collects). Long text, and a call whose
encoding is still being built, go to the worker, with the true end time and a deadline.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tokentrail.counting import INLINE
from tokentrail.model.records import Usage
from tokentrail.support import guard
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.call.call import Call
    from tokentrail.call.recorder import Recorder
    from tokentrail.content import Capture, Content
    from tokentrail.counting import Encoder, InputTally
    from tokentrail.model.records import Operation


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
        "_call", "_encoder", "_hurried", "_input", "_model", "_operation", "_output", "_recorder",
        "_told", "deadline",
    )  # fmt: skip

    def __init__(self, call: Call, operation: Operation, recorder: Recorder | None) -> None:
        self._call = call
        self._operation = operation
        self._recorder = recorder
        self._model: resolve.Model | None = None
        self._input: InputTally | None = None
        self._output = call.output
        self._encoder: _TimedEncoder | None = None
        self._hurried = False
        self._told = False
        self.deadline = time.monotonic() + call.engine.settings.flush_timeout

    def settle(self, *, whole: bool) -> None:
        """Settle and tell the call at once if that is quick, else by the worker.

        ``whole``: nothing has to be counted.
        """
        if whole and self._is_light():
            self._tell()
            return
        if not self._is_quick():
            if self._call.engine.hand_over(self):
                note_deferred()
                return
            self.hurry()
        for _ in self.steps():
            pass

    def _is_quick(self) -> bool:
        try:
            return self._is_light() and self.ready() and self._weight() <= INLINE
        except Exception as error:  # noqa: BLE001 - the span must end whatever happens
            guard.internal_error("settlement", error)
            return True

    def _is_light(self) -> bool:
        capture = self._call.capture
        try:
            return self._is_priced() and (capture is None or capture.is_light())
        except Exception as error:  # noqa: BLE001 - the span must end whatever happens
            guard.internal_error("content", error)
            return True

    def _is_priced(self) -> bool:
        """Whether the price is known, or never will be, without looking it up."""
        prices, request = self._call.engine.prices, self._call.request
        if prices is None or (request.fetches and self._known().input is None):
            return True
        return prices.is_quick(request, self._names(), self._tier(), self._operation.end_time)

    def _names(self) -> tuple[str, ...]:
        """Return the names of the model, the surest first."""
        call, response = self._call, self._operation.response
        answered = response.model if response is not None else None
        found = (call.model(response).name, answered, call.request.model)
        return tuple(dict.fromkeys(name for name in found if name))

    def _tier(self) -> str | None:
        response = self._operation.response
        told = response.service_tier if response is not None else None
        return told or self._call.request.service_tier

    def _cost(self) -> float | None:
        """Return what the call costs, if that is asked for and there is time to look it up."""
        prices = self._call.engine.prices
        try:
            if prices is None or (self._hurried and not self._is_priced()):
                return None
            at = self._operation.end_time
            return prices.cost(self._call.request, self._names(), self._tier(), at, self._known())
        except Exception as error:  # noqa: BLE001 - the span must end whatever happens
            guard.internal_error("cost", error)
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
            self._call.usage = self._settled(model)
        except Exception as error:  # noqa: BLE001 - the span must end whatever happens
            guard.internal_error("count", error)
        finally:
            self._tell()

    def _prepared(self) -> resolve.Model:
        """Find out, once, what has to be counted and with what."""
        if self._model is not None:
            return self._model
        call, operation = self._call, self._operation
        engine = call.engine
        self._model = model = call.model(operation.response)
        prompt = call.prompt()
        wanted = resolve.needed_counts(operation, prompt, engine.settings.token_counting)
        if prompt is not None and wanted.input:
            self._input = resolve.input_tally(prompt, operation.response)
        if wanted.output:
            self._output = call.text(prompt, self._recorder, operation.response)
        else:
            self._output = None
        if wanted.input or wanted.output:
            engine.start_encoding(model.encoding)
        return model

    def _weight(self) -> int:
        weight = self._input.weight if self._input is not None else 0
        return weight + (self._output.held if self._output is not None else 0)

    def _settled(self, model: resolve.Model) -> Usage:
        request, encoded = self._call.request, self._encoder is not None
        return resolve.resolve_usage(
            self._operation,
            resolve.to_count(request, model, self._input, output=False, encoded=encoded),
            resolve.to_count(request, model, self._output, output=True, encoded=encoded),
            self._call.engine.settings.token_counting,
        )

    def _known(self) -> Usage:
        return self._call.usage or Usage()

    def _tell(self) -> None:
        if self._told:
            return
        self._told = True
        call, operation, recorder = self._call, self._operation, self._recorder
        operation.request, operation.usage = call.request, self._known()
        if call.engine.prices is not None:
            operation.cost = self._cost()
        content = None if call.capture is None else self._said(call.capture)
        call.tell(operation, content, recorder)
        self._input = self._output = self._recorder = None

    def _said(self, capture: Capture) -> Content | None:
        """Return what is kept of what was said, and let go of the rest."""
        operation, raised, content = self._operation, self._operation.raised, None
        self._call.capture = None
        try:
            if raised is not None and raised.message is not None:
                message = capture.rules.text("error", raised.message)
                operation.raised = replace(raised, message=message)
            content = capture.content()
        except Exception as error:  # noqa: BLE001 - the span must end whatever happens
            operation.raised = raised and replace(raised, message=None)
            guard.internal_error("content", error)
        finally:
            capture.release()
        return content


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
