"""What is read of a request only when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tokentrail.content import Content
    from tokentrail.model.records import Request


class RequestReader(Protocol):
    """Reads of a request what is long, or seldom needed."""

    def read_request(self) -> Request:
        """Return the request with its prompt, as it was sent."""

    def read_content(self) -> Content | None:
        """Return what the request says; ``None`` if the client has to read it first."""

    def read_sent_content(self) -> Content:
        """Return what the request said, once the client has read it."""
