"""What is known of the usage of a call while it is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.call.jobs import LongPrompt
from tokentrail.counting import INLINE, InputTally
from tokentrail.model.records import Count, Source
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from tokentrail.call.call import Call
    from tokentrail.counting import Encoder, OutputTally
    from tokentrail.model.records import Operation, Prompt, Usage


class LiveUsage:
    """Counts a call by what it is so far, its prompt once."""

    __slots__ = ("_call", "_estimate", "_prompt")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._prompt: LongPrompt | None = None
        self._estimate: Count | None = None

    def of(self, so_far: Operation) -> Usage:
        """Return the usage of the call as if it were broken off now."""
        call = self._call
        engine, prompt, model = call.engine, call.prompt(), call.model(so_far.response)
        mode = engine.settings.token_counting
        wanted = resolve.needed_counts(so_far, prompt, mode)
        encoder = call.encoder(model)
        if encoder is None and (wanted.input or wanted.output):
            engine.start_encoding(model.encoding)
        given = generated = None
        if wanted.input and prompt is not None:
            given = self._input(prompt, model, encoder)
        if wanted.output and call.output is not None:
            call.output.surcharges = resolve.surcharges(
                call.request, prompt, so_far.response, model
            )
            generated = self._output(call.output, model, encoder)
        return resolve.resolve_usage(so_far, given, generated, mode)

    def _output(self, tally: OutputTally, model: resolve.Model, encoder: Encoder | None) -> Count:
        tokens, exact, measured = tally.now(encoder)
        source = resolve.count_source(
            self._call.request,
            model,
            exact=exact,
            output=True,
            hidden=tally.may_hide,
            measured=measured,
        )
        return Count(tokens, source, model.encoding if encoder is not None else None)

    def _input(self, prompt: Prompt, model: resolve.Model, encoder: Encoder | None) -> Count | None:
        """Count the prompt once; a long one by the worker, with an estimate until it is done."""
        job, engine = self._prompt, self._call.engine
        if job is None and encoder is not None:
            self._prompt = job = LongPrompt(prompt, encoder, model.name)
            if job.tally.weight > INLINE:
                engine.hand_over(job)
            else:
                for _ in job.steps():
                    pass
        if job is not None and job.done:
            return resolve.to_count(self._call.request, model, job.tally, output=False)
        if self._estimate is None:
            tally = InputTally(prompt)
            for _ in tally.steps(None, model.name):
                pass
            self._estimate = Count(tally.tokens, Source.APPROXIMATED)
        return self._estimate
