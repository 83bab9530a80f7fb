"""With capture off nothing of what is said stands anywhere; with it on, only where asked for.

A canary is a word that is sent or received in one place, and must not be found in what is told.
"""

from __future__ import annotations

import gc
import json
import logging
import tracemalloc
from dataclasses import dataclass, field
from inspect import signature
from itertools import repeat
from typing import Any

import httpx
import openai
import pytest
from tests import shared

import tokentrail
from tokentrail import config, content
from tokentrail.apis import capture
from tokentrail.support import guard
from tokentrail.testing.payloads import Answer, ToolCall, Usage, chat, completions, responses
from tokentrail.testing.server import Cut, Plain, Stream

mode = shared.either_mode

OURS = ("tokentrail", "opentelemetry", "py.warnings")

SCHEMA = {
    "type": "object",
    "properties": {"canary-property": {"type": "string", "description": "canary-schema"}},
}
PLACES = {
    "user": "canary-user",
    "metadata": {"canary-key": "canary-metadata"},
    "extra_headers": {"X-Canary": "canary-header"},
    "extra_query": {"q": "canary-query"},
}
"""What every method takes beside its content."""
IMAGE = "https://canary-host.example/a.png?token=canary-image-query"
ASKED = {
    "chat": {
        "model": "gpt-4o-mini",
        "messages": [
            {"role": "system", "content": "canary-system"},
            {"role": "user", "name": "canary-name", "content": [
                {"type": "text", "text": "canary-prompt"},
                {"type": "image_url", "image_url": {"url": IMAGE}},
            ]},
            {"role": "assistant", "content": None, "refusal": "canary-refusal-sent", "tool_calls": [
                {"id": "call_0", "type": "function", "function": {
                    "name": "f", "arguments": '{"a": "canary-arguments-sent"}'}}]},
            {"role": "tool", "tool_call_id": "call_0", "content": "canary-result"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "f", "description": "canary-description", "parameters": SCHEMA}}],
        "response_format": {"type": "json_schema", "json_schema": {
            "name": "canary-schema-name", "schema": SCHEMA}},
        **PLACES,
    },
    "completions": {
        "model": "gpt-3.5-turbo-instruct", "prompt": "canary-prompt", "suffix": "canary-suffix",
        **{name: PLACES[name] for name in ("user", "extra_headers", "extra_query")},
    },
    "responses": {
        "model": "gpt-4o-mini",
        "instructions": "canary-system",
        "input": [
            {"role": "user", "content": [
                {"type": "input_text", "text": "canary-prompt"},
                {"type": "input_image", "image_url": IMAGE, "detail": "low"}]},
            {"type": "reasoning", "id": "rs_0", "summary": [
                {"type": "summary_text", "text": "canary-summary-sent"}]},
        ],
        "tools": [{"type": "function", "name": "f", "description": "canary-description",
                   "parameters": SCHEMA, "strict": False}],
        **PLACES,
    },
    "embeddings": {
        "model": "text-embedding-3-small", "input": ["canary-prompt"], "encoding_format": "float",
        **{name: PLACES[name] for name in ("user", "extra_headers", "extra_query")},
    },
}  # fmt: skip
ANSWER = Answer(
    ("canary-answer is what is said here.",),
    tool_calls=(ToolCall("f", '{"a": "canary-arguments"}', "call_1"),),
)
THOUGHT = {"role": "assistant", "reasoning_content": "canary-thought", "refusal": "canary-refusal"}


def reply(api: str, *, stream: bool) -> Any:
    """Return an answer full of canaries."""
    if api == "embeddings":
        return Plain({
            "object": "list", "model": "e", "usage": {"prompt_tokens": 3, "total_tokens": 3},
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        })  # fmt: skip
    if api == "completions":
        bare = Answer(ANSWER.texts)
        return Stream(completions.events(bare)) if stream else Plain(completions.completion(bare))
    if api == "responses":
        return Stream(responses.events(ANSWER)) if stream else Plain(responses.response(ANSWER))
    if stream:
        return Stream(chat.chunks(ANSWER))
    body = json.loads(json.dumps(chat.completion(ANSWER)))
    body["choices"][0]["message"].update(THOUGHT)
    return Plain(body)


ENDINGS = ["whole", "closed", "cut", "refused", "broken"]


def all_telemetry(trail: Any, caplog: Any) -> str:
    """Return all telemetry and log output, as one text."""
    spans = [
        [span.name, dict(span.attributes or {}), span.status.description, span.to_json()]
        + [[event.name, dict(event.attributes or {})] for event in span.events]
        for span in trail.spans.all()
    ]
    points = [
        [name, [dict(point.attributes) for point in trail.metrics.points(name)]]
        for name in trail.metrics.names()
    ]
    records = [[record.body, dict(record.attributes or {})] for record in trail.logs.all()]
    ours = [record for record in caplog.records if record.name.startswith(OURS)]
    logs = [[record.getMessage(), record.exc_text, record.args] for record in ours]
    assert spans
    assert points
    return repr([spans, points, records, logs])


@dataclass
class Caller:
    """Makes a call of one API, and has it end in one way."""

    driver: Any
    serve: Any
    api: str
    stream: bool
    ending: str
    clients: list[Any] = field(default_factory=list)

    def _reply(self) -> Any:
        if self.ending == "refused":
            error = {"message": "Bad: canary-quoted", "code": "bad_thing", "param": "canary-param"}
            return Plain({"error": error}, 400)
        if self.ending == "broken":
            return Plain(b"{canary-body", headers={"content-type": "application/json"})
        said = reply(self.api, stream=self.stream)
        if self.ending == "cut":
            return Stream([*list(said.steps)[:7], Cut(reset=True)])
        return said

    async def __call__(self) -> None:
        """Make the call; what it raises is not looked at."""
        server = self.serve(self._reply())
        client = self.driver.client(server, api_key="canary-key", organization="canary-org")
        owner = client.chat.completions if self.api == "chat" else getattr(client, self.api, None)
        if owner is None:
            pytest.skip("this openai has no responses")
        given = dict(ASKED[self.api], **({"stream": True} if self.stream else {}))
        try:
            if "metadata" in given and "metadata" not in signature(owner.create).parameters:
                given["extra_body"] = {"metadata": given.pop("metadata")}
            answer = await self.driver.call(owner.create, **given)
            if self.stream and self.ending == "closed":
                await self.driver.take(answer, 7)
                await self.driver.close(answer)
            elif self.stream:
                await self.driver.read(answer)
        except Exception:  # noqa: S110 - the application's own trouble
            pass


CALLS = [
    (api, stream, ending)
    for api in ASKED
    for stream in (False, True)
    for ending in ENDINGS
    if (stream or ending not in {"closed", "cut"}) and not (api == "embeddings" and stream)
]


@pytest.mark.parametrize(("api", "stream", "ending"), CALLS)
@pytest.mark.parametrize("settings", [{}, {"emit_event": True, "metric_names": "both"}])
async def test_with_capture_off_nothing_is_recorded(
    driver, serve, trail, caplog, monkeypatch, settings, api, stream, ending
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(guard, "_logged", set())
    trail.instrument(**settings)
    await Caller(driver, serve, api, stream, ending)()
    gc.collect()
    assert "canary" not in all_telemetry(trail, caplog).lower()


@pytest.mark.parametrize("api", ASKED)
async def test_with_capture_off_nothing_of_ours_even_reads_it(
    driver, serve, trail, monkeypatch, api
):
    def forbidden(*_args, **_kwargs):
        pytest.fail("content was read though capture is off")

    for owner, name in [
        (capture.Capture, "__init__"), (capture.CapturingAdapter, "__init__"),
        (content.Redaction, "content"),
    ]:  # fmt: skip
        monkeypatch.setattr(owner, name, forbidden)
    monkeypatch.setattr("tokentrail.patching.request.read_request_content", forbidden)
    await Caller(driver, serve, api, api != "embeddings", "whole")()
    assert trail.spans.one()


@pytest.mark.parametrize("where", ["SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"])
@pytest.mark.parametrize("ending", ["whole", "refused"])
async def test_content_is_recorded_only_if_asked_for(driver, serve, trail, caplog, where, ending):
    caplog.set_level(logging.DEBUG)
    trail.instrument(capture_content=where)
    await Caller(driver, serve, "chat", stream=False, ending=ending)()
    on_span = repr([trail.spans.one().to_json()])
    in_events = repr([dict(record.attributes) for record in trail.logs.all()])
    mode = config.ContentCapture[where]
    for canary in ("canary-prompt", "canary-quoted" if ending == "refused" else "canary-answer"):
        assert (canary in on_span) is mode.on_spans
        assert (canary in in_events) is mode.on_events
    points = [list(map(repr, trail.metrics.points(name))) for name in trail.metrics.names()]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(OURS)]
    assert "canary" not in repr([points, ours])


NEVER = ("canary-key", "canary-header", "canary-query", "canary-metadata", "canary-user",
         "canary-org", "canary-description", "canary-schema", "canary-param")  # fmt: skip
"""What is no message is never told, nor are the schemas of tools unless asked for."""


@pytest.mark.parametrize(("api", "stream", "ending"), CALLS)
async def test_with_capture_on_only_content_is_recorded(
    driver, serve, trail, caplog, monkeypatch, api, stream, ending
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(guard, "_logged", set())
    trail.instrument(capture_content="SPAN_AND_EVENT")
    await Caller(driver, serve, api, stream, ending)()
    told = all_telemetry(trail, caplog)
    # An error's own text may quote anything, and was asked for.
    never = NEVER if ending != "refused" else NEVER[:-1]
    assert [canary for canary in never if canary in told] == []


def redact(_kind: str, text: str) -> str:
    return text.replace("canary", "******")


@pytest.mark.parametrize(("api", "stream", "ending"), CALLS)
async def test_redaction_acts_on_all_that_is_recorded(
    driver, serve, trail, caplog, monkeypatch, api, stream, ending
):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(guard, "_logged", set())
    trail.instrument(capture_content="SPAN_AND_EVENT", redact=redact, capture_tool_schemas=True)
    await Caller(driver, serve, api, stream, ending)()
    told = all_telemetry(trail, caplog)
    assert "canary" not in told
    assert "******" in told or api == "embeddings"


@pytest.mark.parametrize("ending", ["whole", "refused"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_cap_acts_on_all_that_is_recorded(driver, serve, trail, caplog, stream, ending):
    trail.instrument(
        capture_content="SPAN_AND_EVENT", content_max_chars=9, capture_tool_schemas=True
    )
    await Caller(driver, serve, "chat", stream, ending)()
    told = all_telemetry(trail, caplog)
    assert "canary-p…" in told or "canary-…" in told
    assert "canary-pr" not in told
    assert "canary-quoted" not in told


@shared.both_modes
async def test_content_is_released_once_it_is_recorded(driver, serve, trail):
    """The stream may be held for long, and with it its recorder; the text is not."""
    trail.instrument(capture_content="SPAN_ONLY")
    server = serve(Stream(chat.chunks(ANSWER)))
    create = driver.client(server).chat.completions.create
    stream = await driver.call(create, **PLAINLY)
    await driver.read(stream)
    assert trail.spans.one()
    from tokentrail.apis.capture import Capture

    gc.collect()
    held = [one for one in gc.get_objects() if type(one) is Capture]
    assert all(one._gathering is None and one._content is None for one in held)


PLAINLY = {
    "model": "gpt-4o-mini", "messages": ASKED["chat"]["messages"], "stream": True,
}  # fmt: skip


def answering(events) -> httpx.Client:
    """A client whose answer is made as it is read: what a server would hold is not in memory."""
    lines = (f"data: {json.dumps(event.data)}\n\n".encode() for event in events)
    headers = {"content-type": "text/event-stream"}
    response = httpx.Response(200, headers=headers, content=lines)
    return httpx.Client(transport=httpx.MockTransport(lambda request: response))


@pytest.mark.thorough
@pytest.mark.parametrize("where", ["NO_CONTENT", "SPAN_ONLY"])
def test_a_long_stream_holds_its_text_only_where_it_is_captured(trail, where):
    """While 4 MB of text pass, memory grows by less than 1 MB, or by all of it."""
    trail.instrument(capture_content=where)
    tokentrail.count_tokens("a", model="gpt-4o-mini")  # its encoding is built before memory counts
    text = "some words of an answer that goes on " * 54
    piece = chat.chunks(Answer((text,), Usage(1, 1), split=lambda _: [text]), "last")[1]
    held = {}
    with openai.OpenAI(api_key="k", http_client=answering(repeat(piece, 2_500))) as client:
        stream = client.chat.completions.create(**PLAINLY)
        tracemalloc.start()
        try:
            for number, _ in enumerate(stream):
                if number in {400, 2_400}:
                    gc.collect()
                    held[number], _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    grown, passed = held[2_400] - held[400], 2_000 * len(text)
    if where == "NO_CONTENT":
        assert grown < passed / 4
    else:
        assert grown > passed * 0.9
