"""Who pays, and what names the prompt's cache: on spans, if a setting asks for it."""

from __future__ import annotations

import hashlib

import openai
import pytest
from tests.billing.test_hosted_tools import said

from tokentrail.testing.server import Plain, Server

ACCOUNT = {"openai-organization": "acme-7", "openai-project": "proj_1", "x-request-id": "req_1"}
KEY = "tenant-7"


async def span_of(trail, driver, answer, *, fails=False):
    """Make one call with a cache key; return the attributes of its span."""
    with Server(lambda _call: answer) as server:
        client = driver.client(server, max_retries=0)
        call = driver.call(
            client.responses.create, model="gpt-4o-mini", input="How old?", prompt_cache_key=KEY
        )
        if fails:
            with pytest.raises(openai.APIStatusError):
                await call
        else:
            await call
    return trail.spans.attributes()


def account(attributes):
    """Return who pays."""
    return tuple(attributes.get(f"tokentrail.{name}") for name in ("organization", "project"))


@pytest.mark.settings(capture_account=True)
async def test_the_account_of_an_answer_is_recorded(trail, driver):
    attributes = await span_of(trail, driver, Plain(said(), headers=ACCOUNT))
    assert account(attributes) == ("acme-7", "proj_1")
    assert not [value for value in attributes.values() if "sk-" in str(value)]


@pytest.mark.settings(capture_account=True)
async def test_the_account_of_a_refusal_is_recorded(trail, driver):
    refusal = Plain({"error": {"code": "insufficient_quota"}}, status=429, headers=ACCOUNT)
    attributes = await span_of(trail, driver, refusal, fails=True)
    assert account(attributes) == ("acme-7", "proj_1")
    assert attributes["tokentrail.request_id"] == "req_1"


async def test_neither_account_nor_cache_key_is_recorded_unasked(trail, driver):
    attributes = await span_of(trail, driver, Plain(said(), headers=ACCOUNT))
    assert account(attributes) == (None, None)
    assert not {"acme-7", "proj_1", KEY} & set(map(str, attributes.values()))


@pytest.mark.parametrize(
    ("captured", "recorded"),
    [("plain", KEY), ("hash", hashlib.sha256(KEY.encode()).hexdigest()[:16])],
)
async def test_the_cache_key_is_recorded_as_the_setting_says(trail, driver, captured, recorded):
    trail.instrument(capture_cache_key=captured)
    attributes = await span_of(trail, driver, Plain(said()))
    assert attributes["tokentrail.cache.key"] == recorded
    assert (
        trail.metrics.one("tokentrail.operations")
        .attributes.keys()
        .isdisjoint({"tokentrail.cache.key"})
    )
