"""The calls that there are, the ways to make one, and what is to be told of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import BaseModel

from tokentrail.testing.exchanges import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokentrail.patching.methods import Row

SEA = Exchange("Tell me of the sea.", "The sea is old and wide.")
"""6 tokens, or 13 as the only message; and 7."""
MODEL, INSTRUCT, EMBEDDER = "gpt-4o-mini", "gpt-3.5-turbo-instruct", "text-embedding-3-small"


class Tide(BaseModel):
    """What ``parse`` is asked for."""

    height: int


# The table of calls ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Method:
    """A method of the client, and what is to be told of a call of it."""

    path: str
    """The way to it from a client."""
    operation: str
    name: str
    """The span's."""
    asked: dict[str, Any]
    plain: tuple[str | None, str | None] = ("reported", "reported")
    """The sources of input and output usage."""
    streamed: tuple[str | None, str | None] | None = None
    """The same of a stream; ``None`` if it has none."""
    finish: tuple[str, ...] | None = ("stop",)
    input_tokens: int = 13
    """What the input is billed, where it is counted."""
    azure_end: int = 0
    """What Azure bills for the end of an answer, beside its text; OpenAI does not."""
    is_known: bool = True
    """The conventions have a name for the operation: their metrics tell its tokens."""
    is_on_span_alone: bool = False
    """Metrics do not have its tokens."""
    fetches: dict[str, Any] | None = None
    """What makes the response that the call is about."""

    def on(self, client: Any, prefix: str = "") -> Any:
        """Return the method of ``client``, or of its ``with_..._response``; None if it has none."""
        *owners, method = self.path.partition("(")[0].split(".")
        for name in (*owners, *([prefix] if prefix else []), method):
            client = getattr(client, name, None)
        return client


USER = [{"role": "user", "content": SEA.question}]
CHAT = {"model": MODEL, "messages": USER}
INPUT = {"model": MODEL, "input": SEA.question}
COUNTED = ("counted", "counted")
REPORTED = ("reported", "reported")
NONE = (None, None)
PNG = ("sea.png", b"\x89PNG\r\n\x1a\n", "image/png")
MP3 = ("sea.mp3", b"ID3\x04", "audio/mpeg")
SEARCH = {"vector_store_id": "vs_1", "query": SEA.question, "max_num_results": 2}
DRAWN = {"model": "gpt-image-1", "prompt": SEA.question}


def other(path: str, operation: str, asked: dict[str, Any], **told: Any) -> Method:
    """Return a method of which the conventions know nothing."""
    name = " ".join(filter(None, (operation, asked.get("model") or asked.get("vector_store_id"))))
    return Method(path, operation, name, asked, finish=None, is_known=False, **told)


METHODS = (
    Method("chat.completions.create", "chat", f"chat {MODEL}", CHAT, streamed=COUNTED, azure_end=1),
    Method("chat.completions.parse", "chat", f"chat {MODEL}", {**CHAT, "response_format": Tide}),
    Method(
        "completions.create",
        "text_completion",
        f"text_completion {INSTRUCT}",
        {"model": INSTRUCT, "prompt": SEA.question},
        streamed=COUNTED,
        input_tokens=6,
    ),
    Method(
        "embeddings.create",
        "embeddings",
        f"embeddings {EMBEDDER}",
        {"model": EMBEDDER, "input": SEA.question, "dimensions": 8},
        plain=("reported", None),
        finish=None,
    ),
    Method("responses.create", "chat", f"chat {MODEL}", INPUT, streamed=REPORTED),
    Method(
        "responses.parse",
        "chat",
        f"chat {MODEL}",
        {**INPUT, "text_format": Tide},
    ),
    Method(
        "responses.retrieve",
        "fetch_response",
        "fetch_response",
        {},
        NONE,
        streamed=NONE,
        fetches=INPUT,
    ),
    Method(
        "responses.cancel",
        "cancel_response",
        "cancel_response",
        {},
        NONE,
        finish=("error",),
        fetches={**INPUT, "background": True},
    ),
    Method("responses.compact", "chat", f"chat {MODEL}", INPUT, finish=("compaction",)),
    Method(
        "responses.input_tokens.count",
        "count_tokens",
        f"count_tokens {MODEL}",
        INPUT,
        NONE,
        finish=None,
    ),
    Method("beta.responses.create", "chat", f"chat {MODEL}", INPUT, streamed=REPORTED),
    Method(
        "beta.responses.retrieve",
        "fetch_response",
        "fetch_response",
        {},
        NONE,
        streamed=NONE,
        fetches=INPUT,
    ),
    Method(
        "beta.responses.cancel",
        "cancel_response",
        "cancel_response",
        {},
        NONE,
        finish=("error",),
        fetches={**INPUT, "background": True},
    ),
    Method("beta.responses.compact", "chat", f"chat {MODEL}", INPUT, finish=("compaction",)),
    Method(
        "beta.responses.input_tokens.count",
        "count_tokens",
        f"count_tokens {MODEL}",
        INPUT,
        NONE,
        finish=None,
    ),
    other("vector_stores.search", "retrieval", SEARCH, plain=NONE),
    other("batches.retrieve", "fetch_batch", {"batch_id": "batch_1"}, is_on_span_alone=True),
    other("images.generate", "generate_image", DRAWN, streamed=REPORTED),
    other("images.edit", "edit_image", {**DRAWN, "image": PNG}, streamed=REPORTED),
    other("images.create_variation", "vary_image", {"image": PNG}, plain=NONE),
    other(
        "audio.transcriptions.create",
        "transcribe_audio",
        {"model": "gpt-4o-transcribe", "file": MP3},
        streamed=REPORTED,
    ),
    other(
        "audio.translations.create",
        "translate_audio",
        {"model": "whisper-1", "file": MP3},
        plain=NONE,
    ),
    other(
        "audio.speech.create",
        "generate_speech",
        {"model": "gpt-4o-mini-tts", "input": SEA.question, "voice": "alloy"},
        plain=NONE,
    ),
    other(
        "moderations.create",
        "moderate",
        {"model": "omni-moderation-latest", "input": SEA.question},
        plain=NONE,
    ),
    other(
        "decisions.create",
        "decide",
        {
            "model": "gpt-6-luna",
            "input": SEA.question,
            "questions": [{"type": "predicate", "question": "Is it wide?"}],
        },
    ),
)
BY_PATH = {method.path: method for method in METHODS}

HELPERS = (
    Method("chat.completions.stream", "chat", f"chat {MODEL}", CHAT, streamed=COUNTED, azure_end=1),
    Method(
        "beta.chat.completions.stream", "chat", f"chat {MODEL}", CHAT, streamed=COUNTED, azure_end=1
    ),
    Method(
        "beta.chat.completions.parse", "chat", f"chat {MODEL}", {**CHAT, "response_format": Tide}
    ),
    Method("responses.stream", "chat", f"chat {MODEL}", INPUT, streamed=REPORTED),
    Method(
        "responses.stream(response_id)",
        "fetch_response",
        "fetch_response",
        {},
        streamed=NONE,
        fetches=INPUT,
    ),
)
"""What calls one of the methods above, and has no row of its own."""


def method_of(row: Row) -> Method:
    """Return the method that a row of ``methods`` is about."""
    return BY_PATH[row.path]


@cache
def _client() -> openai.OpenAI:
    return openai.OpenAI(api_key="k")


@cache
def streams(method: Method) -> bool:
    """Return whether it streams, in this release; what a release lacks is looked at by tests."""
    made = method.on(_client())
    takes = made is None or "stream" in signature(made).parameters
    return bool(method.streamed) and takes


# The ways to make a call -------------------------------------------------------------------------


SHAPES = tuple(
    BY_PATH[path]
    for path in (
        "chat.completions.create",
        "completions.create",
        "embeddings.create",
        "responses.create",
        "responses.retrieve",
        "responses.compact",
        "responses.input_tokens.count",
        "images.generate",
        "audio.transcriptions.create",
        "audio.speech.create",
        "moderations.create",
        "decisions.create",
    )
)
"""One method for each shape that an answer has."""
STREAMING = tuple(method for method in SHAPES if streams(method))


def each(methods: Iterable[Method]) -> pytest.MarkDecorator:
    """Run a test for each of the methods that this release has; its fixture is ``method``."""
    return pytest.mark.parametrize("method", methods, ids=lambda each: each.path, indirect=True)


@dataclass(frozen=True)
class Way:
    """How a call is made, and its answer taken."""

    name: str
    prefix: str = ""
    streamed: bool = False
    usage: bool = False
    """The application asks for the usage of the stream."""

    @property
    def options(self) -> dict[str, Any]:
        """The arguments beside those of the method."""
        asked = {"stream_options": {"include_usage": True}} if self.usage else {}
        return {"stream": True, **asked} if self.streamed else {}


WAYS = (
    Way("plain"),
    Way("streamed", streamed=True),
    Way("streamed, usage asked for", streamed=True, usage=True),
    Way("raw", "with_raw_response"),
    Way("raw streamed", "with_raw_response", streamed=True),
    Way("streaming response", "with_streaming_response"),
    Way("streaming response streamed", "with_streaming_response", streamed=True),
)
HELPER, HELPER_STREAM = Way("helper"), Way("helper", streamed=True)
"""The ways of the helpers; theirs are the options of the stream."""


def ways_of(method: Method) -> tuple[Way, ...]:
    """Return the ways in which a method can be called."""
    return tuple(
        way
        for way in WAYS
        if not (way.streamed and not streams(method))
        and not (way.usage and method.streamed != COUNTED)
    )


def sources(method: Method, way: Way) -> tuple[str | None, str | None]:
    """Return where input and output usage of a call are to come from."""
    if way.usage:
        return REPORTED
    return (method.streamed or NONE) if way.streamed else method.plain
