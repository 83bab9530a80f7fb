"""semantic-kernel.

`OpenAIChatCompletion` calls the methods of an async client, and asks for a stream's usage by
itself.
"""

from __future__ import annotations

import openai
import pytest
from tests.frameworks.conftest import ANSWER, MODEL, ON_TOP, QUESTION, REPORTED

connector = pytest.importorskip("semantic_kernel.connectors.ai.open_ai")
contents = pytest.importorskip("semantic_kernel.contents")

pytestmark = ON_TOP
PACKAGES = ("semantic-kernel",)


@pytest.fixture
def service(framework):
    def service():
        client = openai.AsyncOpenAI(api_key="k", base_url=framework.base_url, max_retries=0)
        return connector.OpenAIChatCompletion(MODEL, async_client=client)

    return service


def _asked():
    history = contents.ChatHistory()
    history.add_user_message(QUESTION)
    return history, connector.OpenAIChatPromptExecutionSettings()


def test_plain(framework, service):
    async def plain():
        (message,) = await service().get_chat_message_contents(*_asked())
        return message.content

    assert framework.twice("plain, async", plain, REPORTED) == ANSWER


def test_streamed(framework, service):
    async def streamed():
        stream = service().get_streaming_chat_message_contents(*_asked())
        return "".join([piece.content async for pieces in stream for piece in pieces])

    assert framework.twice("streamed, async", streamed, REPORTED) == ANSWER
