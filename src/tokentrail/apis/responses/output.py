"""Readers for a ``Response`` of the responses API: its fields and output items."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from tokentrail.apis.chat.tool_calls import arguments_text
from tokentrail.apis.choices import find_usage
from tokentrail.apis.content_filter import read_response_filters
from tokentrail.apis.failures import (
    error_of_answer,
    error_of_body,
    error_type,
    has_failed,
    is_error,
)
from tokentrail.apis.reported_usage import is_report, read_usage, without_empty
from tokentrail.apis.responses.hosted_tools import used_tools
from tokentrail.apis.values import (
    error_code,
    fields,
    is_absent,
    is_sequence,
    nonempty_str,
    number,
    plain_str,
    sequence,
    telemetry_str,
    tokens,
)
from tokentrail.model.records import Response

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokentrail.model.records import TextSink

TOOL_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
"""Items with which the model calls a tool of the application."""
OUTPUT_CALLS: Final = TOOL_CALLS | {"mcp_call"}
"""Items with a name and arguments written by the model."""
UNDERSTOOD: Final = frozenset({"message", "reasoning", "function_call"})
"""Items whose billed tokens are known."""
UNFINISHED: Final = frozenset({"queued", "in_progress"})
"""Statuses of a response that has not ended."""
_STATUSES: Final = {"completed": "stop", "failed": "error", "cancelled": "error"}
_REASONS: Final = {"max_output_tokens": "length"}


def read_response(given: Mapping[str, object]) -> Response:
    """Read the fields of a ``Response``, or of a ``CompactedResponse``, which has fewer."""
    status, output = telemetry_str(given.get("status")), sequence(given.get("output"))
    reported, error = read_usage(find_usage(given)), None
    if reported is not None and not reported.output_tokens:
        reported = without_empty(reported, shown=bool(output))
    if has_failed(status) or (status != "completed" and is_error(given.get("error"))):
        error = error_type(given.get("error"))
    elif status is None:
        error = error_of_answer(given, answered=bool(output))
    return Response(
        id=telemetry_str(given.get("id")),
        model=telemetry_str(given.get("model")),
        finish_reasons=_finish_reasons(given, status),
        status=status,
        service_tier=telemetry_str(given.get("service_tier")),
        conversation_id=telemetry_str(fields(given.get("conversation")).get("id")),
        compacted=holds_compaction(output),
        content_filter=read_response_filters(given.get("content_filters"), given.get("moderation")),
        reported=reported,
        tools=used_tools(given) if status not in UNFINISHED else (),
        complete=(status is not None or "output" in given) and status not in UNFINISHED,
        ended=status not in UNFINISHED,
        created=_seconds(given.get("created_at")),
        reasoning_level=telemetry_str(fields(given.get("reasoning")).get("effort")),
        error_type=error,
        unanswered=not (error is None or output or is_report(reported)),
        **_cache_diagnostics(given.get("prompt_cache_diagnostics")),
    )


def read_body(given: Mapping[str, object]) -> Response:
    """Read the body of a plain answer; a body that is no response has failed."""
    known = read_response(given)
    if known.status is not None or known.error_type is not None:
        return known
    error = error_of_body(given, "output", given=bool(given.get("output")))
    return replace(known, error_type=error, unanswered=error is not None and not known.reported)


def _cache_diagnostics(given: object) -> dict[str, Any]:
    """Return the server's report about a cache miss of the prompt."""
    if given is None:
        return {}
    found = fields(given)
    reason = error_code(found.get("reason")) if found.get("type") == "cache_miss" else None
    if reason is None:
        return {}
    missed = tokens(found.get("cache_missed_tokens"))
    return {"cache_miss_reason": reason, "cache_missed_tokens": missed}


def _seconds(given: object) -> int | None:
    """Return a time in whole seconds; in the client's model it is a float."""
    exact = number(given)
    return None if exact is None or not isfinite(exact) else int(exact)


def _finish_reasons(given: Mapping[str, object], status: str | None) -> tuple[str, ...] | None:
    """Derive the finish reason from the status: this API has one choice and no finish reason."""
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
    """Return whether a response's output calls a tool of the application."""
    kinds = (plain_str(fields(item).get("type")) for item in sequence(given.get("output")))
    return not TOOL_CALLS.isdisjoint(kinds)


def holds_compaction(items: object) -> bool | None:
    """Return ``True`` if the items contain a compaction, else ``None``."""
    return any(fields(item).get("type") == "compaction" for item in sequence(items)) or None


def feed_output(output: object, sink: TextSink) -> None:
    """Give ``sink`` what the model wrote, with the same keys as the events of a stream."""
    if not is_sequence(output):
        sink.add("unknown", 0, 0, "")
    for index, item in enumerate(sequence(output)):
        given = fields(item)
        feed_kind(given.get("type"), index, sink)
        for kind, part, text in item_pieces(given):
            sink.add(kind, index, part, text)


def item_pieces(item: Mapping[str, object]) -> Iterator[tuple[str, int, str]]:
    """Yield what the model wrote in an item: kind of text, number of the part, and text.

    Content that is not understood is a piece of kind "unknown", without text.
    """
    kind = plain_str(item.get("type"))
    if kind in {"message", "reasoning"}:
        yield from part_pieces(item.get("content"))
        if kind == "reasoning":
            yield from part_pieces(item.get("summary"))
    elif kind == "code_interpreter_call":
        yield from _piece("tool_arguments", item.get("code"))
    elif kind in OUTPUT_CALLS:
        yield from _piece("tool_name", item.get("name"))
        yield from _piece("tool_arguments", item.get("arguments", item.get("input")))


def feed_kind(kind: object, index: int, sink: TextSink) -> None:
    """Mark an item whose billed tokens are unknown."""
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
"""The kind of text and its field, by the type of a part."""


def part_pieces(parts: object) -> Iterator[tuple[str, int, str]]:
    """Yield the pieces of a list of parts."""
    if parts and not is_sequence(parts):
        yield "unknown", 0, ""
    for place, part in enumerate(sequence(parts)):
        given = fields(part)
        known = _PARTS.get(plain_str(given.get("type")) or "")
        value = None if known is None else given.get(known[1])
        if known is None or not (is_absent(value) or isinstance(value, str)):
            yield "unknown", place, ""
        else:
            yield from _piece(known[0], value, place)


def _piece(kind: str, value: object, place: int = 0) -> Iterator[tuple[str, int, str]]:
    text = arguments_text(value) if kind == "tool_arguments" else nonempty_str(value)
    if text is not None:
        yield kind, place, text
