"""Answers that came, were billed, and cannot be read: told as failures, with their usage."""

from __future__ import annotations

import json

import openai
import pytest
from pydantic import BaseModel, ValidationError

from tokentrail.testing.payloads import Answer, Usage, chat, responses
from tokentrail.testing.server import Plain

IN, OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
CUT = Answer(('{"name": "Gr',), Usage(40, 30), "gpt-4o-2024-08-06")
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "A name, please."}]}


class Named(BaseModel):
    """What the application wants the answer to be."""

    name: str


def _completion(finish):
    body = chat.completion(CUT)
    body["choices"][0]["finish_reason"] = finish
    return body


def _parse(client):
    found = getattr(client.chat.completions, "parse", None)
    return found or client.beta.chat.completions.parse


def _require_report(trail, error):
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes[OUT]) == (40, 30)
    assert attributes["tokentrail.usage.output.source"] == "reported"
    assert attributes["gen_ai.response.model"] == CUT.model
    point = trail.metrics.one("gen_ai.client.token.usage", gen_ai_token_type="output")
    assert point.sum == 30
    assert attributes.get("error.type", "") == error
    return attributes


@pytest.mark.parametrize(
    ("finish", "error"),
    [
        ("length", openai.LengthFinishReasonError),
        ("content_filter", openai.ContentFilterFinishReasonError),
        ("stop", ValidationError),
    ],
)
async def test_a_completion_that_cannot_be_parsed_was_billed(trail, driver, serve, finish, error):
    """The commonest failure of structured output: the answer is cut, and paid for."""
    client = driver.client(serve(Plain(_completion(finish))))
    with pytest.raises(error):
        await driver.call(_parse(client), **ASKED, response_format=Named)
    said = trail.spans.attributes()
    is_one_call = said["tokentrail.outcome"] == "failed"
    if hasattr(client.chat.completions, "parse"):
        assert is_one_call
    kind = f"{error.__module__}.{error.__name__}" if is_one_call else ""
    said = _require_report(trail, kind)
    assert said["gen_ai.response.finish_reasons"] == (finish,)


async def test_a_response_that_cannot_be_parsed_was_billed(trail, driver, serve):
    client = driver.client(serve(Plain(responses.response(CUT))))
    if not hasattr(getattr(client, "responses", None), "parse"):
        pytest.skip("this openai has no responses.parse")
    with pytest.raises(ValidationError):
        await driver.call(client.responses.parse, model="gpt-4o", input="Hi", text_format=Named)
    assert _require_report(trail, "pydantic_core._pydantic_core.ValidationError")


async def test_a_body_that_the_client_refuses_was_billed(trail, driver, serve):
    """A strict client wants every field."""
    body = chat.completion(CUT)
    del body["created"]
    client = driver.client(serve(Plain(body)), _strict_response_validation=True)
    with pytest.raises(openai.APIResponseValidationError):
        await driver.call(client.chat.completions.create, **ASKED)
    _require_report(trail, "openai.APIResponseValidationError")


async def test_a_raw_answer_is_parsed_by_the_application_alone(trail, driver, serve):
    """Its classes may do anything: they are not made before it asks."""
    made = []

    class Seen(Named):
        def __init__(self, **given):
            made.append(given)
            super().__init__(**given)

    client = driver.client(serve(Plain(_completion("length"))))
    if not hasattr(client.chat.completions, "parse"):
        pytest.skip("this openai has no chat.completions.with_raw_response.parse")
    parse = client.chat.completions.with_raw_response.parse
    raw = await driver.call(parse, **ASKED, response_format=Seen)
    assert _require_report(trail, "")["tokentrail.outcome"] == "completed"
    with pytest.raises(openai.LengthFinishReasonError):
        raw.parse()
    assert made == []
    assert len(trail.spans.all()) == 1


async def test_a_raw_answer_that_is_no_json_is_no_answer(trail, driver, serve):
    reply = Plain(b"not JSON", headers={"content-type": "application/json"})
    client = driver.client(serve(reply))
    raw = await driver.call(client.chat.completions.with_raw_response.create, **ASKED)
    with pytest.raises(json.JSONDecodeError):
        raw.parse()
    attributes = trail.spans.attributes()
    assert (attributes["tokentrail.outcome"], OUT in attributes) == ("failed", False)
