"""Bodies that nobody has parsed: what they say, and that a large one is not read through."""

from __future__ import annotations

import json

import pytest

from tokentrail.apis import http_body

USAGE = {"prompt_tokens": 7, "total_tokens": 7}


def test_a_body_is_read_as_json():
    assert http_body.parse_body(json.dumps({"usage": USAGE}).encode()) == {"usage": USAGE}


@pytest.mark.parametrize("body", [b"", b"sound", b'{"cut": ', b"\xff\xfe\x00"])
def test_what_is_no_json_is_given_back(body):
    assert http_body.parse_body(body) == body


def test_no_body_says_nothing():
    assert http_body.parse_body(None) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":[%s],"model":"embedder","usage":{"prompt_tokens":7,"total_tokens":7}}',
        b'{"model": "embedder", "data": [%s], "usage" : {"prompt_tokens":7,"total_tokens":7} }',
        b'{"usage":{"prompt_tokens":7,"total_tokens":7},"model":"embedder","data":[%s]}',
    ],
)
def test_of_a_large_one_the_ends_are_read(body):
    """What is between is not looked at: here it is not JSON at all."""
    large = body % (b"?" * http_body.MAX_PARSED_BYTES)
    assert http_body.parse_body(large) == {"model": "embedder", "usage": USAGE}


def test_all_attribution_of_a_large_request_is_read():
    said = {"id": "c-1", "service_tier": "flex", "system_fingerprint": "fp_1"}
    large = {**said, "b64_json": "?" * http_body.MAX_PARSED_BYTES}
    assert http_body.parse_body(json.dumps(large).encode()) == said


def test_a_text_that_speaks_of_usage_is_no_usage():
    said = json.dumps('"usage": {"prompt_tokens": 9}').encode()
    assert http_body.parse_body(b'{"data": [' + b"?" * http_body.MAX_PARSED_BYTES + said) == {}


def test_what_is_cut_off_is_absent():
    assert http_body.parse_body(
        b"?" * http_body.MAX_PARSED_BYTES + b'"model": "a", "usage": {"prompt_tok'
    ) == {"model": "a"}
