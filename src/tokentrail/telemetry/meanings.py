"""What each attribute means, in one line; the rest stands in the table of ``schema``."""

from __future__ import annotations

from typing import Final

MEANINGS: Final = {
    "gen_ai.operation.name": "What was called: `chat`, `text_completion`, `embeddings` and so on.",
    "gen_ai.provider.name": "Whose server it is, by its base URL.",
    "gen_ai.request.model": "The model that the request names.",
    "server.address": "Host of the base URL.",
    "server.port": "Port of the base URL.",
    "error.type": "Class of the exception, or the server's code.",
    "openai.api.type": "The API of OpenAI that was called.",
    "gen_ai.request.stream": "The answer was asked for as a stream.",
    "gen_ai.request.choice.count": "Number of answers asked for, unless it is 1.",
    "gen_ai.request.seed": "Seed of the sampling.",
    "gen_ai.request.top_k": "Tokens to sample among, with servers that have it.",
    "gen_ai.output.type": "Kind of output asked for.",
    "openai.request.service_tier": "Service tier asked for, unless it is `auto`.",
    "gen_ai.request.max_tokens": "Most tokens that may be generated.",
    "gen_ai.request.temperature": "Temperature of the sampling.",
    "gen_ai.request.top_p": "Share of probability to sample among.",
    "gen_ai.request.frequency_penalty": "Penalty for tokens by how often they came.",
    "gen_ai.request.presence_penalty": "Penalty for tokens that came at all.",
    "gen_ai.request.stop_sequences": "Texts that end an answer.",
    "gen_ai.request.reasoning.level": "Reasoning effort asked for.",
    "gen_ai.request.previous_response.id": "The response that the request goes on from.",
    "gen_ai.conversation.id": "The conversation that the request is part of.",
    "gen_ai.conversation.compacted": "The input has a compacted part of a conversation.",
    "gen_ai.prompt.name": "The id of a stored prompt.",
    "gen_ai.prompt.version": "The version of a stored prompt.",
    "gen_ai.embeddings.dimension.count": "Length of the vectors asked for.",
    "gen_ai.request.encoding_formats": "How vectors are to be written.",
    "gen_ai.request.stream_cursor": "The event after which a fetched stream begins.",
    "gen_ai.response.id": "The server's id of the answer.",
    "gen_ai.response.model": "The model that answered.",
    "gen_ai.response.finish_reasons": "Why each choice ended, in their order.",
    "gen_ai.response.status": "Status of a response.",
    "gen_ai.response.time_to_first_chunk": "Seconds from the request to the first chunk.",
    "openai.response.service_tier": "Service tier that answered.",
    "openai.response.system_fingerprint": "The server's configuration.",
    "gen_ai.usage.input_tokens": "Tokens of the input, cached ones included.",
    "gen_ai.usage.output_tokens": "Tokens of the output, reasoning included.",
    "gen_ai.usage.cache_read.input_tokens": "Tokens of the input read from a cache.",
    "gen_ai.usage.cache_write.input_tokens": "Tokens of the input written to a cache.",
    "gen_ai.usage.reasoning.output_tokens": "Tokens of the output spent on reasoning.",
    **{
        f"gen_ai.usage.{modality}.{direction}_tokens": (
            f"{modality.capitalize()} tokens of the {direction}."
        )
        for modality in ("text", "image", "audio")
        for direction in ("input", "output")
    },
    **{
        f"gen_ai.usage.{modality}.cache_read.input_tokens": (
            f"{modality.capitalize()} tokens read from a cache."
        )
        for modality in ("text", "image", "audio")
    },
    "tokentrail.usage.input.source": "Where the number of input tokens comes from.",
    "tokentrail.usage.output.source": "Where the number of output tokens comes from.",
    "tokentrail.usage.source": "Where the number of tokens comes from.",
    "tokentrail.usage.encoding": "The encoding that tokens were counted with.",
    "tokentrail.usage.visible.output_tokens": "Output tokens counted as far as they were seen.",
    "tokentrail.usage.approximated.input_tokens": "An estimate of the input tokens.",
    "tokentrail.usage.approximated.output_tokens": "An estimate of the output tokens.",
    "tokentrail.usage.counted.input_tokens": "Input tokens counted beside a report.",
    "tokentrail.usage.counted.output_tokens": "Output tokens counted beside a report.",
    "tokentrail.usage.audio_seconds": "Seconds of sound that are billed in place of tokens.",
    "tokentrail.cost.amount": "What the call costs, by list prices.",
    "tokentrail.cost.currency": "The currency of the cost.",
    "tokentrail.cost.source": "Whose prices the cost is worked out with.",
    "tokentrail.finish_reason": "Why an answer ended, in the server's words.",
    "tokentrail.rate_limit.type": "What a provider limits.",
    "tokentrail.outcome": "How the call ended; truncated: without a mark of its end.",
    "tokentrail.time_to_first_content": "Seconds from the request to the first text, refusal, "
    "sound or tool call: what a person waits for. Thought is not.",
    "tokentrail.stream_usage": "What became of asking for a stream's usage.",
    "tokentrail.request_id": "The server's id of the request.",
    "tokentrail.retries": "Tries of the client before the last.",
    **{
        f"tokentrail.rate_limit.{of}.{name}": meaning.format(of)
        for of in ("requests", "tokens")
        for name, meaning in (
            ("limit", "The limit of {}."),
            ("remaining", "What is left of the limit of {}."),
            ("reset", "Seconds until the limit of {} is full again."),
        )
    },
    "tokentrail.rate_limit.retry_after": "Seconds that the server asks to wait.",
    **{
        f"tokentrail.content_filter.{direction}.{name}": meaning.format(direction)
        for direction in ("input", "output")
        for name, meaning in (
            ("flagged", "Categories and severities of the {} that are not safe."),
            ("filtered", "Categories for which the {} was stopped."),
        )
    },
    "gen_ai.input.messages": "Messages of the request.",
    "gen_ai.output.messages": "Messages of the answer.",
    "gen_ai.system_instructions": "Instructions of the request.",
    "gen_ai.tool.definitions": "Tools of the request.",
    "gen_ai.prompt.variable.<name>": "A variable of a stored prompt.",
    "gen_ai.token.type": "Direction of the tokens.",
    "gen_ai.token.modality": "Modality of the tokens.",
    "exception.type": "Class of the exception.",
    "exception.message": "Text of the exception, which may quote content.",
}
"""By the name of the attribute."""
