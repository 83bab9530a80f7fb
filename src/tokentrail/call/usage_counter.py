"""Counts, at the end of a call, the usage that the server does not report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.counting import inline_weight
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.counting import Encoder, InputTally, OutputTally
    from tokentrail.model.records import Count, Request
    from tokentrail.runtime.runtime import Runtime


class UsageCounter:
    """Counts the input and output of one call, each if it has a tally."""

    __slots__ = ("_encoder", "_encodings", "_expired", "_input", "_model", "_output", "_start")

    def __init__(
        self,
        runtime: Runtime,
        model: resolve.Model,
        tally_of_input: InputTally | None,
        tally_of_output: OutputTally | None,
    ) -> None:
        """Start building the encoding, if there is something to count."""
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
        """Whether there is something to count."""
        return self._input is not None or self._output is not None

    @property
    def counted_input(self) -> InputTally | None:
        """The tally of the input, if it is counted with the encoding of a known model."""
        return self._input if self._encoder is not None and self._model.known else None

    def is_short(self) -> bool:
        """Whether what is still to be counted takes well under a millisecond."""
        weight = self._input.weight if self._input is not None else 0
        weight += self._output.held if self._output is not None else 0
        return weight <= inline_weight(self._encodings.get(self._model.encoding))

    def is_ready(self) -> bool:
        """Whether counting can start: nothing to count, or the encoding is built or has failed."""
        return not self.has_work or self._encodings.is_settled(self._model.encoding)

    def is_encoded(self) -> bool:
        """Start building the model's encoding; return whether it is built or has failed."""
        self._start(self._model.encoding)
        return self._encodings.is_settled(self._model.encoding)

    def expire(self) -> None:
        """From now on estimate what is not counted yet."""
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
        """Return the counts of input and output, after :meth:`steps`."""
        model, encoded = self._model, self._encoder is not None
        return (
            resolve.to_count(request, model, self._input, output=False, encoded=encoded),
            resolve.to_count(request, model, self._output, output=True, encoded=encoded),
        )


class _TimedEncoder:
    """An encoding that refuses text after the deadline; the tallies then estimate that text."""

    __slots__ = ("_encoding", "inline_weight", "is_over")

    def __init__(self, encoding: Encoder) -> None:
        self._encoding = encoding
        self.inline_weight = inline_weight(encoding)
        self.is_over = False

    def encode_ordinary(self, text: str) -> list[int]:
        """Encode ``text``.

        Raises:
            TimeoutError: there is no more time.
        """
        if self.is_over:
            raise TimeoutError
        return self._encoding.encode_ordinary(text)
