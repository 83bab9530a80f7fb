"""The responses API: how streams end, what of the input nobody here can know, fetching again."""

from __future__ import annotations

import openai
import pytest
from tests.surface.table import INPUT, MODEL, SEA

import tokentrail
from tokentrail.counting import ENCODINGS
from tokentrail.testing.payloads import Answer, ToolCall, Usage, responses
from tokentrail.testing.server import Cut, Event, Plain, Stream

pytestmark = [
    pytest.mark.surface,
    pytest.mark.skipif(
        not hasattr(openai.OpenAI, "responses"),
        reason=f"openai {openai.__version__} has no responses",
    ),
]

IN, OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
IN_GUESS = "tokentrail.usage.approximated.input_tokens"
OUT_GUESS = "tokentrail.usage.approximated.output_tokens"
IN_SOURCE, OUT_SOURCE = "tokentrail.usage.input.source", "tokentrail.usage.output.source"
BILLED = Usage(input=40, output=30)
ANSWER = Answer((SEA.answer,), BILLED)
SILENT = Answer((SEA.answer,))
REPORTED = {IN: 40, IN_SOURCE: "reported", OUT: 30, OUT_SOURCE: "reported"}
COUNTED = {IN: 13, IN_SOURCE: "counted", OUT: 8, OUT_SOURCE: "counted"}
"""7 tokens of text and the one that ends an answer."""
CUT = {**COUNTED, OUT: 7}
"""The same of an answer that did not come to its end."""


@pytest.fixture
def ask(driver, says, trail):
    """Ask a server that says this; return what the application gets and what is told."""

    async def call(reply, **asked):
        client = driver.client(says(reply))
        stream = isinstance(reply, Stream)
        answer = await driver.call(client.responses.create, **{**INPUT, **asked}, stream=stream)
        got = await driver.read(answer) if stream else answer
        return got, trail.spans.attributes()

    return call


# How a stream ends -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "ending"),
    [
        ("completed", "stop", "completed"),
        ("incomplete", "length", "completed"),
        ("failed", "error", "failed"),
    ],
)
async def test_each_ending_event_brings_the_usage(ask, status, reason, ending):
    """What was billed is told of a failed response too, for it was billed."""
    got, said = await ask(Stream(responses.events(ANSWER, status)))
    assert got[-1].type == f"response.{status}"
    assert said.items() >= REPORTED.items()
    assert said["gen_ai.response.finish_reasons"] == (reason,)
    assert said["gen_ai.response.status"] == status
    assert said["tokentrail.outcome"] == ending
    assert said.get("error.type") == ("server_error" if status == "failed" else None)


@pytest.mark.parametrize(("status", "counted"), [("completed", COUNTED), ("incomplete", CUT)])
async def test_an_ending_without_usage_is_counted(ask, status, counted):
    _, said = await ask(Stream(responses.events(SILENT, status)))
    assert said.items() >= counted.items()


async def test_a_plain_answer_without_usage_is_counted(ask):
    _, said = await ask(Plain(responses.response(SILENT)))
    assert said.items() >= COUNTED.items()


async def test_an_error_event_is_yielded_and_is_a_failure(ask):
    """The client raises nothing; the text that came before is counted."""
    steps = [*responses.events(SILENT)[:-4], responses.error_event(code="rate_limit_exceeded")]
    got, said = await ask(Stream(steps))
    assert got[-1].type == "error"
    assert said["tokentrail.outcome"] == "failed"
    assert said["error.type"] == "rate_limit_exceeded"
    assert said["gen_ai.response.finish_reasons"] == ("error",)
    assert said.items() >= CUT.items()


async def test_a_stream_that_just_stops_has_its_text_counted(ask):
    """No event says how it ended, and no error was raised: it was read to its end."""
    _, said = await ask(Stream(responses.events(ANSWER)[:-4]))
    assert said["tokentrail.outcome"] == "truncated"
    assert said["gen_ai.response.finish_reasons"] == ("error",)
    assert said.items() >= CUT.items()


async def test_a_stream_that_is_cut_raises_as_usual(driver, says, trail):
    client = driver.client(says(Stream([*responses.events(ANSWER)[:-4], Cut()])))
    stream = await driver.call(client.responses.create, **INPUT, stream=True)
    with pytest.raises(Exception) as caught:
        await driver.read(stream)
    attributes = trail.spans.attributes()
    assert (
        attributes["error.type"]
        == f"{type(caught.value).__module__}.{type(caught.value).__qualname__}"
    )
    assert attributes.items() >= CUT.items()


# Closed early: counted from the deltas ------------------------------------------------------------

DELTAS = ("Deep", " blue", " water", ".")


def _delta(kind, delta, **place):
    given = {"item_id": "it", "output_index": 0, "sequence_number": 9, "delta": delta, **place}
    return Event({"type": f"response.{kind}.delta", **given}, f"response.{kind}.delta")


def _call_opened():
    item = {"type": "function_call", "id": "fc", "call_id": "c", "name": "time", "arguments": ""}
    added = "response.output_item.added"
    said = {"type": added, "output_index": 0, "sequence_number": 3, "item": item}
    return Event(said, added)


KINDS = {
    "text": ([_delta("output_text", d, content_index=0) for d in DELTAS], 4),
    "refusal": (
        [_delta("refusal", d, content_index=0) for d in DELTAS],
        4 + 1,  # what a refusal is billed beside its text: a rule of little evidence
    ),
    "arguments": (
        [_call_opened(), *(_delta("function_call_arguments", d) for d in DELTAS)],
        1 + 4 + 7,  # the name, the arguments, and what a call is billed beside
    ),
    "reasoning text": ([_delta("reasoning_text", d, content_index=0) for d in DELTAS], 4),
    "summary": ([_delta("reasoning_summary_text", d, summary_index=0) for d in DELTAS], None),
}


async def _closed_early(driver, says, trail, events, model):
    tokentrail.count_tokens("", model=MODEL)  # until the encoding is built, it is only guessed
    begun = responses.events(Answer(model=model))[:2]
    client = driver.client(says(Stream([*begun, *events, *responses.events(ANSWER)[2:]])))
    stream = await driver.call(client.responses.create, **{**INPUT, "model": model}, stream=True)
    await driver.take(stream, len(begun) + len(events))
    running = tokentrail.current_usage(stream).output
    await driver.close(stream)
    attributes = trail.spans.attributes()
    assert attributes.get(OUT_SOURCE) in {None, running.source.value}
    assert attributes["tokentrail.outcome"] == "closed_early"
    assert "error.type" not in attributes
    return attributes


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_received_is_counted_each_kind_apart(driver, says, trail, kind):
    """A summary is not billed by its length: of it alone, the output is not known."""
    events, tokens = KINDS[kind]
    said = await _closed_early(driver, says, trail, events, MODEL)
    assert said[IN_SOURCE] == "counted"
    source = {"refusal": "approximated", "summary": None}.get(kind, "counted")
    assert said.get(OUT_SOURCE) == source
    assert said.get(OUT) == (tokens if source == "counted" else None)
    assert said.get(OUT_GUESS) == (tokens if source == "approximated" else None)


@pytest.mark.parametrize("kind", KINDS)
async def test_of_a_model_that_reasons_it_is_what_could_be_seen(driver, says, trail, kind):
    """Hidden thought was billed as well, so there is no conventional number."""
    events, tokens = KINDS[kind]
    said = await _closed_early(driver, says, trail, events, "o4-mini")
    assert OUT not in said
    assert said.get("tokentrail.usage.visible.output_tokens") == tokens


async def test_parts_of_several_kinds_add_up(driver, says, trail):
    """Each text is counted as a whole, and apart from those beside it; a refusal is a guess."""
    one, two = ("un", "believable"), ("believ", "able")
    events = [
        *(_delta("output_text", d, output_index=1, content_index=0) for d in one),
        *(_delta("refusal", d, output_index=1, content_index=0) for d in two),
    ]
    said = await _closed_early(driver, says, trail, events, MODEL)
    encode = ENCODINGS.load("o200k_base").encode
    assert said[OUT_GUESS] == len(encode("".join(one))) + len(encode("".join(two))) + 1
    assert said[OUT_SOURCE] == "approximated"
    assert OUT not in said


async def test_a_summary_says_that_there_is_thought_behind_it(driver, says, trail):
    """Whatever the model's name: the text is counted, and more than that was billed."""
    events = [
        *(_delta("reasoning_summary_text", d, summary_index=0) for d in DELTAS),
        *(_delta("output_text", d, output_index=1, content_index=0) for d in DELTAS),
    ]
    said = await _closed_early(driver, says, trail, events, MODEL)
    assert said[OUT_SOURCE] == "visible"
    assert said["tokentrail.usage.visible.output_tokens"] == 4
    assert OUT not in said


# What only the server knows ----------------------------------------------------------------------

UNKNOWABLE = {
    "previous response": {"previous_response_id": "resp_1"},
    "conversation": {"extra_body": {"conversation": "conv_1"}},
    "conversation object": {"extra_body": {"conversation": {"id": "conv_1"}}},
    "prompt template": {"prompt": {"id": "pmpt_1", "version": "2"}},
    "built-in tool": {"tools": [{"type": "web_search_preview"}]},
    "file search": {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]},
    "stored item": {"input": [{"type": "item_reference", "id": "msg_1"}]},
}


@pytest.mark.parametrize("stored", UNKNOWABLE)
@pytest.mark.parametrize("streamed", [False, True])
async def test_input_that_the_server_adds_to_is_absent_unless_reported(ask, stored, streamed):
    def reply(answer):
        if streamed:
            return Stream(responses.events(answer))
        return Plain(responses.response(answer))

    _, said = await ask(reply(SILENT), **UNKNOWABLE[stored])
    assert not [name for name in said if "usage.input" in name or "input_tokens" in name]
    output = "approximated" if "tools" in UNKNOWABLE[stored] else "counted"
    assert said[OUT_SOURCE] == output


@pytest.mark.parametrize("stored", UNKNOWABLE)
async def test_what_the_server_adds_is_recorded_if_it_is_reported(ask, stored):
    _, said = await ask(Stream(responses.events(ANSWER)), **UNKNOWABLE[stored])
    assert said.items() >= REPORTED.items()


async def test_ids_of_what_is_stored_are_recorded(ask):
    body = {"conversation": {"id": "conv_1"}}
    prompt = {"id": "pmpt_1", "version": "2"}
    _, said = await ask(
        Plain(responses.response(ANSWER)),
        previous_response_id="resp_1",
        prompt=prompt,
        extra_body=body,
    )
    assert said["gen_ai.request.previous_response.id"] == "resp_1"
    assert said["gen_ai.conversation.id"] == "conv_1"
    assert (said["gen_ai.prompt.name"], said["gen_ai.prompt.version"]) == ("pmpt_1", "2")


async def test_instructions_are_input(ask):
    """A message of their own: three tokens of frame, one of role, and their text."""
    _, said = await ask(Plain(responses.response(SILENT)), instructions="Be brief.")
    assert said[IN] == 13 + 4 + 3
    assert said[IN_SOURCE] == "counted"


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "abc"}
ASKED, ANSWERED = (
    {"role": "user", "content": SEA.question},
    {"role": "assistant", "content": SEA.answer},
)


async def test_reasoning_of_an_earlier_turn_is_not_billed(ask):
    """The server leaves it out: two questions, and the answer between them, are counted."""
    _, said = await ask(Plain(responses.response(SILENT)), input=[ASKED, THOUGHT, ANSWERED, ASKED])
    assert (said[IN], said[IN_SOURCE]) == (13 + (3 + 1 + 7) + (3 + 1 + 6), "counted")


async def test_reasoning_since_the_last_question_makes_the_input_a_guess(ask):
    """An unknown part of it is billed."""
    _, said = await ask(Plain(responses.response(SILENT)), input=[ASKED, THOUGHT, ANSWERED])
    assert (said[IN_GUESS], said[IN_SOURCE]) == (13 + (3 + 1 + 7), "approximated")
    assert IN not in said


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_tool_call_is_recorded_as_one(ask, streamed):
    called = Answer(("",), BILLED, tool_calls=(ToolCall("tide", "{}"),))
    tools = [{"type": "function", "name": "tide", "parameters": {}, "strict": False}]
    reply = Stream(responses.events(called)) if streamed else Plain(responses.response(called))
    _, said = await ask(reply, tools=tools)
    assert said["gen_ai.response.finish_reasons"] == ("tool_call",)
    assert said.items() >= REPORTED.items()


# Made once, fetched again ------------------------------------------------------------------------


async def test_an_id_may_be_given_by_position(surface):
    """As most programs do; the span has the id and no model in its name."""
    client, driver = surface.client(), surface.driver
    async with surface.bare():
        made = await driver.call(client.responses.create, **INPUT)
    got = await driver.call(client.copy().responses.retrieve, made.id)
    span = surface.trail.spans.one()
    assert got.output_text == SEA.answer
    assert span.name == "fetch_response"
    assert span.attributes["gen_ai.response.id"] == made.id
    assert span.attributes["openai.api.type"] == "responses"


async def test_a_stream_resumed_says_where(surface):
    client, driver = surface.client(), surface.driver
    async with surface.bare():
        made = await driver.call(client.responses.create, **INPUT)
    fetch = client.copy().responses.retrieve
    stream = await driver.call(fetch, made.id, stream=True, starting_after=3)
    await driver.read(stream)
    attributes = surface.trail.spans.attributes()
    assert attributes["gen_ai.request.stream_cursor"] == "3"
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)


async def test_what_is_made_and_fetched_is_billed_once(surface):
    """The sum over all spans and points is what the one response cost."""
    client, driver = surface.client(), surface.driver
    made = await driver.call(client.responses.create, **INPUT)
    for _ in range(3):
        await driver.call(client.responses.retrieve, made.id)
        await driver.read(await driver.call(client.responses.retrieve, made.id, stream=True))
    spans = surface.trail.spans.all()
    assert len(spans) == 7
    assert sum(span.attributes.get(OUT, 0) for span in spans) == made.usage.output_tokens
    point = surface.trail.metrics.one("gen_ai.client.token.usage", gen_ai_token_type="output")
    assert (point.count, point.sum) == (1, made.usage.output_tokens)


async def test_a_failure_of_then_is_no_error_of_fetching(driver, says, trail):
    client = driver.client(says(Plain(responses.response(ANSWER, "failed"))))
    await driver.call(client.responses.retrieve, "resp_1")
    attributes = trail.spans.attributes()
    assert "error.type" not in attributes
    assert attributes["tokentrail.outcome"] == "completed"
    assert attributes["gen_ai.response.status"] == "failed"


async def test_the_usage_of_a_background_response_is_recorded_once_it_is_known(surface):
    """Queued it has spent nothing yet; who first fetches it finished tells what it came to."""
    client, driver = surface.client(), surface.driver
    queued = await driver.call(client.responses.create, **INPUT, background=True)
    assert queued.status == "queued"
    attributes = surface.trail.spans.attributes()
    assert attributes["gen_ai.response.status"] == "queued"
    assert not {IN, OUT, IN_SOURCE, OUT_SOURCE} & attributes.keys()
    for _ in range(3):
        done = await driver.call(client.responses.retrieve, queued.id)
        assert done.output_text == SEA.answer
    values = [span.attributes.get(OUT) for span in surface.trail.spans.all()]
    assert values == [None, done.usage.output_tokens, None, None]
    own = surface.trail.metrics.one("tokentrail.usage.tokens", gen_ai_token_type="output")
    assert own.value == done.usage.output_tokens
    assert own.attributes["gen_ai.operation.name"] == "fetch_response"
    cancelled = await driver.call(client.responses.cancel, queued.id)
    assert cancelled.status == "cancelled"
    *_, fetched, ended = surface.trail.spans.all()
    assert (fetched.name, ended.name) == ("fetch_response", "cancel_response")
    assert ended.attributes["gen_ai.response.status"] == "cancelled"
    assert "error.type" not in ended.attributes


async def test_a_background_stream_that_is_left_continues_and_is_recorded_later(surface):
    """The server does not stop for it: what was seen is not what it will cost."""
    client, driver = surface.client(), surface.driver
    create = client.responses.create
    stream = await driver.call(create, **INPUT, background=True, stream=True)
    began, *_ = await driver.take(stream, 4)
    await driver.close(stream)
    attributes = surface.trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "closed_early"
    assert not {IN, OUT, IN_SOURCE, OUT_SOURCE} & attributes.keys()
    fetch = client.responses.retrieve
    await driver.read(await driver.call(fetch, began.response.id, stream=True))
    *_, fetched = surface.trail.spans.all()
    assert fetched.attributes[OUT_SOURCE] == "reported"


async def test_a_background_stream_that_names_no_status_continues_all_the_same(driver, says, trail):
    """A server of its own kind may leave the field out; no event said that it ended."""
    events = responses.events(ANSWER)
    for event in events:
        event.data.get("response", {}).pop("status", None)
    client = driver.client(says(Stream(events), Plain(responses.response(ANSWER))))
    create = client.responses.create
    stream = await driver.call(create, **INPUT, background=True, stream=True)
    began, *_ = await driver.take(stream, 6)
    await driver.close(stream)
    await driver.call(client.responses.retrieve, began.response.id)
    left, fetched = [dict(span.attributes) for span in trail.spans.all()]
    assert left["tokentrail.outcome"] == "closed_early"
    assert not {IN, OUT, IN_SOURCE, OUT_SOURCE} & left.keys()
    assert {name: fetched.get(name) for name in REPORTED} == REPORTED


# Compacted, counted ------------------------------------------------------------------------------

has_compact = pytest.mark.skipif(
    not hasattr(openai.OpenAI, "responses")
    or not hasattr(openai.OpenAI(api_key="k").responses, "compact"),
    reason=f"openai {openai.__version__} has no responses.compact",
)


@has_compact
async def test_a_compaction_without_usage_has_a_counted_input_alone(driver, says, trail):
    """What it keeps is encrypted."""
    client = driver.client(says(Plain(responses.compaction(SILENT))))
    await driver.call(client.responses.compact, **INPUT)
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes[IN_SOURCE]) == (13, "counted")
    assert OUT_SOURCE not in attributes
    assert attributes["gen_ai.response.finish_reasons"] == ("compaction",)


@has_compact
async def test_a_count_by_the_server_is_an_answer_and_no_usage(surface):
    """Nothing is spent; without a model the span is named by its operation."""
    client, driver = surface.client(), surface.driver
    got = await driver.call(client.responses.input_tokens.count, input=SEA.question)
    assert got.input_tokens == 13
    span = surface.trail.spans.one()
    assert span.name == "count_tokens"
    assert not [name for name in span.attributes if "usage" in name]
    assert surface.trail.metrics.points("gen_ai.client.token.usage") == []
