"""Tokens by modality: whatever a server says, the parts sum to the total."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokentrail.model.records import Reported
from tokentrail.telemetry.metrics.modality import split

PART = st.none() | st.integers(0, 50)
REPORTS = st.builds(
    Reported,
    text_input_tokens=PART,
    image_input_tokens=PART,
    audio_input_tokens=PART,
    text_cache_read_tokens=PART,
    audio_cache_read_tokens=PART,
)


@given(
    st.sampled_from(["input", "cache_read_tokens", "reasoning_tokens"]), st.integers(0, 60), REPORTS
)
def test_the_parts_sum_to_the_total(what, total, reported):
    parts = dict(split(what, total, reported))
    assert sum(parts.values()) == total
    assert len(parts) == len(list(split(what, total, reported)))


def test_what_was_read_from_a_cache_is_split_as_the_server_says():
    told = Reported(cache_read_tokens=48, text_cache_read_tokens=16, audio_cache_read_tokens=32)
    assert dict(split("cache_read_tokens", 48, told)) == {"text": 16, "audio": 32}


def test_what_was_not_reported_has_no_parts():
    assert list(split("output", 7, None)) == [("unknown", 7)]
