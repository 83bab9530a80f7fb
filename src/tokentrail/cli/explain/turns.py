"""Calls explained one after another, as the worker explains those of a program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tokentrail.counting import ENCODINGS
from tokentrail.model.records import (
    Count,
    Operation,
    Outcome,
    Prompt,
    Reported,
    Response,
    Source,
    Usage,
)
from tokentrail.usage import resolve
from tokentrail.usage.count_request import TokenCount, count_request, read_request
from tokentrail.usage.explain.explainer import Explainer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokentrail.cli.explain.files import GivenCall
    from tokentrail.model.records import Explanation, Request


@dataclass(frozen=True, slots=True)
class Piece:
    """A message, or another part of the request, with its counted tokens."""

    name: str
    tokens: int
    worth: Source


@dataclass(frozen=True, slots=True)
class Turn:
    """One call, explained."""

    model: str
    total: Count
    explanation: Explanation
    pieces: tuple[Piece, ...]
    """In the order of the request."""
    is_timed: bool
    """Whether the time of the call is known."""


def explain(calls: Iterable[GivenCall], model: str | None) -> list[Turn]:
    """Return the calls with a known model, explained in their order."""
    explainer = Explainer(1.0, names=True)
    found = (_turn(explainer, call, model) for call in calls)
    return [turn for turn in found if turn is not None]


def _turn(explainer: Explainer, call: GivenCall, model: str | None) -> Turn | None:
    request = read_request(call.request)
    known = resolve.identify(request.model, None, None, {})
    if not known.known and model is not None:
        known = resolve.identify(model, None, None, {})
    encoder = ENCODINGS.load(known.encoding) if request.model or model else None
    if encoder is None:
        return None
    prompt = request.prompt or Prompt()
    counted = count_request(request, call.request, known, encoder)
    total = _total(call, counted)
    operation = _operation(replace(request, prompt=None), call, total)
    for _ in explainer.steps(operation, prompt, total, known, encoder):
        pass
    if operation.explanation is None:
        return None
    pieces = tuple(_pieces(counted))
    return Turn(known.name, total, operation.explanation, pieces, call.sent is not None)


def _total(call: GivenCall, counted: TokenCount) -> Count:
    """Return the reported input tokens, else the count of all that can be read."""
    if call.reported is not None:
        return Count(call.reported, Source.REPORTED)
    tokens = sum(part.tokens for part in counted.parts)
    return Count(tokens, counted.worth or Source.APPROXIMATED)


def _operation(request: Request, call: GivenCall, total: Count) -> Operation:
    reported = Reported(input_tokens=call.reported, cache_read_tokens=call.cached)
    return Operation(
        request,
        Response(reported=reported),
        Usage(total, reported=reported),
        Outcome.COMPLETED,
        0.0,
        int((call.sent or 0.0) * 1e9),
        answered=True,
    )


def _pieces(counted: TokenCount) -> Iterable[Piece]:
    tokens: dict[str, int] = {}
    guessed: set[str] = set()
    for part in counted.parts:
        tokens[part.of] = tokens.get(part.of, 0) + part.tokens
        if part.worth is not Source.COUNTED:
            guessed.add(part.of)
    for name, number in tokens.items():
        yield Piece(name, number, Source.APPROXIMATED if name in guessed else Source.COUNTED)
