"""The table of the instrumented client methods. This module imports nothing of openai."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.readers import adapter_of, late_adapter
from tokentrail.model import operations
from tokentrail.model.operations import OperationRow
from tokentrail.support.frozen import lean_dataclass

if TYPE_CHECKING:
    from tokentrail.apis import ApiAdapter
    from tokentrail.apis.responses.connection import ConnectionAdapter


@lean_dataclass(frozen=True, slots=True)
class Method:
    """One method of one class."""

    modules: tuple[str, ...]
    """The modules that may define the class, one per layout of the client."""
    owner: str
    method: str
    adapter: ApiAdapter | None
    """``None`` if the path of the request chooses the adapter."""
    is_async: bool
    """Stated here because ``inspect`` cannot see it: a decorator of the client hides it."""
    optional: bool
    """Whether some supported versions of the client lack the method."""

    @property
    def title(self) -> str:
        """The method's name in log messages."""
        return f"{self.modules[0]}:{self.owner}.{self.method}"

    @property
    def path(self) -> str:
        """The attribute path from a client, such as ``chat.completions.create``."""
        parts = self.modules[0].split(".")[2:]
        owners = [part for part, last in zip(parts, ["", *parts], strict=False) if part != last]
        return ".".join((*owners, self.method))

    @property
    def api(self) -> str:
        """The API it belongs to, as in the setting ``instrumented_apis``."""
        return self.path.removeprefix("beta.").partition(".")[0]


def _pair(
    modules: tuple[str, ...],
    owner: str,
    method: str,
    read_as: OperationRow | ApiAdapter,
    *,
    optional: bool = False,
) -> tuple[Method, Method]:
    adapter = adapter_of(read_as) if isinstance(read_as, OperationRow) else read_as
    return (
        Method(modules, owner, method, adapter, is_async=False, optional=optional),
        Method(modules, "Async" + owner, method, adapter, is_async=True, optional=optional),
    )


_CHAT = ("openai.resources.chat.completions.completions", "openai.resources.chat.completions")
_COMPLETIONS = ("openai.resources.completions",)
_RESPONSES = ("openai.resources.responses.responses",)
_INPUT_TOKENS = ("openai.resources.responses.input_tokens",)
_BETA_RESPONSES = ("openai.resources.beta.responses.responses",)
_BETA_INPUT_TOKENS = ("openai.resources.beta.responses.input_tokens",)
_EMBEDDINGS = ("openai.resources.embeddings",)
_VECTOR_STORES = ("openai.resources.vector_stores.vector_stores",)
_BATCHES = ("openai.resources.batches",)
_IMAGES = ("openai.resources.images",)
_TRANSCRIPTIONS = ("openai.resources.audio.transcriptions",)
_TRANSLATIONS = ("openai.resources.audio.translations",)
_SPEECH = ("openai.resources.audio.speech",)
_MODERATIONS = ("openai.resources.moderations",)
_DECISIONS = ("openai.resources.decisions",)

_COMPACT = late_adapter("responses.adapter:CompactAdapter")
_REALTIME = late_adapter(operations.REALTIME.adapter)
_CONNECTION = late_adapter("responses.connection:ResponsesConnectionAdapter")

ROWS: tuple[Method, ...] = (
    *_pair(_CHAT, "Completions", "create", operations.CHAT),
    *_pair(_CHAT, "Completions", "parse", operations.CHAT, optional=True),
    *_pair(_COMPLETIONS, "Completions", "create", operations.COMPLETIONS),
    *_pair(_RESPONSES, "Responses", "create", operations.RESPONSES, optional=True),
    *_pair(_RESPONSES, "Responses", "parse", operations.RESPONSES, optional=True),
    *_pair(_RESPONSES, "Responses", "retrieve", operations.FETCH, optional=True),
    *_pair(_RESPONSES, "Responses", "compact", _COMPACT, optional=True),
    *_pair(_RESPONSES, "Responses", "cancel", operations.CANCEL, optional=True),
    *_pair(_INPUT_TOKENS, "InputTokens", "count", operations.COUNT_INPUT, optional=True),
    *_pair(_BETA_RESPONSES, "Responses", "create", operations.RESPONSES, optional=True),
    *_pair(_BETA_RESPONSES, "Responses", "retrieve", operations.FETCH, optional=True),
    *_pair(_BETA_RESPONSES, "Responses", "compact", _COMPACT, optional=True),
    *_pair(_BETA_RESPONSES, "Responses", "cancel", operations.CANCEL, optional=True),
    *_pair(_BETA_INPUT_TOKENS, "InputTokens", "count", operations.COUNT_INPUT, optional=True),
    *_pair(_EMBEDDINGS, "Embeddings", "create", operations.EMBEDDINGS),
    *_pair(_VECTOR_STORES, "VectorStores", "search", operations.RETRIEVAL, optional=True),
    *_pair(_BATCHES, "Batches", "retrieve", operations.FETCH_BATCH),
    *_pair(_IMAGES, "Images", "generate", operations.GENERATE_IMAGE),
    *_pair(_IMAGES, "Images", "edit", operations.EDIT_IMAGE),
    *_pair(_IMAGES, "Images", "create_variation", operations.VARY_IMAGE),
    *_pair(_TRANSCRIPTIONS, "Transcriptions", "create", operations.TRANSCRIBE),
    *_pair(_TRANSLATIONS, "Translations", "create", operations.TRANSLATE),
    *_pair(_SPEECH, "Speech", "create", operations.SPEAK),
    *_pair(_MODERATIONS, "Moderations", "create", operations.MODERATE),
    *_pair(_DECISIONS, "Decisions", "create", operations.DECIDE, optional=True),
)

ANSWERED: Final = "_process_response"
RETRIED: Final = "_calculate_retry_timeout"

DIRECT: tuple[Method, ...] = tuple(
    Method(("openai._base_client",), owner, "request", None, is_async=is_async, optional=False)
    for owner, is_async in (("SyncAPIClient", False), ("AsyncAPIClient", True))
)
"""The methods that all others call in the end; some frameworks call them directly."""


EXCHANGES: tuple[Method, ...] = (
    *(
        Method(("openai._base_client",), owner, ANSWERED, None, is_async=is_async, optional=True)
        for owner, is_async in (("SyncAPIClient", False), ("AsyncAPIClient", True))
    ),
    Method(("openai._base_client",), "BaseClient", RETRIED, None, is_async=False, optional=True),
)
"""The private methods that the client calls for every answer and every retry."""


def _opened(modules: tuple[str, ...], owner: str, adapter: ConnectionAdapter) -> tuple[Method, ...]:
    return (
        Method(modules, owner, "__enter__", adapter, is_async=False, optional=True),
        Method(modules, owner, "enter", adapter, is_async=False, optional=True),
        Method(modules, "Async" + owner, "__aenter__", adapter, is_async=True, optional=True),
        Method(modules, "Async" + owner, "enter", adapter, is_async=True, optional=True),
    )


CONNECTIONS: tuple[Method, ...] = (
    *_opened(("openai.resources.realtime.realtime",), "RealtimeConnectionManager", _REALTIME),
    *_opened(
        ("openai.resources.beta.realtime.realtime",),
        "RealtimeConnectionManager",
        _REALTIME,
    ),
    *_opened(_RESPONSES, "ResponsesConnectionManager", _CONNECTION),
    *_opened(_BETA_RESPONSES, "ResponsesConnectionManager", _CONNECTION),
)
"""The methods that open a connection, on the managers that ``connect`` returns."""


def all_methods() -> tuple[Method, ...]:
    """Return all rows of the table."""
    return (*ROWS, *DIRECT, *EXCHANGES, *CONNECTIONS)
