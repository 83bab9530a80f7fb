"""What a server reports of its prompt cache: why it missed, and what was written."""

from __future__ import annotations

import pytest
from tests.billing.test_hosted_tools import asked, reply, said

from tokentrail.testing.server import Plain, Server

LIFETIMES = {"ttl_30m_tokens": 300, "ttl_12h_tokens": 200}


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


PRICES = {"input": 1, "output": 2, "cache_write": 1.25, "cache_write_12h": 4, "cache_write_1h": 2}


@pytest.mark.settings(cost="reported", prices={"gpt-4o-mini": PRICES})
@pytest.mark.parametrize(
    ("details", "usage", "usd"),
    [
        # 500 read at the price of input, 300 at 1.25, 200 at 4; 200 written at 2
        ({"cache_write_tokens_details": LIFETIMES}, {}, 0.002075),
        ({"cache_creation_token_details": {"ephemeral_1h_input_tokens": 200}}, {}, 0.001675),
        ({}, {"cache_creation": {"ephemeral_1h_input_tokens": 200}}, 0.001675),
    ],
)
async def test_writes_for_long_have_a_price_of_their_own(trail, driver, details, usage, usd):
    body = said()
    body["usage"] |= usage
    body["usage"]["input_tokens_details"] = {
        "cached_tokens": 0,
        "cache_write_tokens": 500,
    } | details
    await asked(driver, Plain(body), streamed=False)
    amount = trail.spans.attributes()["tokentrail.cost.amount"]
    assert amount == pytest.approx(usd, rel=1e-9)


@pytest.mark.settings(cost="reported", prices={"gpt-4o-mini": {"input": 1}})
async def test_an_output_without_a_price_is_named(trail, driver):
    await asked(driver, Plain(said()), streamed=False)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.cost.unpriced"] == ("output",)
    assert "tokentrail.cost.amount" not in attributes


@pytest.mark.settings(cost="reported", prices={"other": {"input": 1}, "gpt-4o-mini": PRICES})
@pytest.mark.parametrize(
    ("more", "unpriced"),
    [
        ({"service_tier": "scale"}, "service_tier"),
        ({"model": "our-own"}, "model"),
        ({"model": "our-own", "service_tier": "scale"}, "model"),
    ],
)
async def test_a_model_or_a_tier_without_a_price_is_named(trail, driver, more, unpriced):
    with Server(lambda _call: Plain({**said(), **more})) as server:
        client = driver.client(server)
        asks = {"model": more.get("model", "gpt-4o-mini"), "input": "How old?"}
        await driver.call(client.responses.create, **asks)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.cost.unpriced"] == (unpriced,)
    assert "tokentrail.cost.amount" not in attributes


CACHED_USAGE = "gen_ai.client.inference.usage.{}"
PARTS = tuple(
    map(
        CACHED_USAGE.format,
        ("cache_read.input_tokens", "cache_write.input_tokens", "reasoning.output_tokens"),
    )
)


async def test_a_reported_0_is_a_point_of_0_so_that_the_first_hit_is_seen(trail, driver):
    missed, hit = said(), said()
    hit["usage"]["input_tokens_details"]["cached_tokens"] = 256
    missed["usage"]["input_tokens_details"]["cached_tokens"] = 0
    answers = iter([missed, hit])
    with Server(lambda _call: Plain(next(answers))) as server:
        client = driver.client(server)
        await driver.call(client.responses.create, model="gpt-4o-mini", input="How old?")
        begun = [trail.metrics.one(name) for name in PARTS]
        assert [point.value for point in begun] == [0, 0, 0]
        assert not {name for name in trail.spans.attributes() if "cache" in name}
        await driver.call(client.responses.create, model="gpt-4o-mini", input="How old?")
    read = trail.metrics.one(PARTS[0])
    assert (read.value, read.attributes) == (256, begun[0].attributes)


async def test_what_no_server_reports_has_no_point(trail, driver):
    body = said()
    body["usage"]["input_tokens_details"] = None
    await asked(driver, Plain(body), streamed=False)
    assert [trail.metrics.points(name) for name in PARTS[:2]] == [[], []]
