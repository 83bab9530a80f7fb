"""A generator that passes a stream of the plain client on. gunicorn's hooks start its telemetry."""

from __future__ import annotations

import openai
from flask import Flask, Response, request
from opentelemetry.instrumentation.flask import FlaskInstrumentor

from telemetry import asked, line

client = openai.OpenAI()
app = Flask(__name__)


@app.get("/stream")
def stream():
    """Make the call in the view, where the request's span is current, and pass the stream on."""
    answer = client.chat.completions.create(**asked(endless=request.args.get("endless") == "true"))

    def lines():
        with answer:
            for chunk in answer:
                yield line(chunk)

    return Response(lines())


FlaskInstrumentor().instrument_app(app)
