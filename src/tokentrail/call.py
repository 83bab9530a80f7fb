"""One call of an instrumented program, and what belongs to it from its start to its telling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokentrail import usage
    from tokentrail.content import Capture
    from tokentrail.counting import Encoder, OutputTally
    from tokentrail.engine import Engine
    from tokentrail.operation import Prompt, Request, Response
    from tokentrail.tell import Telling


@dataclass(slots=True)
class Call:
    """The parts of one call."""

    engine: Engine
    request: Request
    telling: Telling
    output: OutputTally | None
    """Counts what is generated; ``None`` where counting is off."""
    late_request: Callable[[], Request] | None = None
    """Reads what was not read when the call was made: what stood in a one-shot iterator, or is
    seldom needed."""
    generation: int = 0
    """The engine's, when the call started: in a forked child it is another."""
    capture: Capture | None = None
    """Gathers what is said; ``None`` where nobody is to be told."""

    def prompt(self) -> Prompt | None:
        """Return what the input is counted from; of use once the answer has begun.

        What is read only now is read once: a long prompt takes milliseconds.
        """
        if self.late_request is not None:
            read = self.late_request()
            self.request = replace(
                self.request, prompt=read.prompt, inexact_output=read.inexact_output
            )
            self.late_request = None
        return self.request.prompt

    def model(self, response: Response | None) -> usage.Model:
        """Return what to count with, the answer being known so far as ``response``."""
        return self.engine.identify(self.request, response.model if response is not None else None)

    def encoder(self, model: usage.Model) -> Encoder | None:
        """Return the model's encoding if it is built."""
        return self.engine.encodings.get(model.encoding)

    def is_ours(self) -> bool:
        """Whether it was started in this process, not in the one that forked it."""
        return self.generation == self.engine.generation
