"""Another instrumentation of the same client: said once, by name."""

from __future__ import annotations

import contextvars
import logging
import sys
from types import ModuleType, SimpleNamespace

import pytest
from opentelemetry import context

from tokentrail.counting import ENCODINGS
from tokentrail.model.records import Endpoint, Request
from tokentrail.runtime import runtime
from tokentrail.support import guard
from tokentrail.telemetry.coexistence import active_instrumentations
from tokentrail.telemetry.context import enclosing_call

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
OTHERS = {
    "opentelemetry.instrumentation.genai.openai": "opentelemetry-instrumentation-genai-openai",
    "opentelemetry.instrumentation.openai_v2": "opentelemetry-instrumentation-openai-v2",
    "opentelemetry.instrumentation.openai": "OpenLLMetry",
    "openinference.instrumentation.openai": "OpenInference",
    "openlit.instrumentation.openai": "openlit",
}


@pytest.fixture
def move_in(monkeypatch):
    """Let another instrumentation be there; ``on``: at work, not just imported."""
    monkeypatch.setattr(guard, "_logged", set())

    def move_in(module, *, on=True):
        found = ModuleType(module)
        found.OpenAIInstrumentor = type("OpenAIInstrumentor", (), {"_instance": None})
        if on is not None:
            found.OpenAIInstrumentor._instance = SimpleNamespace(
                _is_instrumented_by_opentelemetry=on
            )
        monkeypatch.setitem(sys.modules, module, found)

    return move_in


def _warnings(caplog):
    return [
        record.getMessage()
        for record in caplog.records
        if (record.name, record.levelno) == ("tokentrail", logging.WARNING)
    ]


@pytest.mark.parametrize("module", OTHERS)
async def test_another_instrumentation_is_named_once_in_a_process(
    trail, driver, server, caplog, move_in, module
):
    """At the first call, when all are there; not again, also when instrumented anew."""
    move_in(module)
    client = driver.client(server)
    assert _warnings(caplog) == []
    for _ in range(2):
        await driver.call(client.chat.completions.create, **ASKED)
    trail.instrument()
    await driver.call(client.chat.completions.create, **ASKED)
    (message,) = _warnings(caplog)
    assert OTHERS[module] in message
    assert len(trail.spans.all()) == 3


async def test_several_are_named_in_one_warning(trail, driver, server, caplog, move_in):
    for module in list(OTHERS)[2:]:
        move_in(module)
    client = driver.client(server)
    await driver.call(client.chat.completions.create, **ASKED)
    (message,) = _warnings(caplog)
    assert all(title in message for title in list(OTHERS.values())[2:])


async def test_a_client_that_is_marked_later_is_warned_of(
    trail, driver, server, caplog, move_in, monkeypatch
):
    """As logfire marks single clients, at any time."""
    monkeypatch.setitem(sys.modules, "logfire", ModuleType("logfire"))
    bare, marked = driver.client(server), driver.client(server)
    await driver.call(bare.chat.completions.create, **ASKED)
    assert _warnings(caplog) == []
    marked._is_instrumented_by_logfire = True
    for _ in range(2):
        await driver.call(marked.chat.completions.create, **ASKED)
    (message,) = _warnings(caplog)
    assert message.startswith("logfire also instruments openai")


async def test_one_that_is_switched_on_later_is_warned_of(trail, driver, server, caplog, move_in):
    """Though it was imported before the first call."""
    module = "openinference.instrumentation.openai"
    move_in(module, on=False)
    client = driver.client(server)
    await driver.call(client.chat.completions.create, **ASKED)
    assert _warnings(caplog) == []
    move_in(module)
    await driver.call(client.chat.completions.create, **ASKED)
    (message,) = _warnings(caplog)
    assert "OpenInference" in message


async def test_one_that_is_imported_later_is_warned_of(trail, driver, server, caplog, move_in):
    client = driver.client(server)
    await driver.call(client.chat.completions.create, **ASKED)
    assert _warnings(caplog) == []
    move_in("openinference.instrumentation.openai")
    await driver.call(client.chat.completions.create, **ASKED)
    (message,) = _warnings(caplog)
    assert "OpenInference" in message


@pytest.mark.parametrize("on", [False, None])
async def test_an_instrumentation_that_is_only_imported_is_none(
    trail, driver, server, caplog, move_in, on
):
    for module in OTHERS:
        move_in(module, on=on)
    client = driver.client(server)
    await driver.call(client.chat.completions.create, **ASKED)
    assert _warnings(caplog) == []


def test_those_without_an_instrumentor_are_known_by_their_marks(monkeypatch):
    def titles(client):
        return [other.title for other in active_instrumentations(client)]

    assert titles(SimpleNamespace()) == []
    assert titles(SimpleNamespace(_is_instrumented_by_logfire=True)) == ["logfire"]
    monkeypatch.setitem(sys.modules, "langfuse.openai", ModuleType("langfuse.openai"))
    assert titles(SimpleNamespace()) == ["langfuse"]


async def _streamed(driver, client):
    await driver.read(await driver.call(client.chat.completions.create, stream=True, **ASKED))


@pytest.mark.settings(on_conflict="defer", time_per_output_chunk=True)
async def test_a_call_that_another_instrumentation_records_is_left_to_it(
    trail, driver, server, caplog, move_in
):
    """No span, no gen_ai metric and no warning; our own counters, and attributes on their span."""
    assert ENCODINGS.load("o200k_base") is not None
    move_in("opentelemetry.instrumentation.openai")
    client = driver.client(server)
    with trail.spans.provider.get_tracer("theirs").start_as_current_span("theirs"):
        await _streamed(driver, client)
    assert _warnings(caplog) == []
    span = trail.spans.one()
    assert span.name == "theirs"
    assert span.attributes["tokentrail.usage.input.source"] == "counted"
    assert span.attributes["tokentrail.usage.counted.input_tokens"] == 13
    assert all(name.startswith("tokentrail.") for name in span.attributes)
    names = trail.metrics.names()
    assert "tokentrail.usage.tokens" in names
    assert [name for name in names if name.startswith("gen_ai.")] == []
    assert trail.metrics.one("tokentrail.operations").value == 1


@pytest.mark.settings(on_conflict="defer")
async def test_what_the_other_instrumentation_does_not_record_is_recorded(
    trail, driver, server, move_in
):
    move_in("openlit.instrumentation.openai")
    client = driver.client(server)
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": "Hello"}
    await driver.call(client.completions.create, **asked)
    assert trail.spans.one().name == "text_completion gpt-3.5-turbo-instruct"


@pytest.mark.settings(on_conflict="defer")
async def test_without_another_instrumentation_defer_changes_nothing(trail, driver, server):
    client = driver.client(server)
    await _streamed(driver, client)
    assert trail.spans.one().name == "chat gpt-4o"


@pytest.mark.parametrize("delegated", [True, False])
def test_a_call_that_is_left_in_another_place_takes_nothing_away_there(trail, caplog, delegated):
    """As a coroutine that the collector closes, beside tasks of the same parent."""
    request = Request("chat", None, Endpoint("openai", None, None, ""))
    client = object()

    def begun():
        emitter = runtime.current().emitter
        telemetry = emitter.start(request, context.get_current(), delegated=delegated)
        telemetry.attach(client)
        assert enclosing_call(client) is telemetry
        return telemetry

    telemetry = contextvars.copy_context().run(begun)
    before = context.get_current()
    telemetry.detach()
    assert context.get_current() is before
    assert enclosing_call() is None
    assert caplog.records == []
