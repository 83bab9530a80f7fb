"""Calibration: learn from calls with reported input, correct the counts of calls without."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tokentrail.model.records import Source
from tokentrail.support import guard
from tokentrail.telemetry import internal_metrics
from tokentrail.usage import resolve
from tokentrail.usage.likeness import can_be_alike, is_countable, likeness

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tokentrail.call.reader import LatePrompt
    from tokentrail.counting import Encoder, InputTally
    from tokentrail.model.records import Count, Operation, Prompt, Request
    from tokentrail.usage.calibration import Calibration


class Lesson:
    """A job of the worker: learn from a call whose input was reported."""

    deadline = float("inf")
    verifies = False
    """Whether the input is counted even if calibration already knows its difference."""

    def __init__(
        self,
        calibration: Calibration,
        operation: Operation,
        counted_as: tuple[resolve.Model, Encoder],
        prompt: LatePrompt,
    ) -> None:
        self._calibration = calibration
        self._operation = operation
        self._model, self._encoder = counted_as
        self._prompt = prompt

    def size(self) -> int:
        """Return 0: few lessons (`PENDING`) wait at a time, and measuring one costs too much."""
        return 0

    def ready(self) -> bool:
        """Return ``True``: the job waits for nothing."""
        return True

    def expire(self) -> None:
        """Do nothing: the job has no deadline."""

    def steps(self) -> Iterator[None]:
        """Count the input and learn from it; charge the time to the budget of calibration."""
        begun = time.thread_time()
        try:
            yield from self._learn(None)
        finally:
            self._calibration.begin(self)
            self._calibration.use(time.thread_time() - begun)

    def of_count(self, tally: InputTally) -> Iterator[None]:
        """Learn from a count that another job made."""
        yield from self._learn(tally)

    def _read(self) -> Prompt | None:
        with guard.shield("request"):  # it reads objects of the application
            return self._prompt()
        return None

    def _learn(self, tally: InputTally | None) -> Iterator[None]:
        """Learn from ``tally``; without one, count the input unless its difference is known."""
        calibration, request = self._calibration, self._operation.request
        prompt, response = self._read(), self._operation.response
        reported = resolve.reported_input(self._operation)
        answered = response.model if response is not None else None
        if prompt is None or answered is None or not reported or not can_be_alike(prompt):
            calibration.skip(request)
            return
        calibration.answer(request, answered)
        key = yield from likeness(request, prompt, answered)
        is_needed = tally is not None or self.verifies
        if key is None or not (is_needed or calibration.difference(key) is None):
            calibration.skip(request)
            return
        if tally is None:
            tally = resolve.input_tally(prompt, response)
            yield from tally.steps(self._encoder, self._model.name)
        if is_countable(tally):
            calibration.learn(key, request, hash(prompt.messages), tally.tokens, reported)
        else:
            calibration.skip(request)


def calibrated(
    calibration: Calibration,
    request: Request,
    prompt: Prompt,
    answered: str | None,
    counted: tuple[InputTally, Count],
) -> Generator[None, None, Count]:
    """Return, after short slices, the count of the input, corrected by what was learned.

    ``answered`` is the model named in the response, if it names one.
    """
    tally, count = counted
    model = calibration.answered(request) if answered is None else answered
    if model is None or not (can_be_alike(prompt) and is_countable(tally)):
        return count
    key = yield from likeness(request, prompt, model)
    difference = None if key is None else calibration.difference(key)
    if difference is None:
        return count
    better = resolve.calibrated(count, difference)
    if better is not count and count.source is Source.COUNTED:
        internal_metrics.note_corrected()
    return better
