"""Canaries where ``test_silence`` has none: in URLs, in what errors say, in thoughts."""

from __future__ import annotations

import gc
import logging

import openai
import pytest
from tests.content.test_silence import all_telemetry

from tokentrail.support import guard
from tokentrail.testing.payloads import Answer, chat, errors, responses
from tokentrail.testing.server import Event, Plain, Stream

PROSE = "canary: you asked to be told of the sea"
ASKED = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "canary-prompt"}]}


@pytest.fixture(autouse=True)
def watched(caplog, monkeypatch):
    """Look at all that is logged, also what was said once before."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(guard, "_logged", set())


async def _ends(driver, call):
    """Make a call, read what it gives, and let go of what it raises."""
    try:
        answer = await call
        if isinstance(answer, (openai.Stream, openai.AsyncStream)):
            await driver.read(answer)
    except Exception:
        gc.collect()


@pytest.mark.parametrize("reply", [Plain({"error": {"message": PROSE}}, 404), Stream([])])
async def test_a_url_is_recorded_as_host_and_port_only(driver, serve, trail, caplog, reply):
    """Name, password, path and query of a base URL may be secrets."""
    server = serve(reply)
    url = server.url.replace("http://", "http://canary-name:canary-word@")
    client = driver.client(server, base_url=f"{url}/canary-path/v1?key=canary-key")
    await _ends(driver, driver.call(client.chat.completions.create, **ASKED, stream=True))
    assert "canary" not in all_telemetry(trail, caplog)
    assert trail.spans.attributes()["server.address"] == "127.0.0.1"


STREAMED = {
    "error event": [errors.event(PROSE, code=PROSE)],
    "error event of a type": [Event({"error": {"message": PROSE, "type": PROSE, "param": PROSE}})],
    "thoughts": [
        Event({"choices": [{"index": 0, "delta": {"reasoning_content": PROSE, "refusal": PROSE}}]})
    ],
    "a tier of prose": [Event({"service_tier": 7, "choices": [], "obfuscation": PROSE})],
}


@pytest.mark.parametrize("name", STREAMED)
async def test_content_of_a_chat_stream_is_not_recorded(driver, serve, trail, caplog, name):
    server = serve(Stream([*chat.chunks(Answer(("canary-answer",)))[:3], *STREAMED[name]]))
    client = driver.client(server)
    await _ends(driver, driver.call(client.chat.completions.create, **ASKED, stream=True))
    assert "canary" not in all_telemetry(trail, caplog)


def _failed_response():
    body = responses.response(Answer(("canary-answer",)))
    return {**body, "status": "failed", "error": {"code": PROSE, "message": PROSE}}


RESPONSES = {
    "failed": Plain(_failed_response()),
    "failed stream": Stream([
        Event({"type": "response.failed", "sequence_number": 0, "response": _failed_response()})
    ]),
    "error event": Stream([
        Event({"type": "error", "sequence_number": 0, "code": PROSE, "message": PROSE})
    ]),
    "thoughts": Stream([
        Event({"type": kind, "delta": PROSE, "item_id": PROSE, "output_index": 0,
               "content_index": 0, "summary_index": 0, "sequence_number": 0})
        for kind in ("response.reasoning_text.delta", "response.reasoning_summary_text.delta",
                     "response.refusal.delta", "response.function_call_arguments.delta")
    ]),
}  # fmt: skip


@pytest.mark.skipif(not hasattr(openai.OpenAI, "responses"), reason="this openai has none")
@pytest.mark.parametrize("name", RESPONSES)
async def test_content_of_a_response_is_not_recorded(driver, serve, trail, caplog, name):
    """A code of prose is no code: the error is told without it."""
    reply = RESPONSES[name]
    client = driver.client(serve(reply))
    stream = isinstance(reply, Stream)
    call = driver.call(client.responses.create, model="m", input="canary-prompt", stream=stream)
    await _ends(driver, call)
    told = all_telemetry(trail, caplog)
    assert "canary" not in told
    assert ("error.type" in told) is (name != "thoughts")


async def test_our_own_bug_says_where_and_not_what(driver, serve, trail, caplog, monkeypatch):
    """Neither an error of ours nor a representation of what failed quotes the request."""
    monkeypatch.setattr(guard, "strict", False)

    def bug(self, operation, *_args):
        raise ValueError(operation)

    monkeypatch.setattr("tokentrail.telemetry.metrics.batching.PointBatch.add", bug)
    server = serve(Plain(chat.completion(Answer(("canary-answer",)))))
    await driver.call(driver.client(server).chat.completions.create, **ASKED)
    assert trail.spans.one()
    messages = [record.getMessage() for record in caplog.records if record.name == "tokentrail"]
    assert any("ValueError" in line for line in messages)
    assert "canary" not in repr(messages)
