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
    """tiktoken's count of the text, and what reports of calls like it showed the server to add."""
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
    """The stream ended, and the server had not said that it would."""

    __hash__ = str.__hash__  # as Source


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
    """By which its result refers to it."""
    completed: bool = False
    """It has the status that the server gave it."""


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
    """Of the call that this is the result of."""
    sealed: int = 0
    """Characters of encrypted text, where the role is "reasoning" or "compaction"."""
    unknown_parts: int = 0
    """Parts whose price cannot be known here: audio, kinds we do not know."""


ALLOWED = " of some"
"""What a tool choice ends in where only some of the tools are allowed."""


@lean_dataclass(frozen=True, slots=True)
class Prompt:
    """What counting the input of a call needs."""

    messages: tuple[Message, ...] = ()
    texts: tuple[str, ...] = ()
    """Bare texts, without a message's frame (completions, embeddings)."""
    token_ids: int = 0
    """Tokens that the caller already sent as ids."""
    tools: tuple[Mapping[str, object], ...] = ()
    """The function declarations ({name, description, parameters}), as the caller gave them."""
    hosted_tools: bool = False
    """There are tools that the server describes and runs itself."""
    tool_choice: str | None = None
    """"none", "auto", "required", or for a named choice "name:<function>", in the legacy form
    "function:<function>". A mode for some tools only ends in `ALLOWED`."""
    schema: object = None
    """The JSON schema of a structured output, where one was asked for."""
    schema_name: str | None = None
    schema_about: str | None = None
    """Its name and description, which are written into the prompt too."""
    unknowable: bool = False
    """The server adds what the caller never sent: the input cannot be counted."""
    incomplete: bool = False
    """Something was sent that could not be read here: a count of the rest is a guess."""
    truncates: bool = False
    """The server may leave some of it out."""
    variant: str | None = None
    """Other settings by which the server may write it otherwise, in JSON."""
    of_responses: bool = False
    """Of the Responses API, where what frames tools and their calls costs less than in chat."""


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
    """What the application names the prompt's cache by."""
    compacted: bool | None = None
    """A compaction stands for what was said before; else not known, never ``False``."""
    prompt_name: str | None = None
    prompt_version: str | None = None
    dimension_count: int | None = None
    encoding_formats: tuple[str, ...] | None = None
    response_id: str | None = None
    """The answer asked for, where an old one is fetched."""
    stream_cursor: str | None = None
    data_source_id: str | None = None
    """What is searched."""
    result_limit: int | None = None
    """How many results are asked for."""
    background: bool = False
    """The server continues in the background, even if nobody waits."""
    fetches: bool = False
    """Its answer was made by another call, which recorded the usage if it could."""
    searches_web: bool = False
    """The server is to search the web before it answers."""
    attribution: tuple[tuple[str, AttributeValue], ...] = ()
    """Who makes the call, in the application's own attributes: names and values."""
    prompt: Prompt | None = None
    inexact_output: bool = False
    """The text shown is not what is billed as output (audio, rejected predictions, candidates of
    ``best_of``, echoed prompts, a context that the server edits): a count of it is a guess."""
    unknowable_output: bool = False
    """Nor can it be separated from an echoed prompt: it is not even counted."""


ID_FIELDS = ("conversation_id", "previous_response_id", "response_id", "stream_cursor")
"""Fields of a Request that no two share."""


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
    """Parts of what was read from a cache."""
    audio_seconds: float | None = None
    """Sound that is billed by its length."""
    cost: float | None = None
    """What the provider charges for the whole answer, in USD."""
    web_searches: int | None = None
    """Searches that the server made for it."""
    cache_write_30m_tokens: int | None = None
    cache_write_12h_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    """Parts of what was written to a cache, by how long it is kept there at least."""


@lean_dataclass(frozen=True, slots=True)
class Transcription:
    """What it took to write down what somebody said in a realtime session; billed apart."""

    item: str
    """The server's name for what was said."""
    model: str | None
    """The model that wrote it down."""
    usage: Reported


@lean_dataclass(frozen=True, slots=True)
class ToolUse:
    """What one of the server's own tools was used for in an answer."""

    name: str
    """As in ``tokentrail.tool.<name>.requests``."""
    requests: int | None
    source: Source = Source.COUNTED
    """Of ``requests``: the server's number, or the items of the answer."""
    tokens: Reported | None = None
    """Tokens that are billed apart from the usage of the answer."""
    model: str | None = None
    """The model that those are tokens of."""


@lean_dataclass(frozen=True, slots=True)
class ContentFilter:
    """What the content filter of Azure found, in its own words: categories, never text."""

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
    """The server's name for it, which its support asks for."""
    retries: int | None = None
    """Tries before the one that was answered, or that failed for good."""
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
    """Who pays; only where that is asked for."""
    content_filter: ContentFilter | None = None
    """Why the server refused the request; what it says of an answer stands in the response."""


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
    """It holds a compaction of the conversation; else not known, never ``False``."""
    content_filter: ContentFilter | None = None
    reported: Reported | None = None
    tools: tuple[ToolUse, ...] = ()
    """The server's own tools that were used, as the answer shows it."""
    final: bool = True
    """The report stood at the end of the answer: its output number is the whole one."""
    complete: bool = True
    """The whole answer of the model was received."""
    ended: bool = True
    """The server marked the end: by a finish reason or a terminal event."""
    unanswered: bool = False
    """No model answered: an error with status 200, a page of HTML. Nothing of it is counted."""
    created: int | None = None
    """Seconds since the epoch, by the server's clock."""
    reasoning_level: str | None = None
    """Reasoning effort, if the answer has it."""
    error_type: str | None = None
    """The server said without an exception that the call failed."""
    background: bool = False
    """The server made it while nobody waited for it."""
    cache_miss_reason: str | None = None
    """Why the prompt's cache did not serve it, where the server says so."""
    cache_missed_tokens: int | None = None
    """How many tokens it could have served, by the server's estimate."""


@lean_dataclass(frozen=True, slots=True)
class Count:
    """A number of tokens and its source."""

    tokens: int
    source: Source
    encoding: str | None = None
    """The encoding that it was counted with."""


@lean_dataclass(frozen=True, slots=True)
class Usage:
    """Token usage of a call by direction, each number with its source."""

    input: Count | None = None
    output: Count | None = None
    reported: Reported | None = None
    """All that the server reported, cached and reasoning tokens included."""
    counted_input: Count | None = None
    """A count made beside a report, for comparison."""
    counted_output: Count | None = None


@lean_dataclass(frozen=True, slots=True)
class RaisedException:
    """The exception that a call ended with."""

    type: str
    message: str | None = None
    stacktrace: str | None = None
    """Both only where content is captured: they may quote the request."""


class CostSource(str, Enum):
    """The source of a cost: the provider's report, or the prices it is computed with."""

    PROVIDER = "provider"
    OWN_PRICES = "own_prices"
    PUBLISHED_PRICES = "published_prices"


@lean_dataclass(frozen=True, slots=True)
class CallCost:
    """What a call costs."""

    amount: float | None
    """``None`` where some part has no price: there are no partial sums."""
    source: CostSource | None
    currency: str = "USD"
    unpriced: tuple[str, ...] = ()
    """The parts that have no price; ``model`` or ``service_tier`` where nothing of it has one."""
    names: tuple[str, ...] = ()
    """Names under which the amount is recorded beside our own."""


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
    """What the prompt's cache could have served of the input, and what it did."""

    cacheable: int
    read: int | None = None
    """``None`` where the server reports nothing of its cache."""
    missed: int | None = None
    reason: str | None = None
    """Why it was missed."""
    is_servers: bool = False
    """The server said so."""
    differs: str | None = None
    """What differs from the call before, whatever was served."""
    idle: float | None = None
    """Seconds since the prefix was last sent, where nothing else explains the miss."""


@lean_dataclass(frozen=True, slots=True)
class Explanation:
    """Where the tokens of the input came from."""

    parts: tuple[InputPart, ...] = ()
    """They sum to the tokens of the input; no part of none."""
    tools: tuple[tuple[str, int], ...] = ()
    """The largest tools by name, with their tokens."""
    cache: CacheUse | None = None
    repeated: bool = False
    """The same request was answered within the last minute."""


@lean_dataclass(frozen=False, slots=True)
class Operation:
    """One whole call, as its recorder knows it at its end; what is found out later is added."""

    request: Request
    response: Response | None
    usage: Usage
    """Of nothing, until it is settled."""
    outcome: Outcome
    duration: float
    """Seconds since the request was issued."""
    end_time: int
    """Nanoseconds since the epoch."""
    answered: bool
    """The response headers came: tokens were spent."""
    first_chunk: float | None = None
    """Seconds from the request to the first chunk of a stream, if one was read."""
    first_content: float | None = None
    """Seconds to the first chunk with text, a refusal, sound or a tool call in it."""
    error_type: str | None = None
    error_description: str | None = None
    usage_request: str | None = None
    """"requested" or "refused" where the server was asked for usage on our account."""
    raised: RaisedException | None = None
    http: HttpMetadata | None = None
    tools: tuple[ToolUse, ...] = ()
    """The server's own tools that were used, each once."""
    spans_only: bool = False
    """What was used is for the span alone: another process may count it as well."""
    cost: CallCost | None = None
    """Where it is asked for and known."""
    explanation: Explanation | None = None
    """Where it is asked for and the input is known."""
    retries: tuple[str, ...] = ()
    """Why the client tried again, each time: a status, ``timeout``, or a class of errors."""
    headers: Mapping[str, str] | None = None
    """Those of the answer, kept until the points of the call are recorded."""


MOST_WAITING: Final = 64
"""Pieces that may wait in a buffer of a :class:`TextSink`."""
SMALL: Final = 16
"""Characters of a piece that may be left there."""


class TextSink(Protocol):
    """Takes the text that a model generated, piece by piece, in any order of its parts."""

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
