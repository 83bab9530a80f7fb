"""Counting at the end of a call what the server does not report of its usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.usage import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.counting import Encoder, InputTally, OutputTally
    from tokentrail.model.records import Count, Request
    from tokentrail.runtime.runtime import Runtime


class UsageCounter:
    """Counts the two directions of one call, each if there is a tally of it."""

    __slots__ = ("_encoder", "_encodings", "_expired", "_input", "_model", "_output", "_start")

    def __init__(
        self,
        runtime: Runtime,
        model: resolve.Model,
        tally_of_input: InputTally | None,
        tally_of_output: OutputTally | None,
    ) -> None:
        """Have the encoding built, if there is something to count."""
        self._encodings = runtime.encodings
        self._model = model
        self._input = tally_of_input
        self._output = tally_of_output
        self._encoder: _TimedEncoder | None = None
        self._expired = False
        self._start = runtime.start_encoding
        if self.has_work:
            runtime.start_encoding(model.encoding)

    @property
    def has_work(self) -> bool:
        """Whether anything has to be counted."""
        return self._input is not None or self._output is not None

    @property
    def counted_input(self) -> InputTally | None:
        """The tally of the input, if that is counted with a known model's encoding."""
        return self._input if self._encoder is not None and self._model.known else None

    @property
    def weight(self) -> int:
        """How much text has to be counted yet."""
        weight = self._input.weight if self._input is not None else 0
        return weight + (self._output.held if self._output is not None else 0)

    def is_ready(self) -> bool:
        """Whether what counting needs is there, or never will be."""
        return not self.has_work or self._encodings.is_settled(self._model.encoding)

    def is_encoded(self) -> bool:
        """Whether the model's encoding is there, or never will be; have it built."""
        self._start(self._model.encoding)
        return self._encodings.is_settled(self._model.encoding)

    def expire(self) -> None:
        """Estimate from now on what is not counted yet."""
        self._expired = True
        if self._encoder is not None:
            self._encoder.is_over = True

    def steps(self) -> Iterator[None]:
        """Count in short slices."""
        encoding = self._encodings.get(self._model.encoding)
        if encoding is not None and not self._expired:
            self._encoder = _TimedEncoder(encoding)
        if self._input is not None:
            yield from self._input.steps(self._encoder, self._model.name)
        if self._output is not None:
            yield from self._output.steps(self._encoder)

    def counts(self, request: Request) -> tuple[Count | None, Count | None]:
        """Return what the input and the output came to, once they are counted."""
        model, encoded = self._model, self._encoder is not None
        return (
            resolve.to_count(request, model, self._input, output=False, encoded=encoded),
            resolve.to_count(request, model, self._output, output=True, encoded=encoded),
        )


class _TimedEncoder:
    """An encoding for as long as there is time; what it refuses then, the tallies estimate."""

    __slots__ = ("_encoding", "is_over")

    def __init__(self, encoding: Encoder) -> None:
        self._encoding = encoding
        self.is_over = False

    def encode_ordinary(self, text: str) -> list[int]:
        """Encode ``text``.

        Raises:
            TimeoutError: there is no more time.
        """
        if self.is_over:
            raise TimeoutError
        return self._encoding.encode_ordinary(text)
