"""AutoGen.

`OpenAIChatCompletionClient` of autogen-ext calls the methods of an async client, and sends the
name of who speaks with each message. Streams are asked for usage only where `stream_options` or
`include_usage` say so.
"""

from __future__ import annotations

import pytest
from tests.frameworks.conftest import ANSWER, MODEL, ON_TOP, QUESTION, REPORTED

autogen = pytest.importorskip("autogen_ext.models.openai")
models = pytest.importorskip("autogen_core.models")

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


async def _streamed(client):
    *_, result = [each async for each in client.create_stream(_asked())]
    return result.content


def test_plain(framework, client):
    async def plain():
        return (await client().create(_asked())).content

    assert framework.twice("plain, async", plain, REPORTED) == ANSWER


def test_streamed_and_asked_for_usage(framework, client):
    asking = {"stream_options": {"include_usage": True}}
    said = framework.twice(
        "streamed, include_usage, async", lambda: _streamed(client(**asking)), REPORTED
    )
    assert said == ANSWER
