"""The outcome of a call, from what was observed here and what the server reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.model.records import Outcome

if TYPE_CHECKING:
    from tokentrail.model.records import Request, Response

_CANCELLED: Final = ("cancelled", "canceled")
"""Statuses of a response that the application cancelled, from wherever."""


def outcome_of(seen: Outcome, request: Request, response: Response) -> Outcome:
    """Return the outcome of a call with ``response`` whose end was observed as ``seen``.

    A stream that the application closed is closed early, unless its answer was complete. A stream
    that ended is truncated if the server did not mark the end, unless the answer continues
    elsewhere (a background response, or one fetched later). Fetching a response that failed or was
    cancelled did not fail.
    """
    if response.error_type is not None:
        return Outcome.FAILED
    if response.status in _CANCELLED and not request.fetches:
        return Outcome.CANCELLED
    if seen is Outcome.CLOSED_EARLY and response.complete:
        return Outcome.COMPLETED
    goes_on = request.background or (request.fetches and not request.stream)
    if seen is Outcome.COMPLETED and not (response.ended or goes_on):
        return Outcome.TRUNCATED
    return seen
