"""Which text each conventional name was read in, and at which revision.

The GenAI conventions have one repository, ``open-telemetry/semantic-conventions-genai``, and one
release so far, v0.1.0, of which not every page could be had: the rest was read at revisions shortly
before it. ``docs/telemetry.md`` lists what follows; no call needs it, so nothing imports it at run
time.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Text(NamedTuple):
    """A page or model of the conventions."""

    path: str
    revision: str
    """The commit that was read, or the tag where only that was known."""


_SPANS: Final = Text("model/gen-ai/spans.yaml", "7e7e4e763354b505b8e1f76512f17a1977b00f70")
_METRICS: Final = Text("model/gen-ai/metrics.yaml", "9ba9b77579bd6d44b6c124877405e99920a2fe96")
_EVENTS: Final = Text("model/gen-ai/events.yaml", "fecf9e12378d7b913438c954f8d7d243680ece47")
_EXCEPTIONS: Final = Text(
    "docs/gen-ai/gen-ai-exceptions.md", "e8fc5751506258db1459d1bde47994e01dee922e"
)
_EMBEDDINGS: Final = Text(
    "docs/gen-ai/client-embeddings.md", "88eccb155ca7d6984826da1f4b1c08ee916e0f49"
)
_INFERENCE: Final = Text(
    "docs/gen-ai/client-inference.md", "ac48b1f9df15fdf281b96cccf15eb707e1fc1868"
)
_MIGRATION: Final = Text(
    "docs/gen-ai/non-normative/migration.md", "32c328e85013588c6fe32ebc30934ab5b1752b6a"
)
_RELEASE: Final = Text("docs/gen-ai/client-inference.md", "v0.1.0")
_FETCHES: Final = Text("docs/gen-ai/gen-ai-spans.md", "read on 2026-11-23")

READ_IN: Final = {
    _INFERENCE: (
        "error.type",
        "server.address",
        "server.port",
        *(
            f"gen_ai.{name}"
            for name in (
                "operation.name",
                "provider.name",
                "conversation.id",
                "conversation.compacted",
                "output.type",
                "prompt.name",
                "prompt.version",
                "prompt.variable.<name>",
                "input.messages",
                "output.messages",
                "system_instructions",
                "tool.definitions",
                "request.model",
                "request.choice.count",
                "request.seed",
                "request.stream",
                "request.top_k",
                "request.top_p",
                "request.temperature",
                "request.max_tokens",
                "request.frequency_penalty",
                "request.presence_penalty",
                "request.previous_response.id",
                "request.reasoning.level",
                "request.stop_sequences",
                "response.finish_reasons",
                "response.id",
                "response.model",
                "response.time_to_first_chunk",
                "usage.input_tokens",
                "usage.output_tokens",
                "usage.cache_read.input_tokens",
                "usage.cache_write.input_tokens",
                "usage.reasoning.output_tokens",
                "client.inference.duration",
                "client.inference.time_to_first_chunk",
                "client.inference.time_per_output_chunk",
            )
        ),
        *(
            f"gen_ai.usage.{modality}.{what}_tokens"
            for modality in ("text", "image", "audio")
            for what in ("input", "output", "cache_read.input")
        ),
    ),
    _EMBEDDINGS: (
        "gen_ai.embeddings.dimension.count",
        "gen_ai.request.encoding_formats",
        "gen_ai.client.embeddings.duration",
        "gen_ai.client.embeddings.operation.input_tokens",
    ),
    _MIGRATION: (
        "gen_ai.token.modality",
        *(
            f"gen_ai.client.inference.{what}_tokens"
            for what in (
                "usage.input",
                "usage.output",
                "usage.cache_read.input",
                "usage.cache_write.input",
                "usage.reasoning.output",
                "operation.input",
                "operation.output",
            )
        ),
    ),
    _SPANS: (
        "gen_ai.data_source.id",
        "gen_ai.retrieval.top_k",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.documents",
        "openai.api.type",
        "openai.request.service_tier",
    ),
    _FETCHES: ("gen_ai.request.stream_cursor", "gen_ai.response.status"),
    _METRICS: (
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
        "gen_ai.client.token.usage",
        "gen_ai.token.type",
        "openai.response.service_tier",
        "openai.response.system_fingerprint",
    ),
    _EVENTS: ("gen_ai.client.inference.operation.details",),
    _EXCEPTIONS: (
        "gen_ai.client.operation.exception",
        "exception.type",
        "exception.message",
        "exception.stacktrace",
    ),
    _RELEASE: ("gen_ai.client.inference.exception",),
}
"""Conventional names, by the newest text that has them and was read."""

UNREAD: Final = (
    "metrics of retrievals alone: none was found; they are in `gen_ai.client.operation.duration`",
    "the schema URL of v0.1.0: that of the development line before it is sent",
    (
        "usage on fetched responses: the texts advise against it, and a change (516) is open; it "
        "is there only where a fetch is the first to see what a background response used"
    ),
    "a failed call's tokens: in the counters, not in the histograms, as an open change (530) says",
)
"""What could not be read, or is open there, and what is recorded instead."""
