"""The meaning of each attribute, in one line; the table of ``schema`` has the rest."""

from __future__ import annotations

from typing import Final

MEANINGS: Final = {
    "gen_ai.operation.name": "What was called: `chat`, `text_completion`, `embeddings` and so on.",
    "gen_ai.provider.name": "The provider, by the class of the client or its base URL.",
    "gen_ai.request.model": "The model that the request names.",
    "server.address": "Host of the base URL.",
    "server.port": "Port of the base URL.",
    "error.type": "Class of the exception, or the server's code.",
    "openai.api.type": "The API of OpenAI that was called.",
    "gen_ai.request.stream": "A stream was requested.",
    "gen_ai.request.choice.count": "Number of answers requested, unless it is 1.",
    "gen_ai.request.seed": "Seed of the sampling.",
    "gen_ai.request.top_k": "Number of tokens to sample from, for servers that have it.",
    "gen_ai.output.type": "Type of output requested.",
    "openai.request.service_tier": "Service tier requested, unless it is `auto`.",
    "gen_ai.request.max_tokens": "Maximum number of tokens to generate.",
    "gen_ai.request.temperature": "Temperature of the sampling.",
    "gen_ai.request.top_p": "Probability mass to sample from.",
    "gen_ai.request.frequency_penalty": "Penalty for tokens by their frequency so far.",
    "gen_ai.request.presence_penalty": "Penalty for tokens that occurred already.",
    "gen_ai.request.stop_sequences": "Texts that end an answer.",
    "gen_ai.request.reasoning.level": "Reasoning effort requested.",
    "gen_ai.request.previous_response.id": "The response that the request continues.",
    "gen_ai.conversation.id": "The conversation that the request is part of.",
    "gen_ai.conversation.compacted": "The input has a compacted part of a conversation.",
    "gen_ai.prompt.name": "The id of a stored prompt.",
    "gen_ai.prompt.version": "The version of a stored prompt.",
    "gen_ai.embeddings.dimension.count": "Length of the vectors requested.",
    "gen_ai.request.encoding_formats": "Encoding of the vectors requested.",
    "gen_ai.request.stream_cursor": "The event after which a fetched stream begins.",
    "gen_ai.data_source.id": "What is searched.",
    "gen_ai.retrieval.top_k": "Maximum number of results requested.",
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
    "tokentrail.usage.visible.output_tokens": "Counted tokens of visible output: a lower bound.",
    "tokentrail.usage.approximated.input_tokens": "Estimated input tokens.",
    "tokentrail.usage.approximated.output_tokens": "Estimated output tokens.",
    "tokentrail.usage.counted.input_tokens": "Input tokens counted in addition to a report.",
    "tokentrail.usage.counted.output_tokens": "Output tokens counted in addition to a report.",
    "tokentrail.usage.audio_seconds": "Seconds of audio, where they are billed instead of tokens.",
    "tokentrail.cost.amount": "Cost of the call: the provider's number, else by list prices.",
    "tokentrail.cost.currency": "The currency of the cost.",
    "tokentrail.cost.source": "Who says what it costs: the provider, or a list of prices.",
    "tokentrail.cost.unpriced": "Parts of what is billed that have no price.",
    **{
        f"tokentrail.tool.{name}.requests": f"Requests to {what} that the server made itself."
        for name, what in (
            ("web_search", "web search"),
            ("file_search", "file search"),
            ("code_interpreter", "the code interpreter"),
            ("computer_use", "computer use"),
            ("mcp", "MCP servers"),
            ("image_generation", "image generation"),
            ("shell", "a shell in a container"),
        )
    },
    "tokentrail.tool.image_generation.input_tokens": "Tokens read to generate images.",
    "tokentrail.tool.image_generation.output_tokens": "Tokens of generated images.",
    "tokentrail.cache.write.30m_tokens": "Tokens written to a cache for 30 minutes or more.",
    "tokentrail.cache.write.12h_tokens": "Tokens written to a cache for 12 hours or more.",
    "tokentrail.cache.write.1h_tokens": "Tokens written to a cache for an hour.",
    "tokentrail.transcription.input_tokens": "Tokens read to transcribe what a session heard.",
    "tokentrail.transcription.output_tokens": "Tokens of transcripts of what a session heard.",
    "tokentrail.transcription.seconds": "Seconds of what was transcribed, where billed so.",
    "tokentrail.transcription.model": "The model that transcribed.",
    "tokentrail.cache.key": "The request's name of the prompt cache, or a hash of it.",
    "tokentrail.tool.name": "A tool that the server runs itself.",
    "tokentrail.tool.model": "The model of such a tool, as the answer names it.",
    "tokentrail.input.part": "The part of the input.",
    "tokentrail.input.instructions_tokens": "Input tokens of system and developer messages.",
    "tokentrail.input.tools_tokens": "Input tokens of tool definitions.",
    "tokentrail.input.tool_results_tokens": "Input tokens of results of tools, of any turn.",
    "tokentrail.input.history_tokens": "Input tokens of earlier turns and of calls of tools.",
    "tokentrail.input.user_tokens": "Input tokens of the user after the last answer.",
    "tokentrail.input.images_tokens": "Input tokens of images.",
    "tokentrail.input.files_tokens": "Input tokens of files.",
    "tokentrail.input.schema_tokens": "Input tokens of the schema of the answer.",
    "tokentrail.input.other_tokens": "Input tokens of audio, of reasoning, and around the whole.",
    "tokentrail.input.approximated_parts": "Parts that are not counted by proven rules alone.",
    "tokentrail.input.largest_tools": "The ten largest tools, as `name: tokens`.",
    "tokentrail.cache.cacheable_tokens": "Input tokens that the prompt cache could have served.",
    "tokentrail.cache.missed_tokens": "Those of them that it did not serve.",
    "tokentrail.cache.miss_reason": "Why they were missed.",
    "tokentrail.cache.miss_reason_source": "Who says so.",
    "tokentrail.cache.idle_seconds": "Seconds since the same beginning was last sent.",
    "tokentrail.cache.state": "What became of the tokens.",
    "tokentrail.waste.reason": "Why the tokens were not used.",
    "tokentrail.finish_reason": "Why an answer ended, in the server's words.",
    "tokentrail.rate_limit.type": "What a provider limits.",
    "tokentrail.outcome": "How the call ended; truncated: without a mark of its end.",
    "tokentrail.time_to_first_content": "Seconds from the request to the first text, refusal, "
    "sound or tool call: what a person waits for. Thought is not.",
    "tokentrail.stream_usage": "Whether asking for the stream's usage was accepted.",
    "tokentrail.request_id": "The server's id of the request.",
    "tokentrail.organization": "The organization that the call was made for.",
    "tokentrail.project": "The project that the call was made for.",
    "tokentrail.retries": "Retries that the client made.",
    **{
        f"tokentrail.rate_limit.{of}.{name}": meaning.format(of)
        for of in ("requests", "tokens")
        for name, meaning in (
            ("limit", "The limit of {}."),
            ("remaining", "Remaining {} within the limit."),
            ("reset", "Seconds until the limit of {} is reset."),
        )
    },
    "tokentrail.rate_limit.retry_after": "Seconds to wait, as the server asks.",
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
    "gen_ai.retrieval.query.text": "What is searched for; several texts each on its line.",
    "gen_ai.retrieval.documents": "What was found.",
    "gen_ai.token.type": "Direction of the tokens.",
    "gen_ai.token.modality": "Modality of the tokens.",
    "exception.type": "Class of the exception.",
    "exception.message": "Text of the exception, which may quote content.",
    "exception.stacktrace": "Where it was raised, with its text.",
}
"""By the name of the attribute."""
