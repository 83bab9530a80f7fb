"""haystack.

`OpenAIChatGenerator` calls the client's methods. Streams are asked for usage only where
`generation_kwargs` say so.
"""

from __future__ import annotations

import pytest
from tests.frameworks.conftest import ANSWER, COUNTED, MODEL, ON_TOP, QUESTION, REPORTED

generators = pytest.importorskip("haystack.components.generators.chat")
dataclasses = pytest.importorskip("haystack.dataclasses")
utils = pytest.importorskip("haystack.utils")

pytestmark = ON_TOP
PACKAGES = ("haystack-ai",)
USAGE = {"stream_options": {"include_usage": True}}


@pytest.fixture
def generator(framework):
    def generator(**options):
        return generators.OpenAIChatGenerator(
            model=MODEL,
            api_base_url=framework.base_url,
            api_key=utils.Secret.from_token("k"),
            max_retries=0,
            **options,
        )

    return generator


def _asked():
    return [dataclasses.ChatMessage.from_user(QUESTION)]


def _ignore(chunk):
    """Have the answer streamed."""


async def _ignore_async(chunk):
    """Have the answer streamed."""


def test_plain(framework, generator):
    made = framework.twice("plain", lambda: generator().run(_asked()), REPORTED)
    assert made["replies"][0].text == ANSWER
    framework.twice("plain, async", lambda: generator().run_async(_asked()), REPORTED)


def test_streamed(framework, generator):
    def sync():
        return generator(streaming_callback=_ignore).run(_asked())["replies"][0].text

    async def later():
        made = await generator(streaming_callback=_ignore_async).run_async(_asked())
        return made["replies"][0].text

    assert framework.twice("streamed", sync, COUNTED) == ANSWER
    assert framework.twice("streamed, async", later, COUNTED) == ANSWER


def test_streamed_and_asked_for_usage(framework, generator):
    def sync():
        asking = generator(streaming_callback=_ignore, generation_kwargs=USAGE)
        return asking.run(_asked())["replies"][0].text

    assert framework.twice("streamed, include_usage", sync, REPORTED) == ANSWER
