"""Usage of responses that the server makes in the background: recorded once, by a later call.

The call that creates one returns before anything is spent. The usage is recorded by the first call
of this process that fetches the finished response. No other fetch records usage, because the call
that made the response did.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokentrail.support.bounded import BoundedCache

if TYPE_CHECKING:
    from tokentrail.model.records import Request, Response

REMEMBERED: Final = 512
"""Unfinished responses that are remembered."""
_UNFINISHED: Final = frozenset({"queued", "in_progress"})


def is_unfinished(request: Request, response: Response | None) -> bool:
    """Whether the server continues with a response that this call created."""
    if not request.background or response is None:
        return False
    return not response.complete or response.status in _UNFINISHED


class BackgroundUsage:
    """The responses that no call has seen finished."""

    def __init__(self) -> None:
        self._responses: BoundedCache[tuple[str, str], bool] = BoundedCache(REMEMBERED)

    def settled(self, request: Request, response: Response | None) -> Response | None:
        """Return ``response`` as the call records it: with its usage, or without."""
        name = response.id if response is not None else None
        if response is None or name is None:
            return response
        key = (request.endpoint.key, name)
        if is_unfinished(request, response):
            self._responses.keep(key, value=True)
            if response.tools:
                return replace(response, tools=())  # recorded with the usage, when it is finished
        elif request.fetches and (response.reported is not None or response.tools):
            finished = response.status not in _UNFINISHED
            if not (finished and self._responses.pop(key, False)):
                return replace(response, reported=None, tools=())
        return response
