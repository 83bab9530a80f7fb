"""Failures with status 200: outcome, error and status agree, and no tokens are made up."""

from __future__ import annotations

import openai
import pytest
from opentelemetry.trace import StatusCode
from pydantic import BaseModel, ValidationError
from tests import shared
from tests.servers.conftest import responses_of

from tokentrail.testing.payloads import Answer, Usage, chat, responses
from tokentrail.testing.server import Event, Plain, Stream

from .conftest import MESSAGES, chunk, completion, streamed

mode = shared.either_mode

SAID = chunk({"role": "assistant", "content": "Alders."})


def _usage(attributes):
    return {name: value for name, value in attributes.items() if ".usage." in name}


def _check(trail, outcome, error):
    """Span, status, metrics and events say the same; return the attributes."""
    span = trail.spans.one()
    told = dict(span.attributes)
    assert (told["tokentrail.outcome"], told.get("error.type")) == (outcome, error)
    assert (span.status.status_code is StatusCode.ERROR) == (error is not None)
    assert trail.metrics.one("tokentrail.operations").attributes["tokentrail.outcome"] == outcome
    point = trail.metrics.one("gen_ai.client.operation.duration")
    assert point.attributes.get("error.type") == error
    (event,) = trail.logs.events("operation.details")
    assert event.attributes.get("error.type") == error
    assert event.attributes["tokentrail.outcome"] == outcome
    return told


BODIES = {
    "a code": ({"error": {"code": "model_down", "message": "Try later."}}, "model_down"),
    "a number": ({"error": {"code": 502, "message": "The provider is away."}}, "502"),
    "words": ({"error": {"message": "no code at all"}}, "_OTHER"),
    "a text": ({"error": "The upstream has hung up on us."}, "_OTHER"),
    "an object": ({"object": "error", "message": "no", "code": "bad_model"}, "bad_model"),
    "a framework's": ({"detail": "Not Found"}, "_OTHER"),
    "a list of errors": ({"errors": [{"code": 7009, "message": "no route"}]}, "7009"),
    "an error in a list": ([{"error": {"code": 404, "message": "no such place"}}], "404"),
    "a code and words": ({"code": 1305, "msg": "too many", "success": False}, "1305"),
    "words alone": ({"message": "Unauthorized caller"}, "_OTHER"),
    "a status beside no choices": (
        {"id": "x", "choices": None, "base_resp": {"status_code": 1008, "status_msg": "no"}},
        "_OTHER",
    ),
    "no fields": ({}, "_OTHER"),
    "null": (b"null", "_OTHER"),
    "an answer where nobody looks": ({"data": {"choices": [{"message": {}}]}}, "_OTHER"),
    "html": (b"<!doctype html><html><body>Please log in</body></html>", "_OTHER"),
    "nothing": (b"", "_OTHER"),
}
KINDS = {"html": "text/html; charset=utf-8", "nothing": "text/plain"}


@pytest.mark.settings(emit_event=True)
@pytest.mark.parametrize("way", ["chat", "responses", "raw"])
@pytest.mark.parametrize("name", BODIES)
async def test_an_error_with_status_200_is_a_failure_that_cost_nothing(
    trail, driver, serve, name, way
):
    body, error = BODIES[name]
    headers = {"content-type": KINDS[name]} if name in KINDS else {}
    client = driver.client(serve(Plain(body, headers=headers)))
    if way == "responses":
        await driver.call(responses_of(client).create, model="gpt-4o-mini", input="Which trees?")
    else:
        calls = client.chat.completions
        create = calls.create if way == "chat" else calls.with_raw_response.create
        await driver.call(create, model="gpt-4o-mini", messages=MESSAGES)
    assert _usage(_check(trail, "failed", error)) == {}
    assert not trail.metrics.names() & {"gen_ai.client.token.usage", "tokentrail.usage.tokens"}


async def test_an_error_beside_no_vectors_is_a_failure_that_cost_nothing(trail, driver, serve):
    body = {"object": "list", "model": "e", "data": [], "error": {"code": "no_model"}}
    client = driver.client(serve(Plain(body)))
    await driver.call(client.embeddings.create, model="e", input="Old?", encoding_format="float")
    told = trail.spans.attributes()
    assert (told["tokentrail.outcome"], told["error.type"]) == ("failed", "no_model")
    assert _usage(told) == {}


STARTED = {"id": "r", "object": "response", "model": "gpt-4o-mini", "output": []}
CHAT = completion({"content": "Alders."}).body


@pytest.mark.parametrize("way", ["create", "with_raw_response.create"])
async def test_the_answer_of_another_api_is_a_failure(trail, driver, serve, way):
    create = responses_of(driver.client(serve(Plain(CHAT))))
    for name in way.split("."):
        create = getattr(create, name)
    await driver.call(create, model="gpt-4o-mini", input="Trees?")
    assert trail.spans.attributes()["tokentrail.outcome"] == "failed"


FAILED = {
    "a number": ({"status": "failed", "error": {"code": 503, "message": "no"}}, "503"),
    "a text": ({"status": "failed", "error": "overloaded"}, "overloaded"),
    "no code": ({"status": "failed", "error": None}, "_OTHER"),
    "a status of its own": ({"status": "error", "error": {"code": "busy"}}, "busy"),
    "in capitals": ({"status": "FAILED", "error": {"code": "busy"}}, "busy"),
    "beside another status": ({"status": "incomplete", "error": {"code": "busy"}}, "busy"),
}


@pytest.mark.settings(emit_event=True)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", FAILED)
async def test_a_response_that_failed_before_its_output_cost_nothing(
    trail, driver, serve, name, stream
):
    more, error = FAILED[name]
    begun = {"type": "response.created", "response": {**STARTED, "status": "in_progress"}}
    ended = {"type": "response.failed", "response": {**STARTED, **more}}
    reply = Stream([Event(begun), Event(ended)]) if stream else Plain({**STARTED, **more})
    create = responses_of(driver.client(serve(reply))).create
    answer = await driver.call(create, model="gpt-4o-mini", input="Trees?", stream=stream)
    if stream:
        await driver.read(answer)
    assert _usage(_check(trail, "failed", error)) == {}


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"type": "error", "code": 429, "message": "slow down"}, "429"),
        ({"type": "error", "code": None, "message": "slow down"}, "error"),
        ({"detail": "Not Found"}, "_OTHER"),
    ],
)
async def test_an_error_event_instead_of_a_response_cost_nothing(
    trail, driver, serve, event, error
):
    create = responses_of(driver.client(serve(Stream([Event(event)])))).create
    await driver.read(await driver.call(create, model="gpt-4o-mini", input="Trees?", stream=True))
    told = trail.spans.attributes()
    assert (told["tokentrail.outcome"], told["error.type"]) == ("failed", error)
    assert _usage(told) == {}


CHOICES = {
    "an error": ({"error": {"code": "overloaded", "message": "busy"}}, "length", "overloaded"),
    "a number": ({"error": {"code": 504, "message": "slow"}}, "stop", "504"),
    "a reason": ({}, "error", "_OTHER"),
    "a reason in another word": ({}, "failed", "_OTHER"),
    "a reason in capitals": ({}, "ERROR", "_OTHER"),
    "a reason of its own": ({}, "network_error", "network_error"),
    "a text": ({"error": "overloaded"}, "stop", "overloaded"),
}


@pytest.mark.settings(emit_event=True)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", CHOICES)
async def test_an_error_inside_a_choice_is_a_failure_of_what_was_used(trail, ask, name, stream):
    more, finish, error = CHOICES[name]
    usage = {"prompt_tokens": 31, "completion_tokens": 4, "total_tokens": 35}
    said = {"content": "Willows and"}
    plain = completion(said, finish, choice=more, usage=usage)
    reply = streamed(chunk(said), chunk({}, finish, choice=more, usage=usage)) if stream else plain
    await ask(reply, stream=stream)
    told = _check(trail, "failed", error)
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (31, 4)


@pytest.mark.parametrize("choices", [[], "none"])
async def test_an_answer_without_a_choice_cost_nothing(trail, ask, choices):
    await ask(Plain({**completion({}).body, "choices": choices}))
    assert _usage(trail.spans.attributes()) == {}


@pytest.mark.parametrize("error", [{}, {"code": 0, "message": ""}, False, ""])
async def test_an_empty_error_is_no_error(trail, ask, error):
    await ask(completion({"content": "Alders."}, error=error))
    told = trail.spans.attributes()
    assert (told["tokentrail.outcome"], told["gen_ai.usage.output_tokens"]) == ("completed", 4)


EVENTS = {
    "an object": ({"object": "error", "message": "no", "code": "bad_model"}, "bad_model"),
    "a code and words": ({"code": 1305, "msg": "too many"}, "1305"),
    "a list": ({"errors": [{"code": "busy"}]}, "busy"),
    "a framework's": ({"detail": "Not Found"}, "_OTHER"),
    "a usage of nothing": (
        {"code": 1305, "msg": "no", "usage": {"prompt_tokens": 0, "completion_tokens": 0}}, "1305",
    ),
}  # fmt: skip


@pytest.mark.settings(emit_event=True)
@pytest.mark.parametrize("begun", [False, True], ids=["at first", "after content"])
@pytest.mark.parametrize("name", EVENTS)
async def test_an_event_that_complains_is_a_failure_if_no_end_comes(trail, ask, name, begun):
    """The client takes it for a chunk, and raises nothing."""
    body, error = EVENTS[name]
    await ask(streamed(*[SAID] * begun, Event(body)), stream=True)
    told = _check(trail, "failed", error)
    assert told.get("gen_ai.usage.output_tokens") == (4 if begun else None)
    assert bool(_usage(told)) is begun


async def test_an_event_for_information_changes_nothing(trail, ask):
    await ask(streamed(Event({"message": "waiting"}), SAID, chunk({}, "stop")), stream=True)
    told = trail.spans.attributes()
    assert (told["tokentrail.outcome"], told["gen_ai.usage.output_tokens"]) == ("completed", 4)


class Tree(BaseModel):
    """What the application wants."""

    name: str


CUT = Answer(('{"nam',), Usage(17, 3), "gpt-4o-mini", finish_reason="length")


@pytest.mark.settings(emit_event=True)
async def test_what_the_client_s_chat_helper_raises_is_the_failure(trail, driver, serve):
    client = driver.client(serve(Stream(chat.chunks(CUT, "finish"))))
    helper = getattr(client.chat.completions, "stream", None) or client.beta.chat.completions.stream
    with pytest.raises(openai.LengthFinishReasonError):
        async with driver.within(
            helper(model="gpt-4o-mini", messages=MESSAGES, response_format=Tree)
        ) as stream:
            await driver.read(stream)
    told = _check(trail, "failed", "openai.LengthFinishReasonError")
    assert told["gen_ai.usage.output_tokens"] == 3


@pytest.mark.settings(emit_event=True)
async def test_what_the_client_s_responses_helper_raises_is_the_failure(trail, driver, serve):
    wrong = Answer(('{"name": 7}',), Usage(17, 3), "gpt-4o-mini")
    client = driver.client(serve(Stream(responses.events(wrong))))
    with pytest.raises(ValidationError):
        async with driver.within(
            responses_of(client).stream(model="gpt-4o-mini", input="A tree.", text_format=Tree)
        ) as stream:
            await driver.read(stream)
    _check(trail, "failed", "pydantic_core._pydantic_core.ValidationError")


async def test_what_the_application_raises_is_no_failure_of_the_call(trail, driver, serve):
    client = driver.client(serve(Stream(chat.chunks(Answer(), "none"))))
    helper = getattr(client.chat.completions, "stream", None) or client.beta.chat.completions.stream
    with pytest.raises(LookupError):  # noqa: PT012 - the body of the application
        async with driver.within(helper(model="gpt-4o-mini", messages=MESSAGES)) as stream:
            await driver.next(stream)
            raise LookupError
    told = trail.spans.attributes()
    assert (told["tokentrail.outcome"], "error.type" in told) == ("closed_early", False)


BEGUN = responses.events(Answer(("Alders.",), None, "gpt-4o-mini"))
TRUNCATED = {
    "no finish reason": ("chat", [SAID], 4),
    "null for a reason": ("chat", [chunk({"content": "Alders."}, "null")], 4),
    "no chunk": ("chat", [Event({"type": "ping"})], None),
    "no event": ("chat", [], None),
    "no response.completed": ("responses", BEGUN[:-3], 4),
    "in progress": ("responses", BEGUN[:2], None),
}


@pytest.mark.settings(emit_event=True)
@pytest.mark.parametrize("name", TRUNCATED)
async def test_a_stream_without_a_mark_of_its_end_is_truncated(trail, driver, serve, name):
    api, events, written = TRUNCATED[name]
    client = driver.client(serve(Stream(events)))
    more = {"messages": MESSAGES} if api == "chat" else {"input": "Which trees?"}
    create = client.chat.completions.create if api == "chat" else responses_of(client).create
    await driver.read(await driver.call(create, model="gpt-4o-mini", stream=True, **more))
    told = _check(trail, "truncated", None)
    assert (told.get("gen_ai.usage.output_tokens") or 0) == (written or 0)
    if name in {"no event", "no chunk"}:
        assert _usage(told) == {}


async def test_a_plain_response_in_progress_is_truncated_unless_in_the_background(
    trail, driver, serve
):
    body = responses.response(Answer(("Alders.",), None, "gpt-4o-mini"), "in_progress")
    client = driver.client(serve(Plain(body)))
    for more in ({}, {"background": True}):
        await driver.call(responses_of(client).create, model="gpt-4o-mini", input="Trees?", **more)
    told = [span.attributes["tokentrail.outcome"] for span in trail.spans.all()]
    assert told == ["truncated", "completed"]


@pytest.mark.parametrize(
    "page",
    [
        Plain(b"<html>Log in</html>", headers={"content-type": "text/html"}),
        Plain({"error": {"message": "no", "code": "full"}}),
        Plain({"detail": "Not Found"}),
        Plain(b"upstream unavailable", headers={"content-type": "text/plain; charset=utf-8"}),
        Plain(b"<Error><Code>no</Code></Error>", headers={"content-type": "application/xml"}),
    ],
    ids=["html", "an error", "a framework's", "text", "xml"],
)
async def test_another_body_in_place_of_a_stream_is_a_failure(trail, ask, page):
    """The client finds no event in it, and raises nothing."""
    assert await ask(page, stream=True) == []
    told = trail.spans.attributes()
    assert (told["tokentrail.outcome"], told["error.type"]) == ("failed", "_OTHER")
    assert _usage(told) == {}


async def test_an_error_event_that_comes_first_costs_nothing(trail, ask):
    with pytest.raises(openai.APIError):
        await ask(streamed(Event({"error": {"message": "no", "code": "full"}})), stream=True)
    told = trail.spans.attributes()
    assert told["tokentrail.outcome"] == "failed"
    assert _usage(told) == {}


async def test_the_usage_on_the_chunk_of_an_error_is_read(trail, ask):
    usage = {"prompt_tokens": 43, "completion_tokens": 9, "total_tokens": 52}
    end = chunk({}, "length")
    broken = Event({**chunk({"content": ""}).data, "error": {"code": 400}, "usage": usage})
    with pytest.raises(openai.APIError):
        await ask(streamed(SAID, end, broken), stream=True)
    told = trail.spans.attributes()
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (43, 9)


async def _lines(driver, answer):
    if driver.mode == "async":
        return [line async for line in answer.iter_lines()]
    return list(answer.iter_lines())


@shared.both_modes
@pytest.mark.parametrize("loaded", [False, True])
async def test_a_body_that_the_application_reads_itself_is_completed(trail, driver, serve, loaded):
    """By lines, or after a hook of the HTTP client loaded it: nothing is known, nothing made up."""
    client = driver.client(serve(streamed(SAID, chunk({}, "stop"))))

    async def load_async(response):
        await response.aread()

    if loaded:
        hook = load_async if driver.mode == "async" else lambda response: response.read()
        client._client.event_hooks["response"].append(hook)
    create = client.chat.completions.with_streaming_response.create
    call = create(model="gpt-4o-mini", messages=MESSAGES, stream=True)
    async with driver.within(call) as answer:
        assert len(await _lines(driver, answer)) > 2
    told = trail.spans.attributes()
    assert told["tokentrail.outcome"] == "completed"
    assert "gen_ai.response.finish_reasons" not in told
    assert "gen_ai.usage.output_tokens" not in told


@pytest.mark.parametrize("finish", [{"type": "stop"}, ["stop"]])
async def test_a_finish_reason_that_is_no_word_is_none(trail, ask, finish):
    """The stream has no mark of its end that can be read; its text is counted."""
    await ask(streamed(SAID, chunk({}, finish)), stream=True)
    told = trail.spans.attributes()
    assert told["tokentrail.outcome"] == "truncated"
    assert told["gen_ai.usage.output_tokens"] == 4


@pytest.mark.settings(emit_event=True)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_that_was_cancelled_is_neither_completed_nor_failed(
    trail, driver, serve, stream
):
    """By your program, in another call; a server may still report what it used."""
    usage = {"input_tokens": 31, "output_tokens": 4, "total_tokens": 35}
    ended = {**STARTED, "status": "cancelled", "usage": usage, "output": []}
    event = Event({"type": "response.cancelled", "response": ended})
    create = responses_of(driver.client(serve(Stream([event]) if stream else Plain(ended)))).create
    answer = await driver.call(create, model="gpt-4o-mini", input="Trees?", stream=stream)
    if stream:
        await driver.read(answer)
    told = _check(trail, "cancelled", None)
    assert told["gen_ai.response.status"] == "cancelled"
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (31, 4)


@pytest.mark.settings(emit_event=True)
@pytest.mark.parametrize("way", ["retrieve", "cancel"])
@pytest.mark.parametrize("status", ["cancelled", "failed", "incomplete", "queued"])
async def test_fetching_a_response_is_completed_however_that_ended(
    trail, driver, serve, status, way
):
    responses_api = responses_of(driver.client(serve(Plain({**STARTED, "status": status}))))
    await driver.call(getattr(responses_api, way), "resp_7")
    told = trail.spans.attributes()
    assert (told["tokentrail.outcome"], told["gen_ai.response.status"]) == ("completed", status)
    assert "error.type" not in told


@pytest.mark.parametrize("status", ["queued", "in_progress"])
async def test_a_response_made_in_the_background_is_completed_when_it_is_accepted(
    trail, driver, serve, status
):
    create = responses_of(driver.client(serve(Plain({**STARTED, "status": status})))).create
    await driver.call(create, model="gpt-4o-mini", input="Trees?", background=True)
    assert trail.spans.attributes()["tokentrail.outcome"] == "completed"
