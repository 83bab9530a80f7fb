"""What explains the calls of an agent's loop that nobody here wrote: openai-agents'.

It asks, calls the tool, asks again with the result, and goes on with a second question; then it has
one more tool.
"""

from __future__ import annotations

import openai
import pytest
from tests.frameworks.conftest import MODEL, ON_TOP

from tokentrail.counting import ENCODINGS
from tokentrail.testing.payloads import Answer, ToolCall, Usage, chat, responses
from tokentrail.testing.server import Plain, Server, Stream

agents = pytest.importorskip("agents")

pytestmark = ON_TOP
SILENT = agents.RunConfig(tracing_disabled=True)
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
@pytest.mark.parametrize(
    "kind", [agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel], ids=["chat", "resp"]
)
async def test_a_loop_of_openai_agents(trail, kind, streamed):
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
