"""Further jobs of the worker: chunk gaps, comparisons of counts, long prompts of open calls."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tokentrail import counting
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator

    from tokentrail.call.learning import Lesson
    from tokentrail.counting import Encoder, InputTally, OutputTally
    from tokentrail.model.records import Operation, Prompt, Request
    from tokentrail.runtime.runtime import Runtime
    from tokentrail.telemetry.emitter import CallTelemetry


SHORT = 32
"""The most chunk times whose gaps the caller records itself when the worker refuses the job."""


class _NoDeadline:
    """A job that waits for nothing and never expires."""

    deadline = float("inf")

    def size(self) -> int:
        """Return roughly how many bytes the job holds."""
        return 0

    def ready(self) -> bool:
        """Return ``True``: the job waits for nothing."""
        return True

    def expire(self) -> None:
        """Do nothing: the job has no deadline."""


class Gaps(_NoDeadline):
    """Records a block of gaps between chunks."""

    def __init__(
        self, telemetry: CallTelemetry, request: Request, stamps: array[float], model: str | None
    ) -> None:
        self._telemetry = telemetry
        self._request = request
        self._stamps = stamps
        self._model = model

    def size(self) -> int:
        """Return how many bytes the times take."""
        return 8 * len(self._stamps)

    def is_short(self) -> bool:
        """Whether recording the gaps takes at most half a millisecond."""
        return len(self._stamps) <= SHORT

    def steps(self) -> Iterator[None]:
        """Record the gaps one by one, in seconds."""
        gaps = (later - earlier for earlier, later in pairwise(self._stamps))
        yield from self._telemetry.record_gaps(gaps, self._request, self._model)


def record_gaps(runtime: Runtime, gaps: Gaps) -> None:
    """Give ``gaps`` to the worker; if it refuses them, record them here if they are few."""
    if not runtime.submit(gaps) and gaps.is_short():
        for _ in gaps.steps():
            pass


class LongPrompt(_NoDeadline):
    """Counts the input of an open call whose usage was requested."""

    def __init__(self, prompt: Prompt, encoder: Encoder, model: str) -> None:
        self.tally = counting.InputTally(prompt)
        self.done = False
        self._encoder = encoder
        self._model = model

    def size(self) -> int:
        """Return roughly how much text is counted."""
        return self.tally.weight

    def steps(self) -> Iterator[None]:
        """Count in short slices."""
        yield from self.tally.steps(self._encoder, self._model)
        self.done = True


class Comparison(_NoDeadline):
    """Counts a call whose usage was reported, to record how accurate such counts are."""

    def __init__(
        self,
        telemetry: CallTelemetry,
        operation: Operation,
        model: resolve.Model,
        encoder: Encoder,
        tallies: tuple[InputTally | None, OutputTally | None],
        lesson: Lesson | None,
    ) -> None:
        """Prepare the job. ``lesson`` learns from the same count of the input."""
        self._telemetry = telemetry
        self._operation = operation
        self._model = model
        self._encoder = encoder
        self._tallies = tallies
        self._lesson = lesson

    def size(self) -> int:
        """Return roughly how much text is counted."""
        read, generated = self._tallies
        weight = 0 if read is None else read.weight
        return weight + (0 if generated is None else generated.held)

    def steps(self) -> Iterator[None]:
        """Count the call, then record the ratios of count and report."""
        read, generated = self._tallies
        if read is not None:
            yield from read.steps(self._encoder, self._model.name)
            if self._lesson is not None:
                yield from self._lesson.of_count(read)
        if generated is not None:
            yield from generated.steps(self._encoder)
        operation, model = self._operation, self._model
        request, response = operation.request, operation.response
        compared = resolve.compare(
            operation,
            resolve.to_count(request, model, read, output=False),
            resolve.to_count(request, model, generated, output=True),
        )
        named = response.model if response is not None else None
        self._telemetry.record_comparison(compared, request, named)
