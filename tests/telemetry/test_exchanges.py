"""Retries that the client makes by itself, what the provider's limits leave, finish reasons."""

from __future__ import annotations

from dataclasses import replace

import openai
import pytest
from tests.telemetry.headers import HEADERS

from tokentrail.telemetry.metrics import exchanges
from tokentrail.testing.payloads import Answer, Usage, chat, errors
from tokentrail.testing.server import Drop, Plain, Stream

pytestmark = pytest.mark.usefixtures("encodings")

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
ONE = Answer(("Hello there.",), Usage(13, 3), "gpt-4o-2024-08-06")
NOW = {"retry-after-ms": "1"}
OF = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "openai",
    "gen_ai_request_model": "gpt-4o",
}


@pytest.fixture
def repeating(driver, serve):
    """Give what returns a client whose server answers with these replies, one after another."""
    return lambda *replies, **options: driver.client(
        serve(*replies), **{"max_retries": 3, **options}
    )


def _refused(status):
    return replace(errors.reply(status, "Not now."), headers=NOW)


def _answer(streamed):
    return Stream(chat.chunks(ONE), headers=HEADERS) if streamed else _plain()


def _plain():
    return Plain(chat.completion(ONE), headers=HEADERS)


@pytest.mark.parametrize("streamed", [False, True])
async def test_refusals_that_the_client_absorbs_are_counted_by_status(
    trail, driver, repeating, streamed
):
    client = repeating(_refused(429), _refused(429), _refused(503), _answer(streamed))
    answer = await driver.call(client.chat.completions.create, **ASKED, stream=streamed)
    if streamed:
        await driver.read(answer)
    assert trail.metrics.one("tokentrail.client.retries", **OF, error_type="429").value == 2
    assert trail.metrics.one("tokentrail.client.retries", **OF, error_type="503").value == 1
    assert trail.metrics.one("tokentrail.operations", **OF).value == 1


async def test_a_lost_connection_is_a_cause_of_its_own(trail, driver, repeating):
    client = repeating(Drop(), _plain())
    await driver.call(client.chat.completions.create, **ASKED)
    (point,) = trail.metrics.points("tokentrail.client.retries")
    assert point.value == 1
    assert "Error" in point.attributes["error.type"]


async def test_a_timeout_is_called_one(trail, driver, repeating):
    client = repeating(replace(_plain(), wait=0.6), _plain(), timeout=0.25)
    await driver.call(client.chat.completions.create, **ASKED)
    assert trail.metrics.one("tokentrail.client.retries", error_type="timeout").value == 1


async def test_the_last_failure_is_no_retry(trail, driver, repeating):
    client = repeating(_refused(429), _refused(429), max_retries=1)
    with pytest.raises(openai.RateLimitError):
        await driver.call(client.chat.completions.create, **ASKED)
    assert trail.metrics.one("tokentrail.client.retries").value == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_the_limits_leave_is_recorded_for_plain_answers_too(
    trail, driver, repeating, streamed
):
    client = repeating(_answer(streamed))
    answer = await driver.call(client.chat.completions.create, **ASKED, stream=streamed)
    if streamed:
        await driver.read(answer)
    for name in ("limit", "remaining"):
        for kind in ("requests", "tokens"):
            point = trail.metrics.one(
                f"tokentrail.rate_limit.{name}", tokentrail_rate_limit_type=kind
            )
            assert str(point.value) == HEADERS[f"x-ratelimit-{name}-{kind}"]
            assert point.attributes["gen_ai.request.model"] == "gpt-4o"


async def test_an_old_rate_limit_of_a_provider_is_not_recorded(
    trail, driver, repeating, monkeypatch
):
    await driver.call(repeating(_plain()).chat.completions.create, **ASKED)
    assert trail.metrics.points("tokentrail.rate_limit.limit")
    monkeypatch.setattr(exchanges, "STALE", 0.0)
    assert not trail.metrics.points("tokentrail.rate_limit.limit")


async def test_a_server_without_such_headers_has_no_limits(trail, driver, repeating):
    await driver.call(repeating(Plain(chat.completion(ONE))).chat.completions.create, **ASKED)
    assert not trail.metrics.points("tokentrail.rate_limit.limit")


async def test_finish_reasons_are_counted_by_answer(trail, driver, repeating):
    cut = Answer(("Hello", "Good"), Usage(13, 3), "gpt-4o-2024-08-06", finish_reason="length")
    client = repeating(Plain(chat.completion(cut)), _plain())
    for _ in range(2):
        await driver.call(client.chat.completions.create, **ASKED)
    points = trail.metrics.points("tokentrail.choices", **OF)
    found = {point.attributes["tokentrail.finish_reason"]: point.value for point in points}
    assert found == {"length": 2, "stop": 1}
