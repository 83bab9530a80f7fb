"""The requests and answers of openai, read into plain records: a folder for each API.

An adapter reads structurally (``vars()`` of the model objects, plain dicts of the caller), so it
imports nothing of openai, copes with fields a version lacks, and never raises for what a server
may send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.content.parts import Content
    from tokentrail.model.records import Endpoint, Request, Response, TextSink


class Accumulator(Protocol):
    """Gathers a streamed answer chunk by chunk, in bounded memory."""

    @property
    def has_content(self) -> bool:
        """Whether content has arrived: text, a refusal, audio or a tool call."""

    def add(self, chunk: object) -> None:
        """Take the next chunk. O(1)."""

    def response(self) -> Response:
        """Return what is known so far; may be called at any time, and again."""


class ApiAdapter(Protocol):
    """Reads one API's requests and answers."""

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments of a call, ``extra_body`` already merged over them.

        ``prompt``: also what counting the input needs, which costs the most.
        """

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a plain answer; its text goes into ``sink`` where there is one."""

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> Accumulator:
        """Return an empty accumulator for a streamed answer to ``request``."""


class ContentAccumulator(Protocol):
    """Gathers the content of one answer."""

    limit: int | None
    """Characters of a streamed text after which no more of it is gathered."""

    def add(self, chunk: object) -> None:
        """Take the next chunk of a stream."""

    def take(self, answer: object) -> None:
        """Take a whole plain answer."""

    def content(self) -> Content:
        """Return the content so far."""


class ContentReader(Protocol):
    """Reads the content of calls of one API."""

    def read_request(self, arguments: Mapping[str, object], *, schemas: bool) -> Content:
        """Return what the keyword arguments say; ``schemas``: with those of the tools."""

    def accumulator(self, *, schemas: bool) -> ContentAccumulator:
        """Return what gathers the content of an answer; ``schemas``: as of a request."""
