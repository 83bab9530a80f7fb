"""Nothing that the application can see differs from a run without us.

To add a case:

- a situation is an async generator ``(driver, client, stage)`` below ``@situation``: it sets what
  the server says (``_plain``, ``_streamed``), uses the client by ``driver``, and yields all that
  it gets hold of;
- it is played with us and without; both runs must be the same in what was yielded, raised, sent,
  warned and logged, and in the context after each step;
- what differs from run to run by itself is replaced in ``_stable`` or ``Log``, by as narrow a
  pattern as does;
- a difference that must be is a seam: it stands in CONTRIBUTING.md with its reason, and in
  ``tests/surface/test_seams.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import gc
import inspect
import logging
import pickle
import re
import typing
import warnings
from dataclasses import dataclass, field
from traceback import walk_tb
from typing import Any

import openai
import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace

from tokentrail.testing.payloads import Usage, errors
from tokentrail.testing.server import Cut, Event, Plain, Raw, Stream

USAGE = Usage(31, 17)
MODEL = "gpt-4o-mini"
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Tell me of the sea."}]},
]
TOOL = {
    "type": "function",
    "function": {"name": "tide", "parameters": {"type": "object", "properties": {}}},
}


OURS = re.compile(r"/tokentrail/(?!demo/)|/wrapt/")
"""Files whose frames stand between the application and the client."""


# One run, as the application sees it -------------------------------------------------------------


@dataclass
class Run:
    """What one run of a situation showed."""

    seen: list[Any] = field(default_factory=list)
    raised: Any = None
    sent: list[Any] = field(default_factory=list)
    logged: list[Any] = field(default_factory=list)
    warned: list[Any] = field(default_factory=list)


class Log(logging.Handler):
    """Keeps what is logged, without what differs from run to run."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.told = []

    def emit(self, record):
        text = re.sub(r"0x[0-9a-f]+|\d+\.\d+|idempotency.*", "#", record.getMessage())
        self.told.append((record.name, record.levelname, text))


@contextlib.contextmanager
def _watching(run):
    # When the transport's connections are let go is the collector's business.
    log, root = Log(), logging.getLogger()
    levels = {logging.getLogger(name): logging.INFO for name in ("httpcore", "httpcore2")}
    levels[root] = logging.DEBUG
    before = {logger: logger.level for logger in levels}
    root.addHandler(log)
    for logger, level in levels.items():
        logger.setLevel(level)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
            gc.collect()
    finally:
        root.removeHandler(log)
        for logger, level in before.items():
            logger.setLevel(level)
    run.logged = [told for told in log.told if told[0] != "asyncio"]
    run.warned = [(w.category, str(w.message), w.filename, w.lineno) for w in caught]


def _frames(error):
    """Return the frames of an error's way, without ours."""
    passed = [(f.f_code.co_filename, n, f.f_code.co_name) for f, n in walk_tb(error.__traceback__)]
    return [frame for frame in passed if not OURS.search(frame[0])]


def _error(error):
    if error is None:
        return None
    told = (type(error), _stable(error.args), _frames(error))
    return (*told, _error(error.__cause__), type(error.__context__), error.__suppress_context__)


def _stable(value):
    return re.sub(r"0x[0-9a-f]+", "#", repr(value))


def _shown(thing):
    """Return what can be compared of something that the client gave."""
    kind = type(thing)
    if hasattr(thing, "to_json"):
        return kind, thing.to_json(), thing.model_fields_set, sorted(thing.model_extra or {})
    if hasattr(thing, "_iterator"):
        return kind, isinstance(thing, (openai.Stream, openai.AsyncStream)), sorted(vars(thing))
    if hasattr(thing, "http_response"):
        parts = (thing.status_code, str(thing.url), thing.method, thing.is_closed, thing.headers)
        return kind, _stable(parts)
    return kind, _stable(thing)


def _context(before):
    """Return the names of the context variables that are not what they were."""
    now = dict(contextvars.copy_context())
    changed = {var.name for var in {*now, *before} if now.get(var) is not before.get(var)}
    return sorted(changed)


def _request(call):
    headers = {name: value for name, value in call.headers.items() if "idempotency" not in name}
    shown = call.method, call.path, dict(call.query), call.content, headers
    _, _, boundary = headers.get("content-type", "").partition("boundary=")  # a random one
    return shown if not boundary else _stable(shown).replace(boundary, "#")


async def _run(situation, driver, stage):
    """Play a situation: it yields whatever the application gets hold of."""
    run = Run()
    stage.server.calls.clear()
    client = driver.client(stage.server)
    with _watching(run):
        before = dict(contextvars.copy_context())
        current = otel_context.get_current()
        steps = situation(driver, client, stage)
        try:
            async for thing in steps:
                run.seen.append((_shown(thing), _context(before)))
                assert otel_context.get_current() is current
        except Exception as error:
            run.raised = _error(error)
        assert otel_context.get_current() is current
        run.seen.append(_context(before))
        del steps
        await driver.close(client)
        gc.collect()
        await asyncio.sleep(0)
    run.sent = [_request(call) for call in stage.server.calls]
    return run


# Situations --------------------------------------------------------------------------------------

SITUATIONS = []


def situation(function):
    """Add a situation to the table."""
    SITUATIONS.append(function)
    return function


def _ask(driver, client, **options):
    asked = {"model": MODEL, "messages": MESSAGES, **options}
    return driver.call(client.chat.completions.create, **asked)


def _answer(stage, **changes):
    return stage.apis["chat"].answer(**{"id": "1", "created": 1, "usage": USAGE, **changes})


def _plain(stage, **changes):
    stage.says(_chat().completion(_answer(stage, **changes)))


def _streamed(stage, usage_on="none", **changes):
    stage.streams(_chat().chunks(_answer(stage, **changes), usage_on))


def _chat():
    from tokentrail.testing.payloads import chat

    return chat


@situation
async def plain(driver, client, stage):
    _plain(stage)
    yield await _ask(driver, client, temperature=0.5, extra_body={"metadata": {"who": "me"}})


@situation
async def with_metadata(driver, client, stage):
    _plain(stage)
    yield await _ask(driver, client, metadata={"who": "me"}, store=True)


@situation
async def plain_with_choices_null(driver, client, stage):
    stage.says({"id": "1", "object": "chat.completion", "created": 1, "model": MODEL})
    yield await _ask(driver, client)
    stage.says({"id": "1", "object": "chat.completion", "created": 1, "choices": None})
    yield await _ask(driver, client)


@situation
async def plain_with_strange_numbers(driver, client, stage):
    body = dict(_chat().completion(_answer(stage)))
    for usage in ({"prompt_tokens": "9", "completion_tokens": -1}, {}, 7, {"prompt_tokens": 1e99}):
        stage.says({**body, "usage": usage})
        yield await _ask(driver, client)


@situation
async def not_an_answer_at_all(driver, client, stage):
    for body in ({"error": None}, [], "words", None, 3):
        stage.says(body)
        yield await _ask(driver, client)


@situation
async def an_answer_of_another_kind(driver, client, stage):
    stage.says(b"<html>", headers={"content-type": "text/html"})
    yield await _ask(driver, client)


@situation
async def streamed(driver, client, stage):
    _streamed(stage)
    stream = await _ask(driver, client, stream=True)
    yield stream
    for chunk in await driver.read(stream):
        yield chunk
    yield stream


@situation
async def streamed_with_usage(driver, client, stage):
    for usage_on in ("last", "every", "finish"):
        _streamed(stage, usage_on)
        options = {"stream_options": {"include_usage": True}}
        for chunk in await driver.read(await _ask(driver, client, stream=True, **options)):
            yield chunk


@situation
async def streamed_step_by_step(driver, client, stage):
    _streamed(stage)
    stream = await _ask(driver, client, stream=True)
    with contextlib.suppress(StopAsyncIteration):
        while True:
            yield await driver.next(stream)
    yield stream.response.is_closed
    yield await driver.read(stream)


@situation
async def streamed_choice_one_first(driver, client, stage):
    events = _chat().chunks(_answer(stage, texts=("The sea.", "Old and wide.")))
    stage.streams([*reversed(events[:-1]), events[-1]])
    for chunk in await driver.read(await _ask(driver, client, stream=True, n=2)):
        yield chunk


@situation
async def streamed_strangely(driver, client, stage):
    head = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    strange = [
        {"choices": None},
        {"choices": {}},
        {"choices": [None]},
        {"choices": [{"index": 10**30, "delta": {"content": "a"}}]},
        {"choices": [{"index": -5, "delta": {"content": "b"}, "finish_reason": 7}]},
        {"choices": [{"index": "0", "delta": None}]},
        {"choices": [{"delta": {"content": ["c"], "tool_calls": [{"index": 10**9}]}}]},
        {"choices": [], "usage": {"prompt_tokens": "many", "completion_tokens": None}},
        {"usage": 3},
        {"model": None, "id": 4, "obfuscation": "xyz"},
    ]
    stage.streams([Event({**head, **fields}) for fields in strange] + [Event("[DONE]")])
    for chunk in await driver.read(await _ask(driver, client, stream=True)):
        yield chunk


@situation
async def closed_early(driver, client, stage):
    _streamed(stage)
    stream = await _ask(driver, client, stream=True)
    for chunk in await driver.take(stream, 3):
        yield chunk
    await driver.close(stream)
    yield stream.response.is_closed


@situation
async def left_by_with(driver, client, stage):
    _streamed(stage)
    async with driver.within(await _ask(driver, client, stream=True)) as stream:
        yield stream
        yield await driver.next(stream)
    yield stream.response.is_closed


@situation
async def closed_and_read_on(driver, client, stage):
    events = _chat().chunks(_answer(stage))
    stage.streams([events[0], events[1], stage.OPEN])
    stream = await _ask(driver, client, stream=True)
    yield await driver.next(stream)
    yield await driver.next(stream)
    await driver.close(stream)
    yield await driver.next(stream)


@situation
async def raw(driver, client, stage):
    _plain(stage)
    create = client.chat.completions.with_raw_response.create
    answer = await driver.call(create, model=MODEL, messages=MESSAGES)
    yield answer
    yield answer.parse()
    yield answer.parse() is answer.parse()
    yield answer.http_response.content


@situation
async def raw_streamed(driver, client, stage):
    _streamed(stage)
    create = client.chat.completions.with_raw_response.create
    answer = await driver.call(create, model=MODEL, messages=MESSAGES, stream=True)
    yield answer
    stream = answer.parse()
    yield stream
    for chunk in await driver.read(stream):
        yield chunk
    yield answer


@situation
async def streaming_response(driver, client, stage):
    _plain(stage)
    create = client.chat.completions.with_streaming_response.create
    for how in ("parse", "json", "text", "read"):
        async with driver.within(create(model=MODEL, messages=MESSAGES)) as answer:
            yield answer
            yield await driver.call(getattr(answer, how))
        yield answer


@situation
async def streaming_response_streamed(driver, client, stage):
    _streamed(stage)
    create = client.chat.completions.with_streaming_response.create
    async with driver.within(create(model=MODEL, messages=MESSAGES, stream=True)) as answer:
        stream = await driver.call(answer.parse)
        for chunk in await driver.read(stream):
            yield chunk
    async with driver.within(create(model=MODEL, messages=MESSAGES, stream=True)) as answer:
        yield await driver.read(answer.iter_lines())


@situation
async def helper(driver, client, stage):
    _streamed(stage, "last")
    owner = client.chat if hasattr(client.chat.completions, "stream") else client.beta.chat
    manager = owner.completions.stream(model=MODEL, messages=MESSAGES, tools=[])
    async with driver.within(manager) as stream:
        for event in await driver.read(stream):
            yield type(event), event.type
        yield await driver.call(stream.get_final_completion)


@situation
async def parsed(driver, client, stage):
    from pydantic import BaseModel

    class Sea(BaseModel):
        wide: bool

    _plain(stage, texts=('{"wide": true}',))
    owner = client.chat if hasattr(client.chat.completions, "parse") else client.beta.chat
    answer = await driver.call(
        owner.completions.parse, model=MODEL, messages=MESSAGES, response_format=Sea
    )
    yield answer.choices[0].message.parsed.wide
    yield answer.usage


@situation
async def refused_by_the_server(driver, client, stage):
    stage.reply = errors.model_not_found(MODEL)
    yield await _ask(driver, client)


@situation
async def refused_a_stream(driver, client, stage):
    stage.reply = errors.reply(429, "slow down", code="rate_limit")
    yield await _ask(driver, client, stream=True)


@situation
async def error_in_the_middle(driver, client, stage):
    events = _chat().chunks(_answer(stage))
    stage.streams([*events[:3], errors.event(code="overloaded")])
    stream = await _ask(driver, client, stream=True)
    while True:
        yield await driver.next(stream)


@situation
async def nonsense_in_the_middle(driver, client, stage):
    stage.streams([*_chat().chunks(_answer(stage))[:3], Event("{nonsense")])
    stream = await _ask(driver, client, stream=True)
    yield await driver.read(stream)


@situation
async def cut_in_the_middle(driver, client, stage):
    stage.streams([*_chat().chunks(_answer(stage))[:3], Cut()])
    stream = await _ask(driver, client, stream=True)
    while True:
        yield await driver.next(stream)


@situation
async def invalid_bytes(driver, client, stage):
    stage.streams([Raw(b'data: {"a": "\xff"}\n\n')])
    yield await driver.read(await _ask(driver, client, stream=True))


@situation
async def timed_out(driver, client, stage):
    stage.reply = Stream([], wait=5)
    yield await _ask(driver, client, stream=True, timeout=0.05)


@situation
async def missing_arguments(driver, client, stage):
    yield client.chat.completions.create(model=MODEL)


@situation
async def unknown_arguments(driver, client, stage):
    yield client.chat.completions.create(model=MODEL, messages=[], nonsense=1)


@situation
async def positional_arguments(driver, client, stage):
    yield client.chat.completions.create(MODEL, [])


@situation
async def unsendable_arguments(driver, client, stage):
    yield await _ask(driver, client, messages=object())


@situation
async def odd_messages(driver, client, stage):
    for messages in ([], [{}], ({"role": "user", "content": "a tuple"},), [{"role": "user"}]):
        _plain(stage)
        yield await _ask(driver, client, messages=messages)


@situation
async def its_own_answer_appended(driver, client, stage):
    _plain(stage)
    answer = await _ask(driver, client)
    yield await _ask(driver, client, messages=[*MESSAGES, answer.choices[0].message])


@situation
async def read_once(driver, client, stage):
    _plain(stage)
    yield await _ask(driver, client, messages=iter(MESSAGES), tools=iter([TOOL]))
    _streamed(stage)
    messages = (message for message in MESSAGES)
    yield await driver.read(await _ask(driver, client, messages=messages, stream=True))
    yield list(messages)


@situation
async def read_once_and_tried_again(driver, client, stage):
    stage.first = [Plain({"error": {}}, 500, {"retry-after-ms": "1"})]
    _plain(stage)
    patient = client.with_options(max_retries=1)
    yield await _ask(driver, patient, messages=iter(MESSAGES))


@situation
async def an_iterator_that_raises(driver, client, stage):
    def messages():
        yield MESSAGES[0]
        raise KeyError

    yield await _ask(driver, client, messages=messages())


@situation
async def extra_everything(driver, client, stage):
    _plain(stage)
    yield await _ask(
        driver,
        client,
        extra_body={"model": "gpt-4o", "seed": 1, "mine": [1, {"a": None}]},
        extra_headers={"x-mine": "1"},
        extra_query={"q": "1"},
        timeout=9,
    )
    _streamed(stage)
    yield await _ask(driver, client, extra_body={"stream": True})


@situation
async def given_nothing(driver, client, stage):
    _plain(stage)
    nothing = getattr(openai, "omit", openai.NOT_GIVEN)
    yield await _ask(driver, client, stream=nothing, n=nothing, tools=nothing, stop=None)


@situation
async def other_options(driver, client, stage):
    _plain(stage)
    yield await _ask(driver, client.with_options(timeout=3, default_headers={"x-mine": "2"}))


@situation
async def completions(driver, client, stage):
    api = stage.apis["completions"]
    answer = api.answer(id="1", created=1, usage=USAGE)
    from tokentrail.testing.payloads import completions as said

    stage.says(said.completion(answer))
    yield await driver.call(client.completions.create, model=api.model, prompt=iter(["a", "b"]))
    stage.streams(said.events(answer))
    create = client.completions.create
    for chunk in await driver.read(
        await driver.call(create, model=api.model, prompt="a", stream=True)
    ):
        yield chunk


@situation
async def deprecated(driver, client, stage):
    """A newer client warns here, and names the line that made the call."""
    stage.says({"text": "The sea."})
    sound = ("a.wav", b"RIFF", "audio/wav")
    yield await driver.call(client.audio.translations.create, model="whisper-1", file=sound)


@situation
async def embedded(driver, client, stage):
    from tokentrail.testing.payloads import embeddings

    for inputs in (["a", "b"], iter(["a", "b"])):
        stage.says(
            embeddings.embeddings(("a", "b"), model="m", tokens=2, dimensions=4, as_base64=True)
        )
        yield await driver.call(client.embeddings.create, model="m", input=inputs)


@situation
async def responses(driver, client, stage):
    if not hasattr(client, "responses"):
        return
    from tokentrail.testing.payloads import responses as said

    answer = _answer(stage)
    stage.says(said.response(answer))
    create = client.responses.create
    yield await driver.call(create, model=MODEL, input=iter([{"role": "user", "content": "a"}]))
    yield await driver.call(client.responses.retrieve, "resp_1")
    for events in (said.events(answer), said.events(answer, "failed"), [said.error_event()]):
        stage.streams(events)
        stream = await driver.call(create, model=MODEL, input="a", stream=True)
        yield stream
        for event in await driver.read(stream):
            yield event


@pytest.fixture
def set_stage(stage, apis):
    stage.apis = apis
    return stage


@pytest.mark.parametrize("play", SITUATIONS, ids=lambda play: play.__name__)
async def test_an_instrumented_run_is_a_bare_run(driver, set_stage, trail, play):
    """Objects, types, errors, requests, contexts, warnings and log: all are the same."""
    import tokentrail

    with_us = await _run(play, driver, set_stage)
    spans = trail.spans.all()
    tokentrail.uninstrument()
    set_stage.gate.clear()
    without = await _run(play, driver, set_stage)
    assert with_us.seen == without.seen
    assert with_us.raised == without.raised
    assert with_us.sent == without.sent
    assert with_us.warned == without.warned
    assert with_us.logged == without.logged
    assert len(without.seen) > 1 or without.raised or not hasattr(openai.OpenAI, "responses")
    assert len(trail.spans.all()) == len(spans), "a bare run was told"
    assert spans or play is responses, "an instrumented run was not told"


# What is counted is what was sent ----------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_messages_that_can_be_read_once_are_sent_and_counted(
    driver, stage, trail, apis, stream
):
    """The server gets them whole, and so does the count."""
    api = apis["chat"]
    stage.streams(api.events()) if stream else stage.says(api.body())
    answer = await driver.call(
        api.method(driver.client(stage.server)),
        model=MODEL,
        messages=(message for message in api.asked["messages"]),
        stream=stream,
    )
    if stream:
        await driver.read(answer)
    assert stage.server.calls[0].body["messages"] == api.asked["messages"]
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.usage.input_tokens"] == api.input_tokens
    assert attributes["tokentrail.usage.input.source"] == "counted"


async def test_what_is_appended_while_a_stream_runs_is_not_counted(driver, stage, trail, apis):
    """The prompt is what it was when the call was made."""
    api = apis["chat"]
    stage.streams(api.events())
    messages = copy.deepcopy(api.asked["messages"])
    stream = await driver.call(
        api.method(driver.client(stage.server)), model=MODEL, messages=messages, stream=True
    )
    await driver.next(stream)
    messages[0]["content"] = "Tell me something else, at great length."
    messages.append({"role": "assistant", "content": "The sea is old"})
    await driver.read(stream)
    assert trail.spans.attributes()["gen_ai.usage.input_tokens"] == api.input_tokens


async def test_arguments_are_left_as_they_were(driver, stage, trail, apis):
    """No dict or list of the application's is changed, however deep."""
    arguments = {
        "model": MODEL,
        "messages": copy.deepcopy(MESSAGES),
        "tools": [copy.deepcopy(TOOL)],
        "tool_choice": {"type": "function", "function": {"name": "tide"}},
        "stream": True,
        "stream_options": {"include_usage": True},
        "extra_body": {"mine": {"a": [1]}, "metadata": {"who": "me"}},
        "extra_headers": {"x-mine": "1"},
    }
    before = copy.deepcopy(arguments)
    stage.streams(apis["chat"].events(USAGE))
    client = driver.client(stage.server)
    await driver.read(await driver.call(client.chat.completions.create, **arguments))
    assert arguments == before
    assert stage.server.calls[0].body["metadata"] == {"who": "me"}


# Spans and where they are current ----------------------------------------------------------------


def _client_with_hook(driver, stage, hook):
    kind = "DefaultAsyncHttpxClient" if driver.mode == "async" else "DefaultHttpxClient"

    async def later(request):
        hook(request)

    hooks = {"request": [later if driver.mode == "async" else hook]}
    return driver.client(stage.server, http_client=getattr(openai, kind)(event_hooks=hooks))


@pytest.mark.parametrize("stream", [False, True])
async def test_the_span_is_current_while_the_request_is_made(driver, stage, trail, apis, stream):
    """A span of the HTTP client nests under ours, and ours under the application's."""
    api, tracer = apis["chat"], trail.spans.provider.get_tracer("http")
    stage.streams(api.events()) if stream else stage.says(api.body())
    client = _client_with_hook(driver, stage, lambda _: tracer.start_span("POST").end())
    with tracer.start_as_current_span("application"):
        answer = await driver.call(api.method(client), model=MODEL, **api.asked, stream=stream)
    if stream:
        await driver.read(answer)
    by_name = {span.name: span for span in trail.spans.all()}
    ours = by_name[f"chat {MODEL}"]
    assert by_name["POST"].parent.span_id == ours.context.span_id
    assert ours.parent.span_id == by_name["application"].context.span_id


async def test_the_span_is_not_current_in_the_loop(driver, stage, trail, apis):
    """What the application does with a chunk is its own; a later parent does not become ours."""
    api, tracer = apis["chat"], trail.spans.provider.get_tracer("application")
    stage.streams(api.events())
    with tracer.start_as_current_span("at the call") as parent:
        client = driver.client(stage.server)
        stream = await driver.call(api.method(client), model=MODEL, **api.asked, stream=True)
        assert trace.get_current_span() is parent
    with tracer.start_as_current_span("in the loop") as other:
        with contextlib.suppress(StopAsyncIteration):
            while True:
                await driver.next(stream)
                assert trace.get_current_span() is other
        assert trace.get_current_span() is other
    ours = next(span for span in trail.spans.all() if span.name == f"chat {MODEL}")
    assert ours.parent.span_id == parent.context.span_id


async def test_a_helper_s_request_is_made_under_the_span(driver, stage, trail, apis):
    """The helpers make their request late; it nests all the same."""
    api, tracer = apis["chat"], trail.spans.provider.get_tracer("http")
    stage.streams(api.events())
    client = _client_with_hook(driver, stage, lambda _: tracer.start_span("POST").end())
    owner = client.chat if hasattr(client.chat.completions, "stream") else client.beta.chat
    async with driver.within(owner.completions.stream(model=MODEL, **api.asked)) as stream:
        assert trace.get_current_span() is trace.INVALID_SPAN
        await driver.read(stream)
    http, ours = trail.spans.all()
    assert http.parent.span_id == ours.context.span_id


# The methods themselves --------------------------------------------------------------------------


def _methods():
    from tokentrail.patching.methods import ROWS

    for row in ROWS:
        yield row, pytest.param(row, id=f"{row.owner}.{row.method}")


def _function(row):
    import importlib

    for name in row.modules:
        with contextlib.suppress(ImportError):
            owner = getattr(importlib.import_module(name), row.owner, None)
            if owner is not None:
                return vars(owner).get(row.method)
    return None


def _face(function):
    """Return what a program or an editor can learn of a function."""
    overloads = typing.get_overloads(function) if hasattr(typing, "get_overloads") else []
    return {
        "signature": inspect.signature(function),
        "hints": list(getattr(function, "__annotations__", {})),
        "names": (function.__name__, function.__qualname__, function.__module__, function.__doc__),
        "overloads": overloads,
        "coroutine": inspect.iscoroutinefunction(function),
        "unwrapped": inspect.iscoroutinefunction(inspect.unwrap(function)),
        "source": inspect.getsourcefile(inspect.unwrap(function)),
        "function": inspect.isfunction(function),
        "routine": inspect.isroutine(function),
        "callable": callable(function),
        "shown": (_stable(function), _stable(str(function))),
        "copied": [one is function for one in (copy.copy(function), copy.deepcopy(function))],
        "pickled": pickle.dumps(function),
    }


@pytest.mark.parametrize("row", [param for _, param in _methods()])
def test_a_method_shows_the_face_it_had(trail, row):
    """Signature, names, docs, overloads: as if nobody had wrapped it; later it is the very same."""
    import tokentrail

    patched = _function(row)
    if patched is None:
        assert row.optional
        pytest.skip("this openai has no such method")
    with_us = _face(patched)
    tokentrail.uninstrument()
    original = _function(row)
    assert original is not patched
    assert with_us == _face(original)
    trail.instrument()
    tokentrail.uninstrument()
    assert _function(row) is original


async def test_a_method_of_one_object_is_copied_and_shown_as_usual(driver, stage, trail):
    """As what it is: a method, which is the same each time it is asked for."""
    import tokentrail

    completions = driver.client(stage.server).chat.completions
    with_us = _bound_face(completions)
    tokentrail.uninstrument()
    assert with_us == _bound_face(completions)


def _bound_face(owner):
    method = owner.create
    call, of = method.__reduce_ex__(4)
    assert copy.copy(method) == method == owner.create
    return repr(method), call, of[0] is owner, of[1:], hash(method) == hash(owner.create)


def test_a_method_of_the_class_is_called_with_its_object(stage, apis, trail):
    """As some frameworks do, and as a class of the application's own does."""
    api = apis["chat"]
    stage.says(api.body())
    with openai.OpenAI(base_url=stage.server.base_url, api_key="k") as client:
        completions = client.chat.completions
        create = type(completions).create
        assert create is type(completions).create is vars(type(completions))["create"]
        answer = create(completions, model=MODEL, **api.asked)
    assert answer.choices[0].message.content == "The sea is old and wide."
    assert f":{trail.spans.attributes()['server.port']}/" in stage.server.base_url


@pytest.mark.parametrize("given", [(), ("no object of it",)])
def test_a_method_of_the_class_without_an_object_is_refused_as_usual(trail, given):
    from openai.resources.chat.completions import Completions

    import tokentrail

    refusals = []
    for _ in range(2):
        with pytest.raises((TypeError, AttributeError)) as caught:
            Completions.create(*given, model=MODEL, messages=[])
        refusals.append((type(caught.value), str(caught.value)))
        tokentrail.uninstrument()
    assert refusals[0] == refusals[1]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_coroutine_has_the_name_of_the_client_s(stage, apis, trail, stream):
    """A task's name, a warning, a debugger show the client's method."""
    import tokentrail

    api, faces = apis["chat"], []
    async with openai.AsyncOpenAI(base_url=stage.server.base_url, api_key="k") as client:
        for _ in range(2):
            stage.streams(api.events())
            coroutine = api.method(client)(model=MODEL, **api.asked, stream=stream)
            faces.append((type(coroutine), coroutine.__name__, coroutine.__qualname__))
            assert inspect.iscoroutine(coroutine)
            coroutine.close()
            tokentrail.uninstrument()
    assert faces[0] == faces[1]
    assert stage.server.calls == []
