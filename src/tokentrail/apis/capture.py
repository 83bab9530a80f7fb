"""Captures the content of one call, from its request until it is recorded and released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from tokentrail.content.parts import (
    Content,
    Reasoning,
    Text,
    ToolCall,
    ToolResponse,
    Uri,
)
from tokentrail.support import guard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokentrail.apis import Accumulator, ApiAdapter, ContentAccumulator
    from tokentrail.content.parts import Part
    from tokentrail.content.redaction import Redaction
    from tokentrail.model.records import Endpoint, Request, Response, TextSink

CHEAP_CHARS: Final = 32 * 1024
"""How many characters are redacted at once, in well under a millisecond."""
_CHUNK_SHIELD: Final = guard.shield("content of a chunk")
_UNKNOWN: Final = 512
"""How many characters a value that is not text counts as."""


class SentContent(Protocol):
    """The content of a request, already read or not."""

    @property
    def held(self) -> object:
        """The objects it holds, for an estimate of their size."""

    def read(self) -> Content | None:
        """Return the content."""


class Capture:
    """Accumulates the content of one call.

    The application's thread adds to it. Once the call ended, another thread may read the content.
    """

    __slots__ = ("_asked", "_content", "_foreign", "_gathering", "rules")

    def __init__(
        self,
        asked: SentContent,
        gathering: ContentAccumulator | None,
        rules: Redaction,
        *,
        foreign: bool = False,
    ) -> None:
        """Start empty. ``foreign``: recording runs a function of the user, which may be slow."""
        self._asked: SentContent | None = asked
        self._gathering = gathering
        self._content: Content | None = None
        self._foreign = foreign or rules.redact is not None
        self.rules = rules

    @property
    def held(self) -> tuple[object, ...]:
        """The objects it holds, for an estimate of their size."""
        asked = None if self._asked is None else self._asked.held
        return self._gathering, self._content, asked

    def add(self, chunk: object) -> None:
        """Take the next chunk of a stream."""
        gathering = self._gathering
        if gathering is not None:
            with _CHUNK_SHIELD:  # counting continues
                gathering.add(chunk)

    def take(self, answer: object) -> None:
        """Take the whole plain answer."""
        gathering = self._gathering
        if gathering is not None:
            with guard.shield("content of an answer"):  # counting continues
                gathering.take(answer)

    def is_cheap(self) -> bool:
        """Whether :meth:`content` is quick: little text, and no function of the user to run."""
        if self._foreign:
            return False
        weight = 0
        for part in _parts(self._all()):
            weight += _weight(part)
            if weight > CHEAP_CHARS:
                return False
        return True

    def content(self) -> Content:
        """Return the redacted content, after the end of the call."""
        return self.rules.content(self._all())

    def _all(self) -> Content:
        if self._content is None:
            asked = (self._asked.read() if self._asked is not None else None) or Content()
            given = self._gathering.content() if self._gathering is not None else Content()
            self._content = Content(
                system=asked.system or given.system,
                input=asked.input,
                output=given.output,
                tools=asked.tools or given.tools,
                variables=asked.variables,
                query=asked.query,
                documents=given.documents,
            )
        return self._content

    def release(self) -> None:
        """Release all text; later additions are dropped."""
        self._asked = self._gathering = self._content = None


def _parts(content: Content) -> Iterator[Part]:
    yield from content.system
    for message in (*content.input, *content.output):
        yield from message.parts


def _weight(part: Part) -> int:
    if isinstance(part, (Text, Reasoning)):
        return len(part.content)
    if isinstance(part, Uri):
        return len(part.uri)
    held = part.arguments if isinstance(part, ToolCall) else None
    held = part.response if isinstance(part, ToolResponse) else held
    return len(held) if isinstance(held, str) else _UNKNOWN


class CapturingAdapter:
    """Wraps an adapter and also gives its answers to a capture."""

    __slots__ = ("_adapter", "_capture")

    def __init__(self, adapter: ApiAdapter, capture: Capture) -> None:
        self._adapter = adapter
        self._capture = capture

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments of a call."""
        return self._adapter.parse_request(endpoint, arguments, prompt=prompt)

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a plain answer, and give it to the capture; may be called again."""
        self._capture.take(answer)
        return self._adapter.parse_response(answer, sink)

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> CapturingAccumulator:
        """Return an accumulator that also gives each chunk to the capture."""
        return CapturingAccumulator(self._adapter.stream_accumulator(request, sink), self._capture)


class CapturingAccumulator:
    """Gives each chunk to an accumulator and to a capture."""

    __slots__ = ("_accumulator", "_capture", "response")

    def __init__(self, accumulator: Accumulator, capture: Capture) -> None:
        self._accumulator = accumulator
        self._capture = capture
        self.response = accumulator.response

    @property
    def has_content(self) -> bool:
        """Whether content has arrived."""
        return self._accumulator.has_content

    def add(self, chunk: object) -> None:
        """Take the next chunk."""
        self._capture.add(chunk)
        self._accumulator.add(chunk)
