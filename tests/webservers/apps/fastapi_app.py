"""A StreamingResponse around a stream of the async client."""

from __future__ import annotations

from contextlib import asynccontextmanager

import openai
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

import tokentrail
from telemetry import asked, line, provider, stop

tracers = provider()
tokentrail.instrument(tracer_provider=tracers)
client = openai.AsyncOpenAI()


@asynccontextmanager
async def lifespan(_):
    yield
    stop(tracers)


app = FastAPI(lifespan=lifespan)


@app.get("/stream")
async def stream(endless: bool = False):
    """Pass the stream on; the call is made when the response is sent."""

    async def lines():
        async for chunk in await client.chat.completions.create(**asked(endless=endless)):
            yield line(chunk)

    return StreamingResponse(lines())


FastAPIInstrumentor.instrument_app(app, tracer_provider=tracers, exclude_spans=["receive", "send"])
