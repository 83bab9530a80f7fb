"""Beside a framework's official instrumentation: LangChain's, alone and with the client's own."""

from __future__ import annotations

import json

import pytest

import tokentrail

ASKED = "Hello, how are you?"
INPUT, OUTPUT = 13, 59
"""What the server bills; what it does not report is counted as exactly that."""
THEIRS = "opentelemetry.instrumentation.genai.langchain"

pytestmark = [
    pytest.mark.interop,
    # Of LangChain's own, on its way to its next release.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
]


@pytest.fixture
def framework(spans, metrics, logs, settled, needed):
    """Give LangChain's instrumentation, told into the same place as ours."""
    needed("langchain_openai")
    found = needed(THEIRS)
    instrumentor = found.LangChainInstrumentor()
    providers = {
        "tracer_provider": spans.provider,
        "meter_provider": metrics.provider,
        "logger_provider": logs.provider,
    }
    yield lambda: instrumentor.instrument(**providers)
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


@pytest.fixture(params=["framework, ours", "ours, framework", "framework, official, ours"])
def told(request, trail, framework, official):
    """Instrument with all of them, in the order of the test."""
    tokentrail.uninstrument()
    order = request.param.split(", ")
    steps = {"framework": framework, "ours": trail.instrument, "official": official.instrument}
    for name in order:
        steps[name]()
    yield trail
    tokentrail.uninstrument()
    official.uninstrument()


@pytest.fixture
def model(server):
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model="gpt-4o", base_url=server.base_url, api_key="no-secret", stream_usage=False
    )


def _tokens(trail, kind):
    name = "gen_ai.client.token.usage"
    points = trail.metrics.points(name, gen_ai_token_type=kind)
    own = trail.metrics.one("tokentrail.usage.tokens", gen_ai_token_type=kind)
    return sum(point.sum for point in points), own.value


def _one(trail, source):
    """Return the attributes of the one span, which is the framework's and knows the tokens."""
    span = trail.spans.one()
    assert span.instrumentation_scope.name == THEIRS
    assert span.attributes["gen_ai.operation.name"] == "chat"
    assert span.attributes["tokentrail.usage.output.source"] == source
    assert trail.metrics.one("gen_ai.client.operation.duration").count == 1
    assert trail.metrics.one("tokentrail.operations").value == 1
    return span.attributes


def test_a_plain_call_is_one_span_of_the_framework(told, model):
    model.invoke(ASKED)
    attributes = _one(told, "reported")
    assert attributes["gen_ai.usage.input_tokens"] == INPUT
    assert attributes["gen_ai.usage.output_tokens"] == OUTPUT
    assert _tokens(told, "output") == (OUTPUT, OUTPUT)


def test_a_stream_without_usage_gains_the_counted_tokens(told, model):
    """On the framework's span and in its token metric."""
    for _ in model.stream(ASKED):
        pass
    attributes = _one(told, "counted")
    assert attributes["gen_ai.usage.input_tokens"] == INPUT
    assert attributes["gen_ai.usage.output_tokens"] == OUTPUT
    assert _tokens(told, "input") == (INPUT, INPUT)
    assert _tokens(told, "output") == (OUTPUT, OUTPUT)


async def test_an_async_stream_gains_them_too(told, model):
    async for _ in model.astream(ASKED):
        pass
    await model.root_async_client.close()
    attributes = _one(told, "counted")
    assert attributes["gen_ai.usage.output_tokens"] == OUTPUT
    assert _tokens(told, "output") == (OUTPUT, OUTPUT)


def test_a_stream_that_is_closed_early_is_recorded_once(told, model):
    stream = model.stream(ASKED)
    for _ in range(3):
        next(stream)
    stream.close()
    attributes = _one(told, "counted")
    assert 0 < attributes["gen_ai.usage.output_tokens"] < OUTPUT
    shown, own = _tokens(told, "output")
    assert 0 < own < OUTPUT
    assert shown in {0, own}, "the framework may leave the tokens of a stream it lost out"


PROGRAM = """
import sys
from langchain_openai import ChatOpenAI
model = ChatOpenAI(
    model="gpt-4o", base_url=sys.argv[1], api_key="no-secret", stream_usage=False
)
for _ in model.stream("Hello, how are you?"):
    pass
"""


def test_under_auto_instrumentation_a_call_is_one_span(framework, auto_instrumented):
    printed = auto_instrumented(PROGRAM)
    span = json.loads(printed)
    assert span["attributes"]["gen_ai.usage.output_tokens"] == OUTPUT
    assert span["attributes"]["tokentrail.usage.output.source"] == "counted"
