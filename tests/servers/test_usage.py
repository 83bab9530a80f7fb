"""The server's own numbers, wherever a server puts them, by its own arithmetic."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import shared

from tokentrail.apis.choices import find_usage
from tokentrail.apis.reported_usage import DETAILS, TOP, read_usage
from tokentrail.model.records import Reported
from tokentrail.testing.server import Event, Plain

from .conftest import HEAD, chunk, completion, reply_of, streamed

mode = shared.either_mode

IN, OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
CACHED, THOUGHT = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.reasoning.output_tokens"
TEXT = {"content": "Alders and willows."}


def _usage(read, written, total=None, **more):
    total = read + written if total is None else total
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": total, **more}


def _thought(number):
    return {"completion_tokens_details": {"reasoning_tokens": number}}


ARITHMETIC = {
    "thought inside": (_usage(71, 90, **_thought(60)), {IN: 71, OUT: 90, THOUGHT: 60}),
    "thought beside, in the sum": (_usage(71, 30, 161, **_thought(60)), {IN: 71, OUT: 90}),
    "thought beside, in no sum": (_usage(71, 30, **_thought(60)), {IN: 71, OUT: 90}),
    "thought in the sum alone": (_usage(71, 30, 155), {IN: 71, OUT: 84}),
    "sound beside": (
        _usage(7, 30, 137, prompt_tokens_details={"audio_tokens": 100}),
        {IN: 107, OUT: 30},
    ),
    "sound by its seconds": (_usage(7, 30, 137, prompt_audio_seconds=9), {IN: 107, OUT: 30}),
    "cached and thought beside": (
        _usage(7, 30, 97, prompt_tokens_details={"cached_tokens": 40}, **_thought(20)),
        {IN: 47, OUT: 50, CACHED: 40, THOUGHT: 20},
    ),
    "output by the sum": ({"prompt_tokens": 71, "total_tokens": 101}, {IN: 71, OUT: 30}),
    "input by the sum": (
        {"prompt_tokens": None, "completion_tokens": 30, "total_tokens": 101},
        {IN: 71, OUT: 30},
    ),
    "zeros under the usual names": (
        _usage(0, 0, 101, input_tokens=71, output_tokens=30),
        {IN: 71, OUT: 30},
    ),
    "names in camel case": (
        {"promptTokens": 71, "completionTokens": 30, "totalTokens": 101},
        {IN: 71, OUT: 30},
    ),
    "camel case, thought beside, in the sum": (
        {
            "promptTokens": 71,
            "completionTokens": 30,
            "totalTokens": 161,
            "completionTokensDetails": {"reasoningTokens": 60},
        },
        {IN: 71, OUT: 90, THOUGHT: 60},
    ),
    "the names of Gemini's own API": (
        {
            "promptTokenCount": 71,
            "candidatesTokenCount": 30,
            "thoughtsTokenCount": 60,
            "totalTokenCount": 161,
            "cachedContentTokenCount": 40,
        },
        {IN: 71, OUT: 90, THOUGHT: 60, CACHED: 40},
    ),
    "the names of Bedrock's own API": (
        {"inputTokens": 71, "outputTokens": 30, "cacheReadInputTokens": 40},
        {IN: 71, OUT: 30, CACHED: 40},
    ),
    "one in a list": ([_usage(71, 30)], {IN: 71, OUT: 30}),
    "one in a usage": ({"usage": _usage(71, 30)}, {IN: 71, OUT: 30}),
    "details by another name": (
        _usage(71, 90, prompt_token_details={"cached_tokens": 40}),
        {IN: 71, OUT: 90, CACHED: 40},
    ),
    "written to a cache, by another name": (
        _usage(71, 30, prompt_tokens_details={"cache_creation_tokens": 50}),
        {IN: 71, OUT: 30, "gen_ai.usage.cache_write.input_tokens": 50},
    ),
    "the names of responses": ({"input_tokens": 71, "output_tokens": 30}, {IN: 71, OUT: 30}),
    **{
        f"{name} at the top": (_usage(71, 30, **{name: 64}), {IN: 71, OUT: 30, CACHED: 64})
        for name, field in TOP.items()
        if field == "cache_read_tokens"
    },
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ARITHMETIC)
async def test_the_server_s_sums_say_what_is_part_of_what(trail, ask, name, stream):
    usage, expected = ARITHMETIC[name]
    reply = completion(TEXT, usage=usage)
    if stream:
        reply = streamed(chunk(TEXT), chunk({}, "stop"), chunk(choice={}, usage=usage))
    await ask(reply, stream=stream)
    attributes = trail.spans.attributes()
    assert {name: attributes.get(name) for name in expected} == expected
    assert attributes["tokentrail.usage.output.source"] == "reported"
    assert (
        trail.metrics.one("gen_ai.client.token.usage", gen_ai_token_type="output").sum
        == (expected[OUT])
    )


USAGE = _usage(83, 12)
CACHE = {"prompt_tokens_details": {"cached_tokens": 64}}
TIMINGS = {"cache_n": 80, "prompt_n": 3, "predicted_n": 12, "predicted_ms": 1.5}
PLACES = {
    "another name": [chunk(TEXT), chunk({}, "stop", usage_metadata=USAGE)],
    "llama.cpp's timings": [chunk(TEXT), chunk({}, "stop", timings=TIMINGS)],
    "on each chunk, of a piece, then of all": [
        *(chunk({"content": text}, usage=_usage(83, 1)) for text in ("Ash", " and", " oak.")),
        chunk({}, "stop", usage=USAGE),
    ],
    "on a chunk of its own": [chunk(TEXT), chunk({}, "stop"), chunk(choice={}, usage=USAGE)],
    "on the finish chunk": [chunk(TEXT), chunk({}, "stop", usage=USAGE)],
    "x_groq": [chunk(TEXT), chunk({}, "stop", x_groq={"id": "r", "usage": USAGE})],
    "in objects in objects": [
        chunk(TEXT),
        chunk({}, "stop", gateway={"route": {"billing": {"usage": USAGE}}}),
    ],
    "in the choice": [chunk(TEXT), chunk({}, "stop", choice={"usage": USAGE})],
    "in an object of another vendor": [
        chunk(TEXT),
        chunk({}, "stop", x_mine={"usage": USAGE}),
    ],
    "in the delta": [chunk(TEXT), chunk({"usage": USAGE}, "stop")],
    "beside zeros": [chunk(TEXT), chunk({}, "stop", usage=_usage(0, 0), meta={"usage": USAGE})],
    "without choices at all": [chunk(TEXT), chunk({}, "stop"), Event({**HEAD, "usage": USAGE})],
    "before an empty delta": [
        chunk(TEXT),
        chunk({}, "stop"),
        chunk({}, usage=USAGE),
        chunk({"content": ""}),
    ],
    "beside content, no finish reason": [chunk(TEXT), chunk({"content": " Ash."}, usage=USAGE)],
    "zeros after it": [chunk(TEXT), chunk({}, "stop", usage=USAGE), chunk({}, usage=_usage(0, 0))],
    "zeros before it": [chunk(TEXT, usage=_usage(0, 0)), chunk({}, "stop", usage=USAGE)],
}


@pytest.mark.parametrize("name", PLACES)
async def test_the_usage_of_a_stream_is_found_where_it_stands(trail, ask, name):
    await ask(streamed(*PLACES[name]), stream=True)
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes[OUT]) == (83, 12)
    assert attributes["tokentrail.usage.output.source"] == "reported"


PLAIN = {
    "x_groq": completion(TEXT, x_groq={"usage": USAGE}),
    "in objects in objects": completion(TEXT, gateway={"route": {"billing": {"usage": USAGE}}}),
    "an object of another vendor": completion(TEXT, meta={"usage": USAGE}),
    "the choice": completion(TEXT, choice={"usage": USAGE}),
    "the message": completion({**TEXT, "usage": USAGE}),
    "beside zeros": completion(TEXT, usage=_usage(0, 0), x_groq={"usage": USAGE}),
}


@pytest.mark.parametrize("where", PLAIN)
async def test_the_usage_of_an_answer_is_found_where_it_stands(trail, ask, where):
    await ask(PLAIN[where])
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes[OUT]) == (83, 12)


@pytest.mark.parametrize("stream", [False, True])
async def test_zeros_for_text_that_was_seen_are_no_report(trail, ask, stream):
    await ask(reply_of(TEXT, stream=stream, usage=_usage(0, 0)), stream=stream)
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes[OUT]) == (14, 7)
    assert (
        attributes["tokentrail.usage.input.source"] == attributes["tokentrail.usage.output.source"]
    )
    assert attributes["tokentrail.usage.output.source"] == "counted"


async def test_usage_of_each_piece_is_no_usage_of_the_whole(trail, ask):
    """A smaller number after a larger one: which of them is the answer's is not known."""
    pieces = [chunk(TEXT, usage=_usage(14, 6)), chunk({}, "stop", usage=_usage(14, 1))]
    await ask(streamed(*pieces), stream=True)
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes["tokentrail.usage.input.source"]) == (14, "reported")
    assert (attributes[OUT], attributes["tokentrail.usage.output.source"]) == (7, "counted")


async def test_the_same_small_usage_on_each_piece_is_no_usage_of_the_whole(trail, ask):
    """No answer has fewer tokens than pieces."""
    pieces = [chunk({"content": text}, usage=_usage(14, 1)) for text in ("Ash", " and", " oak.")]
    await ask(streamed(*pieces, chunk({}, "stop", usage=_usage(14, 1))), stream=True)
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes["tokentrail.usage.input.source"]) == (14, "reported")
    assert (attributes[OUT], attributes["tokentrail.usage.output.source"]) == (4, "counted")


@pytest.mark.parametrize("cached", [0, 1])
async def test_a_usage_that_is_sent_twice_keeps_its_parts(trail, ask, cached):
    parts = [CACHE if n == cached else {} for n in range(2)]
    end, own = (_usage(83, 12, **part) for part in parts)
    await ask(streamed(chunk(TEXT), chunk({}, "stop", usage=end), chunk(usage=own)), stream=True)
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes[OUT], attributes[CACHED]) == (83, 12, 64)


def test_a_usage_in_other_names_may_hold_anything_however_deep():
    deep: dict[str, object] = {}
    for _ in range(3000):
        deep = {"more": deep}
    details = {"cachedTokens": 64, "more": deep}
    usage = {"inputTokens": 83, "outputTokens": 12, "inputTokensDetails": details}
    assert read_usage(usage) == Reported(83, 12, cache_read_tokens=64)


async def test_timings_without_the_cached_part_do_not_report_the_input(trail, ask):
    timings = {"prompt_n": 3, "predicted_n": 12}
    await ask(streamed(chunk(TEXT), chunk({}, "stop", timings=timings)), stream=True)
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes["tokentrail.usage.input.source"]) == (14, "counted")
    assert (attributes[OUT], attributes["tokentrail.usage.output.source"]) == (12, "reported")


async def test_a_sum_that_is_the_input_reports_no_output(trail, ask):
    """How much that was is not known: what came is counted, here nothing."""
    await ask(completion({"content": ""}, usage={"prompt_tokens": 71, "total_tokens": 71}))
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes["tokentrail.usage.input.source"]) == (71, "reported")
    assert (attributes[OUT], attributes["tokentrail.usage.output.source"]) == (0, "counted")


async def test_embeddings_with_only_a_reported_sum(trail, driver, serve):
    body = {"object": "list", "model": "v", "data": [{"index": 0, "embedding": [0.5]}]}
    client = driver.client(serve(Plain({**body, "usage": {"total_tokens": 21}})))
    await driver.call(client.embeddings.create, model="v", input="Alders", encoding_format="float")
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes["tokentrail.usage.input.source"]) == (21, "reported")


SUMMARY = [{"type": "reasoning.summary", "summary": "Thinking of trees", "index": 0}]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_summary_of_thought_is_not_counted_as_thought(trail, ask, stream):
    said = {**TEXT, "reasoning": "Thinking of trees", "reasoning_details": SUMMARY}
    await ask(reply_of(said, stream=stream), stream=stream)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.output.source"] == "visible"
    assert attributes["tokentrail.usage.visible.output_tokens"] == 7


@pytest.mark.parametrize("stream", [False, True])
async def test_the_output_is_not_counted_if_the_server_runs_a_tool(trail, ask, stream):
    await ask(
        reply_of(TEXT, stream=stream), stream=stream, tools=[{"type": "openrouter:web_search"}]
    )
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.output.source"] == "approximated"


# Made-up servers ---------------------------------------------------------------------------------

_NUMBER = st.integers(1, 10**6)


@st.composite
def servers(draw):
    """Draw numbers, and a usage by which a server may report them, at one of the places."""
    read, shown, thought, cached = (draw(_NUMBER) for _ in range(4))
    cached = min(cached, read)
    given, made = draw(
        st.sampled_from([("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")])
    )
    inside = draw(st.booleans())
    usage = {given: read, made: shown + thought if inside else shown}
    usage["total_tokens"] = read + shown + thought
    details = [name for name in DETAILS if "reasoning_tokens" in DETAILS[name]]
    form = draw(st.sampled_from([*details, "reasoning_tokens", "only the sum"]))
    if form in details:
        usage[form] = {"reasoning_tokens": thought}
    elif form != "only the sum":
        usage[form] = thought
    cache = draw(
        st.sampled_from(
            [name for name, field in TOP.items() if field == "cache_read_tokens"]
            + [name for name in DETAILS if "cached_tokens" in DETAILS[name]]
        )
    )
    if cache in DETAILS:
        usage[cache] = {"cached_tokens": cached}
    # A cached part that equals the rest would explain it as well: no server can be told from it.
    elif cached not in {thought, 2 * thought} or inside:
        usage[cache] = cached
    places = [
        {"usage": usage},
        {"x_groq": {"usage": usage}},
        {"usage": {"prompt_tokens": 0}, "meta": {"usage": usage}},
        {"choices": [{"usage": usage}]},
        {"choices": [{"delta": {"usage": usage}}]},
        {"choices": [{"message": {"usage": usage}}]},
    ]
    answer = draw(st.sampled_from(places))
    rest = 0 if inside else thought
    ambiguous = form == "only the sum" and rest == cached
    return answer, read, shown + thought, ambiguous


@given(servers())
def test_the_same_numbers_are_found_in_each_of_the_places(drawn):
    answer, read, written, ambiguous = drawn
    found = read_usage(find_usage(answer))
    if ambiguous:
        return
    assert (found.input_tokens, found.output_tokens) == (read, written)


@given(st.recursive(st.none() | st.booleans() | st.text() | st.floats() | st.integers(), st.lists))
def test_nonsense_is_no_report(value):
    for usage in (value, {"prompt_tokens": value}, {"completion_tokens_details": value}):
        found = read_usage(usage)
        assert found is None or isinstance(found, Reported)
