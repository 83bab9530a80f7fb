"""The least that tells a call as the conventions want it, written by hand for these calls alone.

A span with eight attributes, five of them at its start where samplers look; the metric records that
the conventions demand (duration, tokens in and out, the first chunk of a stream) with the seven or
eight attributes they recommend, in the span's context; and a class that forwards a stream's chunks
and reads text, finish reason, usage and times of them. It counts nothing, survives nothing, closes
nothing, reads no other request, and tells no gaps between chunks.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any

from openai.resources.chat.completions import AsyncCompletions, Completions
from openai.resources.embeddings import AsyncEmbeddings, Embeddings
from openai.resources.responses import AsyncResponses, Responses
from opentelemetry import context as otel_context
from opentelemetry import trace

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider


class _Floor:
    def __init__(self, traces: TracerProvider, metrics: MeterProvider) -> None:
        meter = metrics.get_meter("floor")
        self.tracer = traces.get_tracer("floor")
        self.duration = meter.create_histogram("gen_ai.client.operation.duration", "s")
        self.first = meter.create_histogram("gen_ai.client.operation.time_to_first_chunk", "s")
        self.tokens = meter.create_histogram("gen_ai.client.token.usage", "{token}")


class _Call:
    __slots__ = ("begun", "context", "floor", "operation", "span", "started", "token")

    def __init__(self, floor: _Floor, owner: Any, operation: str, model: str) -> None:
        url = owner._client.base_url  # noqa: SLF001 - where it stands
        self.floor = floor
        self.operation = operation
        self.started = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": model,
            "server.address": url.host,
            "server.port": url.port or 443,
        }
        self.span = floor.tracer.start_span(
            f"{operation} {model}", kind=trace.SpanKind.CLIENT, attributes=self.started
        )
        self.context = trace.set_span_in_context(self.span)
        self.token = otel_context.attach(self.context)
        self.begun = time.perf_counter()

    def end(self, answered: tuple[Any, Any], given: int | None, made: int | None) -> None:
        model, tier = answered
        took = time.perf_counter() - self.begun
        floor, context = self.floor, self.context
        bears = {**self.started, "gen_ai.response.model": model}
        told = {"gen_ai.response.model": model}
        if tier is not None:
            bears["openai.response.service_tier"] = tier
        if given is not None:
            told["gen_ai.usage.input_tokens"] = given
            floor.tokens.record(given, {**bears, "gen_ai.token.type": "input"}, context)
        if made is not None:
            told["gen_ai.usage.output_tokens"] = made
            floor.tokens.record(made, {**bears, "gen_ai.token.type": "output"}, context)
        floor.duration.record(took, bears, context)
        self.span.set_attributes(told)
        self.span.end()


def _end(call: _Call, answer: Any) -> None:
    usage = answer.usage
    if call.operation == "embeddings":
        call.end((answer.model, None), usage.prompt_tokens, None)
    elif answer.object == "response":
        call.end((answer.model, answer.service_tier), usage.input_tokens, usage.output_tokens)
    else:
        call.end((answer.model, answer.service_tier), usage.prompt_tokens, usage.completion_tokens)


class _Seen:
    """What is read of a stream's chunks."""

    __slots__ = ("_bears", "call", "first", "last", "length", "model", "reason", "tier", "usage")

    def __init__(self, call: _Call) -> None:
        self.call = call
        self.first: float | None = None
        self.last = 0.0
        self.length = 0
        self.model: str | None = None
        self.tier: str | None = None
        self.reason: str | None = None
        self.usage: Any = None

    def chunk(self, chunk: Any) -> None:
        self.last = time.perf_counter()
        if self.first is None:
            self.first = self.last
        self.model, self.tier = chunk.model, chunk.service_tier
        for choice in chunk.choices:
            if choice.delta.content:
                self.length += len(choice.delta.content)
            if choice.finish_reason:
                self.reason = choice.finish_reason
        if chunk.usage is not None:
            self.usage = chunk.usage

    def event(self, event: Any) -> None:
        self.last = time.perf_counter()
        if self.first is None:
            self.first = self.last
        if event.type == "response.output_text.delta":
            self.length += len(event.delta)
        elif event.type == "response.completed":
            answer = event.response
            self.model, self.tier, self.usage = answer.model, answer.service_tier, answer.usage

    def over(self) -> None:
        call, usage = self.call, self.usage
        if self.first is not None:
            bears = {**call.started, "gen_ai.response.model": self.model}
            call.floor.first.record(self.first - call.begun, bears, call.context)
        given = made = None
        if usage is not None:
            given = getattr(usage, "input_tokens", None) or usage.prompt_tokens
            made = getattr(usage, "output_tokens", None) or usage.completion_tokens
        call.end((self.model, self.tier), given, made)


class _Stream:
    def __init__(self, inner: Any, call: _Call) -> None:
        self._inner = inner
        self._seen = _Seen(call)
        self._look = self._seen.event if call.operation == "responses" else self._seen.chunk

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> Any:
        try:
            chunk = self._inner.__next__()
        except StopIteration:
            self._seen.over()
            raise
        self._look(chunk)
        return chunk


class _AsyncStream(_Stream):
    def __aiter__(self) -> _AsyncStream:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await self._inner.__anext__()
        except StopAsyncIteration:
            self._seen.over()
            raise
        self._look(chunk)
        return chunk


def install(traces: TracerProvider, metrics: MeterProvider) -> None:
    """Put the wrappers in the place of the client's methods."""
    floor = _Floor(traces, metrics)
    for owner, awaited, operation in (
        (Completions, AsyncCompletions, "chat"),
        (Responses, AsyncResponses, "responses"),
        (Embeddings, AsyncEmbeddings, "embeddings"),
    ):
        owner.create = _sync(floor, owner.create, operation)
        awaited.create = _async(floor, awaited.create, operation)


def _sync(floor: _Floor, bare: Any, operation: str) -> Any:
    @functools.wraps(bare)
    def create(self: Any, **kwargs: Any) -> Any:
        call = _Call(floor, self, operation, kwargs["model"])
        try:
            answer = bare(self, **kwargs)
        finally:
            otel_context.detach(call.token)
        if kwargs.get("stream"):
            return _Stream(answer, call)
        _end(call, answer)
        return answer

    return create


def _async(floor: _Floor, bare: Any, operation: str) -> Any:
    @functools.wraps(bare)
    async def create(self: Any, **kwargs: Any) -> Any:
        call = _Call(floor, self, operation, kwargs["model"])
        try:
            answer = await bare(self, **kwargs)
        finally:
            otel_context.detach(call.token)
        if kwargs.get("stream"):
            return _AsyncStream(answer, call)
        _end(call, answer)
        return answer

    return create
