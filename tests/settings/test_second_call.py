"""A second ``instrument()``: nothing of it is dropped in silence, least of all a redaction."""

from __future__ import annotations

import types

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import tokentrail

FIRST = {"capture_content": "SPAN_AND_EVENT"}
INPUT = "gen_ai.input.messages"
STOPPED = "No content is recorded from now on"


def _upper(kind, text):
    return text.upper()


def _lower(kind, text):
    return text.lower()


def _warnings(caplog):
    return [r.getMessage() for r in caplog.records if "called again" in r.getMessage()]


@pytest.mark.parametrize(
    ("asked", "error"),
    [({"tokencounting": "off"}, TypeError), ({"token_counting": "of"}, ValueError)],
)
def test_a_wrong_keyword_raises_also_the_second_time(trail, asked, error):
    with pytest.raises(error, match="token"):
        tokentrail.instrument(**asked)


def test_what_differs_is_named_in_one_warning_at_once(trail, caplog):
    trail.instrument(token_counting="off", cost="reported")
    providers = {"tracer_provider": TracerProvider(), "meter_provider": trail.metrics.provider}
    tokentrail.instrument(token_counting="always", cost="REPORTED", redact=_upper, **providers)
    (warning,) = _warnings(caplog)
    assert "other values of token_counting, redact, tracer_provider. They have no effect" in warning
    assert STOPPED not in warning  # there was none


def test_what_is_the_same_is_no_news(trail, caplog, monkeypatch):
    """Also a cell of a notebook that runs again: its functions are new and the same."""
    source = "def redact(kind, text):\n    return text[:3]"
    notebook = {}
    exec(source, notebook)  # noqa: S102 - as a notebook does
    trail.instrument(**FIRST, redact=notebook["redact"], token_counting="off")
    exec(source, notebook)  # noqa: S102 - as a notebook does
    tokentrail.instrument(**FIRST, redact=notebook["redact"], token_counting="OFF")
    tokentrail.instrument()
    tokentrail.uninstrument()
    tokentrail.instrument(skip_dep_check=True)
    tokentrail.instrument(tracer_provider=trace.get_tracer_provider(), skip_dep_check=True)
    assert _warnings(caplog) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"redact": _upper}),
        ({"redact": _lower}, {"redact": _upper}),
        ({}, {"capture_content": "NO_CONTENT"}),
        ({}, {"disabled": True}),
    ],
    ids=["redact", "another redact", "no content", "disabled"],
)
async def test_content_stops_where_less_of_it_is_asked_for(
    trail, ask, answer, caplog, first, second
):
    trail.instrument(**FIRST, **first)
    await ask(answer)
    assert INPUT in trail.spans.attributes()
    trail.spans.clear()
    tokentrail.instrument(**second)
    (warning,) = _warnings(caplog)
    assert STOPPED in warning
    await ask(answer)
    assert INPUT not in trail.spans.attributes()
    details = trail.logs.events("inference.operation.details")
    assert [INPUT in event.attributes for event in details] == [True, False]


async def test_a_stream_that_is_open_keeps_its_content_to_itself(trail, driver, serve, answer):
    trail.instrument(**FIRST)
    client = driver.client(serve(answer))
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}
    stream = await driver.call(client.chat.completions.create, stream=True, **asked)
    await driver.next(stream)
    tokentrail.instrument(redact=_upper)
    await driver.read(stream)
    assert INPUT not in trail.spans.attributes()
    assert trail.spans.attributes()["tokentrail.outcome"] == "completed"


async def test_other_settings_leave_content_as_it_is(trail, ask, answer):
    trail.instrument(**FIRST, redact=_upper)
    tokentrail.instrument(
        token_counting="off", redact=types.FunctionType(_upper.__code__, globals())
    )
    await ask(answer)
    assert "HELLO" in trail.spans.attributes()[INPUT]
