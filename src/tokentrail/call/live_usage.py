"""The usage of a call that is still open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail import counting
from tokentrail.call.jobs import LongPrompt
from tokentrail.model.records import Count, Source
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from tokentrail.counting import Encoder, OutputTally
    from tokentrail.model.records import Operation, Prompt, Request, Usage
    from tokentrail.runtime.runtime import Runtime


class LiveUsage:
    """Counts an open call from what has arrived so far. The prompt is counted only once."""

    __slots__ = ("_estimate", "_prompt", "_runtime")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._prompt: LongPrompt | None = None
        self._estimate: Count | None = None

    def of(self, so_far: Operation, prompt: Prompt | None, output: OutputTally | None) -> Usage:
        """Return the usage of the call as if it were closed now."""
        runtime, request = self._runtime, so_far.request
        mode = runtime.settings.token_counting
        model = runtime.identify(request, so_far.response)
        wanted = resolve.needed_counts(so_far, prompt, mode)
        encoder = runtime.encodings.get(model.encoding)
        if encoder is None and (wanted.input or wanted.output):
            runtime.start_encoding(model.encoding)
        read = generated = None
        if wanted.input and prompt is not None:
            read = self._input(request, prompt, model, encoder)
        if wanted.output and output is not None:
            output.surcharges = resolve.surcharges(request, prompt, so_far.response, model)
            generated = _output(request, output, model, encoder)
        return resolve.resolve_usage(so_far, read, generated, mode)

    def _input(
        self, request: Request, prompt: Prompt, model: resolve.Model, encoder: Encoder | None
    ) -> Count | None:
        """Count the prompt once. The worker counts a long one; until then it is estimated."""
        job = self._prompt
        if job is None and encoder is not None:
            self._prompt = job = LongPrompt(prompt, encoder, model.name)
            if job.tally.weight > counting.inline_weight(encoder):
                self._runtime.submit(job)
            else:
                for _ in job.steps():
                    pass
        if job is not None and job.done:
            return resolve.to_count(request, model, job.tally, output=False)
        if self._estimate is None:
            tally = counting.InputTally(prompt)
            for _ in tally.steps(None, model.name):
                pass
            self._estimate = Count(tally.tokens, Source.APPROXIMATED)
        return self._estimate


def _output(
    request: Request, tally: OutputTally, model: resolve.Model, encoder: Encoder | None
) -> Count:
    tokens, exact, measured = tally.now(encoder)
    source = resolve.count_source(
        request, model, exact=exact, output=True, hidden=tally.may_hide, measured=measured
    )
    return Count(tokens, source, model.encoding if encoder is not None else None)
