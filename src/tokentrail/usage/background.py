"""Usage that comes later: of responses that the server makes in the background, and of batches.

Who asks for one gets it before anything was spent. Its usage is recorded by the first call of this
process that fetches it finished. If another process began it, metrics leave it out unless they are
asked for it: that process may fetch it as well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokentrail.support.bounded import BoundedCache

if TYPE_CHECKING:
    from tokentrail.model.records import Operation, Request, Response

REMEMBERED: Final = 512
"""Unfinished responses that are remembered."""
_UNFINISHED: Final = frozenset({"queued", "in_progress"})


def is_unfinished(request: Request, response: Response | None) -> bool:
    """Whether the server continues with a response that this call created."""
    if not request.background or response is None:
        return False
    return not response.complete or response.status in _UNFINISHED


class BackgroundUsage:
    """The responses of which nobody has seen the end, and those whose usage was recorded."""

    def __init__(self, *, counts_all: bool = False) -> None:
        """``counts_all``: metrics also have the usage of what other processes began."""
        self._counts_all = counts_all
        self._owed: BoundedCache[tuple[str, str], bool] = BoundedCache(REMEMBERED)
        self._recorded: BoundedCache[tuple[str, str], object] = BoundedCache(REMEMBERED)

    def claim(self, operation: Operation) -> None:
        """Leave of what a response used what this call is to record, on its span or in all.

        What was made in the background is recorded once by each process that fetches it; what was
        not, where it was made.
        """
        request, response = operation.request, operation.response
        if response is None or response.id is None:
            return
        key = (request.endpoint.key, response.id)
        if is_unfinished(request, response):
            self._owed.keep(key, value=True)
            if response.tools:  # recorded with the usage, at the end
                operation.response = replace(response, tools=())
        elif request.background:
            self._recorded.keep(key, None)
        elif response.reported is not None or response.tools:
            owed = key in self._owed
            if response.status not in _UNFINISHED and self._is_first(key, response, owed=owed):
                operation.spans_only = not (owed or self._counts_all)
            else:
                operation.response = replace(response, reported=None, tools=())

    def _is_first(self, key: tuple[str, str], response: Response, *, owed: bool) -> bool:
        """Whether the usage of a finished response is to be recorded, and by no other thread."""
        if not ((owed or response.background) and self._recorded.add(key, object())):
            return False
        self._owed.pop(key, None)
        return True
