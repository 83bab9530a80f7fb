"""The one table of what is recorded: a row for each attribute, metric and event.

Levels and conditions are those of the OpenTelemetry GenAI conventions (``texts`` has which of
them), in our words. Metrics have their unit and description from ``semconv``, of which instruments
are made, and attributes their meaning from ``meanings``. ``docs/telemetry.md`` is made of it
(``tools/make_telemetry.py``), and ``tests/telemetry`` compares with it what calls of each API
record. No call needs it, so nothing imports it at run time. It is long because it is a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from tokentrail.model import operations
from tokentrail.telemetry import semconv


class Level(str, Enum):
    """What the conventions ask for."""

    REQUIRED = "required"
    CONDITIONAL = "conditionally required"
    RECOMMENDED = "recommended"
    OPT_IN = "opt-in"
    OURS = "ours"
    """The conventions do not know it, by this name or at this place."""


class When(str, Enum):
    """When it is recorded, of the calls that have it at all."""

    ALWAYS = "always"
    NAMED = "the request names a model"
    LOCATED = "the client has a base URL"
    ASKED = "the request sets it"
    STREAMED = "streams"
    BEGUN = "streams with at least one chunk"
    SHOWN_CONTENT = "streams with content"
    GAPS = "`time_per_output_chunk`: streams with at least two chunks"
    ANSWERED = "the answer has it"
    REPEATED = "the client tried again"
    LIMITED = "the answer's headers have it"
    ANY_USAGE = "any number of tokens is known"
    USED = "reported, counted with the model's own encoding, or calibrated"
    BILLED = "the answer reports it, and it is not zero"
    REPORTED = "the answer reports it; the first 0 too"
    SERVED = "tokens read from a cache"
    COUNTED = "counted here"
    SEEN = "counted here, for a model that may have reasoned"
    GUESSED = "no better number is known"
    COMPARED = "also counted: `token_counting=always`"
    SAMPLED = "reported and also counted: `count_verification_ratio`, `token_counting=always`"
    KEPT = "the answer reports cache writes by lifetime"
    KEYED = "`capture_cache_key`, and the request has a `prompt_cache_key`"
    PAID = "`capture_account`, and the headers of the answer have it"
    HEARD = "the session transcribed what it heard before the end of the response"
    TRANSCRIBED = "a realtime session transcribes what it hears"
    TIMED = "sound is transcribed or translated, and billed by its length"
    HOSTED = "the server used such a tool of its own"
    UNPRICED = "`cost` asks for it, and some part has no price: then no amount is recorded"
    PRICED = "`cost` asks for it, and the price is known"
    FAILED = "the call failed"
    RAISED = "the call ended with an exception"
    SHOWN = "the headers are shown: raw answers, streams, errors with a status"
    SHOWN_ID = "the same, and plain answers"
    WAITING = "the error has it"
    FILTERED = "Azure's content filter reports it, or OpenAI's moderation in the answer"
    ASKED_FOR_USAGE = "`stream_usage=request`"
    CAPTURED = "`capture_content` asks for it, and there is some"
    QUOTED = "`capture_content` asks for it on events"
    EMITTED = "`emit_event`, or content goes to events"
    EXPLAINED = "`explain`, and the input is known"
    EXPLAINED_NAMES = "`explain` and `capture_content` on spans"
    CACHED = "`explain`, from the second call with the same beginning on"
    MISSED = "as those, and the server reports on its cache; or the answer says why it was not used"
    UNSERVED = "as those, and tokens were missed; or the answer says why"
    IDLE = "as those, and nothing differs"
    WASTED = "tokens were used and the answer was not"
    HEALTHY = "`internal_metrics`"
    SPLIT = "the modality is known; else `unknown`"


CHAT, RESPONSES = operations.CHAT.part, operations.RESPONSES.part
COMPLETIONS, EMBEDDINGS = operations.COMPLETIONS.part, operations.EMBEDDINGS.part
FETCH = operations.FETCH.name
RETRIEVAL = operations.RETRIEVAL.name
MEDIA, LIVE = "images and audio", "realtime"
"""What the conventions have no operation for: recorded under names of its own, see the methods."""
_INFERENCES: Final = tuple(
    row.part
    for row in sorted(operations.OPERATIONS, key=lambda row: row.name)
    if row.is_inference and row.path is not None
)
APIS: Final = (*_INFERENCES, EMBEDDINGS, FETCH, RETRIEVAL)
"""The APIs that are called; all before the last three are inferences."""
_SAMPLED: Final = (CHAT, COMPLETIONS)
_TALKS: Final = (CHAT, RESPONSES)
_FETCHED: Final = (RESPONSES, FETCH)
_SPENDING: Final = (*_INFERENCES, EMBEDDINGS)
_COSTING: Final = (*_SPENDING, MEDIA)
_ANSWERING: Final = (*_SPENDING, FETCH)
"""What a model answers, now or before."""

_R, _C, _P, _O, _X = Level.REQUIRED, Level.CONDITIONAL, Level.RECOMMENDED, Level.OPT_IN, Level.OURS


@dataclass(frozen=True)
class Attribute:
    """An attribute of a span, a point or an event."""

    name: str
    level: Level
    when: When
    apis: tuple[str, ...] = APIS
    type: type = str
    note: str = ""


SPAN: Final = (
    Attribute("gen_ai.operation.name", _R, When.ALWAYS, note="from the start"),
    Attribute("gen_ai.provider.name", _R, When.ALWAYS, _ANSWERING, note="from the start"),
    Attribute("gen_ai.provider.name", _C, When.ALWAYS, (RETRIEVAL,), note="from the start"),
    Attribute("gen_ai.request.model", _R, When.NAMED, _INFERENCES, note="from the start"),
    Attribute("gen_ai.request.model", _C, When.NAMED, (EMBEDDINGS,), note="from the start"),
    Attribute("server.address", _P, When.LOCATED, note="from the start"),
    Attribute("server.port", _C, When.LOCATED, type=int, note="from the start"),
    Attribute("error.type", _C, When.FAILED),
    Attribute("openai.api.type", _P, When.ALWAYS, (*_TALKS, FETCH)),
    # the request
    Attribute("gen_ai.request.stream", _C, When.STREAMED, _INFERENCES, bool, "true, or absent"),
    Attribute("gen_ai.request.stream", _X, When.STREAMED, (FETCH,), bool, "true, or absent"),
    Attribute("gen_ai.request.choice.count", _C, When.ASKED, _SAMPLED, int),
    Attribute("gen_ai.request.seed", _C, When.ASKED, _SAMPLED, int),
    Attribute("gen_ai.request.top_k", _C, When.ASKED, _SAMPLED, int),
    Attribute("gen_ai.output.type", _C, When.ASKED, _TALKS, note="`text`, `json` or `speech`"),
    Attribute("openai.request.service_tier", _C, When.ASKED, _TALKS),
    Attribute("gen_ai.request.max_tokens", _P, When.ASKED, _INFERENCES, int),
    Attribute("gen_ai.request.temperature", _P, When.ASKED, _INFERENCES, float),
    Attribute("gen_ai.request.top_p", _P, When.ASKED, _INFERENCES, float),
    Attribute("gen_ai.request.frequency_penalty", _P, When.ASKED, _SAMPLED, float),
    Attribute("gen_ai.request.presence_penalty", _P, When.ASKED, _SAMPLED, float),
    Attribute("gen_ai.request.stop_sequences", _P, When.ASKED, _SAMPLED, tuple),
    Attribute("gen_ai.request.reasoning.level", _P, When.ASKED, _TALKS),
    Attribute("gen_ai.request.previous_response.id", _P, When.ASKED, (RESPONSES,)),
    Attribute("gen_ai.conversation.id", _C, When.ASKED, (RESPONSES,), note="never generated here"),
    Attribute("gen_ai.conversation.id", _X, When.ANSWERED, (FETCH,)),
    Attribute(
        "gen_ai.conversation.compacted", _P, When.ASKED, (RESPONSES,), bool, "true, or absent"
    ),
    Attribute("gen_ai.prompt.name", _C, When.ASKED, (RESPONSES,)),
    Attribute("gen_ai.prompt.version", _C, When.ASKED, (RESPONSES,)),
    Attribute("gen_ai.embeddings.dimension.count", _P, When.ASKED, (EMBEDDINGS,), int),
    Attribute("gen_ai.request.encoding_formats", _P, When.ASKED, (EMBEDDINGS,), tuple),
    Attribute("gen_ai.request.stream_cursor", _C, When.ASKED, (FETCH,)),
    Attribute("gen_ai.data_source.id", _C, When.ALWAYS, (RETRIEVAL,), note="the vector store"),
    Attribute("gen_ai.retrieval.top_k", _P, When.ASKED, (RETRIEVAL,), int),
    # the answer
    Attribute("gen_ai.response.id", _P, When.ANSWERED, _INFERENCES),
    Attribute("gen_ai.response.id", _R, When.ALWAYS, (FETCH,), note="the one asked for"),
    Attribute("gen_ai.response.model", _P, When.ANSWERED, _ANSWERING),
    Attribute(
        "gen_ai.response.finish_reasons",
        _P,
        When.ANSWERED,
        (*_INFERENCES, FETCH),
        tuple,
        "`error` where one never came",
    ),
    Attribute("gen_ai.response.status", _P, When.ANSWERED, (FETCH,)),
    Attribute("gen_ai.response.status", _X, When.ANSWERED, (RESPONSES,)),
    Attribute("gen_ai.response.time_to_first_chunk", _P, When.BEGUN, _INFERENCES, float),
    Attribute("gen_ai.response.time_to_first_chunk", _X, When.BEGUN, (FETCH,), float),
    Attribute("openai.response.service_tier", _C, When.ANSWERED, (*_TALKS, FETCH)),
    Attribute("openai.response.system_fingerprint", _P, When.ANSWERED, _SAMPLED),
    # usage
    Attribute("gen_ai.usage.input_tokens", _P, When.USED, _SPENDING, int),
    Attribute("gen_ai.usage.output_tokens", _P, When.USED, _INFERENCES, int),
    Attribute("gen_ai.usage.cache_read.input_tokens", _P, When.BILLED, _INFERENCES, int),
    Attribute("gen_ai.usage.cache_write.input_tokens", _P, When.BILLED, _INFERENCES, int),
    Attribute("gen_ai.usage.reasoning.output_tokens", _P, When.BILLED, _INFERENCES, int),
    Attribute("gen_ai.usage.text.input_tokens", _P, When.BILLED, _SAMPLED, int),
    Attribute("gen_ai.usage.image.input_tokens", _P, When.BILLED, _SAMPLED, int),
    Attribute("gen_ai.usage.audio.input_tokens", _P, When.BILLED, _SAMPLED, int),
    *(
        Attribute(f"gen_ai.usage.{kind}.cache_read.input_tokens", _P, When.BILLED, (LIVE,), int)
        for kind in ("text", "image", "audio")
    ),
    Attribute("gen_ai.usage.image.output_tokens", _P, When.BILLED, (MEDIA,), int),
    Attribute("gen_ai.usage.text.output_tokens", _P, When.BILLED, _SAMPLED, int),
    Attribute("gen_ai.usage.audio.output_tokens", _P, When.BILLED, _SAMPLED, int),
    Attribute(
        "tokentrail.usage.input.source",
        _X,
        When.ANY_USAGE,
        _SPENDING,
        note="`reported`, `counted`, `calibrated`, `approximated`",
    ),
    Attribute(
        "tokentrail.usage.output.source", _X, When.ANY_USAGE, _INFERENCES, note="or `visible`"
    ),
    Attribute("tokentrail.usage.encoding", _X, When.COUNTED, _SPENDING),
    Attribute("tokentrail.usage.visible.output_tokens", _X, When.SEEN, _INFERENCES, int),
    Attribute("tokentrail.usage.approximated.input_tokens", _X, When.GUESSED, _SPENDING, int),
    Attribute("tokentrail.usage.approximated.output_tokens", _X, When.GUESSED, _INFERENCES, int),
    Attribute("tokentrail.usage.counted.input_tokens", _X, When.COMPARED, _SPENDING, int),
    Attribute("tokentrail.usage.counted.output_tokens", _X, When.COMPARED, _INFERENCES, int),
    *(
        Attribute(name, _X, When.HEARD, (LIVE,), float if field == "audio_seconds" else int)
        for field, name in semconv.TRANSCRIPTION_ATTRIBUTES
    ),
    Attribute(semconv.TRANSCRIPTION_MODEL, _X, When.HEARD, (LIVE,)),
    Attribute("tokentrail.usage.audio_seconds", _X, When.BILLED, (MEDIA,), float),
    *(
        Attribute(name, _X, When.HOSTED, (*_TALKS, FETCH), int)
        for name in semconv.TOOL_REQUESTS_OF.values()
    ),
    *(
        Attribute(name, _X, When.HOSTED, (RESPONSES, FETCH), int)
        for name in (semconv.TOOL_INPUT_TOKENS, semconv.TOOL_OUTPUT_TOKENS)
    ),
    *(
        Attribute(f"tokentrail.cache.write.{kept}_tokens", _X, When.KEPT, _TALKS, int)
        for kept in ("30m", "12h", "1h")
    ),
    Attribute(semconv.CACHE_KEY, _X, When.KEYED, _TALKS),
    Attribute("tokentrail.cost.amount", _X, When.PRICED, _COSTING, float),
    Attribute("tokentrail.cost.currency", _X, When.PRICED, _COSTING, note="`USD`"),
    Attribute(
        "tokentrail.cost.source",
        _X,
        When.PRICED,
        _COSTING,
        note="`provider`, `own_prices`, `published_prices`",
    ),
    Attribute(
        semconv.COST_UNPRICED,
        _X,
        When.UNPRICED,
        _COSTING,
        tuple,
        "`model` or `service_tier` where no part has one",
    ),
    # where the tokens come from
    *(
        Attribute(name, _X, When.EXPLAINED, _TALKS, int, "not 0")
        for name in semconv.INPUT_PARTS.values()
    ),
    Attribute(semconv.APPROXIMATED_PARTS, _X, When.EXPLAINED, _TALKS, tuple),
    Attribute(semconv.LARGEST_TOOLS, _X, When.EXPLAINED_NAMES, _TALKS, tuple),
    Attribute(semconv.CACHEABLE_TOKENS, _X, When.CACHED, _TALKS, int),
    Attribute(semconv.MISSED_TOKENS, _X, When.MISSED, _TALKS, int),
    Attribute(
        semconv.MISS_REASON,
        _X,
        When.UNSERVED,
        _TALKS,
        note="`model_changed`, `cache_key_changed`, `tools_changed`, `schema_changed`, "
        "`instructions_changed`, `history_rewritten`, `not_served`, `unknown`, or the server's own",
    ),
    Attribute(semconv.MISS_REASON_SOURCE, _X, When.UNSERVED, _TALKS, note="`server` or `inferred`"),
    Attribute(semconv.IDLE_SECONDS, _X, When.IDLE, _TALKS, float),
    # day two
    Attribute(
        "tokentrail.outcome",
        _X,
        When.ALWAYS,
        note="`completed`, `closed_early`, `cancelled`, `failed`, `truncated`",
    ),
    Attribute(
        "tokentrail.time_to_first_content", _X, When.SHOWN_CONTENT, (*_INFERENCES, FETCH), float
    ),
    Attribute(
        "tokentrail.stream_usage",
        _X,
        When.ASKED_FOR_USAGE,
        _SAMPLED,
        note="`requested` or `refused`",
    ),
    Attribute("tokentrail.request_id", _X, When.SHOWN_ID),
    Attribute("tokentrail.retries", _X, When.SHOWN, type=int),
    Attribute("tokentrail.organization", _X, When.PAID),
    Attribute("tokentrail.project", _X, When.PAID),
    *(
        Attribute(f"tokentrail.rate_limit.{what}.{name}", _X, When.SHOWN, type=kind)
        for what in ("requests", "tokens")
        for name, kind in (("limit", int), ("remaining", int), ("reset", float))
    ),
    Attribute("tokentrail.rate_limit.retry_after", _X, When.WAITING, type=float),
    *(
        Attribute(
            f"tokentrail.content_filter.{direction}.{name}",
            _X,
            When.FILTERED,
            _INFERENCES,
            tuple,
            note,
        )
        for direction in ("input", "output")
        for name, note in (
            ("flagged", "as `category:severity`"),
            ("filtered", ""),
        )
    ),
    # content
    Attribute("gen_ai.input.messages", _O, When.CAPTURED, _INFERENCES, note="JSON"),
    Attribute("gen_ai.output.messages", _O, When.CAPTURED, (*_INFERENCES, FETCH), note="JSON"),
    Attribute("gen_ai.system_instructions", _O, When.CAPTURED, _FETCHED, note="JSON"),
    Attribute("gen_ai.tool.definitions", _O, When.CAPTURED, (*_TALKS, FETCH), note="JSON"),
    Attribute("gen_ai.prompt.variable.<name>", _O, When.CAPTURED, (RESPONSES,)),
    Attribute("gen_ai.retrieval.query.text", _O, When.CAPTURED, (RETRIEVAL,)),
    Attribute(
        "gen_ai.retrieval.documents", _O, When.CAPTURED, (RETRIEVAL,), note="JSON: ids and scores"
    ),
)
"""Attributes of the spans of calls."""

RELEASED, LATEST = "released", "latest"


@dataclass(frozen=True)
class Metric:
    """A metric: its instrument, the attributes of its points, and of which calls they are."""

    name: str
    level: Level
    when: When
    attributes: tuple[Attribute, ...]
    vocabularies: tuple[str, ...] = (RELEASED, LATEST)
    apis: tuple[str, ...] = APIS
    note: str = ""

    @property
    def instrument(self) -> semconv.Instrument:
        """What records it: kind, unit and description."""
        return semconv.INSTRUMENTS[self.name]


_BASE: Final = (
    Attribute("gen_ai.operation.name", _R, When.ALWAYS),
    Attribute("gen_ai.provider.name", _R, When.ALWAYS),
    Attribute("gen_ai.request.model", _C, When.NAMED, _SPENDING),
    Attribute("gen_ai.response.model", _P, When.ANSWERED, _ANSWERING),
    Attribute("server.address", _P, When.LOCATED),
    Attribute("server.port", _C, When.LOCATED, type=int),
)
_REFINED: Final = (
    *_BASE,
    Attribute("openai.response.service_tier", _P, When.ANSWERED, (*_TALKS, FETCH)),
    Attribute("openai.response.system_fingerprint", _P, When.ANSWERED, _SAMPLED),
)
_TIMED: Final = (*_REFINED, Attribute("error.type", _C, When.FAILED))
_BY_MODALITY: Final = (*_REFINED, Attribute("gen_ai.token.modality", _R, When.ALWAYS))
_SOURCED: Final = Attribute("tokentrail.usage.source", _X, When.ALWAYS)
_TYPED: Final = Attribute("gen_ai.token.type", _R, When.ALWAYS, note="`input`, `output`")
_CALLED: Final = (
    Attribute("gen_ai.operation.name", _X, When.ALWAYS),
    Attribute("gen_ai.provider.name", _X, When.ALWAYS),
    Attribute("gen_ai.request.model", _X, When.NAMED, _SPENDING),
)
_WASTE_REASON: Final = Attribute(
    "tokentrail.waste.reason",
    _X,
    When.ALWAYS,
    note="`closed_early`, `cancelled`, `failed`, `truncated`, `length`, `content_filter`, "
    "`repeated`",
)
_LIMITED: Final = (
    *_CALLED[1:],
    Attribute(semconv.RATE_LIMIT_TYPE, _X, When.ALWAYS, note="`requests`, `tokens`"),
)
_OWN: Final = (*_CALLED, Attribute("tokentrail.outcome", _X, When.ALWAYS))
_OWN_TYPE: Final = Attribute("gen_ai.token.type", _X, When.ALWAYS, note="`input`, `output`")

_OF_PARTS: Final = (
    Attribute(
        semconv.MODALITY, _X, When.ALWAYS, (MEDIA,), note="`text`, `image`, `audio`, `unknown`"
    ),
    Attribute(
        semconv.CACHE_STATE, _X, When.SERVED, (MEDIA, FETCH), note="`read`, `written`, or absent"
    ),
    Attribute("gen_ai.response.model", _X, When.ANSWERED, (MEDIA, FETCH)),
    Attribute("openai.response.service_tier", _X, When.ANSWERED, (FETCH,)),
)
"""Reported tokens that are in no other counter have what decides their price."""

_PART: Final = "a part of the total; in every vocabulary"

METRICS: Final = (
    Metric(semconv.DURATION, _P, When.ALWAYS, _TIMED, (RELEASED,)),
    Metric(
        semconv.DURATION,
        _P,
        When.ALWAYS,
        _TIMED,
        (LATEST,),
        (FETCH, RETRIEVAL),
        "what is neither an inference nor embeddings; with `both` once, as above",
    ),
    Metric(semconv.EMBEDDINGS_DURATION, _P, When.ALWAYS, _TIMED, (LATEST,), (EMBEDDINGS,)),
    Metric(
        semconv.EMBEDDINGS_TOKENS,
        _P,
        When.USED,
        (*_BASE, _SOURCED),
        (LATEST,),
        (EMBEDDINGS,),
        "not of failed calls",
    ),
    Metric(semconv.FIRST_CHUNK, _P, When.BEGUN, _BASE, (RELEASED,), (*_INFERENCES, FETCH)),
    Metric(semconv.OUTPUT_CHUNK, _P, When.GAPS, _BASE, (RELEASED,), (*_INFERENCES, FETCH)),
    Metric(
        semconv.TOKEN_USAGE, _P, When.USED, (*_REFINED, _TYPED, _SOURCED), (RELEASED,), _SPENDING
    ),
    Metric(semconv.INFERENCE_DURATION, _P, When.ALWAYS, _TIMED, (LATEST,), _INFERENCES),
    Metric(semconv.INFERENCE_FIRST_CHUNK, _P, When.BEGUN, _BASE, (LATEST,), _INFERENCES),
    Metric(semconv.INFERENCE_OUTPUT_CHUNK, _P, When.GAPS, _BASE, (LATEST,), _INFERENCES),
    *(
        Metric(
            name,
            _P,
            When.USED,
            (*_BY_MODALITY, _SOURCED),
            (LATEST,),
            _INFERENCES,
            "the modalities sum to the total",
        )
        for name in semconv.USAGE_COUNTERS.values()
    ),
    *(
        Metric(
            name,
            _P,
            When.USED,
            (*_REFINED, _SOURCED),
            (LATEST,),
            _INFERENCES,
            "not of failed calls",
        )
        for name in semconv.OPERATION_TOKENS.values()
    ),
    *(
        Metric(name, _P, When.REPORTED, _BY_MODALITY, apis=_INFERENCES, note=_PART)
        for _, _, name in semconv.DETAIL_COUNTERS
    ),
    Metric(
        semconv.USAGE_TOKENS,
        _X,
        When.ANY_USAGE,
        (*_OWN, _OWN_TYPE, _SOURCED, *_OF_PARTS),
        apis=_COSTING,
        note="the whole picture: estimates too, and background responses once fetched",
    ),
    Metric(semconv.OPERATIONS, _X, When.ALWAYS, _OWN),
    Metric(
        semconv.INPUT_PART_TOKENS,
        _X,
        When.EXPLAINED,
        (*_CALLED, Attribute(semconv.INPUT_PART, _X, When.ALWAYS), _SOURCED),
        apis=_TALKS,
        note="the parts sum to the total",
    ),
    Metric(
        semconv.CACHE_TOKENS,
        _X,
        When.MISSED,
        (
            *_CALLED,
            Attribute(semconv.CACHE_STATE, _X, When.ALWAYS, note="`cacheable`, `read` or `missed`"),
            Attribute(semconv.MISS_REASON, _X, When.UNSERVED),
        ),
        apis=_TALKS,
    ),
    Metric(
        semconv.WASTE_TOKENS,
        _X,
        When.WASTED,
        (*_CALLED, _OWN_TYPE, _SOURCED, _WASTE_REASON),
        apis=_SPENDING,
        note="one reason a call",
    ),
    Metric(
        semconv.FIRST_CONTENT,
        _X,
        When.SHOWN_CONTENT,
        _BASE,
        apis=(*_INFERENCES, FETCH),
        note="thought is no content",
    ),
    Metric(
        semconv.RETRIES,
        _X,
        When.REPEATED,
        (*_CALLED, Attribute("error.type", _X, When.ALWAYS, note="a status, `timeout`, a class")),
    ),
    Metric(
        semconv.FINISHED_CHOICES,
        _X,
        When.ANSWERED,
        (*_CALLED, Attribute(semconv.FINISH_REASON, _X, When.ALWAYS)),
        apis=(*_INFERENCES, FETCH),
    ),
    Metric(
        semconv.TOOL_REQUESTS,
        _X,
        When.HOSTED,
        (
            *_CALLED,
            Attribute(semconv.TOOL_NAME, _X, When.ALWAYS),
            Attribute("gen_ai.response.model", _X, When.ANSWERED),
            _SOURCED,
        ),
        apis=(*_TALKS, FETCH),
    ),
    Metric(
        semconv.TOOL_TOKENS,
        _X,
        When.HOSTED,
        (
            *_CALLED,
            Attribute(semconv.TOOL_NAME, _X, When.ALWAYS),
            Attribute(semconv.TOOL_MODEL, _X, When.ANSWERED),
            _SOURCED,
            _OWN_TYPE,
            Attribute(semconv.MODALITY, _X, When.ALWAYS, note="`text`, `image`, `unknown`"),
            Attribute(semconv.CACHE_STATE, _X, When.SERVED, note="`read`, or absent"),
        ),
        apis=(RESPONSES, FETCH),
        note="in no other counter of tokens",
    ),
    Metric(
        semconv.TRANSCRIPTION_TOKENS,
        _X,
        When.TRANSCRIBED,
        (*_BASE, _OWN_TYPE, Attribute(semconv.MODALITY, _X, When.ALWAYS)),
        apis=(LIVE,),
        note="the request model is the one that transcribes",
    ),
    Metric(semconv.TRANSCRIPTION_TIME, _X, When.TIMED, _BASE, apis=(LIVE, MEDIA)),
    *(
        Metric(name, _X, When.LIMITED, _LIMITED)
        for name in (semconv.RATE_LIMIT_LIMIT, semconv.RATE_LIMIT_REMAINING)
    ),
    Metric(semconv.COUNT_RATIO, _X, When.SAMPLED, (*_BASE, _OWN_TYPE), apis=_SPENDING),
    Metric(
        semconv.COMPARED_TOKENS, _X, When.SAMPLED, (*_BASE, _OWN_TYPE, _SOURCED), apis=_SPENDING
    ),
    Metric(semconv.QUEUE_SIZE, _X, When.HEALTHY, ()),
    Metric(semconv.INTERNAL_ERRORS, _X, When.HEALTHY, ()),
    Metric(semconv.COUNTS_QUEUED, _X, When.HEALTHY, ()),
    Metric(semconv.COUNTS_ESTIMATED, _X, When.HEALTHY, ()),
    Metric(semconv.COUNTS_CORRECTED, _X, When.HEALTHY, ()),
)
"""Metrics, conventional ones and our own."""


@dataclass(frozen=True)
class Event:
    """A log event in the context of the call's span."""

    name: str
    level: Level
    when: When
    attributes: tuple[Attribute, ...]
    apis: tuple[str, ...] = APIS
    note: str = ""


_RAISED: Final = (
    Attribute("error.type", _P, When.ALWAYS),
    Attribute("exception.type", _C, When.ALWAYS),
    Attribute("exception.message", _C, When.QUOTED),
    Attribute("exception.stacktrace", _P, When.QUOTED),
)
_AT_START: Final = tuple(row for row in SPAN if row.note == "from the start")

EVENTS: Final = (
    Event(
        "gen_ai.client.inference.operation.details",
        _O,
        When.EMITTED,
        SPAN,
        _INFERENCES,
        "severity DEBUG; all that the span has; content structured",
    ),
    Event(
        semconv.EXCEPTION_EVENT,
        _P,
        When.RAISED,
        (*_AT_START, *_RAISED),
        note="severity WARN; of an inference unless `metric_names=latest`",
    ),
    Event(
        semconv.INFERENCE_EXCEPTION_EVENT,
        _P,
        When.RAISED,
        (*_AT_START, *_RAISED),
        _INFERENCES,
        "severity WARN; in place of the one above with `metric_names=latest`",
    ),
)
"""Log events."""

APART: Final = {
    "event.name": "stands for the name of an event where the SDK has no field for it",
}
"""What is recorded beside all that, with some releases of the SDK."""


@dataclass(frozen=True)
class Difference:
    """Calls that the two vocabularies record differently."""

    calls: str
    operations: tuple[str, ...]
    released: tuple[str, ...]
    latest: tuple[str, ...]
    note: str = ""


_DURATION: Final = "gen_ai.client.operation.duration"
_CHUNKS: Final = (
    "gen_ai.client.operation.time_to_first_chunk",
    "gen_ai.client.operation.time_per_output_chunk",
)
_TOKENS: Final = "gen_ai.client.token.usage"

DIFFERENCES: Final = (
    Difference(
        "embeddings",
        (operations.EMBEDDINGS.name,),
        (_DURATION, _TOKENS),
        (semconv.EMBEDDINGS_DURATION, semconv.EMBEDDINGS_TOKENS),
        "of failed calls no tokens",
    ),
    Difference(
        "responses fetched or cancelled, counted input, searches, images, audio, moderations, "
        "decisions",
        tuple(
            row.name
            for row in operations.OPERATIONS
            if not (row.is_inference or row.has_token_metrics)
        ),
        (_DURATION, *_CHUNKS),
        (_DURATION,),
        "`latest` has no chunk metrics for them",
    ),
    Difference(
        "inferences that failed after tokens were used",
        tuple(sorted(operations.INFERENCES)),
        (_TOKENS,),
        tuple(f"gen_ai.client.inference.usage.{kind}_tokens" for kind in ("input", "output")),
        "in the counters, not in the `operation.*_tokens` histograms",
    ),
)
"""Where ``both`` vocabularies differ. A duration that both have by one name is recorded once."""
