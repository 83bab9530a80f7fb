"""What is told of a failure: its kind and its code, never its message, which may quote the call."""

from __future__ import annotations

import openai
import pytest
from opentelemetry.trace import StatusCode
from tests import shared

from tokentrail.testing.payloads import Answer, Usage, chat, responses
from tokentrail.testing.server import Event, Plain, Stream

pytestmark = pytest.mark.usefixtures("encodings")

mode = shared.either_mode

CANARY = "tiger, burning bright"
ONE = Answer(("Hello there.",), Usage(13, 3), "gpt-4o-2024-08-06")
CODES = [
    ("server_error", "server_error"),
    ("rate-limit.v2", "rate-limit.v2"),
    (CANARY, None),
    ("t" * 65, None),
    ("", None),
    (None, None),
    (400, None),
    ({"tiger": CANARY}, None),
]
"""What stands as a code, and what of it is one."""
IN_ANSWERS = [(code, str(code) if type(code) is int else told) for code, told in CODES]
"""In answers with status 200 a number is a code, too."""


def _assert_silent(trail):
    """Nothing of the message is told anywhere; return the span."""
    span = trail.spans.one()
    told = [span.to_json(), span.status.description, *map(repr, trail.logs.all())]
    for name in trail.metrics.names():
        told += [repr(point) for point in trail.metrics.points(name)]
    assert "tiger" not in repr(told)
    assert span.status.status_code is StatusCode.ERROR
    return span


def _client(driver, serve, reply):
    client = driver.client(serve(reply))
    if not hasattr(client, "responses"):
        pytest.skip("this client has no responses")
    return client


def _failed(code):
    error = {"code": code, "message": CANARY}
    return {**responses.response(ONE, "failed"), "error": error}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("code", "told"), IN_ANSWERS)
async def test_a_failed_response_records_its_code_only(trail, driver, serve, code, told, stream):
    """It raises nothing: the error stands in the answer, or in ``response.failed``."""
    body = _failed(code)
    *events, last = responses.events(ONE, "failed")
    events = [*events, Event({**last.data, "response": body}, last.name)]
    client = _client(driver, serve, Stream(events) if stream else Plain(body))
    asked = {"model": "gpt-4o", "input": "Hello", **({"stream": True} if stream else {})}
    answer = await driver.call(client.responses.create, **asked)
    if stream:
        await driver.read(answer)
    span = _assert_silent(trail)
    assert span.attributes["error.type"] == (told or "_OTHER")
    assert span.attributes["tokentrail.outcome"] == "failed"
    assert span.status.description is None


@pytest.mark.parametrize(("code", "told"), IN_ANSWERS)
async def test_an_error_event_records_its_code_only(trail, driver, serve, code, told):
    *events, _ = responses.events(ONE)
    error = {"type": "error", "code": code, "message": CANARY, "sequence_number": 9}
    client = _client(driver, serve, Stream([*events, Event(error, "error")]))
    stream = await driver.call(client.responses.create, model="gpt-4o", input="Hi", stream=True)
    await driver.read(stream)
    span = _assert_silent(trail)
    assert span.attributes["error.type"] == (told or "error")
    assert span.status.description is None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("code", "told"), [row for row in CODES if row[0] != 400])
async def test_an_exception_records_status_and_code_only(trail, driver, serve, code, told, stream):
    error = {"message": CANARY, "type": CANARY, "param": CANARY, "code": code}
    client = driver.client(serve(Plain({"error": error}, 400)))
    with pytest.raises(openai.BadRequestError):
        await driver.call(
            client.chat.completions.create, model="gpt-4o", messages=[], stream=stream
        )
    span = _assert_silent(trail)
    assert span.attributes["error.type"] == "openai.BadRequestError"
    assert span.status.description == ("400" if told is None else f"400 {told}")


@pytest.mark.parametrize(("code", "told"), CODES[:3])
async def test_an_error_in_a_stream_records_its_code_only(trail, driver, serve, code, told):
    error = Event({"error": {"message": CANARY, "type": CANARY, "code": code}})
    client = driver.client(serve(Stream([*chat.chunks(ONE)[:2], error])))
    stream = await driver.call(
        client.chat.completions.create, model="gpt-4o", messages=[], stream=True
    )
    with pytest.raises(openai.APIError):
        await driver.read(stream)
    assert _assert_silent(trail).status.description == told


@pytest.mark.settings(capture_content="SPAN_ONLY", redact=lambda _, text: text.upper())
async def test_the_error_message_is_recorded_where_content_is_and_by_its_rules(
    trail, driver, serve
):
    client = driver.client(serve(Plain({"error": {"message": CANARY}}, 400)))
    with pytest.raises(openai.BadRequestError):
        await driver.call(client.chat.completions.create, model="gpt-4o", messages=[])
    description = trail.spans.one().status.description
    assert CANARY.upper() in description
    assert CANARY not in description
