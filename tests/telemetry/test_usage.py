"""Where the numbers of a call come from: the rules, without a call."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.config import TokenCounting
from tokentrail.model.records import (
    Count,
    Endpoint,
    Operation,
    Outcome,
    Prompt,
    Reported,
    Request,
    Response,
    Source,
)
from tokentrail.usage import resolve

OFF, SPANS_ONLY, MISSING, ALWAYS = TokenCounting
COMPLETED, CLOSED_EARLY, CANCELLED, FAILED, TRUNCATED = Outcome
ENDPOINT = Endpoint("openai", "a.example", 443, "a")
NOTHING = dict.fromkeys(field.name for field in dataclasses.fields(Operation))


def _request(**given):
    return Request("chat", "chat_completions", ENDPOINT, **{"model": "gpt-4o", **given})


def _ended(reported=None, **given):
    answer = {name: given.pop(name) for name in ("final", "complete") if name in given}
    known = {"outcome": COMPLETED, "answered": True, "first_chunk": 0.5}
    known |= {"request": _request(), "duration": 1.0, "end_time": 1}
    return Operation(
        **{**NOTHING, **known, "response": Response(reported=reported, **answer), **given}
    )


def _counted(tokens, source=Source.COUNTED):
    return Count(tokens, source, "o200k_base")


# What is reported --------------------------------------------------------------------------------

REPORT = Reported(input_tokens=10, output_tokens=20)
REPORTED_OUTPUT = [
    ({}, 20),
    (
        {"outcome": CLOSED_EARLY},
        20,
    ),  # the last chunk was there, the application did not ask for more
    ({"outcome": FAILED}, 20),
    ({"final": False}, None),
    ({"complete": False}, 20),  # a stream that came to its end said it last
    ({"complete": False, "outcome": CLOSED_EARLY}, None),
    ({"complete": False, "outcome": CANCELLED}, None),
    ({"complete": False, "outcome": FAILED}, None),
    ({"final": False, "outcome": CLOSED_EARLY}, None),
]


@pytest.mark.parametrize(("facts", "tokens"), REPORTED_OUTPUT)
def test_output_is_reported_only_by_the_last_word_of_a_whole_answer(facts, tokens):
    assert resolve.reported_output(_ended(REPORT, **facts)) == tokens


@pytest.mark.parametrize("facts", [facts for facts, _ in REPORTED_OUTPUT])
def test_input_is_reported_wherever_it_stood(facts):
    assert resolve.reported_input(_ended(REPORT, **facts)) == 10


@pytest.mark.parametrize("response", [None, Response()])
def test_no_report_is_none_and_no_zero(response):
    ended = _ended(response=response)
    assert resolve.reported_input(ended) is None
    assert resolve.reported_output(ended) is None


def test_a_reported_zero_is_a_number():
    ended = _ended(Reported(input_tokens=0, output_tokens=0))
    settled = resolve.resolve_usage(ended, _counted(5), _counted(5), MISSING)
    assert settled.input == settled.output == Count(0, Source.REPORTED)


# What is counted ---------------------------------------------------------------------------------

PROMPT = Prompt(texts=("Hello",))
BOTH = (True, True)
NEITHER = (False, False)
WANTED = [
    # mode, ended, request, prompt -> input, output
    (MISSING, _ended(), _request(), PROMPT, BOTH),
    (SPANS_ONLY, _ended(), _request(), PROMPT, BOTH),
    (OFF, _ended(), _request(), PROMPT, NEITHER),
    (MISSING, _ended(REPORT), _request(), PROMPT, NEITHER),
    (ALWAYS, _ended(REPORT), _request(), PROMPT, BOTH),
    (MISSING, _ended(Reported(input_tokens=10)), _request(), PROMPT, (False, True)),
    (MISSING, _ended(Reported(output_tokens=20)), _request(), PROMPT, (True, False)),
    (MISSING, _ended(REPORT, final=False), _request(), PROMPT, (False, True)),
    (MISSING, _ended(answered=False, response=None), _request(), PROMPT, NEITHER),
    (ALWAYS, _ended(answered=False, response=None), _request(), PROMPT, NEITHER),
    (MISSING, _ended(first_chunk=None), _request(stream=True), PROMPT, (True, False)),
    (MISSING, _ended(first_chunk=None), _request(stream=False), PROMPT, BOTH),
    (MISSING, _ended(), _request(), None, (False, True)),
    (MISSING, _ended(), _request(), Prompt(unknowable=True), (False, True)),
    (
        MISSING,
        _ended(),
        Request("embeddings", None, ENDPOINT, model="text-embedding-3-small"),
        PROMPT,
        (True, False),
    ),
]


@pytest.mark.parametrize(("mode", "ended", "request_", "prompt", "expected"), WANTED)
def test_what_has_to_be_counted(mode, ended, request_, prompt, expected):
    ended = dataclasses.replace(ended, request=request_)
    found = resolve.needed_counts(ended, prompt, mode)
    assert (found.input, found.output) == expected


# What a count is worth ---------------------------------------------------------------------------

KNOWN = resolve.Model("gpt-4o", "o200k_base", known=True)
GUESSED = resolve.Model("llama-9", "o200k_base", known=False)
THINKER = resolve.Model("o3-2025-04-16", "o200k_base", known=True)
WORTH = [
    # model, exact, request -> input, output
    (KNOWN, True, {}, "counted", "counted"),
    (KNOWN, False, {}, "approximated", "approximated"),
    (GUESSED, True, {}, "approximated", "approximated"),
    (THINKER, True, {}, "counted", "visible"),
    (THINKER, False, {}, "approximated", "approximated"),
    (THINKER, True, {"reasoning_level": "low"}, "counted", "visible"),
    (THINKER, True, {"reasoning_level": "minimal"}, "counted", "visible"),
    (THINKER, True, {"reasoning_level": "none"}, "counted", "counted"),
    (KNOWN, True, {"inexact_output": True}, "counted", "approximated"),
    (THINKER, True, {"inexact_output": True}, "counted", "visible"),
]


@pytest.mark.parametrize(("model", "exact", "asked", "input_", "output"), WORTH)
def test_what_a_count_is_worth(model, exact, asked, input_, output):
    request = _request(**asked)
    assert resolve.count_source(request, model, exact=exact, output=False) == input_
    assert resolve.count_source(request, model, exact=exact, output=True) == output


# Which model counts ------------------------------------------------------------------------------

MODELS = [
    # asked, answered, remembered, models -> name, encoding, known
    ("gpt-4o", None, None, {}, ("gpt-4o", "o200k_base", True)),
    ("gpt-4", "gpt-4-0613", None, {}, ("gpt-4-0613", "cl100k_base", True)),
    ("dep", "gpt-35-turbo", None, {}, ("gpt-35-turbo", "cl100k_base", True)),
    ("dep", None, "gpt-4o-2024-08-06", {}, ("gpt-4o-2024-08-06", "o200k_base", True)),
    ("gpt-4o", None, "gpt-4-0613", {}, ("gpt-4-0613", "cl100k_base", True)),
    ("dep", "gpt-4o", "gpt-4", {}, ("gpt-4o", "o200k_base", True)),
    ("dep", None, None, {}, ("dep", "o200k_base", False)),
    ("gpt-4", "llama-9", None, {}, ("llama-9", "cl100k_base", False)),
    (None, None, None, {}, ("", "o200k_base", False)),
    (None, "gpt-4o", None, {}, ("gpt-4o", "o200k_base", True)),
    ("dep", "gpt-4o", None, {"dep": "gpt-4"}, ("gpt-4", "cl100k_base", True)),
    ("dep", "odd", None, {"odd": "gpt-4"}, ("gpt-4", "cl100k_base", True)),
    ("dep", "odd", None, {"odd": "gpt-4", "dep": "gpt-4o"}, ("gpt-4o", "o200k_base", True)),
    # an encoding says how to count, not who answers: a model that may reason still may
    ("dep", "o3-2025-04-16", None, {"dep": "o200k_base"}, ("o3-2025-04-16", "o200k_base", True)),
    ("o9", None, None, {"o9": "cl100k_base"}, ("o9", "cl100k_base", True)),
    ("dep", None, "o3", {"dep": "cl100k_base"}, ("o3", "cl100k_base", True)),
]


@pytest.mark.parametrize(("asked", "answered", "remembered", "models", "expected"), MODELS)
def test_which_model_counts(asked, answered, remembered, models, expected):
    found = resolve.identify(asked, answered, remembered, models)
    assert (found.name, found.encoding, found.known) == expected


# What it adds up to ------------------------------------------------------------------------------

REPORTED_20 = Count(20, Source.REPORTED)
OUTPUT = [
    # facts of a report of 20, counted -> output
    ({}, None, REPORTED_20),
    ({}, _counted(25), REPORTED_20),
    ({"final": False}, _counted(25), _counted(25)),
    ({"final": False}, _counted(20), _counted(20)),
    ({"final": False}, _counted(3), Count(20, Source.APPROXIMATED)),
    ({"final": False}, None, Count(20, Source.APPROXIMATED)),
    ({"complete": False, "outcome": CLOSED_EARLY}, _counted(25), _counted(25)),
    ({"complete": False, "outcome": CLOSED_EARLY}, _counted(3), Count(20, Source.APPROXIMATED)),
    ({"answered": False}, _counted(3), None),
]


@pytest.mark.parametrize(("facts", "counted", "expected"), OUTPUT)
def test_a_partial_number_loses_to_a_larger_count(facts, counted, expected):
    assert resolve.resolve_usage(_ended(REPORT, **facts), None, counted, MISSING).output == expected


def test_a_partial_zero_is_no_number():
    ended = _ended(Reported(output_tokens=0), final=False)
    assert resolve.resolve_usage(ended, None, None, MISSING).output is None


numbers = st.none() | st.integers(0, 1000)
counts = st.none() | st.builds(
    Count,
    st.integers(0, 1000),
    st.sampled_from([Source.COUNTED, Source.CALIBRATED, Source.VISIBLE, Source.APPROXIMATED]),
    st.just("o200k_base"),
)
reports = st.none() | st.builds(Reported, input_tokens=numbers, output_tokens=numbers)


@st.composite
def endings(draw):
    answered = draw(st.booleans())
    return _ended(
        draw(reports),
        outcome=draw(st.sampled_from(list(Outcome))),
        answered=answered,
        first_chunk=0.5 if answered and draw(st.booleans()) else None,
        final=draw(st.booleans()),
        complete=draw(st.booleans()),
    )


@given(endings(), counts, counts, st.sampled_from(list(TokenCounting)))
def test_settling(ended, counted_input, counted_output, mode):
    """``reported`` is the server's own and final; whatever is less is labelled as what it is.

    Nothing is invented: a number is the server's or a count. Without an answer there is none.
    """
    settled = resolve.resolve_usage(ended, counted_input, counted_output, mode)
    told = {
        "input": (settled.input, resolve.reported_input(ended), counted_input),
        "output": (settled.output, resolve.reported_output(ended), counted_output),
    }
    if not ended.answered:
        assert (settled.input, settled.output) == (None, None)
        return
    for count, reported, counted in told.values():
        if reported is not None:
            assert count == Count(reported, Source.REPORTED)
        elif count is not None and count != counted:
            assert count.source is Source.APPROXIMATED
            assert count.tokens == ended.response.reported.output_tokens
            assert counted is None or counted.tokens < count.tokens


@given(endings(), counts, counts, st.sampled_from([OFF, SPANS_ONLY, MISSING]))
def test_a_reported_call_is_counted_too_only_if_asked_for(ended, counted_in, counted_out, mode):
    """What is reported is not even counted; what was counted stands in its place alone."""
    wanted = resolve.needed_counts(ended, PROMPT, mode)
    settled = resolve.resolve_usage(
        ended,
        counted_in if wanted.input else None,
        counted_out if wanted.output else None,
        mode,
    )
    assert (settled.counted_input, settled.counted_output) == (None, None)
    if mode is OFF:
        for count in (settled.input, settled.output):
            assert count is None or count.source is Source.REPORTED


@given(endings(), counts, counts)
def test_only_like_is_compared_with_like(ended, counted_input, counted_output):
    """Compared are a final report and a count that claims to be the same number."""
    settled = resolve.resolve_usage(ended, counted_input, counted_output, ALWAYS)
    for count, beside, counted in (
        (settled.input, settled.counted_input, counted_input),
        (settled.output, settled.counted_output, counted_output),
    ):
        like = (
            counted is not None
            and counted.source is Source.COUNTED
            and count is not None
            and count.source is Source.REPORTED
        )
        assert beside == (counted if like else None)
