"""litellm.

Chat completions use `client.post("/chat/completions", ...)`, not the client's methods, and are
recorded too. litellm asks for a stream's usage only if `stream_options` asks for it.
`litellm.responses()` and other providers use litellm's own HTTP client: their calls are not
recorded.
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
    WEATHER,
)

litellm = pytest.importorskip("litellm")

pytestmark = ON_TOP
PACKAGES = ("litellm",)
ASKED = {
    "model": f"openai/{MODEL}",
    "messages": [{"role": "user", "content": QUESTION}],
    "api_key": "k",
    "max_retries": 0,
}


@pytest.fixture
def asked(framework):
    return {**ASKED, "api_base": framework.base_url}


def _text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


async def _astreamed(asked):
    return [chunk async for chunk in await litellm.acompletion(**asked, stream=True)]


def test_plain(framework, asked):
    answer = framework.twice("plain", lambda: litellm.completion(**asked), REPORTED)
    assert answer.choices[0].message.content == ANSWER
    framework.twice("plain, async", lambda: litellm.acompletion(**asked), REPORTED)


def test_streamed(framework, asked):
    def streamed():
        return list(litellm.completion(**asked, stream=True))

    assert _text(framework.twice("streamed", streamed, COUNTED)) == ANSWER
    framework.twice("streamed, async", lambda: _astreamed(asked), COUNTED)


def test_streamed_and_asked_for_usage(framework, asked):
    asked = {**asked, "stream_options": {"include_usage": True}}
    framework.twice(
        "streamed, include_usage", lambda: list(litellm.completion(**asked, stream=True)), REPORTED
    )


def test_closed_early(framework, asked):
    asked = {**asked, "extra_headers": {"x-stall": "1"}}

    def some():
        stream = litellm.completion(**asked, stream=True)
        taken = [next(stream) for _ in range(4)]
        stream.close()
        return taken

    async def asome():
        stream = await litellm.acompletion(**asked, stream=True)
        taken = [await anext(stream) for _ in range(4)]
        await stream.aclose()
        return taken

    framework.twice("streamed, closed early", some, CLOSED_EARLY)
    framework.twice("streamed, closed early, async", asome, CLOSED_EARLY)


def test_tools(framework, asked):
    asked = {**asked, "tools": [WEATHER]}
    answer = framework.twice("tools", lambda: litellm.completion(**asked), REPORTED)
    assert answer.choices[0].message.tool_calls[0].function.name == "get_weather"
    framework.twice(
        "tools, streamed", lambda: list(litellm.completion(**asked, stream=True)), COUNTED
    )


def test_embeddings(framework):
    asked = {"model": "openai/text-embedding-3-small", "input": [QUESTION], "api_key": "k"}
    framework.twice(
        "embeddings",
        lambda: litellm.embedding(**asked, api_base=framework.base_url),
        "embeddings: reported; completed",
    )
