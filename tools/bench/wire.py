"""The client on a transport inside the process: canned bytes, the same for every subject.

What the wire costs is the same for all and as little as can be; what the client does with the
bytes is real. A plain answer is waited for, as any is that comes over a network: other threads of
the process get their turn then, and caches have time to get cold.
"""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Tell me of the sea."}]}
RESPONSES = {"model": "gpt-4o", "input": "Tell me of the sea."}
EMBEDDING = {"model": "text-embedding-3-small", "input": ["text 0"]}
EMBEDDINGS = {"model": "text-embedding-3-small", "input": [f"text {each}" for each in range(100)]}
WORDS = [
    "The",
    "sea",
    "is",
    "never",
    "twice",
    "the",
    "same",
    "and",
    "yet",
    "it",
    "does",
    "not",
    "change",
    "at",
    "all",
    ".",
]

LENGTH = "x-bench-length"
"""Header that says how many chunks of text the stream has."""
PAUSE = "x-bench-pause"
"""Header by which each piece of a stream gives others a turn: the event loop, or after a
millisecond other threads; headers give the loop some."""
BEFORE_HEADERS = 3
WAIT = 0.001
"""Seconds that a plain answer takes to come."""


def _httpx() -> Any:
    for name in ("httpx2", "httpx"):
        if hasattr(openai._base_client, name):  # noqa: SLF001 - nothing public says it
            return import_module(name)
    message = "this openai stands on neither httpx nor httpx2"
    raise RuntimeError(message)


httpx = _httpx()


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A stream of server-sent events, one piece each."""

    def __init__(self, pieces: Iterator[bytes], *, pause: bool) -> None:
        self._pieces = pieces
        self._pause = pause

    def __iter__(self) -> Iterator[bytes]:
        return self._waited() if self._pause else self._pieces

    def _waited(self) -> Iterator[bytes]:
        for piece in self._pieces:
            time.sleep(WAIT)
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if self._pause:
                await asyncio.sleep(0)
            yield piece


class _Transport(httpx.MockTransport):  # type: ignore[misc, name-defined]
    def handle_request(self, request: Any) -> Any:
        if LENGTH not in request.headers:
            time.sleep(WAIT)
        return super().handle_request(request)

    async def handle_async_request(self, request: Any) -> Any:
        if LENGTH not in request.headers:
            await asyncio.sleep(WAIT)
        if PAUSE in request.headers:
            for _ in range(BEFORE_HEADERS):
                await asyncio.sleep(0)
        return await super().handle_async_request(request)


def clients(
    reply: Callable[[Any], Any] | None = None,
) -> tuple[openai.OpenAI, openai.AsyncOpenAI]:
    """Return a client of each kind; no request leaves the process: ``reply`` answers it."""
    asked = {"api_key": "no key", "base_url": "https://api.openai.com/v1", "max_retries": 0}
    transport = _Transport(reply or answer)
    return (
        openai.OpenAI(http_client=httpx.Client(transport=transport), **asked),
        openai.AsyncOpenAI(http_client=httpx.AsyncClient(transport=transport), **asked),
    )


def answer(request: Any) -> Any:
    """Answer a request with canned bytes."""
    path = request.url.path.rpartition("/v1/")[2]
    asked = json.loads(request.content)
    if asked.get("input") == EMBEDDING["input"]:
        path = "one embedding"
    if not asked.get("stream"):
        headers = {"content-type": "application/json"}
        return httpx.Response(200, content=_PLAIN[path], headers=headers)
    length = int(request.headers[LENGTH])
    pieces = _EVENTS[path](length, asked)
    body = _Body(pieces, pause=PAUSE in request.headers)
    return httpx.Response(200, stream=body, headers={"content-type": "text/event-stream"})


_CHUNK: dict[str, Any] = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    "object": "chat.completion.chunk",
    "created": 1_741_569_952,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "system_fingerprint": "fp_f5bdcc3276",
}
_USAGE = {"prompt_tokens": 13, "completion_tokens": 50, "total_tokens": 63}


def _chat_events(length: int, asked: dict[str, Any]) -> Iterator[bytes]:
    told = {}
    if (asked.get("stream_options") or {}).get("include_usage"):
        told = {"usage": None}
    yield _event({**_CHUNK, **told, "choices": [_choice({"role": "assistant", "content": ""})]})
    texts = [
        _event({**_CHUNK, **told, "choices": [_choice({"content": " " + word})]}) for word in WORDS
    ]
    for number in range(length):
        yield texts[number % len(texts)]
    yield _event({**_CHUNK, **told, "choices": [_choice({}, "stop")]})
    if told:
        yield _event({**_CHUNK, "usage": _USAGE, "choices": []})
    yield b"data: [DONE]\n\n"


def _choice(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}


_RESPONSE: dict[str, Any] = {
    "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
    "object": "response",
    "created_at": 1_741_476_542,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "model": "gpt-4o-2024-08-06",
    "parallel_tool_calls": True,
    "service_tier": "default",
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "output": [],
    "usage": {
        "input_tokens": 13,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 63,
    },
}
_MESSAGE = {
    "id": "msg_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": " ".join(WORDS), "annotations": []}],
}


def _responses_events(length: int, asked: dict[str, Any]) -> Iterator[bytes]:
    begun = {**_RESPONSE, "status": "in_progress", "usage": None}
    yield _typed({"type": "response.created", "response": begun, "sequence_number": 0})
    place = {"item_id": _MESSAGE["id"], "output_index": 0, "content_index": 0}
    delta = {"type": "response.output_text.delta", **place, "logprobs": []}
    texts = [_typed({**delta, "delta": " " + word, "sequence_number": 4}) for word in WORDS]
    for number in range(length):
        yield texts[number % len(texts)]
    whole = {**_RESPONSE, "output": [_MESSAGE]}
    yield _typed({"type": "response.completed", "response": whole, "sequence_number": 9})


def _typed(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\n".encode() + _event(event)


def _event(said: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"


def _vectors(number: int) -> bytes:
    vector = base64.b64encode(struct.pack("<1536f", *([0.25] * 1536))).decode()
    return json.dumps(
        {
            "object": "list",
            "model": "text-embedding-3-small",
            "usage": {"prompt_tokens": 200, "total_tokens": 200},
            "data": [
                {"object": "embedding", "index": index, "embedding": vector}
                for index in range(number)
            ],
        }
    ).encode()


_PLAIN = {
    "chat/completions": json.dumps(
        {
            **_CHUNK,
            "object": "chat.completion",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": " ".join(WORDS), "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                **_USAGE,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": 0,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
        }
    ).encode(),
    "responses": json.dumps({**_RESPONSE, "output": [_MESSAGE]}).encode(),
    "embeddings": _vectors(100),
    "one embedding": _vectors(1),
}
_EVENTS = {"chat/completions": _chat_events, "responses": _responses_events}
