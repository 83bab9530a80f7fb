"""langchain-openai.

`ChatOpenAI` calls `with_raw_response.create(...).parse()`, plain and streamed. It asks for a
stream's usage by itself only if no base URL is set; otherwise set `stream_usage=True`.
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

langchain = pytest.importorskip("langchain_openai")

pytestmark = ON_TOP
PACKAGES = ("langchain-openai", "langchain-core")
RESPONSES = {"use_responses_api": True}
APIS = [
    pytest.param({}, "chat completions", COUNTED, id="chat"),
    pytest.param(RESPONSES, "responses", REPORTED, id="responses"),
]


def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    return f"A mild day in {city}."


@pytest.fixture
def chat(framework):
    def chat(**options):
        return langchain.ChatOpenAI(
            model=MODEL, api_key="k", base_url=framework.base_url, max_retries=0, **options
        )

    return chat


def _text(chunks):
    return "".join(chunk.text for chunk in chunks)


async def _all(stream):
    return [chunk async for chunk in stream]


def _some(stream):
    taken = [next(stream) for _ in range(4)]
    stream.close()
    return taken


async def _asome(stream):
    taken = [await anext(stream) for _ in range(4)]
    await stream.aclose()
    return taken


@pytest.mark.parametrize(("api", "title", "streamed"), APIS)
def test_plain(framework, chat, api, title, streamed):
    answer = framework.twice(f"{title}, plain", lambda: chat(**api).invoke(QUESTION), REPORTED)
    assert answer.text == ANSWER
    framework.twice(f"{title}, plain, async", lambda: chat(**api).ainvoke(QUESTION), REPORTED)


@pytest.mark.parametrize(("api", "title", "streamed"), APIS)
def test_streamed(framework, chat, api, title, streamed):
    chunks = framework.twice(
        f"{title}, streamed", lambda: list(chat(**api).stream(QUESTION)), streamed
    )
    assert _text(chunks) == ANSWER
    framework.twice(
        f"{title}, streamed, async", lambda: _all(chat(**api).astream(QUESTION)), streamed
    )


def test_streamed_and_asked_for_usage(framework, chat):
    framework.twice(
        "chat completions, streamed, stream_usage=True",
        lambda: list(chat(stream_usage=True).stream(QUESTION)),
        REPORTED,
    )


@pytest.mark.parametrize(("api", "title", "streamed"), APIS)
def test_closed_early(framework, chat, api, title, streamed):
    options = {**api, **STALL}
    framework.twice(
        f"{title}, streamed, closed early",
        lambda: _some(chat(**options).stream(QUESTION)),
        CLOSED_EARLY,
    )
    framework.twice(
        f"{title}, streamed, closed early, async",
        lambda: _asome(chat(**options).astream(QUESTION)),
        CLOSED_EARLY,
    )


@pytest.mark.parametrize(("api", "title", "streamed"), APIS)
def test_tools(framework, chat, api, title, streamed):
    def ask():
        return chat(**api).bind_tools([get_weather])

    answer = framework.twice(f"{title}, tools", lambda: ask().invoke(QUESTION), REPORTED)
    assert answer.tool_calls[0]["name"] == "get_weather"
    framework.twice(f"{title}, tools, streamed", lambda: list(ask().stream(QUESTION)), streamed)


@pytest.mark.parametrize(("api", "title", "streamed"), APIS)
def test_structured_output(framework, chat, api, title, streamed):
    schema = {
        "title": "Tide",
        "description": "A tide.",
        "type": "object",
        "properties": {"metres": {"type": "number"}},
    }

    def ask():
        return chat(**api).with_structured_output(schema).invoke(QUESTION)

    assert "metres" in framework.twice(f"{title}, structured output", ask, REPORTED)


def test_embeddings(framework):
    def ask():
        embedder = langchain.OpenAIEmbeddings(
            model="text-embedding-3-small",
            api_key="k",
            base_url=framework.base_url,
            check_embedding_ctx_length=False,  # else it cuts with ranks that tiktoken fetches
        )
        return embedder.embed_query(QUESTION)

    framework.twice("embeddings", ask, "embeddings: reported; completed")
