"""A server that refuses the option is asked again without it, once, and spared for a while."""

from __future__ import annotations

import contextlib
import functools
import json

import openai
import pytest
from tests.shared import helper_stream

from tokentrail.patching.replay import repeatable
from tokentrail.runtime import stream_usage
from tokentrail.testing.payloads import errors
from tokentrail.testing.server import Event, Plain, Stream

from .conftest import ANSWER, MESSAGES, is_asked, refusal, says, says_text, seen

REFUSALS = {
    "OpenAI": (
        400,
        {
            "error": {
                "message": "Unknown parameter: 'stream_options'.",
                "type": "invalid_request_error",
                "param": "stream_options",
                "code": "unknown_parameter",
            }
        },
    ),
    "Azure": (
        400,
        {
            "error": {
                "message": "Unrecognized request argument supplied: stream_options",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
        },
    ),
    "vLLM": (
        400,
        {
            "object": "error",
            "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), "
            "'msg': 'Extra inputs are not permitted', 'input': {'include_usage': True}}]",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "pydantic": (
        422,
        {
            "detail": [
                {
                    "type": "extra_forbidden",
                    "loc": ["body", "stream_options"],
                    "msg": "Extra inputs are not permitted",
                    "input": {"include_usage": True},
                }
            ]
        },
    ),
    "a list of errors": (
        400,
        {"errors": [{"message": "max_tokens is deprecated"}, {"param": "stream_options"}]},
    ),
    "text": (400, b"stream_options is not supported"),
    "Google, in a list": (
        400,
        [{"error": {"message": 'Unknown name "stream_options": Cannot find field.'}}],
    ),
    "Mistral-like": (422, {"message": "'stream_options': extra fields not permitted"}),
    "a field as a key": (400, {"errors": {"stream_options": ["not a valid field"]}}),
    "not implemented": (501, {"error": {"message": "stream_options is not implemented"}}),
    "in camel case": (400, {"error": {"message": "streamOptions: unknown field"}}),
    "by another status": (403, {"error": {"message": "stream options are not in your plan"}}),
    "as an accident": (500, {"error": "KeyError: 'stream_options'"}),
    "as out of service": (503, b"upstream: unsupported field stream_options"),
    "only the option's own name": (400, {"error": {"message": "include_usage: not supported"}}),
}


async def _stream(driver, client, **changed):
    asked = {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": True, **changed}
    stream = await driver.call(client.chat.completions.create, **asked)
    return [seen(chunk) for chunk in await driver.read(stream)]


@pytest.mark.parametrize(("status", "body"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_is_not_the_application_s(ways, serve, status, body):
    """It gets its stream by a second call, in the same span, and the span says so."""
    server = serve(refusal(body, status))
    client = ways.driver.client(server)
    saw = await ways.compared(lambda: _stream(ways.driver, client))
    assert len(saw) == 9
    assert [is_asked(call) for call in server.calls] == [False, True, False]
    span = ways.trail.spans.one()
    attributes = dict(span.attributes)
    assert attributes["tokentrail.stream_usage"] == "refused"
    assert attributes["tokentrail.outcome"] == "completed"
    assert attributes["tokentrail.usage.output.source"] == "counted"
    assert attributes["gen_ai.usage.output_tokens"] == 7
    assert not span.status.description
    assert ways.trail.metrics.one("gen_ai.client.operation.duration").count == 1


async def test_a_refusal_is_remembered_for_the_server(driver, trail, serve, monkeypatch):
    """By base URL: for ten minutes the next calls ask for nothing, then one does."""
    trail.instrument(stream_usage="request")
    server, other = serve(refusal(REFUSALS["Azure"][1])), serve(says())
    client, second, third = (driver.client(s) for s in (server, server, other))
    for asked in (client, client, second, third):
        await _stream(driver, asked)
    assert [is_asked(call) for call in server.calls] == [True, False, False, False]
    assert is_asked(other.calls[0])
    values = [span.attributes.get("tokentrail.stream_usage") for span in trail.spans.all()]
    assert values == ["refused", None, None, "requested"]
    clock = stream_usage.time.monotonic
    for later in (540, 601):
        monkeypatch.setattr(stream_usage.time, "monotonic", lambda later=later: clock() + later)
        await _stream(driver, client)
    assert [is_asked(call) for call in server.calls[4:]] == [False, True, False]


WORDS = {"error": {"message": "Unknown parameter: 'stream_options'.", "code": 400}}


@pytest.mark.parametrize("reply", [Stream([Event(WORDS)]), Plain(WORDS)], ids=["event", "JSON"])
async def test_a_refusal_inside_an_answer_is_remembered(driver, trail, serve, reply):
    """The first stream has it as it was sent; the next are not asked."""
    trail.instrument(stream_usage="request")
    server = serve(lambda call: reply if is_asked(call) else says()(call))
    client = driver.client(server)
    with contextlib.suppress(openai.APIError):
        assert await _stream(driver, client) == []
    assert [len(await _stream(driver, client)) for _ in range(2)] == [9, 9]
    assert [is_asked(call) for call in server.calls] == [True, False, False]


async def test_another_error_inside_an_answer_is_no_refusal(driver, trail, serve):
    trail.instrument(stream_usage="request")
    server = serve(lambda _: Stream([Event({"error": {"message": "Too busy."}})]))
    client = driver.client(server)
    for _ in range(2):
        with pytest.raises(openai.APIError, match=r"Too busy\."):
            await _stream(driver, client)
    assert [is_asked(call) for call in server.calls] == [True, True]


async def test_an_api_version_speaks_for_itself(driver, trail, serve):
    """An old version of Azure's refuses, a newer one of the same host is asked."""
    trail.instrument(stream_usage="request")
    server = serve(refusal(REFUSALS["Azure"][1]))
    for version in ("2023-05-15", "2024-10-21", "2023-05-15"):
        await _stream(driver, driver.client(server, "azure", api_version=version))
    versions = [(call.query["api-version"], is_asked(call)) for call in server.calls]
    assert versions == [
        ("2023-05-15", True),
        ("2023-05-15", False),
        ("2024-10-21", True),
        ("2024-10-21", False),
        ("2023-05-15", False),
    ]


async def test_an_api_version_given_as_a_query_speaks_for_itself(driver, trail, serve):
    """By the client's own queries or by a call's, as for a gateway before Azure."""
    trail.instrument(stream_usage="request")
    refusing = refusal(REFUSALS["Azure"][1])

    def respond(call):
        return refusing(call) if call.query.get("api-version") == "old" else says()(call)

    server = serve(respond)
    old = driver.client(server, default_query={"api-version": "old"})
    new = driver.client(server, default_query={"api-version": "new"})
    for client, more in ((old, {}), (old, {}), (new, {}), (old, {"api-version": "new"})):
        await _stream(driver, client, extra_query=more)
    versions = [(call.query["api-version"], is_asked(call)) for call in server.calls]
    assert versions == [
        ("old", True),
        ("old", False),
        ("old", False),
        ("new", True),
        ("new", True),
    ]


def test_the_memory_is_bounded_and_short(monkeypatch):
    remembered, now = stream_usage.StreamUsageMemory(), [0.0]
    monkeypatch.setattr(stream_usage.time, "monotonic", lambda: now[0])
    for number in range(10_000):
        remembered.add_refusal(f"http://server-{number}")
    assert len(remembered._habits) == stream_usage.REMEMBERED
    assert remembered.habit("http://server-9999")
    assert not remembered.habit("http://server-0")
    now[0] += stream_usage.FORGOTTEN_AFTER
    assert not remembered.habit("http://server-9999")


async def test_an_error_of_the_second_call_stands_alone(driver, trail, serve):
    """It has no context of the first, and the server is not remembered for what it did not show."""
    trail.instrument(stream_usage="request")

    def respond(call):
        if is_asked(call):
            return Plain(REFUSALS["Azure"][1], 400)
        return errors.reply(404, "no such model", code="model_not_found")

    server = serve(respond)
    client = driver.client(server)
    for _ in range(2):
        with pytest.raises(openai.NotFoundError) as caught:
            await _stream(driver, client)
        error = caught.value
        seen_errors = set()
        while error is not None and id(error) not in seen_errors:
            seen_errors.add(id(error))
            assert not isinstance(error, openai.BadRequestError)
            error = error.__context__ or error.__cause__
    assert [is_asked(call) for call in server.calls] == [True, False] * 2
    span = trail.spans.all()[0]
    assert span.attributes["error.type"].endswith("NotFoundError")
    assert span.attributes["tokentrail.stream_usage"] == "refused"


ECHO = {"temperature": 9, "stream": True, "stream_options": {"include_usage": True}}
NESTED = functools.reduce(lambda inner, _: [inner], range(99), "stream_options")
OTHERS = {
    "another parameter": (400, {"error": {"message": "Unknown parameter: 'streem'."}}),
    "another parameter, all of the request beside it": (
        422,
        {"detail": [{"loc": ["body", "temperature"], "msg": "too hot", "input": ECHO}]},
    ),
    "the same in words": (
        400,
        {"message": f"[{{'loc': ('body', 'temperature'), 'msg': 'too hot', 'input': {ECHO}}}]"},
    ),
    "the same in JSON": (400, {"error": {"message": f"too hot: {json.dumps(ECHO)}"}}),
    "the same in JSON in JSON": (400, {"message": f"too hot: {json.dumps(json.dumps(ECHO))}"}),
    "nothing but nesting": (400, NESTED),
    "no words": (400, None),
    "an accident": (500, {"error": {"message": "out of memory"}}),
}


@pytest.mark.parametrize(("status", "body"), OTHERS.values(), ids=OTHERS)
async def test_other_errors_are_the_application_s(driver, trail, serve, status, body):
    """They are no refusal of the option, so nothing is called twice."""
    trail.instrument(stream_usage="request")
    server = serve(lambda _: Plain(body, status))
    with pytest.raises(openai.APIStatusError) as caught:
        await _stream(driver, driver.client(server))
    assert caught.value.status_code == status
    assert len(server.calls) == 1
    assert trail.spans.attributes()["tokentrail.stream_usage"] == "requested"


async def test_a_refusal_of_the_application_s_own_option_is_its_own(driver, trail, serve):
    """Where it set the option, it gets the server's answer to that."""
    trail.instrument(stream_usage="request")
    server = serve(refusal(REFUSALS["OpenAI"][1]))
    with pytest.raises(openai.BadRequestError):
        await _stream(driver, driver.client(server), stream_options={"include_usage": True})
    assert len(server.calls) == 1


async def test_the_application_s_other_options_are_sent_again(driver, trail, serve):
    """Only what we added is taken back."""
    trail.instrument(stream_usage="request")

    def respond(call):
        return Plain(REFUSALS["OpenAI"][1], 400) if is_asked(call) else says()(call)

    server = serve(respond)
    options = {"include_obfuscation": False}
    await _stream(driver, driver.client(server), stream_options=options)
    assert [call.body["stream_options"] for call in server.calls] == [
        {"include_obfuscation": False, "include_usage": True},
        {"include_obfuscation": False},
    ]
    assert options == {"include_obfuscation": False}


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


async def test_what_can_be_read_but_once_is_sent_again_whole(driver, trail, serve):
    """Messages and tools that come from generators are the same in the second call."""
    trail.instrument(stream_usage="request")
    server = serve(refusal(REFUSALS["Azure"][1]))
    await _stream(
        driver,
        driver.client(server),
        messages=(message for message in MESSAGES),
        tools=iter([TOOL]),
    )
    first, second = server.calls
    assert first.body["messages"] == second.body["messages"] == MESSAGES
    assert first.body["tools"] == second.body["tools"] == [TOOL]
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.input.source"] == "counted"
    assert attributes["gen_ai.usage.output_tokens"] == 7 + 1  # beside a tool that was not called


async def test_what_is_in_an_iterator_is_sent_again_whole(driver, trail, serve):
    """A generator of messages may give iterators in its turn: of parts, of tool calls."""
    trail.instrument(stream_usage="request")
    server = serve(refusal(REFUSALS["Azure"][1]))
    parts = [{"type": "text", "text": "Tell me"}, {"type": "text", "text": " of the sea."}]
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": iter(parts)},
        {"role": "assistant", "content": "", "tool_calls": iter([call])},
        {"role": "tool", "tool_call_id": "c", "content": "Deep."},
    ]
    await _stream(driver, driver.client(server), messages=(message for message in messages))
    first, second = server.calls
    assert is_asked(first)
    assert first.body["messages"] == second.body["messages"]
    assert second.body["messages"][0]["content"] == parts
    assert second.body["messages"][1]["tool_calls"] == [call]
    assert type(messages[0]["content"]) is type(iter([]))


async def test_ids_in_an_iterator_are_sent_again_whole(driver, trail, serve):
    """Each prompt of several may be an iterator of token ids."""
    trail.instrument(stream_usage="request")

    def respond(call):
        refused = "stream_options" in call.body
        return Plain(REFUSALS["Azure"][1], 400) if refused else says_text(ANSWER)(call)

    server = serve(respond)
    stream = await driver.call(
        driver.client(server).completions.create,
        model="gpt-3.5-turbo-instruct",
        prompt=(iter(ids) for ids in ([1, 2], [3])),
        stream=True,
    )
    await driver.read(stream)
    assert [call.body["prompt"] for call in server.calls] == [[[1, 2], [3]]] * 2


def test_what_is_repeatable_is_by_its_class_what_it_was():
    """The client's errors name it; the caller's own mapping is not changed."""
    given = {"content": iter(["a", "b"]), "role": "user"}
    kept = repeatable(given)
    assert kept["content"].__class__ is type(iter([]))
    assert [list(kept["content"]) for _ in range(2)] == [["a", "b"]] * 2
    assert type(given["content"]) is type(iter([]))
    for plain in ({"role": "user", "content": [1]}, "text", None, 5, [iter([])]):
        assert repeatable(plain) is plain


def test_what_was_read_in_part_begins_anew():
    """The first try may break off anywhere."""
    kept = repeatable(iter("abc"))
    assert next(iter(kept)) == "a"
    assert list(kept) == list(kept) == ["a", "b", "c"]


async def test_a_legacy_prompt_of_ids_is_sent_again_whole(driver, trail, serve):
    """The same for ``completions`` and its token ids."""
    trail.instrument(stream_usage="request")

    def respond(call):
        refused = "stream_options" in call.body
        return Plain(REFUSALS["vLLM"][1], 400) if refused else says_text(ANSWER)(call)

    server = serve(respond)
    stream = await driver.call(
        driver.client(server).completions.create,
        model="gpt-3.5-turbo-instruct",
        prompt=iter([1, 2, 3]),
        stream=True,
    )
    assert len(await driver.read(stream)) == 8
    assert [call.body["prompt"] for call in server.calls] == [[1, 2, 3]] * 2
    assert trail.spans.attributes()["gen_ai.usage.input_tokens"] == 3


async def test_a_helper_stream_refused_is_a_stream(driver, trail, serve):
    """The helper knows nothing of the second call."""
    trail.instrument(stream_usage="request")
    server = serve(refusal(REFUSALS["pydantic"][1], 422))
    client = driver.client(server)
    async with driver.within(
        helper_stream(client)(model="gpt-4o-mini", messages=MESSAGES)
    ) as stream:
        whole = await driver.call(stream.get_final_completion)
    assert whole.choices[0].message.content == ANSWER.texts[0]
    assert [is_asked(call) for call in server.calls] == [True, False]
    assert trail.spans.attributes()["tokentrail.stream_usage"] == "refused"


async def test_both_calls_stand_in_one_span(driver, trail, serve):
    """What is traced below has the same parent."""
    from opentelemetry import trace

    trail.instrument(stream_usage="request")
    parents = []
    server = serve(refusal(REFUSALS["Azure"][1]))

    client = driver.client(server)
    send = client._client.send

    def watched(*args, **kwargs):
        parents.append(trace.get_current_span().get_span_context().span_id)
        return send(*args, **kwargs)

    client._client.send = watched
    await _stream(driver, client)
    assert parents == [trail.spans.one().context.span_id] * 2
