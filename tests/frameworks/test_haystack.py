"""haystack.

`OpenAIChatGenerator` and `OpenAIResponsesChatGenerator` call the client's methods. They ask for the
usage of a chat stream only if `generation_kwargs` asks for it. A stream ends early only if the
`streaming_callback` raises.
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
)

generators = pytest.importorskip("haystack.components.generators.chat")
dataclasses = pytest.importorskip("haystack.dataclasses")
haystack_tools = pytest.importorskip("haystack.tools")
utils = pytest.importorskip("haystack.utils")

pytestmark = ON_TOP
PACKAGES = ("haystack-ai",)
CHAT, RESPONSES = generators.OpenAIChatGenerator, generators.OpenAIResponsesChatGenerator
APIS = [
    pytest.param(CHAT, "chat completions", COUNTED, id="chat"),
    pytest.param(RESPONSES, "responses", REPORTED, id="responses"),
]
USAGE = {"stream_options": {"include_usage": True}}
WEATHER = haystack_tools.Tool(
    name="get_weather",
    description="Say how the weather is in a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}},
    function=lambda city: f"A mild day in {city}.",
)


class _Stop(Exception):
    """The application wants no more."""


@pytest.fixture
def generator(framework):
    def generator(kind=CHAT, **options):
        return kind(
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


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_plain(framework, generator, kind, title, streamed):
    made = framework.twice(f"{title}, plain", lambda: generator(kind).run(_asked()), REPORTED)
    assert made["replies"][0].text == ANSWER
    title = f"{title}, plain, async"
    framework.twice(title, lambda: generator(kind).run_async(_asked()), REPORTED)


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_streamed(framework, generator, kind, title, streamed):
    def sync():
        return generator(kind, streaming_callback=_ignore).run(_asked())["replies"][0].text

    async def later():
        made = await generator(kind, streaming_callback=_ignore_async).run_async(_asked())
        return made["replies"][0].text

    assert framework.twice(f"{title}, streamed", sync, streamed) == ANSWER
    assert framework.twice(f"{title}, streamed, async", later, streamed) == ANSWER


def test_streamed_and_asked_for_usage(framework, generator):
    def sync():
        asking = generator(streaming_callback=_ignore, generation_kwargs=USAGE)
        return asking.run(_asked())["replies"][0].text

    title = "chat completions, streamed, include_usage"
    assert framework.twice(title, sync, REPORTED) == ANSWER


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_closed_early(framework, generator, kind, title, streamed):
    def some():
        taken = []

        def take(chunk):
            taken.append(chunk)
            if len(taken) == 6:
                raise _Stop

        with pytest.raises(_Stop):
            generator(kind, streaming_callback=take).run(_asked())
        return len(taken)

    framework.twice(f"{title}, streamed, closed early", some, CLOSED_EARLY)


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_tools(framework, generator, kind, title, streamed):
    def sync(**options):
        reply = generator(kind, tools=[WEATHER], **options).run(_asked())["replies"][0]
        return reply.tool_call.tool_name

    assert framework.twice(f"{title}, tools", sync, REPORTED) == "get_weather"
    title = f"{title}, tools, streamed"
    framework.twice(title, lambda: sync(streaming_callback=_ignore), streamed)
