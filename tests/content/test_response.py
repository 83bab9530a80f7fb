"""What a model says is told, plain and streamed alike, as far as it came."""

from __future__ import annotations

import json

import openai
import pytest
from tests import shared

from tokentrail.apis.readers import content_accumulator
from tokentrail.content import Content, Redaction
from tokentrail.model.records import Endpoint, Request
from tokentrail.testing.payloads import Answer, ToolCall, chat, completions, responses
from tokentrail.testing.server import Cut, Event, Plain, Stream

pytestmark = pytest.mark.settings(capture_content="SPAN_AND_EVENT")

mode = shared.either_mode

CALL = ToolCall("weather", '{"city": "Paris", "days": [1, 2]}', "call_1")
CALL_PART = {
    "type": "tool_call",
    "id": "call_1",
    "name": "weather",
    "arguments": {"city": "Paris", "days": [1, 2]},
}
ASKED = {
    "chat": {"messages": [{"role": "user", "content": "Hello?"}]},
    "completions": {"prompt": "Hello?"},
    "responses": {"input": "Hello?"},
}
QUESTION = [{"role": "user", "parts": [{"type": "text", "content": "Hello?"}]}]


def text(content):
    return {"type": "text", "content": content}


def assistant(*parts):
    return {"role": "assistant", "parts": list(parts)}


def said_by(api, answer, *, stream):
    """Return what the server replies with."""
    if api == "chat":
        return Stream(chat.chunks(answer)) if stream else Plain(chat.completion(answer))
    if api == "completions":
        said = completions.events(answer) if stream else completions.completion(answer)
    else:
        said = responses.events(answer) if stream else responses.response(answer)
    return Stream(said) if stream else Plain(said)


def method(client, api):
    if api == "responses" and not hasattr(client, "responses"):
        pytest.skip("this openai has no responses")
    return client.chat.completions.create if api == "chat" else getattr(client, api).create


async def call(driver, server, api, *, stream=False, **options):
    create = method(driver.client(server), api)
    model = "gpt-3.5-turbo-instruct" if api == "completions" else "gpt-4o-mini"
    answer = await driver.call(create, model=model, stream=stream, **ASKED[api], **options)
    return await driver.read(answer) if stream else answer


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def stream(request):
    return request.param


@pytest.fixture(params=["chat", "completions", "responses"])
def api(request):
    return request.param


async def test_a_text(driver, serve, said, api, stream):
    answer = Answer(("Hello there, you.",))
    await call(driver, serve(said_by(api, answer, stream=stream)), api, stream=stream)
    assert said.everywhere() == {
        "input.messages": QUESTION,
        "output.messages": [assistant(text("Hello there, you."))],
    }


@pytest.mark.parametrize("api", ["chat", "completions"])
async def test_each_choice_is_a_message(driver, serve, said, api, stream):
    server = serve(said_by(api, Answer(("One is.", "Two are.", "Three")), stream=stream))
    await call(driver, server, api, stream=stream, n=3)
    assert said.output() == [
        assistant(text("One is.")), assistant(text("Two are.")), assistant(text("Three"))
    ]  # fmt: skip


async def test_a_text_and_a_call_of_a_tool(driver, serve, said, api, stream):
    if api == "completions":
        pytest.skip("completions call no tools")
    answer = Answer(("Let me see.",), tool_calls=(CALL,))
    await call(driver, serve(said_by(api, answer, stream=stream)), api, stream=stream)
    parts = [text("Let me see."), CALL_PART]
    assert said.output() == [assistant(*(parts if api == "chat" else reversed(parts)))]


async def test_two_calls_of_tools_keep_their_order_and_ids(driver, serve, said, stream):
    other = ToolCall("clock", "{}", "call_2")
    server = serve(said_by("chat", Answer(tool_calls=(CALL, other)), stream=stream))
    await call(driver, server, "chat", stream=stream)
    assert said.output() == [
        assistant(
            CALL_PART, {"type": "tool_call", "id": "call_2", "name": "clock", "arguments": {}}
        )
    ]


def chat_reply(message, deltas, *, stream):
    head = {"id": "c", "model": "m", "created": 1}
    if not stream:
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return Plain({**head, "object": "chat.completion", "choices": [choice]})
    kind = {**head, "object": "chat.completion.chunk"}
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    return Stream([*(Event({**kind, "choices": [choice]}) for choice in choices), chat.DONE])


CHAT = {
    "refusal": (
        {"role": "assistant", "content": None, "refusal": "I can not."},
        [{"role": "assistant", "refusal": "I can"}, {"refusal": " not."}],
        [text("I can not.")],
    ),
    "thought": (
        {"role": "assistant", "content": "Yes.", "reasoning_content": "Well, so."},
        [{"reasoning_content": "Well,"}, {"reasoning_content": " so."}, {"content": "Yes."}],
        [{"type": "reasoning", "content": "Well, so."}, text("Yes.")],
    ),
    "thought by another name": (
        {"role": "assistant", "content": "Yes.", "reasoning": "Well, so."},
        [{"reasoning": "Well,"}, {"reasoning": " so."}, {"content": "Yes."}],
        [{"type": "reasoning", "content": "Well, so."}, text("Yes.")],
    ),
    "thought beside a content": (
        {"role": "assistant", "content": "Yes.", "reasoning_content": "Well."},
        [
            {"reasoning_content": "We", "content": "Ye"},
            {"reasoning_content": "ll.", "content": "s."},
        ],
        [{"type": "reasoning", "content": "Well."}, text("Yes.")],
    ),
    "sound": (
        {
            "role": "assistant",
            "content": None,
            "audio": {"id": "a", "data": "aGVsbG8=", "transcript": "Hello", "expires_at": 1},
        },
        [
            {"audio": {"id": "a", "transcript": "Hel"}},
            {"audio": {"transcript": "lo", "data": "aGVs"}},
            {"audio": {"data": "bG8="}},
        ],
        [
            text("Hello"),
            {"type": "blob", "modality": "audio", "content": "", "byte_size": 5},
        ],
    ),
    "sound in pieces, each padded": (
        {
            "role": "assistant",
            "content": None,
            "audio": {"id": "a", "data": "YWJjZGVmZw==", "transcript": "Hi", "expires_at": 1},
        },
        [
            {"audio": {"id": "a", "transcript": "Hi", "data": "YWJjZA=="}},
            {"audio": {"data": "ZWZn"}},
        ],
        [
            text("Hi"),
            {"type": "blob", "modality": "audio", "content": "", "byte_size": 7},
        ],
    ),
    "sound in the alphabet of URLs": (
        {
            "role": "assistant",
            "content": None,
            "audio": {"id": "a", "data": "-_-_aGVsbG8=", "transcript": "Hi", "expires_at": 1},
        },
        [
            {"audio": {"id": "a", "transcript": "Hi", "data": "-_-_"}},
            {"audio": {"data": "aGVsbG8="}},
        ],
        [
            text("Hi"),
            {"type": "blob", "modality": "audio", "content": "", "byte_size": 8},
        ],
    ),
    "legacy function call": (
        {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a": 1}'}},
        [
            {"function_call": {"name": "f", "arguments": ""}},
            {"function_call": {"arguments": '{"a": 1}'}},
        ],
        [{"type": "tool_call", "name": "f", "arguments": {"a": 1}}],
    ),
    "free input": (
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c", "type": "custom", "custom": {"name": "sql", "input": "[1]"}}
            ],
        },
        [
            {"tool_calls": [{"index": 0, "id": "c", "custom": {"name": "sql", "input": "["}}]},
            {"tool_calls": [{"index": 0, "custom": {"input": "1]"}}]},
        ],
        [{"type": "tool_call", "id": "c", "name": "sql", "arguments": "[1]"}],
    ),
    "a name in each chunk": (
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
        },
        [
            {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}]},
            {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "}"}}]},
        ],
        [{"type": "tool_call", "id": "c", "name": "f", "arguments": {}}],
    ),
    "nothing": ({"role": "assistant", "content": None}, [{"role": "assistant"}, {}], None),
}


@pytest.mark.parametrize("case", CHAT)
async def test_what_chat_may_say(driver, serve, said, case, stream):
    message, deltas, parts = CHAT[case]
    await call(driver, serve(chat_reply(message, deltas, stream=stream)), "chat", stream=stream)
    assert said.output() == ([] if parts is None else [assistant(*parts)])


ITEMS = [
    {"id": "rs_1", "type": "reasoning", "summary": [
        {"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}]},
    {"id": "ws_1", "type": "web_search_call", "status": "completed",
     "action": {"type": "search", "query": "rain"}},
    {"id": "ctc_1", "type": "custom_tool_call", "call_id": "c_1", "name": "sql", "input": "{}"},
    {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
        {"type": "output_text", "text": "Rain.", "annotations": []},
        {"type": "refusal", "refusal": "No more."}]},
]  # fmt: skip
ITEM_PARTS = [
    {"type": "reasoning", "content": "First."},
    {"type": "reasoning", "content": "Then."},
    {"type": "server_tool_call", "id": "ws_1", "name": "web_search", "server_tool_call": {
        "type": "web_search", "status": "completed",
        "action": {"type": "search", "query": "rain"}}},
    {"type": "tool_call", "id": "c_1", "name": "sql", "arguments": "{}"},
    text("Rain."),
    text("No more."),
]  # fmt: skip
EVENTS = [
    ("output_item.added", {"output_index": 0, "item": {**ITEMS[0], "summary": []}}),
    ("reasoning_summary_text.delta", {"output_index": 0, "summary_index": 0, "delta": "First."}),
    ("reasoning_summary_text.delta", {"output_index": 0, "summary_index": 1, "delta": "Th"}),
    ("reasoning_summary_text.delta", {"output_index": 0, "summary_index": 1, "delta": "en."}),
    ("output_item.done", {"output_index": 0, "item": ITEMS[0]}),
    ("output_item.added", {"output_index": 1, "item": ITEMS[1]}),
    ("output_item.done", {"output_index": 1, "item": ITEMS[1]}),
    ("output_item.added", {"output_index": 2, "item": {**ITEMS[2], "input": ""}}),
    ("custom_tool_call_input.delta", {"output_index": 2, "delta": "{}"}),
    ("output_item.added", {"output_index": 3, "item": {**ITEMS[3], "content": []}}),
    ("output_text.delta", {"output_index": 3, "content_index": 0, "delta": "Ra"}),
    ("output_text.delta", {"output_index": 3, "content_index": 0, "delta": "in."}),
    ("refusal.delta", {"output_index": 3, "content_index": 1, "delta": "No more."}),
]


def events(rows):
    return [
        Event({"type": f"response.{kind}", **fields}, f"response.{kind}") for kind, fields in rows
    ]


def response(status, output):
    return {"response": {**responses.response(Answer(("",))), "status": status, "output": output}}


async def test_what_responses_may_say(driver, serve, said, stream):
    done = response("completed", ITEMS)
    told = Stream(events([*EVENTS, ("completed", done)])) if stream else Plain(done["response"])
    await call(driver, serve(told), "responses", stream=stream)
    assert said.output() == [assistant(*ITEM_PARTS)]


@pytest.mark.parametrize(
    "ending", [[], [("failed", response("failed", []))]], ids=["cut", "failed"]
)
async def test_what_came_of_a_response_that_was_never_finished(driver, serve, said, ending):
    await call(driver, serve(Stream(events([*EVENTS, *ending]))), "responses", stream=True)
    assert said.output() == [assistant(*ITEM_PARTS)]


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        (EVENTS[1:4], ITEM_PARTS[:2]),
        (EVENTS[10:13], ITEM_PARTS[-2:]),
        ([EVENTS[9], EVENTS[12], *EVENTS[10:12]], ITEM_PARTS[-2:]),
    ],
    ids=["summaries without a beginning", "a message without a beginning", "parts out of order"],
)
async def test_what_came_of_a_part_of_the_events(driver, serve, said, rows, parts):
    """As after a stream is resumed midway."""
    await call(driver, serve(Stream(events(rows))), "responses", stream=True)
    assert said.output() == [assistant(*parts)]


async def test_what_came_of_a_stream_that_broke(driver, serve, said, api):
    answer = Answer(("The sea is old and wide.",))
    steps = list(said_by(api, answer, stream=True).steps)
    steps = steps[: 6 + 3 * (api == "responses")]
    with pytest.raises(Exception):
        await call(driver, serve(Stream([*steps, Cut(reset=True)])), api, stream=True)
    ((message,),) = [said.output()]
    (part,) = message["parts"]
    assert part["content"]
    assert answer.texts[0].startswith(part["content"])


@shared.both_modes
async def test_what_was_received_of_a_stream_that_is_closed(driver, serve, said, api):
    server = serve(said_by(api, Answer(("The sea is old and wide.",)), stream=True))
    create = method(driver.client(server), api)
    model = "gpt-3.5-turbo-instruct" if api == "completions" else "gpt-4o-mini"
    chunks = await driver.call(create, model=model, stream=True, **ASKED[api])
    await driver.take(chunks, 6 if api == "responses" else 3)
    await driver.close(chunks)
    ((message,),) = [said.output()]
    assert message["parts"][0]["content"] in {"The sea", "The sea is", "The"}


async def test_incomplete_arguments_are_recorded_as_received(driver, serve, said):
    steps = chat.chunks(Answer(tool_calls=(CALL,)))[:4]
    with pytest.raises(Exception):
        await call(driver, serve(Stream([*steps, Cut(reset=True)])), "chat", stream=True)
    ((message,),) = [said.output()]
    assert CALL.arguments.startswith(message["parts"][0]["arguments"])


async def test_a_failed_call_has_no_output(driver, serve, said, api):
    refused = Plain({"error": {"message": "No.", "code": "nope"}}, 400)
    with pytest.raises(openai.BadRequestError):
        await call(driver, serve(refused), api)
    assert said.everywhere() == {"input.messages": QUESTION}


@shared.both_modes
async def test_a_raw_answer_is_recorded_when_it_arrives(driver, serve, said, api):
    server = serve(said_by(api, Answer(("Hello.",)), stream=False))
    client = driver.client(server).with_raw_response
    create = method(client, api)
    model = "gpt-3.5-turbo-instruct" if api == "completions" else "gpt-4o-mini"
    raw = await driver.call(create, model=model, **ASKED[api])
    await driver.call(raw.parse)
    assert said.output() == [assistant(text("Hello."))]


async def test_a_response_that_is_fetched_repeats_its_request(driver, serve, trail):
    body = {
        **responses.response(Answer(("Hello.",))),
        "instructions": "Be short.",
        "tools": [{"type": "web_search"}],
    }
    client = driver.client(serve(Plain(body)))
    if not hasattr(client, "responses"):
        pytest.skip("this openai has no responses")
    await driver.call(client.responses.retrieve, "resp_1")
    from tests.content.conftest import content_in

    assert content_in(trail.spans.attributes()) == {
        "output.messages": [assistant(text("Hello."))],
        "system_instructions": [text("Be short.")],
        "tool.definitions": [{"type": "web_search", "name": "web_search"}],
    }
    assert trail.logs.all() == []


async def test_a_compaction_is_a_part(driver, serve, said):
    client = driver.client(serve(Plain(responses.compaction(Answer(id="1")))))
    if not hasattr(getattr(client, "responses", None), "compact"):
        pytest.skip("this openai does not compact")
    await driver.call(client.responses.compact, model="gpt-5", input="Hello?")
    assert said.output() == [assistant({"type": "compaction", "id": "cmp_1"})]


async def test_embeddings_have_no_content(driver, serve, trail):
    body = {
        "object": "list",
        "model": "e",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
    client = driver.client(serve(Plain(body)))
    create = client.embeddings.create
    await driver.call(create, model="e", input="secret", encoding_format="float")
    assert "secret" not in repr(trail.spans.attributes())
    assert trail.logs.all() == []


async def test_the_request_is_read_when_the_call_is_made(driver, serve, said):
    """What the application does with its list later is another request's content."""
    messages = [{"role": "user", "content": "Hello?"}]
    client = driver.client(serve(said_by("chat", Answer(("Hi.",)), stream=True)))
    create = client.chat.completions.create
    chunks = await driver.call(create, model="gpt-4o", messages=messages, stream=True)
    messages[0]["content"] = "changed"
    messages.append({"role": "user", "content": "later"})
    await driver.read(chunks)
    assert said.everywhere()["input.messages"] == QUESTION


async def test_messages_in_a_generator_are_recorded_and_sent(driver, serve, said):
    server = serve(said_by("chat", Answer(("Hi.",)), stream=False))
    messages = (message for message in [{"role": "user", "content": "Hello?"}])
    create = driver.client(server).chat.completions.create
    await driver.call(create, model="gpt-4o", messages=messages)
    assert said.everywhere()["input.messages"] == QUESTION


@pytest.mark.parametrize("mode", ["async"])
async def test_a_coroutine_records_the_context_until_it_is_awaited(driver, serve, said):
    messages = []
    client = driver.client(serve(said_by("chat", Answer(("Hi.",)), stream=False)))
    coroutine = client.chat.completions.create(model="gpt-4o", messages=messages)
    messages.append({"role": "user", "content": "Hello?"})
    await coroutine
    assert said.everywhere()["input.messages"] == QUESTION


@pytest.mark.parametrize("api", ["chat_completions", "responses"])
def test_no_more_is_gathered_than_will_be_kept(api):
    """Of a long answer, where no ``redact`` wants to see all of it."""
    request = Request("chat", api, Endpoint("openai", None, None, ""))
    gathering = content_accumulator(request, schemas=False, limit=100)
    piece = {"choices": [{"index": 0, "delta": {"content": "sea " * 5}}]}
    if api == "responses":
        piece = {"type": "response.output_text.delta", "output_index": 0, "delta": "sea " * 5}
    for _ in range(1000):
        gathering.add(piece)
    (message,) = gathering.content().output
    assert len(message.parts[0].content) == 120
    (kept,) = Redaction(limit=100).content(Content(output=(message,))).output
    assert len(kept.parts[0].content) == 100


HOSTED = {
    "web_search": ({"action": {"type": "search", "query": "sea"}, "status": "completed"}, {}),
    "file_search": (
        {"queries": ["sea"], "status": "completed"},
        {"results": [{"file_id": "file_1", "text": "It is salt."}]},
    ),
    "code_interpreter": (
        {"code": "print(1)", "container_id": "cntr_1", "status": "completed"},
        {"outputs": [{"type": "logs", "logs": "1\n"}]},
    ),
    "mcp": ({"server_label": "tides", "arguments": {"port": "Cuxhaven"}}, {"output": "at 5"}),
    "tool_search": ({"arguments": {"names": ["tide"]}, "status": "completed"}, {}),
}
"""By type: what the server's own tool was asked, and what it gave where that is shown."""


@pytest.mark.parametrize("kind", HOSTED)
async def test_a_hosted_tool_is_a_call_and_what_it_gave(driver, serve, said, kind, stream):
    asked, given = HOSTED[kind]
    item = {"id": "ht_1", "type": f"{kind}_call", **asked, **given}
    if kind == "mcp":
        item |= {"name": "tide", "arguments": json.dumps(asked["arguments"])}
    rows = [("output_item.added", {"output_index": 0, "item": {**item, "status": "in_progress"}}),
            ("output_item.done", {"output_index": 0, "item": item})]  # fmt: skip
    done = response("completed", [item])
    told = Stream(events([*rows, ("completed", done)])) if stream else Plain(done["response"])
    await call(driver, serve(told), "responses", stream=stream)
    name = "tide" if kind == "mcp" else kind
    part = {"type": "server_tool_call", "id": "ht_1", "name": name,
            "server_tool_call": {"type": kind, **asked}}  # fmt: skip
    result = {"type": "server_tool_call_response", "id": "ht_1",
              "server_tool_call_response": {"type": kind, **given}}  # fmt: skip
    assert said.output() == [assistant(part, *([result] if given else []))]
