"""What is true of each operation: one row for each, from which all sets of names are derived.

An operation is a value of ``gen_ai.operation.name``; ``chat`` has a row for each of its APIs.
Its readers are named here and are in a layer above: see :mod:`tokentrail.apis.readers`.
"""

from __future__ import annotations

from typing import Final

from tokentrail.support.frozen import lean_dataclass


@lean_dataclass(frozen=True, slots=False)
class OperationRow:
    """One operation of one API."""

    name: str
    part: str
    """The part of the client it belongs to, as in ``instrumented_apis``."""
    adapter: str
    """What reads its requests and answers, below ``tokentrail.apis``: ``module:name``."""
    api: str | None = None
    """The API (``openai.api.type``), where more than one has the operation."""
    path: str | None = None
    """Of its POST below the base URL, where requests of the client's own ``post`` are recorded.

    A part in braces is any id, which its adapter reads as an argument of that name."""
    content: str | None = None
    """What reads its content, written as ``adapter`` is; ``None`` where no content is recorded."""
    is_inference: bool = False
    """Whether the conventions' metrics of an inference apply."""
    has_output: bool = False
    """Whether a model generates its answer, so that it has output tokens to count."""
    has_token_metrics: bool = False
    """Whether the conventions' token metrics apply; other operations have only ours."""
    has_details_event: bool = False
    """Whether the conventions' event of inference details applies."""
    is_billed: bool = False
    """Whether it has a price."""
    is_output_billed: bool = False
    """Whether its price has a part for output."""
    billed_as: str | None = None
    """What its usage is of, if its parts have prices of their own: "images", "transcript" or
    "speech"."""
    has_usage_option: bool = False
    """Whether ``stream_options.include_usage`` asks its streams for usage."""

    @property
    def key(self) -> tuple[str, str | None]:
        """The key of its requests: ``Request.operation`` and ``Request.api``."""
        return self.name, self.api


def _inference(  # noqa: PLR0913 - facts of a row, by name
    name: str,
    part: str,
    adapter: str,
    *,
    api: str | None = None,
    path: str | None = None,
    content: str | None = None,
    has_usage_option: bool = False,
) -> OperationRow:
    """Return the row of an operation that the conventions describe fully."""
    return OperationRow(
        name,
        part,
        adapter,
        api,
        path,
        content,
        is_inference=True,
        has_output=True,
        has_token_metrics=True,
        has_details_event=True,
        is_billed=True,
        is_output_billed=True,
        has_usage_option=has_usage_option,
    )


CHAT: Final = _inference(
    "chat",
    "chat",
    "chat.adapter:ChatAdapter",
    api="chat_completions",
    path="chat/completions",
    content="chat.content:ChatContent",
    has_usage_option=True,
)
COMPLETIONS: Final = _inference(
    "text_completion",
    "completions",
    "completions.adapter:CompletionsAdapter",
    path="completions",
    content="completions.content:CompletionsContent",
    has_usage_option=True,
)
RESPONSES: Final = _inference(
    "chat",
    "responses",
    "responses.adapter:ResponsesAdapter",
    api="responses",
    path="responses",
    content="responses.content:ResponsesContent",
)


def _fetch(name: str, adapter: str) -> OperationRow:
    """Return the row of an operation on a response that another call made."""
    return OperationRow(
        name,
        "responses",
        adapter,
        api="responses",
        content="responses.content:FetchedContent",
        # Of one that was made in the background; any other has no usage here.
        is_billed=True,
        is_output_billed=True,
    )


FETCH: Final = _fetch("fetch_response", "responses.adapter:FetchAdapter")
CANCEL: Final = _fetch("cancel_response", "responses.adapter:CancelAdapter")
FETCH_BATCH: Final = OperationRow(
    "fetch_batch",
    "batches",
    "batches.adapter:BatchAdapter",
    is_billed=True,
    is_output_billed=True,
)
COUNT_INPUT: Final = OperationRow(
    "count_tokens", "responses", "responses.adapter:TokenCountAdapter", api="responses"
)
EMBEDDINGS: Final = OperationRow(
    "embeddings",
    "embeddings",
    "embeddings.adapter:EmbeddingsAdapter",
    path="embeddings",
    has_token_metrics=True,
    is_billed=True,
)
RETRIEVAL: Final = OperationRow(
    "retrieval",
    "vector_stores",
    "retrieval.adapter:RetrievalAdapter",
    path="vector_stores/{vector_store_id}/search",
    content="retrieval.content:RetrievalContent",
)


def _media(name: str, part: str, adapter: str, billed_as: str) -> OperationRow:
    """Return the row of an operation on images or audio: only what is reported is billed."""
    return OperationRow(
        name, part, adapter, is_billed=True, is_output_billed=True, billed_as=billed_as
    )


GENERATE_IMAGE: Final = _media("generate_image", "images", "media:GENERATE_IMAGE", "images")
EDIT_IMAGE: Final = _media("edit_image", "images", "media:EDIT_IMAGE", "images")
VARY_IMAGE: Final = _media("vary_image", "images", "media:VARY_IMAGE", "images")
TRANSCRIBE: Final = _media("transcribe_audio", "audio", "media:TRANSCRIBE", "transcript")
TRANSLATE: Final = _media("translate_audio", "audio", "media:TRANSLATE", "transcript")
SPEAK: Final = _media("generate_speech", "audio", "media:SPEAK", "speech")
MODERATE: Final = OperationRow("moderate", "moderations", "media:MODERATE")
DECIDE: Final = OperationRow("decide", "decisions", "media:DECIDE")
REALTIME: Final = _inference("chat", "realtime", "realtime.adapter:RealtimeAdapter", api="realtime")

OPERATIONS: Final = (
    CHAT,
    COMPLETIONS,
    RESPONSES,
    FETCH,
    CANCEL,
    FETCH_BATCH,
    COUNT_INPUT,
    EMBEDDINGS,
    RETRIEVAL,
    GENERATE_IMAGE,
    EDIT_IMAGE,
    VARY_IMAGE,
    TRANSCRIBE,
    TRANSLATE,
    SPEAK,
    MODERATE,
    DECIDE,
    REALTIME,
)
"""All rows."""

INFERENCES: Final = frozenset(row.name for row in OPERATIONS if row.is_inference)
WITH_OUTPUT: Final = frozenset(row.name for row in OPERATIONS if row.has_output)
WITH_TOKEN_METRICS: Final = frozenset(row.name for row in OPERATIONS if row.has_token_metrics)
WITH_DETAILS_EVENT: Final = frozenset(row.name for row in OPERATIONS if row.has_details_event)
BILLED: Final = {row.name: row.is_output_billed for row in OPERATIONS if row.is_billed}
"""The operations that have a price, and whether their output has one."""
BILLED_AS: Final = {row.name: row.billed_as for row in OPERATIONS if row.billed_as is not None}
"""The operations on images and audio, and what their usage is of."""
WITH_USAGE_OPTION: Final = frozenset(row.key for row in OPERATIONS if row.has_usage_option)
CLIENT_PARTS: Final = tuple(dict.fromkeys(row.part for row in OPERATIONS))
