"""llama-index-llms-openai.

`OpenAI` and `OpenAIResponses` call the client's methods. They ask for the usage of a chat stream
only if `additional_kwargs` or `stream_options` asks for it.
"""

from __future__ import annotations

import pytest
from tests.frameworks.conftest import (
    ANSWER,
    CLOSED_EARLY,
    COUNTED,
    GUESSED,
    MODEL,
    ON_TOP,
    QUESTION,
    REPORTED,
    STALL,
)

llama_index = pytest.importorskip("llama_index.llms.openai")

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

pytestmark = ON_TOP
PACKAGES = ("llama-index-llms-openai", "llama-index-core")
CHAT, RESPONSES = llama_index.OpenAI, llama_index.OpenAIResponses
APIS = [
    pytest.param(CHAT, "chat completions", COUNTED, id="chat"),
    pytest.param(RESPONSES, "responses", REPORTED, id="responses"),
]
ASKED = [ChatMessage(role="user", content=QUESTION)]


def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    return f"A mild day in {city}."


@pytest.fixture
def llm(framework):
    def llm(kind, **options):
        return kind(model=MODEL, api_key="k", api_base=framework.base_url, max_retries=0, **options)

    return llm


async def _all(stream):
    return [chunk async for chunk in await stream]


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_plain(framework, llm, kind, title, streamed):
    answer = framework.twice(f"{title}, plain", lambda: llm(kind).chat(ASKED), REPORTED)
    assert answer.message.content == ANSWER
    framework.twice(f"{title}, plain, async", lambda: llm(kind).achat(ASKED), REPORTED)


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_streamed(framework, llm, kind, title, streamed):
    chunks = framework.twice(
        f"{title}, streamed", lambda: list(llm(kind).stream_chat(ASKED)), streamed
    )
    assert "".join(chunk.delta or "" for chunk in chunks) == ANSWER
    framework.twice(
        f"{title}, streamed, async", lambda: _all(llm(kind).astream_chat(ASKED)), streamed
    )


def test_streamed_and_asked_for_usage(framework, llm):
    asking = {"stream_options": {"include_usage": True}}
    framework.twice(
        "chat completions, streamed, include_usage",
        lambda: list(llm(CHAT).stream_chat(ASKED, **asking)),
        REPORTED,
    )


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_closed_early(framework, llm, kind, title, streamed):
    def some():
        stream = llm(kind, **STALL).stream_chat(ASKED)
        taken = [next(stream) for _ in range(6)]
        stream.close()
        return taken

    async def asome():
        stream = await llm(kind, **STALL).astream_chat(ASKED)
        taken = [await anext(stream) for _ in range(6)]
        await stream.aclose()
        return taken

    framework.twice(f"{title}, streamed, closed early", some, CLOSED_EARLY)
    framework.twice(f"{title}, streamed, closed early, async", asome, CLOSED_EARLY)


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_tools(framework, llm, kind, title, streamed):
    tool = FunctionTool.from_defaults(get_weather)

    def ask():
        return llm(kind).chat_with_tools([tool], QUESTION)

    answer = framework.twice(f"{title}, tools", ask, REPORTED)
    assert llm(kind).get_tool_calls_from_response(answer)[0].tool_name == "get_weather"
    framework.twice(
        f"{title}, tools, streamed",
        lambda: list(llm(kind).stream_chat_with_tools([tool], QUESTION)),
        GUESSED if streamed == COUNTED else streamed,
    )
