"""Whatever is asked or answered, the call is told, and what is told is valid."""

from __future__ import annotations

import json
import threading

import openai
import pytest
from tests import shared
from tests.content.conftest import content_in

from tokentrail.support import guard
from tokentrail.testing.payloads import Answer, ToolCall, Usage, chat, responses
from tokentrail.testing.server import Event, Plain, Stream

pytestmark = pytest.mark.settings(capture_content="SPAN_AND_EVENT", capture_tool_schemas=True)

mode = shared.either_mode

ODD_TEXTS = [
    "\ud800 alone",
    "pair \ud83d\ude00",
    "nul \x00 and \x1b",
    '"quoted" \\ back\nline',
    "\u2028\u2029",
    "ä" * 5,
]


def utf8(value):
    """Return ``value`` if all text in it can be sent."""
    json.dumps(value, ensure_ascii=False).encode()
    return value


@pytest.mark.parametrize("text", ODD_TEXTS)
@pytest.mark.parametrize("stream", [False, True])
async def test_odd_text(driver, serve, said, text, stream):
    answer = Answer((text,), split=list)
    reply = Stream(chat.chunks(answer)) if stream else Plain(chat.completion(answer))
    create = driver.client(serve(reply)).chat.completions.create
    told = await driver.call(create, model="gpt-4o", messages=[], stream=stream)
    if stream:
        await driver.read(told)
    ((message,),) = [utf8(said.output())]
    kept = message["parts"][0]["content"]
    assert len(kept) >= len(text) - 1
    assert kept == text or "\ud800" in text or "\ud83d" in text


@pytest.mark.parametrize(
    "arguments",
    ['{"a": NaN}', '{"a": 1e999}', '{"a": ' + "9" * 30 + "}", '{"a"', "", "7", "null",
     '{"": {"": []}}', '{"a": "\\ud800"}', "[" * 3000],
)  # fmt: skip
async def test_odd_arguments(driver, serve, said, trail, arguments):
    answer = Answer(tool_calls=(ToolCall("f", arguments, "call_1"),))
    create = driver.client(serve(Plain(chat.completion(answer)))).chat.completions.create
    await driver.call(create, model="gpt-4o", messages=[])
    ((message,),) = [utf8(said.on_span()["output.messages"])]
    assert message["parts"][0]["name"] == "f"
    utf8(content_in(trail.logs.one("operation.details").attributes))


async def test_an_unknown_item_is_left_out(driver, serve, said):
    item = {"type": "from_the_future", "id": "x", "payload": {"a": [1]}}
    body = json.loads(json.dumps(responses.response(Answer(("Hi.",)))))
    body["output"].insert(0, item)
    client = driver.client(serve(Plain(body)))
    if not hasattr(client, "responses"):
        pytest.skip("this openai has no responses")
    await driver.call(client.responses.create, model="gpt-4o", input="Hello?")
    assert said.output() == [{"role": "assistant", "parts": [{"type": "text", "content": "Hi."}]}]


@pytest.mark.parametrize(
    "choices",
    [None, 7, [None], [{}], [{"delta": 7}], [{"index": "x", "delta": {"content": True}}],
     [{"index": 10**30, "delta": {"tool_calls": [{"index": -(10**30)}]}}],
     [{"index": 0, "delta": {"content": {"a": 1}, "tool_calls": [7, {"function": 7}]}}]],
)  # fmt: skip
async def test_odd_chunks(driver, serve, trail, choices):
    events = [Event({"id": "c", "object": "chat.completion.chunk", "choices": choices}), chat.DONE]
    create = driver.client(serve(Stream(events))).chat.completions.create
    stream = await driver.call(create, model="gpt-4o", messages=[], stream=True)
    await driver.read(stream)
    assert "output.messages" not in content_in(trail.spans.attributes())


@pytest.mark.parametrize("place", ["start", "request", "chunk", "content"])
async def test_an_error_of_ours_costs_the_content_and_nothing_else(
    driver, serve, trail, monkeypatch, place
):
    def fail(*_args, **_kwargs):
        raise ValueError(place)

    from tokentrail.apis.chat.content import ChoiceContentAccumulator
    from tokentrail.content import Redaction

    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "_logged", set())
    if place == "start":
        monkeypatch.setattr("tokentrail.call.start.content_accumulator", fail)
    elif place == "request":
        monkeypatch.setattr("tokentrail.patching.request.read_request_content", fail)
    elif place == "chunk":
        monkeypatch.setattr(ChoiceContentAccumulator, "add", fail)
    else:
        monkeypatch.setattr(Redaction, "content", fail)
    create = driver.client(serve(Stream(chat.chunks(Answer(("Hello.",)))))).chat.completions.create
    messages = [{"role": "user", "content": "Hello?"}]
    stream = await driver.call(create, model="gpt-4o", messages=messages, stream=True)
    assert len(await driver.read(stream)) == 4
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "completed"
    assert attributes["gen_ai.usage.output_tokens"] == 2
    kept = {"request": {"output.messages"}, "chunk": {"input.messages"}}
    assert set(content_in(attributes)) == kept.get(place, set())
    assert trail.logs.one("operation.details")


async def test_a_redaction_does_not_run_in_the_applications_thread(driver, serve, trail):
    """It may be slow, so the worker runs it."""
    threads = set()

    def redact(kind, text):
        threads.add(threading.get_ident())
        return text

    trail.instrument(capture_content="SPAN_ONLY", redact=redact)
    reply = Plain(chat.completion(Answer(("tiger",), Usage(1, 1))))
    create = driver.client(serve(reply)).chat.completions.create
    await driver.call(create, model="gpt-4o", messages=[{"role": "user", "content": "tiger"}])
    assert "output.messages" in content_in(trail.spans.attributes())
    assert threads
    assert threading.get_ident() not in threads


async def test_an_error_of_ours_in_the_rules_keeps_no_message_of_an_exception(
    driver, serve, trail, monkeypatch
):
    """It may quote the prompt, and nobody has redacted it."""

    def fail(*_args):
        raise ValueError

    from tokentrail.content import Redaction

    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "_logged", set())
    monkeypatch.setattr(Redaction, "text", fail)
    refused = Plain({"error": {"message": "no tiger", "code": "no"}}, 400)
    create = driver.client(serve(refused)).chat.completions.create
    with pytest.raises(openai.BadRequestError, match="tiger"):
        await driver.call(create, model="gpt-4o", messages=[{"role": "user", "content": "tiger?"}])
    span, event = trail.spans.one(), trail.logs.one("exception")
    assert "tiger" not in span.to_json()
    assert event.attributes["exception.type"] == "openai.BadRequestError"
    assert "exception.message" not in event.attributes
    assert "exception.stacktrace" not in event.attributes


@pytest.mark.settings(capture_content="SPAN_ONLY", redact=lambda _, text: text.encode())
async def test_a_redaction_that_returns_no_text_is_logged(
    driver, serve, trail, monkeypatch, caplog
):
    monkeypatch.setattr(guard, "_logged", set())
    reply = Plain(chat.completion(Answer(("tiger",))))
    create = driver.client(serve(reply)).chat.completions.create
    for _ in range(2):
        await driver.call(create, model="gpt-4o", messages=[{"role": "user", "content": "tiger"}])
    assert not any("tiger" in span.to_json() for span in trail.spans.all())
    (message,) = [r.getMessage() for r in caplog.records if r.name == "tokentrail"]
    assert message.startswith("redact returned an object of the class bytes,")


@pytest.mark.settings(capture_content="SPAN_ONLY", redact=lambda *_: 1 / 0)
async def test_a_redaction_that_raises_does_no_harm(driver, serve, trail, monkeypatch):
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "_logged", set())
    create = driver.client(
        serve(Plain(chat.completion(Answer(("tiger",)))))
    ).chat.completions.create
    answer = await driver.call(
        create, model="gpt-4o", messages=[{"role": "user", "content": "tiger"}]
    )
    assert answer.choices[0].message.content == "tiger"
    assert "tiger" not in trail.spans.one().to_json()
