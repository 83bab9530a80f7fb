"""Tool calls and texts in the odd forms of servers: content and count alike."""

from __future__ import annotations

import json

import pytest
from tests import shared
from tests.servers.conftest import responses_of

from tokentrail.testing.server import Event, Plain, Stream

from .conftest import HEAD, chunk, completion, reply_of, streamed

pytestmark = pytest.mark.settings(capture_content="SPAN_ONLY")

mode = shared.either_mode
WEATHER, TIME = ("weather_of", {"city": "Ulm"}), ("time_of", {"zone": "CET"})
CALLS = [WEATHER, TIME]


def _part(call, *, text=True):
    name, arguments = call
    return {"name": name, "arguments": json.dumps(arguments) if text else arguments}


def _output(trail):
    attributes = trail.spans.attributes()
    (message,) = json.loads(attributes["gen_ai.output.messages"])
    return message["parts"], attributes


def _calls(trail):
    parts, told = _output(trail)
    return [(part["name"], part["arguments"]) for part in parts], told


def _delta(call, index=None, name=None, arguments=None, **more):
    function = {"name": name or call[0], "arguments": arguments or json.dumps(call[1])}
    return {**({} if index is None else {"index": index}), "function": function, **more}


def _pieces(call, index=None):
    """Return deltas as MiniMax sends them: the name on each."""
    text = json.dumps(call[1])
    cut = len(text) // 2
    return [_delta(call, index, arguments=piece) for piece in (text[:cut], text[cut:])]


def _repeated(call, index, *ends, **more):
    """Return deltas that have the arguments so far, each with the name."""
    text = json.dumps(call[1])
    return [[_delta(call, index, arguments=text[:end], **more)] for end in ends]


PLACED = [_delta(call, n, id=f"c{n}") for n, call in enumerate(CALLS)]
STREAMS = {
    "as OpenAI": [[one] for one in PLACED],
    "index 0 each, by id": [[_delta(call, 0, id=call[0])] for call in CALLS],
    "index 0 each, by name": [[_delta(call, 0)] for call in CALLS],
    "no index, in two chunks": [[_delta(call)] for call in CALLS],
    "no index, in one chunk": [[_delta(call) for call in CALLS]],
    "the name repeated": [[piece] for n, c in enumerate(CALLS) for piece in _pieces(c, n)],
    "the name repeated, index 0 each": [[piece] for c in CALLS for piece in _pieces(c, 0)],
    "an object for arguments": [
        [{"index": n, "id": f"c{n}", "function": _part(call, text=False)}]
        for n, call in enumerate(CALLS)
    ],
    "all arguments so far": [
        one for n, c in enumerate(CALLS) for one in _repeated(c, n, 4, 9, 12, 99, 99, id=f"c{n}")
    ],
    "all arguments so far, by name": [one for c in CALLS for one in _repeated(c, 0, 3, 10, 99)],
    "no list": PLACED,
    "no function around": [[{"index": n, "id": f"c{n}", **_part(c)}] for n, c in enumerate(CALLS)],
    "one id for all": [[_delta(call, 0, id="call")] for call in CALLS],
    "a new id on each delta": [
        [{"index": 0, "id": "a", "function": {"name": "weather_of", "arguments": '{"city":'}}],
        [{"index": 0, "id": "b", "function": {"arguments": ' "Ulm"}'}}],
        [_delta(TIME, 0, id="c")],
    ],
    "parameters for arguments": [
        [{"index": n, "function": {"name": name, "parameters": given}}]
        for n, (name, given) in enumerate(CALLS)
    ],
    "in turns, by id": [
        *([{"id": name, "function": {"name": name, "arguments": ""}}] for name, _ in CALLS),
        *([{"id": c[0], "function": {"arguments": json.dumps(c[1])}}] for c in CALLS),
    ],
    "the name so far on each delta": [
        [{"index": n, "function": {"name": name[:end], "arguments": text}}]
        for n, (name, given) in enumerate(CALLS)
        for end, text in ((3, ""), (99, json.dumps(given)))
    ],
    "the name after the arguments": [
        [{"index": n, "id": f"c{n}", "function": piece}]
        for n, (name, given) in enumerate(CALLS)
        for piece in ({"arguments": json.dumps(given)}, {"name": name})
    ],
    "all once more at the end": [
        *([{**piece, "id": f"c{n}"}] for n, c in enumerate(CALLS) for piece in _pieces(c, n)),
        *([one] for one in PLACED),
    ],
}


async def _counted(trail, ask, deltas):
    events = [chunk({"tool_calls": delta}) for delta in deltas]
    await ask(streamed(*events, chunk({}, "tool_calls")), stream=True)
    return _calls(trail)


@pytest.mark.parametrize("name", STREAMS)
async def test_two_calls_are_two_calls_however_they_are_numbered(trail, ask, name):
    """Content and count are those of the form that OpenAI sends."""
    calls, told = await _counted(trail, ask, STREAMS[name])
    assert calls == CALLS
    output = told["gen_ai.usage.output_tokens"]
    assert told["tokentrail.usage.output.source"] == "counted"
    trail.spans.clear()
    _, usual = await _counted(trail, ask, STREAMS["as OpenAI"])
    assert output == usual["gen_ai.usage.output_tokens"]


async def test_the_same_function_twice_is_two_calls(trail, ask):
    """By its name once more after whole arguments, without an id, or by a new id."""
    twice = [WEATHER, ("weather_of", {"city": "Bonn"})]
    calls, _ = await _counted(trail, ask, [[_delta(call, 0)] for call in twice])
    assert calls == twice


@pytest.mark.parametrize(
    ("pieces", "arguments", "source"),
    [
        (['{"a":', '{"a":', "1}}"], '{"a":{"a":1}}', "approximated"),  # or all so far
        (['{"a', '{"a":1', ',"b":2}'], '{"a":1,"b":2}', "approximated"),
        (['{"', "a", '":1}'], '{"a":1}', "counted"),
        (["{", "}", '{"a":1}'], None, "approximated"),  # two objects are no arguments
    ],
)
async def test_arguments_that_may_be_repeated_are_no_sure_count(
    trail, ask, pieces, arguments, source
):
    deltas = [[_delta(WEATHER, 0, arguments=piece, id="c0")] for piece in pieces]
    calls, told = await _counted(trail, ask, deltas)
    assert calls == [("weather_of", json.loads(arguments) if arguments else "".join(pieces))]
    assert told["tokentrail.usage.output.source"] == source


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_under_its_old_and_its_new_name_is_one_call(trail, ask, stream):
    said = {"function_call": _part(TIME), "tool_calls": [{"id": "x", "function": _part(TIME)}]}
    await ask(reply_of(said, stream=stream), stream=stream)
    calls, told = _calls(trail)
    assert calls == [TIME]
    assert told["gen_ai.usage.output_tokens"] == 31  # as for one of them alone


async def test_a_legacy_call_with_repeated_name_and_arguments_is_one_call(trail, ask):
    text = json.dumps(TIME[1])
    pieces = [{"name": TIME[0], "arguments": text[:end]} for end in (4, 9, 99)]
    events = [chunk({"function_call": piece}) for piece in pieces]
    await ask(streamed(*events, chunk({}, "function_call")), stream=True)
    calls, told = _calls(trail)
    assert calls == [TIME]
    assert told["tokentrail.usage.output.source"] == "counted"


async def test_a_call_in_pieces_with_one_id_is_one_call(trail, ask):
    pieces = [[{**piece, "id": "same"}] for piece in _pieces(WEATHER, 0)]
    calls, _ = await _counted(trail, ask, pieces)
    assert calls == [WEATHER]


PLAIN = {
    "index 0 each": [{"index": 0, "function": _part(call)} for call in CALLS],
    "an object for arguments": [{"function": _part(call, text=False)} for call in CALLS],
    "no function around": [{"id": call[0], **_part(call)} for call in CALLS],
    "parameters for arguments": [
        {"function": {"name": name, "parameters": given}} for name, given in CALLS
    ],
}


@pytest.mark.parametrize("name", PLAIN)
async def test_the_calls_of_a_plain_answer(trail, ask, name):
    await ask(completion({"content": None, "tool_calls": PLAIN[name]}, "tool_calls"))
    calls, told = _calls(trail)
    assert calls == CALLS
    assert told["tokentrail.usage.output.source"] == "counted"


async def test_a_call_that_is_in_no_list(trail, ask):
    await ask(completion({"tool_calls": {"id": "x", "function": _part(TIME)}}, "tool_calls"))
    calls, _ = _calls(trail)
    assert calls == [TIME]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_number_for_content_is_text(trail, ask, stream):
    said = {"content": 40.5}
    await ask(
        streamed(chunk(said), chunk({}, "stop")) if stream else completion(said), stream=stream
    )
    parts, told = _output(trail)
    assert parts == [{"type": "text", "content": "40.5"}]
    assert told["gen_ai.usage.output_tokens"] == 3


THINKING = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Near water, so"}]},
    {"type": "text", "text": "Alders."},
]


@pytest.mark.parametrize("stream", [False, True])
async def test_parts_of_thinking_are_reasoning(trail, ask, stream):
    said = {"content": THINKING}
    await ask(
        streamed(chunk(said), chunk({}, "stop")) if stream else completion(said), stream=stream
    )
    parts, told = _output(trail)
    assert [(part["type"], part["content"]) for part in parts] == [
        ("reasoning", "Near water, so"),
        ("text", "Alders."),
    ]
    assert told["gen_ai.usage.output_tokens"] == 4 + 4


THOUGHT = "Near water, so"
THOUGHTS = {
    "reasoning": {"reasoning": THOUGHT},
    "thinking": {"thinking": THOUGHT},
    "twice": {"reasoning": THOUGHT, "reasoning_content": THOUGHT},
    "an object": {"reasoning": {"content": THOUGHT}},
    "a list": {"reasoning": ["Near water,", " so"]},
    "details alone": {"reasoning_details": [{"type": "reasoning.text", "text": THOUGHT}]},
    "blocks alone": {"thinking_blocks": [{"type": "thinking", "thinking": THOUGHT}]},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", THOUGHTS)
async def test_thought_is_read_in_each_of_its_forms(trail, ask, name, stream):
    said = {"content": "Alders.", **THOUGHTS[name]}
    await ask(reply_of(said, stream=stream), stream=stream)
    parts, told = _output(trail)
    assert [(part["type"], part["content"]) for part in parts] == [
        ("reasoning", THOUGHT),
        ("text", "Alders."),
    ]
    assert told["gen_ai.usage.output_tokens"] == 4 + 4
    assert told["tokentrail.usage.output.source"] == "counted"


TEXTS = {
    "an object": {"type": "text", "text": "Alders."},
    "a part without a type": [{"text": "Alders."}],
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", TEXTS)
async def test_a_content_is_read_in_each_of_its_forms(trail, ask, name, stream):
    await ask(reply_of({"content": TEXTS[name]}, stream=stream), stream=stream)
    parts, told = _output(trail)
    assert parts == [{"type": "text", "content": "Alders."}]
    assert told["gen_ai.usage.output_tokens"] == 4


CHOICES = {
    "a delta": [{"index": 0, "delta": {"content": "Alders."}, "finish_reason": "stop"}],
    "a text": [{"index": 0, "text": "Alders.", "finish_reason": "stop"}],
    "no list": {"index": 0, "message": {"content": "Alders."}, "finish_reason": "stop"},
}


@pytest.mark.parametrize("name", CHOICES)
async def test_a_plain_choice_is_read_in_each_of_its_forms(trail, ask, name):
    await ask(Plain({**HEAD, "object": "chat.completion", "choices": CHOICES[name]}))
    parts, told = _output(trail)
    assert parts == [{"type": "text", "content": "Alders."}]
    assert told["gen_ai.usage.output_tokens"] == 4


LEFT_OUT = {
    "words nobody knows": {"content": "Alders.", "inner_voice": "Near water, so"},
    "a tool of the server": {"content": "Alders.", "executed_tools": [{"name": "look"}]},
    "thought in numbers": {"content": "Alders.", "reasoning": {"steps": 4}},
    "a text for the calls": {"content": "Alders.", "tool_calls": json.dumps(PLACED)},
    "a call by its name": {"content": "Alders.", "tool_calls": [{"function": "weather_of"}]},
    "calls by number": {"content": "Alders.", "tool_calls": {"0": PLACED[0]}},
    "a call of another type": {"tool_calls": [{"id": "b", "type": "browser", "browser": {}}]},
    "a picture in a field of its own": {
        "content": "Alders.",
        "picture": "data:image/png;base64,aa",
    },
    "thought in a list": {"content": "Alders.", "thoughts": [{"text": "Near water, so"}]},
    "a refusal in an object": {"content": "Alders.", "refusal": {"text": "I will not."}},
    "a call of another form": {"tool_calls": [{"index": 0, "use": {"name": "weather_of"}}]},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", LEFT_OUT)
async def test_where_something_is_left_out_nothing_is_counted(trail, ask, name, stream):
    await ask(reply_of(LEFT_OUT[name], stream=stream), stream=stream)
    attributes = trail.spans.attributes()
    assert attributes.get("tokentrail.usage.output.source") in {"approximated", None}
    assert attributes["tokentrail.usage.input.source"] == "counted"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_only_the_finish_reason_names_is_not_counted_as_nothing(
    trail, ask, stream
):
    said = {"content": None, "tool_call": PLACED[0]}
    plain = completion(said, "tool_calls")
    await ask(streamed(chunk(said), chunk({}, "tool_calls")) if stream else plain, stream=stream)
    assert "gen_ai.usage.output_tokens" not in trail.spans.attributes()


@pytest.mark.parametrize("stream", [False, True])
async def test_thought_next_to_the_message_is_not_left_out_in_silence(trail, ask, stream):
    more = {"reasoning_content": "Near water, so"}
    said = {"content": "Alders."}
    plain = completion(said, choice=more)
    await ask(streamed(chunk(said, "stop", choice=more)) if stream else plain, stream=stream)
    assert trail.spans.attributes()["tokentrail.usage.output.source"] == "approximated"


NOT_READ = {
    "a delta of text": [chunk(choice={"delta": "Alders."})],
    "a call without a name": [chunk({"tool_calls": [{"id": "a", "type": "function"}]})],
}


@pytest.mark.parametrize("name", NOT_READ)
async def test_a_stream_of_which_nothing_was_read_is_not_counted_as_nothing(trail, ask, name):
    finish = "tool_calls" if "call" in name else "stop"
    await ask(streamed(*NOT_READ[name], chunk({}, finish)), stream=True)
    told = trail.spans.attributes()
    assert told["tokentrail.outcome"] == "completed"
    assert "gen_ai.usage.output_tokens" not in told


async def test_a_plain_call_without_a_name_is_not_counted_as_nothing(trail, ask):
    await ask(completion({"content": None, "tool_calls": [{"id": "a"}]}, "tool_calls"))
    assert "gen_ai.usage.output_tokens" not in trail.spans.attributes()


@pytest.mark.parametrize("choice", [None, {}, {"index": 0, "message": None}])
async def test_a_choice_without_a_message_is_not_counted_as_nothing(trail, ask, choice):
    await ask(Plain({**HEAD, "object": "chat.completion", "choices": [choice]}))
    assert "gen_ai.usage.output_tokens" not in trail.spans.attributes()


async def test_choices_of_the_same_index_are_two_texts(trail, ask):
    choice = {"index": 0, "message": {"content": "Alders."}, "finish_reason": "stop"}
    await ask(Plain({**HEAD, "object": "chat.completion", "choices": [choice, choice]}))
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.response.finish_reasons"] == ("stop", "stop")
    assert attributes["gen_ai.usage.output_tokens"] == 2 * 4


async def test_a_stream_of_whole_messages_is_not_counted(trail, ask):
    """Whether each is a piece or all so far, no chunk says; beside deltas they repeat."""
    whole = {"message": {"content": "Alders."}}
    await ask(streamed(chunk(choice=whole), chunk({}, "stop")), stream=True)
    assert "gen_ai.usage.output_tokens" not in trail.spans.attributes()
    trail.spans.clear()
    events = [chunk({"content": "Alders."}, choice=whole), chunk({}, "stop", choice=whole)]
    await ask(streamed(*events), stream=True)
    assert trail.spans.attributes()["tokentrail.usage.output.source"] == "counted"


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_not_understood_is_not_counted(trail, ask, stream):
    said = {"content": [{"type": "hologram", "beam": "x"}, {"type": "text", "text": "Alders."}]}
    await ask(
        streamed(chunk(said), chunk({}, "stop")) if stream else completion(said), stream=stream
    )
    assert trail.spans.attributes()["tokentrail.usage.output.source"] == "approximated"


def _usage(told):
    return {name: value for name, value in told.items() if ".usage." in name}


def _event(kind, **more):
    return Event({"type": kind, "sequence_number": 1, **more}, kind)


def _done(*, with_output):
    call = {"type": "function_call", "id": "f", "call_id": "k", "status": "completed"}
    whole = {**call, "name": "weather_of", "arguments": '{"city":"Ulm"}'}
    text = {"type": "output_text", "text": "I will look.", "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
    output = [{**message, "content": [text]}, whole] if with_output else []
    response = {"id": "r", "object": "response", "created_at": 5, "model": "gpt-4o-mini"}
    place = {"output_index": 0, "content_index": 0, "item_id": "m"}
    begun = {"output_index": 1, "item": {**call, "name": "weather_of", "arguments": ""}}
    end = {**response, "status": "completed", "output": output}
    return [
        _event("response.created", response={**response, "status": "in_progress", "output": []}),
        _event("response.output_item.added", output_index=0, item={**message, "content": []}),
        _event("response.output_text.delta", delta="I will look.", logprobs=[], **place),
        _event("response.output_text.done", text="I will look.", logprobs=[], **place),
        _event("response.output_item.added", **begun),
        _event(
            "response.function_call_arguments.done",
            output_index=1,
            item_id="f",
            arguments='{"city":"Ulm"}',
        ),
        _event("response.completed", response=end),
    ]


@pytest.mark.parametrize("with_output", [False, True])
async def test_arguments_that_come_only_when_they_are_done(trail, driver, serve, with_output):
    """The count is that of the same answer, whole; what came by deltas is not counted twice."""
    asked = {"model": "gpt-4o-mini", "input": "Weather?"}
    streams = serve(Stream(_done(with_output=with_output)))
    stream = await driver.call(responses_of(driver.client(streams)).create, **asked, stream=True)
    await driver.read(stream)
    parts, told = _output(trail)
    assert [part["type"] for part in parts] == ["text", "tool_call"]
    assert parts[1]["arguments"] == {"city": "Ulm"}
    trail.spans.clear()
    whole = _done(with_output=True)[-1].data["response"]
    await driver.call(responses_of(driver.client(serve(Plain(whole)))).create, **asked)
    assert _usage(told) == _usage(trail.spans.attributes())
    assert 22 in _usage(told).values()


@pytest.mark.parametrize("choice", [{"text": ["Alders."]}, {"message": {"content": "Alders."}}])
async def test_completions_in_another_form_are_not_counted_as_nothing(trail, driver, serve, choice):
    body = {"id": "c", "model": "gpt-3.5-turbo-instruct", "choices": [{"index": 0, **choice}]}
    create = driver.client(serve(Plain(body))).completions.create
    await driver.call(create, model="gpt-3.5-turbo-instruct", prompt="Trees?")
    assert "gen_ai.usage.output_tokens" not in trail.spans.attributes()


PLACE = {"output_index": 0, "content_index": 0, "item_id": "m"}
BEGUN = {"id": "r", "object": "response", "created_at": 5, "model": "gpt-4o-mini", "output": []}
SAID = {"type": "output_text", "text": "I will look.", "annotations": []}
MESSAGE = {"type": "message", "id": "m", "role": "assistant", "content": [SAID]}
CALL = {"type": "function_call", "id": "f", "call_id": "k", "name": "weather_of"}
CALLED = {**CALL, "arguments": '{"city":"Ulm"}'}


def _events(*events):
    """Return a stream of these events between its first and its last, which has no output."""
    first, last = ({**BEGUN, "status": status} for status in ("in_progress", "completed"))
    ends = [
        _event(f"response.{n}", response=r) for n, r in (("created", first), ("completed", last))
    ]
    return Stream([ends[0], *events, ends[1]])


@pytest.fixture
def respond(driver, serve):
    """Return a function that asks a server of responses, and reads the answer to its end."""

    async def respond(reply):
        stream = isinstance(reply, Stream)
        create = responses_of(driver.client(serve(reply))).create
        answer = await driver.call(create, model="gpt-4o-mini", input="Weather?", stream=stream)
        if stream:
            await driver.read(answer)

    return respond


TOLD_ONCE = {
    "in the part alone": (MESSAGE, [_event("response.content_part.done", part=SAID, **PLACE)]),
    "at another index when done": (
        MESSAGE,
        [
            _event("response.output_text.delta", delta="I will look.", **PLACE),
            _event(
                "response.output_text.done", text="I will look.", **{**PLACE, "output_index": 1}
            ),
            _event("response.output_item.done", output_index=2, item=MESSAGE),
        ],
    ),
    "when the item begins": (
        CALLED,
        [_event("response.output_item.added", output_index=0, item=CALLED)],
    ),
    "twice begun": (
        CALLED,
        [
            *[_event("response.output_item.added", output_index=0, item=CALL)] * 2,
            _event("response.output_item.done", output_index=0, item=CALLED),
        ],
    ),
    "an object when done": (
        CALLED,
        [
            _event("response.output_item.added", output_index=0, item=CALL),
            _event(
                "response.function_call_arguments.done", output_index=0, arguments={"city": "Ulm"}
            ),
        ],
    ),
}


@pytest.mark.parametrize("name", TOLD_ONCE)
async def test_a_stream_of_responses_counts_as_the_same_answer_whole(trail, respond, name):
    item, events = TOLD_ONCE[name]
    await respond(_events(*events))
    streamed_output = trail.spans.attributes()["gen_ai.usage.output_tokens"]
    trail.spans.clear()
    await respond(Plain({**BEGUN, "status": "completed", "output": [item]}))
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.usage.output_tokens"] == streamed_output
    assert attributes["tokentrail.usage.output.source"] == "counted"


UNREAD = {
    "no list": Plain({**BEGUN, "status": "completed", "output": MESSAGE}),
    "a text for the output": Plain({**BEGUN, "status": "completed", "output": "I will look."}),
    "a text for the content": Plain(
        {**BEGUN, "status": "completed", "output": [{**MESSAGE, "content": "I will look."}]}
    ),
    "a part of another type": Plain(
        {**BEGUN, "status": "completed", "output": [{**MESSAGE, "content": [{"type": "beam"}]}]}
    ),
    "an object for a delta": _events(
        _event("response.output_text.delta", delta={"a": "b"}, **PLACE)
    ),
    "an object for the text": Plain(
        {
            **BEGUN,
            "status": "completed",
            "output": [{**MESSAGE, "content": [{**SAID, "text": {"value": "I will look."}}]}],
        }
    ),
    "a part of text": _events(_event("response.content_part.done", part="I will look.", **PLACE)),
    "no type": Stream([Event({"delta": "I will look.", **PLACE})]),
}


async def test_an_id_that_is_no_text_is_none(trail, respond):
    place = {**PLACE, "item_id": {"id": "m"}}
    delta = _event("response.output_text.delta", delta="I will look.", **place)
    await respond(_events(delta, _event("response.output_text.done", text="I will look.", **place)))
    told = trail.spans.attributes()
    assert told["tokentrail.outcome"] == "completed"
    assert told["tokentrail.usage.output.source"] == "counted"


@pytest.mark.parametrize("name", UNREAD)
async def test_output_that_was_not_read_is_not_counted_as_nothing(trail, respond, name):
    await respond(UNREAD[name])
    assert "gen_ai.usage.output_tokens" not in trail.spans.attributes()


REPORT = {"input_tokens": 71, "output_tokens": 30, "total_tokens": 101}
END = {**BEGUN, "status": "completed"}
REPORTED = {
    "next to the response": [_event("response.completed", response=END, usage=REPORT)],
    "in another event's name": [_event("response.done", response={**END, "usage": REPORT})],
    "in an object of another vendor": [
        _event("response.completed", response={**END, "meta": {"usage": REPORT}})
    ],
}


@pytest.mark.parametrize("name", REPORTED)
async def test_the_usage_of_a_stream_of_responses_is_found(trail, respond, name):
    await respond(Stream(REPORTED[name]))
    attributes = trail.spans.attributes()
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (
        71,
        30,
    )
    assert attributes["tokentrail.outcome"] == "completed"
