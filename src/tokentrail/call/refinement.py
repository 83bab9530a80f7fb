"""What the worker adds to the counts of a queued call: corrections and explanations, both rare."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from tokentrail.call.learning import calibrated

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tokentrail.counting import InputTally
    from tokentrail.model.records import Operation, Prompt, Usage
    from tokentrail.runtime.runtime import Runtime


def put_right(
    runtime: Runtime, operation: Operation, prompt: Prompt, tally: InputTally | None, usage: Usage
) -> Generator[None, None, Usage]:
    """Return, after short slices, ``usage`` with its counted input corrected.

    The correction was learned from reports of similar calls.
    """
    calibration, response = runtime.calibration, operation.response
    if calibration is None or tally is None or usage.input is None:
        return usage
    answered = response.model if response is not None else None
    counted = (tally, usage.input)
    better = yield from calibrated(calibration, operation.request, prompt, answered, counted)
    return replace(usage, input=better)


def explain(
    runtime: Runtime, operation: Operation, prompt: Prompt, deadline: float
) -> Iterator[None]:
    """Find out what the input consists of and what the prompt cache served, until ``deadline``.

    Nothing happens if the encoding is not built. ``operation`` already has its usage.
    """
    explainer, given = runtime.explainer, operation.usage.input
    model = runtime.identify(operation.request, operation.response)
    encoder = runtime.encodings.get(model.encoding)
    if explainer is None or encoder is None or given is None:
        return
    for _ in explainer.steps(operation, prompt, given, model, encoder):
        if time.monotonic() > deadline:
            return
        yield
