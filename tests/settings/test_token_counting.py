"""What each value of ``token_counting`` puts where."""

from __future__ import annotations

import pytest

from tokentrail.testing.payloads import Answer, Usage

MODES = ("off", "spans_only", "missing", "always")

REPORTED = {
    "tokentrail.usage.input.source": "reported",
    "tokentrail.usage.output.source": "reported",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 30,
}
COUNTED = {
    "tokentrail.usage.input.source": "counted",
    "tokentrail.usage.output.source": "counted",
    "gen_ai.usage.input_tokens": 13,
    "gen_ai.usage.output_tokens": 3,
    "tokentrail.usage.encoding": "o200k_base",
}
COMPARED = {
    **REPORTED,
    "tokentrail.usage.counted.input_tokens": 13,
    "tokentrail.usage.counted.output_tokens": 3,
    "tokentrail.usage.encoding": "o200k_base",
}
OF_REPORT = {("input", "reported"): 100, ("output", "reported"): 30}
OF_COUNT = {("input", "counted"): 13, ("output", "counted"): 3}
RATIOS = {"input": 0.13, "output": 0.1}


def _usage(attributes):
    """Return all that is told of tokens."""
    return {k: v for k, v in attributes.items() if ".usage." in k}


def _sums(points, value):
    return {
        (p.attributes["gen_ai.token.type"], p.attributes["tokentrail.usage.source"]): value(p)
        for p in points
    }


def _recorded(trail):
    metrics = trail.metrics
    return (
        _usage(trail.spans.attributes()),
        _sums(metrics.points("gen_ai.client.token.usage"), lambda point: point.sum),
        _sums(metrics.points("tokentrail.usage.tokens"), lambda point: point.value),
        {
            point.attributes["gen_ai.token.type"]: point.sum
            for point in metrics.points("tokentrail.usage.count_ratio")
        },
    )


@pytest.mark.parametrize(
    ("mode_of_counting", "expected"),
    [
        ("off", (REPORTED, OF_REPORT, OF_REPORT, {})),
        ("spans_only", (REPORTED, OF_REPORT, OF_REPORT, {})),
        ("missing", (REPORTED, OF_REPORT, OF_REPORT, {})),
        ("always", (COMPARED, OF_REPORT, OF_REPORT, RATIOS)),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_where_the_server_reports(trail, ask, answer, mode_of_counting, expected, stream):
    trail.instrument(token_counting=mode_of_counting)
    options = {"stream_options": {"include_usage": True}} if stream else {}
    await ask(answer, stream=stream, **options)
    assert _recorded(trail) == expected


@pytest.mark.parametrize(
    ("mode_of_counting", "expected"),
    [
        ("off", ({}, {}, {}, {})),
        ("spans_only", (COUNTED, {}, {}, {})),
        ("missing", (COUNTED, OF_COUNT, OF_COUNT, {})),
        ("always", (COUNTED, OF_COUNT, OF_COUNT, {})),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_where_the_server_does_not(trail, ask, mode_of_counting, expected, stream):
    trail.instrument(token_counting=mode_of_counting)
    await ask(Answer(("Hello there.",), None, "gpt-4o-2024-08-06"), stream=stream)
    assert _recorded(trail) == expected


@pytest.mark.parametrize("mode_of_counting", MODES)
async def test_a_model_that_may_reason_is_never_recorded_as_used(trail, ask, mode_of_counting):
    """Its visible output is on the span and in our own counter, and nowhere under ``gen_ai.*``."""
    trail.instrument(token_counting=mode_of_counting)
    await ask(Answer(("Hello there.",), None, "o3-2025-04-16"), stream=True, model="o3")
    attributes, conventional, own, ratios = _recorded(trail)
    assert "gen_ai.usage.output_tokens" not in attributes
    assert ("output", "visible") not in conventional
    counts = mode_of_counting != "off"
    assert attributes.get("tokentrail.usage.visible.output_tokens") == (3 if counts else None)
    assert own.get(("output", "visible")) == (3 if mode_of_counting in MODES[2:] else None)
    assert ratios == {}


@pytest.mark.settings(token_counting="always")
async def test_a_visible_count_is_not_compared_with_what_was_billed(trail, ask):
    await ask(Answer(("Hello there.",), Usage(12, 195), "o3-2025-04-16"), model="o3")
    attributes, _, _, ratios = _recorded(trail)
    assert attributes["gen_ai.usage.output_tokens"] == 195
    assert "tokentrail.usage.counted.output_tokens" not in attributes
    assert ratios == {"input": 1.0}


@pytest.mark.settings(token_counting="always")
async def test_a_guess_is_not_compared_either(trail, ask):
    await ask(Answer(("Hello there.",), Usage(12, 3), "llama-9"), model="llama-9")
    assert _recorded(trail)[0] == {
        "tokentrail.usage.input.source": "reported",
        "tokentrail.usage.output.source": "reported",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
    }
    assert trail.metrics.points("tokentrail.usage.count_ratio") == []


@pytest.mark.settings(token_counting="always")
async def test_a_report_of_zero_gives_no_ratio(trail, ask):
    await ask(Answer(("",), Usage(13, 0), "gpt-4o-2024-08-06"))
    attributes, _, own, ratios = _recorded(trail)
    assert attributes["gen_ai.usage.output_tokens"] == 0
    assert attributes["tokentrail.usage.counted.output_tokens"] == 0
    assert own[("output", "reported")] == 0
    assert ratios == {"input": 1.0}


async def test_off_starts_no_encoding_and_no_work(trail, ask, cold):
    """Strict reading: nothing is even prepared."""
    trail.instrument(token_counting="off")
    await ask(Answer(("Hello there.",), None, "gpt-4o-2024-08-06"), stream=True)
    assert trail.spans.one().attributes["tokentrail.outcome"] == "completed"
    assert cold.get("o200k_base") is None
    assert cold._waiting == {}  # nor is it on its way
