"""openai-agents.

`OpenAIResponsesModel` calls `responses.create`, streamed by `with_streaming_response`;
`OpenAIChatCompletionsModel` calls `chat.completions.create`. Its own tracing is not OpenTelemetry's
and goes to OpenAI: it is switched off here. An agent's turn is a call and a span.
"""

from __future__ import annotations

import openai
import pytest
from tests.frameworks.conftest import (
    ANSWER,
    COUNTED,
    GUESSED,
    MODEL,
    ON_TOP,
    QUESTION,
    REPORTED,
    STALL,
)

agents = pytest.importorskip("agents")

pytestmark = ON_TOP
PACKAGES = ("openai-agents",)
CHAT, RESPONSES = agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel
APIS = [
    pytest.param(CHAT, "chat completions", COUNTED, id="chat"),
    pytest.param(RESPONSES, "responses", REPORTED, id="responses"),
]
SILENT = agents.RunConfig(tracing_disabled=True)


@agents.function_tool
def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    return f"A mild day in {city}."


@pytest.fixture
def agent(framework):
    def agent(kind, tools=(), settings=None, **options):
        client = openai.AsyncOpenAI(
            api_key="k", base_url=framework.base_url, max_retries=0, **options
        )
        return agents.Agent(
            name="Weatherman",
            model=kind(model=MODEL, openai_client=client),
            tools=list(tools),
            model_settings=settings or agents.ModelSettings(),
        )

    return agent


async def _run(agent):
    result = await agents.Runner.run(agent, QUESTION, run_config=SILENT)
    return result.final_output, result.context_wrapper.usage


async def _streamed(agent):
    result = agents.Runner.run_streamed(agent, QUESTION, run_config=SILENT)
    return [type(event).__name__ async for event in result.stream_events()], result.final_output


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_plain(framework, agent, kind, title, streamed):
    said, _ = framework.twice(f"{title}, plain, async", lambda: _run(agent(kind)), REPORTED)
    assert said == ANSWER

    def sync():
        return agents.Runner.run_sync(agent(kind), QUESTION, run_config=SILENT).final_output

    assert framework.twice(f"{title}, plain", sync, REPORTED) == ANSWER


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_streamed(framework, agent, kind, title, streamed):
    title = f"{title}, streamed, async"
    _, said = framework.twice(title, lambda: _streamed(agent(kind)), streamed)
    assert said == ANSWER


def test_streamed_and_asked_for_usage(framework, agent):
    settings = agents.ModelSettings(include_usage=True)
    title = "chat completions, streamed, include_usage=True, async"
    framework.twice(title, lambda: _streamed(agent(CHAT, settings=settings)), REPORTED)


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_closed_early(framework, agent, kind, title, streamed):
    async def some():
        result = agents.Runner.run_streamed(agent(kind, **STALL), QUESTION, run_config=SILENT)
        taken = 0
        async for event in result.stream_events():
            taken += event.type == "raw_response_event"
            if taken == 6:
                result.cancel()
        return taken >= 6

    framework.twice(f"{title}, streamed, closed early, async", some, "chat: counted; cancelled")


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_tools(framework, agent, kind, title, streamed):
    streamed = GUESSED if streamed == COUNTED else streamed
    tools = [get_weather]
    framework.twice(f"{title}, tools, async", lambda: _run(agent(kind, tools)), REPORTED, REPORTED)
    framework.twice(
        f"{title}, tools, streamed, async",
        lambda: _streamed(agent(kind, tools)),
        streamed,
        streamed,
    )
