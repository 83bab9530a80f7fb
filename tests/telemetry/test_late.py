"""A request that can be read only after the client has read it counts as any other."""

from __future__ import annotations

import openai
import pytest
from tests.counting import facts

from tokentrail.testing.payloads import Answer, ToolCall, chat, completions, responses
from tokentrail.testing.server import Plain, Stream

pytestmark = pytest.mark.usefixtures("encodings")

MESSAGES = [{"role": "user", "content": "Hello, how are you?"}]
SAID = Answer(("The sea is old and wide.",), None, "gpt-4o-mini")
"""7 tokens."""
CALLED = Answer(("",), None, "gpt-4o-mini", tool_calls=(ToolCall("look", '{"at":"sea"}', "c1"),))
LOOK = facts.tool("look", properties={"at": {"type": "string"}})
NAMED = {"type": "function", "function": {"name": "look"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
CASES = {
    # answer, arguments, output tokens
    "text": (SAID, {"messages": MESSAGES}, 7),
    "tools": (SAID, {"messages": MESSAGES, "tools": [LOOK]}, 7 + 1),
    "a schema": (SAID, {"messages": MESSAGES, "response_format": SCHEMA}, 7),
    "a named tool": (CALLED, {"messages": MESSAGES, "tools": [LOOK], "tool_choice": NAMED}, 5),
}
NUMBERS = (
    "gen_ai.usage.input_tokens",
    "tokentrail.usage.approximated.input_tokens",
    "gen_ai.usage.output_tokens",
    "tokentrail.usage.input.source",
    "tokentrail.usage.output.source",
)


def numbers(span):
    return [span.attributes.get(name) for name in NUMBERS]


def _once(arguments, names):
    return {k: iter(v) if k in names else v for k, v in arguments.items()}


@pytest.mark.parametrize(("answer", "arguments", "tokens"), CASES.values(), ids=CASES)
async def test_what_is_read_but_once_is_counted_as_what_is_not(
    driver, trail, serve, answer, arguments, tokens
):
    """Tools, the choice of one and a schema change what an answer is billed."""
    client = driver.client(serve(Stream(chat.chunks(answer))))
    for names in ((), ("messages",), ("tools",), ("messages", "tools")):
        stream = await driver.call(
            client.chat.completions.create,
            model="gpt-4o-mini",
            stream=True,
            **_once(arguments, names),
        )
        await driver.read(stream)
    told = [numbers(span) for span in trail.spans.all()]
    assert told == [told[0]] * 4
    assert told[0][2] == tokens


async def test_a_tool_of_the_server_s_own_is_seen_late_as_well(driver, trail, serve):
    """What it does is billed as output and not shown: a count is a guess."""
    if not hasattr(openai.OpenAI, "responses"):
        pytest.skip("this openai has no responses")
    events = [e for e in responses.events(SAID) if "usage" not in str(e)]
    client = driver.client(serve(Stream(events)))
    for tools in ([{"type": "web_search"}], iter([{"type": "web_search"}])):
        stream = await driver.call(
            client.responses.create, model="gpt-4o-mini", input="hi", stream=True, tools=tools
        )
        await driver.read(stream)
    values = [span.attributes["tokentrail.usage.output.source"] for span in trail.spans.all()]
    assert values == ["approximated"] * 2


@pytest.mark.parametrize("stream", [True, False])
async def test_an_echoed_prompt_is_no_output(driver, trail, serve, stream):
    """Where it ends cannot be told from the text, so there is no number instead of a wrong one."""
    prompt = "once upon a time there was a sea "
    answer = Answer((f"{prompt * 60}x",), None, "gpt-3.5-turbo-instruct")
    whole = {k: v for k, v in completions.completion(answer).items() if k != "usage"}
    reply = Stream(completions.events(answer)) if stream else Plain(whole)
    made = await driver.call(
        driver.client(serve(reply)).completions.create,
        model="gpt-3.5-turbo-instruct",
        prompt=prompt * 60,
        echo=True,
        stream=stream,
    )
    if stream:
        await driver.read(made)
    told = trail.spans.attributes()
    assert told["tokentrail.usage.input.source"] == "counted"
    assert not [name for name in told if "output" in name]
