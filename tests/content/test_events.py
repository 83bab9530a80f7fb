"""The two log events: what they bear, when they are told, and that they stand in their trace."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from tests import shared
from tests.content.conftest import content_in

import tokentrail
from tokentrail.testing.payloads import Answer, ToolCall, Usage, chat, errors
from tokentrail.testing.server import Plain, Stream

mode = shared.either_mode

CONTENT = {
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
}  # fmt: skip
ANSWER = Answer(("Hello.",), Usage(5, 3))


async def ask(driver, serve, reply=None, **options):
    client = driver.client(serve(reply or Plain(chat.completion(ANSWER))))
    messages = [{"role": "user", "content": "Hello?"}]
    answer = await driver.call(
        client.chat.completions.create, model="gpt-4o", messages=messages, **options
    )
    return await driver.read(answer) if options.get("stream") else answer


@pytest.mark.parametrize(
    ("settings", "event", "content"),
    [
        ({}, False, False),
        ({"emit_event": True}, True, False),
        ({"capture_content": "SPAN_ONLY"}, False, False),
        ({"capture_content": "SPAN_ONLY", "emit_event": True}, True, False),
        ({"capture_content": "EVENT_ONLY"}, True, True),
        ({"capture_content": "SPAN_AND_EVENT"}, True, True),
    ],
)
async def test_when_details_are_recorded(driver, serve, trail, settings, event, content):
    trail.instrument(**settings)
    await ask(driver, serve)
    events = trail.logs.events("operation.details")
    assert len(events) == event
    assert all(bool(CONTENT & set(record.attributes)) is content for record in events)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.settings(capture_content="SPAN_AND_EVENT")
async def test_details_have_all_that_the_span_has(driver, serve, trail, stream):
    reply = Stream(chat.chunks(ANSWER, "last")) if stream else None
    await ask(driver, serve, reply, stream=stream, temperature=0.5, stop=["a", "b"])
    span, record = trail.spans.one(), trail.logs.one("operation.details")
    assert set(record.attributes) - {"event.name"} == set(span.attributes)
    plain = set(span.attributes) - CONTENT
    assert {name: record.attributes[name] for name in plain} == {
        name: span.attributes[name] for name in plain
    }
    assert content_in(record.attributes) == content_in(span.attributes)
    assert record.timestamp == span.end_time
    assert record.body is None


@pytest.mark.settings(emit_event=True)
async def test_events_stand_in_the_context_of_their_span(driver, serve, trail):
    with pytest.raises(openai.NotFoundError):
        await ask(driver, serve, errors.reply(404, "No."))
    context = trail.spans.one().context
    records = trail.logs.all()
    assert len(records) == 2
    for record in records:
        assert (record.trace_id, record.span_id) == (context.trace_id, context.span_id)


async def test_an_exception_is_an_event_that_quotes_nothing(driver, serve, trail):
    with pytest.raises(openai.NotFoundError):
        await ask(driver, serve, errors.reply(404, "You said: Hello?", code="no_model"))
    record = trail.logs.one("operation.exception")
    assert record.severity_number is SeverityNumber.WARN
    assert record.attributes["exception.type"] == "openai.NotFoundError"
    assert record.attributes["error.type"] == trail.spans.one().attributes["error.type"]
    assert record.attributes["gen_ai.request.model"] == "gpt-4o"
    assert "Hello" not in repr(dict(record.attributes))
    assert "exception.message" not in record.attributes
    assert "exception.stacktrace" not in record.attributes
    assert trail.spans.one().status.description == "404 no_model"


@pytest.mark.settings(capture_content="SPAN_AND_EVENT")
async def test_an_exception_is_quoted_if_content_is_recorded(driver, serve, trail):
    with pytest.raises(openai.NotFoundError) as raised:
        await ask(driver, serve, errors.reply(404, "You said: Hello?"))
    record = trail.logs.one("operation.exception")
    assert record.attributes["exception.message"] == str(raised.value)
    assert trail.spans.one().status.description == str(raised.value)


@pytest.mark.parametrize(
    ("where", "quoted", "described"),
    [("SPAN_ONLY", False, True), ("EVENT_ONLY", True, False)],
)
async def test_an_exception_is_quoted_there_only(driver, serve, trail, where, quoted, described):
    trail.instrument(capture_content=where)
    with pytest.raises(openai.NotFoundError):
        await ask(driver, serve, errors.reply(404, "You said: Hello?"))
    record = trail.logs.one("operation.exception")
    assert ("exception.message" in record.attributes) is quoted
    assert ("Hello?" in trail.spans.one().status.description) is described


@pytest.mark.settings(emit_event=False)
async def test_events_that_are_switched_off_are_off(driver, serve, trail):
    with pytest.raises(openai.NotFoundError):
        await ask(driver, serve, errors.reply(404, "No."))
    assert trail.logs.all() == []


@shared.both_modes
async def test_what_is_no_failure_is_no_exception(driver, serve, trail):
    """Neither breaking off nor being cancelled is one."""
    client = driver.client(serve(Stream(chat.chunks(ANSWER))))
    messages = [{"role": "user", "content": "Hello?"}]
    create = client.chat.completions.create
    stream = await driver.call(create, model="gpt-4o", messages=messages, stream=True)
    await driver.take(stream, 1)
    await driver.close(stream)
    if driver.mode == "async":
        slow = driver.client(serve(Plain(chat.completion(ANSWER), wait=5)))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(
                slow.chat.completions.create(model="gpt-4o", messages=messages), 0.2
            )
    assert trail.spans.all()
    assert trail.logs.all() == []


@shared.both_modes
@pytest.mark.settings(capture_content="EVENT_ONLY")
async def test_an_exception_that_cannot_be_printed_is_recorded(driver, serve, trail):
    class Silent(Exception):
        def __str__(self):
            raise RuntimeError

    def refuse(_request):
        raise Silent

    async def refuse_later(request):
        refuse(request)

    http = {"sync": openai.DefaultHttpxClient, "async": openai.DefaultAsyncHttpxClient}
    hook = refuse if driver.mode == "sync" else refuse_later
    client = driver.client(
        serve(Plain({})), http_client=http[driver.mode](event_hooks={"request": [hook]})
    )
    with pytest.raises((Silent, openai.APIConnectionError)) as raised:
        await driver.call(client.chat.completions.create, model="gpt-4o", messages=[])
    attributes = trail.logs.one("operation.exception").attributes
    assert attributes["exception.type"].endswith(raised.type.__qualname__)
    assert ("exception.message" in attributes) is (raised.type is not Silent)


@pytest.mark.parametrize(("where", "times"), [(None, 0), ("EVENT_ONLY", 2)])
async def test_the_text_of_an_exception_is_made_only_if_content_is_recorded(
    driver, serve, trail, where, times
):
    """To make it is code of the application, which may take any time and do anything.

    Twice where it is: in the message, and at the end of the stack trace.
    """
    made = []

    class Wordy(Exception):
        def __str__(self):
            made.append(self)
            return "You said: Hello?"

    def messages():
        yield {"role": "user", "content": "Hello?"}
        raise Wordy

    trail.instrument(capture_content=where)
    client = driver.client(serve(Plain({})))
    with pytest.raises(Wordy) as raised:
        await driver.call(client.chat.completions.create, model="gpt-4o", messages=messages())
    attributes = trail.logs.one("operation.exception").attributes
    assert attributes["exception.type"].endswith("Wordy")
    assert ("exception.message" in attributes) is bool(times)
    assert made == [raised.value] * times


@pytest.mark.parametrize("where", ["SPAN_ONLY", "EVENT_ONLY"])
async def test_a_span_that_is_not_recorded_takes_its_content_with_it(
    driver, serve, logs, metrics, monkeypatch, where
):
    """An event is told all the same: the conventions do not sample it."""
    read = []
    from tokentrail.apis.capture import Capture

    take = Capture.take
    monkeypatch.setattr(Capture, "take", lambda self, answer: (read.append(1), take(self, answer)))
    tokentrail.uninstrument()
    tokentrail.instrument(
        tracer_provider=TracerProvider(ALWAYS_OFF), meter_provider=metrics.provider,
        logger_provider=logs.provider, capture_content=where,
    )  # fmt: skip
    await ask(driver, serve)
    tokentrail.uninstrument()
    assert bool(read) is (where == "EVENT_ONLY")
    assert len(logs.events("operation.details")) == (where == "EVENT_ONLY")


async def test_without_a_provider_nothing_is_read_for_events(driver, serve, spans, monkeypatch):
    from opentelemetry._logs import NoOpLogger

    if not hasattr(NoOpLogger, "enabled"):
        pytest.skip("this OpenTelemetry cannot tell")
    from tokentrail.apis.capture import Capture

    monkeypatch.setattr(Capture, "take", lambda *_: pytest.fail("content was read for nobody"))
    tokentrail.uninstrument()
    tokentrail.instrument(tracer_provider=spans.provider, capture_content="EVENT_ONLY")
    await ask(driver, serve)
    tokentrail.uninstrument()
    assert spans.one()


@pytest.mark.parametrize("where", ["EVENT_ONLY", "NO_CONTENT"])
async def test_what_no_event_has_is_not_read(driver, serve, trail, where):
    """No ``redact`` is called for content that goes nowhere."""
    seen = []

    def redact(_kind, text):
        seen.append(text)
        return text

    trail.instrument(capture_content=where, emit_event=True, redact=redact)
    await ask(driver, serve)
    assert trail.spans.one()
    assert seen == (["Hello?", "Hello."] if where == "EVENT_ONLY" else [])


@pytest.mark.settings(emit_event=True)
async def test_details_of_a_stream_stand_in_its_context_wherever_it_is_read(driver, serve, trail):
    """Its span is not current while it is read; that of who reads it is."""
    create = driver.client(serve(Stream(chat.chunks(ANSWER)))).chat.completions.create
    messages = [{"role": "user", "content": "Hello?"}]
    stream = await driver.call(create, model="gpt-4o", messages=messages, stream=True)
    with trail.spans.provider.get_tracer("app").start_as_current_span("reading"):
        await driver.read(stream)
    (context,) = [span.context for span in trail.spans.all() if span.name == "chat gpt-4o"]
    record = trail.logs.one("operation.details")
    assert (record.trace_id, record.span_id) == (context.trace_id, context.span_id)


@pytest.mark.settings(capture_content="EVENT_ONLY")
async def test_lists_of_mixed_types_are_recorded_on_every_release(driver, serve, trail, caplog):
    answer = Answer(tool_calls=(ToolCall("f", '{"a": [1, "b", [2, {}]], "c": [3]}', "call_1"),))
    await ask(driver, serve, Plain(chat.completion(answer)))
    told = content_in(trail.logs.one("operation.details").attributes)["output.messages"]
    arguments = told[0]["parts"][0]["arguments"]
    mixed = arguments["a"]
    assert (json.loads(mixed) if isinstance(mixed, str) else mixed) == [1, "b", [2, {}]]
    assert arguments["c"] == [3]
    assert caplog.records == []


@pytest.mark.settings(capture_content="SPAN_AND_EVENT")
async def test_the_callers_span_is_not_written_on(driver, serve, trail):
    with trail.spans.provider.get_tracer("app").start_as_current_span("app"):
        await ask(driver, serve)
        assert trace.get_current_span().attributes == {}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("redacted", "left"), [("***", ("***",)), (None, None)])
async def test_stop_texts_are_redacted_where_content_is(
    driver, serve, trail, stream, redacted, left
):
    trail.instrument(
        capture_content="SPAN_AND_EVENT",
        redact=lambda kind, text: redacted if kind == "stop" else text,
    )
    reply = Stream(chat.chunks(ANSWER, "last")) if stream else None
    for _ in range(2):
        await ask(driver, serve, reply, stream=stream, stop=["a secret"])
    for span in trail.spans.all():
        assert span.attributes.get("gen_ai.request.stop_sequences") == left
    for record in trail.logs.events("operation.details"):
        stop = record.attributes.get("gen_ai.request.stop_sequences")
        assert (stop if stop is None else tuple(stop)) == left


@pytest.mark.parametrize(
    ("redact", "description"),
    [(lambda kind, text: text, "429 sk_secret"), (lambda kind, text: "***", "429")],
)
async def test_codes_that_a_server_echoes_are_redacted_where_content_is(
    driver, serve, trail, redact, description
):
    trail.instrument(capture_content="EVENT_ONLY", redact=redact)
    with pytest.raises(openai.RateLimitError):
        await ask(driver, serve, errors.reply(429, "No.", code="sk_secret"))
    assert trail.spans.one().status.description == description
