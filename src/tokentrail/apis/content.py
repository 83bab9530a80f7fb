"""Which of the readers of content is for which operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.chat import content as chat
from tokentrail.apis.completions import content as completions
from tokentrail.apis.responses import content as responses
from tokentrail.content.parts import Content

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.apis import ContentAccumulator
    from tokentrail.model.records import Request


def read_request_content(
    request: Request, arguments: Mapping[str, object], *, schemas: bool
) -> Content:
    """Return what the keyword arguments of a call say."""
    reader = _READERS.get((request.operation, request.api))
    return Content() if reader is None else reader(arguments, schemas=schemas)


_READERS: Final[dict[tuple[str, str | None], Callable[..., Content]]] = {
    ("chat", "chat_completions"): chat.read_request,
    ("chat", "responses"): responses.read_request,
    ("text_completion", None): completions.read_request,
}
"""By operation and API: what else there is has no content, or (an old response that is fetched)
says nothing in its request."""


def content_accumulator(request: Request, *, schemas: bool) -> ContentAccumulator | None:
    """Return what gathers the answer to ``request``; ``None`` where no content is known."""
    make = _ACCUMULATORS.get((request.operation, request.api))
    return None if make is None else make(schemas=schemas)


def _fetched(*, schemas: bool) -> responses.EventContentAccumulator:
    return responses.EventContentAccumulator(schemas=schemas, asked=True)


_ACCUMULATORS: Final[dict[tuple[str, str | None], Callable[..., ContentAccumulator]]] = {
    ("chat", "chat_completions"): chat.ChoiceContentAccumulator,
    ("text_completion", None): completions.CompletionContentAccumulator,
    ("chat", "responses"): responses.EventContentAccumulator,
    ("fetch_response", "responses"): _fetched,
    ("cancel_response", "responses"): _fetched,
}
