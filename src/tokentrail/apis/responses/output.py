"""What a ``Response`` object of the responses API says: facts and output items."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

from tokentrail.apis.content_filter import read_response_filters
from tokentrail.apis.reported_usage import responses_usage
from tokentrail.apis.values import (
    error_code,
    fields,
    nonempty_str,
    number,
    plain_str,
    sequence,
    telemetry_str,
)
from tokentrail.model.records import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.model.records import TextSink

OTHER_ERROR: Final = "_OTHER"
"""The conventions' ``error.type`` where nothing better is known."""
TOOL_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
"""Items by which the model hands over to the application."""
OUTPUT_CALLS: Final = TOOL_CALLS | {"mcp_call"}
"""Items with a name and arguments that the model wrote."""
UNDERSTOOD: Final = frozenset({"message", "reasoning", "function_call"})
"""Items of which it is known what is billed."""
_STATUSES: Final = {"completed": "stop", "failed": "error", "cancelled": "error"}
_REASONS: Final = {"max_output_tokens": "length"}


def read_response(given: Mapping[str, object]) -> Response:
    """Read the fields of a ``Response``, or of a ``CompactedResponse``, which has few of them."""
    status = telemetry_str(given.get("status"))
    return Response(
        id=telemetry_str(given.get("id")),
        model=telemetry_str(given.get("model")),
        finish_reasons=_finish_reasons(given, status),
        status=status,
        service_tier=telemetry_str(given.get("service_tier")),
        conversation_id=telemetry_str(fields(given.get("conversation")).get("id")),
        compacted=holds_compaction(given.get("output")),
        content_filter=read_response_filters(given.get("content_filters")),
        reported=responses_usage(given.get("usage")),
        complete=bool(given) and status not in {"queued", "in_progress"},
        created=_seconds(given.get("created_at")),
        reasoning_level=telemetry_str(fields(given.get("reasoning")).get("effort")),
        error_type=_error_type(given) if status == "failed" else None,
    )


def _seconds(given: object) -> int | None:
    """Return a time in whole seconds; the client's model has it as a float."""
    exact = number(given)
    return None if exact is None or not isfinite(exact) else int(exact)


def _finish_reasons(given: Mapping[str, object], status: str | None) -> tuple[str, ...] | None:
    """Translate the status: this API has one choice and no finish reason of its own."""
    if given.get("object") == "response.compaction":
        return ("compaction",)
    if status == "incomplete":
        reason = telemetry_str(fields(given.get("incomplete_details")).get("reason"))
        return ("error",) if reason is None else (_REASONS.get(reason, reason),)
    if status == "completed" and calls_tool(given):
        return ("tool_call",)
    finish = None if status is None else _STATUSES.get(status)
    return None if finish is None else (finish,)


def calls_tool(given: Mapping[str, object]) -> bool:
    """Tell whether a response's output asks the application to call something."""
    kinds = (plain_str(fields(item).get("type")) for item in sequence(given.get("output")))
    return not TOOL_CALLS.isdisjoint(kinds)


def holds_compaction(items: object) -> bool | None:
    """Tell whether a compaction stands among the items; ``None`` where none is seen."""
    return any(fields(item).get("type") == "compaction" for item in sequence(items)) or None


def _error_type(given: Mapping[str, object]) -> str:
    return error_code(fields(given.get("error")).get("code")) or OTHER_ERROR


def feed_output(output: object, sink: TextSink) -> None:
    """Hand over what the model wrote, keyed as the events of a stream key it."""
    for index, item in enumerate(sequence(output)):
        given = fields(item)
        kind = given.get("type")
        feed_kind(kind, index, sink)
        if kind == "message":
            _feed_parts(given.get("content"), index, sink)
        elif kind == "reasoning":
            _feed_parts(given.get("content"), index, sink)
            _feed_parts(given.get("summary"), index, sink)
        elif kind == "code_interpreter_call":
            _feed_piece("tool_arguments", given.get("code"), index, sink)
        elif isinstance(kind, str) and kind in OUTPUT_CALLS:
            _feed_piece("tool_name", given.get("name"), index, sink)
            _feed_piece("tool_arguments", given.get("arguments", given.get("input")), index, sink)


def feed_kind(kind: object, index: int, sink: TextSink) -> None:
    """Say that an item is of a kind whose price is not known."""
    known = plain_str(kind)
    if known == "custom_tool_call":
        sink.add("custom_call", index, 0, "")
    elif known not in UNDERSTOOD:
        sink.add("unknown", index, 0, "")


_PARTS: Final = {
    "output_text": ("text", "text"),
    "refusal": ("refusal", "refusal"),
    "reasoning_text": ("reasoning", "text"),
    "summary_text": ("summary", "text"),
}
"""Kind of text, and the field it stands in, by the type of a part."""


def _feed_parts(parts: object, index: int, sink: TextSink) -> None:
    for item, part in enumerate(sequence(parts)):
        given = fields(part)
        known = _PARTS.get(plain_str(given.get("type")) or "")
        if known is not None:
            kind, name = known
            _feed_piece(kind, given.get(name), index, sink, item)


def _feed_piece(kind: str, piece: object, index: int, sink: TextSink, item: int = 0) -> None:
    said = nonempty_str(piece)
    if said is not None:
        sink.add(kind, index, item, said)
