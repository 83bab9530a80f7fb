"""Streams of the responses API: events, keyed by the place of their item in the output."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokentrail.apis.choices import NEVER_RECEIVED
from tokentrail.apis.responses.output import (
    OUTPUT_CALLS,
    TOOL_CALLS,
    feed_kind,
    feed_output,
    read_response,
)
from tokentrail.apis.values import error_code, fields, nonempty_str, plain_str
from tokentrail.model.records import Response
from tokentrail.model.text_buffer import MOST_WAITING, SMALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.model.records import TextSink
    from tokentrail.model.text_buffer import TextBuffer

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
"""Kind of text, and the field that numbers the parts of an item, by the type of an event."""
_ENDINGS: Final = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
_STAGES: Final = frozenset({"response.created", "response.queued", "response.in_progress"})


class EventAccumulator:
    """Gathers the events of one response. O(1) for each that bears text, in bounded memory.

    The facts are those of the last response object that an event carried; what that one leaves
    out is kept from those before it.
    """

    __slots__ = ("_buffers", "_called", "_ended", "_error", "_response", "_said", "_sink")

    def __init__(self, sink: TextSink | None) -> None:
        """Hand text to ``sink``, where there is one."""
        self._sink = sink
        self._response = Response(complete=False)
        self._called = False
        self._ended = False
        self._error: str | None = None
        self._said = False
        """Some text came by the way."""
        self._buffers: dict[tuple[str, int, int], TextBuffer] = {}
        """Where more of a text may be left, by the type of its events and its place."""

    def add(self, chunk: object) -> None:
        """Take the next event, of any type."""
        # The hot path: most events bear the next piece of one text.
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
            return
        known = _DELTAS.get(kind)
        if known is None:
            self._take(kind, given)
        elif self._sink is not None:
            delta = given.get("delta")
            if delta and type(delta) is str:
                choice, item = given.get("output_index"), given.get(known[1])
                if type(choice) is not int:
                    choice = 0
                part = (known[0], choice, item if type(item) is int else 0)
                self._sink.add(*part, delta)
                self._said = True
                buffer = self._sink.append_buffer(*part) if known[1] == "content_index" else None
                if buffer is not None:
                    self._buffers[kind, choice, part[2]] = buffer

    def _take(self, kind: str, given: Mapping[str, object]) -> None:
        if kind in _STAGES:
            self._learn(fields(given.get("response")))
        elif kind in _ENDINGS:
            self._ended = True
            known = _given(given.get("response"))
            self._learn({"status": _ENDINGS[kind], **known})
            if self._sink is not None and not self._said:  # it may come whole, at the end
                feed_output(known.get("output"), self._sink)
        elif kind == "response.output_item.added":
            self._open(fields(given.get("item")), given.get("output_index"))
        elif kind == "error":
            said = given.get("code") or fields(given.get("error")).get("code")
            self._error = error_code(said) or "error"

    def _learn(self, given: Mapping[str, object]) -> None:
        before, now = self._response, read_response(given)
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
            reported=now.reported or before.reported,
            final=self._ended and now.reported is not None,
        )

    def _open(self, item: Mapping[str, object], index: object) -> None:
        """Note an item that begins: the name of a call comes with it, and only there."""
        kind = plain_str(item.get("type"))
        self._called |= kind in TOOL_CALLS
        name, place = nonempty_str(item.get("name")), index if type(index) is int else 0
        if self._sink is None:
            return
        feed_kind(kind, place, self._sink)
        if kind in OUTPUT_CALLS and name is not None:
            self._sink.add("tool_name", place, 0, name)

    def response(self) -> Response:
        """Return what is known by now."""
        known = self._response
        return replace(
            known,
            finish_reasons=self._finish_reasons(),
            complete=self._ended,
            error_type=known.error_type or self._error,
        )

    def _finish_reasons(self) -> tuple[str, ...] | None:
        if not self._ended:
            return (NEVER_RECEIVED,)
        reasons = self._response.finish_reasons
        return ("tool_call",) if self._called and reasons == ("stop",) else reasons


def _given(response: object) -> dict[str, object]:
    return {name: value for name, value in fields(response).items() if value is not None}


class FetchAccumulator(EventAccumulator):
    """Gathers the events of a response that is fetched, perhaps again."""

    __slots__ = ()

    def response(self) -> Response:
        """Return what is known by now; a failure that is old is no error now."""
        return replace(super().response(), compacted=None, error_type=self._error)
