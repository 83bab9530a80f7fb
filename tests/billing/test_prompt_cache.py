"""What a server reports of its prompt cache: why it missed, and what was written."""

from __future__ import annotations

import pytest
from tests.billing.test_hosted_tools import asked, reply, said

from tokentrail.testing.server import Plain

LIFETIMES = {"ttl_30m_tokens": 300, "ttl_12h_tokens": 200}
READ = "gen_ai.client.inference.usage.cache_read.input_tokens"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_miss_has_the_server_s_reason(trail, driver, streamed):
    body = said()
    body["prompt_cache_diagnostics"] = {
        "type": "cache_miss",
        "reason": "tools_changed",
        "cache_missed_tokens": 600,
    }
    await asked(driver, reply(body, streamed=streamed), streamed=streamed)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.cache.miss_reason"] == "tools_changed"
    assert attributes["tokentrail.cache.miss_reason_source"] == "server"
    assert attributes["tokentrail.cache.missed_tokens"] == 600


@pytest.mark.parametrize("kind", ["cache_hit", "unavailable", "comparison_response_not_found"])
async def test_what_is_no_miss_has_no_reason(trail, driver, kind):
    await asked(
        driver, Plain({**said(), "prompt_cache_diagnostics": {"type": kind}}), streamed=False
    )
    assert not {name for name in trail.spans.attributes() if name.startswith("tokentrail.cache")}


@pytest.mark.parametrize("streamed", [False, True])
async def test_writes_are_split_by_their_lifetime(trail, driver, streamed):
    body = said()
    details = body["usage"]["input_tokens_details"]
    details["cache_write_tokens"] = 500
    details["cache_write_tokens_details"] = LIFETIMES
    await asked(driver, reply(body, streamed=streamed), streamed=streamed)
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.usage.cache_write.input_tokens"] == 500
    assert attributes["tokentrail.cache.write.30m_tokens"] == 300
    assert attributes["tokentrail.cache.write.12h_tokens"] == 200


@pytest.mark.settings(cost="reported", prices={"gpt-4o-mini": {"input": 1, "output": 2}})
async def test_a_write_for_twelve_hours_has_no_price(trail, driver):
    body = said()
    details = body["usage"]["input_tokens_details"]
    details |= {"cache_write_tokens": 500, "cache_write_tokens_details": LIFETIMES}
    await asked(driver, Plain(body), streamed=False)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.cost.unpriced"] == ("cache_write_12h",)
    assert "tokentrail.cost.amount" not in attributes
