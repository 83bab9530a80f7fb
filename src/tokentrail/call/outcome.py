"""How a call ended: what was seen here, and what the server said of it, come to one outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.model.records import Outcome

if TYPE_CHECKING:
    from tokentrail.model.records import Request, Response


def outcome_of(seen: Outcome, request: Request, response: Response) -> Outcome:
    """Return how a call ended that was answered by ``response`` and ``seen`` to end here.

    A stream that the application closed counts as closed early, unless all of its answer had come.
    One that came to its end is truncated where the server did not mark that end, and the answer is
    not one that goes on elsewhere.
    """
    if response.error_type is not None:
        return Outcome.FAILED
    if seen is Outcome.CLOSED_EARLY and response.complete:
        return Outcome.COMPLETED
    goes_on = request.background or (request.fetches and not request.stream)
    if seen is Outcome.COMPLETED and not (response.ended or goes_on):
        return Outcome.TRUNCATED
    return seen
