"""Counts calls with reported usage as well, to record how accurate counts are, and to learn.

Only few calls are verified: a random sample, and those from which calibration may learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.call.jobs import Comparison
from tokentrail.call.learning import Lesson
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokentrail.call.reader import LatePrompt
    from tokentrail.counting import Encoder, InputTally, OutputTally
    from tokentrail.model.records import Operation, Prompt
    from tokentrail.runtime.runtime import Runtime
    from tokentrail.telemetry.emitter import CallTelemetry


class Verification:
    """Counts a call with reported usage, for comparison or for calibration."""

    __slots__ = ("_encoder", "_lesson", "_model", "_operation", "_runtime")

    def __init__(
        self, runtime: Runtime, operation: Operation, model: resolve.Model, encoder: Encoder
    ) -> None:
        self._runtime = runtime
        self._operation = operation
        self._model = model
        self._encoder = encoder
        self._lesson: Lesson | None = None

    def learn(self, prompt: LatePrompt, *, verifies: bool) -> None:
        """Prepare a lesson for calibration; ``verifies``: count even what is already known."""
        calibration = self._runtime.calibration
        if calibration is not None:
            counted_as = (self._model, self._encoder)
            self._lesson = Lesson(calibration, self._operation, counted_as, prompt)
            self._lesson.verifies = verifies

    def submit(self) -> None:
        """Give the prepared lesson to the worker."""
        calibration, lesson = self._runtime.calibration, self._lesson
        if calibration is not None and lesson is not None:
            calibration.wait(lesson)
            if not self._runtime.submit(lesson):
                calibration.begin(lesson)

    def compare(
        self,
        telemetry: CallTelemetry,
        prompt: Prompt | None,
        output_tally: Callable[[Prompt | None], OutputTally | None],
    ) -> None:
        """Let the worker compare counts with reports, and learn if a lesson was prepared."""
        operation = self._operation
        given: InputTally | None = None
        if prompt is not None and not prompt.unknowable:
            given = resolve.input_tally(prompt, operation.response)
        made = output_tally(prompt) if resolve.shows_output(operation.request) else None
        tallies, model, encoder = (given, made), self._model, self._encoder
        self._runtime.submit(
            Comparison(telemetry, operation, model, encoder, tallies, self._lesson)
        )


def verification_of(runtime: Runtime, operation: Operation) -> Verification | None:
    """Return the verification of a call; ``None`` if its encoding is unknown or not built."""
    model = runtime.identify(operation.request, operation.response)
    encoder = runtime.encodings.get(model.encoding)
    if encoder is None or not model.known:
        return None
    return Verification(runtime, operation, model, encoder)
