"""The names of the conventions, in one place.

Source: the OpenTelemetry GenAI semantic conventions (all of them "development"), each name in the
text that ``texts`` gives, and names of our own under ``tokentrail.``. The released Python
constants are all marked deprecated and lack a third of these, so they are stated here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"
"""The newest that was read: GenAI has a line of its own. What v0.1.0 calls itself was not seen."""

OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
TOKEN_TYPE: Final = "gen_ai.token.type"

API_TYPE: Final = "openai.api.type"
REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"

RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_STATUS: Final = "gen_ai.response.status"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
COMPACTED: Final = "gen_ai.conversation.compacted"

INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"

INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
PROMPT_VARIABLE: Final = "gen_ai.prompt.variable."
"""Content, recorded only if the user asks for it; the last is a prefix."""

DETAILS_EVENT: Final = "gen_ai.client.inference.operation.details"
EXCEPTION_EVENT: Final = "gen_ai.client.operation.exception"
INFERENCE_EXCEPTION_EVENT: Final = "gen_ai.client.inference.exception"
"""What v0.1.0 calls the exception of an inference; of all others it is the one above."""
EVENT_NAME: Final = "event.name"
"""Where the name stands in records of OpenTelemetry releases that have no field for it."""
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
RETRIEVAL_TOP_K: Final = "gen_ai.retrieval.top_k"
RETRIEVAL_QUERY: Final = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"
"""The last two are content."""

OUTCOME: Final = "tokentrail.outcome"
TIME_TO_FIRST_CONTENT: Final = "tokentrail.time_to_first_content"
FINISH_REASON: Final = "tokentrail.finish_reason"
RATE_LIMIT_TYPE: Final = "tokentrail.rate_limit.type"
USAGE_REQUEST: Final = "tokentrail.stream_usage"
SOURCE: Final = "tokentrail.usage.source"
INPUT_SOURCE: Final = "tokentrail.usage.input.source"
OUTPUT_SOURCE: Final = "tokentrail.usage.output.source"
ENCODING: Final = "tokentrail.usage.encoding"
VISIBLE_OUTPUT: Final = "tokentrail.usage.visible.output_tokens"
APPROXIMATED_INPUT: Final = "tokentrail.usage.approximated.input_tokens"
APPROXIMATED_OUTPUT: Final = "tokentrail.usage.approximated.output_tokens"
COUNTED_INPUT: Final = "tokentrail.usage.counted.input_tokens"
COUNTED_OUTPUT: Final = "tokentrail.usage.counted.output_tokens"
AUDIO_SECONDS: Final = "tokentrail.usage.audio_seconds"
COST_AMOUNT: Final = "tokentrail.cost.amount"
COST_CURRENCY: Final = "tokentrail.cost.currency"
COST_SOURCE: Final = "tokentrail.cost.source"
COST_UNPRICED: Final = "tokentrail.cost.unpriced"
TOOL_NAMES: Final = (
    "web_search", "file_search", "code_interpreter", "computer_use", "mcp", "image_generation",
    "shell",
)  # fmt: skip
"""The tools that a server runs itself."""
TOOL_NAME: Final = "tokentrail.tool.name"
TOOL_MODEL: Final = "tokentrail.tool.model"
TOOL_REQUESTS_OF: Final = {name: f"tokentrail.tool.{name}.requests" for name in TOOL_NAMES}
TOOL_INPUT_TOKENS: Final = "tokentrail.tool.image_generation.input_tokens"
TOOL_OUTPUT_TOKENS: Final = "tokentrail.tool.image_generation.output_tokens"
TRANSCRIPTION_ATTRIBUTES: Final = (
    ("input_tokens", "tokentrail.transcription.input_tokens"),
    ("output_tokens", "tokentrail.transcription.output_tokens"),
    ("audio_seconds", "tokentrail.transcription.seconds"),
)
"""Fields of a report that are not of the answer, but of what was heard before it."""
TRANSCRIPTION_MODEL: Final = "tokentrail.transcription.model"
WASTE_REASON: Final = "tokentrail.waste.reason"
INPUT_PART: Final = "tokentrail.input.part"
INPUT_PARTS: Final = {
    part: f"tokentrail.input.{part}_tokens"
    for part in (
        "instructions",
        "tools",
        "tool_results",
        "history",
        "user",
        "images",
        "files",
        "schema",
        "other",
    )
}
"""Parts of the input, and the attribute that each has."""
APPROXIMATED_PARTS: Final = "tokentrail.input.approximated_parts"
LARGEST_TOOLS: Final = "tokentrail.input.largest_tools"
CACHEABLE_TOKENS: Final = "tokentrail.cache.cacheable_tokens"
MISSED_TOKENS: Final = "tokentrail.cache.missed_tokens"
MISS_REASON: Final = "tokentrail.cache.miss_reason"
MISS_REASON_SOURCE: Final = "tokentrail.cache.miss_reason_source"
IDLE_SECONDS: Final = "tokentrail.cache.idle_seconds"
CACHE_KEY: Final = "tokentrail.cache.key"
CACHE_STATE: Final = "tokentrail.cache.state"

REQUEST_ATTRIBUTES: Final = (
    ("api", API_TYPE),
    ("choice_count", "gen_ai.request.choice.count"),
    ("max_tokens", "gen_ai.request.max_tokens"),
    ("temperature", "gen_ai.request.temperature"),
    ("top_p", "gen_ai.request.top_p"),
    ("top_k", "gen_ai.request.top_k"),
    ("frequency_penalty", "gen_ai.request.frequency_penalty"),
    ("presence_penalty", "gen_ai.request.presence_penalty"),
    ("seed", "gen_ai.request.seed"),
    ("stop_sequences", "gen_ai.request.stop_sequences"),
    ("output_type", "gen_ai.output.type"),
    ("reasoning_level", "gen_ai.request.reasoning.level"),
    ("service_tier", REQUEST_SERVICE_TIER),
    ("conversation_id", CONVERSATION_ID),
    ("previous_response_id", "gen_ai.request.previous_response.id"),
    ("compacted", COMPACTED),
    ("prompt_name", "gen_ai.prompt.name"),
    ("prompt_version", "gen_ai.prompt.version"),
    ("dimension_count", "gen_ai.embeddings.dimension.count"),
    ("encoding_formats", "gen_ai.request.encoding_formats"),
    ("response_id", RESPONSE_ID),
    ("stream_cursor", "gen_ai.request.stream_cursor"),
    ("data_source_id", DATA_SOURCE_ID),
    ("result_limit", RETRIEVAL_TOP_K),
)
"""Fields of a Request and the span attribute each becomes."""

RESPONSE_ATTRIBUTES: Final = (
    ("id", RESPONSE_ID),
    ("model", RESPONSE_MODEL),
    ("finish_reasons", FINISH_REASONS),
    ("status", RESPONSE_STATUS),
    ("service_tier", RESPONSE_SERVICE_TIER),
    ("system_fingerprint", SYSTEM_FINGERPRINT),
    ("conversation_id", CONVERSATION_ID),
    ("compacted", COMPACTED),
)
"""Fields of a Response and the span attribute each becomes."""

REQUEST_ID: Final = "tokentrail.request_id"
HTTP_ATTRIBUTES: Final = (
    ("request_id", REQUEST_ID),
    ("retries", "tokentrail.retries"),
    ("requests_limit", "tokentrail.rate_limit.requests.limit"),
    ("requests_remaining", "tokentrail.rate_limit.requests.remaining"),
    ("requests_reset", "tokentrail.rate_limit.requests.reset"),
    ("tokens_limit", "tokentrail.rate_limit.tokens.limit"),
    ("tokens_remaining", "tokentrail.rate_limit.tokens.remaining"),
    ("tokens_reset", "tokentrail.rate_limit.tokens.reset"),
    ("retry_after", "tokentrail.rate_limit.retry_after"),
    ("organization", "tokentrail.organization"),
    ("project", "tokentrail.project"),
)
"""Fields of an Exchange and the span attribute each becomes; the conventions have none."""

FILTER_ATTRIBUTES: Final = (
    ("input_flagged", "tokentrail.content_filter.input.flagged"),
    ("input_filtered", "tokentrail.content_filter.input.filtered"),
    ("output_flagged", "tokentrail.content_filter.output.flagged"),
    ("output_filtered", "tokentrail.content_filter.output.filtered"),
)
"""Fields of a ContentFilter and the span attribute each becomes; the conventions have none."""

INPUT_DETAILS: Final = (
    ("cache_read_tokens", "gen_ai.usage.cache_read.input_tokens"),
    ("cache_write_tokens", "gen_ai.usage.cache_write.input_tokens"),
    ("cache_write_30m_tokens", "tokentrail.cache.write.30m_tokens"),
    ("cache_write_12h_tokens", "tokentrail.cache.write.12h_tokens"),
    ("cache_write_1h_tokens", "tokentrail.cache.write.1h_tokens"),
    ("text_input_tokens", "gen_ai.usage.text.input_tokens"),
    ("image_input_tokens", "gen_ai.usage.image.input_tokens"),
    ("audio_input_tokens", "gen_ai.usage.audio.input_tokens"),
    ("text_cache_read_tokens", "gen_ai.usage.text.cache_read.input_tokens"),
    ("image_cache_read_tokens", "gen_ai.usage.image.cache_read.input_tokens"),
    ("audio_cache_read_tokens", "gen_ai.usage.audio.cache_read.input_tokens"),
)
"""Fields of a report that are parts of the input; recorded only if they are not zero."""

OUTPUT_DETAILS: Final = (
    ("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens"),
    ("text_output_tokens", "gen_ai.usage.text.output_tokens"),
    ("audio_output_tokens", "gen_ai.usage.audio.output_tokens"),
    ("image_output_tokens", "gen_ai.usage.image.output_tokens"),
)
"""Fields of a report that are parts of the output; recorded only if they are not zero."""


DURATION: Final = "gen_ai.client.operation.duration"
FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
OUTPUT_CHUNK: Final = "gen_ai.client.operation.time_per_output_chunk"
TOKEN_USAGE: Final = "gen_ai.client.token.usage"
"""The metrics of the released conventions."""

INFERENCE_DURATION: Final = "gen_ai.client.inference.duration"
INFERENCE_FIRST_CHUNK: Final = "gen_ai.client.inference.time_to_first_chunk"
INFERENCE_OUTPUT_CHUNK: Final = "gen_ai.client.inference.time_per_output_chunk"
USAGE_COUNTERS: Final = {
    "input": "gen_ai.client.inference.usage.input_tokens",
    "output": "gen_ai.client.inference.usage.output_tokens",
}
OPERATION_TOKENS: Final = {
    "input": "gen_ai.client.inference.operation.input_tokens",
    "output": "gen_ai.client.inference.operation.output_tokens",
}
EMBEDDINGS_DURATION: Final = "gen_ai.client.embeddings.duration"
EMBEDDINGS_TOKENS: Final = "gen_ai.client.embeddings.operation.input_tokens"
"""The metrics of the conventions to come."""

DETAIL_COUNTERS: Final = (
    (
        "input",
        "cache_read_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
    ),
    (
        "input",
        "cache_write_tokens",
        "gen_ai.client.inference.usage.cache_write.input_tokens",
    ),
    (
        "output",
        "reasoning_tokens",
        "gen_ai.client.inference.usage.reasoning.output_tokens",
    ),
)
"""Parts of a reported total, by its direction and their field, and the counters they add to, in
every vocabulary: without them a cost that is worked out from totals is too high."""

MODALITY: Final = "gen_ai.token.modality"


USAGE_TOKENS: Final = "tokentrail.usage.tokens"
COUNT_RATIO: Final = "tokentrail.usage.count_ratio"
COMPARED_TOKENS: Final = "tokentrail.usage.compared_tokens"
WASTE_TOKENS: Final = "tokentrail.waste.tokens"
INPUT_PART_TOKENS: Final = "tokentrail.input.tokens"
CACHE_TOKENS: Final = "tokentrail.cache.tokens"
QUEUE_SIZE: Final = "tokentrail.internal.queue.size"
INTERNAL_ERRORS: Final = "tokentrail.internal.errors"
OPERATIONS: Final = "tokentrail.operations"
FIRST_CONTENT: Final = "tokentrail.client.time_to_first_content"
RETRIES: Final = "tokentrail.client.retries"
RATE_LIMIT_REMAINING: Final = "tokentrail.rate_limit.remaining"
RATE_LIMIT_LIMIT: Final = "tokentrail.rate_limit.limit"
FINISHED_CHOICES: Final = "tokentrail.choices"
TOOL_REQUESTS: Final = "tokentrail.tool.requests"
TOOL_TOKENS: Final = "tokentrail.tool.tokens"
TRANSCRIPTION_TOKENS: Final = "tokentrail.transcription.tokens"
TRANSCRIPTION_TIME: Final = "tokentrail.transcription.time"
COUNTS_QUEUED: Final = "tokentrail.internal.counts.queued"
COUNTS_ESTIMATED: Final = "tokentrail.internal.counts.estimated"
COUNTS_CORRECTED: Final = "tokentrail.internal.counts.corrected"


class Instrument(NamedTuple):
    """What records a metric."""

    kind: str
    """``histogram``, ``counter`` or ``up-down counter``."""
    unit: str
    description: str


_FIRST: Final = "Time from the request to the first chunk of a stream."
_GAP: Final = "Time from one chunk of a stream to the next."

INSTRUMENTS: Final = {
    DURATION: Instrument("histogram", "s", "Duration of a GenAI operation."),
    FIRST_CHUNK: Instrument("histogram", "s", _FIRST),
    OUTPUT_CHUNK: Instrument("histogram", "s", _GAP),
    TOKEN_USAGE: Instrument(
        "histogram", "{token}", "Number of input and output tokens used by an operation."
    ),
    INFERENCE_DURATION: Instrument("histogram", "s", "Duration of an inference."),
    EMBEDDINGS_DURATION: Instrument("histogram", "s", "Duration of an embeddings operation."),
    EMBEDDINGS_TOKENS: Instrument(
        "histogram", "{token}", "Number of input tokens of an embeddings operation."
    ),
    INFERENCE_FIRST_CHUNK: Instrument("histogram", "s", _FIRST),
    INFERENCE_OUTPUT_CHUNK: Instrument("histogram", "s", _GAP),
    **{
        name: Instrument("counter", "{token}", f"Number of {kind} tokens used.")
        for kind, name in USAGE_COUNTERS.items()
    },
    **{
        name: Instrument("histogram", "{token}", f"Number of {kind} tokens of an operation.")
        for kind, name in OPERATION_TOKENS.items()
    },
    **{
        name: Instrument("counter", "{token}", description)
        for (_, _, name), description in zip(
            DETAIL_COUNTERS,
            (
                "Number of input tokens read from a cache.",
                "Number of input tokens written to a cache.",
                "Number of output tokens spent on reasoning.",
            ),
            strict=True,
        )
    },
    FIRST_CONTENT: Instrument(
        "histogram", "s", "Time from the request to the first content of a stream."
    ),
    USAGE_TOKENS: Instrument("counter", "{token}", "Tokens by where the number comes from."),
    OPERATIONS: Instrument("counter", "{operation}", "Operations that ended, by outcome."),
    RETRIES: Instrument("counter", "{retry}", "Tries that the client repeated by itself."),
    FINISHED_CHOICES: Instrument(
        "counter", "{choice}", "Answers that ended, by why they did: a call may have several."
    ),
    TOOL_REQUESTS: Instrument(
        "counter", "{request}", "Requests to tools that the server runs itself."
    ),
    TOOL_TOKENS: Instrument(
        "counter", "{token}", "Tokens that the server's own tools are billed by."
    ),
    TRANSCRIPTION_TOKENS: Instrument(
        "counter", "{token}", "Tokens used to transcribe the input of realtime sessions."
    ),
    TRANSCRIPTION_TIME: Instrument(
        "counter", "s", "Sound that was transcribed or translated, where it is billed so."
    ),
    RATE_LIMIT_LIMIT: Instrument(
        "gauge", "{item}", "Requests or tokens that the provider allows, by its last answer."
    ),
    RATE_LIMIT_REMAINING: Instrument(
        "gauge", "{item}", "Requests or tokens that the provider still allows, by its last answer."
    ),
    COUNT_RATIO: Instrument(
        "histogram", "1", "Counted tokens over reported tokens of the same call."
    ),
    COMPARED_TOKENS: Instrument(
        "counter", "{token}", "Tokens of calls that were both reported and counted."
    ),
    INPUT_PART_TOKENS: Instrument("counter", "{token}", "Tokens of the input, by part."),
    CACHE_TOKENS: Instrument(
        "counter",
        "{token}",
        "Tokens of the input that the prompt cache could have served, did serve, and missed.",
    ),
    WASTE_TOKENS: Instrument(
        "counter", "{token}", "Tokens that were paid and not used, by reason."
    ),
    QUEUE_SIZE: Instrument(
        "up-down counter", "{item}", "Pieces of work that wait for tokentrail's worker."
    ),
    INTERNAL_ERRORS: Instrument(
        "counter", "{error}", "Errors of tokentrail's own, which never reach the application."
    ),
    COUNTS_QUEUED: Instrument("counter", "{count}", "Counts that were left to the worker."),
    COUNTS_ESTIMATED: Instrument(
        "counter", "{count}", "Counts that were estimated because there was no time."
    ),
    COUNTS_CORRECTED: Instrument(
        "counter",
        "{count}",
        "Counts by proven rules that reports of such calls showed to be wrong.",
    ),
}
"""By the name of the metric."""

SECONDS_BUCKETS: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
TOKEN_BUCKETS: Final = (
    1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
)  # fmt: skip
RATIO_BUCKETS: Final = (
    0.5,
    0.8,
    0.9,
    0.95,
    0.98,
    0.99,
    0.999,
    1.001,
    1.01,
    1.02,
    1.05,
    1.1,
    1.25,
    2.0,
)
