"""What the conventions ask for, in the texts that were read: facts for ``test_schema``."""

from __future__ import annotations

SPANS = {
    "inference": {
        "required": (
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.request.model",
        ),
        "conditionally required": (
            "error.type",
            "gen_ai.conversation.id",
            "gen_ai.output.type",
            "gen_ai.prompt.name",
            "gen_ai.prompt.version",
            "gen_ai.request.choice.count",
            "gen_ai.request.seed",
            "gen_ai.request.stream",
            "gen_ai.request.top_k",
            "openai.request.service_tier",
            "openai.response.service_tier",
            "server.port",
        ),
        "recommended": (
            "gen_ai.conversation.compacted",
            "gen_ai.request.frequency_penalty",
            "gen_ai.request.max_tokens",
            "gen_ai.request.presence_penalty",
            "gen_ai.request.previous_response.id",
            "gen_ai.request.reasoning.level",
            "gen_ai.request.stop_sequences",
            "gen_ai.request.temperature",
            "gen_ai.request.top_p",
            "gen_ai.response.finish_reasons",
            "gen_ai.response.id",
            "gen_ai.response.model",
            "gen_ai.response.time_to_first_chunk",
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.reasoning.output_tokens",
            *(
                f"gen_ai.usage.{modality}.{what}_tokens"
                for modality in ("text", "image", "audio")
                for what in ("input", "output", "cache_read.input")
            ),
            "openai.api.type",
            "openai.response.system_fingerprint",
            "server.address",
        ),
        "opt-in": (
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.prompt.variable.<name>",
            "gen_ai.system_instructions",
            "gen_ai.tool.definitions",
        ),
    },
    "embeddings": {
        "required": ("gen_ai.operation.name", "gen_ai.provider.name"),
        "conditionally required": ("error.type", "gen_ai.request.model", "server.port"),
        "recommended": (
            "gen_ai.embeddings.dimension.count",
            "gen_ai.request.encoding_formats",
            "gen_ai.response.model",
            "gen_ai.usage.input_tokens",
            "server.address",
        ),
        "opt-in": (),
    },
    "fetch_response": {
        "required": ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.response.id"),
        "conditionally required": (
            "error.type",
            "gen_ai.request.stream_cursor",
            "openai.response.service_tier",
            "server.port",
        ),
        "recommended": (
            "gen_ai.response.finish_reasons",
            "gen_ai.response.model",
            "gen_ai.response.status",
            "openai.api.type",
            "server.address",
        ),
        "opt-in": (
            "gen_ai.output.messages",
            "gen_ai.system_instructions",
            "gen_ai.tool.definitions",
        ),
    },
    "retrieval": {
        "required": ("gen_ai.operation.name",),
        "conditionally required": (
            "error.type",
            "gen_ai.data_source.id",
            "gen_ai.provider.name",
            "server.port",
        ),
        "recommended": ("gen_ai.retrieval.top_k", "server.address"),
        "opt-in": ("gen_ai.retrieval.documents", "gen_ai.retrieval.query.text"),
    },
}
"""Attributes of spans, by level."""

BASE = {
    "gen_ai.operation.name": "required",
    "gen_ai.provider.name": "required",
    "gen_ai.request.model": "conditionally required",
    "gen_ai.response.model": "recommended",
    "server.address": "recommended",
    "server.port": "conditionally required",
}
"""Of every metric; and what some add:"""
REFINED = {
    "openai.response.service_tier": "recommended",
    "openai.response.system_fingerprint": "recommended",
}
TIMED = {"error.type": "conditionally required"}
TYPED = {"gen_ai.token.type": "required"}
BY_MODALITY = {"gen_ai.token.modality": "required"}

_OPERATION, _INFERENCE = "gen_ai.client.operation.", "gen_ai.client.inference."
METRICS = {
    "gen_ai.client.token.usage": {**BASE, **REFINED, **TYPED},
    **{
        f"{family}{name}": bears
        for family in (_OPERATION, _INFERENCE)
        for name, bears in (
            ("duration", {**BASE, **REFINED, **TIMED}),
            ("time_to_first_chunk", BASE),
            ("time_per_output_chunk", BASE),
        )
    },
    "gen_ai.client.embeddings.duration": {**BASE, **REFINED, **TIMED},
    "gen_ai.client.embeddings.operation.input_tokens": BASE,
    **{
        f"{_INFERENCE}usage.{what}_tokens": {**BASE, **REFINED, **BY_MODALITY}
        for what in (
            "input",
            "output",
            "cache_read.input",
            "cache_write.input",
            "reasoning.output",
        )
    },
    **{f"{_INFERENCE}operation.{what}_tokens": {**BASE, **REFINED} for what in ("input", "output")},
}
"""Metrics, all of them recommended, and the levels of what their points bear."""
