"""pydantic-ai.

`OpenAIChatModel` and `OpenAIResponsesModel` call the client's methods. With its `Instrumentation`
pydantic-ai records a span `chat <model>` of its own, and ours is its child. Both spans have the
tokens, so sum those of one scope only. It asks for a stream's usage by itself.
"""

from __future__ import annotations

import openai
import pytest
from tests.frameworks.conftest import ANSWER, CLOSED_EARLY, MODEL, ON_TOP, QUESTION, REPORTED, STALL

pydantic_ai = pytest.importorskip("pydantic_ai")

from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

pytestmark = ON_TOP
PACKAGES = ("pydantic-ai-slim",)
APIS = [
    pytest.param(OpenAIChatModel, "chat completions", id="chat"),
    pytest.param(OpenAIResponsesModel, "responses", id="responses"),
]


def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    return f"A mild day in {city}."


@pytest.fixture
def agent(framework):
    def agent(kind, settings=None, client=None, **options):
        client = openai.AsyncOpenAI(
            api_key="k", base_url=framework.base_url, max_retries=0, **(client or {})
        )
        model = kind(MODEL, provider=OpenAIProvider(openai_client=client))
        return pydantic_ai.Agent(model, **options)

    return agent


async def _run(agent):
    result = await agent.run(QUESTION)
    return result.output, result.usage


async def _streamed(agent):
    async with agent.run_stream(QUESTION) as result:
        return [piece async for piece in result.stream_text(delta=True, debounce_by=None)]


@pytest.mark.parametrize(("kind", "title"), APIS)
def test_plain(framework, agent, kind, title):
    def sync():
        return agent(kind).run_sync(QUESTION).output

    assert framework.twice(f"{title}, plain", sync, REPORTED) == ANSWER
    framework.twice(f"{title}, plain, async", lambda: _run(agent(kind)), REPORTED)


@pytest.mark.parametrize(("kind", "title"), APIS)
def test_streamed(framework, agent, kind, title):
    title = f"{title}, streamed, async"
    pieces = framework.twice(title, lambda: _streamed(agent(kind)), REPORTED)
    assert "".join(pieces) == ANSWER


@pytest.mark.parametrize(("kind", "title"), APIS)
def test_closed_early(framework, agent, kind, title):
    async def some():
        taken = []
        async with agent(kind, client=STALL).run_stream(QUESTION) as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                taken.append(piece)
                if len(taken) == 3:
                    break
        return taken

    framework.twice(f"{title}, streamed, closed early, async", some, CLOSED_EARLY)


@pytest.mark.parametrize(("kind", "title"), APIS)
def test_tools(framework, agent, kind, title):
    tools = [get_weather]
    framework.twice(
        f"{title}, tools, async", lambda: _run(agent(kind, tools=tools)), REPORTED, REPORTED
    )
    framework.twice(
        f"{title}, tools, streamed, async",
        lambda: _streamed(agent(kind, tools=tools)),
        REPORTED,
        REPORTED,
    )


@pytest.mark.parametrize(("kind", "title"), APIS)
def test_under_its_own_span(framework, agent, kind, title):
    settings = InstrumentationSettings(
        tracer_provider=framework.trail.spans.provider,
        meter_provider=framework.trail.metrics.provider,
    )

    def told():
        return agent(kind, capabilities=[Instrumentation(settings)])

    framework.twice(
        f"{title}, plain, Instrumentation(), async",
        lambda: _run(told()),
        REPORTED,
        under=f"chat {MODEL}",
    )
    framework.twice(
        f"{title}, streamed, Instrumentation(), async",
        lambda: _streamed(told()),
        REPORTED,
        under=f"chat {MODEL}",
    )
