"""What the worker does beside ending calls: chunk gaps, comparisons, long prompts of live calls."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from tokentrail.counting import InputTally
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator

    from tokentrail.call.call import Call
    from tokentrail.counting import Encoder, OutputTally
    from tokentrail.model.records import Operation, Prompt


SHORT = 32
"""Chunk times whose gaps are told on the spot where the worker has too much to do."""


class _Patient:
    """A job that waits for nothing and is never in a hurry: done, or the program ends first."""

    deadline = float("inf")

    def ready(self) -> bool:
        """Nothing has to be waited for."""
        return True

    def hurry(self) -> None:
        """Go on as before."""


class Gaps(_Patient):
    """Tells a block of gaps between chunks."""

    def __init__(self, call: Call, stamps: array[float], model: str | None) -> None:
        self._call = call
        self._stamps = stamps
        self._model = model

    def is_short(self) -> bool:
        """Whether it is done in half a millisecond."""
        return len(self._stamps) <= SHORT

    def steps(self) -> Iterator[None]:
        """Record gap after gap, in seconds."""
        call = self._call
        gaps = (later - earlier for earlier, later in pairwise(self._stamps))
        yield from call.telling.gaps(gaps, call.request, self._model)


class LongPrompt(_Patient):
    """Counts the input of a call that is still under way and whose usage is asked for."""

    def __init__(self, prompt: Prompt, encoder: Encoder, model: str) -> None:
        self.tally = InputTally(prompt)
        self.done = False
        self._encoder = encoder
        self._model = model

    def steps(self) -> Iterator[None]:
        """Count slice by slice."""
        yield from self.tally.steps(self._encoder, self._model)
        self.done = True


class Comparison(_Patient):
    """Counts a call that was told as reported, to tell how good such counts are."""

    def __init__(
        self,
        call: Call,
        operation: Operation,
        model: resolve.Model,
        encoder: Encoder,
        tallies: tuple[InputTally | None, OutputTally | None],
    ) -> None:
        self._call = call
        self._operation = operation
        self._model = model
        self._encoder = encoder
        self._tallies = tallies

    def steps(self) -> Iterator[None]:
        """Count, then tell the ratios."""
        given, generated = self._tallies
        if given is not None:
            yield from given.steps(self._encoder, self._model.name)
        if generated is not None:
            yield from generated.steps(self._encoder)
        request = self._call.request
        compared = resolve.compare(
            self._operation,
            resolve.to_count(request, self._model, given, output=False),
            resolve.to_count(request, self._model, generated, output=True),
        )
        response = self._operation.response
        named = response.model if response is not None else None
        self._call.telling.compare(compared, request, named)
