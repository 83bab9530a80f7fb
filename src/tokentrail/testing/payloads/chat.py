"""Chat completions: whole, and as the chunks of a stream."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from tokentrail.testing.payloads.answer import Answer, ToolCall, Usage, UsageOn, completion_usage
from tokentrail.testing.replies import Event, JsonObject

if TYPE_CHECKING:
    from collections.abc import Iterator

DONE = Event("[DONE]")
"""The end of a stream."""

_FILTERS: JsonObject = {
    kind: {"filtered": False, "severity": "safe"}
    for kind in ("hate", "self_harm", "sexual", "violence")
}


def completion(answer: Answer) -> JsonObject:
    """Return a whole chat completion."""
    head = _head(answer, "chat.completion")
    choices = [_choice(answer, index) for index in range(len(answer.texts))]
    usage = completion_usage(answer.usage)
    body: JsonObject = {**head, "choices": choices, **({"usage": usage} if usage else {})}
    if answer.azure:
        body = {**body, "prompt_filter_results": _prompt_filter_results()}
    return body


def chunks(answer: Answer, usage_on: UsageOn = "none") -> list[Event]:
    """Return the events of a streamed chat completion, ``[DONE]`` included.

    Several choices come interleaved, as they do from OpenAI. A running total counts a token for
    each piece, and is the answer's own usage on the last chunk.
    """
    head = _head(answer, "chat.completion.chunk")
    deltas = list(_deltas(answer))
    events = [Event(_prompt_filter_chunk())] if answer.azure else []
    for number, (index, delta, reason) in enumerate(deltas, start=1):
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
        if answer.azure:
            choice["content_filter_results"] = _FILTERS if "content" in delta else {}
        usage = _usage_of_chunk(answer, usage_on, number, len(deltas), finishing=reason is not None)
        events.append(Event({**head, "choices": [choice], **usage}))
    if usage_on == "last":
        events.append(Event({**head, "choices": [], "usage": completion_usage(answer.usage)}))
    return [*events, DONE]


def prompt_filter_event() -> Event:
    """Return Azure's first event: the filter's result for the prompt; no id, model or choice."""
    return Event(_prompt_filter_chunk())


def _deltas(answer: Answer) -> Iterator[tuple[int, JsonObject, str | None]]:
    """Yield each delta with the index of its choice and, on the last, the finish reason."""
    first: JsonObject = {"role": "assistant", "content": "", "refusal": None}
    if answer.tool_calls:
        first = {"role": "assistant", "content": None}
    for index in range(len(answer.texts)):
        yield index, first if index == 0 else {**first, "content": ""}, None
    for row in zip_longest(*(answer.split(text) for text in answer.texts)):
        for index, piece in enumerate(row):
            if piece is not None:
                yield index, {"content": piece}, None
    for index, call in enumerate(answer.tool_calls):
        yield from ((0, delta, None) for delta in _tool_deltas(answer, index, call))
    for index in range(len(answer.texts)):
        yield index, {}, _finish_reason(answer, index)


def _tool_deltas(answer: Answer, index: int, call: ToolCall) -> Iterator[JsonObject]:
    opening = {"name": call.name, "arguments": ""}
    yield {"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": opening}]}
    for piece in answer.split(call.arguments):
        yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _usage_of_chunk(
    answer: Answer, usage_on: UsageOn, number: int, total: int, *, finishing: bool
) -> JsonObject:
    if usage_on == "last":
        return {"usage": None}
    if usage_on == "finish" and finishing:
        return {"usage": completion_usage(answer.usage)}
    if usage_on == "every" and answer.usage is not None:
        running = replace(answer.usage, output=min(number - 1, answer.usage.output), reasoning=0)
        usage: Usage = answer.usage if number == total else running
        return {"usage": completion_usage(usage)}
    return {}


def _choice(answer: Answer, index: int) -> JsonObject:
    message: dict[str, object] = {
        "role": "assistant",
        "content": answer.texts[index],
        "refusal": None,
    }
    if index == 0 and answer.tool_calls:
        message["content"] = answer.texts[0] or None
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in answer.tool_calls
        ]
    reason = _finish_reason(answer, index)
    choice: JsonObject = {
        "index": index,
        "message": message,
        "logprobs": None,
        "finish_reason": reason,
    }
    return {**choice, "content_filter_results": _FILTERS} if answer.azure else choice


def _finish_reason(answer: Answer, index: int) -> str:
    return "tool_calls" if index == 0 and answer.tool_calls else answer.finish_reason


def _head(answer: Answer, kind: str) -> JsonObject:
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": kind,
        "created": answer.created,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_70ke27a11",
    }


def _prompt_filter_results() -> list[JsonObject]:
    return [{"prompt_index": 0, "content_filter_results": _FILTERS}]


def _prompt_filter_chunk() -> JsonObject:
    empty: JsonObject = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    return {**empty, "prompt_filter_results": _prompt_filter_results()}
