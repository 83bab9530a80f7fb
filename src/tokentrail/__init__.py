"""tokentrail: every call of the openai client told to OpenTelemetry, its tokens always known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

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
    "doctor",
    "flush",
    "instrument",
    "uninstrument",
]


def instrument(  # noqa: PLR0913 - the settings, by name: tools/make_settings.py writes them
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
    **unknown: NoReturn,
) -> None:
    """Record every call of the openai client from now on; a second call changes nothing.

    Neither openai nor tiktoken is imported: what is patched is patched when the program imports
    it. A setting that is ``None`` comes from its environment variable, else is the default.

    Args:
        tracer_provider: Where spans go; default: the global provider.
        meter_provider: Where metrics go; default: the global provider.
        logger_provider: Where log events go; default: the global provider.
        token_counting: When tokens are counted here: never, on spans only, where the server
            reported none, or also beside a report, to compare the two. Allowed: off, spans_only,
            missing, always. Default: missing.
        model_aliases: The model that an Azure deployment or an unknown name stands for, for
            counting. Allowed: name=model pairs separated by commas, or a mapping; the model is one
            whose encoding is known, or an encoding itself (cl100k_base, o200k_base). Default: none.
        count_timeout: How long the end of a span may wait for its count. Allowed: seconds from 0 to
            60. Default: 2.0.
        time_per_output_chunk: Whether the gap before each chunk of a stream is recorded as a
            metric, which costs several times what else is done for a chunk, in a thread of its own.
            Allowed: true, false. Default: false.
        metric_names: Names of the conventional metrics: those that dashboards know, those to come,
            or both. Where it is not set, gen_ai_latest_experimental in
            OTEL_SEMCONV_STABILITY_OPT_IN means both. Allowed: released, latest, both. Default:
            released.
        metric_attributes: Attributes of metrics beside operation, provider and request model.
            Allowed: names separated by commas, of: server.address, server.port,
            gen_ai.response.model, openai.response.service_tier, openai.response.system_fingerprint;
            or none. Default: server.address, server.port, gen_ai.response.model,
            openai.response.service_tier.
        internal_metrics: Whether tokentrail records metrics about itself: queue size, internal
            errors, counts that were queued or estimated. Allowed: true, false. Default: true.
        stream_usage: Whether chat and completions streams are asked for the server's usage
            (stream_options.include_usage) where the application did not ask; it sees no difference.
            Allowed: observe, request. Default: observe.
        count_verification_ratio: The share of calls with reported usage that are counted too, after
            they are recorded, to show how good the counts are (tokentrail.usage.count_ratio).
            Allowed: a share from 0 to 1. Default: 0.01.
        preload_encodings: Encodings that instrument() builds before it returns; forked workers
            share them. Allowed: names of encodings or models, separated by commas. Default: none.
        capture_content: Where the messages, instructions, answers and tools of a call are recorded:
            nowhere, on its span, in its log event, or on both. Allowed: NO_CONTENT, SPAN_ONLY,
            EVENT_ONLY, SPAN_AND_EVENT. Default: no_content.
        emit_event: Whether each inference is also emitted as a log event, with all that its span
            has. Where it is not set, only if content goes to events. False also silences the event
            of a failure. Allowed: true, false. Default: none.
        redact: Called for every text before it is recorded, with what it is and the text; what it
            returns is recorded instead. Where the variable names no such function, no content is
            recorded at all. May run in tokentrail's own thread. Allowed: a function of (kind, text)
            that returns the text to keep, or None; as text package.module:function. Default: none.
        content_max_chars: How much of each text is recorded; the JSON around it stays valid.
            Allowed: a number of characters from 1. Default: none.
        capture_binary: Whether images, sound and files that stand in messages are recorded with
            their bytes, not only their size. Allowed: true, false. Default: false.
        capture_tool_schemas: Whether tool definitions are recorded with description and parameters,
            not only their name. Allowed: true, false. Default: false.
        on_conflict: What becomes of calls that another instrumentation records as well, where the
            two cannot share a span: recorded by both, with a warning, or left to the other, whose
            span gains what we know. Allowed: both, defer. Default: both.
        custom_metric_attributes: Which of the application's own attributes
            (tokentrail.attributes(), baggage_keys, request_attributes) metrics have: those of few
            values. Spans have all. Allowed: names separated by commas, without blanks, that are not
            the metrics' own. Default: none.
        baggage_keys: Entries of OpenTelemetry's Baggage that become attributes of spans. Allowed:
            names separated by commas, without blanks. Default: none.
        request_attributes: Arguments of a call that become attributes of its span:
            tokentrail.request.metadata.<key>, tokentrail.request.user and
            tokentrail.request.safety_identifier. Allowed: names separated by commas, of: metadata,
            user, safety_identifier. Default: none.
        instrumented_apis: The APIs whose calls are recorded; of one that is left out nothing is
            patched. Allowed: names separated by commas, of: chat, completions, responses,
            embeddings, images, audio, moderations, decisions, realtime. Default: chat, completions,
            responses, embeddings, images, audio, moderations, decisions, realtime.
        request_hook: Called before each call with its span and a copy of its keyword arguments.
            Allowed: a function of (span, arguments); as text package.module:function. Default:
            none.
        response_hook: Called with the span and what the application is about to get: an answer, or
            a stream that is not read yet. Allowed: a function of (span, answer); as text
            package.module:function. Default: none.
        cost: Which spans have tokentrail.cost.amount: of calls whose tokens the server reported, or
            also of those that were counted exactly. Needs tokentrail[cost] for prices not your own.
            Allowed: off, reported, counted. Default: off.
        prices: Your own prices, which go before the published ones. Allowed: a JSON file, or a
            mapping: for each model input, output, cache_read, cache_write, audio_input,
            image_input, reasoning, audio_output, in USD per million tokens. Default: none.
        disabled: Whether instrument() leaves everything as it is. Allowed: true, false. Default:
            false.
        unknown: No other name is taken.

    Raises:
        TypeError: there is no setting of that name.
        ValueError: a value is not allowed; the message names setting, value and what is.
    """
    given = {**locals()}
    OpenAIInstrumentor().instrument(**given.pop("unknown"), **given)


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


def doctor(*, connect: bool = False, verbose: bool = False) -> str:
    """Return whether calls made in this process are exported, to whom, and if not, why not.

    Args:
        connect: Whether to connect to the endpoints, to know whether somebody answers.
        verbose: Whether to list settings, versions, methods, providers and encodings too.
    """
    from tokentrail import diagnosis  # noqa: PLC0415 - no call needs it

    return diagnosis.report(diagnosis.diagnose(connect=connect), verbose=verbose)


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
