"""Content of chat completions: of a request, and of an answer, plain or streamed.

An accumulator may be read at any time; it has what was received so far.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tokentrail.apis import content_media as media
from tokentrail.apis.chat.content_messages import (
    read_call,
    read_content,
    read_custom_call,
    read_message_parts,
    read_messages,
)
from tokentrail.apis.chat.forms import message_of, thought_of
from tokentrail.apis.chat.tool_calls import (
    CallPlaces,
    OpenCall,
    arguments_of,
    each_call,
    repeats_a_call,
    written_content,
)
from tokentrail.apis.choices import listed
from tokentrail.apis.content_tools import read_tools
from tokentrail.apis.values import fields, nonempty_str, plain_str
from tokentrail.content.parts import Content, Message, Part, Reasoning, Text
from tokentrail.support.increments import Pieces

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class _Piece:
    """One part of a choice, as received so far."""

    kind: str
    texts: Pieces = field(default_factory=Pieces)
    name: str = ""
    id: str | None = None
    length: int = 0
    """How many characters of a text were kept."""

    def part(self) -> Part | None:
        """Return the part; None if it is empty."""
        if self.kind == "sound":
            return media.blob("audio", None, media.joined(self.texts))
        given = "".join(self.texts)
        if self.kind in {"call", "custom"}:
            read = read_call if self.kind == "call" else read_custom_call
            return read(self.name, given, self.id)
        if not given:
            return None
        return Reasoning(given) if self.kind == "reasoning" else Text(given)


class ChoiceContentAccumulator:
    """Accumulates the choices of chat completions."""

    limit: int | None = None

    def __init__(self) -> None:
        self._choices: dict[int, dict[tuple[str, int], _Piece]] = {}
        self._roles: dict[int, str] = {}
        self._whole: dict[int, Message] = {}
        self._places = CallPlaces()
        self._legacy: dict[int, OpenCall] = {}

    def take(self, answer: object) -> None:
        """Take a whole plain answer."""
        for position, choice in enumerate(listed(fields(answer).get("choices"))):
            given = fields(choice)
            message = self._read(given)
            if message is not None:
                self._whole[_index(given, position)] = message

    def _read(self, choice: Mapping[str, object]) -> Message | None:
        given = message_of(choice)
        content = given.get("content")
        if type(content) in {int, float}:
            given = {**given, "content": written_content(content)}
        parts = read_message_parts(given)
        return Message(nonempty_str(given.get("role")) or "assistant", parts) if parts else None

    def add(self, chunk: object) -> None:
        """Take the next chunk."""
        for choice in listed(fields(chunk).get("choices")):
            given = fields(choice)
            self._add(given, _index(given, 0))

    def _add(self, choice: Mapping[str, object], index: int) -> None:
        # Most deltas have only content.
        delta: Any = choice.get("delta")
        try:
            alone = len(delta.__pydantic_fields_set__) == 1 and not delta.__pydantic_extra__
            content = delta.__dict__.get("content")
        except AttributeError:
            alone, content = False, None
        if alone and type(content) is str:
            self._append(index, "text", 0, content)
        else:
            self._add_all(fields(delta), index)

    def _add_all(self, given: Mapping[str, object], index: int) -> None:
        role = nonempty_str(given.get("role"))
        if role is not None:
            self._roles[index] = role
        self._append(index, "reasoning", 0, thought_of(given))
        content = written_content(given.get("content"))
        for part in () if isinstance(content, str) else read_content(content):
            if isinstance(part, (Text, Reasoning)):
                kind = "text" if isinstance(part, Text) else "reasoning"
                self._append(index, kind, 0, part.content)
        self._append(index, "text", 0, content)
        self._append(index, "refusal", 0, given.get("refusal"))
        audio = fields(given.get("audio"))
        self._append(index, "text", 1, audio.get("transcript"))
        self._append(index, "sound", 0, audio.get("data"))
        calls = each_call(given["tool_calls"]) if given.get("tool_calls") else []
        for position, call in enumerate(calls):
            self._add_call(call, index, position)
        legacy = fields(given.get("function_call"))
        if legacy and not repeats_a_call(legacy, calls):
            own = self._legacy.setdefault(index, OpenCall(-1))
            own.add(None, nonempty_str(legacy.get("name")), arguments_of(legacy))
            self._call(index, ("call", -1), None, own.new_name, own.new_arguments)

    def _add_call(self, call: Mapping[str, object], index: int, position: int) -> None:
        own = self._places.place(index, call, position)
        kind = "custom" if fields(call.get("custom")) else "call"
        place = (kind, own.slot)
        self._call(index, place, call.get("id"), own.new_name, own.new_arguments)

    def _call(
        self,
        index: int,
        key: tuple[str, int],
        call_id: object,
        name: str | None,
        text: str | None,
    ) -> None:
        piece = self._piece(index, *key)
        piece.id = nonempty_str(call_id) or piece.id
        piece.name += name or ""
        if text is not None:
            piece.texts.grow(text)

    def _append(self, index: int, kind: str, item: int, given: object) -> None:
        if given and isinstance(given, str):
            piece = self._piece(index, kind, item)
            if self.limit is None or kind == "sound" or piece.length <= self.limit:
                text = plain_str(given) or ""
                if kind == "sound":
                    piece.texts.append(text)
                else:
                    piece.length += piece.texts.grow(text)

    def _piece(self, index: int, kind: str, item: int) -> _Piece:
        pieces = self._choices.setdefault(index, {})
        piece = pieces.get((kind, item))
        if piece is None:
            pieces[kind, item] = piece = _Piece(kind)
        return piece

    def content(self) -> Content:
        """Return a message for each choice with any content, in the order of choices."""
        messages = dict(self._whole)
        for index, pieces in self._choices.items():
            parts = tuple(part for piece in pieces.values() if (part := piece.part()) is not None)
            if parts:
                messages[index] = Message(self._roles.get(index, "assistant"), parts)
        return Content(output=tuple(messages[index] for index in sorted(messages)))


def _index(given: Mapping[str, object], position: int) -> int:
    index = given.get("index")
    return index if type(index) is int else position


class ChatContent:
    """Content of chat completions."""

    def read_request(self, arguments: Mapping[str, object], *, schemas: bool) -> Content:
        """Return the messages and the tools of a request."""
        tools, functions = arguments.get("tools"), arguments.get("functions")
        return Content(
            input=read_messages(arguments.get("messages")),
            tools=read_tools(tools, schemas=schemas) + read_tools(functions, schemas=schemas),
        )

    def accumulator(self, *, schemas: bool) -> ChoiceContentAccumulator:
        """Return an empty accumulator of choices."""
        return ChoiceContentAccumulator()
