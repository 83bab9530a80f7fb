"""The Responses API: whole answers, and the typed events of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tokentrail.testing.replies import Event, JsonObject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.testing.payloads.answer import Answer, ToolCall, Usage

Status = Literal["completed", "incomplete", "failed", "queued", "cancelled"]


def response(answer: Answer, status: Status | None = None) -> JsonObject:
    """Return a whole response; without a ``status``, it follows from the finish reason.

    One that is queued or was cancelled has no output yet, and no usage.
    """
    if status in {"queued", "cancelled"}:
        return _response(answer, status, [], None)
    return _response(answer, status or _status(answer), _output(answer), answer.usage)


def compaction(answer: Answer) -> JsonObject:
    """Return the answer of ``/responses/compact``: one encrypted item."""
    item = {"id": f"cmp_{answer.id}", "type": "compaction", "encrypted_content": "Z0FBQUFBQg=="}
    return {
        "id": f"resp_{answer.id}",
        "object": "response.compaction",
        "created_at": answer.created,
        "output": [item],
        "usage": usage_of(answer.usage) if answer.usage else None,
    }


def token_count(tokens: int) -> JsonObject:
    """Return the answer of ``/responses/input_tokens``."""
    return {"object": "response.input_tokens", "input_tokens": tokens}


def events(answer: Answer, status: Status | None = None) -> list[Event]:
    """Return the events of a streamed response; it always ends with usage, if the answer has it."""
    sequence = list(_events(answer, status or _status(answer)))
    return [
        Event({"type": kind, **fields, "sequence_number": number}, kind)
        for number, (kind, fields) in enumerate(sequence)
    ]


def error_event(
    message: str = "The server had an error while processing your request.",
    code: str = "server_error",
    sequence_number: int = 0,
) -> Event:
    """Return the API's own error event: the client yields it and raises nothing."""
    fields = {"type": "error", "code": code, "message": message, "param": None}
    return Event({**fields, "sequence_number": sequence_number}, "error")


def _events(answer: Answer, status: Status) -> Iterator[tuple[str, JsonObject]]:
    begun = _response(answer, "in_progress", [], None)
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(_output(answer)):
        place: JsonObject = {"output_index": index}
        parts = {"message": "content", "reasoning": "summary", "function_call": "arguments"}
        empty = {parts[str(item["type"])]: "" if item["type"] == "function_call" else []}
        opened = {**item, **empty, "status": "in_progress"}
        yield "response.output_item.added", {**place, "item": opened}
        if item["type"] == "message":
            yield from _text_events(answer, {**place, "item_id": item["id"]})
        elif item["type"] == "function_call":
            yield from _call_events(answer, {**place, "item_id": item["id"]}, item)
        yield "response.output_item.done", {**place, "item": item}
    yield f"response.{status}", {"response": response(answer, status)}


def _text_events(answer: Answer, place: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    text = answer.texts[0]
    place = {**place, "content_index": 0}
    yield "response.content_part.added", {**place, "part": _text_part("")}
    for piece in answer.split(text):
        yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}
    yield "response.output_text.done", {**place, "text": text, "logprobs": []}
    yield "response.content_part.done", {**place, "part": _text_part(text)}


def _call_events(
    answer: Answer, place: JsonObject, item: JsonObject
) -> Iterator[tuple[str, JsonObject]]:
    arguments = str(item["arguments"])
    for piece in answer.split(arguments):
        yield "response.function_call_arguments.delta", {**place, "delta": piece}
    done = {"arguments": arguments, "name": item["name"]}
    yield "response.function_call_arguments.done", {**place, **done}


def _output(answer: Answer) -> list[JsonObject]:
    items: list[JsonObject] = []
    if answer.usage is not None and answer.usage.reasoning:
        items.append({"id": f"rs_{answer.id}", "type": "reasoning", "summary": []})
    items += [_call_item(call) for call in answer.tool_calls]
    if answer.texts[0] or not answer.tool_calls:
        message: JsonObject = {
            "id": f"msg_{answer.id}",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [_text_part(answer.texts[0])],
        }
        items.append(message)
    return items


def _call_item(call: ToolCall) -> JsonObject:
    return {
        "id": f"fc_{call.id}",
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
    }


def _text_part(text: str) -> JsonObject:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _status(answer: Answer) -> Status:
    return "incomplete" if answer.finish_reason == "length" else "completed"


def usage_of(usage: Usage) -> JsonObject:
    """Return a usage under the names of this API."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def _response(
    answer: Answer, status: str, output: list[JsonObject], usage: Usage | None
) -> JsonObject:
    failed, incomplete = status == "failed", status == "incomplete"
    error = {"code": "server_error", "message": "The model had an error. Please try again."}
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": answer.background,
        "error": error if failed else None,
        "incomplete_details": {"reason": "max_output_tokens"} if incomplete else None,
        "instructions": None,
        "max_output_tokens": None,
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage_of(usage) if usage else None,
        "metadata": {},
    }
