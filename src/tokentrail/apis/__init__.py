"""Adapters that read openai's requests and answers into plain records: one folder per API.

An adapter reads structurally: ``vars()`` of model objects, and plain dicts of the caller. So it
imports nothing of openai, accepts versions that lack a field, and never raises, whatever a server
sends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.content.parts import Content
    from tokentrail.model.records import Endpoint, Request, Response, TextSink


class Accumulator(Protocol):
    """Accumulates a streamed answer chunk by chunk, in bounded memory."""

    @property
    def has_content(self) -> bool:
        """Whether content has arrived: text, a refusal, audio or a tool call."""

    def add(self, chunk: object) -> None:
        """Take the next chunk. O(1)."""

    def response(self) -> Response:
        """Return the response so far; may be called repeatedly and at any time."""


class ApiAdapter(Protocol):
    """Reads the requests and answers of one API."""

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments of a call, with ``extra_body`` already merged in.

        ``prompt``: whether to read the prompt too, which counting the input needs and costs most.
        """

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a plain answer; its text goes to ``sink``, if there is one."""

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> Accumulator:
        """Return an empty accumulator for a streamed answer to ``request``."""


class ContentAccumulator(Protocol):
    """Accumulates the content of one answer."""

    limit: int | None
    """Characters of a streamed text after which the rest of it is dropped."""

    def add(self, chunk: object) -> None:
        """Take the next chunk of a stream."""

    def take(self, answer: object) -> None:
        """Take a whole plain answer."""

    def content(self) -> Content:
        """Return the content so far."""


class ContentReader(Protocol):
    """Reads the content of calls of one API."""

    def read_request(self, arguments: Mapping[str, object], *, schemas: bool) -> Content:
        """Return the content of keyword arguments; ``schemas``: with the schemas of tools."""

    def accumulator(self, *, schemas: bool) -> ContentAccumulator:
        """Return an empty accumulator for an answer; ``schemas``: as in a request."""
