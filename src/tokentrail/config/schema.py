"""The table of settings: the one description of each; documentation is made from it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tokentrail.config import parsing
from tokentrail.config.values import (
    DEFAULT_METRIC_ATTRIBUTES,
    INSTRUMENTED_APIS,
    METRIC_ATTRIBUTES,
    OPT_IN,
    REQUEST_ATTRIBUTES,
    ContentCapture,
    Cost,
    MetricNames,
    OnConflict,
    StreamUsage,
    TokenCounting,
    redact_everything,
)
from tokentrail.cost.user_prices import UserPrices

if TYPE_CHECKING:
    from collections.abc import Callable

_BY_NAME = "as text package.module:function"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a setting is called, means and allows."""

    name: str
    environ: str
    """The environment variable."""
    default: object
    allowed: str
    about: str
    parse: Callable[[object], Any]
    """Return the value for a keyword argument or an environment text, or raise ValueError."""
    instead: object = None
    """What holds where a variable is wrong, if the default would do harm."""


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "token_counting",
        "TOKENTRAIL_TOKEN_COUNTING",
        TokenCounting.MISSING,
        "off, spans_only, missing, always",
        "When tokens are counted here: never; on spans only; where the server reported none; "
        "or also beside a report, to compare the two.",
        parsing.choice(TokenCounting),
    ),
    Setting(
        "model_aliases",
        "TOKENTRAIL_MODEL_ALIASES",
        MappingProxyType({}),
        "name=model pairs separated by commas, or a mapping; the model is one whose encoding is "
        "known, or an encoding itself (cl100k_base, o200k_base)",
        "What an Azure deployment or a model unknown to us really is, for counting.",
        parsing.model_aliases,
    ),
    Setting(
        "count_timeout",
        "TOKENTRAIL_COUNT_TIMEOUT",
        2.0,
        "seconds from 0 to 60",
        "How long the end of a span may wait for its count.",
        parsing.seconds,
    ),
    Setting(
        "time_per_output_chunk",
        "TOKENTRAIL_TIME_PER_OUTPUT_CHUNK",
        False,  # noqa: FBT003 - a value
        "true, false",
        "Whether the gap before each chunk of a stream is told as a metric. It costs several times "
        "what else is done for a chunk, in a thread of its own (docs/performance.md).",
        parsing.boolean,
    ),
    Setting(
        "metric_names",
        "TOKENTRAIL_METRIC_NAMES",
        MetricNames.RELEASED,
        "released, latest, both",
        "Names of the conventional metrics: those that dashboards know, those to come, or both. "
        f"Where it is not set, gen_ai_latest_experimental in {OPT_IN} means both.",
        parsing.choice(MetricNames),
    ),
    Setting(
        "metric_attributes",
        "TOKENTRAIL_METRIC_ATTRIBUTES",
        DEFAULT_METRIC_ATTRIBUTES,
        f"names separated by commas, of: {', '.join(METRIC_ATTRIBUTES)}; or none",
        "Attributes that metrics bear beside operation, provider and request model.",
        parsing.metric_attributes,
    ),
    Setting(
        "internal_metrics",
        "TOKENTRAIL_INTERNAL_METRICS",
        True,  # noqa: FBT003 - a value
        "true, false",
        "Whether tokentrail tells of itself: queue size, swallowed errors, calls whose count had "
        "to wait or to be estimated.",
        parsing.boolean,
    ),
    Setting(
        "stream_usage",
        "TOKENTRAIL_STREAM_USAGE",
        StreamUsage.OBSERVE,
        "observe, request",
        "Whether chat and completions streams are asked for the server's usage "
        "(stream_options.include_usage) where the application did not say; it sees no difference.",
        parsing.choice(StreamUsage),
    ),
    Setting(
        "count_verification_ratio",
        "TOKENTRAIL_COUNT_VERIFICATION_RATIO",
        0.01,
        "a share from 0 to 1",
        "The share of calls with reported usage that are counted too, after they are told, to "
        "tell how good the counts are (tokentrail.usage.count_ratio).",
        parsing.ratio,
    ),
    Setting(
        "preload_encodings",
        "TOKENTRAIL_PRELOAD_ENCODINGS",
        (),
        "names of encodings or models, separated by commas",
        "Encodings built by instrument() itself, before the program goes on; forked workers share "
        "them.",
        parsing.encodings,
    ),
    Setting(
        "capture_content",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        ContentCapture.NO_CONTENT,
        "NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT",
        "Where the messages, instructions, answers and tools of a call are told: nowhere, on its "
        "span, in its log event, or on both.",
        parsing.choice(ContentCapture),
    ),
    Setting(
        "emit_event",
        "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
        None,
        "true, false",
        "Whether each inference is also told as a log event, with all that its span has. Where it "
        "is not set, only if content goes to events. False also silences the event of a failure.",
        parsing.boolean,
    ),
    Setting(
        "redact",
        "TOKENTRAIL_REDACT",
        None,
        "a function of (kind, text) that returns the text to keep, or None; " + _BY_NAME,
        "Called for every text before it is told; what it returns is told instead. Where the "
        "variable names no such function, no content is told at all.",
        parsing.function,
        instead=redact_everything,
    ),
    Setting(
        "content_max_chars",
        "TOKENTRAIL_CONTENT_MAX_CHARS",
        None,
        "a number of characters from 1",
        "How much of each text is told; the JSON around it stays valid.",
        parsing.length,
    ),
    Setting(
        "capture_binary",
        "TOKENTRAIL_CAPTURE_BINARY",
        False,  # noqa: FBT003 - a value
        "true, false",
        "Whether images, sound and files that stand in messages are told with their bytes, not "
        "only their size.",
        parsing.boolean,
    ),
    Setting(
        "capture_tool_schemas",
        "TOKENTRAIL_CAPTURE_TOOL_SCHEMAS",
        False,  # noqa: FBT003 - a value
        "true, false",
        "Whether tool definitions are told with description and parameters, not only their name.",
        parsing.boolean,
    ),
    Setting(
        "on_conflict",
        "TOKENTRAIL_ON_CONFLICT",
        OnConflict.BOTH,
        "both, defer",
        "What becomes of calls that another instrumentation tells as well, which cannot be joined: "
        "told by both, with a warning, or left to the other, whose span gains what we know.",
        parsing.choice(OnConflict),
    ),
    Setting(
        "custom_metric_attributes",
        "TOKENTRAIL_CUSTOM_METRIC_ATTRIBUTES",
        (),
        "names separated by commas, without blanks, that are not the metrics' own",
        "Which of the application's own attributes (tokentrail.attributes(), baggage_keys, "
        "request_attributes) metrics bear: those of few values. Spans bear all.",
        parsing.custom_metric_attributes,
    ),
    Setting(
        "baggage_keys",
        "TOKENTRAIL_BAGGAGE_KEYS",
        (),
        "names separated by commas, without blanks",
        "Entries of OpenTelemetry's Baggage that spans bear as attributes.",
        parsing.names,
    ),
    Setting(
        "request_attributes",
        "TOKENTRAIL_REQUEST_ATTRIBUTES",
        (),
        "names separated by commas, of: " + ", ".join(REQUEST_ATTRIBUTES),
        "Arguments of a call that spans bear, as tokentrail.request.metadata.<key>, "
        "tokentrail.request.user and tokentrail.request.safety_identifier.",
        parsing.request_attributes,
    ),
    Setting(
        "instrumented_apis",
        "TOKENTRAIL_INSTRUMENTED_APIS",
        INSTRUMENTED_APIS,
        "names separated by commas, of: " + ", ".join(INSTRUMENTED_APIS),
        "Whose methods are told; of an API left out nothing is patched.",
        parsing.instrumented_apis,
    ),
    Setting(
        "request_hook",
        "TOKENTRAIL_REQUEST_HOOK",
        None,
        "a function of (span, arguments); " + _BY_NAME,
        "Called before each call with its span and a copy of its keyword arguments.",
        parsing.function,
    ),
    Setting(
        "response_hook",
        "TOKENTRAIL_RESPONSE_HOOK",
        None,
        "a function of (span, answer); " + _BY_NAME,
        "Called with the span and what the application is about to get: an answer, or a stream "
        "that is not read yet.",
        parsing.function,
    ),
    Setting(
        "cost",
        "TOKENTRAIL_COST",
        Cost.OFF,
        "off, reported, counted",
        "Whether spans bear tokentrail.cost, in USD: of calls whose tokens the server reported, or "
        "also of those that were counted exactly. Needs tokentrail[cost] for prices not your own.",
        parsing.choice(Cost),
    ),
    Setting(
        "prices",
        "TOKENTRAIL_PRICES",
        UserPrices(),
        "a JSON file, or a mapping: for each model input, output, cache_read, cache_write, "
        "audio_input, image_input, reasoning, audio_output, in USD per million tokens",
        "Your own prices, which go before the published ones (docs/pricing.md).",
        parsing.prices,
    ),
    Setting(
        "disabled",
        "TOKENTRAIL_DISABLED",
        False,  # noqa: FBT003 - a value
        "true, false",
        "Whether instrument() leaves everything as it is.",
        parsing.boolean,
    ),
)
