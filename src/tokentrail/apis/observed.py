"""A shape that says of each chunk that it was read, where another instrumentation waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.apis import Accumulator, ApiAdapter
    from tokentrail.model.records import Endpoint, Request, Response, TextSink


class ObservedAdapter:
    """A shape whose streams are followed. The shape itself knows nothing of it."""

    __slots__ = ("_follow", "_shape")

    def __init__(self, shape: ApiAdapter, follow: Callable[[], None]) -> None:
        self._shape = shape
        self._follow = follow

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments of a call."""
        return self._shape.parse_request(endpoint, arguments, prompt=prompt)

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a plain answer; it may be read again."""
        return self._shape.parse_response(answer, sink)

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> _ObservedAccumulator:
        """Return an accumulator after each of whose chunks ``follow`` is called."""
        return _ObservedAccumulator(self._shape.stream_accumulator(request, sink), self._follow)


class _ObservedAccumulator:
    """An accumulator that is followed."""

    __slots__ = ("_accumulator", "_follow", "response")

    def __init__(self, accumulator: Accumulator, follow: Callable[[], None]) -> None:
        self._accumulator = accumulator
        self._follow = follow
        self.response = accumulator.response

    def add(self, chunk: object) -> None:
        """Take the next chunk."""
        self._accumulator.add(chunk)
        self._follow()
