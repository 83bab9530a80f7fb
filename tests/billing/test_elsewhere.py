"""What is billed later or elsewhere: fetched responses, batches, moderation, accounts.

Each answer is made up of the client's own types, which validate it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from openai.types import Batch
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from tests.billing.test_hosted_tools import ANSWER, NO_IMAGES, SEARCHES, asked, reply, said

from tokentrail.testing.payloads import Usage, batches, chat
from tokentrail.testing.replies import Event
from tokentrail.testing.server import Plain, Server, Stream

if TYPE_CHECKING:
    from tokentrail.testing.listener import Call

USED = "tokentrail.usage.tokens"
PRICES = {"gpt-4o-mini-2024-07-18": {"input": 1, "output": 2, "web_search": 5}}
BATCH = batches.finished("batch_1", Usage(30_000, 5_000))


def used(attributes):
    """Return the tokens on a span."""
    return tuple(attributes.get(f"gen_ai.usage.{kind}_tokens") for kind in ("input", "output"))


def counted(trail):
    """Return the tokens that metrics have."""
    return sum(point.value for point in trail.metrics.points(USED))


def finished(**more):
    """Return a response that was made in the background."""
    return {**said(SEARCHES, tool_usage=(3, NO_IMAGES)), "background": True, **more}


async def fetched(trail, driver, body, *, streamed=False, times=2):
    """Fetch a response that another process began; return the attributes of each span."""
    answer = reply(Response.model_validate(body).model_dump(mode="json"), streamed=streamed)
    with Server(lambda _call: answer) as server:
        client = driver.client(server)
        for _ in range(times):
            got = await driver.call(
                client.responses.retrieve, body["id"], **({"stream": True} if streamed else {})
            )
            if streamed:
                await driver.read(got)
        spans = sorted(trail.spans.all(), key=lambda span: span.start_time)
        return [span.attributes for span in spans]


@pytest.mark.settings(cost="reported", prices=PRICES)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_background_response_of_another_process_is_on_the_span_once(
    trail, driver, streamed
):
    first, second = await fetched(trail, driver, finished(), streamed=streamed)
    assert used(first) == (1000, 200)
    assert first["tokentrail.tool.web_search.requests"] == 3
    usd = (1000 * 1 + 200 * 2) / 1e6 + 3 * 0.005
    assert first["tokentrail.cost.amount"] == pytest.approx(usd, rel=1e-9)
    assert used(second) == (None, None)
    assert "tokentrail.cost.amount" not in second
    assert counted(trail) == 0
    assert not trail.metrics.points("tokentrail.tool.requests")


@pytest.mark.settings(fetched_usage_metrics=True)
async def test_metrics_have_it_once_if_they_are_asked_for_it(trail, driver):
    await fetched(trail, driver, finished())
    points = {
        (p.attributes["gen_ai.token.type"], p.attributes.get("tokentrail.cache.state")): p
        for p in trail.metrics.points(USED)
    }
    assert {key: point.value for key, point in points.items()} == {
        ("input", None): 600,
        ("input", "read"): 400,
        ("output", None): 200,
    }
    # the request has no model, and rules need one
    models = {point.attributes["gen_ai.response.model"] for point in points.values()}
    assert models == {"gpt-4o-mini-2024-07-18"}
    assert trail.metrics.one("tokentrail.tool.requests").value == 3


@pytest.mark.parametrize("more", [{"background": False}, {"status": "in_progress"}])
async def test_what_its_own_call_recorded_or_is_not_finished_has_no_usage(trail, driver, more):
    for attributes in await fetched(trail, driver, finished(**more)):
        assert used(attributes) == (None, None)


@pytest.mark.settings(cost="reported", cost_attributes="gen_ai.usage.cost, llm.cost.total")
async def test_a_finished_batch_has_its_usage_at_half_price(trail, driver):
    pytest.importorskip("genai_prices", reason="needs tokentrail[cost]")
    body = Batch.model_validate(BATCH).model_dump(mode="json", exclude_unset=True)
    steps = [{**body, "status": "in_progress"}, body, body]
    answers = iter(steps)
    with Server(lambda _call: Plain(next(answers))) as server:
        client = driver.client(server)
        for _ in steps:
            await driver.call(client.batches.retrieve, "batch_1")
        spans = sorted(trail.spans.all(), key=lambda span: span.start_time)
    early, done, again = (span.attributes for span in spans)
    assert {span.name for span in spans} == {"fetch_batch"}
    assert used(early) == used(again) == (None, None)
    assert early["gen_ai.response.status"] == "in_progress"
    assert used(done) == (30_000, 5_000)
    # 30,000 at 0.15 and 5,000 at 0.6 USD a million, and half of that
    usd = (30_000 * 0.15 + 5_000 * 0.6) / 1e6 / 2
    names = ("tokentrail.cost.amount", "gen_ai.usage.cost", "llm.cost.total")
    assert [done[name] for name in names] == pytest.approx([usd] * 3, rel=1e-9)
    assert counted(trail) == 0


async def test_the_usage_of_a_batch_is_known_however_it_ended(trail, driver):
    """What was answered of it by then is billed."""
    statuses = ("failed", "expired", "cancelled")

    def respond(call):
        name = call.path.rpartition("/")[2]
        return Plain({**BATCH, "id": name, "status": name.removeprefix("batch_")})

    with Server(respond) as server:
        client = driver.client(server)
        for status in statuses:
            await driver.call(client.batches.retrieve, f"batch_{status}")
        spans = trail.spans.all()
    found = {span.attributes["gen_ai.response.status"]: used(span.attributes) for span in spans}
    assert found == dict.fromkeys(statuses, (30_000, 5_000))


TIER = {"service_tiers": {"batch": {"input": 0.4, "output": 1}}}


@pytest.mark.parametrize(
    ("more", "usd"), [({}, 0.02), ({"cache_read": 0.5}, 0.0175), (TIER, 0.017)]
)
async def test_a_batch_has_a_price_of_your_own_and_is_counted_if_asked_for(
    trail, driver, more, usd
):
    """20,000, 10,000 cached and 5,000 at half of 1, 0.5 and 2; or at the prices of a tier."""
    prices = {"gpt-4o-mini": {"input": 1, "output": 2, **more}}
    trail.instrument(cost="reported", prices=prices, fetched_usage_metrics=True)
    usage = {**BATCH["usage"], "input_tokens_details": {"cached_tokens": 10_000}}
    with Server(lambda _call: Plain({**BATCH, "usage": usage})) as server:
        await driver.call(driver.client(server).batches.retrieve, batch_id="batch_1")
        attributes = trail.spans.attributes()
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 10_000
    assert attributes["tokentrail.cost.amount"] == pytest.approx(usd, rel=1e-9)
    assert counted(trail) == 35_000


FOUND = {
    "type": "moderation_result",
    "model": "omni-moderation-latest",
    "flagged": True,
    "categories": {"violence": True, "hate": False},
    "category_scores": {"violence": 0.9, "hate": 0.1},
    "category_applied_input_types": {"violence": ["text"], "hate": []},
}
SAFE = {**FOUND, "flagged": False, "categories": {"violence": False, "hate": False}}


def flagged(attributes):
    """Return the flagged categories of both directions."""
    name = "tokentrail.content_filter.{}.flagged"
    return tuple(attributes.get(name.format(kind)) for kind in ("input", "output"))


@pytest.mark.parametrize("streamed", [False, True])
async def test_moderation_in_a_response_is_flagged_like_a_content_filter(trail, driver, streamed):
    body = Response.model_validate({**said(), "moderation": {"input": FOUND, "output": SAFE}})
    answer = reply(body.model_dump(mode="json", exclude_unset=True), streamed=streamed)
    await asked(driver, answer, streamed=streamed)
    assert flagged(trail.spans.attributes()) == (("violence:detected",), None)


@pytest.mark.parametrize("streamed", [False, True])
async def test_moderation_in_a_chat_answer_is_flagged_like_a_content_filter(
    trail, driver, streamed
):
    moderation = {
        "input": {"type": "error", "code": "unavailable", "message": "no"},
        "output": {"type": "moderation_results", "model": "m", "results": [SAFE, FOUND]},
    }

    def respond(_call: Call):
        if not streamed:
            body = {**chat.completion(ANSWER), "moderation": moderation}
            return Plain(ChatCompletion.model_validate(body).model_dump(mode="json"))
        events = list(chat.chunks(ANSWER, "none"))
        last = {**events[0].data, "choices": [], "moderation": moderation}
        chunk = ChatCompletionChunk.model_validate(last).model_dump(mode="json")
        return Stream([*events[:-1], Event(chunk), events[-1]])

    with Server(respond) as server:
        client = driver.client(server)
        answered = await driver.call(
            client.chat.completions.create,
            model="gpt-4o-mini",
            messages=[{"role": "user", "content": "How old?"}],
            stream=streamed,
        )
        if streamed:
            await driver.read(answered)
        assert flagged(trail.spans.attributes()) == (None, ("violence:detected",))
