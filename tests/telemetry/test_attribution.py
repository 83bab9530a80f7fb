"""Whose call it is: the application's own attributes, its Baggage, its arguments, its hooks."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import sys
import types
from typing import Any, cast

import openai
import pytest
from opentelemetry import baggage
from opentelemetry import context as otel_context
from tests import shared

import tokentrail
from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Plain, Server

mode = shared.either_mode

server = shared.model

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}


@pytest.fixture
def ask(driver, server):
    client = driver.client(server)

    async def ask(**more):
        return await driver.call(client.chat.completions.create, **{**ASKED, **more})

    return ask


async def test_calls_inside_have_the_attributes(trail, ask):
    with tokentrail.attributes({"enduser.id": "7"}, feature="chat", beta=True, weight=0.5, step=2):
        await ask()
    await ask()
    inside, outside = (dict(span.attributes) for span in trail.spans.all())
    told = {"enduser.id": "7", "feature": "chat", "beta": True, "weight": 0.5, "step": 2}
    assert told.items() <= inside.items()
    assert not told.keys() & outside.keys()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (["a", "b"], ("a", "b")),
        ([True], (True,)),
        ([True, False], (True, False)),
        ([1, 2], (1, 2)),
        ([0.5], (0.5,)),
        ([], ()),
    ],
)
async def test_a_list_of_one_kind_is_recorded_on_spans_and_not_on_metrics(trail, ask, value, told):
    """As it was when it was set."""
    trail.instrument(custom_metric_attributes="tags,feature", emit_event=True)
    tags = [*value]
    with tokentrail.attributes(tags=tags, feature="chat"):
        tags.append("later")
        await ask()
    assert trail.spans.attributes()["tags"] == told
    assert tuple(trail.logs.one("operation.details").attributes["tags"]) == told
    duration = trail.metrics.one("gen_ai.client.operation.duration")
    assert duration.attributes["feature"] == "chat"
    assert "tags" not in duration.attributes


async def test_an_inner_stretch_adds_changes_and_takes_away(trail, ask):
    with (
        tokentrail.attributes(user="7", feature="chat", team="a"),
        tokentrail.attributes(user=None, feature="title"),
    ):
        await ask()
    attributes = trail.spans.attributes()
    assert "user" not in attributes
    assert (attributes["feature"], attributes["team"]) == ("title", "a")


async def test_a_stream_keeps_the_attributes_of_its_call(trail, driver, ask):
    trail.instrument(custom_metric_attributes="feature")
    with tokentrail.attributes(feature="chat"):
        stream = await ask(stream=True)
    with tokentrail.attributes(feature="other"):
        await driver.read(stream)
    assert trail.spans.attributes()["feature"] == "chat"
    for name in ("gen_ai.client.operation.duration", "gen_ai.client.operation.time_to_first_chunk"):
        assert trail.metrics.one(name).attributes["feature"] == "chat"
    gaps = trail.metrics.points("gen_ai.client.operation.time_per_output_chunk")
    assert {point.attributes["feature"] for point in gaps} == {"chat"}


async def test_tasks_of_one_program_keep_theirs_apart(trail, server):
    from tests.conftest import Driver

    driver = Driver("async")
    client = driver.client(server)

    async def work(user):
        with tokentrail.attributes(user=user):
            await asyncio.sleep(0)
            await client.chat.completions.create(**ASKED)

    await asyncio.gather(*(work(str(number)) for number in range(5)))
    await driver.close_all()
    assert {span.attributes["user"] for span in trail.spans.all()} == set("01234")


async def test_metrics_have_only_what_is_allowed(trail, ask):
    trail.instrument(custom_metric_attributes=["feature"])
    with tokentrail.attributes(user="7", feature="chat"):
        await ask()
    for name in ("gen_ai.client.operation.duration", "gen_ai.client.token.usage"):
        for point in trail.metrics.points(name):
            assert point.attributes["feature"] == "chat"
            assert "user" not in point.attributes
    ended = trail.metrics.one("tokentrail.operations")
    assert ended.attributes["feature"] == "chat"


async def test_by_default_metrics_have_none(trail, ask):
    with tokentrail.attributes(user="7"):
        await ask()
    assert "user" not in trail.metrics.one("gen_ai.client.operation.duration").attributes


def test_values_without_end_end_on_metrics():
    from tokentrail.model.records import Endpoint, Request
    from tokentrail.telemetry.metrics.attributes import MetricAttributes
    from tokentrail.telemetry.metrics.label_values import MAX_VALUES, OTHER

    points = MetricAttributes((), ("user",))
    nowhere = Endpoint("openai", None, None, "")
    told = {
        points.asked(Request("chat", None, nowhere, attribution=(("user", str(n)),)))["user"]
        for n in range(MAX_VALUES + 50)
    }
    assert len(told) == MAX_VALUES + 1
    assert OTHER in told


async def test_a_model_that_answers_has_its_name_on_metrics_whatever_was_refused(trail, driver):
    """Names that never succeed have fewer places of their own."""
    from tokentrail.telemetry.metrics.label_values import MAX_UNPROVEN

    def respond(call):
        if call.body["model"] != "gpt-4o":
            return Plain({"error": {"message": "no such model"}}, 404)
        return Plain(chat.completion(Answer(("Hello.",), Usage(3, 2))))

    with Server(respond) as server:
        create = driver.client(server).chat.completions.create
        for number in range(MAX_UNPROVEN + 1):
            with pytest.raises(openai.NotFoundError):
                await driver.call(create, **{**ASKED, "model": f"m{number}"})
        await driver.call(create, **ASKED)
    points = trail.metrics.points("gen_ai.client.operation.duration")
    names = {point.attributes["gen_ai.request.model"] for point in points}
    assert {"m0", "_OTHER", "gpt-4o"} <= names


@pytest.mark.settings(emit_event=True)
async def test_what_the_conventions_name_is_not_overwritten(trail, ask):
    """Neither on the span nor in its events."""
    for model in ("gpt-4o", "no such model"):
        with (
            contextlib.suppress(openai.NotFoundError),
            tokentrail.attributes({"gen_ai.request.model": "mine"}),
        ):
            await ask(model=model)
    for told in (trail.spans.all(), trail.logs.events("operation.details")):
        models = [one.attributes["gen_ai.request.model"] for one in told]
        assert models == ["gpt-4o", "no such model"]
    failure = trail.logs.one("operation.exception")
    assert failure.attributes["gen_ai.request.model"] == "no such model"


@pytest.mark.parametrize("name", ["gen_ai.request.model", "error.type", "tokentrail.outcome"])
def test_attributes_that_metrics_have_already_cannot_be_asked_for(name):
    with pytest.raises(ValueError, match="custom_metric_attributes"):
        tokentrail.instrument(custom_metric_attributes=["feature", name])


@pytest.mark.parametrize("value", [{"id": 7}, ["a", 1], [1, True], [None], [["a"]], b"7", {"a"}])
async def test_what_no_attribute_can_be_is_left_out_with_a_word(
    trail, ask, caplog, monkeypatch, value
):
    from tokentrail.support import guard

    monkeypatch.setattr(guard, "_logged", set())
    with tokentrail.attributes(user=value):
        await ask()
    assert "user" not in trail.spans.attributes()
    (record,) = [record for record in caplog.records if record.name == "tokentrail"]
    assert record.levelno == logging.WARNING


def test_an_exception_passes_and_the_stretch_is_over():
    before = otel_context.get_current()
    with pytest.raises(KeyError), tokentrail.attributes(user="7"):
        raise KeyError
    assert otel_context.get_current() == before


async def test_a_generator_closed_elsewhere_says_nothing(caplog):
    """OpenTelemetry would log that it failed to detach."""

    async def answers():
        with tokentrail.attributes(user="7"):
            yield 1
            yield 2

    generator = answers()
    await generator.__anext__()
    await asyncio.create_task(generator.aclose())
    assert caplog.records == []


async def test_baggage_is_recorded_by_key(trail, ask):
    trail.instrument(baggage_keys="tenant,region")
    token = otel_context.attach(
        baggage.set_baggage("secret", "s", baggage.set_baggage("tenant", "acme"))
    )
    try:
        await ask()
    finally:
        otel_context.detach(token)
    attributes = trail.spans.attributes()
    assert attributes["tenant"] == "acme"
    assert not {"secret", "region"} & attributes.keys()


async def test_arguments_are_recorded_if_asked_for(trail, ask):
    more = {"metadata": {"run": "r1"}, "user": "u1", "safety_identifier": "s1"}
    create = openai.resources.chat.Completions.create
    if "safety_identifier" not in inspect.signature(create).parameters:
        more = {"extra_body": more}  # as one writes it for an old client
    await ask(**more)
    assert not [name for name in trail.spans.attributes() if name.startswith("tokentrail.request")]
    trail.spans.clear()
    trail.instrument(request_attributes="metadata,safety_identifier")
    await ask(**more)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.request.metadata.run"] == "r1"
    assert attributes["tokentrail.request.safety_identifier"] == "s1"
    assert "tokentrail.request.user" not in attributes


@shared.both_modes
async def test_hooks_see_the_span_the_arguments_and_the_answer(trail, driver, ask):
    seen = []

    def request_hook(span, arguments):
        span.set_attribute("asked", arguments["model"])
        arguments.clear()

    def response_hook(span, answer):
        span.set_attribute("answered", type(answer).__name__)
        seen.append(answer)

    trail.instrument(request_hook=request_hook, response_hook=response_hook)
    answer = await ask()
    stream = await ask(stream=True)
    await driver.read(stream)
    plain, streamed = (dict(span.attributes) for span in trail.spans.all())
    assert (plain["asked"], plain["answered"]) == ("gpt-4o", "ChatCompletion")
    assert streamed["answered"] in {"Stream", "AsyncStream"}
    assert seen == [answer, stream]


@pytest.mark.parametrize("name", ["request_hook", "response_hook"])
async def test_a_hook_that_raises_does_no_harm(trail, ask, monkeypatch, caplog, name):
    from tokentrail.support import guard

    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "_logged", set())

    def hook(span, seen):
        raise KeyError(ASKED["messages"][0]["content"])

    trail.instrument(**{name: hook})
    answer = await ask()
    assert answer.choices
    assert trail.spans.attributes()["tokentrail.outcome"] == "completed"
    assert "Hello" not in caplog.text
    assert len([record for record in caplog.records if record.name == "tokentrail"]) == 1


@pytest.mark.parametrize("kind", ["list", "iterator"])
async def test_changes_of_a_request_hook_to_its_copy_have_no_effect(trail, driver, server, kind):
    """Not the server, nor the application's own lists."""

    def hook(_span, arguments):
        arguments.pop("model")
        for message in arguments.get("messages", ()):
            message["content"] = "Something else."
        arguments.setdefault("messages", []).clear()

    trail.instrument(request_hook=hook)
    client = driver.client(server)
    messages = [dict(message) for message in ASKED["messages"]]
    given = messages if kind == "list" else iter(messages)
    create = client.chat.completions.create
    await driver.call(create, model="gpt-4o", messages=given)
    assert messages == ASKED["messages"]
    assert trail.spans.attributes()["gen_ai.usage.input_tokens"] == 13


@pytest.mark.settings(custom_metric_attributes="team")
async def test_half_a_character_does_not_reach_a_metric(trail, ask):
    """One label that is no UTF-8, and no scrape succeeds any more."""
    with tokentrail.attributes(team="\ud800 blue"):
        await ask()
    point = trail.metrics.one("gen_ai.client.operation.duration")
    assert point.attributes["team"] == trail.spans.attributes()["team"] == "\ufffd blue"


@pytest.mark.parametrize(
    ("value", "exported"),
    [
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        ([1, 2**64], ("1", "18446744073709551616")),
        (10**5000, "_OTHER"),
        ("\ud83d\ude00", "\U0001f600"),
        (["a", "\udfff"], ("a", "\ufffd")),
    ],
    ids=["fits", "beyond", "beyond in a list", "far beyond", "a pair", "half a pair"],
)
async def test_what_otlp_cannot_carry_is_made_fit(trail, ask, value, exported):
    """One such attribute, and the whole batch of spans is not exported."""
    with tokentrail.attributes({"name \udfff": value}):
        await ask()
    attributes = trail.spans.attributes()
    assert attributes["name \ufffd"] == exported


@pytest.mark.parametrize("value", [7, 2.5, True])
async def test_baggage_of_another_kind_is_recorded_as_it_is(trail, ask, value):
    trail.instrument(baggage_keys="tenant")
    token = otel_context.attach(baggage.set_baggage("tenant", value))
    try:
        await ask()
    finally:
        otel_context.detach(token)
    assert trail.spans.attributes()["tenant"] == value


async def test_baggage_of_a_remote_caller_is_bounded(trail, ask):
    trail.instrument(baggage_keys="tenant", custom_metric_attributes="tenant")
    token = otel_context.attach(baggage.set_baggage("tenant", "x" * 5000))
    try:
        await ask()
    finally:
        otel_context.detach(token)
    point = trail.metrics.one("gen_ai.client.operation.duration")
    assert len(point.attributes["tenant"]) == 256
    assert len(trail.spans.attributes()["tenant"]) == 1024


# The conversation that it is part of ------------------------------------------------------------

CONVERSATION = "gen_ai.conversation.id"


def _agent(monkeypatch):
    """Have a framework put an id into the context as opentelemetry-util-genai does."""
    key = otel_context.create_key("opentelemetry.util.genai.conversation_id")
    module = types.SimpleNamespace(CONVERSATION_ID_KEY=key)
    monkeypatch.setitem(
        sys.modules, "opentelemetry.util.genai._conversation_context", cast("Any", module)
    )
    return otel_context.set_value(key, "conv_agent")


@pytest.mark.parametrize("by", ["agent", "baggage", "attributes", "all"])
@pytest.mark.settings(emit_event=True)
async def test_a_conversation_of_the_context_is_on_spans_and_events(trail, ask, monkeypatch, by):
    """The nearest counts: ours, then the framework's, then a remote caller's."""
    with contextlib.ExitStack() as inside:
        context = _agent(monkeypatch) if by in {"agent", "all"} else otel_context.get_current()
        if by in {"baggage", "all"}:
            context = baggage.set_baggage(CONVERSATION, "conv_baggage", context)
        inside.callback(otel_context.detach, otel_context.attach(context))
        await ask()
        if by in {"attributes", "all"}:
            with tokentrail.attributes({CONVERSATION: "conv_ours"}):
                await ask()
    await ask()
    seen = [dict(span.attributes).get(CONVERSATION) for span in trail.spans.all()]
    on_events = [e.attributes.get(CONVERSATION) for e in trail.logs.events("operation.details")]
    expected = {
        "agent": ["conv_agent", None],
        "baggage": ["conv_baggage", None],
        "attributes": [None, "conv_ours", None],
        "all": ["conv_agent", "conv_ours", None],
    }
    assert seen == on_events == expected[by]


async def test_a_conversation_of_the_request_is_the_one_that_counts(trail, driver, server):
    client = driver.client(server)
    if not hasattr(client, "responses"):
        pytest.skip("this client has no responses")
    asked = {"model": "gpt-4o", "input": "Hello", "extra_body": {"conversation": "conv_asked"}}
    with tokentrail.attributes({CONVERSATION: "conv_ours"}):
        await driver.call(client.responses.create, **asked)
    assert trail.spans.attributes()[CONVERSATION] == "conv_asked"
