"""Traces in a real backend: exported by OTLP, read back by its own REST API.

`make verify-phoenix` installs Phoenix and names its program in PHOENIX; without it these skip.
"""

from __future__ import annotations

import os

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the OTLP exporter")

from tests.stack.calls import PARENT, make_calls
from tests.stack.phoenix import Phoenix

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KNOWN = {
    # model, ending: tokens in and out, and where the numbers come from
    ("gpt-4o-mini", "completed"): (15, 79, "reported", "reported"),
    ("gpt-4.1", "completed"): (14, 59, "counted", "counted"),
    ("gpt-4o-mini", "closed_early"): (16, 34, "counted", "counted"),
    ("o4-mini", "completed"): (29, None, "counted", "visible"),
    ("gpt-nought", "failed"): (None, None, None, None),
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Give the spans as told, as Phoenix has them, and Phoenix."""
    program = os.environ.get("PHOENIX")
    if not program:
        pytest.skip("no Phoenix is named in PHOENIX: make verify-phoenix installs one")
    phoenix = Phoenix(program, tmp_path_factory.mktemp("phoenix"))
    try:
        told = make_calls(phoenix.traces)
        yield told, phoenix.spans(len(told)), phoenix
    finally:
        phoenix.close()


def _calls(spans):
    found = {}
    for span in spans:
        read = span["attributes"]
        if "tokentrail.outcome" in read:
            found[read["gen_ai.request.model"], read["tokentrail.outcome"]] = span
    return found


def test_every_span_arrives_and_no_other(seen):
    told, stored, _ = seen
    ids = sorted(f"{span.context.span_id:016x}" for span in told)
    assert sorted(span["context"]["span_id"] for span in stored) == ids
    assert len(stored) == len(KNOWN) + 1


def test_models_endings_tokens_and_their_sources_are_right(seen):
    calls = _calls(seen[1])
    assert calls.keys() == KNOWN.keys()
    names = (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "tokentrail.usage.input.source",
        "tokentrail.usage.output.source",
    )
    for key, span in calls.items():
        assert tuple(span["attributes"].get(name) for name in names) == KNOWN[key], key


def test_the_backend_has_the_tokens_in_its_own_columns(seen):
    """Phoenix translates gen_ai.* into OpenInference, which its pages and sums are made of."""
    for (model, ending), span in _calls(seen[1]).items():
        read = span["attributes"]
        tokens = KNOWN[model, ending][:2]
        own = (read.get("llm.token_count.prompt"), read.get("llm.token_count.completion"))
        assert own == tokens
        assert read["llm.model_name"] == model
        assert span["span_kind"] == "LLM"


def test_calls_lie_under_the_span_of_the_application(seen):
    _, stored, _ = seen
    (parent,) = (span for span in stored if span["name"] == PARENT)
    assert parent["parent_id"] is None
    assert len({span["context"]["trace_id"] for span in stored}) == 1
    for span in _calls(stored).values():
        assert span["parent_id"] == parent["context"]["span_id"]
        assert parent["start_time"] <= span["start_time"] <= span["end_time"] <= parent["end_time"]


def test_a_failure_is_an_error_there_and_a_closed_early_stream_is_none(seen):
    status = {key: span["status_code"] for key, span in _calls(seen[1]).items()}
    assert {key for key, code in status.items() if code == "ERROR"} == {("gpt-nought", "failed")}


def test_no_content_is_there(seen):
    for span in seen[1]:
        assert not [
            name for name in span["attributes"] if "message" in name or "input.value" in name
        ]


def test_ours_can_be_filtered_by(seen):
    phoenix = seen[2]
    assert phoenix.filtered("attributes['tokentrail']['outcome'] == 'closed_early'") == [
        "chat gpt-4o-mini"
    ]
    counted = "attributes['tokentrail']['usage']['output']['source'] == 'counted'"
    assert phoenix.filtered(counted) == ["chat gpt-4.1", "chat gpt-4o-mini"]
