"""A call under way: what its recorder reports, and what is known of its usage right now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail import usage
from tokentrail.counting import HELD, INLINE, InputTally
from tokentrail.jobs import Gaps, LongPrompt
from tokentrail.operation import Count, Source, Usage
from tokentrail.settlement import Settlement, note_deferred

if TYPE_CHECKING:
    from array import array

    from tokentrail.call import Call
    from tokentrail.config import TokenCounting
    from tokentrail.counting import Encoder, OutputTally
    from tokentrail.operation import Prompt
    from tokentrail.recorder import Ended, Recorder


class LiveCall:
    """Listens to the recorder of a call, and settles it when it ended."""

    __slots__ = ("_call", "_estimate", "_prompt", "_settlement", "recorder")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._prompt: LongPrompt | None = None
        self._estimate: Count | None = None
        self._settlement: Settlement | None = None
        self.recorder: Recorder | None = None
        """The call's recorder, until it ended."""

    def encoder(self, held: int) -> Encoder | None:
        """Return the encoding to count the answer with while it streams, if it is there.

        It may not be, where a report is awaited. Of a long answer so much text is ``held`` by then
        (in bytes) that it would have to be estimated if the report does not come.
        """
        recorder, call = self.recorder, self._call
        if recorder is None:
            return None
        model = call.model(recorder.response_so_far())
        if held > HELD // 4:
            call.engine.start_encoding(model.encoding)
        return call.encoder(model)

    def stamps(self, stamps: array[float], model: str | None) -> None:
        """Have the gaps of a block of chunks told by the worker."""
        call = self._call
        if call.is_ours():
            call.engine.hand_over(Gaps(call, stamps, model))

    def ended(self, ended: Ended, *, finalising: bool) -> None:
        """Settle and tell the call; in a finaliser the worker does all of it."""
        call, recorder = self._call, self.recorder
        if not call.is_ours():
            return
        call.engine.open.discard(self)
        self.recorder = None
        self._settlement = settlement = Settlement(call, ended, recorder)
        gaps = self._last_gaps(recorder, ended) if call.request.stream else None
        if finalising:
            # Nothing is asked of the worker that would take its lock.
            worker = call.engine.worker
            if gaps is not None and not worker.full():
                worker.put(gaps)
            worker.put(settlement)
            note_deferred()
            return
        if gaps is not None and not call.engine.hand_over(gaps) and gaps.is_short():
            for _ in gaps.steps():
                pass
        settlement.settle()

    def _last_gaps(self, recorder: Recorder | None, ended: Ended) -> Gaps | None:
        call, response = self._call, ended.response
        if recorder is None:
            return None
        stamps = recorder.last_stamps()
        if len(stamps) < 2:  # noqa: PLR2004 - no gap
            return None
        return Gaps(call, stamps, response.model if response else None)

    def follow(self) -> None:
        """Hand on what is known of the usage by now."""
        self._call.telling.so_far(self.known())

    def known(self) -> Usage:
        """Return what is known of the usage by now; once the call is told, all."""
        if self._settlement is not None:
            return self._settlement.usage
        recorder, call = self.recorder, self._call
        ended = recorder.so_far() if recorder is not None else None
        if ended is None:
            return Usage()
        mode, prompt, model = self._mode(), call.prompt(), call.model(ended.response)
        wanted = usage.wanted(call.request, prompt, ended, mode)
        encoder = call.encoder(model)
        if encoder is None and (wanted.input or wanted.output):
            call.engine.start_encoding(model.encoding)
        given = generated = None
        if wanted.input and prompt is not None:
            given = self._input(prompt, model, encoder)
        if wanted.output and call.output is not None:
            call.output.surcharges = usage.surcharges(call.request, prompt)
            generated = self._output(call.output, model, encoder)
        return usage.settle(ended, given, generated, mode)

    def _mode(self) -> TokenCounting:
        return self._call.engine.settings.token_counting

    def _output(self, tally: OutputTally, model: usage.Model, encoder: Encoder | None) -> Count:
        tokens, exact = tally.now(encoder)
        source = usage.label(
            self._call.request, model, exact=exact, output=True, hidden=tally.saw_summary
        )
        return Count(tokens, source, model.encoding if encoder is not None else None)

    def _input(self, prompt: Prompt, model: usage.Model, encoder: Encoder | None) -> Count | None:
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
            return usage.count(self._call.request, model, job.tally, output=False)
        if self._estimate is None:
            tally = InputTally(prompt)
            for _ in tally.steps(None, model.name):
                pass
            self._estimate = Count(tally.tokens, Source.APPROXIMATED)
        return self._estimate
