"""Calls explained one after another, as the worker explains those of a program."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tokentrail.counting import ENCODINGS
from tokentrail.model.records import (
    CacheUse,
    Count,
    Explanation,
    InputPart,
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
from tokentrail.usage.explain.composition import PARTS
from tokentrail.usage.explain.explainer import Explainer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokentrail.cli.explain.files import GivenCall, Json
    from tokentrail.model.records import Request

_SOURCES: Final = frozenset(source.value for source in Source)


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
    """In the order of the request; none of a call that was recorded without content."""
    is_timed: bool
    """Whether the time of the call is known."""
    cost: float | None = None
    """In USD, where it was recorded."""


def explain(calls: Iterable[GivenCall], model: str | None) -> list[Turn]:
    """Return the calls with a known model, explained in their order."""
    explainer = Explainer(1.0, names=True)
    found = (_turn(explainer, call, model) for call in calls)
    return [turn for turn in found if turn is not None]


def _turn(explainer: Explainer, call: GivenCall, model: str | None) -> Turn | None:
    if call.recorded is not None:
        return _recorded(call.recorded)
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
    is_timed = call.sent is not None
    return Turn(known.name, total, operation.explanation, pieces, is_timed, call.cost)


def _recorded(line: Json) -> Turn | None:
    """Return the call of a line of ``tokentrail run --record``, as it was explained then."""
    guessed, parts = line.get("approximated_parts") or (), line["parts"]
    found = tuple(
        InputPart(name, parts[name], Source.APPROXIMATED if name in guessed else Source.COUNTED)
        for name in PARTS
        if type(parts.get(name)) is int
    )
    if not found or line.get("input_source") not in _SOURCES:
        return None
    total = Count(sum(part.tokens for part in found), Source(line["input_source"]))
    explanation = Explanation(parts=found, cache=_recorded_cache(line, total.source))
    model, cost = str(line.get("model")), line.get("cost")
    return Turn(model, total, explanation, (), is_timed=True, cost=cost)


def _recorded_cache(line: Json, source: Source) -> CacheUse | None:
    if line.get("cacheable_tokens") is None:
        return None
    # Lines leave out a 0, as spans do: if the call was reported, a missing number is 0.
    read = line.get("cached_tokens") or (0 if source is Source.REPORTED else None)
    return CacheUse(
        line["cacheable_tokens"],
        read=None if line.get("missed_tokens") is None else read,
        missed=line.get("missed_tokens"),
        reason=line.get("miss_reason"),
        is_servers=line.get("miss_reason_source") == "server",
        idle=line.get("idle_seconds"),
    )


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
