"""The published prices: whose list they are of, from when on they hold, and for which parts."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from tokentrail.config import read_settings
from tokentrail.cost import Prices, genai_prices
from tokentrail.model.records import Count, Endpoint, Reported, Request, Source
from tokentrail.model.records import Usage as Used
from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Plain, Server

types = pytest.importorskip("genai_prices.types", reason="needs tokentrail[cost]")

COST = "tokentrail.cost.amount"
CHANGE = datetime(2026, 3, 1, tzinfo=timezone.utc)


def model(name, *, variants=(), prices=None, **rates):
    """Return a model of the package; rates in USD per million tokens."""
    return types.ModelInfo(
        id=name,
        match=types.ClauseEquals(equals=name),
        prices=prices or priced(**rates),
        price_variants=list(variants),
    )


def priced(**rates):
    return types.ModelPrice(**{f"{part}_mtok": Decimal(rate) for part, rate in rates.items()})


def flex(start=None):
    """Return a tier at half the price, from a day on."""
    return types.PriceVariant(
        when={"service_tier": "flex"},
        prices=priced(input="1", output="5"),
        constraint=start and types.StartDateConstraint(start_date=start),
    )


def cost(name, usage, prices=None, *, provider="openai", at=CHANGE):
    """Return what a call of that provider costs then."""
    request = Request("chat", "chat_completions", Endpoint(provider, None, None, ""))
    prices = prices or Prices(read_settings({}, {}).prices, counted=False)
    found = prices.cost(request, (name,), None, int(at.timestamp()) * 10**9, usage)
    return found and found.amount


def reported(given, made, **parts):
    counts = Count(given, Source.REPORTED), Count(made, Source.REPORTED)
    return Used(*counts, Reported(given, made, **parts))


@pytest.mark.settings(cost="reported")
@pytest.mark.parametrize(
    ("kind", "start", "usd"),
    [
        ("openai", None, 0.001 + 0.001),
        ("openai", date(2020, 1, 1), 0.001 + 0.001),
        # nobody can say what the tier costs before its price holds
        ("openai", date(2999, 1, 1), None),
        # Azure sells the model at the same price, but has tiers of its own
        ("azure", None, None),
    ],
)
async def test_a_service_tier_has_the_price_of_its_own_provider_and_time(
    trail, driver, publish, kind, start, usd
):
    publish(openai=[model("m", input="2", output="10", variants=[flex(start)])], azure=[])
    body = chat.completion(Answer(("The sea",), Usage(1000, 200), "m"))
    with Server(lambda call: Plain({**body, "service_tier": "flex"})) as server:
        create = driver.client(server, kind).chat.completions.create
        await driver.call(create, model="m", messages=[{"role": "user", "content": "Hello"}])
    assert trail.spans.attributes().get(COST) == (usd and pytest.approx(usd, rel=1e-12))


def test_without_a_service_tier_azure_has_the_price_of_openai(publish):
    publish(openai=[model("m", input="2", output="10", variants=[flex()])], azure=[])
    usage = reported(1000, 200)
    assert cost("m", usage, provider="azure.ai.openai") == cost("m", usage) == 0.004


def test_a_price_that_changes_holds_from_its_day_on(publish):
    """Also for a model whose price was looked up a minute before."""
    later = types.StartDateConstraint(start_date=CHANGE.date())
    conditional = [
        types.ConditionalPrice(prices=priced(input="2", output="10")),
        types.ConditionalPrice(constraint=later, prices=priced(input="3", output="10")),
    ]
    publish(openai=[model("m", prices=conditional)])
    prices = Prices(read_settings({}, {}).prices, counted=False)
    minute, usage = timedelta(minutes=1), reported(1000, 0)
    before, after = (cost("m", usage, prices, at=at) for at in (CHANGE - minute, CHANGE + minute))
    assert (before, after) == (0.002, 0.003)


@pytest.mark.parametrize(
    ("key", "given", "made", "field"),
    [
        ("cache_read", 1000, 0, "cache_read_tokens"),
        ("cache_write", 1000, 0, "cache_write_tokens"),
        ("input_audio", 1000, 0, "audio_input_tokens"),
        ("input_image", 1000, 0, "image_input_tokens"),
        ("output_reasoning", 0, 1000, "reasoning_tokens"),
        ("output_audio", 0, 1000, "audio_output_tokens"),
    ],
)
def test_a_part_has_the_price_that_is_published_for_it(publish, key, given, made, field):
    publish(openai=[model("m", input="2", output="10", **{key: "7"})])
    assert cost("m", reported(given, made, **{field: 1000})) == 0.007


PROVIDERS = [
    "openai", "azure.ai.openai", "anthropic", "aws.bedrock", "cohere", "deepseek", "gcp.gemini",
    "gcp.vertex_ai", "groq", "mistral_ai", "moonshot_ai", "perplexity", "x_ai",
]  # fmt: skip


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_provider_that_an_endpoint_names_has_prices(provider):
    """The package has its own names for them."""
    assert next(genai_prices.models_of(provider), None) is not None


def test_a_model_on_vertex_has_the_price_that_google_publishes(publish):
    publish(google=[model("m", input="2", output="10")])
    assert cost("m", reported(1000, 200), provider="gcp.vertex_ai") == 0.004
    assert cost("m", reported(1000, 200), provider="gcp.gemini") == 0.004
