"""An application sees the same of each odd server with and without tokentrail, asking or not.

Another odd answer is a row of STREAMS, PLAIN, RESPONSES_STREAMS or RESPONSES_PLAIN.
"""

from __future__ import annotations

import openai
import pytest
from tests import shared

import tokentrail
from tokentrail.testing.payloads import Answer, Usage, responses
from tokentrail.testing.server import Event, Plain, Stream

from . import test_content, test_failures, test_usage
from .conftest import HEAD, MESSAGES, chunk, completion, reply_of, responses_of, streamed

mode = shared.either_mode

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
    **{name: reply_of(said, stream=True) for name, said in test_content.THOUGHTS.items()},
    **{name: reply_of(said, stream=True) for name, said in test_content.LEFT_OUT.items()},
    **{name: streamed(Event(body)) for name, (body, _) in test_failures.EVENTS.items()},
    "a whole message": streamed(chunk(choice={"message": {"content": "Alders."}})),
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
    **{name: reply_of(said, stream=False) for name, said in test_content.LEFT_OUT.items()},
    **{name: Plain({**HEAD, "choices": given}) for name, given in test_content.CHOICES.items()},
    "html": Plain(b"<html>", headers={"content-type": "text/html"}),
}


ANSWER = Answer(("Alders and willows.",), Usage(17, 5), "gpt-4o-mini")
EVENTS = responses.events(ANSWER)
WHOLE = responses.response(ANSWER)


def _ending(**fields):
    """Return the events of a stream whose last has other fields in its response."""
    *events, last = EVENTS
    ended = {**last.data, "response": {**last.data["response"], **fields}}
    return Stream([*events, Event(ended, last.name)])


def _event(kind, **fields):
    return Event({"type": kind, **fields}, kind)


RESPONSES_STREAMS = {
    **{name: Stream(steps) for name, (api, steps, _) in test_failures.TRUNCATED.items()
       if api == "responses"},
    "chat's names of usage": _ending(usage={"prompt_tokens": 17, "completion_tokens": 5}),
    "no usage": _ending(usage=None),
    "no output": _ending(output=None),
    "an error at first": Stream([responses.error_event()]),
    "an error amid": Stream([*EVENTS[:6], responses.error_event()]),
    "a failure": Stream(responses.events(ANSWER, "failed")),
    "a text for a response": Stream([*EVENTS[:-1], _event("response.completed", response="done")]),
    "an unknown event": Stream([EVENTS[0], _event("response.wind", speed=7), *EVENTS[1:]]),
    "no type": Stream([EVENTS[0], Event({"delta": "Alders"}), *EVENTS[1:]]),
    "a number for a delta": Stream(
        [*EVENTS[:4], _event("response.output_text.delta", delta=40.5), *EVENTS[4:]]
    ),
    "a chat chunk": Stream([chunk({"content": "Alders"}), *EVENTS]),
    "[DONE] at the end": streamed(*EVENTS),
    "html": Plain(b"<html>", headers={"content-type": "text/html"}),
}  # fmt: skip
RESPONSES_PLAIN = {
    **{name: Plain(body) for name, (body, _) in test_failures.BODIES.items()},
    "chat's names of usage": Plain({**WHOLE, "usage": {"prompt_tokens": 1, "total_tokens": 1}}),
    "usage of texts": Plain({**WHOLE, "usage": {"input_tokens": "17", "output_tokens": None}}),
    "no output": Plain({**WHOLE, "output": None}),
    "an output of texts": Plain({**WHOLE, "output": ["Alders"]}),
    "an unknown item": Plain({**WHOLE, "output": [{"type": "wind", "speed": 7}]}),
    "a text for the error": Plain({**WHOLE, "status": "failed", "error": "The river is high."}),
    "a chat completion": completion({"content": "Alders."}),
}
REPLIES = {
    ("chat", True): STREAMS,
    ("chat", False): PLAIN,
    ("responses", True): RESPONSES_STREAMS,
    ("responses", False): RESPONSES_PLAIN,
}
RAW = ("raw", "streaming")
CASES = [(*kind, name) for kind, replies in REPLIES.items() for name in replies]


async def _program(driver, client, way, api, *, stream):
    """Return all that a program sees, of parsed answers, raw ones or streaming ones."""
    calls = client.chat.completions if api == "chat" else responses_of(client)
    given = {"messages": MESSAGES} if api == "chat" else {"input": "Which trees?"}
    given |= {"model": "gpt-4o-mini", "stream": stream}
    try:
        if way == "streaming":
            async with driver.within(calls.with_streaming_response.create(**given)) as raw:
                return [raw.status_code, *await driver.read(raw.iter_lines())]
        create = calls.create if way == "parsed" else calls.with_raw_response.create
        answer = await driver.call(create, **given)
        if way == "raw":
            answer = await driver.call(answer.parse)
        seen = await driver.read(answer) if stream else [answer]
    except Exception as error:
        return type(error), str(error)
    return [
        (type(one), one.to_json(warnings=False), sorted(one.model_fields_set))
        if isinstance(one, openai.BaseModel)
        else (type(one), repr(one))
        for one in seen
    ]


@pytest.mark.parametrize(
    "way", ["parsed", *(pytest.param(way, marks=pytest.mark.thorough) for way in RAW)]
)
@pytest.mark.parametrize(("api", "stream", "name"), CASES)
async def test_an_application_sees_what_it_would_see_without_us(
    trail, driver, serve, api, stream, name, way
):
    client = driver.client(serve(REPLIES[api, stream][name]))
    tokentrail.uninstrument()
    bare = await _program(driver, client, way, api, stream=stream)
    seen = {}
    # What is seen of a server decides how its second and third streams are asked.
    for asks, times in (("observe", 1), ("request", 3 if stream else 1)):
        trail.instrument(stream_usage=asks, capture_content="SPAN_ONLY")
        seen[asks] = [await _program(driver, client, way, api, stream=stream) for _ in range(times)]
        tokentrail.uninstrument()
    first, *later = seen["request"]
    assert [*seen["observe"], *later] == [bare] * (1 + len(later))
    # The first stream cannot show that its usage came unasked: docs/stream-usage.md.
    if not stream or way != "parsed" or "usage" not in str(bare):
        assert first == bare
    assert len(trail.spans.all()) == 2 + len(later)
