"""One call, as its ended span has it: a row, or a line of ``--record`` (docs/run.md)."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from tokentrail.counting.models import encoding_name
from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.sdk.trace import ReadableSpan

VERSION: Final = 1
"""Of the shape of a line: fields may be added to it, and none changes its meaning."""
_NANO: Final = 1e9
_NOT_THE_PROGRAMS: Final = {None, "not_served", "unknown"}
"""Reasons for a missed cache that a program can do nothing about."""
_CONTENT: Final = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
)


@dataclass(frozen=True, slots=True)
class CallRow:
    """What is known of a call; ``None`` is not known. Times in seconds."""

    start_time: str
    process: int
    trace_id: str
    span_id: str
    parents: tuple[str, ...]
    """The names of the spans around it in this process, the outermost first."""
    test: str | None
    operation: str
    model: str | None
    response_model: str | None
    provider: str | None
    stream: bool
    outcome: str
    error: str | None
    first_content: float | None
    duration: float
    input_tokens: int | None
    input_source: str | None
    output_tokens: int | None
    output_source: str | None
    encoding: str | None
    cached_tokens: int | None
    reasoning_tokens: int | None
    cost: float | None
    """In USD."""
    cost_source: str | None
    retries: int | None
    request_id: str | None
    parts: dict[str, int] | None = None
    """Input tokens by part, as ``explain`` names them (docs/explain.md)."""
    approximated_parts: tuple[str, ...] = ()
    cacheable_tokens: int | None = None
    """What the prompt cache could have served."""
    missed_tokens: int | None = None
    miss_reason: str | None = None
    miss_reason_source: str | None = None
    idle_seconds: float | None = None
    notes: tuple[str, ...] = ()
    content: dict[str, str] | None = None

    @classmethod
    def of(
        cls, span: ReadableSpan, parents: tuple[str, ...], test: str | None, *, content: bool
    ) -> CallRow:
        """Return the row of an ended span; ``content``: with the messages that it has."""
        read = span.attributes or {}
        start, context = span.start_time or 0, span.context
        return cls(
            start_time=datetime.fromtimestamp(start / _NANO, timezone.utc).isoformat(),
            process=os.getpid(),
            trace_id=f"{context.trace_id:032x}",
            span_id=f"{context.span_id:016x}",
            parents=parents,
            test=test,
            duration=((span.end_time or start) - start) / _NANO,
            content={name: str(read[name]) for name in _CONTENT if name in read}
            if content
            else None,
            notes=tuple(_notes(read)),
            **_facts(read),
        )

    def as_json(self) -> dict[str, Any]:
        """Return a line of the file."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> CallRow:
        """Return the row of such a line; fields that are not known here are left out."""
        known = {field.name: line[field.name] for field in fields(cls) if field.name in line}
        for name in ("parents", "approximated_parts", "notes"):
            known[name] = tuple(known.get(name) or ())
        return cls(**known)


def is_call(span: ReadableSpan) -> bool:
    """Whether the span is that of a call which tokentrail knows."""
    return semconv.OUTCOME in (span.attributes or {})


def _facts(read: Mapping[str, Any]) -> dict[str, Any]:
    output = (semconv.OUTPUT_TOKENS, semconv.VISIBLE_OUTPUT, semconv.APPROXIMATED_OUTPUT)
    return {
        "operation": read.get(semconv.OPERATION_NAME),
        "model": read.get(semconv.REQUEST_MODEL),
        "response_model": read.get(semconv.RESPONSE_MODEL),
        "provider": read.get(semconv.PROVIDER_NAME),
        "stream": bool(read.get("gen_ai.request.stream")),
        "outcome": read.get(semconv.OUTCOME),
        "error": read.get(semconv.ERROR_TYPE),
        "first_content": read.get(semconv.TIME_TO_FIRST_CONTENT),
        "input_tokens": _first(read, semconv.INPUT_TOKENS, semconv.APPROXIMATED_INPUT),
        "input_source": read.get(semconv.INPUT_SOURCE),
        "output_tokens": _first(read, *output),
        "output_source": read.get(semconv.OUTPUT_SOURCE),
        "encoding": read.get(semconv.ENCODING),
        "cached_tokens": read.get("gen_ai.usage.cache_read.input_tokens"),
        "reasoning_tokens": read.get("gen_ai.usage.reasoning.output_tokens"),
        "cost": read.get(semconv.COST_AMOUNT),
        "cost_source": read.get(semconv.COST_SOURCE),
        "retries": read.get("tokentrail.retries"),
        "request_id": read.get(semconv.REQUEST_ID),
        **_explanation(read),
    }


def _explanation(read: Mapping[str, Any]) -> dict[str, Any]:
    parts = {part: read[name] for part, name in semconv.INPUT_PARTS.items() if name in read}
    return {
        "parts": parts or None,
        "approximated_parts": tuple(read.get(semconv.APPROXIMATED_PARTS, ())),
        "cacheable_tokens": read.get(semconv.CACHEABLE_TOKENS),
        "missed_tokens": read.get(semconv.MISSED_TOKENS),
        "miss_reason": read.get(semconv.MISS_REASON),
        "miss_reason_source": read.get(semconv.MISS_REASON_SOURCE),
        "idle_seconds": read.get(semconv.IDLE_SECONDS),
    }


def _first(read: Mapping[str, Any], *names: str) -> int | None:
    return next((read[name] for name in names if name in read), None)


def _notes(read: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is off, each with what to do about it."""
    facts = _facts(read)
    if facts["error"] is not None:
        yield f"failed: {facts['error']}"
    unread = facts["stream"] and semconv.TIME_TO_FIRST_CHUNK not in read
    if unread and facts["outcome"] == "closed_early":
        yield "the program never read the stream: it is billed anyway"
    if facts["retries"]:
        yield f"the client sent the request {facts['retries'] + 1} times"
    yield from _usage_notes(facts)
    if facts["missed_tokens"] and facts["miss_reason"] not in _NOT_THE_PROGRAMS:
        missed = f"{facts['missed_tokens']:,} tokens missed the prompt cache"
        yield f"{missed}: {facts['miss_reason'].replace('_', ' ')}"


def _usage_notes(facts: Mapping[str, Any]) -> Iterator[str]:
    sources = {facts["input_source"], facts["output_source"]}
    if "approximated" in sources and not _has_known_encoding(facts):
        yield (
            f"the server reported no usage, and the encoding of {facts['model']} is not known: name"
            " a model with the same encoding in TOKENTRAIL_MODEL_ALIASES"
        )
    elif "approximated" in sources:
        yield "the server reported no usage, and a part of it can only be estimated"
    if "visible" in sources:
        yield (
            "the server reported no usage, and a reasoning model bills more than it shows:"
            " TOKENTRAIL_STREAM_USAGE=request asks for it"
        )


def _has_known_encoding(facts: Mapping[str, Any]) -> bool:
    names = (facts["response_model"], facts["model"])
    return any(encoding_name(name) is not None for name in names if name is not None)
