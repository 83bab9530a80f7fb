"""OpenTelemetry spans and metrics of your openai calls, with the token usage of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from tokentrail.instrumentor import OpenAIInstrumentor
from tokentrail.model.records import Count, Source, Usage
from tokentrail.patching import streams
from tokentrail.runtime import runtime
from tokentrail.telemetry.attribution import attributes
from tokentrail.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from os import PathLike

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from tokentrail.config import (
        CacheKey,
        ContentCapture,
        Cost,
        MetricNames,
        OnConflict,
        StreamUsage,
        TokenCounting,
    )
    from tokentrail.usage.count_request import TokenCount, TokenPart
    from tokentrail.usage.count_tokens import count_tokens
else:
    from tokentrail.support.lazy import lazy_names

    __getattr__ = lazy_names(
        __name__,
        {"usage.count_request": "TokenCount TokenPart", "usage.count_tokens": "count_tokens"},
    )

__all__ = [
    "Count",
    "OpenAIInstrumentor",
    "Source",
    "TokenCount",
    "TokenPart",
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
    calibration: bool | None = None,
    explain: float | str | None = None,
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
    cost_attributes: Collection[str] | str | None = None,
    capture_cache_key: CacheKey | str | None = None,
    capture_account: bool | None = None,
    fetched_usage_metrics: bool | None = None,
    disabled: bool | None = None,
    **unknown: NoReturn,
) -> None:
    """Record the calls of the openai client from now on.

    A second call changes nothing, and a warning names the settings that have no effect. If it asks
    for less content, for example by another ``redact``, no content is recorded from then on.

    docs/supported-methods.md lists the methods that are recorded. Neither openai nor tiktoken is
    imported: the client is patched when your program imports it. Clients made before are recorded
    too, unless their ``with_raw_response`` was used already. A setting that is ``None`` is read
    from its environment variable, else it has its default.

    Args:
        tracer_provider: Creates the spans. Default: the global provider.
        meter_provider: Creates the metrics. Default: the global provider.
        logger_provider: Emits the log events. Default: the global provider.
        token_counting: When tokentrail counts tokens: never; if the server reported none, for spans
            only or for spans and metrics; or always, to compare counts with reports. Allowed: off,
            spans_only, missing, always. Default: missing.
        model_aliases: The model that an Azure deployment or an unknown name stands for, for
            counting. Allowed: name=model pairs separated by commas, or a mapping; the model is one
            whose encoding is known, or an encoding itself (cl100k_base, o200k_base). Default: none.
        count_timeout: How long a span may wait for its count before it ends with an estimate.
            Allowed: seconds from 0 to 60. Default: 2.0.
        time_per_output_chunk: Whether the gap before each chunk of a stream is recorded as a
            metric. It costs several times the other work for a chunk, in tokentrail's own thread.
            Allowed: true, false. Default: false.
        metric_names: Names of the conventional metrics: the released ones, those of the next
            conventions, or both. If it is not set, gen_ai_latest_experimental in
            OTEL_SEMCONV_STABILITY_OPT_IN means both. Allowed: released, latest, both. Default:
            released.
        metric_attributes: Attributes of metrics in addition to operation, provider and request
            model. Allowed: names separated by commas, of: server.address, server.port,
            gen_ai.response.model, openai.response.service_tier, openai.response.system_fingerprint;
            or none. Default: server.address, server.port, gen_ai.response.model,
            openai.response.service_tier.
        internal_metrics: Whether tokentrail records metrics about itself: queue size, internal
            errors, counts that were queued or estimated. Allowed: true, false. Default: true.
        stream_usage: Whether tokentrail asks the server for the usage of chat and completions
            streams (stream_options.include_usage) if your application does not; it sees no
            difference. Allowed: observe, request. Default: observe.
        count_verification_ratio: The share of calls with reported usage that are also counted,
            after they are recorded, to show how good the counts are (tokentrail.usage.count_ratio).
            Allowed: a share from 0 to 1. Default: 0.01.
        calibration: Whether tokentrail learns from reported usage how many tokens the server adds
            to the input of similar calls, so that it knows the input of such a call without a
            report (calibrated). It takes at most 2 % of one core, in tokentrail's own thread, and
            only if an encoding is built already. Allowed: true, false. Default: true.
        explain: Whether spans and metrics show the parts of the input, what the prompt cache could
            have served and why it did not, and repeated requests: for all conversations, or for a
            share of them. Done in tokentrail's own thread; needs token counting. Allowed: off, all,
            or a share of conversations from 0 to 1. Default: 0.0.
        preload_encodings: Encodings that instrument() builds before it returns; forked workers
            share them. Allowed: o200k_base, cl100k_base, or models whose encoding is known,
            separated by commas. Default: none.
        capture_content: Where the messages, instructions, answers and tools of a call are recorded:
            nowhere, on its span, in its log event, or on both. Allowed: NO_CONTENT, SPAN_ONLY,
            EVENT_ONLY, SPAN_AND_EVENT. Default: NO_CONTENT.
        emit_event: Whether each inference is also emitted as a log event, with all attributes of
            its span. If it is not set, this happens only if content goes to events. False also
            switches off the event of a failure. Allowed: true, false. Default: none.
        redact: A function that is called with the kind and the text of all content before it is
            recorded; its result is recorded instead. If the variable names a function that does not
            exist, no content is recorded at all. It may run in tokentrail's own thread. Allowed: a
            function of (kind, text) that returns the text to keep, or None; as text
            package.module:function. Default: none.
        content_max_chars: How much of each text is recorded; the JSON around it stays valid.
            Allowed: a number of characters from 1. Default: none.
        capture_binary: Whether images, audio and files in messages are recorded with their bytes,
            not only their size, and their addresses with the query string, which may have a
            signature. Allowed: true, false. Default: false.
        capture_tool_schemas: Whether tool definitions are recorded with description and parameters,
            not only their name. Allowed: true, false. Default: false.
        on_conflict: What happens to calls that another instrumentation records too, if the two
            cannot share a span: both record them, with a warning (both); or only the other one
            does, and its span gets our attributes (defer). Allowed: both, defer. Default: both.
        custom_metric_attributes: Your own attributes (tokentrail.attributes(), baggage_keys,
            request_attributes) that metrics have too. Choose those with few values. Spans have all
            of them. Allowed: names separated by commas, without blanks, that are not the metrics'
            own. Default: none.
        baggage_keys: Entries of OpenTelemetry's Baggage that become attributes of spans. Allowed:
            names separated by commas, without blanks. Default: none.
        request_attributes: Arguments of a call that become attributes of its span:
            tokentrail.request.metadata.<key>, tokentrail.request.user and
            tokentrail.request.safety_identifier. Allowed: names separated by commas, of: metadata,
            user, safety_identifier. Default: none.
        instrumented_apis: The APIs to record; methods of other APIs are not patched. Allowed: names
            separated by commas, of: chat, completions, responses, batches, embeddings,
            vector_stores, images, audio, moderations, decisions, realtime. Default: chat,
            completions, responses, batches, embeddings, vector_stores, images, audio, moderations,
            decisions, realtime.
        request_hook: A function that is called before each call, with its span and a copy of its
            keyword arguments. Allowed: a function of (span, arguments); as text
            package.module:function. Default: none.
        response_hook: A function that is called with the span and the answer that your application
            gets: an object, or a stream that is not read yet. Allowed: a function of (span,
            answer); as text package.module:function. Default: none.
        cost: Which spans have tokentrail.cost.amount: those of calls with reported tokens, or also
            those with counted tokens. Needs tokentrail[cost], unless you set your own prices.
            Allowed: off, reported, counted. Default: off.
        prices: Your own prices, used before the published ones. Allowed: a JSON file, or a mapping:
            for each model input, output, cache_read, cache_write, cache_write_1h, cache_write_12h,
            audio_input, image_input, reasoning, audio_output, image_output, image_cache_read,
            audio_cache_read, web_search, file_search, audio_hour, characters, in USD per million
            tokens (searches: per thousand requests). Default: none.
        cost_attributes: More names of span attributes for the amount of the cost, which a backend
            reads: gen_ai.usage.cost, operation.cost, llm.cost.total. Allowed: names separated by
            commas, without blanks. Default: none.
        capture_cache_key: Whether spans have the prompt_cache_key of a request: no (off), the
            beginning of its SHA-256 (hash), or the key itself (plain). Allowed: off, hash, plain.
            Default: off.
        capture_account: Whether spans have the organization and the project that the headers of the
            answer name. Keys are never recorded. Allowed: true, false. Default: false.
        fetched_usage_metrics: Whether metrics also have the usage of finished batches, and of
            background responses that another process began, once for each. Set it only if one
            process fetches all of them. Without it, only the span of the first fetch has this
            usage. Allowed: true, false. Default: false.
        disabled: Whether tokentrail is switched off: instrument() then does nothing. Allowed: true,
            false. Default: false.
        unknown: Any other name raises ``TypeError``.

    Raises:
        TypeError: An argument is not a setting, or not a provider. The message says what is
            allowed.
        ValueError: A value is not allowed. The message names the setting, the value and what is
            allowed.
    """
    given = {**locals()}
    OpenAIInstrumentor().instrument(**given.pop("unknown"), **given)


def uninstrument() -> None:
    """Restore the client's own functions, record the calls that ended, and stop our thread.

    Streams that are still open continue, and are no longer observed.
    """
    OpenAIInstrumentor().uninstrument()


def flush(timeout: float = 2.0, *, end_open_calls: bool = False) -> bool:
    """Wait until every call that ended by now is recorded: its span has ended, its metrics are in.

    Flush your providers afterwards: they export what was recorded.

    Args:
        timeout: The longest time to wait, in seconds.
        end_open_calls: Whether to end the calls that are still open, as ``closed_early``: for a
            process that will end without running its exit hooks.

    Returns:
        Whether everything was recorded within the time.
    """
    return runtime.flush(timeout, end_open_calls=end_open_calls)


def doctor(*, connect: bool = False, verbose: bool = False) -> str:
    """Return whether calls made in this process are exported, and where to; if not, why not.

    Args:
        connect: Whether to connect to the endpoints, to see whether they answer.
        verbose: Whether to list settings, versions, methods, providers and encodings, too.
    """
    from tokentrail import diagnosis

    return diagnosis.report(diagnosis.diagnose(connect=connect), verbose=verbose)


def current_usage(stream: object) -> Usage | None:
    """Return the token usage of an open stream so far; once it has ended, its final usage.

    Nothing is read from the stream. A count covers the chunks received so far and is exact for
    them; while the encoding is being built it is an approximation. Cheap enough for every chunk.

    Args:
        stream: A ``Stream``, an ``AsyncStream`` or a stream of the client's ``.stream()`` helpers.

    Returns:
        Counts of input and output, each with its source; ``None`` for a stream that is not
        recorded.
    """
    call = streams.call_of(stream)
    return None if call is None else call.known_usage()
