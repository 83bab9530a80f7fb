"""An application sees the same of each odd server with and without tokentrail, asking or not."""

from __future__ import annotations

import openai
import pytest

import tokentrail
from tokentrail.testing.server import Plain, Stream

from . import test_content, test_failures, test_usage
from .conftest import MESSAGES, chunk, completion, reply_of, streamed

CALLS = {
    name: streamed(*[chunk({"tool_calls": delta}) for delta in deltas], chunk({}, "tool_calls"))
    for name, deltas in test_content.STREAMS.items()
}
STREAMS = {
    **CALLS,
    **{name: streamed(*events) for name, events in test_usage.PLACES.items()},
    **{name: Stream(steps) for name, (api, steps, _) in test_failures.TRUNCATED.items()
       if api == "chat"},
    "thinking": reply_of({"content": test_content.THINKING}, stream=True),
    "a number": reply_of({"content": 40.5}, stream=True),
    "an error in a choice": streamed(chunk({}, "stop", choice={"error": {"code": "busy"}})),
    "html": Plain(b"<html>", headers={"content-type": "text/html"}),
}  # fmt: skip
PLAIN = {
    **{name: Plain(body) for name, (body, _) in test_failures.BODIES.items()},
    **{
        name: completion({"content": "Alders."}, usage=usage)
        for name, (usage, _) in test_usage.ARITHMETIC.items()
    },
    **{
        name: completion({"tool_calls": calls}, "tool_calls")
        for name, calls in test_content.PLAIN.items()
    },
    "html": Plain(b"<html>", headers={"content-type": "text/html"}),
}


async def _program(driver, client, *, stream):
    """Return all that a program sees."""
    given = {"model": "gpt-4o-mini", "messages": MESSAGES, "stream": stream}
    try:
        answer = await driver.call(client.chat.completions.create, **given)
        seen = await driver.read(answer) if stream else [answer]
    except Exception as error:
        return type(error), str(error)
    return [
        (type(one), one.to_json(warnings=False), sorted(one.model_fields_set))
        if isinstance(one, openai.BaseModel)
        else (type(one), repr(one))
        for one in seen
    ]


@pytest.mark.parametrize("asks", ["observe", "request"])
@pytest.mark.parametrize(
    ("name", "stream"), [*((name, True) for name in STREAMS), *((name, False) for name in PLAIN)]
)
async def test_an_application_sees_what_it_would_see_without_us(
    trail, driver, serve, name, stream, asks
):
    client = driver.client(serve((STREAMS if stream else PLAIN)[name]))
    tokentrail.uninstrument()
    bare = await _program(driver, client, stream=stream)
    trail.instrument(stream_usage=asks, capture_content="SPAN_ONLY")
    seen = [await _program(driver, client, stream=stream) for _ in range(3)]
    assert seen[1:] == [bare] * 2
    if asks == "observe":
        assert seen[0] == bare
    assert trail.spans.all()
