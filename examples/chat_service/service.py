"""A chat service: a page, and answers that are streamed to it as server-sent events.

``uvicorn service:app --workers 4`` runs it.
"""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from openai import APIError, AsyncOpenAI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from pydantic import BaseModel, Field

import telemetry
import tokentrail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Request
    from openai import AsyncStream
    from openai.types.chat import ChatCompletionChunk

MODEL = os.environ.get("CHAT_MODEL", "gpt-4o-mini")
PAGE = Path(__file__).with_name("page.html")


class Message(BaseModel):
    """What was said, and by whom."""

    role: Literal["user", "assistant"]
    content: str = Field(max_length=32_000)


class Conversation(BaseModel):
    """All that was said so far; its last message is the question."""

    messages: list[Message] = Field(min_length=1, max_length=200)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Tell what is left when the worker stops, before the client drops its connections."""
    async with client:
        yield
        await telemetry.stop()


telemetry.start()
client = AsyncOpenAI()
app = FastAPI(title="chat", lifespan=lifespan)
FastAPIInstrumentor.instrument_app(app, exclude_spans=["receive", "send"])


@app.get("/", include_in_schema=False)
async def page() -> FileResponse:
    """Return the page."""
    return FileResponse(PAGE)


@app.post("/chat")
async def chat(conversation: Conversation) -> StreamingResponse:
    """Stream the answer to the last message."""
    with tokentrail.attributes(feature="chat"):
        stream = await client.chat.completions.create(
            model=MODEL,
            messages=[message.model_dump() for message in conversation.messages],
            stream=True,
        )
    return StreamingResponse(_events(stream), media_type="text/event-stream")


async def _events(stream: AsyncStream[ChatCompletionChunk]) -> AsyncIterator[str]:
    """Yield the answer's text as it comes, then what it came to.

    A browser that goes away cancels this, which closes the stream: what was received until then
    is what the call's span tells.
    """
    async with stream:
        try:
            async for chunk in stream:
                for choice in chunk.choices:
                    if choice.delta.content:
                        yield _event("text", choice.delta.content)
        except APIError:
            yield _event("failed", "The model's service broke off. Please try again.")
            return
        yield _event("usage", _usage(stream))


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def _usage(stream: AsyncStream[ChatCompletionChunk]) -> dict[str, int | str]:
    usage = tokentrail.current_usage(stream)
    if usage is None or usage.input is None or usage.output is None:
        return {}
    return {
        "input": usage.input.tokens,
        "output": usage.output.tokens,
        "source": usage.output.source.value,
    }


@app.exception_handler(APIError)
async def refused(_: Request, error: APIError) -> JSONResponse:
    """Answer a call that the model's service refused, without what it said."""
    return JSONResponse({"detail": f"the model's service refused ({type(error).__name__})"}, 502)
