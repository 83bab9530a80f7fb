"""A shape that says of each chunk that it was read, where another instrumentation waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokentrail.apis import Accumulator, Shape
    from tokentrail.model.records import Endpoint, Request, Response, TextSink


class FollowedShape:
    """A shape whose streams are followed. The shape itself knows nothing of it."""

    __slots__ = ("_follow", "_shape")

    def __init__(self, shape: Shape, follow: Callable[[], None]) -> None:
        self._shape = shape
        self._follow = follow

    def request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments of a call."""
        return self._shape.request(endpoint, arguments, prompt=prompt)

    def answer(self, answer: object, sink: TextSink | None) -> Response:
        """Read a plain answer; it may be read again."""
        return self._shape.answer(answer, sink)

    def accumulator(self, request: Request, sink: TextSink | None) -> _Followed:
        """Return an accumulator after each of whose chunks ``follow`` is called."""
        return _Followed(self._shape.accumulator(request, sink), self._follow)


class _Followed:
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
