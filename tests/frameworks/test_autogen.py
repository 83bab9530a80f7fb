"""AutoGen.

`OpenAIChatCompletionClient` of autogen-ext calls the methods of an async client, and sends the
name of its source with each message. It asks for the usage of a stream only if `stream_options` or
`include_usage` is set.
"""

from __future__ import annotations

import pytest
from tests.frameworks.conftest import (
    ANSWER,
    CLOSED_EARLY,
    COUNTED,
    MODEL,
    ON_TOP,
    QUESTION,
    REPORTED,
    STALL,
)

autogen = pytest.importorskip("autogen_ext.models.openai")
models = pytest.importorskip("autogen_core.models")
tools = pytest.importorskip("autogen_core.tools")

pytestmark = ON_TOP
PACKAGES = ("autogen-ext",)


@pytest.fixture
def client(framework):
    def client(**options):
        return autogen.OpenAIChatCompletionClient(
            model=MODEL, base_url=framework.base_url, api_key="k", max_retries=0, **options
        )

    return client


def _asked():
    return [models.UserMessage(content=QUESTION, source="user")]


def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    return f"A mild day in {city}."


async def _streamed(client, **options):
    *_, result = [each async for each in client.create_stream(_asked(), **options)]
    return result.content


def test_plain(framework, client):
    async def plain():
        return (await client().create(_asked())).content

    assert framework.twice("plain, async", plain, REPORTED) == ANSWER


def test_streamed(framework, client):
    said = framework.twice("streamed, async", lambda: _streamed(client()), COUNTED)
    assert said == ANSWER


def test_streamed_and_asked_for_usage(framework, client):
    asking = {"stream_options": {"include_usage": True}}
    said = framework.twice(
        "streamed, include_usage, async", lambda: _streamed(client(**asking)), REPORTED
    )
    assert said == ANSWER


def test_closed_early(framework, client):
    async def some():
        stream = client(**STALL).create_stream(_asked())
        taken = [await anext(stream) for _ in range(4)]
        await stream.aclose()
        return taken

    framework.twice("streamed, closed early, async", some, CLOSED_EARLY)


def test_tools(framework, client):
    tool = tools.FunctionTool(get_weather, "Say how the weather is in a city.")

    async def plain():
        (call,) = (await client().create(_asked(), tools=[tool])).content
        return call.name

    assert framework.twice("tools, async", plain, REPORTED) == "get_weather"
    framework.twice("tools, streamed, async", lambda: _streamed(client(), tools=[tool]), COUNTED)
