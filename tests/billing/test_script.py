"""The script of made-up answers, on spans and in metrics, against numbers worked out by hand."""

from __future__ import annotations

import pytest
from tests.billing.script import ANSWER, CASES, arguments, respond
from tests.billing.test_hosted_tools import requests_on

from tokentrail.testing.server import Server

pytest.importorskip("genai_prices", reason="needs tokentrail[cost]")


@pytest.mark.settings(cost="reported")
@pytest.mark.parametrize("streamed", [False, True])
async def test_each_answer_has_its_numbers_on_its_span_and_in_metrics(trail, driver, streamed):
    cases = [case for case in CASES if not (streamed and case.is_chat)]
    with Server(respond) as server:
        client = driver.client(server)
        for case in cases:
            api = client.chat.completions if case.is_chat else client.responses
            more = {"stream": True} if streamed else {}
            answer = await driver.call(api.create, **arguments(case), **more)
            if streamed:
                await driver.read(answer)
    spans = {span.attributes["gen_ai.request.model"]: span.attributes for span in trail.spans.all()}
    assert {case.name for case in cases} == spans.keys()
    for case in cases:
        attributes = spans[case.name]
        assert requests_on(attributes) == case.requests, case.name
        amount = attributes.get("tokentrail.cost.amount")
        known = None if case.usd is None else pytest.approx(case.usd / 1e6, rel=1e-9)
        assert amount == known, case.name
        assert attributes.get("tokentrail.cost.unpriced", ()) == case.unpriced, case.name
        used = tuple(attributes[f"gen_ai.usage.{kind}_tokens"] for kind in ("input", "output"))
        assert used == (ANSWER.usage.input, ANSWER.usage.output), case.name
        _has_points(trail, case)


def _has_points(trail, case):
    own = {"gen_ai_request_model": case.name}
    requests = trail.metrics.points("tokentrail.tool.requests", **own)
    counted = {p.attributes["tokentrail.tool.name"]: p.value for p in requests}
    assert counted == case.requests, case.name
    found = {"input": 0, "output": 0}
    for point in trail.metrics.points("tokentrail.tool.tokens", **own):
        found[point.attributes["gen_ai.token.type"]] += point.value
    assert tuple(found.values()) == (case.images or (0, 0)), case.name
