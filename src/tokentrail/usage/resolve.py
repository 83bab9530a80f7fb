"""Where the numbers of a call come from: the server's report, our count, or an estimate.

Pure functions over the records: what must be counted, and which usage follows from counts and
report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail import counting
from tokentrail.config import TokenCounting
from tokentrail.model.operations import CHAT, COMPLETIONS, RESPONSES, WITH_OUTPUT
from tokentrail.model.records import (
    ALLOWED,
    COMPLETED,
    COUNTED,
    REPORTED,
    Count,
    Outcome,
    Prompt,
    Reported,
    Source,
    Usage,
)
from tokentrail.support.frozen import lean_dataclass
from tokentrail.usage.background import is_unfinished

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tokentrail.counting import InputTally, OutputTally, RuleId, Surcharges
    from tokentrail.model.records import Operation, Request, Response


_OFF, _ALWAYS = TokenCounting.OFF, TokenCounting.ALWAYS


@lean_dataclass(frozen=True, slots=True)
class Model:
    """The model assumed to have answered, for counting."""

    name: str
    encoding: str
    known: bool
    """The encoding is known for this model, not guessed."""
    named: bool = True
    """Not only the encoding but the model is known, and so whether it may reason."""


def identify(
    request: str | None, response: str | None, remembered: str | None, models: Mapping[str, str]
) -> Model:
    """Return the model to count with.

    In this order: the user's setting, the model of the answer, the model that this deployment
    answered with before, the model of the request.
    """
    name = response or remembered or request or ""
    for key in (request, response):
        target = models.get(key) if key else None
        if target is not None:
            encoding = counting.resolve(target)
            # The name of an encoding decides how to count, not which model answers or whether it
            # reasons.
            says_model = counting.is_known(target)
            named = says_model or counting.encoding_name(name) is not None
            return Model(
                target if says_model else name,
                encoding or counting.GUESSED_ENCODING,
                encoding is not None,
                named,
            )
    family = counting.family_of(name)
    if family is not None and family.proven:
        return Model(name, family.encoding, known=True)
    asked = counting.encoding_name(request) if request else None
    return Model(name, asked or counting.GUESSED_ENCODING, known=False)


@lean_dataclass(frozen=True, slots=True)
class NeededCounts:
    """Which directions have to be counted."""

    input: bool
    output: bool


def needed_counts(operation: Operation, prompt: Prompt | None, mode: TokenCounting) -> NeededCounts:
    """Return what must be counted, because it is not reported or to compare the two."""
    request, response = operation.request, operation.response
    if (
        mode is _OFF
        or not operation.answered
        or (request.background and is_unfinished(request, response))
    ):
        return NeededCounts(input=False, output=False)
    always = mode is _ALWAYS
    readable = prompt is not None and not prompt.unknowable
    begun = operation.first_chunk is not None
    seen = begun or (not request.stream and response is not None and response.complete)
    return NeededCounts(
        input=readable and (always or reported_input(operation) is None),
        output=seen and shows_output(request) and (always or reported_output(operation) is None),
    )


def input_tally(prompt: Prompt, response: Response | None) -> InputTally:
    """Return the counter of a call's input; ``response`` is what is known of the answer so far."""
    return counting.InputTally(prompt, billed_at=response.created if response is not None else None)


def surcharges(
    request: Request, prompt: Prompt | None, response: Response | None, model: Model
) -> Surcharges:
    """Return the facts that decide the surcharges of an answer."""
    asked = prompt if prompt is not None else Prompt()
    choice, responses = asked.tool_choice or "", request.api == RESPONSES.api
    gpt_4 = counting.is_gpt_4(model.name)
    only = (responses or gpt_4) and choice == "required" and len(asked.tools) == 1
    reasons = (response.finish_reasons if response is not None else None) or ()
    name = None if asked.schema is None else counting.schema_name(asked.schema, asked.schema_name)
    created = response.created if response is not None else None
    return counting.Surcharges(
        dialect=counting.dialect_of(model.name),
        gpt_4=gpt_4,
        of_responses=responses,
        completion=request.operation == COMPLETIONS.name,
        tools=bool(asked.tools),
        hosted_tools=asked.hosted_tools,
        names_tool=":" in choice or only,
        required=choice == "required",
        schema=name,
        thinks=_thinks(request, response),
        cut=any(reason in _CUT for reason in reasons),
        ended=sum(reason not in _CUT for reason in reasons),
        end=_end(request, response, model),
        stops=_stops(request, reasons, model),
        early=created is not None and created < _OCTOBER_2025,
        allowed=choice == f"required{ALLOWED}",
    )


def _stops(request: Request, reasons: Collection[str], model: Model) -> RuleId | None:
    """Return the rule for answers that a stop sequence may have ended."""
    if not request.stop_sequences or "stop" not in reasons:
        return None
    if counting.is_gpt_4(model.name):
        return counting.RuleId.ANSWER_STOPS_GPT_4
    below = all(sequence.startswith("\n") for sequence in request.stop_sequences)
    return counting.RuleId.ANSWER_STOPS if below else counting.RuleId.ANSWER_STOPS_INLINE


_CUT = frozenset({"length", "error"})
"""Finish reasons of an answer whose end was never written."""
_END_2025 = (1735948800, 1747958400)
_OCTOBER_2025 = 1759276800
"""When the end mark of an answer was billed: by OpenAI's chat from January 4 to May 23 in 2025, by
Azure since October 2025; in seconds since the epoch. Since then several calls in Responses cost one
token more, too: the same two calls were billed 44 in June and 45 later."""


def _end(request: Request, response: Response | None, model: Model) -> RuleId | None:
    """Return the rule for the end mark of an answer; None if it is not billed."""
    created = response.created if response is not None else None
    if request.endpoint.provider == _AZURE:
        early = created is not None and created < _OCTOBER_2025
        # Seen with gpt-4o and its successors; never with older models.
        return None if early or model.encoding == _OLDER else counting.RuleId.ANSWER_END_AZURE
    if request.api != CHAT.api or created is None:
        return None
    return counting.RuleId.ANSWER_END_2025 if _END_2025[0] <= created < _END_2025[1] else None


_AZURE = "azure.ai.openai"
_OLDER = "cl100k_base"


def _thinks(request: Request, response: Response | None) -> bool:
    """Whether reasoning is not switched off in the request."""
    level = request.reasoning_level or (response.reasoning_level if response is not None else None)
    return level != "none"


def is_complete(operation: Operation, mode: TokenCounting) -> bool:
    """Whether the usage is known without counts, whatever the prompt."""
    known = operation.usage
    if mode is _OFF or not operation.answered:
        return True
    if mode is _ALWAYS or known.input is None:
        return False
    made = known.output
    whole = made is not None and made.source is REPORTED
    return whole or not generates(operation.request)


def generates(request: Request) -> bool:
    """Whether the operation has output tokens at all."""
    return request.operation in WITH_OUTPUT


def shows_output(request: Request) -> bool:
    """Whether the visible answer is about what was generated."""
    return generates(request) and not request.unknowable_output


def reported_input(operation: Operation) -> int | None:
    """Return the server's number of input tokens."""
    reported = _reported(operation.response)
    return reported.input_tokens if reported is not None else None


def reported_output(operation: Operation) -> int | None:
    """Return the server's number of output tokens, if it covers the whole answer."""
    response = operation.response
    if response is None or response.reported is None or not response.final:
        return None
    whole = operation.outcome in _READ_TO_ITS_END or response.complete
    return response.reported.output_tokens if whole else None


_READ_TO_ITS_END = frozenset({COMPLETED, Outcome.TRUNCATED})
"""Outcomes after which nothing follows the last report."""


def _reported(response: Response | None) -> Reported | None:
    return response.reported if response is not None else None


def count_source(
    request: Request,
    model: Model,
    *,
    exact: bool,
    output: bool,
    hidden: bool | None = None,
    measured: bool | None = None,
) -> Source:
    """Return the source of a count of ours.

    ``exact``: by proven rules; ``measured``: no length was estimated, though rules may be unproven;
    ``hidden``: whether there may be hidden reasoning, if known better than from the request. The
    visible part of such an answer is a lower bound, whatever else is estimated.
    """
    if not model.known or not (exact if measured is None else measured):
        return Source.APPROXIMATED
    if output and (reasons(request, model) if hidden is None else hidden):
        return Source.VISIBLE
    if not exact or (output and (request.inexact_output or not model.named)):
        return Source.APPROXIMATED
    return COUNTED


def reasons(request: Request, model: Model) -> bool:
    """Whether the answer may have cost tokens that it does not show."""
    return counting.may_reason(model.name) and request.reasoning_level != "none"


def to_count(
    request: Request,
    model: Model,
    tally: InputTally | OutputTally | None,
    *,
    output: bool,
    encoded: bool = True,
) -> Count | None:
    """Return the tokens of a tally with their source; ``encoded``: not estimated by length."""
    made = tally if isinstance(tally, counting.OutputTally) else None
    if tally is None:
        return None
    if made is not None and made.tokens == 0 and (made.is_partial or request.inexact_output):
        return None
    hidden = None if made is None else made.may_hide
    source = count_source(
        request, model, exact=tally.exact, output=output, hidden=hidden, measured=tally.measured
    )
    return Count(tally.tokens, source, model.encoding if encoded else None)


def calibrated(count: Count, difference: int) -> Count:
    """Return a count of the input plus what the server adds to similar calls.

    If proven rules give the same number, the source stays ``counted``.
    """
    tokens = count.tokens + difference
    if tokens <= 0 or (difference == 0 and count.source is COUNTED):
        return count
    return Count(tokens, Source.CALIBRATED, count.encoding)


def compare(
    operation: Operation, counted_input: Count | None, counted_output: Count | None
) -> Usage:
    """Return reports together with counts, if the two can be compared."""
    reported_in, reported_out = reported_input(operation), reported_output(operation)
    return Usage(
        _report(reported_in),
        _report(reported_out),
        _reported(operation.response),
        counted_input and _comparable(counted_input, reported_in),
        counted_output and _comparable(counted_output, reported_out),
    )


def resolve_usage(
    operation: Operation,
    counted_input: Count | None,
    counted_output: Count | None,
    mode: TokenCounting,
) -> Usage:
    """Combine report and counts; a count next to a report is kept for comparison."""
    if not operation.answered:
        return Usage()
    reported = operation.response.reported if operation.response is not None else None
    if reported is None:
        return Usage(counted_input, counted_output)
    reported_in, reported_out = reported.input_tokens, reported_output(operation)
    if reported_out is not None:
        generated: Count | None = Count(reported_out, REPORTED)
    else:
        partial = None if mode is _OFF else reported.output_tokens
        generated = _at_least(partial, counted_output)
    return Usage(
        counted_input if reported_in is None else Count(reported_in, REPORTED),
        generated,
        reported,
        counted_input and _comparable(counted_input, reported_in),
        counted_output and _comparable(counted_output, reported_out),
    )


def _report(tokens: int | None) -> Count | None:
    return None if tokens is None else Count(tokens, REPORTED)


def _at_least(partial: int | None, counted: Count | None) -> Count | None:
    """Return ``counted``, unless the server reported more before the stream was cut short."""
    if partial is None or (counted is not None and counted.tokens >= partial):
        return counted
    if partial == 0:
        return counted
    return Count(partial, Source.APPROXIMATED)


def _comparable(count: Count, reported: int | None) -> Count | None:
    return None if reported is None or count.source is not COUNTED else count
