"""Where usage comes from, case by case, on the wire: what the span says and what it leaves out."""

from __future__ import annotations

import collections
import contextlib
import json

import pytest
from tests import shared

from tokentrail.testing.payloads import Answer, ToolCall, Usage, chat, errors, responses
from tokentrail.testing.server import Cut, Drop, Event, Plain, Raw, Stream

pytestmark = pytest.mark.usefixtures("encodings")

mode = shared.either_mode

MESSAGES = [{"role": "user", "content": "Hello, how are you?"}]
HI = Answer(("Hi",))
PIECES = ("Hello", " there", ".")
HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "gpt-4o-2024-08-06",
}
ABSENT = object()


def _usage(prompt, completion):
    return {"prompt_tokens": prompt, "completion_tokens": completion}


def _chunk(delta=None, *, usage=ABSENT, reason=None, model=None):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    told = {} if usage is ABSENT else {"usage": usage}
    named = {} if model is None else {"model": model}
    return Event({**HEAD, "choices": choices, **told, **named})


def _texts(*usages, model=None):
    """Return a chunk for each piece of the text; the usages stand on them in their order."""
    given = [*usages, *[ABSENT] * len(PIECES)]
    return [
        _chunk({"content": piece}, usage=usage, model=model)
        for piece, usage in zip(PIECES, given, strict=False)
    ]


def _finish(usage=ABSENT, **named):
    return _chunk({}, reason="stop", usage=usage, **named)


def _trailing(usage):
    return _chunk(usage=usage)


COUNTED_INPUT = {
    "tokentrail.usage.input.source": "counted",
    "gen_ai.usage.input_tokens": 13,
    "tokentrail.usage.encoding": "o200k_base",
}
COUNTED = {
    **COUNTED_INPUT,
    "tokentrail.usage.output.source": "counted",
    "gen_ai.usage.output_tokens": 3,
}
REPORTED_INPUT = {"tokentrail.usage.input.source": "reported", "gen_ai.usage.input_tokens": 40}
REPORTED = {
    **REPORTED_INPUT,
    "tokentrail.usage.output.source": "reported",
    "gen_ai.usage.output_tokens": 50,
}
COUNTED_OUTPUT = {
    "tokentrail.usage.output.source": "counted",
    "gen_ai.usage.output_tokens": 3,
    "tokentrail.usage.encoding": "o200k_base",
}


def _approximated_output(tokens):
    return {
        "tokentrail.usage.output.source": "approximated",
        "tokentrail.usage.approximated.output_tokens": tokens,
    }


FULL = _usage(40, 50)
STREAMS = {
    "no usage": ([*_texts(), _finish()], COUNTED),
    "on a last chunk without a choice": ([*_texts(), _finish(), _trailing(FULL)], REPORTED),
    "on the finishing chunk": ([*_texts(), _finish(FULL)], REPORTED),
    "on a chunk with a choice, then a bare one": (
        [*_texts(), _finish(FULL), _trailing(None)],
        REPORTED,
    ),
    "on every chunk": (
        [*_texts(_usage(40, 0), _usage(40, 1), _usage(40, 2)), _finish(FULL)],
        REPORTED,
    ),
    "on every chunk, null on the last with a choice": (
        [*_texts(_usage(40, 0), _usage(40, 1), _usage(40, 2)), _finish(None)],
        {**REPORTED_INPUT, **COUNTED_OUTPUT},
    ),
    "a partial number smaller than the count": (
        [*_texts(_usage(40, 1)), _finish()],
        {**REPORTED_INPUT, **COUNTED_OUTPUT},
    ),
    "a partial number larger than the count": (
        [*_texts(_usage(40, 9)), _finish()],
        {**REPORTED_INPUT, **_approximated_output(9)},
    ),
    "null everywhere": ([*_texts(None, None, None), _finish(None), _trailing(None)], COUNTED),
    "empty": ([*_texts(), _finish(), _trailing({})], COUNTED),
    "numbers as text": ([*_texts(), _finish(), _trailing(_usage("40", "50"))], REPORTED),
    "whole floats": ([*_texts(), _finish(), _trailing(_usage(40.0, 50.0))], REPORTED),
    "numbers with a fraction": ([*_texts(), _finish(), _trailing(_usage(40.5, 50.5))], COUNTED),
    "true for a number": ([*_texts(), _finish(), _trailing(_usage(True, True))], COUNTED),
    "negative": ([*_texts(), _finish(), _trailing(_usage(-1, -1))], COUNTED),
    "no mapping": ([*_texts(), _finish(), _trailing("none")], COUNTED),
    "the input alone": (
        [*_texts(), _finish(), _trailing({"prompt_tokens": 40, "completion_tokens": None})],
        {**REPORTED_INPUT, **COUNTED_OUTPUT},
    ),
    "the output alone": (
        [*_texts(), _finish(), _trailing({"completion_tokens": 50})],
        {
            **COUNTED_INPUT,
            "tokentrail.usage.output.source": "reported",
            "gen_ai.usage.output_tokens": 50,
        },
    ),
    "zero": ([*_texts(), _finish(), _trailing(_usage(0, 0))], COUNTED),
    "an unknown model": (
        [*_texts(model="llama-9"), _finish(model="llama-9")],
        {
            "tokentrail.usage.input.source": "approximated",
            "tokentrail.usage.approximated.input_tokens": 13,
            **_approximated_output(3),
            "tokentrail.usage.encoding": "o200k_base",
        },
    ),
}


def _usage_attributes(trail):
    return {k: v for k, v in trail.spans.attributes().items() if ".usage." in k}


def _conventional(trail):
    """Return the points of ``gen_ai.client.token.usage`` by type."""
    return {
        point.attributes["gen_ai.token.type"]: (
            point.attributes["tokentrail.usage.source"],
            point.sum,
            point.count,
        )
        for point in trail.metrics.points("gen_ai.client.token.usage")
    }


def _check_points(trail):
    """The metric says of both directions what the span says under ``gen_ai.*``, and no more."""
    told = _usage_attributes(trail)
    expected = {}
    for kind in ("input", "output"):
        if f"gen_ai.usage.{kind}_tokens" in told:
            source = told[f"tokentrail.usage.{kind}.source"]
            expected[kind] = (source, told[f"gen_ai.usage.{kind}_tokens"], 1)
    assert _conventional(trail) == expected


async def _stream(driver, server, **asked):
    client = driver.client(server)
    create = client.chat.completions.create
    asked = {"model": "gpt-4o", "messages": MESSAGES, **asked}
    return await driver.call(create, stream=True, **asked)


@pytest.mark.parametrize("case", STREAMS)
async def test_of_a_stream_that_is_read_to_its_end(trail, driver, serve, case):
    events, expected = STREAMS[case]
    stream = await _stream(driver, serve(Stream([*events, Event("[DONE]")])))
    await driver.read(stream)
    assert _usage_attributes(trail) == expected
    _check_points(trail)


@shared.both_modes
async def test_our_own_totals_distinguish_sources_and_outcomes(trail, driver, serve):
    """Of calls that are alike in all else."""
    partial = [*_texts(_usage(40, 0)), _finish(), Event("[DONE]")]
    server = serve(Stream([*_texts(), _finish(FULL)]), Stream(partial), Stream(partial))
    for taken in (9, 9, 1):
        stream = await _stream(driver, server)
        await driver.take(stream, taken)
        await driver.close(stream)
    ended = {
        point.attributes["tokentrail.outcome"]: point.value
        for point in trail.metrics.points("tokentrail.operations")
    }
    assert ended == {"completed": 2, "closed_early": 1}
    output = {
        tuple(point.attributes[f"tokentrail.{name}"] for name in ("usage.source", "outcome")): (
            point.value
        )
        for point in trail.metrics.points("tokentrail.usage.tokens", gen_ai_token_type="output")
    }
    assert output == {
        ("reported", "completed"): 50,
        ("counted", "completed"): 3,
        ("counted", "closed_early"): 1,
    }


NOT_WHOLE = {
    "closed early": ([*_texts(), _finish()], 2, {**COUNTED, "gen_ai.usage.output_tokens": 2}),
    "closed early, a smaller number seen": (
        [*_texts(_usage(40, 0), _usage(40, 1)), _finish(FULL)],
        2,
        {**REPORTED_INPUT, **COUNTED_OUTPUT, "gen_ai.usage.output_tokens": 2},
    ),
    "closed early, a larger number seen": (
        [*_texts(_usage(40, 0), _usage(40, 7)), _finish(FULL)],
        2,
        {**REPORTED_INPUT, **_approximated_output(7)},
    ),
    "closed early when all was said": ([*_texts(), _finish(FULL), _trailing(None)], 4, REPORTED),
    "never iterated": ([*_texts(), _finish(FULL)], 0, COUNTED_INPUT),
}


@shared.both_modes
@pytest.mark.parametrize("case", NOT_WHOLE)
async def test_of_a_stream_that_is_closed(trail, driver, serve, case):
    events, taken, expected = NOT_WHOLE[case]
    stream = await _stream(driver, serve(Stream([*events, Event("[DONE]")])))
    for _ in range(taken):
        await driver.next(stream)
    await driver.close(stream)
    assert _usage_attributes(trail) == expected
    assert "error.type" not in trail.spans.attributes()
    _check_points(trail)


FAILING = {
    "an error event first": ([errors.event()], {}),
    "an error event later": (
        [*_texts()[:2], errors.event()],
        {**COUNTED, "gen_ai.usage.output_tokens": 2},
    ),
    "cut": ([*_texts()[:2], Cut()], {**COUNTED, "gen_ai.usage.output_tokens": 2}),
}


@pytest.mark.parametrize("case", FAILING)
async def test_of_a_stream_that_fails(trail, driver, serve, case):
    steps, expected = FAILING[case]
    stream = await _stream(driver, serve(Stream(steps)))
    with pytest.raises(Exception) as raised:
        await driver.read(stream)
    attributes = trail.spans.attributes()
    kind = type(raised.value)
    assert attributes["error.type"] == f"{kind.__module__}.{kind.__qualname__}"
    assert attributes["tokentrail.outcome"] == "failed"
    assert _usage_attributes(trail) == expected
    _check_points(trail)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "reply",
    [errors.model_not_found("gpt-4o"), errors.reply(500, "no"), errors.reply(429, "no"), Drop()],
)
async def test_without_an_answer_there_is_no_usage(trail, driver, serve, reply, stream):
    """Neither on the span nor in any metric, not even what is approximated."""
    client = driver.client(serve(reply))
    create = client.chat.completions.create
    with pytest.raises(Exception):
        await driver.call(create, model="gpt-4o", messages=MESSAGES, stream=stream)
    assert _usage_attributes(trail) == {}
    assert trail.metrics.names() & {"gen_ai.client.token.usage", "tokentrail.usage.tokens"} == set()
    assert trail.metrics.one("gen_ai.client.operation.duration").count == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_of_several_attempts_the_last_counts(trail, driver, serve, stream):
    """Retries of the client are one call: one span, one point, the final answer's usage."""
    busy = Plain({"error": {"message": "busy"}}, 503, {"retry-after-ms": "1"})
    answer = Answer(("Hello there.",), Usage(40, 50), "gpt-4o-2024-08-06")
    good = Stream(chat.chunks(answer, "last")) if stream else Plain(chat.completion(answer))
    server = serve(busy, busy, good)
    client = driver.client(server, max_retries=2)
    create = client.chat.completions.create
    found = await driver.call(create, model="gpt-4o", messages=MESSAGES, stream=stream)
    if stream:
        await driver.read(found)
    assert len(server.calls) == 3
    assert _usage_attributes(trail) == REPORTED
    assert "error.type" not in trail.spans.attributes()
    assert trail.metrics.one("gen_ai.client.operation.duration").count == 1
    _check_points(trail)


@pytest.mark.parametrize("stream", [False, True])
async def test_of_several_choices_the_output_is_the_sum(trail, driver, serve, stream):
    """The input counts once; there is one point for each direction."""
    answer = Answer(("Hello there.", "Hello", "Hello there"), None, "gpt-4o-2024-08-06")
    reply = Stream(chat.chunks(answer)) if stream else Plain(chat.completion(answer))
    client = driver.client(serve(reply))
    create = client.chat.completions.create
    found = await driver.call(create, model="gpt-4o", messages=MESSAGES, n=3, stream=stream)
    if stream:
        await driver.read(found)
    assert _usage_attributes(trail) == {**COUNTED, "gen_ai.usage.output_tokens": 3 + 1 + 2}
    assert trail.spans.attributes()["gen_ai.response.finish_reasons"] == ("stop",) * 3
    _check_points(trail)


VISIBLE = {
    "tokentrail.usage.input.source": "counted",
    "gen_ai.usage.input_tokens": 12,
    "tokentrail.usage.encoding": "o200k_base",
    "tokentrail.usage.output.source": "visible",
    "tokentrail.usage.visible.output_tokens": 3,
}


@pytest.mark.parametrize("model", ["o1", "o3", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5.1"])
async def test_what_a_model_thinks_unseen_is_not_claimed(trail, driver, serve, model):
    answer = Answer(("Hello there.",), None, model)
    stream = await _stream(driver, serve(Stream(chat.chunks(answer))), model=model)
    await driver.read(stream)
    assert _usage_attributes(trail) == VISIBLE
    _check_points(trail)
    own = trail.metrics.one("tokentrail.usage.tokens", gen_ai_token_type="output")
    assert own.attributes["tokentrail.usage.source"] == "visible"
    assert own.value == 3


async def test_a_model_that_is_asked_not_to_reason_is_counted(trail, driver, serve):
    """With the 3 of its answer's header, which is billed where nothing was thought."""
    answer = Answer(("Hello there.",), None, "gpt-5.1")
    server = serve(Stream(chat.chunks(answer)))
    body = {"reasoning_effort": "none"}  # openai 1.40 takes it nowhere else
    stream = await _stream(driver, server, model="gpt-5.1", extra_body=body)
    await driver.read(stream)
    told = _usage_attributes(trail)
    assert told["tokentrail.usage.output.source"] == "counted"
    assert told["gen_ai.usage.output_tokens"] == 3 + 3


async def test_what_a_model_thinks_is_known_from_a_report(trail, driver, serve):
    answer = Answer(("Hello there.",), Usage(12, 195, reasoning=192), "o3")
    stream = await _stream(driver, serve(Stream(chat.chunks(answer, "last"))), model="o3")
    await driver.read(stream)
    assert _usage_attributes(trail) == {
        "tokentrail.usage.input.source": "reported",
        "gen_ai.usage.input_tokens": 12,
        "tokentrail.usage.output.source": "reported",
        "gen_ai.usage.output_tokens": 195,
        "gen_ai.usage.reasoning.output_tokens": 192,
    }


async def test_an_unknown_model_never_enters_the_conventional_names(trail, driver, serve):
    """It stands in our own counter, and there it says what it is."""
    answer = Answer(("Hello there.",), None, "llama-9")
    server = serve(Stream(chat.chunks(answer)))
    stream = await _stream(driver, server, model="llama-9")
    await driver.read(stream)
    assert not [name for name in _usage_attributes(trail) if name.startswith("gen_ai.")]
    assert trail.metrics.points("gen_ai.client.token.usage") == []
    own = trail.metrics.points("tokentrail.usage.tokens")
    assert {(p.attributes["gen_ai.token.type"], p.value) for p in own} == {
        ("input", 13),
        ("output", 3),
    }
    assert {p.attributes["tokentrail.usage.source"] for p in own} == {"approximated"}


INFERENCE = "gen_ai.client.inference.usage"


async def test_a_part_of_a_report_is_no_part_of_a_count(trail, driver, serve):
    """Cached tokens of a report are told with the reported input, reasoning with its output."""
    details = {
        "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 1, "audio_tokens": 0},
    }
    steps = [*_texts({**_usage(40, 1), **details}), _finish(), Event("[DONE]")]
    stream = await _stream(driver, serve(Stream(steps)))
    await driver.read(stream)
    assert _usage_attributes(trail) == {
        **REPORTED_INPUT,
        "gen_ai.usage.cache_read.input_tokens": 30,
        **COUNTED_OUTPUT,
    }
    assert trail.metrics.one(f"{INFERENCE}.cache_read.input_tokens").value == 30
    assert trail.metrics.points(f"{INFERENCE}.reasoning.output_tokens") == []


@pytest.mark.settings(metric_names="both")
async def test_a_part_of_an_input_that_is_not_reported_is_no_part_of_its_count(
    trail, driver, serve
):
    details = {"cached_tokens": 8, "audio_tokens": 4}
    usage = {"completion_tokens": 50, "prompt_tokens_details": details}
    client = driver.client(serve(Plain({**chat.completion(HI), "usage": usage})))
    await driver.call(client.chat.completions.create, model="gpt-4o", messages=MESSAGES)
    assert _usage_attributes(trail) == {
        **COUNTED_INPUT,
        "tokentrail.usage.output.source": "reported",
        "gen_ai.usage.output_tokens": 50,
    }
    assert trail.metrics.points(f"{INFERENCE}.cache_read.input_tokens") == []
    assert trail.metrics.one(f"{INFERENCE}.input_tokens").attributes["gen_ai.token.modality"] == (
        "unknown"
    )


def _tool():
    about = {"type": "object", "properties": {"place": {"type": "string"}}}
    return {"type": "function", "function": {"name": "weather", "parameters": about}}


NAMED = {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("tools", "choice", "billed"),
    [(1, "auto", 6 + 1 + 7), (1, "required", 6 + 1 + 7), (2, "required", 6 + 1 + 7), (2, NAMED, 6)],
)
async def test_the_name_of_a_tool_is_billed_where_there_was_a_choice(
    trail, driver, serve, tools, choice, billed
):
    """A tool that is named is not the model's word, and costs its arguments alone."""
    call = ToolCall("weather", '{"place":"Oslo"}', "call_1")
    answer = Answer(tool_calls=(call,), model="gpt-4o-2024-08-06")
    server = serve(Plain({**chat.completion(answer), "usage": None}))
    create = driver.client(server).chat.completions.create
    about = {"type": "function", "function": {"name": "tide", "parameters": {"type": "object"}}}
    declared = [_tool(), about][:tools]
    asked = {"messages": MESSAGES, "tools": declared, "tool_choice": choice}
    await driver.call(create, model="gpt-4o", **asked)
    told = _usage_attributes(trail)
    assert told["tokentrail.usage.output.source"] == "counted"
    assert told["gen_ai.usage.output_tokens"] == billed


async def test_the_name_of_a_schema_is_billed_beside_tools(trail, driver, serve):
    """The model then writes it above its text."""
    answer = Answer(("Hello there.",), model="gpt-4o-2024-08-06")
    server = serve(Plain({**chat.completion(answer), "usage": None}))
    form = {"name": "weather", "schema": {"type": "object", "properties": {}}}
    await driver.call(
        driver.client(server).chat.completions.create, model="gpt-4o", messages=MESSAGES,
        tools=[_tool()], response_format={"type": "json_schema", "json_schema": form},
    )  # fmt: skip
    told = _usage_attributes(trail)
    assert told["tokentrail.usage.output.source"] == "counted"
    assert told["gen_ai.usage.output_tokens"] == 3 + 1 + 2 + 1


def _changed(messages, tools):
    messages[0]["content"][0]["text"] = "Something else, and longer than it was before."
    messages[0]["content"].append({"type": "text", "text": "And more."})
    properties = tools[0]["function"]["parameters"]["properties"]
    properties["more"] = {"type": "string", "description": "What was never sent at all."}


@pytest.mark.parametrize("streamed", [True, False])
async def test_what_is_changed_deep_inside_is_not_counted(trail, driver, serve, streamed):
    """Neither in the parts of a message's content, nor in the schema of a tool."""

    async def told(change):
        messages = [{"role": "user", "content": [{"type": "text", "text": "Hello, how are you?"}]}]
        tools = [_tool()]

        def steps():  # made by the server, once the request is there
            change(messages, tools)
            if streamed:
                yield from (*_texts(), _finish(), Event("[DONE]"))
            else:
                yield Raw(json.dumps({**chat.completion(HI), "usage": None}).encode())

        kind = {} if streamed else {"content-type": "application/json"}
        create = driver.client(serve(Stream(steps(), headers=kind))).chat.completions.create
        asked = {"model": "gpt-4o", "messages": messages, "tools": tools, "stream": streamed}
        answer = await driver.call(create, **asked)
        if streamed:
            await driver.read(answer)
        said = _usage_attributes(trail)
        trail.spans.clear()
        return said

    assert await told(_changed) == await told(lambda *_: None)


@pytest.mark.parametrize("kind", [collections.deque, lambda given: dict(enumerate(given)).values()])
async def test_any_collection_of_messages_is_read_as_a_list_is(trail, driver, serve, kind):
    steps = [*_texts(), _finish(), Event("[DONE]")]
    stream = await _stream(driver, serve(Stream(steps)), messages=kind(MESSAGES))
    await driver.read(stream)
    assert _usage_attributes(trail) == COUNTED


async def test_an_impossible_usage_is_none(trail, driver, serve):
    """Sums of it would leave the 64 bits of a metric, and no export would succeed again."""
    for _ in range(2):
        body = {**chat.completion(HI), "usage": _usage(2**62, 2**62)}
        client = driver.client(serve(Plain(body)))
        await driver.call(client.chat.completions.create, model="gpt-4o", messages=MESSAGES)
    points = trail.metrics.points("tokentrail.usage.tokens")
    assert {point.attributes["tokentrail.usage.source"] for point in points} == {"counted"}


async def test_half_a_character_in_a_name_is_recorded_as_a_valid_one(trail, driver, serve):
    """A label that is no UTF-8 would make every later scrape fail."""
    body = {**chat.completion(HI), "model": "gpt-\ud800", "service_tier": "\udfff"}
    client = driver.client(serve(Plain(body)))
    await driver.call(client.chat.completions.create, model="gpt-4o", messages=MESSAGES)
    point = trail.metrics.one("gen_ai.client.operation.duration")
    for told in (trail.spans.attributes(), dict(point.attributes)):
        assert told["gen_ai.response.model"] == "gpt-\ufffd"
        json.dumps(told, ensure_ascii=False).encode("utf-8")


@shared.both_modes
async def test_what_the_application_changes_later_is_not_counted(trail, driver, serve):
    """The prompt is what it was at the call, though the list grows while the stream runs."""
    messages = [dict(MESSAGES[0])]
    steps = [*_texts(), _finish(), Event("[DONE]")]
    stream = await _stream(driver, serve(Stream(steps)), messages=messages)
    await driver.next(stream)
    messages[0]["content"] = "Something else, and longer than it was before."
    messages.append({"role": "assistant", "content": "Hello there."})
    await driver.read(stream)
    assert _usage_attributes(trail) == COUNTED


@pytest.mark.parametrize("mode", ["async"])
@pytest.mark.parametrize("kind", [list, collections.deque])
@pytest.mark.parametrize("streamed", [True, False])
async def test_what_is_changed_before_a_coroutine_is_awaited_is_sent_and_counted(
    trail, driver, serve, streamed, kind
):
    """A coroutine reads its lists when it is awaited."""
    messages = kind([{"role": "user", "content": "Hello"}])
    steps = [*_texts(), _finish(), Event("[DONE]")]
    server = serve(Stream(steps) if streamed else Plain({**chat.completion(HI), "usage": None}))
    create = driver.client(server).chat.completions.create
    coroutine = create(model="gpt-4o", messages=messages, stream=streamed)
    messages[0] = MESSAGES[0]
    answer = await coroutine
    if streamed:
        await driver.read(answer)
    assert server.calls[0].body["messages"] == MESSAGES[:1]
    told = "gen_ai.usage.input_tokens"
    assert _usage_attributes(trail)[told] == COUNTED[told]


class Unreadable(collections.UserDict):
    """A message that the client can send, and we cannot read."""

    def get(self, *key):
        raise LookupError


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_prompt_that_cannot_be_read_makes_no_number_exact(
    trail, driver, serve, streamed, monkeypatch
):
    from tokentrail.support import guard

    monkeypatch.setattr(guard, "strict", False)
    steps = [*_texts(), _finish(), Event("[DONE]")]
    server = serve(Stream(steps) if streamed else Plain({**chat.completion(HI), "usage": None}))
    create = driver.client(server).chat.completions.create
    tools = {"tools": [_tool()], "tool_choice": "required"}
    messages = [Unreadable(MESSAGES[0])]
    answer = await driver.call(create, model="gpt-4o", messages=messages, stream=streamed, **tools)
    if streamed:
        await driver.read(answer)
    assert server.calls[0].body["messages"] == MESSAGES[:1]
    told = _usage_attributes(trail)
    assert not {name for name in told if name.startswith("gen_ai.usage.")}
    assert "counted" not in told.values()


@shared.both_modes
@pytest.mark.parametrize("streamed", [True, False])
async def test_an_interrupt_while_a_prompt_is_read_ends_the_span(
    trail, driver, serve, streamed, monkeypatch
):
    from tokentrail.patching.request import CallArguments

    def interrupted(arguments):
        raise KeyboardInterrupt

    trail.instrument(capture_content="SPAN_ONLY")
    monkeypatch.setattr(CallArguments, "read_content", interrupted)
    create = driver.client(serve(Plain(chat.completion(HI)))).chat.completions.create
    asked = {"model": "gpt-4o", "messages": MESSAGES, "stream": streamed}
    with pytest.raises(KeyboardInterrupt):
        await driver.call(create, **asked)
    assert trail.spans.one().name == "chat gpt-4o"


@pytest.mark.parametrize("kind", [list, collections.deque])
async def test_a_compacted_conversation_is_recorded_from_any_collection(trail, driver, serve, kind):
    client = driver.client(serve(Plain(responses.response(HI))))
    if not hasattr(client, "responses"):
        pytest.skip("this openai has no responses")
    asked = kind([{"type": "compaction", "encrypted_content": "x"}])
    with contextlib.suppress(TypeError):  # of newer clients, which take lists alone
        await driver.call(client.responses.create, model="gpt-4o", input=asked)
    assert trail.spans.attributes()["gen_ai.conversation.compacted"] is True
