"""Calibration of calls: learning from one that was reported, and putting right one that was not."""

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
    """The worker's job of learning from a call whose input was reported."""

    deadline = float("inf")
    verifies = False
    """It is counted also where what it would teach is known."""

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
        """Return nothing: to measure it costs more than the few (`PENDING`) that wait may hold."""
        return 0

    def ready(self) -> bool:
        """Nothing has to be waited for."""
        return True

    def expire(self) -> None:
        """Go on as before."""

    def steps(self) -> Iterator[None]:
        """Count the input and learn, if there is anything to learn; within the time for it."""
        begun = time.thread_time()
        try:
            yield from self._learn(None)
        finally:
            self._calibration.begin(self)
            self._calibration.use(time.thread_time() - begun)

    def of_count(self, tally: InputTally) -> Iterator[None]:
        """Learn from a count that was made for another reason."""
        yield from self._learn(tally)

    def _read(self) -> Prompt | None:
        with guard.shield("request"):  # what it is read of is the application's
            return self._prompt()
        return None

    def _learn(self, tally: InputTally | None) -> Iterator[None]:
        """Learn; without a ``tally`` the input is counted, unless its like is known already."""
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
    """Return, after short slices, a count of the input, put right by what was learned.

    ``answered``: the model that answered, if it was named.
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
