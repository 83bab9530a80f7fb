"""Readers for messages and deltas of chat completions, in the forms that servers send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.chat.tool_calls import (
    CallPlaces,
    arguments_text,
    called,
    each_call,
    written_content,
)
from tokentrail.apis.choices import CONTENT, CONTENT_SHOWN, NOTHING, THOUGHT
from tokentrail.apis.values import fields, is_absent, nonempty_str, plain_str, sequence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokentrail.model.records import TextSink

_TRANSCRIPT: Final = 1
"""The item of kind "text" beside the content."""
_FUNCTION_CALL: Final = -1
"""The legacy function call, beside the tool calls that are numbered from 0."""
_HIDDEN: Final = frozenset({"reasoning.summary", "reasoning.encrypted"})
"""Details of reasoning that is billed but not shown."""
_TEXTS: Final = {"text": "text", "output_text": "text", "refusal": "refusal"}
"""Parts of a content that are text, and the field it stands in."""


class MessageReader:
    """Reads the choices of a plain answer: each call in a list is a call of its own."""

    def feed(self, choice: Mapping[str, object], index: int, sink: TextSink) -> None:
        """Pass the content of a choice's message to the sink."""
        said = fields(choice.get("message"))
        feed_words(said, index, sink)
        for position, call in enumerate(each_call(said.get("tool_calls"))):
            name = nonempty_str(called(call).get("name"))
            _feed_call(call, (index, position), name, sink)

    def shows(self, choice: Mapping[str, object]) -> int:
        """Return what the message of a choice shows."""
        return shown_by(fields(choice.get("message")))


class DeltaReader:
    """Reads the choices of one stream's chunks."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places = CallPlaces()

    def feed(self, choice: Mapping[str, object], index: int, sink: TextSink) -> None:
        """Pass the content of a choice's delta to the sink."""
        said = fields(choice.get("delta"))
        feed_words(said, index, sink)
        calls = said.get("tool_calls")
        for position, call in enumerate(each_call(calls) if calls else ()):
            item, name = self._places.place(index, call, position)
            _feed_call(call, (index, item), name, sink)

    def shows(self, choice: Mapping[str, object]) -> int:
        """Return what the delta of a choice shows."""
        return shown_by(fields(choice.get("delta")))


def feed_words(said: Mapping[str, object], index: int, sink: TextSink) -> None:
    """Hand over all but the tool calls of a message or a delta, which have the same names."""
    get = said.get
    content = get("content")
    if content and type(content) is str:
        sink.add("text", index, CONTENT, content)
    elif type(content) is not str and not is_absent(content):
        for kind, text in content_pieces(content):
            sink.add(kind, index, CONTENT, text)
    value = get("refusal")
    if value and type(value) is str:
        sink.add("refusal", index, 0, value)
    _feed_thought(said, index, sink)
    value = get("function_call")
    if value:
        legacy = fields(value)
        name = nonempty_str(legacy.get("name"))
        _feed_call({"function": legacy}, (index, _FUNCTION_CALL), name, sink)
    value = get("audio")
    if value:
        sink.add("unknown", index, _TRANSCRIPT, "")
        transcript = nonempty_str(fields(value).get("transcript"))
        if transcript is not None:
            sink.add("text", index, _TRANSCRIPT, transcript)
    if get("images"):
        sink.add("unknown", index, _TRANSCRIPT, "")


def _feed_thought(said: Mapping[str, object], index: int, sink: TextSink) -> None:
    """Pass shown reasoning to the sink, under the names that compatible servers use.

    A server that sends both repeats itself. A summary is shorter than the billed reasoning.
    """
    value, details = said.get("reasoning_content") or said.get("reasoning"), None
    if "reasoning_details" in said:
        details = {fields(one).get("type") for one in sequence(said["reasoning_details"])}
    kind = "reasoning"
    if details and not _HIDDEN.isdisjoint(details):
        sink.add("summary", index, 0, "")
        kind = "summary" if "reasoning.summary" in details else kind
    if value and type(value) is str:
        sink.add(kind, index, 0, value)


def content_pieces(content: object) -> Iterator[tuple[str, str]]:
    """Yield the pieces of a content that is no text: kind and text, "unknown" without any."""
    bare = plain_str(written_content(content))
    if bare is not None:
        if bare:
            yield "text", bare
        return
    if not isinstance(content, (list, tuple)):
        yield "unknown", ""
    for part in sequence(content):
        text = plain_str(part)
        if text is not None:
            if text:
                yield "text", text
            continue
        given = fields(part)
        kind = plain_str(given.get("type")) or ""
        if kind == "thinking":
            yield from _thought(given.get("thinking"))
        elif (text := plain_str(given.get(_TEXTS.get(kind, "")))) is not None:
            if text:
                yield "text", text
        else:
            yield "unknown", ""


def _thought(value: object) -> Iterator[tuple[str, str]]:
    """Yield the thought of a part: text, or parts of text."""
    for kind, text in () if is_absent(value) else content_pieces(value):
        yield ("reasoning" if kind == "text" else kind), text


def shown_by(said: Mapping[str, object]) -> int:
    """Return what a message or a delta shows."""
    get = said.get
    content = get("content")
    if content and type(content) is str:
        return CONTENT_SHOWN
    shown = NOTHING
    if not is_absent(content) and type(content) is not str:
        kinds = {kind for kind, text in content_pieces(content) if text or kind == "unknown"}
        if kinds - {"reasoning"}:
            return CONTENT_SHOWN
        shown = THOUGHT if kinds else NOTHING
    audio = fields(get("audio"))
    if get("refusal") or audio.get("data") or audio.get("transcript") or get("images"):
        return CONTENT_SHOWN
    calls = [*each_call(get("tool_calls")), {"function": get("function_call")}]
    if any(_is_named(called(call)) for call in calls):
        return CONTENT_SHOWN
    thought = get("reasoning_content") or get("reasoning") or get("reasoning_details")
    return THOUGHT if thought else shown


def _is_named(call: Mapping[str, object]) -> bool:
    return bool(call.get("name") or call.get("arguments") or call.get("input"))


def _feed_call(
    call: Mapping[str, object], place: tuple[int, int], name: str | None, sink: TextSink
) -> None:
    """Hand over a call, or a piece of one; ``name``: what is new of its name."""
    if call.get("type") == "custom" or call.get("custom"):
        sink.add("custom_call", *place, "")
    said = called(call)
    if name is not None:
        sink.add("tool_name", *place, name)
    arguments = arguments_text(said.get("arguments")) or arguments_text(said.get("input"))
    if arguments is not None:
        sink.add("tool_arguments", *place, arguments)
