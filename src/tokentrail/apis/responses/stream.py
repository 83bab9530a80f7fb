"""Streams of the responses API: events, keyed by the position of their item in the output."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokentrail.apis.chat.tool_calls import arguments_text
from tokentrail.apis.choices import NEVER_RECEIVED
from tokentrail.apis.failures import OTHER_ERROR, error_of_answer, error_type
from tokentrail.apis.reported_usage import is_report, without_empty
from tokentrail.apis.responses.hosted_tools import counted_tools, tool_of
from tokentrail.apis.responses.output import (
    OUTPUT_CALLS,
    TOOL_CALLS,
    feed_kind,
    item_pieces,
    part_pieces,
    read_response,
)
from tokentrail.apis.values import fields, nonempty_str, plain_str, sequence
from tokentrail.model.records import MOST_WAITING, SMALL, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.model.records import TextSink

_DELTAS: Final = {
    "response.output_text.delta": ("text", "content_index"),
    "response.refusal.delta": ("refusal", "content_index"),
    "response.reasoning_text.delta": ("reasoning", "content_index"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index"),
    "response.function_call_arguments.delta": ("tool_arguments", ""),
    "response.custom_tool_call_input.delta": ("tool_arguments", ""),
    "response.mcp_call_arguments.delta": ("tool_arguments", ""),
    "response.code_interpreter_call_code.delta": ("tool_arguments", ""),
    "response.shell_call_command.delta": ("tool_arguments", "command_index"),
}
"""By the type of an event: the kind of text, and the field with the number of the part."""
WHOLE: Final = {
    "response.output_text.done": ("response.output_text.delta", "text"),
    "response.refusal.done": ("response.refusal.delta", "refusal"),
    "response.reasoning_text.done": ("response.reasoning_text.delta", "text"),
    "response.reasoning_summary_text.done": ("response.reasoning_summary_text.delta", "text"),
    "response.function_call_arguments.done": (
        "response.function_call_arguments.delta",
        "arguments",
    ),
    "response.custom_tool_call_input.done": ("response.custom_tool_call_input.delta", "input"),
    "response.mcp_call_arguments.done": ("response.mcp_call_arguments.delta", "arguments"),
    "response.code_interpreter_call_code.done": (
        "response.code_interpreter_call_code.delta",
        "code",
    ),
}
"""For each final event: the delta event whose text it repeats, and the field with the text."""
_THOUGHT: Final = frozenset({"reasoning", "summary"})
MAX_PLACES: Final = 1024
"""How many places of texts are remembered; whole texts at other places are not counted."""
_ENDINGS: Final = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
    "response.done": "completed",
}
"""Events that end a stream, with the status of a response that names none; the last is not
OpenAI's."""
PART_ENDS: Final = {
    "response.content_part.done": "content_index",
    "response.reasoning_part.done": "content_index",
    "response.reasoning_summary_part.done": "summary_index",
}
"""Events with a whole part, and the field with its number."""
_BARE: Final = frozenset({"choices", "delta", "item", "part", "response", "text"})
"""Fields of events with output, if their type is missing."""
_STAGES: Final = frozenset({"response.created", "response.queued", "response.in_progress"})


class EventAccumulator:
    """Accumulates the events of one response. O(1) per event with text, in bounded memory.

    The fields come from the last response object in an event. Fields that it lacks are kept from
    earlier ones.
    """

    __slots__ = (
        "_begun", "_buffers", "_called", "_complaint", "_ended", "_error", "_has_others",
        "_places", "_response", "_says", "_sink", "_sources", "_tools", "has_content",
    )  # fmt: skip

    def __init__(self, sink: TextSink | None) -> None:
        """Start empty; text goes to ``sink``, if there is one."""
        self._sink = sink
        self._response = Response(complete=False)
        self._called = False
        self._ended = False
        self._error: str | None = None
        self._complaint: str | None = None
        """The error code of an event without a type; it counts if the stream has no end."""
        self._has_others = False
        """Whether there were events without a type."""
        self._begun: dict[tuple[str, int, int], str] = {}
        """Texts that an item had when it began; usually they arrive in other events, too."""
        self._sources: set[tuple[str, str, int]] = set()
        """The kinds, ids and parts of items that text arrived for."""
        self._places: set[tuple[str, int, int]] = set()
        """The places where text arrived."""
        self._says = False
        self._tools: dict[int, str] = {}
        """The hosted tools that were used, by the places of their items."""
        self.has_content = False
        self._buffers: dict[tuple[str, int, int], list[str]] = {}
        """Buffers for further pieces of a text, by the type of its events and its place."""

    def add(self, chunk: object) -> None:
        """Take the next event, of any type."""
        # The hot path: most events have the next piece of one text.
        try:
            given = chunk.__dict__
            key = (given["type"], given["output_index"], given["content_index"])
            buffer, delta = self._buffers[key], given["delta"]
            if len(buffer) < MOST_WAITING and len(delta) <= SMALL and type(delta) is str:
                buffer.append(delta)
                return
        except (AttributeError, KeyError, TypeError):
            pass
        self._add(fields(chunk))

    def _add(self, given: Mapping[str, object]) -> None:
        kind = given.get("type")
        if type(kind) is not str:
            self._note_other(given)
            return
        known = _DELTAS.get(kind)
        if known is not None:
            self._feed_delta(kind, known, given)
        elif kind in WHOLE:
            delta, field = WHOLE[kind]
            place = _place(_DELTAS[delta], given)
            self._feed_whole(place, given.get("item_id"), given.get(field))
        else:
            self._take(kind, given)

    def _note_other(self, given: Mapping[str, object]) -> None:
        """Note an event that is none of this API; if it has output, that is not counted."""
        self._has_others = True
        self._complaint = error_of_answer(given, answered=False) or self._complaint
        if self._sink is not None and not _BARE.isdisjoint(given):
            self._sink.add("unknown", 0, 0, "")

    def _feed_whole(self, place: tuple[str, int, int], item_id: object, text: object) -> None:
        """Take a whole text, if it arrives only here: not if it has arrived, at any place."""
        source = (place[0], item_id, place[2])
        if self._is_new(place) and not (type(item_id) is str and source in self._sources):
            self._feed(place, text)

    def _feed_delta(self, kind: str, known: tuple[str, str], given: Mapping[str, object]) -> None:
        place = _place(known, given)
        self._feed(place, given.get("delta"))
        source = given.get("item_id")
        if type(source) is str and len(self._sources) < MAX_PLACES:
            self._sources.add((place[0], source, place[2]))
        if self._sink is None or known[1] != "content_index" or place not in self._places:
            return
        buffer = self._sink.append_buffer(*place)
        if buffer is not None:
            self._buffers[kind, place[1], place[2]] = buffer

    def _feed(self, place: tuple[str, int, int], text: object) -> None:
        """Add a piece of text at its place; what is not text is not counted."""
        if text and type(text) is not str:
            text = arguments_text(text) if place[0] == "tool_arguments" else None
            if text is None and self._sink is not None:
                self._sink.add("unknown", place[1], 0, "")
        if not text or type(text) is not str:
            return
        self._remember(place)
        self._says = True
        self.has_content = self.has_content or place[0] not in _THOUGHT
        if self._sink is not None:
            self._sink.add(*place, text)

    def _remember(self, place: tuple[str, int, int]) -> None:
        if len(self._places) < MAX_PLACES:
            self._places.add(place)

    def _is_new(self, place: tuple[str, int, int]) -> bool:
        """Whether no text arrived at a place, as far as places are remembered."""
        return place not in self._places and len(self._places) < MAX_PLACES

    def _take(self, kind: str, given: Mapping[str, object]) -> None:
        if kind in _STAGES:
            self._learn(fields(given.get("response")))
        elif kind in _ENDINGS:
            self._ended = True
            known = {"usage": given.get("usage"), **_given(given.get("response"))}
            self._learn({"status": _ENDINGS[kind], **known})
            self._close_all(list(map(fields, sequence(known.get("output")))))
            for place, text in self._begun.items():
                if self._is_new(place):
                    self._feed(place, text)
        elif kind == "response.output_item.added":
            self._open(fields(given.get("item")), given.get("output_index"))
        elif kind == "response.output_item.done":
            self._close(fields(given.get("item")), given.get("output_index"))
            self._note_tool(given.get("item"), given.get("output_index"))
        elif kind in PART_ENDS:
            self._take_part(_place(("", PART_ENDS[kind]), given), given)
        elif kind == "error":
            code = given.get("code") or fields(given.get("error")).get("code")
            known_code = None if code is None else error_type({"code": code})
            self._error = "error" if known_code in {None, OTHER_ERROR} else known_code

    def _take_part(self, place: tuple[str, int, int], given: Mapping[str, object]) -> None:
        """Take a whole part; add only the text that did not arrive in events before."""
        for kind, _, text in part_pieces([given.get("part")]):
            if kind == "unknown" and self._sink is not None:
                self._sink.add(kind, place[1], 0, "")
            self._feed_whole((kind, *place[1:]), given.get("item_id"), text)

    def _close(self, item: Mapping[str, object], index: object) -> None:
        """Take a whole item; add only the text that did not arrive in events before."""
        place = index if type(index) is int else 0
        if self._is_new(("", place, 0)):
            self._note_kind(plain_str(item.get("type")), place)
        for kind, number, text in list(item_pieces(item)):
            if kind == "unknown" and self._sink is not None:
                self._sink.add(kind, place, 0, "")
            self._feed_whole((kind, place, number), item.get("id"), text)

    def _note_tool(self, item: object, index: object) -> None:
        name = tool_of(item)
        if name is not None and len(self._tools) < MAX_PLACES:
            self._tools[index if type(index) is int else len(self._tools)] = name

    def _close_all(self, items: list[Mapping[str, object]]) -> None:
        """Take all items, but only kinds of text with more texts than arrived in events before.

        Some servers do not number their events by the positions of the items.
        """
        seen = Counter(kind for kind, _, _ in self._places)
        whole = Counter(kind for item in items for kind, _, _ in item_pieces(item))
        if any(whole[kind] > seen[kind] for kind in whole) or not self._places:
            for index, item in enumerate(items):
                kinds = {kind for kind, _, _ in item_pieces(item)}
                if not kinds or any(whole[kind] > seen[kind] for kind in kinds):
                    self._close(item, index)

    def _learn(self, given: Mapping[str, object]) -> None:
        before, now = self._response, read_response(given)
        reported = now.reported
        if reported is None or (not reported.output_tokens and before.reported is not None):
            reported = before.reported or reported
        self._response = replace(
            now,
            id=now.id or before.id,
            model=now.model or before.model,
            status=now.status or before.status,
            service_tier=now.service_tier or before.service_tier,
            conversation_id=now.conversation_id or before.conversation_id,
            content_filter=now.content_filter or before.content_filter,
            created=now.created or before.created,
            reasoning_level=now.reasoning_level or before.reasoning_level,
            reported=reported,
            final=self._ended and now.reported is not None,
        )

    def _open(self, item: Mapping[str, object], index: object) -> None:
        """Note the start of an item; the deltas that follow lack the name of a call."""
        kind = plain_str(item.get("type"))
        name, place = nonempty_str(item.get("name")), index if type(index) is int else 0
        self._note_kind(kind, place)
        if kind in OUTPUT_CALLS and name is not None and self._is_new(("tool_name", place, 0)):
            self._feed(("tool_name", place, 0), name)
        if len(self._begun) < MAX_PLACES:
            self._begun |= {(kind, place, number): text for kind, number, text in item_pieces(item)}

    def _note_kind(self, kind: str | None, place: int) -> None:
        """Note the kind of the item at a place."""
        self._remember(("", place, 0))
        self._called |= kind in TOOL_CALLS
        if self._sink is not None:
            feed_kind(kind, place, self._sink)

    def response(self) -> Response:
        """Return the response so far."""
        known = self._response
        error = known.error_type or self._error or (None if self._ended else self._complaint)
        return replace(
            known,
            finish_reasons=self._finish_reasons(),
            complete=self._ended,
            ended=self._ended,
            unanswered=self._is_unanswered(error),
            reported=without_empty(known.reported, shown=self._says),
            tools=known.tools if self._ended else counted_tools(self._tools.values()),
            error_type=error,
        )

    def _is_unanswered(self, error: str | None) -> bool:
        """Whether nothing that arrived shows that a model answered."""
        known = self._response
        if self._says or is_report(known.reported) or known.tools or self._tools:
            return False
        return error is not None or (self._has_others and known.id is None)

    def _finish_reasons(self) -> tuple[str, ...] | None:
        if not self._ended:
            return (NEVER_RECEIVED,)
        reasons = self._response.finish_reasons
        return ("tool_call",) if self._called and reasons == ("stop",) else reasons


def _place(known: tuple[str, str], given: Mapping[str, object]) -> tuple[str, int, int]:
    """Return the place of an event's text: kind, item of the output, part of the item."""
    choice, number = given.get("output_index"), given.get(known[1])
    return (
        known[0],
        choice if type(choice) is int else 0,
        number if type(number) is int else 0,
    )


def _given(response: object) -> dict[str, object]:
    return {name: value for name, value in fields(response).items() if value is not None}


class FetchAccumulator(EventAccumulator):
    """Accumulates the events of a fetched response, perhaps fetched before."""

    __slots__ = ("_background",)

    def __init__(self, sink: TextSink | None) -> None:
        super().__init__(sink)
        self._background = False

    def _learn(self, given: Mapping[str, object]) -> None:
        self._background |= given.get("background") is True
        super()._learn(given)

    def response(self) -> Response:
        """Return the response so far; an earlier failure of it is not an error of this call."""
        return replace(
            super().response(),
            compacted=None,
            background=self._background,
            error_type=self._error,
        )
