"""A call that opentelemetry-util-genai records as well: one span, with what both know.

The protocol: an instrumentation that records an operation puts a record of it into the context,
under a key for each kind of operation. An instrumentation that is called inside emits nothing of
its own, but writes what it knows into that record; when the operation ends, the outer one takes
from it what it does not know itself. The package is never imported here. Until another module
imports it there is nothing to join, and a call costs one look-up.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context as otel_context

from tokentrail.model.operations import EMBEDDINGS, FETCH, INFERENCES, RETRIEVAL
from tokentrail.model.records import Source
from tokentrail.telemetry import semconv, spans
from tokentrail.telemetry.coexistence import PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.context import Context
    from opentelemetry.util.types import AttributeValue

    from tokentrail.model.records import Operation, Usage

    Attributes = dict[str, AttributeValue]

_INFERENCE: Final = ("opentelemetry.genai.client.inference.context", "InferenceData")
_RECORDS: Final = {
    **dict.fromkeys(INFERENCES, _INFERENCE),
    EMBEDDINGS.name: ("opentelemetry.genai.client.embedding.context", "EmbeddingData"),
    FETCH.name: (
        "opentelemetry.genai.client.fetch_response.context",
        "FetchResponseData",
    ),
    RETRIEVAL.name: ("opentelemetry.genai.client.retrieval.context", "RetrievalData"),
}
"""Operations, and the key and the class of their record."""

_HTTPS: Final = 443
"""The port that the official instrumentation leaves out; its series stay as they are."""

_DIMENSIONS: Final = "gen_ai.embeddings.dimension.count"
"""Recorded as requested; the official one records the length of what came, even of base64."""

_FIELDS: Final = {
    "conversation_compacted": semconv.COMPACTED,
    "conversation_id": semconv.CONVERSATION_ID,
    "embeddings_dimension_count": _DIMENSIONS,
    "operation_name": semconv.OPERATION_NAME,
    "output_type": "gen_ai.output.type",
    "prompt_name": "gen_ai.prompt.name",
    "prompt_version": "gen_ai.prompt.version",
    "provider_name": semconv.PROVIDER_NAME,
    "request_choice_count": "gen_ai.request.choice.count",
    "request_encoding_formats": "gen_ai.request.encoding_formats",
    "request_frequency_penalty": "gen_ai.request.frequency_penalty",
    "request_max_tokens": "gen_ai.request.max_tokens",
    "request_model": semconv.REQUEST_MODEL,
    "request_presence_penalty": "gen_ai.request.presence_penalty",
    "request_previous_response_id": "gen_ai.request.previous_response.id",
    "request_reasoning_level": "gen_ai.request.reasoning.level",
    "request_seed": "gen_ai.request.seed",
    "request_stop_sequences": "gen_ai.request.stop_sequences",
    "request_stream": "gen_ai.request.stream",
    "request_stream_cursor": "gen_ai.request.stream_cursor",
    "request_temperature": "gen_ai.request.temperature",
    "request_top_k": "gen_ai.request.top_k",
    "request_top_p": "gen_ai.request.top_p",
    "response_finish_reasons": semconv.FINISH_REASONS,
    "response_id": semconv.RESPONSE_ID,
    "response_model": semconv.RESPONSE_MODEL,
    "response_status": semconv.RESPONSE_STATUS,
    "response_time_to_first_chunk": semconv.TIME_TO_FIRST_CHUNK,
    "data_source_id": semconv.DATA_SOURCE_ID,
    "retrieval_top_k": semconv.RETRIEVAL_TOP_K,
    "server_address": semconv.SERVER_ADDRESS,
    "server_port": semconv.SERVER_PORT,
    "usage_audio_cache_read_input_tokens": "gen_ai.usage.audio.cache_read.input_tokens",
    "usage_audio_input_tokens": "gen_ai.usage.audio.input_tokens",
    "usage_audio_output_tokens": "gen_ai.usage.audio.output_tokens",
    "usage_cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "usage_cache_write_input_tokens": "gen_ai.usage.cache_write.input_tokens",
    "usage_image_cache_read_input_tokens": "gen_ai.usage.image.cache_read.input_tokens",
    "usage_image_input_tokens": "gen_ai.usage.image.input_tokens",
    "usage_image_output_tokens": "gen_ai.usage.image.output_tokens",
    "usage_input_tokens": semconv.INPUT_TOKENS,
    "usage_output_tokens": semconv.OUTPUT_TOKENS,
    "usage_reasoning_output_tokens": "gen_ai.usage.reasoning.output_tokens",
    "usage_text_cache_read_input_tokens": "gen_ai.usage.text.cache_read.input_tokens",
    "usage_text_input_tokens": "gen_ai.usage.text.input_tokens",
    "usage_text_output_tokens": "gen_ai.usage.text.output_tokens",
}
"""Fields of all kinds of records, and the attribute of each."""

_NAMESPACE: Final = ("tokentrail.",)
_NAMESPACES: Final = (*_NAMESPACE, "openai.")
"""Attributes without a field: they go into the record's further attributes."""

_INPUT: Final = frozenset((semconv.INPUT_TOKENS, *(name for _, name in semconv.INPUT_DETAILS)))
_OUTPUT: Final = frozenset((semconv.OUTPUT_TOKENS, *(name for _, name in semconv.OUTPUT_DETAILS)))
_BREAKDOWN: Final = (_INPUT | _OUTPUT) - {semconv.INPUT_TOKENS, semconv.OUTPUT_TOKENS}


Record = Any
"""One of the package's data classes."""


def find_shared_record(operation: str, context: Context) -> Record | None:
    """Return the record of this kind of operation in ``context``, if there is one."""
    key, kind = _kind(operation)
    record = context.get(key) if kind is not None else None
    return record if kind is not None and isinstance(record, kind) else None


def create_shared_record(operation: str, context: Context) -> tuple[Context, Record | None]:
    """Return ``context`` with a record for instrumentations called inside, and that record."""
    key, kind = _kind(operation)
    if kind is None:
        return context, None
    record = kind()
    return otel_context.set_value(key, record, context), record


def _kind(operation: str) -> tuple[str, type | None]:
    module = sys.modules.get(PROTOCOL)
    if module is None or operation not in _RECORDS:
        return "", None
    key, name = _RECORDS[operation]
    return key, getattr(module, name, None)


def publish(
    record: Record, operation: Operation, recorded: Attributes, *, spans_only: bool
) -> None:
    """Write the call into ``record``, from the attributes that our own span would have.

    ``spans_only``: counted tokens go to the outer span, not to its metrics.
    """
    left = dict(recorded)
    if left.get(semconv.SERVER_PORT) == _HTTPS:
        del left[semconv.SERVER_PORT]
    for field, name in _FIELDS.items():
        if name in left and hasattr(record, field) and not field.startswith("usage_"):
            setattr(record, field, _listed(left[name]))
    publish_usage(record, operation.usage, spans_only=spans_only)
    reported = operation.usage.reported
    for field, name in _FIELDS.items():
        if reported is not None and name in _BREAKDOWN and name in left and hasattr(record, field):
            setattr(record, field, left[name])
    record.attributes.update(_further(operation, left, _NAMESPACES))


def namespaced_attributes(operation: Operation, recorded: Attributes) -> Attributes:
    """Return the attributes that have our prefix, for a span that is not ours.

    Counted tokens are among them; the other instrumentation reads reported ones itself.
    """
    attributes = _further(operation, recorded, _NAMESPACE)
    for name, count in (
        (semconv.COUNTED_INPUT, operation.usage.input),
        (semconv.COUNTED_OUTPUT, operation.usage.output),
    ):
        if count is not None and count.source in {Source.COUNTED, Source.CALIBRATED}:
            attributes[name] = count.tokens
    return attributes


def _further(operation: Operation, recorded: Attributes, prefixes: tuple[str, ...]) -> Attributes:
    asked = dict(operation.request.attribution)
    return {k: v for k, v in recorded.items() if k.startswith(prefixes) or k in asked}


def _listed(value: AttributeValue) -> object:
    return list(value) if isinstance(value, tuple) else value


def publish_usage(record: Record, usage: Usage, *, spans_only: bool) -> None:
    """Write the two totals and their source, if they qualify for the conventional names.

    For a stream, as if it ended here: the application may drop it at any time, and the outer
    instrumentation then ends its span before we notice.
    """
    for field, name, source, count in (
        ("usage_input_tokens", semconv.INPUT_TOKENS, semconv.INPUT_SOURCE, usage.input),
        ("usage_output_tokens", semconv.OUTPUT_TOKENS, semconv.OUTPUT_SOURCE, usage.output),
    ):
        if count is None:
            continue
        record.attributes[source] = count.source.value
        on_metrics = count.source is Source.REPORTED or not spans_only
        good = count.source in spans.CONVENTIONAL and hasattr(record, field)
        setattr(record, field, count.tokens if good and on_metrics else None)
        if good and not on_metrics:
            record.attributes[name] = count.tokens
    encodings = [c.encoding for c in (usage.input, usage.output) if c is not None and c.encoding]
    if encodings:
        record.attributes[semconv.ENCODING] = encodings[-1]
    else:
        record.attributes.pop(semconv.ENCODING, None)


def inner_attributes(record: Record, operation: Operation) -> Attributes:
    """Return what instrumentations inside wrote into ``record`` and we do not know ourselves."""
    theirs: Attributes = dict(record.attributes)
    for field, name in _FIELDS.items():
        value = getattr(record, field, None)
        if value is None or value is False or (value == 0 and name in _BREAKDOWN):
            continue  # a flag that is not set is absent
        theirs[name] = value
    known = {**spans.start_attributes(operation.request), **spans.end_attributes(operation)}
    settled = {*known, *_settled(operation.usage), _DIMENSIONS}
    return {name: value for name, value in theirs.items() if name not in settled}


def _settled(usage: Usage) -> Iterator[str]:
    """Yield the totals and parts to leave out, since the number beside them is not the server's."""
    for count, recorded in ((usage.input, _INPUT), (usage.output, _OUTPUT)):
        if count is not None and count.source is not Source.REPORTED:
            yield from recorded


def with_inner_labels(record: Record, operation: Operation) -> Operation:
    """Return ``operation`` with the metric attributes that instrumentations inside asked for.

    Only those that ``custom_metric_attributes`` names, as for the application's own.
    """
    if not record.metric_attributes:
        return operation
    attribution = operation.request.attribution
    labels = (*record.metric_attributes.items(), *attribution)
    request = replace(operation.request, attribution=labels)
    return replace(operation, request=request)
