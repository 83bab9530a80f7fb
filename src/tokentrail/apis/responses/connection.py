"""Connections on which one response follows another: the responses API over a WebSocket.

What is asked on one stream is answered in turn, stream beside stream; one stream has no name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tokentrail.apis import ApiAdapter
from tokentrail.apis.responses.adapter import ResponsesAdapter
from tokentrail.apis.values import integer, nonempty_str

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.model.records import Endpoint, Request, Transcription

BEGINS = "response.created"
"""The event by which a server says that a response begins."""
ERROR = "error"
"""The event by which it refuses to begin one, or gives one up, or objects to something else."""


def is_of_a_stream(error: Mapping[str, object]) -> bool:
    """Whether an error comes out of a response that has begun, rather than of the protocol.

    The first kind is numbered as all events of a response, the second has a status as of HTTP.
    """
    number, status = integer(error.get("sequence_number")), integer(error.get("status"))
    return number is not None and status is None


class ConnectionAdapter(ApiAdapter, Protocol):
    """A shape of responses whose events come over one connection."""

    asks: str | None
    """The type of the application's event that asks for a response; ``None`` if not every one is
    asked for."""
    ends: frozenset[str]
    """The types of the events that end a response, and have its id."""

    def opened(self, model: str | None) -> ConnectionAdapter:
        """Return the shape of one connection, which was asked for with this model."""

    def learn(self, kind: str, event: Mapping[str, object]) -> Transcription | None:
        """Take an event that is about no response under way; return what was written down."""

    def stream_id(self, event: Mapping[str, object]) -> str | None:
        """Return what distinguishes responses that run at once."""


class ResponsesConnectionAdapter(ResponsesAdapter):
    """``responses.connect``."""

    asks: str | None = "response.create"
    ends = frozenset(
        {
            "response.completed",
            "response.incomplete",
            "response.failed",
            "response.cancelled",
        }
    )

    def opened(self, model: str | None) -> ResponsesConnectionAdapter:
        """Return this one: every response says its own model."""
        return self

    def learn(self, kind: str, event: Mapping[str, object]) -> None:
        """Learn nothing: this API has no session."""

    @staticmethod
    def stream_id(event: Mapping[str, object]) -> str | None:
        """Return the name of the stream that an event is of."""
        return nonempty_str(event.get("stream_id"))

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read what a response is asked to be.

        Where nobody saw it asked for, that is what the response says of itself: the name of its
        model is then the server's, not the one asked for, and there is no prompt.
        """
        asked = arguments.get("type") == self.asks
        given = (
            {**arguments, "stream": True} if asked else {**arguments, "model": None, "stream": True}
        )
        return super().parse_request(endpoint, given, prompt=prompt and asked)
