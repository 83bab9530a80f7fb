"""The calls in a file: requests, exchanges, recorded calls, or the spans of a trace."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

Json = Mapping[str, Any]

_ARRAYS: Final = {"arrayValue": "values", "kvlistValue": "values"}


@dataclass(frozen=True, slots=True)
class GivenCall:
    """A request, and what its answer reported of its input."""

    request: Json
    reported: int | None = None
    cached: int | None = None
    sent: float | None = None
    """Seconds since the epoch."""
    cost: float | None = None
    """In USD, where it was recorded."""
    recorded: Json | None = None
    """Without content: the line of ``tokentrail run --record``, which explains the call."""


def calls_of(text: str) -> list[GivenCall]:
    """Return the calls in a file, in its order; anything else is left out."""
    try:
        return list(_calls(json.loads(text)))
    except (ValueError, RecursionError):
        return [call for line in text.splitlines() for call in _calls(_parsed(line))]


def _parsed(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _calls(given: object) -> Iterator[GivenCall]:
    if isinstance(given, list):
        if all(isinstance(item, dict) and "role" in item for item in given) and given:
            yield GivenCall({"messages": given})
            return
        for item in given:
            yield from _calls(item)
    elif isinstance(given, dict):
        if "resourceSpans" in given:
            yield from sorted(_spans(given), key=lambda call: call.sent or 0)
        elif isinstance(given.get("request"), dict):
            yield from _exchange(given)
        elif "span_id" in given and (given.get("parts") or given.get("content")):
            yield from _recorded(given)
        elif "messages" in given or "input" in given:
            yield GivenCall(given)


def _exchange(given: Json) -> Iterator[GivenCall]:
    from tokentrail.cli.check_counts import replay

    if "messages" not in given["request"] and "input" not in given["request"]:
        return
    usage = replay.usage_of(given)
    details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    yield GivenCall(given["request"], replay.billed_input(usage), _number(cached))


def _recorded(given: Json) -> Iterator[GivenCall]:
    content = given.get("content")
    request = _of_content(content, given.get("model")) if isinstance(content, dict) else None
    if request is None:
        if isinstance(given.get("parts"), dict):
            yield GivenCall({}, recorded=given)
        return
    is_reported = given.get("input_source") == "reported"
    reported = _number(given.get("input_tokens")) if is_reported else None
    sent = datetime.fromisoformat(given["start_time"]).timestamp()
    # Spans leave out a 0: if the call was reported, a missing number is 0.
    cached = _number(given.get("cached_tokens")) or (0 if is_reported else None)
    yield GivenCall(request, reported, cached, sent, cost=given.get("cost"))


def _spans(trace: Json) -> Iterator[GivenCall]:
    for resource in trace["resourceSpans"]:
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                named = {row["key"]: _value(row["value"]) for row in span.get("attributes", ())}
                request = _of_content(named, named.get("gen_ai.request.model"))
                if request is not None:
                    yield _span(named, request, int(span["startTimeUnixNano"]) / 1e9)


def _span(named: Json, request: Json, sent: float) -> GivenCall:
    source = named.get("tokentrail.usage.input.source", "reported")
    reported = _number(named.get("gen_ai.usage.input_tokens")) if source == "reported" else None
    cached = _number(named.get("gen_ai.usage.cache_read.input_tokens"))
    return GivenCall(request, reported, cached or (None if reported is None else 0), sent)


def _value(value: Json) -> object:
    """Return the plain value of an OTLP JSON value; integers in it are text."""
    (kind, held), *_ = [*value.items(), ("", None)]
    if kind == "intValue":
        return int(held)
    if kind in _ARRAYS:
        return [_value(item) for item in held.get("values", ())]
    return held


def _of_content(content: Json, model: object) -> Json | None:
    """Return recorded content as a chat request."""
    listed = _parsed(str(content.get("gen_ai.input.messages")))
    if not isinstance(listed, list):
        return None
    above = _parsed(str(content.get("gen_ai.system_instructions")))
    system = [{"role": "system", "parts": above}] if isinstance(above, list) else []
    messages = [message for item in (*system, *listed) for message in _messages(item)]
    tools = _parsed(str(content.get("gen_ai.tool.definitions")))
    found = tools if isinstance(tools, list) else []
    declared = [{"type": "function", "function": tool} for tool in found if "name" in tool]
    return {"model": model, "messages": messages, **({"tools": declared} if declared else {})}


def _messages(item: Json) -> Iterator[Json]:
    """Yield a message with parts as messages of chat: each tool result is one."""
    texts, calls = [], []
    for part in item.get("parts", ()):
        kind = part.get("type")
        if kind == "tool_call":
            function = {"name": part.get("name"), "arguments": _as_text(part.get("arguments"))}
            calls.append({"id": part.get("id"), "type": "function", "function": function})
        elif kind == "tool_call_response":
            result = _as_text(part.get("response", part.get("result")))
            yield {"role": "tool", "tool_call_id": part.get("id"), "content": result}
        elif isinstance(part.get("content"), str):
            texts.append({"type": "text", "text": part["content"]})
        else:
            texts.append({"type": str(kind)})  # counted as a part that was not understood
    if texts or calls:
        content = texts[0]["text"] if len(texts) == 1 and "text" in texts[0] else texts or None
        yield {"role": item.get("role"), "content": content, "tool_calls": calls or None}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _number(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
