"""openai-agents.

`OpenAIResponsesModel` calls `responses.create`, streamed by `with_streaming_response`;
`OpenAIChatCompletionsModel` calls `chat.completions.create`. Each turn of an agent is one call with
one span. The SDK's own tracing, which goes to OpenAI, is switched off here.
"""

from __future__ import annotations

import openai
import pytest
from tests.frameworks.conftest import (
    ANSWER,
    COUNTED,
    GUESSED,
    MODEL,
    ON_TOP,
    QUESTION,
    REPORTED,
    STALL,
)

from tokentrail.counting import ENCODINGS
from tokentrail.testing.payloads import Answer, ToolCall, Usage, chat, responses
from tokentrail.testing.server import Plain, Server, Stream

agents = pytest.importorskip("agents")

pytestmark = ON_TOP
PACKAGES = ("openai-agents",)
CHAT, RESPONSES = agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel
APIS = [
    pytest.param(CHAT, "chat completions", COUNTED, id="chat"),
    pytest.param(RESPONSES, "responses", REPORTED, id="responses"),
]
SILENT = agents.RunConfig(tracing_disabled=True)


@agents.function_tool
def get_weather(city: str) -> str:
    """Say how the weather is in a city."""
    return f"A mild day in {city}."


@pytest.fixture
def agent(framework):
    def agent(kind, tools=(), settings=None, **options):
        client = openai.AsyncOpenAI(
            api_key="k", base_url=framework.base_url, max_retries=0, **options
        )
        return agents.Agent(
            name="Weatherman",
            model=kind(model=MODEL, openai_client=client),
            tools=list(tools),
            model_settings=settings or agents.ModelSettings(),
        )

    return agent


async def _run(agent):
    result = await agents.Runner.run(agent, QUESTION, run_config=SILENT)
    return result.final_output, result.context_wrapper.usage


async def _streamed(agent):
    result = agents.Runner.run_streamed(agent, QUESTION, run_config=SILENT)
    return [type(event).__name__ async for event in result.stream_events()], result.final_output


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_plain(framework, agent, kind, title, streamed):
    said, _ = framework.twice(f"{title}, plain, async", lambda: _run(agent(kind)), REPORTED)
    assert said == ANSWER

    def sync():
        return agents.Runner.run_sync(agent(kind), QUESTION, run_config=SILENT).final_output

    assert framework.twice(f"{title}, plain", sync, REPORTED) == ANSWER


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_streamed(framework, agent, kind, title, streamed):
    title = f"{title}, streamed, async"
    _, said = framework.twice(title, lambda: _streamed(agent(kind)), streamed)
    assert said == ANSWER


def test_streamed_and_asked_for_usage(framework, agent):
    settings = agents.ModelSettings(include_usage=True)
    title = "chat completions, streamed, include_usage=True, async"
    framework.twice(title, lambda: _streamed(agent(CHAT, settings=settings)), REPORTED)


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_closed_early(framework, agent, kind, title, streamed):
    async def some():
        result = agents.Runner.run_streamed(agent(kind, **STALL), QUESTION, run_config=SILENT)
        taken = 0
        async for event in result.stream_events():
            taken += event.type == "raw_response_event"
            if taken == 6:
                result.cancel()
        return taken >= 6

    framework.twice(f"{title}, streamed, closed early, async", some, "chat: counted; cancelled")


@pytest.mark.parametrize(("kind", "title", "streamed"), APIS)
def test_tools(framework, agent, kind, title, streamed):
    streamed = GUESSED if streamed == COUNTED else streamed
    tools = [get_weather]
    framework.twice(f"{title}, tools, async", lambda: _run(agent(kind, tools)), REPORTED, REPORTED)
    framework.twice(
        f"{title}, tools, streamed, async",
        lambda: _streamed(agent(kind, tools)),
        streamed,
        streamed,
    )


# A loop that is explained ----------------------------------------------------------------------

CALL = ToolCall("get_page", '{"number":7}')
TURNS = (
    # billed, read from the cache, called; cacheable, missed and the reason of that
    (2000, 0, True, (None, None, None)),
    (2500, 1920, False, (1920, 0, None)),
    (3000, 0, False, (2432, 2432, "not_served")),
    (3500, 0, False, (2944, 2944, "tools_changed")),
)


@agents.function_tool
def get_page(number: int) -> str:
    """Return a page of the book."""
    return f"Page {number} is about the sea."


@agents.function_tool
def count_pages() -> int:
    """Return how many pages the book has."""
    return 300


class Book:
    """Answers turn by turn, as either API."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, call):
        """Answer the next turn."""
        billed, read, calls, _ = TURNS[self.made]
        self.made += 1
        answer = Answer(
            ("" if calls else "The sea.",),
            Usage(billed, 3, cached=read),
            MODEL,
            (CALL,) if calls else (),
            "tool_calls" if calls else "stop",
        )
        if call.path.endswith("/responses"):
            streams, plain = responses.events, responses.response
        else:
            streams, plain = (lambda answer: chat.chunks(answer, "last")), chat.completion
        return Stream(streams(answer)) if call.body.get("stream") else Plain(plain(answer))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("kind", [CHAT, RESPONSES], ids=["chat", "responses"])
async def test_a_loop_is_explained(trail, kind, streamed):
    """It asks, calls the tool, asks again with the result, goes on, and has one more tool then."""
    ENCODINGS.load("o200k_base")
    trail.instrument(explain="all", calibration=False)

    async def ask(given, *tools):
        settings = agents.ModelSettings(include_usage=True)
        model = kind(model=MODEL, openai_client=client)
        agent = agents.Agent("Reader", instructions="Read.", tools=[*tools], model=model)
        agent.model_settings = settings
        if not streamed:
            result = await agents.Runner.run(agent, given, run_config=SILENT)
            return result.to_input_list()
        result = agents.Runner.run_streamed(agent, given, run_config=SILENT)
        async for _ in result.stream_events():
            pass
        return result.to_input_list()

    with Server(Book()) as server:
        client = openai.AsyncOpenAI(api_key="k", base_url=server.base_url, max_retries=0)
        said = await ask("What is on page 7?", get_page)
        said = await ask([*said, {"role": "user", "content": "And else?"}], get_page)
        await ask([*said, {"role": "user", "content": "How many?"}], get_page, count_pages)
        await client.close()
    found = [dict(span.attributes) for span in trail.spans.all()]
    cache = [f"tokentrail.cache.{name}" for name in ("cacheable_tokens", "missed_tokens")]
    names = (*cache, "tokentrail.cache.miss_reason")
    assert [tuple(span.get(name) for name in names) for span in found] == [t[3] for t in TURNS]
    for span, (billed, *_) in zip(found, TURNS, strict=True):
        parts = {
            name: tokens
            for name, tokens in span.items()
            if name.startswith("tokentrail.input.") and name.endswith("_tokens")
        }
        assert sum(parts.values()) == billed
        is_first = span is found[0]
        assert ("tokentrail.input.tool_results_tokens" in parts) != is_first
        assert (
            parts["tokentrail.input.tools_tokens"] > parts["tokentrail.input.instructions_tokens"]
        )
