"""What OpenAI really streamed, asked for by us or not: needs the recordings beside the project."""

from __future__ import annotations

import json

import pytest
from tests.shared import OUTSIDE

from tokentrail.testing.server import Event, Stream

from .conftest import is_asked, seen

HOME = OUTSIDE / "recordings"
USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}


def _streams():
    """Yield the name, the request and the events of each recorded chat stream."""
    yaml = pytest.importorskip("yaml")
    for path in sorted(HOME.glob("chat_completion*.yaml")):
        for item in yaml.safe_load(path.read_text())["interactions"]:
            body = json.loads(item["request"]["body"])
            answer = item["response"]["body"].get("string") or ""
            if body.pop("stream", False) and item["response"]["status"]["code"] == 200:
                body.pop("stream_options", None)
                said = [line[6:] for line in answer.splitlines() if line.startswith("data: {")]
                yield pytest.param(body, [json.loads(text) for text in said], id=path.stem)


RECORDED = list(_streams()) if HOME.exists() else []

pytestmark = pytest.mark.outside("recordings")


def _asked(events):
    """Return the events with usage; one recording was made without, and is given OpenAI's form."""
    if events[-1].get("usage"):
        return events
    last = {**events[-1], "choices": [], "usage": USAGE}
    return [*({**event, "usage": None} for event in events), last]


def _unasked(events):
    bare = ({k: v for k, v in event.items() if k != "usage"} for event in events)
    return [event for event in bare if event["choices"]]


@pytest.mark.parametrize(("body", "events"), RECORDED)
async def test_a_recorded_stream_is_recorded_as_reported_and_looks_as_unasked(
    ways, serve, body, events
):
    def respond(call):
        sent = _asked(events) if is_asked(call) else _unasked(events)
        return Stream([*map(Event, sent), Event("[DONE]")])

    server = serve(respond)
    client = ways.driver.client(server)

    async def program():
        stream = await ways.driver.call(client.chat.completions.create, stream=True, **body)
        return [seen(chunk) for chunk in await ways.driver.read(stream)]

    saw = await ways.compared(program)
    assert len(saw) == len(_unasked(events))
    usage = _asked(events)[-1]["usage"]
    attributes = ways.trail.spans.attributes()
    assert attributes["tokentrail.usage.output.source"] == "reported"
    assert attributes["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
    assert attributes["gen_ai.usage.output_tokens"] == usage["completion_tokens"]


@pytest.mark.parametrize(("body", "events"), RECORDED)
async def test_a_recorded_stream_sends_what_was_recorded(driver, trail, serve, body, events):
    """The request that we make of the application's is the recorded one of those that asked."""
    trail.instrument(stream_usage="request")
    server = serve(lambda _: Stream([*map(Event, _asked(events)), Event("[DONE]")]))
    client = driver.client(server)
    stream = await driver.call(client.chat.completions.create, stream=True, **body)
    await driver.read(stream)
    (call,) = server.calls
    wanted = {**body, "stream": True, "stream_options": {"include_usage": True}}
    assert dict(call.body) == wanted
