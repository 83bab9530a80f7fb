"""Connections with a sequence of responses: the responses API over a WebSocket.

The requests of one stream are answered in order. Several streams may run in parallel; one of them
has no name.
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
"""The server event that starts a response."""
ERROR = "error"
"""The server event that refuses or aborts a response, or reports another error."""


def is_of_a_stream(error: Mapping[str, object]) -> bool:
    """Whether an error belongs to a response that has started, rather than to the protocol.

    Errors of a response have a sequence number, as all its events. Errors of the protocol have an
    HTTP status.
    """
    number, status = integer(error.get("sequence_number")), integer(error.get("status"))
    return number is not None and status is None


class ConnectionAdapter(ApiAdapter, Protocol):
    """An adapter for responses whose events arrive over one connection."""

    asks: str | None
    """The type of the application's event that requests a response; ``None`` if the server may also
    start responses without a request."""
    ends: frozenset[str]
    """The types of the events that end a response; they have its id."""

    def opened(self, model: str | None) -> ConnectionAdapter:
        """Return an adapter for one connection, with the requested model."""

    def learn(self, kind: str, event: Mapping[str, object]) -> Transcription | None:
        """Take an event that belongs to no open response; return the transcription in it."""

    def stream_id(self, event: Mapping[str, object]) -> str | None:
        """Return the key that distinguishes parallel responses."""


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
        """Return this adapter: every response names its own model."""
        return self

    def learn(self, kind: str, event: Mapping[str, object]) -> None:
        """Do nothing: this API has no session."""

    @staticmethod
    def stream_id(event: Mapping[str, object]) -> str | None:
        """Return the name of the event's stream."""
        return nonempty_str(event.get("stream_id"))

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the request of a response.

        If the request was not seen, the response's own fields are read. Its model is then the
        server's name, not the requested one, and there is no prompt.
        """
        asked = arguments.get("type") == self.asks
        given = (
            {**arguments, "stream": True} if asked else {**arguments, "model": None, "stream": True}
        )
        return super().parse_request(endpoint, given, prompt=prompt and asked)
