from __future__ import annotations

import time

import pytest

import tokentrail
from tokentrail.testing.payloads import Answer, Usage

GAPS = "gen_ai.client.operation.time_per_output_chunk"


@pytest.mark.parametrize(("switch", "told"), [(True, True), (False, False)])
async def test_time_per_output_chunk(trail, ask, answer, switch, told):
    trail.instrument(time_per_output_chunk=switch)
    chunks = await ask(answer, stream=True)
    names = trail.metrics.names()
    assert (GAPS in names) is told
    assert {
        "gen_ai.client.operation.duration",
        "gen_ai.client.operation.time_to_first_chunk",
    } <= names
    if told:
        assert trail.metrics.one(GAPS).count == len(chunks) - 1


async def test_time_per_output_chunk_costs_too_much_to_be_the_default(trail, ask, answer):
    tokentrail.uninstrument()
    tokentrail.instrument(meter_provider=trail.metrics.provider)
    await ask(answer, stream=True)
    assert GAPS not in trail.metrics.names()


async def test_disabled_leaves_everything_as_it_is(trail, ask, answer, monkeypatch):
    from openai.resources.chat.completions import AsyncCompletions, Completions

    tokentrail.uninstrument()
    bare = Completions.__dict__["create"], AsyncCompletions.__dict__["create"]
    monkeypatch.setenv("TOKENTRAIL_DISABLED", "true")
    trail.instrument()
    assert (Completions.__dict__["create"], AsyncCompletions.__dict__["create"]) == bare
    await ask(answer)
    assert trail.spans.all() == ()
    assert tokentrail.flush() is True
    trail.instrument(disabled=False)
    await ask(answer)
    assert trail.spans.one().name == "chat gpt-4o"


async def test_flush_timeout_bounds_how_long_a_span_waits_for_its_count(trail, ask, cold):
    """With no time to wait, a first call is told at once, with an estimate that says so."""
    trail.instrument(count_timeout=0)
    await ask(Answer(("Hello there.",), None, "gpt-4o-2024-08-06"), stream=True)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.input.source"] == "approximated"
    assert attributes["tokentrail.usage.output.source"] == "approximated"
    assert "gen_ai.usage.input_tokens" not in attributes
    assert "gen_ai.usage.output_tokens" not in attributes
    assert "tokentrail.usage.encoding" not in attributes


async def test_a_span_that_waits_ends_when_its_call_ended(trail, ask, cold):
    """The end time is that of the call, whenever the count is there."""
    trail.instrument(count_timeout=10)
    await ask(Answer(("Hello there.",), None, "gpt-4o-2024-08-06"), stream=True)
    ended = time.time_ns()
    assert trail.spans.at_once() == ()
    span = trail.spans.one()
    assert span.attributes["tokentrail.usage.output.source"] == "counted"
    assert span.start_time < span.end_time <= ended


@pytest.mark.settings(count_timeout=0, token_counting="missing")
async def test_without_anything_to_count_nothing_waits(trail, ask):
    await ask(Answer(("Hello there.",), Usage(13, 3), "gpt-4o-2024-08-06"))
    (span,) = trail.spans.at_once()
    assert span.attributes["tokentrail.usage.output.source"] == "reported"
