"""smolagents.

`OpenAIModel` calls the client's methods, and asks for a stream's usage by itself. It has no async
calls. Each step of an agent is one call with one span. If it runs out of steps, its final answer is
one more.
"""

from __future__ import annotations

import pytest
from tests.frameworks.conftest import (
    ANSWER,
    CLOSED_EARLY,
    MODEL,
    ON_TOP,
    QUESTION,
    REPORTED,
    STALL,
)

smolagents = pytest.importorskip("smolagents")

pytestmark = ON_TOP
PACKAGES = ("smolagents",)
ASKED = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]


def get_weather(city: str) -> str:
    """Say how the weather is in a city.

    Args:
        city: its name
    """
    return f"A mild day in {city}."


@pytest.fixture
def weather():
    return smolagents.tool(get_weather)


@pytest.fixture
def model(framework):
    def model(**options):
        return smolagents.OpenAIModel(
            MODEL, api_base=framework.base_url, api_key="k", client_kwargs=options
        )

    return model


def _streamed(model, **options):
    return [piece.content or "" for piece in model.generate_stream(ASKED, **options)]


def test_plain(framework, model):
    assert framework.twice("plain", lambda: model().generate(ASKED).content, REPORTED) == ANSWER


def test_streamed(framework, model):
    assert "".join(framework.twice("streamed", lambda: _streamed(model()), REPORTED)) == ANSWER


def test_closed_early(framework, model):
    def some():
        stream = model(**STALL).generate_stream(ASKED)
        taken = [next(stream).content for _ in range(4)]
        stream.close()
        return taken

    framework.twice("streamed, closed early", some, CLOSED_EARLY)


def test_tools(framework, model, weather):
    tools = {"tools_to_call_from": [weather]}

    def plain():
        return model().generate(ASKED, **tools).tool_calls[0].function.name

    assert framework.twice("tools", plain, REPORTED) == "get_weather"
    framework.twice("tools, streamed", lambda: _streamed(model(), **tools), REPORTED)


def test_an_agent_makes_a_call_for_each_step_and_its_answer(framework, model, weather):
    def agent():
        agent = smolagents.ToolCallingAgent([weather], model(), max_steps=1, verbosity_level=0)
        return len(list(agent.run(QUESTION, stream=True)))

    framework.twice("an agent of one step and its answer, tools", agent, REPORTED, REPORTED)
