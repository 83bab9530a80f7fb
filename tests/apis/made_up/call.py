"""Call the made-up API, whole and as a stream, and print as JSON what was recorded."""

from __future__ import annotations

import json

import openai
from tests.conftest import Logs, Metrics, Spans, Trail
from tools import make_telemetry

from tokentrail.config import INSTRUMENTED_APIS
from tokentrail.telemetry import schema
from tokentrail.testing.server import Event, Plain, Server, Stream

USAGE = {"prompt_tokens": 5, "completion_tokens": 4}
WHOLE = {"model": "gpt-4o", "summary": "The sea is old.", "done": True}
PIECES = [
    {"model": "gpt-4o", "summary": "The sea"},
    {"model": "gpt-4o", "summary": " is old.", "done": True},
]


def respond(call):
    if call.path != "/v1/summaries":
        return Plain({}, 404)
    if call.body.get("stream"):
        return Stream([Event(data) for data in (*PIECES, "[DONE]")])
    return Plain({**WHOLE, "usage": USAGE})


def main():
    trail = Trail(Spans(), Metrics(), Logs())
    trail.instrument(
        capture_content="SPAN_AND_EVENT",
        cost="counted",
        prices={"gpt-4o": {"input": 1.0, "output": 2.0}},
        metric_names="both",
    )
    asked = {"model": "gpt-4o", "text": "Tell me of the sea."}
    with Server(respond) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="k")
        client.post("/summaries", body=asked, cast_to=object)
        body, kind = {**asked, "stream": True}, openai.Stream[object]
        list(client.post("/summaries", body=body, cast_to=object, stream=True, stream_cls=kind))
    lines = make_telemetry.render().split("\n")
    recorded = {
        "spans": [dict(span.attributes) for span in trail.spans.all()],
        "metrics": sorted(
            name
            for name in trail.metrics.names()
            if trail.metrics.points(name, gen_ai_operation_name="summarize")
        ),
        "details": len(trail.logs.events("inference.operation.details")),
        "documented": [line.split("`")[1] for line in lines if "summaries" in line],
        "failing": schema.DIFFERENCES[-1].operations,
        "setting": list(INSTRUMENTED_APIS),
    }
    print(json.dumps(recorded))  # noqa: T201 - it is a program's output


if __name__ == "__main__":
    main()
