"""The cost of a call on its span: whose price, by which name, of which tokens."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time

import openai
import pytest
from tests import shared

from tokentrail.cost import Prices, genai_prices, prices
from tokentrail.counting import ENCODINGS
from tokentrail.runtime import runtime
from tokentrail.support import guard
from tokentrail.testing.model import Model
from tokentrail.testing.payloads import Answer, Usage, chat, embeddings, responses
from tokentrail.testing.server import Plain, Server, Stream

mode = shared.either_mode

pytest.importorskip("genai_prices", reason="needs tokentrail[cost]")

COST = "tokentrail.cost.amount"
CURRENCY = "tokentrail.cost.currency"
SOURCE = "tokentrail.cost.source"
ASKED = {"messages": [{"role": "user", "content": "Tell me of the sea."}]}


def answering(usage=None, model=None, **extra):
    """Return what answers with this usage, as a model that may be another."""

    def respond(call):
        if call.path.endswith("/embeddings"):
            as_base64 = call.body.get("encoding_format") == "base64"
            return Plain(
                embeddings.embeddings(
                    ("x",), model=call.body["model"], tokens=1000, dimensions=2, as_base64=as_base64
                )
            )
        answer = Answer(("The sea", " is old."), usage, model or call.body["model"])
        if call.body.get("stream"):
            return Stream(chat.chunks(answer, "last" if usage else "none"))
        body = chat.completion(answer)
        usage_of = body.get("usage")
        for name, number in extra.get("details", {}).items():
            part, _, field = name.partition(".")
            usage_of.setdefault(part, {})[field] = number
        if "service_tier" in extra:
            body["service_tier"] = extra["service_tier"]
        return Plain(body)

    return respond


async def cost(trail, driver, respond, *, kind="openai", model="gpt-4o-mini", **request):
    """Make one call and return the cost on its span."""
    with Server(respond) as server:
        client = driver.client(server, kind)
        answer = await driver.call(
            client.chat.completions.create, model=model, **{**ASKED, **request}
        )
        if request.get("stream"):
            await driver.read(answer)
        return trail.spans.attributes().get(COST)


# 1000 input and 200 output tokens of gpt-4o-mini: 0.15, 0.075 from the cache, 0.6 USD a million
USAGE = Usage(1000, 200, 50, 400)
USD = (600 * 0.15 + 400 * 0.075 + 200 * 0.6) / 1e6


@pytest.mark.settings(cost="reported")
@pytest.mark.parametrize("stream", [False, True])
async def test_a_reported_usage_has_its_published_price(trail, driver, stream):
    extra = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    assert await cost(trail, driver, answering(USAGE), **extra) == pytest.approx(USD, rel=1e-12)


async def test_without_the_setting_there_is_none(trail, driver):
    assert await cost(trail, driver, answering(USAGE)) is None
    assert not {name for name in trail.spans.attributes() if "cost" in name}


@pytest.mark.settings(cost="reported")
async def test_a_call_that_was_refused_costs_nothing(trail, driver):
    with pytest.raises(openai.BadRequestError):
        await cost(trail, driver, lambda _call: Plain({"error": {"message": "no"}}, 400))
    attributes = trail.spans.attributes()
    assert attributes["error.type"] == "openai.BadRequestError"
    assert COST not in attributes


@pytest.mark.settings(cost="reported")
async def test_the_answer_says_which_model_it_is(trail, driver):
    """A dated name of an answer; on Azure the request only has a deployment's name."""
    respond = answering(USAGE, "gpt-4o-mini-2024-07-18")
    found = await cost(trail, driver, respond, kind="azure", model="help-desk")
    assert found == pytest.approx(USD, rel=1e-12)


@pytest.mark.settings(cost="reported")
async def test_sound_has_its_own_price(trail, driver):
    """gpt-audio: 2.5 and 10 for text, 32 and 64 for sound."""
    details = {
        "prompt_tokens_details.audio_tokens": 100,
        "completion_tokens_details.audio_tokens": 50,
    }
    respond = answering(Usage(1000, 200), details=details)
    found = await cost(trail, driver, respond, model="gpt-audio")
    usd = (900 * 2.5 + 100 * 32 + 150 * 10 + 50 * 64) / 1e6
    assert found == pytest.approx(usd, rel=1e-12)


@pytest.mark.settings(cost="reported")
@pytest.mark.parametrize("model", ["our-own", "gpt-4o-mini-and-more"])
async def test_an_unknown_model_has_no_cost(trail, driver, model):
    assert await cost(trail, driver, answering(USAGE), model=model) is None


@pytest.mark.settings(cost="reported")
@pytest.mark.parametrize(("tier", "usd"), [("default", USD), ("nought", None), ("batch", None)])
async def test_a_service_tier_without_a_price_has_no_cost(trail, driver, tier, usd):
    found = await cost(trail, driver, answering(USAGE, service_tier=tier))
    assert found == (usd and pytest.approx(usd, rel=1e-12))


@pytest.mark.settings(cost="reported")
async def test_a_service_tier_that_has_a_price_costs_that(trail, driver):
    """gpt-5-nano: 0.05, 0.005 and 0.4; half of it in the flex tier."""
    found = await cost(trail, driver, answering(USAGE, service_tier="flex"), model="gpt-5-nano")
    usd = (600 * 0.025 + 400 * 0.0025 + 200 * 0.2) / 1e6
    assert found == pytest.approx(usd, rel=1e-12)


OWN = {
    "gpt-4o-mini": {"input": 1, "output": 2, "service_tiers": {"flex": {"input": 0, "output": 1}}},
    "help-desk": {"input": 3, "output": 4},
}


@pytest.mark.settings(cost="reported", prices=OWN)
@pytest.mark.parametrize(
    ("asked", "answered", "tier", "usd"),
    [
        ("gpt-4o-mini", None, "default", 0.0014),
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", "default", 0.0014),
        ("gpt-4o-mini", None, "flex", 0.0002),
        ("gpt-4o-mini", None, "priority", None),
        ("help-desk", None, "default", 0.0038),
        # the name of the answer is the surer one
        ("help-desk", "gpt-4o-mini", "default", 0.0014),
        # whose is neither is published
        ("gpt-4.1", None, "default", (600 * 2 + 400 * 0.5 + 200 * 8) / 1e6),
    ],
)
async def test_own_prices_go_first(trail, driver, asked, answered, tier, usd):
    found = await cost(trail, driver, answering(USAGE, answered, service_tier=tier), model=asked)
    assert found == (usd and pytest.approx(usd, rel=1e-12))
    source = "published_prices" if asked == "gpt-4.1" else "own_prices"
    attributes = trail.spans.attributes()
    assert (attributes.get(CURRENCY), attributes.get(SOURCE)) == (
        ("USD", source) if usd else (None, None)
    )


@pytest.mark.settings(cost="reported", prices=OWN)
@pytest.mark.parametrize(
    ("asked", "answered", "usd"),
    [("flex", None, 0.0002), ("flex", "default", 0.0014), ("default", "flex", 0.0002)],
)
async def test_the_answer_says_which_service_tier_it_is(trail, driver, asked, answered, usd):
    """A server may not have the tier that was asked for; one that says nothing is believed."""
    respond = answering(USAGE, service_tier=answered)
    found = await cost(trail, driver, respond, service_tier=asked)
    assert found == pytest.approx(usd, rel=1e-12)


@pytest.mark.settings(cost="reported", prices=OWN)
async def test_a_price_is_not_looked_up_where_the_worker_has_no_room(trail, driver, monkeypatch):
    """That may take milliseconds of the application's."""
    with monkeypatch.context() as full:
        full.setattr(runtime.current().worker, "_capacity", 0)
        assert await cost(trail, driver, answering(USAGE)) is None
        trail.spans.clear()
    assert await cost(trail, driver, answering(USAGE)) == pytest.approx(0.0014)


@pytest.mark.settings(cost="reported", model_aliases={"help-desk": "gpt-4o-mini"})
async def test_what_the_user_says_a_deployment_is_has_that_price(trail, driver):
    found = await cost(trail, driver, answering(USAGE), kind="azure", model="help-desk")
    assert found == pytest.approx(USD, rel=1e-12)


@shared.both_modes
@pytest.mark.parametrize(("asked", "usd"), [("reported", None), ("counted", 13 * 0.15 + 5 * 0.6)])
async def test_a_stream_that_is_closed_early_costs_what_was_counted(trail, driver, asked, usd):
    assert ENCODINGS.load("o200k_base") is not None  # a busy machine may take long
    trail.instrument(cost=asked)
    with Server(answering()) as server:
        client = driver.client(server)
        stream = await driver.call(
            client.chat.completions.create, model="gpt-4o-mini", stream=True, **ASKED
        )
        await driver.take(stream, 3)
        await driver.close(stream)
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.usage.output.source"] == "counted"
    if usd is None:
        assert COST not in attributes
    else:
        tokens = attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]
        assert attributes[COST] == pytest.approx(
            (tokens[0] * 0.15 + tokens[1] * 0.6) / 1e6, rel=1e-12
        )


@pytest.mark.settings(cost="counted")
async def test_what_is_only_visible_has_no_cost(trail, driver):
    assert await cost(trail, driver, answering(), model="o4-mini", stream=True) is None


@pytest.mark.settings(cost="reported")
async def test_embeddings_have_an_input_only(trail, driver):
    with Server(answering()) as server:
        client = driver.client(server)
        await driver.call(client.embeddings.create, model="text-embedding-3-small", input="x")
    assert trail.spans.attributes()[COST] == pytest.approx(1000 * 0.02 / 1e6, rel=1e-12)


@pytest.mark.settings(cost="reported")
async def test_no_metric_has_a_cost(trail, driver):
    await cost(trail, driver, answering(USAGE))
    assert not [name for name in trail.metrics.names() if "cost" in name]


@pytest.mark.settings(cost="reported")
def test_no_other_host_is_asked_and_the_price_is_soon_known_at_once(trail, monkeypatch):
    """Nothing leaves this machine; and the second call of a model is told on the spot."""
    import openai

    asked = []
    connect = socket.socket.connect
    monkeypatch.setattr(
        socket.socket, "connect", lambda self, to: (asked.append(to[0]), connect(self, to))[1]
    )
    with (
        Server(answering(USAGE)) as server,
        openai.OpenAI(base_url=server.base_url, api_key="no-secret", max_retries=0) as client,
    ):
        client.chat.completions.create(model="gpt-4o-mini", **ASKED)
        assert len(trail.spans.all()) == 1
        for _ in range(2):  # a quarter of an hour may end between two
            client.chat.completions.create(model="gpt-4o-mini", **ASKED)
        assert len(trail.spans.at_once()) >= 2
    assert set(asked) == {"127.0.0.1"}


MISSING = """
import sys
class Hide:
    def find_spec(name, *_):
        if name == "genai_prices":
            return None
sys.meta_path = [Hide, *[f for f in sys.meta_path]]
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "genai_prices" else find(name, *a)
import logging
logging.basicConfig(format="%(message)s")
import tokentrail
for own in (None, None, {"mine": {"input": 1, "output": 2}}):
    tokentrail.instrument(cost="reported", prices=own)
    tokentrail.uninstrument()
"""


def test_a_missing_package_causes_one_warning_that_says_how_to_install_it():
    done = subprocess.run(
        [sys.executable, "-c", MISSING], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "cost is on, but genai-prices is not installed: pip install 'tokentrail[cost]'."
        " Until then no call has one.\n"
    )


async def test_without_the_package_own_prices_hold(trail, driver, monkeypatch, caplog):
    monkeypatch.setattr(genai_prices, "is_installed", lambda: False)
    monkeypatch.setattr(guard, "_logged", set())
    with caplog.at_level(logging.WARNING, "tokentrail"):
        trail.instrument(cost="reported", prices=OWN)
    assert "only the models of gpt-4o-mini, help-desk have a cost" in caplog.text
    assert await cost(trail, driver, answering(USAGE)) == pytest.approx(0.0014)
    trail.spans.clear()
    assert await cost(trail, driver, answering(USAGE), model="gpt-4o") is None


def test_what_is_remembered_is_bounded(monkeypatch):
    from tokentrail.config import read_settings
    from tokentrail.model.records import Count, Endpoint, Request, Source
    from tokentrail.model.records import Usage as Told

    monkeypatch.setattr(prices, "MAX_PRICES", 5)
    kept = Prices(read_settings({}, {}).prices, counted=False)
    usage = Told(Count(1000, Source.REPORTED), Count(200, Source.REPORTED))
    request = Request("chat", "chat_completions", Endpoint("openai", None, None, ""))
    for number in range(40):
        names = ("gpt-4o-mini",) if number % 2 else (f"nought-{number}",)
        known = kept.cost(request, names, None, time.time_ns(), usage)
        assert (known and known.amount) == (pytest.approx(0.00027) if number % 2 else None)
        assert len(kept._known) <= 5
        assert kept.is_cheap(request, names, None, time.time_ns()) or number == 39


def test_to_fetch_an_old_answer_costs_nothing_again():
    from tokentrail.config import read_settings
    from tokentrail.model.records import Endpoint, Request
    from tokentrail.model.records import Usage as Told

    kept = Prices(read_settings({}, {}).prices, counted=False)
    fetched = Request("fetch_response", "responses", Endpoint("openai", None, None, ""))
    assert kept.cost(fetched, ("gpt-4o-mini",), None, 0, Told()) is None


@pytest.mark.settings(cost="reported")
async def test_a_background_response_costs_what_its_first_fetch_records(trail, driver):
    """Before that nothing is known to be spent."""
    with Server(Model()) as server:
        client = driver.client(server)
        if not hasattr(client, "responses"):
            pytest.skip("this client has no responses")
        asked = {"model": "gpt-4o-mini", "input": "Tell me of the sea.", "background": True}
        made = await driver.call(client.responses.create, **asked)
        for _ in range(2):
            await driver.call(client.responses.retrieve, made.id)
    told = sorted(trail.spans.all(), key=lambda span: span.start_time)  # prices may be looked up
    first, second, third = [dict(span.attributes) for span in told]
    assert "tokentrail.cost.amount" not in first
    assert second["tokentrail.cost.amount"] > 0
    assert "tokentrail.cost.amount" not in third


@shared.both_modes
@pytest.mark.settings(cost="reported")
async def test_what_was_cancelled_in_the_background_costs_what_it_had_used(trail, driver):
    answer = Answer(("The sea",), Usage(1000, 200), "gpt-4o-mini")
    queued = responses.response(answer, "queued")
    cancelled = {**responses.response(answer), "status": "cancelled"}

    def respond(call):
        return Plain(cancelled if call.path.endswith("/cancel") else queued)

    with Server(respond) as server:
        client = driver.client(server)
        if not hasattr(getattr(client, "responses", None), "cancel"):
            pytest.skip("this client cancels no responses")
        asked = {"model": "gpt-4o-mini", "input": "Tell me of the sea.", "background": True}
        made = await driver.call(client.responses.create, **asked)
        await driver.call(client.responses.cancel, made.id)
    costs = {span.name: span.attributes.get(COST) for span in trail.spans.all()}
    usd = pytest.approx((1000 * 0.15 + 200 * 0.6) / 1e6, rel=1e-12)
    assert costs == {"chat gpt-4o-mini": None, "cancel_response": usd}
