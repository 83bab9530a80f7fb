"""tokentrail: every call of the openai client told to OpenTelemetry, its tokens always known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokentrail.instrumentor import OpenAIInstrumentor
from tokentrail.model.records import Count, Source, Usage
from tokentrail.patching import streams
from tokentrail.runtime import runtime
from tokentrail.telemetry.attribution import attributes
from tokentrail.usage.count_tokens import count_tokens
from tokentrail.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from os import PathLike

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from tokentrail.config import (
        ContentCapture,
        Cost,
        MetricNames,
        OnConflict,
        StreamUsage,
        TokenCounting,
    )

__all__ = [
    "Count",
    "OpenAIInstrumentor",
    "Source",
    "Usage",
    "__version__",
    "attributes",
    "count_tokens",
    "current_usage",
    "flush",
    "instrument",
    "uninstrument",
]


def instrument(  # noqa: PLR0913 - the settings, by name
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
    token_counting: TokenCounting | str | None = None,
    model_aliases: Mapping[str, str] | str | None = None,
    count_timeout: float | None = None,
    time_per_output_chunk: bool | None = None,
    metric_names: MetricNames | str | None = None,
    metric_attributes: Collection[str] | str | None = None,
    internal_metrics: bool | None = None,
    stream_usage: StreamUsage | str | None = None,
    count_verification_ratio: float | None = None,
    preload_encodings: Sequence[str] | str | None = None,
    capture_content: ContentCapture | str | None = None,
    emit_event: bool | None = None,
    redact: Callable[[str, str], str | None] | str | None = None,
    content_max_chars: int | None = None,
    capture_binary: bool | None = None,
    capture_tool_schemas: bool | None = None,
    on_conflict: OnConflict | str | None = None,
    custom_metric_attributes: Collection[str] | str | None = None,
    baggage_keys: Collection[str] | str | None = None,
    request_attributes: Collection[str] | str | None = None,
    instrumented_apis: Collection[str] | str | None = None,
    request_hook: Callable[[Span, dict[str, Any]], object] | str | None = None,
    response_hook: Callable[[Span, Any], object] | str | None = None,
    cost: Cost | str | None = None,
    prices: Mapping[str, Any] | str | PathLike[str] | None = None,
    disabled: bool | None = None,
    **unknown: Any,  # noqa: ANN401 - refused by name
) -> None:
    """Tell every call of the openai client from now on; a second call changes nothing.

    Neither openai nor tiktoken is imported: what is patched is patched when the program imports
    it. A setting that is ``None`` comes from its environment variable, else is the default.

    Args:
        tracer_provider: Where spans go; default: the global provider.
        meter_provider: Where metrics go; default: the global provider.
        logger_provider: Where log events go; default: the global provider.
        token_counting: ``off``, ``spans_only``, ``missing`` (default) or ``always``.
        model_aliases: What a deployment or an unknown model is, for counting: names of models or
            encodings by name.
        count_timeout: Seconds that the end of a span may wait for its count (default 2).
        time_per_output_chunk: Whether each gap between chunks is told as a metric (default false).
        metric_names: The conventional metrics' names: ``released`` (default), ``latest``, ``both``.
        metric_attributes: Attributes of metrics beside operation, provider and request model.
        internal_metrics: Whether tokentrail tells of itself (default true).
        stream_usage: ``observe`` (default), or ``request``: ask for the usage of chat and
            completions streams on the application's behalf; it sees no difference.
        count_verification_ratio: Share of calls with reported usage that are also counted
            (default 0.01).
        preload_encodings: Encodings, or models, to build before this returns.
        capture_content: ``NO_CONTENT`` (default), ``SPAN_ONLY``, ``EVENT_ONLY`` or
            ``SPAN_AND_EVENT``: where messages, instructions, answers and tools are told.
        emit_event: Whether each inference is also told as a log event (default: if content goes to
            events). False silences the event of a failed call, too.
        redact: Called with the kind and the text of all content before it is told; returns what
            to tell instead, or ``None`` to leave it out. May run in tokentrail's own thread. As
            each function here, it may be named: ``"package.module:function"``.
        content_max_chars: Characters of each text that are told (default: all).
        capture_binary: Whether bytes inside messages are told, not only their size.
        capture_tool_schemas: Whether tool definitions are told with description and parameters.
        on_conflict: ``both`` (default) or ``defer``: what becomes of calls that an instrumentation
            tells that cannot be joined.
        custom_metric_attributes: Which of the application's own attributes metrics bear.
        baggage_keys: Entries of Baggage that spans bear.
        request_attributes: Arguments of a call that spans bear: ``metadata``, ``user``,
            ``safety_identifier``.
        instrumented_apis: Names of the APIs whose calls are recorded (default: all): ``chat``,
            ``completions``, ``responses``, ``embeddings``, ``images``, ``audio``, ``moderations``,
            ``decisions``, ``realtime``.
        request_hook: Called before each call with its span and a copy of its arguments.
        response_hook: Called with the span and the answer, or the stream before it is read.
        cost: ``off`` (default), ``reported`` or ``counted``: which calls bear ``tokentrail.cost``,
            in USD.
        prices: Your own prices, which go before the published ones: a mapping by model, or the
            name of a JSON file; in USD per million tokens.
        disabled: Leave everything as it is.
        unknown: No other name is taken.

    Raises:
        TypeError: there is no setting of that name.
        ValueError: a value is not allowed; the message names setting, value and what is.
    """
    OpenAIInstrumentor().instrument(
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
        logger_provider=logger_provider,
        token_counting=token_counting,
        model_aliases=model_aliases,
        count_timeout=count_timeout,
        time_per_output_chunk=time_per_output_chunk,
        metric_names=metric_names,
        metric_attributes=metric_attributes,
        internal_metrics=internal_metrics,
        stream_usage=stream_usage,
        count_verification_ratio=count_verification_ratio,
        preload_encodings=preload_encodings,
        capture_content=capture_content,
        emit_event=emit_event,
        redact=redact,
        content_max_chars=content_max_chars,
        capture_binary=capture_binary,
        capture_tool_schemas=capture_tool_schemas,
        on_conflict=on_conflict,
        custom_metric_attributes=custom_metric_attributes,
        baggage_keys=baggage_keys,
        request_attributes=request_attributes,
        instrumented_apis=instrumented_apis,
        request_hook=request_hook,
        response_hook=response_hook,
        cost=cost,
        prices=prices,
        disabled=disabled,
        **unknown,
    )


def uninstrument() -> None:
    """Put the client's own functions back and tell what ended; our thread is gone then."""
    OpenAIInstrumentor().uninstrument()


def flush(timeout: float = 2.0, *, end_open_calls: bool = False) -> bool:
    """Wait until every call that ended by now is told: its span ended, its metrics recorded.

    Args:
        timeout: Seconds to wait at most.
        end_open_calls: Whether calls that are still open end now: for a process that is about to
            end without running its exit hooks.

    Returns:
        Whether all is told.
    """
    return runtime.flush(timeout, end_open_calls=end_open_calls)


def current_usage(stream: object) -> Usage | None:
    """Return what is known of a stream's tokens right now; once it ended, what they came to.

    Reads nothing of the stream. A count covers the chunks received so far and is exact for them;
    while the encoding is still being built it is an approximation. Cheap enough for every chunk.

    Args:
        stream: A ``Stream``, an ``AsyncStream`` or a stream of the client's ``.stream()`` helpers.

    Returns:
        Counts of input and output, each with its source; ``None`` for a stream that is not told.
    """
    call = streams.call_of(stream)
    return None if call is None else call.known_usage()
