"""The stand-in model, asked by the real openai client, sync and async."""

import asyncio
import base64
import json

import openai
import pytest
from pydantic import BaseModel

from tokentrail.testing.exchanges import EXCHANGES, LAMP, SALT, TURTLE, WEATHER, Exchange
from tokentrail.testing.model import MODELS, Model
from tokentrail.testing.payloads import Answer, Usage, chat, errors, pieces, responses
from tokentrail.testing.server import Call, Cut, Event, Server, Stream, Wait

HAS_RESPONSES = hasattr(openai.OpenAI, "responses")
needs_responses = pytest.mark.skipif(not HAS_RESPONSES, reason="openai without a Responses API")
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class Caller:
    """Makes the same calls with the sync or the async client."""

    def __init__(self, *, is_async, azure=False):
        self._async = is_async
        names = ("AsyncAzureOpenAI", "AzureOpenAI") if azure else ("AsyncOpenAI", "OpenAI")
        self._client_class = getattr(openai, names[0] if is_async else names[1])

    def __call__(self, resource: str, *, client: dict, take: int | None = None, **kwargs):
        """Return the answer; of a stream all its events, or the first ``take`` before it closes."""
        client = {"api_key": "sk-test", "max_retries": 0, "timeout": 5, **client}
        if self._async:
            return asyncio.run(self._acall(resource, client, take, kwargs))
        with self._client_class(**client) as opened:
            answer = _create(opened, resource)(**kwargs)
            if not kwargs.get("stream"):
                return answer
            with answer:
                return [event for event, _ in zip(answer, range(take or 10**6), strict=False)]

    async def _acall(self, resource, client, take, kwargs):
        async with self._client_class(**client) as opened:
            answer = await _create(opened, resource)(**kwargs)
            if not kwargs.get("stream"):
                return answer
            seen = []
            async with answer:
                async for event in answer:
                    seen.append(event)
                    if len(seen) == take:
                        break
            return seen


def _create(client, resource):
    for name in resource.split("."):
        client = getattr(client, name)
    return client.create


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def call(request):
    return Caller(is_async=request.param)


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def azure_call(request):
    return Caller(is_async=request.param, azure=True)


def _user(text):
    return [{"role": "user", "content": text}]


def _ask(call, server, exchange=SALT, model="gpt-4o-mini", **kwargs):
    client = {"base_url": server.base_url}
    return call(
        "chat.completions",
        client=client,
        model=model,
        messages=_user(exchange.question),
        **kwargs,
    )


def _text(chunks, choice=0):
    return "".join(
        part.delta.content or ""
        for chunk in chunks
        for part in chunk.choices
        if part.index == choice
    )


def test_a_plain_answer_has_its_usage(call):
    with Server(Model()) as server:
        answer = _ask(call, server)
    assert answer.model == "gpt-4o-mini-2024-07-18"
    assert answer.choices[0].message.content == SALT.answer
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (15, len(pieces(SALT.answer)))
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_gives_the_same_text_and_no_usage_unasked(call):
    with Server(Model()) as server:
        chunks = _ask(call, server, stream=True)
    assert _text(chunks) == SALT.answer
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)
    assert "usage" not in chunks[1].model_fields_set
    assert not server.calls[0].hung_up


def test_a_stream_ends_with_usage_when_asked(call):
    with Server(Model()) as server:
        chunks = _ask(call, server, stream=True, stream_options={"include_usage": True})
    *body, last = chunks
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (15, 79)
    assert all(chunk.usage is None and "usage" in chunk.model_fields_set for chunk in body)


def test_choices_are_interleaved_and_billed_together(call):
    options = {"include_usage": True}
    with Server(Model()) as server:
        plain = _ask(call, server, n=2)
        chunks = _ask(call, server, n=2, stream=True, stream_options=options)
    texts = [choice.message.content for choice in plain.choices]
    assert texts == [SALT.answer, LAMP.answer] == [_text(chunks, 0), _text(chunks, 1)]
    assert plain.usage.completion_tokens == sum(len(pieces(text)) for text in texts)
    assert chunks[-1].usage == plain.usage
    assert [chunk.choices[0].index for chunk in chunks[:6]] == [0, 1, 0, 1, 0, 1]


def test_a_limit_cuts_the_answer(call):
    with Server(Model()) as server:
        answer = _ask(call, server, max_tokens=5)
    assert answer.choices[0].message.content == "Rain is a patient miner"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 5


def test_a_tool_is_called_plain_and_streamed_and_its_result_answered_in_words(call):
    with Server(Model()) as server:
        plain = _ask(call, server, WEATHER, tools=[WEATHER_TOOL])
        chunks = _ask(call, server, WEATHER, tools=[WEATHER_TOOL], stream=True)
        result = {"role": "tool", "tool_call_id": "call_1", "content": "21"}
        words = call(
            "chat.completions",
            client={"base_url": server.base_url},
            model="gpt-4o",
            messages=[*_user(WEATHER.question), result],
            tools=[WEATHER_TOOL],
        )
        silent = _ask(call, server, WEATHER, tools=[WEATHER_TOOL], tool_choice="none")
    (made,) = plain.choices[0].message.tool_calls
    assert (made.function.name, made.function.arguments) == ("get_weather", '{"city":"Paris"}')
    assert plain.choices[0].finish_reason == "tool_calls" == chunks[-1].choices[0].finish_reason
    parts = [part for c in chunks for part in c.choices[0].delta.tool_calls or ()]
    assert parts[0].function.name == "get_weather"
    assert "".join(part.function.arguments for part in parts) == '{"city":"Paris"}'
    assert words.choices[0].message.content == WEATHER.answer
    assert silent.choices[0].message.content == WEATHER.answer


@pytest.mark.parametrize(("effort", "thought"), [(None, 192), ("minimal", 0)])
def test_a_reasoning_model_bills_its_thought(call, effort, thought):
    asked = {"extra_body": {"reasoning_effort": effort}} if effort else {}
    with Server(Model()) as server:
        answer = _ask(call, server, TURTLE, model="o4-mini", **asked)
    visible = len(pieces(TURTLE.answer))
    assert answer.usage.completion_tokens == thought + visible
    details = answer.usage.model_dump()["completion_tokens_details"]
    assert details["reasoning_tokens"] == thought
    assert answer.usage.prompt_tokens == 7 + 23 - (thought > 0)


def test_an_unknown_model_is_not_found(call):
    with Server(Model()) as server, pytest.raises(openai.NotFoundError) as error:
        _ask(call, server, model="gpt-nought")
    assert error.value.code == "model_not_found"
    assert "`gpt-nought`" in str(error.value)


def test_a_wrong_key_is_refused(call):
    with Server(Model(api_key="sk-right")) as server:
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key") as error:
            _ask(call, server)
        call(
            "chat.completions",
            client={"base_url": server.base_url, "api_key": "sk-right"},
            model="gpt-4o",
            messages=_user("x"),
        )
    assert error.value.code == "invalid_api_key"


def test_an_unknown_path_is_not_found(call):
    with Server(Model()) as server:
        client = {"base_url": f"{server.url}/v2"}
        with pytest.raises(openai.NotFoundError, match="Invalid URL"):
            call("chat.completions", client=client, model="gpt-4o", messages=[])


def test_azure_streams_its_filter_first(azure_call):
    client = {"api_version": "2024-10-21"}
    with Server(Model(deployments={"my-chat": "gpt-35-turbo"})) as server:
        client["azure_endpoint"] = server.url
        said = {"model": "my-chat", "messages": _user(SALT.question)}
        plain = azure_call("chat.completions", client=client, **said)
        chunks = azure_call("chat.completions", client=client, stream=True, **said)
        with pytest.raises(openai.NotFoundError, match="deployment for this resource"):
            azure_call("chat.completions", client=client, model="nought", messages=[])
    assert server.calls[0].path == "/openai/deployments/my-chat/chat/completions"
    assert server.calls[0].query == {"api-version": "2024-10-21"}
    assert server.calls[0].headers["api-key"] == "sk-test"
    assert plain.model == "gpt-35-turbo"
    first = chunks[0]
    assert (first.id, first.model, first.choices) == ("", "", [])
    assert first.model_extra["prompt_filter_results"]
    assert chunks[1].model == "gpt-35-turbo"
    assert _text(chunks) == SALT.answer


def test_azure_v1_takes_a_bearer_and_the_deployment_as_model(call):
    with Server(Model(deployments={"my-chat": "gpt-4o"}, api_key="k")) as server:
        client = {"base_url": f"{server.url}/openai/v1/", "api_key": "k"}
        answer = call(
            "chat.completions", client=client, model="my-chat", messages=_user(SALT.question)
        )
    assert answer.model == "gpt-4o-2024-08-06"


def test_a_delay_paces_the_stream_and_a_hang_up_is_seen(call):
    with Server(Model(delay=0.01)) as server:
        chunks = _ask(call, server, LAMP, stream=True, take=6)
        (received,) = server.calls
        assert received.wait()
        assert received.hung_up
    assert _text(chunks) == "An old lamp stood on"


def _scripted(call, steps, **kwargs):
    with Server(lambda _: Stream(steps)) as server:
        return _ask(call, server, stream=True, **kwargs)


ANSWER = Answer(("one two three",), Usage(9, 3))


def test_a_cut_stream_raises_in_the_client(call):
    with pytest.raises(Exception, match=r"incomplete chunked read|Connection error"):
        _scripted(call, [*chat.chunks(ANSWER)[:2], Cut()])


def test_an_error_in_a_stream_raises_in_the_client(call):
    with pytest.raises(openai.APIError, match="had an error") as error:
        _scripted(call, [*chat.chunks(ANSWER)[:2], errors.event()])
    assert error.value.type == "server_error"


@pytest.mark.parametrize(
    ("usage_on", "told"),
    [
        ("none", [None] * 5),
        ("last", [None] * 5 + [3]),
        ("every", [0, 1, 2, 3, 3]),
        ("finish", [None] * 4 + [3]),
    ],
)
def test_usage_can_stand_anywhere(call, usage_on, told):
    chunks = _scripted(call, chat.chunks(ANSWER, usage_on))
    assert [chunk.usage and chunk.usage.completion_tokens for chunk in chunks] == told


def test_text_can_be_split_in_any_way(call):
    answer = Answer(("one two three",), split=list)
    chunks = _scripted(call, [Wait(0.0), *chat.chunks(answer)])
    assert _text(chunks) == "one two three"
    assert len(chunks) == 2 + len("one two three")


def test_legacy_completions_answer_plain_and_streamed(call):
    with Server(Model()) as server:
        said = {
            "client": {"base_url": server.base_url},
            "model": "gpt-3.5-turbo-instruct",
            "prompt": [SALT.question, LAMP.question],
        }
        plain = call("completions", **said)
        options = {"include_usage": True}
        events = call("completions", stream=True, stream_options=options, **said)
    assert [choice.text for choice in plain.choices] == [SALT.answer, LAMP.answer]
    assert plain.usage.prompt_tokens == 8 + 12
    for index, exchange in enumerate((SALT, LAMP)):
        told = [c.text for event in events for c in event.choices if c.index == index]
        assert "".join(told) == exchange.answer
    assert (events[-1].choices, events[-1].usage) == ([], plain.usage)


@pytest.mark.parametrize("encoding_format", [None, "float", "base64"])
def test_embeddings_come_as_asked(call, encoding_format):
    asked = {} if encoding_format is None else {"encoding_format": encoding_format}
    with Server(Model()) as server:
        answer = call(
            "embeddings",
            client={"base_url": server.base_url},
            model="text-embedding-3-small",
            input=["one two", "three", "one two"],
            dimensions=8,
            **asked,
        )
    vectors = [item.embedding for item in answer.data]
    if encoding_format == "base64":
        assert [len(base64.b64decode(vector)) for vector in vectors] == [32] * 3
    else:
        assert [round(sum(x * x for x in vector), 5) for vector in vectors] == [1.0] * 3
    assert vectors[0] == vectors[2] != vectors[1]
    assert answer.usage.prompt_tokens == 5


def test_prompts_of_token_ids_are_counted():
    model = Model()
    body = {"model": "text-embedding-3-small", "input": [[1, 2, 3], [4]], "dimensions": 2}
    reply = model(Call("POST", "/v1/embeddings", {}, {}, b"", body))
    assert reply.body["usage"]["prompt_tokens"] == 4
    assert len(reply.body["data"]) == 2


@needs_responses
def test_responses_answer_and_can_be_fetched_again(call):
    with Server(Model()) as server:
        client = {"base_url": server.base_url}
        answer = call("responses", client=client, model="o4-mini", input=TURTLE.question)
        with openai.OpenAI(api_key="k", **client) as opened:
            again = opened.responses.retrieve(answer.id)
            with opened.responses.retrieve(answer.id, stream=True) as stream:
                last = list(stream)[-1]
            with pytest.raises(openai.NotFoundError, match="resp_x"):
                opened.responses.retrieve("resp_x")
    assert answer.output_text == TURTLE.answer == again.output_text
    assert answer.usage.output_tokens_details.reasoning_tokens == 192
    assert [item.type for item in answer.output] == ["reasoning", "message"]
    assert last.response.usage == answer.usage


@needs_responses
def test_a_response_in_the_background_is_queued_fetched_and_cancelled(call):
    with Server(Model()) as server:
        client = {"base_url": server.base_url}
        asked = {"model": "gpt-4o-mini", "input": SALT.question}
        at_once = call("responses", client=client, **asked)
        queued = call("responses", client=client, background=True, **asked)
        with openai.OpenAI(api_key="k", max_retries=0, **client) as opened:
            done = opened.responses.retrieve(queued.id)
            cancelled = opened.responses.cancel(queued.id)
            with pytest.raises(openai.BadRequestError, match="synchronous"):
                opened.responses.cancel(at_once.id)
            with pytest.raises(openai.NotFoundError, match="resp_x"):
                opened.responses.cancel("resp_x")
    assert (queued.status, queued.output, queued.usage) == ("queued", [], None)
    assert (done.status, done.output_text, done.background) == ("completed", SALT.answer, True)
    assert (cancelled.status, cancelled.output) == ("cancelled", [])


def test_a_conversation_is_compacted_and_its_input_counted():
    """Without a client: only some releases have the methods."""
    asked = {"model": "gpt-4o-mini", "input": SALT.question}
    model = Model()
    compacted, counted, unnamed = (
        model(Call("POST", f"/v1/responses/{path}", {}, {}, b"", body)).body
        for path, body in (
            ("compact", asked),
            ("input_tokens", asked),
            ("input_tokens", {"input": SALT.question}),
        )
    )
    assert compacted["object"] == "response.compaction"
    assert [item["type"] for item in compacted["output"]] == ["compaction"]
    assert compacted["usage"]["input_tokens"] == 15
    assert counted == unnamed == {"object": "response.input_tokens", "input_tokens": 15}


@needs_responses
@pytest.mark.parametrize("limit", [None, 16])
def test_a_responses_stream_has_typed_events_and_usage_at_the_end(call, limit):
    asked = {"max_output_tokens": limit} if limit else {}
    with Server(Model()) as server:
        events = call(
            "responses",
            client={"base_url": server.base_url},
            model="gpt-4o",
            input=_user(LAMP.question),
            instructions="You are kind.",
            stream=True,
            **asked,
        )
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == "".join(pieces(LAMP.answer)[:limit])
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == ("response.incomplete" if limit else "response.completed")
    assert events[-1].response.usage.output_tokens == len(pieces(text))
    assert events[-1].response.usage.input_tokens == 3 + 4 + 4 + 4 + 12


@needs_responses
def test_responses_call_tools(call):
    tool = {"type": "function", **WEATHER_TOOL["function"]}
    with Server(Model()) as server:
        said = {
            "client": {"base_url": server.base_url},
            "model": "gpt-4o",
            "input": WEATHER.question,
            "tools": [tool],
        }
        plain = call("responses", **said)
        events = call("responses", stream=True, **said)
    (made,) = plain.output
    assert (made.name, made.arguments) == ("get_weather", '{"city":"Paris"}')
    kind = "response.function_call_arguments.delta"
    assert "".join(e.delta for e in events if e.type == kind) == made.arguments


@needs_responses
def test_responses_record_failures_as_events(call):
    steps = [*responses.events(Answer(("one",), Usage(1, 1)), "failed"), responses.error_event()]
    with Server(lambda _: Stream(steps)) as server:
        events = call(
            "responses",
            client={"base_url": server.base_url},
            model="gpt-4o",
            input="x",
            stream=True,
        )
    failed, error = events[-2:]
    assert (failed.type, failed.response.error.code) == ("response.failed", "server_error")
    assert (error.type, error.message) == ("error", responses.error_event().data["message"])


@pytest.mark.skipif(not hasattr(openai.OpenAI, "webhooks"), reason="needs chat.completions.parse")
def test_a_schema_is_filled():
    class Leaf(BaseModel):
        kind: str
        size: int | None

    class Tree(BaseModel):
        name: str
        height: float
        old: bool
        leaves: list[Leaf]

    with Server(Model()) as server, openai.OpenAI(api_key="k", base_url=server.base_url) as client:
        said = {"model": "gpt-4o", "messages": _user("A tree?")}
        answer = client.chat.completions.parse(response_format=Tree, **said)
    assert answer.choices[0].message.parsed == Tree(
        name="Ada", height=0.5, old=True, leaves=[Leaf(kind="word", size=3)]
    )


def test_an_exchange_of_ones_own_keeps_its_own_numbers(call):
    own = Exchange("Tell me about it", "It is so.", question_tokens=12, answer_tokens=366)
    with Server(Model(exchanges=[own], models={"mine": "mine-1"})) as server:
        answer = _ask(call, server, own, model="mine")
    assert answer.choices[0].message.content == "It is so."
    assert answer.model == "mine-1"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (12, 366)


def test_the_same_question_always_has_the_same_answer():
    def ask():
        body = {"model": "gpt-4o", "messages": _user("Something nobody wrote down")}
        reply = Model()(Call("POST", "/v1/chat/completions", {}, {}, b"", body))
        return reply.body["choices"][0]["message"]["content"]

    assert ask() == ask()
    assert ask() in {exchange.answer for exchange in EXCHANGES}


def test_every_model_answers_by_its_name_and_by_the_dated_one():
    for name in {*MODELS, *MODELS.values()}:
        body = {"model": name, "messages": _user("x"), "input": "x"}
        reply = Model()(Call("POST", "/v1/chat/completions", {}, {}, b"", body))
        assert reply.body["model"] == MODELS.get(name, name)


def test_events_are_json_but_for_the_last():
    *body, done = chat.chunks(ANSWER)
    assert done == Event("[DONE]")
    assert all(json.loads(event.encode().removeprefix(b"data: ")) for event in body)
