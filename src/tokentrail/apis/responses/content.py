"""Content of the responses API: of a request, and of an answer, plain or as events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.content_tools import read_tools
from tokentrail.apis.responses.content_items import (
    read_input,
    read_instructions,
    read_item,
    read_output,
)
from tokentrail.apis.responses.stream import PART_ENDS, WHOLE
from tokentrail.apis.values import fields, nonempty_str, plain_str, sequence
from tokentrail.content.parts import Content, Message
from tokentrail.support.increments import Pieces

if TYPE_CHECKING:
    from collections.abc import Mapping

_DELTAS: Final = {
    "response.output_text.delta": ("content", "output_text", "text", "content_index"),
    "response.refusal.delta": ("content", "refusal", "refusal", "content_index"),
    "response.reasoning_text.delta": ("content", "reasoning_text", "text", "content_index"),
    "response.reasoning_summary_text.delta": ("summary", "summary_text", "text", "summary_index"),
    "response.function_call_arguments.delta": ("arguments", "", "", ""),
    "response.custom_tool_call_input.delta": ("input", "", "", ""),
    "response.mcp_call_arguments.delta": ("arguments", "", "", ""),
    "response.code_interpreter_call_code.delta": ("code", "", "", ""),
}
"""By the type of an event: the field of the item that the delta extends. If that is a list of
parts, also the type of the part, the extended field of the part, and the field with its number."""

_PARTS: Final = {row[1]: row for row in _DELTAS.values() if row[1]}
"""The same for parts, by their type."""


def _variables(given: object) -> tuple[tuple[str, str], ...]:
    """Return the variables of a prompt that are text, bare or as a part."""
    found: list[tuple[str, str]] = []
    for name, value in fields(given).items():
        text = nonempty_str(value) or nonempty_str(fields(value).get("text"))
        if text is not None:
            found.append((str(name), text))
    return tuple(found)


class _Item:
    """An item of the output, as received so far."""

    __slots__ = ("_begun", "_done", "_lengths", "_texts")

    def __init__(self) -> None:
        self._begun: Mapping[str, object] = {}
        self._done: Mapping[str, object] | None = None
        self._texts: dict[tuple[str, str, str, int], Pieces] = {}
        self._lengths: dict[tuple[str, str, str, int], int] = {}

    def begin(self, item: Mapping[str, object]) -> None:
        self._begun = item

    def finish(self, item: Mapping[str, object]) -> None:
        self._done = item
        self._texts.clear()

    def add(
        self,
        place: tuple[str, str, str, int],
        piece: str,
        limit: int | None,
        *,
        whole: bool = False,
    ) -> None:
        """Add a piece; add a ``whole`` text only if no piece of it arrived before."""
        if self._done is not None or (whole and place in self._texts):
            return
        length = self._lengths.get(place, 0)
        if limit is not None and place[1] and length > limit:  # JSON is cut after parsing
            return
        self._lengths[place] = length + self._texts.setdefault(place, Pieces()).grow(piece)

    def fields(self) -> Mapping[str, object]:
        """Return the item as the server would send it if it ended now."""
        if self._done is not None:
            return self._done
        grown: dict[str, object] = {}
        places = sorted(self._texts.items(), key=lambda place: (place[0][0], place[0][3]))
        for (field, kind, inner, _), pieces in places:
            text = "".join(pieces)
            if not kind:
                grown[field] = text
                continue
            parts = grown.setdefault(field, [])
            if isinstance(parts, list):
                parts.append({"type": kind, inner: text})
        named = plain_str(self._begun.get("type")) or _kind(grown)
        return {**self._begun, "type": named, **grown}


def _kind(grown: Mapping[str, object]) -> str | None:
    """Return the type of an item whose start was not seen: the stream was joined midway."""
    if "summary" in grown:
        return "reasoning"
    kinds = {plain_str(fields(part).get("type")) for part in sequence(grown.get("content"))}
    if kinds:
        return "reasoning" if "reasoning_text" in kinds else "message"
    return None


class EventContentAccumulator:
    """Accumulates the content of one response."""

    limit: int | None = None

    def __init__(self, *, schemas: bool = False, asked: bool = False) -> None:
        """Start empty. ``asked``: also read the request from the response, which repeats it."""
        self._schemas = schemas
        self._asked = asked
        self._items: dict[int, _Item] = {}
        self._response: Mapping[str, object] = {}

    def take(self, answer: object) -> None:
        """Take a whole response."""
        self._response = fields(answer)

    def add(self, chunk: object) -> None:
        """Take the next event."""
        given = fields(chunk)
        kind = given.get("type")
        if not isinstance(kind, str):
            return
        known = _DELTAS.get(kind)
        if known is not None:
            self._grow(known, given, given.get("delta"))
        elif kind in WHOLE:
            delta, field = WHOLE[kind]
            self._grow(_DELTAS[delta], given, given.get(field), whole=True)
        elif kind in PART_ENDS:
            part = fields(given.get("part"))
            part_row = _PARTS.get(plain_str(part.get("type")) or "")
            if part_row is not None:
                self._grow(part_row, given, part.get(part_row[2]), whole=True)
        elif kind == "response.output_item.added":
            self._item(given).begin(fields(given.get("item")))
        elif kind == "response.output_item.done":
            self._item(given).finish(fields(given.get("item")))
        elif "response" in given:
            self._response = fields(given["response"])

    def _grow(
        self,
        known: tuple[str, str, str, str],
        given: Mapping[str, object],
        text: object,
        *,
        whole: bool = False,
    ) -> None:
        piece = plain_str(text)
        if piece:
            field, kind, inner, numbering = known
            number = given.get(numbering)
            place = (field, kind, inner, number if type(number) is int else 0)
            self._item(given).add(place, piece, self.limit, whole=whole)

    def _item(self, given: Mapping[str, object]) -> _Item:
        index = given.get("output_index")
        return self._items.setdefault(index if type(index) is int else 0, _Item())

    def content(self) -> Content:
        """Return the one message of a response, and the parts of its request that it repeats."""
        output = read_output(self._response.get("output")) or self._unfinished()
        if not self._asked:
            return Content(output=output)
        return Content(
            system=read_instructions(self._response.get("instructions")),
            output=output,
            tools=read_tools(self._response.get("tools"), schemas=self._schemas),
        )

    def _unfinished(self) -> tuple[Message, ...]:
        """Return the received items of a response that has not ended."""
        items = [self._items[index].fields() for index in sorted(self._items)]
        parts = tuple(part for item in items for part in read_item(item))
        return (Message("assistant", parts),) if parts else ()


class ResponsesContent:
    """Content of the responses API."""

    def read_request(self, arguments: Mapping[str, object], *, schemas: bool) -> Content:
        """Return instructions, input, tools and the variables of a prompt."""
        return Content(
            system=read_instructions(arguments.get("instructions")),
            input=read_input(arguments.get("input")),
            tools=read_tools(arguments.get("tools"), schemas=schemas),
            variables=_variables(fields(arguments.get("prompt")).get("variables")),
        )

    def accumulator(self, *, schemas: bool) -> EventContentAccumulator:
        """Return an empty accumulator of items."""
        return EventContentAccumulator(schemas=schemas)


class FetchedContent:
    """Content of a response created earlier, all of which is in the response."""

    def read_request(self, arguments: Mapping[str, object], *, schemas: bool) -> Content:
        """Return empty content."""
        return Content()

    def accumulator(self, *, schemas: bool) -> EventContentAccumulator:
        """Return an accumulator of items and of what the response repeats of its request."""
        return EventContentAccumulator(schemas=schemas, asked=True)
