"""A background task that reads a stream after the answer has gone out."""

from __future__ import annotations

from contextlib import asynccontextmanager

import openai
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import tokentrail
from telemetry import asked, line, provider, stop

tracers = provider()
tokentrail.instrument(tracer_provider=tracers)
client = openai.AsyncOpenAI()


@asynccontextmanager
async def lifespan(_):
    yield
    stop(tracers)


async def _read(endless: bool):
    stream = await client.chat.completions.create(**asked(endless=endless))
    return [line(chunk) async for chunk in stream]


async def stream(request):
    """Answer at once, and read the stream then."""
    task = BackgroundTask(_read, request.query_params.get("endless") == "true")
    return PlainTextResponse("later\n" * 5, background=task)


app = Starlette(routes=[Route("/stream", stream)], lifespan=lifespan)
StarletteInstrumentor.instrument_app(app, tracer_provider=tracers)
