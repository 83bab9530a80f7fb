"""A StreamingResponse around a plain generator, which FastAPI reads in threads of a pool."""

from __future__ import annotations

import gc
from contextlib import asynccontextmanager

import openai
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

import tokentrail
from telemetry import asked, line, provider, stop

tracers = provider()
tokentrail.instrument(tracer_provider=tracers)
client = openai.OpenAI()


@asynccontextmanager
async def lifespan(_):
    gc.disable()  # it may come at any time: a test needs to see what happens until it does
    yield
    stop(tracers)


app = FastAPI(lifespan=lifespan)


@app.get("/stream")
def stream(endless: bool = False):
    """Pass a stream of the plain client on: whoever cancels the reader does not close it."""

    def lines():
        with client.chat.completions.create(**asked(endless=endless)) as answer:
            for chunk in answer:
                yield line(chunk)

    return StreamingResponse(lines())


FastAPIInstrumentor.instrument_app(app, tracer_provider=tracers, exclude_spans=["receive", "send"])
