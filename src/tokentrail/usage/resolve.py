"""Where the numbers of a call come from: the server's report, our count, or less.

Pure functions over the records: what has to be counted, and what the counts and the report add
up to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tokentrail.config import TokenCounting
from tokentrail.counting import (
    GUESSED_ENCODING,
    OutputTally,
    Surcharges,
    encoding_name,
    may_reason,
    resolve,
)
from tokentrail.model.records import Count, Outcome, Prompt, Reported, Source, Usage
from tokentrail.usage.background import is_unfinished

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.counting import InputTally
    from tokentrail.model.records import Operation, Request, Response


@dataclass(frozen=True, slots=True)
class Model:
    """What is taken to have answered, for counting."""

    name: str
    encoding: str
    known: bool
    """The encoding is known for this model, not guessed."""


def identify(
    request: str | None, response: str | None, remembered: str | None, models: Mapping[str, str]
) -> Model:
    """Return the model that counts.

    The user's word goes first, then the model that the answer names, then the one that this
    deployment named before, then the one asked for.
    """
    name = response or remembered or request or ""
    for key in (request, response):
        target = models.get(key) if key else None
        if target is not None:
            encoding = resolve(target)
            # The name of an encoding says how to count, not who answers and how it thinks.
            named = target if encoding_name(target) is not None else name
            return Model(named, encoding or GUESSED_ENCODING, encoding is not None)
    encoding = encoding_name(name)
    if encoding is not None:
        return Model(name, encoding, known=True)
    asked = encoding_name(request) if request else None
    return Model(name, asked or GUESSED_ENCODING, known=False)


@dataclass(frozen=True, slots=True)
class NeededCounts:
    """Which directions have to be counted."""

    input: bool
    output: bool


def needed_counts(operation: Operation, prompt: Prompt | None, mode: TokenCounting) -> NeededCounts:
    """Return what must be counted because it is not reported, or to be compared."""
    request, response = operation.request, operation.response
    if mode is TokenCounting.OFF or not operation.answered or is_unfinished(request, response):
        return NeededCounts(input=False, output=False)
    always = mode is TokenCounting.ALWAYS
    readable = prompt is not None and not prompt.unknowable
    begun = operation.first_chunk is not None
    seen = begun or (not request.stream and response is not None and response.complete)
    return NeededCounts(
        input=readable and (always or reported_input(operation) is None),
        output=seen and shows_output(request) and (always or reported_output(operation) is None),
    )


def surcharges(request: Request, prompt: Prompt | None) -> Surcharges:
    """Return what ``request`` says of the billing of what it has generated."""
    asked = prompt if prompt is not None else Prompt()
    choice = asked.tool_choice or ""
    return Surcharges(
        per_answer=1 if request.api == "responses" else 0,
        named_tool=":" in choice or (choice == "required" and len(asked.tools) == 1),
        tools=bool(asked.tools),
        structured=asked.schema is not None,
    )


def is_complete(operation: Operation, mode: TokenCounting) -> bool:
    """Whether nothing has to be counted, whatever the prompt: it was settled without counts."""
    known = operation.usage
    if mode is TokenCounting.OFF or not operation.answered:
        return True
    if mode is TokenCounting.ALWAYS or known.input is None:
        return False
    made = known.output
    whole = made is not None and made.source is Source.REPORTED
    return whole or not generates(operation.request)


def generates(request: Request) -> bool:
    """Whether the operation has output tokens at all."""
    return request.operation in {"chat", "text_completion"}


def shows_output(request: Request) -> bool:
    """Whether what is shown of the answer is what was generated, or near it."""
    return generates(request) and not request.unknowable_output


def reported_input(operation: Operation) -> int | None:
    """Return the server's number of input tokens."""
    reported = _reported(operation.response)
    return reported.input_tokens if reported is not None else None


def reported_output(operation: Operation) -> int | None:
    """Return the server's number of output tokens, if it is that of the whole answer."""
    response = operation.response
    if response is None or response.reported is None or not response.final:
        return None
    whole = operation.outcome is Outcome.COMPLETED or response.complete
    return response.reported.output_tokens if whole else None


def _reported(response: Response | None) -> Reported | None:
    return response.reported if response is not None else None


def count_source(
    request: Request, model: Model, *, exact: bool, output: bool, hidden: bool = False
) -> Source:
    """Return what a count of ours is worth; ``hidden``: a summary spoke of thought behind it."""
    if not exact or not model.known or (output and request.inexact_output):
        return Source.APPROXIMATED
    if output and (hidden or reasons(request, model)):
        return Source.VISIBLE
    return Source.COUNTED


def reasons(request: Request, model: Model) -> bool:
    """Whether the answer may have cost tokens that nobody sees."""
    return may_reason(model.name) and request.reasoning_level != "none"


def to_count(
    request: Request,
    model: Model,
    tally: InputTally | OutputTally | None,
    *,
    output: bool,
    encoded: bool = True,
) -> Count | None:
    """Return what a tally came to, labelled; ``encoded``: not by its length alone."""
    hidden = isinstance(tally, OutputTally) and tally.saw_summary
    if tally is None or (output and tally.tokens == 0 and (hidden or request.inexact_output)):
        return None
    source = count_source(request, model, exact=tally.exact, output=output, hidden=hidden)
    return Count(tally.tokens, source, model.encoding if encoded else None)


def compare(
    operation: Operation, counted_input: Count | None, counted_output: Count | None
) -> Usage:
    """Return reports with the counts beside them, where the two can be compared."""
    told_input, told_output = reported_input(operation), reported_output(operation)
    return Usage(
        _report(told_input),
        _report(told_output),
        _reported(operation.response),
        counted_input and _comparable(counted_input, told_input),
        counted_output and _comparable(counted_output, told_output),
    )


def resolve_usage(
    operation: Operation,
    counted_input: Count | None,
    counted_output: Count | None,
    mode: TokenCounting,
) -> Usage:
    """Put report and counts together; a count beside a report is kept for comparison."""
    if not operation.answered:
        return Usage()
    reported = operation.response.reported if operation.response is not None else None
    if reported is None:
        return Usage(counted_input, counted_output)
    told_input, told_output = reported.input_tokens, reported_output(operation)
    if told_output is not None:
        generated: Count | None = Count(told_output, Source.REPORTED)
    else:
        partial = None if mode is TokenCounting.OFF else reported.output_tokens
        generated = _at_least(partial, counted_output)
    return Usage(
        counted_input if told_input is None else Count(told_input, Source.REPORTED),
        generated,
        reported,
        counted_input and _comparable(counted_input, told_input),
        counted_output and _comparable(counted_output, told_output),
    )


def _report(tokens: int | None) -> Count | None:
    return None if tokens is None else Count(tokens, Source.REPORTED)


def _at_least(partial: int | None, counted: Count | None) -> Count | None:
    """Return ``counted``, unless the server had reported more before it was cut short."""
    if partial is None or (counted is not None and counted.tokens >= partial):
        return counted
    if partial == 0:
        return counted
    return Count(partial, Source.APPROXIMATED)


def _comparable(count: Count, told: int | None) -> Count | None:
    return None if told is None or count.source is not Source.COUNTED else count
