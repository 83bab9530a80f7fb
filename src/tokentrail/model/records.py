"""Plain records of one call, from its request to its outcome.

Nothing here knows openai, OpenTelemetry or tiktoken. ``apis`` fills these records, counting and
the recorder complete them, ``telemetry`` reads them. What is not known is ``None``, never zero, an
empty text or a guess.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from tokentrail.support.frozen import lean_dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    AttributeValue = (
        str | bool | int | float | Sequence[str] | Sequence[bool] | Sequence[int] | Sequence[float]
    )


class Source(str, Enum):
    """Where a token count comes from."""

    REPORTED = "reported"
    """The server's own number."""
    COUNTED = "counted"
    """tiktoken's count, with an encoding known for the model."""
    CALIBRATED = "calibrated"
    """tiktoken's count of the text, plus the constant learned from reports of calls like it."""
    VISIBLE = "visible"
    """tiktoken's count of the visible output of a reasoning model: a lower bound."""
    APPROXIMATED = "approximated"
    """An estimate: a guessed encoding, a length, an unproven rule, a partial report."""

    __hash__ = str.__hash__  # as the string it is: Enum's own is no C


class Outcome(str, Enum):
    """How a call ended."""

    COMPLETED = "completed"
    CLOSED_EARLY = "closed_early"
    """The application stopped reading; not an error."""
    CANCELLED = "cancelled"
    FAILED = "failed"
    TRUNCATED = "truncated"
    """The stream ended without the server's terminal mark."""

    __hash__ = str.__hash__  # as Source


REPORTED: Final = Source.REPORTED
COUNTED: Final = Source.COUNTED
COMPLETED: Final = Outcome.COMPLETED
"""Members that every call needs. Before Python 3.12, to read one from its class takes as long as a
call of a function."""


class Endpoint(NamedTuple):
    """The server that is called. ``key`` is the base URL, for bounded caches; never recorded."""

    provider: str
    address: str | None
    port: int | None
    key: str


@lean_dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool or function, as it stands in a message."""

    name: str
    arguments: str
    id: str | None = None
    """The id by which its result refers to it."""
    completed: bool = False
    """Whether it carries the status that the server gave it."""


@lean_dataclass(frozen=True, slots=True)
class Image:
    """An image part: its URL (also ``data:``) and the detail asked for."""

    url: str | None
    detail: str | None


@lean_dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt: references to the caller's own immutable strings."""

    role: str
    texts: tuple[str, ...] = ()
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    function_call: ToolCall | None = None
    images: tuple[Image, ...] = ()
    files: tuple[str, ...] = ()
    """``data:`` URLs of files."""
    call_id: str | None = None
    """The id of the call that this is the result of."""
    sealed: int = 0
    """Characters of encrypted text, where the role is "reasoning" or "compaction"."""
    unknown_parts: int = 0
    """Parts whose tokens cannot be known here: audio, unknown kinds."""


ALLOWED = " of some"
"""The end of a tool choice that allows only some of the tools."""


@lean_dataclass(frozen=True, slots=True)
class Prompt:
    """What counting the input of a call needs."""

    messages: tuple[Message, ...] = ()
    texts: tuple[str, ...] = ()
    """Bare texts, without the frame of a message (completions, embeddings)."""
    token_ids: int = 0
    """Tokens that the caller already sent as ids."""
    tools: tuple[Mapping[str, object], ...] = ()
    """The function declarations ({name, description, parameters}), as the caller gave them."""
    hosted_tools: bool = False
    """Whether there are tools that the server describes and runs itself."""
    tool_choice: str | None = None
    """"none", "auto", "required", or for a named choice "name:<function>", in the legacy form
    "function:<function>". A mode for some tools only ends in `ALLOWED`."""
    schema: object = None
    """The JSON schema of a structured output, where one was asked for."""
    schema_name: str | None = None
    schema_about: str | None = None
    """Its name and description, which are part of the prompt too."""
    unknowable: bool = False
    """The server adds input that the caller never sent, so the input cannot be counted."""
    incomplete: bool = False
    """Some of the request could not be read here, so a count of the rest is a guess."""
    truncates: bool = False
    """Whether the server may leave some of it out."""
    variant: str | None = None
    """Other settings that may change how the server writes the prompt, as JSON."""
    of_responses: bool = False
    """Whether this is the Responses API, where tools and their calls cost less than in chat."""


@lean_dataclass(frozen=True, slots=True)
class Request:
    """The request, as far as the conventions and counting need it."""

    operation: str
    """``gen_ai.operation.name``."""
    api: str | None
    """``openai.api.type``."""
    endpoint: Endpoint
    model: str | None = None
    stream: bool = False
    choice_count: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop_sequences: tuple[str, ...] | None = None
    output_type: str | None = None
    reasoning_level: str | None = None
    service_tier: str | None = None
    conversation_id: str | None = None
    previous_response_id: str | None = None
    cache_key: str | None = None
    """The application's name for the prompt cache."""
    compacted: bool | None = None
    """``True`` if a compaction stands for earlier turns; else ``None``, never ``False``."""
    prompt_name: str | None = None
    prompt_version: str | None = None
    dimension_count: int | None = None
    encoding_formats: tuple[str, ...] | None = None
    response_id: str | None = None
    """The id of the answer that is fetched."""
    stream_cursor: str | None = None
    data_source_id: str | None = None
    """The id of the store that is searched."""
    result_limit: int | None = None
    """How many results are asked for."""
    background: bool = False
    """The server goes on in the background, even if nobody waits."""
    fetches: bool = False
    """The answer was made by another call, which recorded the usage if it could."""
    searches_web: bool = False
    """The request asks the server to search the web."""
    spoken_characters: int | None = None
    """Characters of the text to be spoken, which some models are billed by."""
    attribution: tuple[tuple[str, AttributeValue], ...] = ()
    """The application's own attributes on metrics: names and values."""
    prompt: Prompt | None = None
    inexact_output: bool = False
    """The text shown is not what is billed as output (audio, rejected predictions, candidates of
    ``best_of``, echoed prompts, a context that the server edits): a count of it is a guess."""
    unknowable_output: bool = False
    """The answer begins with the prompt, so its text is not counted at all."""


ID_FIELDS = ("conversation_id", "previous_response_id", "response_id", "stream_cursor")
"""Fields of a request that differ from call to call."""


@lean_dataclass(frozen=True, slots=True)
class Reported:
    """The server's own usage, number by number."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    text_input_tokens: int | None = None
    text_output_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    audio_cache_read_tokens: int | None = None
    text_cache_read_tokens: int | None = None
    image_cache_read_tokens: int | None = None
    """Parts of the cached input tokens."""
    audio_seconds: float | None = None
    """Seconds of audio that are billed by length."""
    cost: float | None = None
    """The provider's own price of the whole answer, in USD."""
    web_searches: int | None = None
    """Web searches that the server made for the answer."""
    cache_write_30m_tokens: int | None = None
    cache_write_12h_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    """Parts of the tokens written to a cache, by how long they are kept there at least."""


@lean_dataclass(frozen=True, slots=True)
class Transcription:
    """The usage of one transcription in a realtime session, which is billed separately."""

    item: str
    """The server's id of the item that was transcribed."""
    model: str | None
    """The model that transcribed it."""
    usage: Reported


@lean_dataclass(frozen=True, slots=True)
class ToolUse:
    """How one of the server's own tools was used in an answer."""

    name: str
    """Its name, as in ``tokentrail.tool.<name>.requests``."""
    requests: int | None
    source: Source = Source.COUNTED
    """The source of ``requests``: the server's number, or a count of the items of the answer."""
    tokens: Reported | None = None
    """Tokens that are billed separately from the usage of the answer."""
    model: str | None = None
    """The model that used those tokens."""


@lean_dataclass(frozen=True, slots=True)
class ContentFilter:
    """What Azure's content filter found: its categories, never text."""

    input_flagged: tuple[str, ...] | None = None
    """``category:severity`` of what is not safe, ``category:detected`` where it has no severity."""
    input_filtered: tuple[str, ...] | None = None
    """The categories for which it stopped the call."""
    output_flagged: tuple[str, ...] | None = None
    output_filtered: tuple[str, ...] | None = None


@lean_dataclass(frozen=True, slots=True)
class HttpMetadata:
    """Metadata in the headers of a call's last HTTP exchange, if the answer has them."""

    request_id: str | None = None
    """The server's id of the request, which its support asks for."""
    retries: int | None = None
    """How often the client tried again before an answer, or the final failure."""
    requests_limit: int | None = None
    requests_remaining: int | None = None
    requests_reset: float | None = None
    """Seconds until all requests are allowed again."""
    tokens_limit: int | None = None
    tokens_remaining: int | None = None
    tokens_reset: float | None = None
    retry_after: float | None = None
    """Seconds the server asks to wait for."""
    organization: str | None = None
    project: str | None = None
    """Organization and project that pay; only with ``capture_account``."""
    content_filter: ContentFilter | None = None
    """The content filter's results, if the server refused the request because of them."""


@lean_dataclass(frozen=True, slots=True)
class Response:
    """The answer, as far as it was seen."""

    id: str | None = None
    model: str | None = None
    finish_reasons: tuple[str, ...] | None = None
    status: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    conversation_id: str | None = None
    compacted: bool | None = None
    """``True`` if it holds a compaction of the conversation; else ``None``, never ``False``."""
    content_filter: ContentFilter | None = None
    reported: Reported | None = None
    transcriptions: tuple[Transcription, ...] = ()
    """What a realtime session heard and had written down before this response ended."""
    tools: tuple[ToolUse, ...] = ()
    """The server's own tools that were used, as the answer shows them."""
    final: bool = True
    """The report came at the end of the answer, so its output number is final."""
    complete: bool = True
    """The whole answer of the model was received."""
    ended: bool = True
    """The server marked the end: by a finish reason or a terminal event."""
    unanswered: bool = False
    """No model answered: an error with status 200, a page of HTML. Nothing of it is counted."""
    created: int | None = None
    """Seconds since the epoch, by the server's clock."""
    reasoning_level: str | None = None
    """The reasoning effort, if the answer has it."""
    error_type: str | None = None
    """The error that the answer itself reports; the client raised no exception."""
    background: bool = False
    """The server made it in the background."""
    cache_miss_reason: str | None = None
    """The server's reason for a cache miss, where it gives one."""
    cache_missed_tokens: int | None = None
    """How many tokens the cache could have served, by the server's estimate."""


@lean_dataclass(frozen=True, slots=True)
class Count:
    """A number of tokens and its source."""

    tokens: int
    source: Source
    encoding: str | None = None
    """The encoding that was used to count it."""


@lean_dataclass(frozen=True, slots=True)
class Usage:
    """Token usage of a call by direction, each number with its source."""

    input: Count | None = None
    output: Count | None = None
    reported: Reported | None = None
    """The server's whole report, with cached and reasoning tokens."""
    counted_input: Count | None = None
    """A count of a reported number, for comparison."""
    counted_output: Count | None = None


@lean_dataclass(frozen=True, slots=True)
class RaisedException:
    """The exception that a call ended with."""

    type: str
    message: str | None = None
    stacktrace: str | None = None
    """Both only where content is captured, since they may quote the request."""


class CostSource(str, Enum):
    """The source of a cost: the provider's report, or the prices it is computed with."""

    PROVIDER = "provider"
    OWN_PRICES = "own_prices"
    PUBLISHED_PRICES = "published_prices"


@lean_dataclass(frozen=True, slots=True)
class CallCost:
    """What a call costs, and who says so."""

    amount: float | None
    """``None`` where a part has no price: partial sums are never recorded."""
    source: CostSource | None
    currency: str = "USD"
    unpriced: tuple[str, ...] = ()
    """The parts that have no price; ``model`` or ``service_tier`` if none of its parts has one."""
    names: tuple[str, ...] = ()
    """Further attribute names for the amount."""


@lean_dataclass(frozen=True, slots=True)
class InputPart:
    """The tokens of one part of the input."""

    name: str
    """"instructions", "tools", "tool_results", "history", "user", "images", "files", "schema" or
    "other"."""
    tokens: int
    source: Source
    """``counted`` by proven rules alone, else ``approximated``."""


@lean_dataclass(frozen=True, slots=True)
class CacheUse:
    """What the prompt cache could have served of the input, and what it served."""

    cacheable: int
    read: int | None = None
    """``None`` where the server reports nothing about its cache."""
    missed: int | None = None
    reason: str | None = None
    """The reason for the miss."""
    is_servers: bool = False
    """Whether the server gave the reason."""
    differs: str | None = None
    """What differs from the call before, whatever the cache served."""
    idle: float | None = None
    """Seconds since the prefix was last sent, where nothing else explains the miss."""


@lean_dataclass(frozen=True, slots=True)
class Explanation:
    """Where the tokens of the input came from."""

    parts: tuple[InputPart, ...] = ()
    """They sum to the input tokens; a part with none is left out."""
    tools: tuple[tuple[str, int], ...] = ()
    """The largest tools by name, with their tokens."""
    cache: CacheUse | None = None
    repeated: bool = False
    """Whether the same request was answered within the last minute."""


@lean_dataclass(frozen=False, slots=True)
class Operation:
    """One whole call, as its recorder knows it at its end; counts and costs are added later."""

    request: Request
    response: Response | None
    usage: Usage
    """Empty until the usage is settled."""
    outcome: Outcome
    duration: float
    """Seconds since the request was issued."""
    end_time: int
    """The start, in nanoseconds since the epoch."""
    answered: bool
    """Whether response headers came, so tokens may have been spent."""
    first_chunk: float | None = None
    """Seconds from the request to the first chunk of a stream, if one was read."""
    first_content: float | None = None
    """Seconds to the first chunk with text, a refusal, audio or a tool call."""
    error_type: str | None = None
    error_description: str | None = None
    usage_request: str | None = None
    """"requested" or "refused" where we asked the server for usage."""
    raised: RaisedException | None = None
    http: HttpMetadata | None = None
    transcriptions: tuple[Transcription, ...] = ()
    """What a realtime session heard and had transcribed before the end of this response."""
    tools: tuple[ToolUse, ...] = ()
    """The server's own tools that were used, one entry each."""
    spans_only: bool = False
    """Tool usage is recorded on the span alone, since another process may count it as well."""
    cost: CallCost | None = None
    """The cost, where it is asked for and known."""
    explanation: Explanation | None = None
    """Where the input tokens came from, where that is asked for and the input is known."""
    retries: tuple[str, ...] = ()
    """Why the client tried again, once per retry: a status, ``timeout``, or a class of errors."""
    headers: Mapping[str, str] | None = None
    """The answer's headers, kept until the metrics of the call are recorded."""


MOST_WAITING: Final = 64
"""Pieces that may wait in a buffer of a :class:`TextSink`."""
SMALL: Final = 16
"""Characters of a piece that may be left there."""


class TextSink(Protocol):
    """Takes generated text piece by piece, in any order of its parts."""

    def add(self, kind: str, choice: int, item: int, text: str) -> None:
        """Take ``text`` as the next piece of one part of the answer.

        ``kind`` is one of "text", "refusal", "tool_name", "tool_arguments", "reasoning" (text of
        thought that the API shows and bills as output) or "summary" (a summary of it, which is
        not billed by its own length). "custom_call" and "unknown" have no text: they report a call
        of a custom tool, or a part that was not understood. ``choice`` and ``item`` identify the
        parts of one kind; they are the server's numbers: any int.
        """

    def append_buffer(self, kind: str, choice: int, item: int) -> list[str] | None:
        """Return the list to which small next pieces of a part may be appended, not added.

        As long as it holds less than :data:`MOST_WAITING`; of :data:`SMALL` characters each. What
        does not fit is added, and then the list may be another. ``None``: each piece is to be
        added. See `tokentrail.counting.output.TextBuffer`.
        """
