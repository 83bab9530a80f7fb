"""semantic-kernel.

`OpenAIChatCompletion` calls the methods of an async client, and asks for a stream's usage by
itself.
"""

from __future__ import annotations

import openai
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

connector = pytest.importorskip("semantic_kernel.connectors.ai.open_ai")
contents = pytest.importorskip("semantic_kernel.contents")
kernels = pytest.importorskip("semantic_kernel")
functions = pytest.importorskip("semantic_kernel.functions")
behavior = pytest.importorskip("semantic_kernel.connectors.ai.function_choice_behavior")

pytestmark = ON_TOP
PACKAGES = ("semantic-kernel",)


class Weather:
    """A plugin."""

    @functions.kernel_function(description="Say how the weather is in a city.")
    def get_weather(self, city: str) -> str:
        """Return the weather."""
        return f"A mild day in {city}."


@pytest.fixture
def service(framework):
    def service(**options):
        client = openai.AsyncOpenAI(
            api_key="k", base_url=framework.base_url, max_retries=0, **options
        )
        return connector.OpenAIChatCompletion(MODEL, async_client=client)

    return service


def _asked(**options):
    history = contents.ChatHistory()
    history.add_user_message(QUESTION)
    return history, connector.OpenAIChatPromptExecutionSettings(**options)


def _streamed(service, settings=None, **options):
    history, usual = _asked()
    return service.get_streaming_chat_message_contents(history, settings or usual, **options)


async def _text(stream):
    return "".join([piece.content async for pieces in stream for piece in pieces])


def test_plain(framework, service):
    async def plain():
        (message,) = await service().get_chat_message_contents(*_asked())
        return message.content

    assert framework.twice("plain, async", plain, REPORTED) == ANSWER


def test_streamed(framework, service):
    said = framework.twice("streamed, async", lambda: _text(_streamed(service())), REPORTED)
    assert said == ANSWER


def test_closed_early(framework, service):
    async def some():
        stream = _streamed(service(**STALL))
        taken = [await anext(stream) for _ in range(4)]
        await stream.aclose()
        return len(taken)

    framework.twice("streamed, closed early, async", some, CLOSED_EARLY)


def test_tools(framework, service):
    kernel = kernels.Kernel()
    kernel.add_plugin(Weather(), "weather")
    auto = behavior.FunctionChoiceBehavior.Auto()

    async def plain():
        history, settings = _asked(function_choice_behavior=auto)
        (message,) = await service().get_chat_message_contents(history, settings, kernel=kernel)
        return message.content

    async def streamed():
        _, settings = _asked(function_choice_behavior=auto)
        return await _text(_streamed(service(), settings, kernel=kernel))

    framework.twice("tools, async", plain, REPORTED, REPORTED)
    framework.twice("tools, streamed, async", streamed, REPORTED, REPORTED)
