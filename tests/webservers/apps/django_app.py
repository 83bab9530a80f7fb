"""An async view that passes a stream on."""

from __future__ import annotations

import os

import django
import openai
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import StreamingHttpResponse
from django.urls import path
from opentelemetry.instrumentation.django import DjangoInstrumentor

import tokentrail
from telemetry import asked, line, provider, stop

settings.configure(
    ALLOWED_HOSTS=["*"], MIDDLEWARE=[], ROOT_URLCONF=__name__, SECRET_KEY=os.environ["SPANS_FILE"]
)
tracers = provider()
tokentrail.instrument(tracer_provider=tracers)
DjangoInstrumentor().instrument(tracer_provider=tracers)
django.setup()
client = openai.AsyncOpenAI()


async def stream(request):
    """Make the call in the view, where the request's span is current, and pass the stream on."""
    endless = request.GET.get("endless") == "true"
    answer = await client.chat.completions.create(**asked(endless=endless))

    async def lines():
        async with answer:
            async for chunk in answer:
                yield line(chunk)

    return StreamingHttpResponse(lines())


urlpatterns = [path("stream", stream)]
django_asgi = get_asgi_application()


async def app(scope, receive, send):
    """Django knows no lifespan, and a server that is ended by a signal runs no exit hooks."""
    if scope["type"] != "lifespan":
        await django_asgi(scope, receive, send)
        return
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    stop(tracers)
    await send({"type": "lifespan.shutdown.complete"})
