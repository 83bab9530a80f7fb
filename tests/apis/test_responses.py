"""Laws of the responses API: requests, answers, events, fetching and compacting."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from tokentrail.apis.responses.adapter import CompactAdapter, FetchAdapter, ResponsesAdapter
from tokentrail.model.records import (
    Endpoint,
    Image,
    Message,
    Prompt,
    Reported,
    Request,
    Response,
    ToolCall,
)

models = pytest.importorskip("openai.types.responses", reason="openai < 1.66 has no responses")

SHAPE = ResponsesAdapter()
ENDPOINT = Endpoint("openai", None, None, "")
NAMES = """
model stream max_output_tokens temperature top_p reasoning service_tier text text_format
conversation previous_response_id prompt tools tool_choice input instructions
"""
USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 42,
}
REPORTED = Reported(
    input_tokens=12,
    output_tokens=30,
    cache_read_tokens=2,
    cache_write_tokens=1,
    reasoning_tokens=20,
)
HEAD = {"id": "resp_1", "object": "response", "model": "gpt-4o-1"}
CALL = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}
OUTPUT = [
    {
        "type": "reasoning",
        "id": "rs",
        "summary": [{"type": "summary_text", "text": "sum"}],
        "content": [{"type": "reasoning_text", "text": "thought"}],
    },
    {
        "type": "message",
        "role": "assistant",
        "content": [
            {"type": "output_text", "text": "hi", "annotations": []},
            {"type": "refusal", "refusal": "no"},
        ],
    },
    CALL,
    {"type": "custom_tool_call", "name": "g", "input": "x", "call_id": "d"},
]
TOLD = {
    ("summary", 0, 0): "sum",
    ("reasoning", 0, 0): "thought",
    ("text", 1, 0): "hi",
    ("refusal", 1, 1): "no",
    ("tool_name", 2, 0): "f",
    ("tool_arguments", 2, 0): "{}",
    ("tool_name", 3, 0): "g",
    ("tool_arguments", 3, 0): "x",
}


class Answer(BaseModel):
    """A class given as text_format."""

    text: str


def request(**arguments: object) -> Request:
    return SHAPE.parse_request(ENDPOINT, arguments)


def prompt(**arguments: object) -> Prompt:
    read = request(**arguments).prompt
    assert read is not None
    return read


def response(**more: object) -> Any:
    """Build a response as the client does."""
    return models.Response.construct(**{**HEAD, "status": "completed", "output": [], **more})


EVENTS = {
    "response.created": "ResponseCreatedEvent",
    "response.in_progress": "ResponseInProgressEvent",
    "response.completed": "ResponseCompletedEvent",
    "response.incomplete": "ResponseIncompleteEvent",
    "response.failed": "ResponseFailedEvent",
    "response.output_item.added": "ResponseOutputItemAddedEvent",
    "response.output_text.delta": "ResponseTextDeltaEvent",
    "response.refusal.delta": "ResponseRefusalDeltaEvent",
    "response.function_call_arguments.delta": "ResponseFunctionCallArgumentsDeltaEvent",
    "response.reasoning_summary_text.delta": "ResponseReasoningSummaryTextDeltaEvent",
    "error": "ResponseErrorEvent",
}


def event(kind: str, **given: object) -> Any:
    """Build an event as the client does; one that this version may lack is a plain dict."""
    given = {"type": kind, "sequence_number": 1, **given}
    return getattr(models, EVENTS[kind]).construct(**given) if kind in EVENTS else given


def stage(kind: str, **more: object) -> Any:
    return event(kind, response={**HEAD, "status": kind.partition(".")[2], "output": [], **more})


def stream(*events: object, sink: Any = None) -> Response:
    accumulator = SHAPE.stream_accumulator(request(), sink)
    for each in events:
        accumulator.add(each)
        accumulator.response()
    return accumulator.response()


@pytest.mark.parametrize(
    ("given", "name", "told"),
    [
        ({"model": "gpt-4o"}, "model", "gpt-4o"),
        ({}, "model", None),
        ({"stream": True}, "stream", True),
        ({"max_output_tokens": 5}, "max_tokens", 5),
        ({"temperature": 1}, "temperature", 1.0),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"reasoning": {"effort": "high"}}, "reasoning_level", "high"),
        ({"service_tier": "auto"}, "service_tier", None),
        ({"service_tier": "priority"}, "service_tier", "priority"),
        ({"text": {"format": {"type": "text"}}}, "output_type", "text"),
        ({"text": {"format": {"type": "json_schema"}}}, "output_type", "json"),
        ({"text": {"verbosity": "low"}}, "output_type", None),
        ({"text_format": Answer}, "output_type", "json"),
        ({"text_format": Answer, "text": {"format": {"type": "text"}}}, "output_type", "json"),
        ({"background": True}, "background", True),
        ({"background": "false"}, "background", False),
        ({"conversation": "conv_1"}, "conversation_id", "conv_1"),
        ({"conversation": {"id": "conv_1"}}, "conversation_id", "conv_1"),
        ({"previous_response_id": "resp_0"}, "previous_response_id", "resp_0"),
        ({"prompt": {"id": "p", "version": "2"}}, "prompt_name", "p"),
        ({"prompt": {"id": "p", "version": "2"}}, "prompt_version", "2"),
        ({"prompt": {"id": "p"}}, "prompt_version", None),
        ({"tools": [{"type": "web_search"}]}, "inexact_output", False),
        ({"context_management": [{"type": "compaction"}]}, "inexact_output", True),
        ({"tools": [{"type": "function", "name": "f"}]}, "inexact_output", False),
    ],
)
def test_request_attributes(given: dict[str, object], name: str, told: object) -> None:
    """Each is read by its type; "auto" is not told."""
    assert getattr(request(**given), name) == told


def test_a_request_of_sentinels_is_an_empty_one() -> None:
    """NOT_GIVEN and omit are no values."""
    from openai import _types

    for sentinel in (_types.NOT_GIVEN, getattr(_types, "omit", _types.NOT_GIVEN), None):
        read = request(**dict.fromkeys(NAMES.split(), sentinel))
        assert read == Request("chat", "responses", ENDPOINT, prompt=Prompt(of_responses=True))


def test_instructions_stand_before_the_input() -> None:
    """As a message of the system."""
    assert prompt(instructions="be kind", input="hi") == Prompt(
        messages=(Message("system", ("be kind",)), Message("user", ("hi",))), of_responses=True
    )


def test_input_items() -> None:
    """Messages of every form, calls and their outputs, dicts and model objects alike."""
    read = prompt(
        input=[
            {"role": "user", "content": "a"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "b"}]},
            {"role": "user", "content": [{"type": "input_image", "image_url": "u"}]},
            {"role": "user", "content": [{"type": "input_file", "file_id": "f"}]},
            models.ResponseOutputMessage.construct(
                type="message",
                role="assistant",
                content=[{"type": "output_text", "text": "c", "annotations": []}],
            ),
            CALL,
            {"type": "function_call_output", "call_id": "c", "output": "42"},
            {"type": "custom_tool_call", "name": "g", "input": "x", "call_id": "d"},
            {"type": "custom_tool_call_output", "output": [{"type": "input_text", "text": "43"}]},
        ]
    )
    assert read == Prompt(
        messages=(
            Message("user", ("a",)),
            Message("user", ("b",)),
            Message("user", images=(Image("u", None),)),
            Message("user", unknown_parts=1),
            Message("assistant", ("c",)),
            Message("assistant", tool_calls=(ToolCall("f", "{}", id="c"),)),
            Message("tool", ("42",), call_id="c"),
            Message("assistant", tool_calls=(ToolCall("g", "x", id="d"),), unknown_parts=1),
            Message("tool", ("43",)),
        ),
        of_responses=True,
    )


@pytest.mark.parametrize(
    "given",
    [
        {"input": [{"type": "function_call"}]},
        {"input": [{"type": 5}]},
        {"input": iter(())},
        {"instructions": ["x"]},
        {"tools": iter(())},
        {"tools": [{"type": "custom", "name": "g"}]},
    ],
)
def test_what_cannot_be_priced_makes_the_prompt_incomplete(given: dict[str, Any]) -> None:
    """A count of the rest is a guess."""
    assert prompt(**given).incomplete


@pytest.mark.parametrize(
    "given",
    [
        {"previous_response_id": "resp_0"},
        {"conversation": "conv_1"},
        {"prompt": {"id": "p"}},
        {"tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]},
        {"input": [{"type": "item_reference", "id": "m"}]},
        {"input": [{"type": "reasoning", "summary": []}]},
    ],
)
def test_what_the_server_adds_is_unknowable(given: dict[str, Any]) -> None:
    """Stored conversations and templates, and tools of the server's own."""
    assert prompt(**given).unknowable
    assert not prompt(tools=[{"type": "function", "name": "f"}]).unknowable


@pytest.mark.parametrize("kind", ["reasoning", "compaction"])
def test_of_encrypted_items_the_length_is_read(kind: str) -> None:
    """By it they are estimated; the server looks nothing up."""
    read = prompt(input=[{"type": kind, "encrypted_content": "xyz"}])
    assert read == Prompt(messages=(Message(kind, sealed=3),), of_responses=True)


def test_tools_and_schema() -> None:
    """Flat declarations, the flat choice, the format's schema or its class."""
    tool = {"name": "f", "parameters": {}}
    read = prompt(
        tools=[{"type": "function", "strict": True, **tool}],
        tool_choice={"type": "function", "name": "f"},
        text={"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}},
    )
    assert read == Prompt(
        tools=(tool,),
        tool_choice="name:f",
        schema={"type": "object"},
        schema_name="s",
        variant="[null, null, null, [true]]",
        of_responses=True,
    )
    assert prompt(text_format=Answer).schema is Answer


def test_a_plain_answer(sink: Any) -> None:
    """Everything that the conventions ask for; text keyed by its place in the output."""
    answer = response(
        output=OUTPUT, usage=USAGE, service_tier="default", conversation={"id": "conv_1"}
    )
    assert SHAPE.parse_response(answer, sink) == Response(
        id="resp_1",
        model="gpt-4o-1",
        status="completed",
        finish_reasons=("tool_call",),
        service_tier="default",
        conversation_id="conv_1",
        reported=REPORTED,
    )
    assert sink.parts == TOLD
    assert sink.marks == {("custom_call", 3, 0)}


@pytest.mark.parametrize(
    ("given", "reasons", "error", "complete"),
    [
        ({"status": "completed"}, ("stop",), None, True),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            ("length",),
            None,
            True,
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            ("content_filter",),
            None,
            True,
        ),
        ({"status": "incomplete"}, ("error",), None, True),
        (
            {"status": "failed", "error": {"code": "server_error", "message": "x"}},
            ("error",),
            "server_error",
            True,
        ),
        ({"status": "failed"}, ("error",), "_OTHER", True),
        ({"status": "cancelled"}, ("error",), None, True),
        ({"status": "queued"}, None, None, False),
        ({"status": "in_progress"}, None, None, False),
        ({"status": "invented"}, None, None, True),
        ({"status": None}, None, None, True),
    ],
)
def test_the_status_shows_the_outcome(
    given: dict[str, Any],
    reasons: object,
    error: str | None,
    complete: bool,
) -> None:
    """This API has no finish reason of its own."""
    read = SHAPE.parse_response(response(**given), None)
    assert (read.finish_reasons, read.error_type, read.complete) == (reasons, error, complete)


def test_a_stream_read_as_text_is_not_complete(sink: Any) -> None:
    """The bare text that extra_body={"stream": True} gives."""
    unread = Response(complete=False)
    assert SHAPE.parse_response("data: {}\n\n", sink) == unread
    assert FetchAdapter().parse_response("data: {}\n\n", None) == unread
    assert not sink.parts


@pytest.mark.parametrize("answer", [None, 5, [], {}, {"id": "c-1", "output": None}])
def test_what_is_no_answer_failed(answer: object, sink: Any) -> None:
    """No model answered, so nothing is counted."""
    read = SHAPE.parse_response(answer, sink)
    assert (read.error_type, read.unanswered, sink.parts) == ("_OTHER", True, {})


@pytest.mark.parametrize("item", [None, 5, {}, {"type": []}, {"type": {}}, {"type": "invented"}])
def test_an_item_of_no_known_kind_is_marked(item: object, sink: Any) -> None:
    """It is read past, whatever its type is, and what stands beside it is taken."""
    read = SHAPE.parse_response(response(output=[item, CALL]), sink)
    assert read.finish_reasons == ("tool_call",)
    assert sink.parts == {("tool_name", 1, 0): "f", ("tool_arguments", 1, 0): "{}"}
    assert sink.marks == {("unknown", 0, 0)}


def test_a_whole_stream(sink: Any) -> None:
    """The deltas give the same parts as the plain answer."""
    read = stream(
        stage("response.created", status="in_progress"),
        stage("response.in_progress"),
        event("response.output_item.added", output_index=0, item={"type": "reasoning"}),
        event(
            "response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta="sum"
        ),
        event("response.reasoning_text.delta", output_index=0, content_index=0, delta="thought"),
        event("response.output_item.added", output_index=1, item={"type": "message"}),
        event("response.output_text.delta", output_index=1, content_index=0, delta="h"),
        event("response.output_text.delta", output_index=1, content_index=0, delta="i"),
        event("response.output_text.done", output_index=1, content_index=0, text="hi"),
        event("response.refusal.delta", output_index=1, content_index=1, delta="no"),
        event("response.output_item.added", output_index=2, item={**CALL, "arguments": ""}),
        event("response.function_call_arguments.delta", output_index=2, delta="{}"),
        event(
            "response.output_item.added",
            output_index=3,
            item={"type": "custom_tool_call", "name": "g", "input": ""},
        ),
        event("response.custom_tool_call_input.delta", output_index=3, delta="x"),
        stage("response.completed", usage=USAGE, service_tier="default", output=OUTPUT),
        sink=sink,
    )
    assert read == Response(
        id="resp_1",
        model="gpt-4o-1",
        status="completed",
        finish_reasons=("tool_call",),
        service_tier="default",
        reported=REPORTED,
    )
    assert sink.parts == TOLD
    assert sink.marks == {("custom_call", 3, 0)}


def test_a_call_is_remembered_where_the_last_event_leaves_it_out() -> None:
    """Some servers send an empty output there."""
    read = stream(
        event("response.output_item.added", output_index=0, item=CALL), stage("response.completed")
    )
    assert read.finish_reasons == ("tool_call",)


def test_a_tool_call_that_was_cut_short_is_no_finish_reason() -> None:
    """Its arguments may end anywhere, so the application cannot make the call."""
    read = stream(
        event("response.output_item.added", output_index=0, item=CALL),
        stage("response.incomplete", incomplete_details={"reason": "max_output_tokens"}),
    )
    assert read.finish_reasons == ("length",)


def test_a_call_of_a_remote_tool_is_output(sink: Any) -> None:
    """The model wrote its name and arguments; the server makes the call."""
    call = {"type": "mcp_call", "name": "roll", "server_label": "dice", "arguments": ""}
    read = stream(
        event("response.output_item.added", output_index=0, item=call),
        event("response.mcp_call_arguments.delta", output_index=0, delta="{}"),
        stage("response.completed"),
        sink=sink,
    )
    assert sink.parts == {("tool_name", 0, 0): "roll", ("tool_arguments", 0, 0): "{}"}
    assert sink.marks == {("unknown", 0, 0)}
    assert read.finish_reasons == ("stop",)


@pytest.mark.parametrize(
    ("last", "reasons", "error"),
    [
        (stage("response.completed", usage=USAGE), ("stop",), None),
        (
            stage(
                "response.completed",
                usage=USAGE,
                status="incomplete",
                incomplete_details={"reason": "max_output_tokens"},
            ),
            ("length",),
            None,
        ),
        (
            stage(
                "response.incomplete",
                usage=USAGE,
                incomplete_details={"reason": "max_output_tokens"},
            ),
            ("length",),
            None,
        ),
        (
            stage("response.failed", usage=USAGE, error={"code": "server_error"}),
            ("error",),
            "server_error",
        ),
        ({"type": "response.completed", "response": {"usage": USAGE}}, ("stop",), None),
    ],
)
def test_a_stream_ends_by_one_of_three_events(
    last: object, reasons: object, error: str | None
) -> None:
    """Each carries usage, and the type says the status where the response says none itself."""
    read = stream(stage("response.created"), last)
    assert (read.finish_reasons, read.error_type) == (reasons, error)
    assert read.reported == REPORTED
    assert read.complete
    assert read.final
    assert (read.id, read.model) == ("resp_1", "gpt-4o-1")


@pytest.mark.parametrize(("code", "error"), [("server_error", "server_error"), (None, "error")])
def test_an_error_event_is_a_failure_without_exception(code: str | None, error: str) -> None:
    """The client hands it over as an event."""
    read = stream(stage("response.created"), event("error", code=code, message="x", param=None))
    assert read.error_type == error
    assert read.finish_reasons == ("error",)
    assert not read.complete


@pytest.mark.parametrize(
    ("before", "unanswered"),
    [
        ([], True),
        ([stage("response.created")], True),  # created before a model begins
        ([event("response.output_text.delta", output_index=0, content_index=0, delta="h")], False),
    ],
    ids=["at once", "after it began", "after text"],
)
def test_an_error_is_no_answer_where_nothing_came_before(
    before: list[Any], unanswered: bool
) -> None:
    read = stream(*before, event("error", code="server_error", message="x", param=None))
    assert read.unanswered is unanswered


def test_a_stream_closed_early() -> None:
    """Its reason was expected and never received; a number on the way is not final."""
    read = stream(
        stage("response.in_progress", usage=USAGE),
        event("response.output_text.delta", output_index=0, content_index=0, delta="h"),
    )
    assert read.finish_reasons == ("error",)
    assert read.status == "in_progress"
    assert not read.complete
    assert not read.final


def test_usage_of_before_is_kept_and_not_final() -> None:
    """Where the last event leaves it out."""
    read = stream(stage("response.in_progress", usage=USAGE), stage("response.completed"))
    assert read.reported == REPORTED
    assert read.complete
    assert not read.final


def test_before_the_first_event_only_an_answer_is_awaited() -> None:
    """Expected but never received: what was never read has an "error" for a finish reason."""
    assert stream() == Response(complete=False, ended=False, finish_reasons=("error",))


def test_text_that_comes_whole_at_the_end_is_taken_then(sink: Any) -> None:
    """Some servers send no deltas."""
    part = {"type": "output_text", "text": "Hello"}
    whole = {"output": [{"type": "message", "content": [part]}], "status": "completed"}
    stream(event("response.completed", response=whole), sink=sink)
    assert sink.parts == {("text", 0, 0): "Hello"}


@pytest.mark.parametrize(
    "strange",
    [
        None,
        5,
        "x",
        {},
        {"type": []},
        {"type": "response.invented"},
        {"type": "response.created"},
        {"type": "response.output_item.added"},
        {"type": "response.output_item.added", "item": {"type": [], "name": "f"}},
        {"type": "response.output_text.delta"},
        {"type": "response.output_text.delta", "delta": ["x"]},
    ],
)
def test_events_may_be_anything(strange: object, sink: Any) -> None:
    """The rest of the stream is told all the same."""
    delta = {"type": "response.output_text.delta", "delta": "a", "output_index": "0"}
    read = stream(strange, delta, stage("response.completed"), sink=sink)
    assert sink.parts == {("text", 0, 0): "a"}
    kind = strange.get("type") if isinstance(strange, dict) else None
    unread = kind == "response.output_item.added" or (
        isinstance(strange, dict) and "delta" in strange
    )
    assert sink.marks == ({("unknown", 0, 0)} if unread else set())
    assert read.finish_reasons == ("stop",)


def test_a_fetched_response_is_of_another_call(sink: Any) -> None:
    """Its failure was that call's; whether its usage is to be told, others know."""
    shape = FetchAdapter()
    arguments = {"response_id": "resp_1", "starting_after": 7, "stream": True}
    asked = shape.parse_request(ENDPOINT, arguments)
    assert asked == Request(
        operation="fetch_response",
        api="responses",
        endpoint=ENDPOINT,
        stream=True,
        response_id="resp_1",
        stream_cursor="7",
        fetches=True,
    )
    failed = {"status": "failed", "error": {"code": "server_error"}, "usage": USAGE}
    read = shape.parse_response(response(**failed, output=OUTPUT), sink)
    accumulator = shape.stream_accumulator(asked, sink)
    accumulator.add(stage("response.failed", **failed))
    for told in (read, accumulator.response()):
        assert (told.id, told.status, told.finish_reasons) == ("resp_1", "failed", ("error",))
        assert told.reported is not None
        assert told.error_type is None
    assert not sink.parts


def test_an_error_event_while_fetching_is_an_error_of_the_fetching() -> None:
    """It says that the stream itself broke."""
    accumulator = FetchAdapter().stream_accumulator(
        FetchAdapter().parse_request(ENDPOINT, {}), None
    )
    accumulator.add(event("error", code="server_error", message="x"))
    assert accumulator.response().error_type == "server_error"


def test_a_compaction_is_an_inference_with_hidden_output(sink: Any) -> None:
    """Its usage is its own; what it wrote is encrypted."""
    shape = CompactAdapter()
    asked = shape.parse_request(ENDPOINT, {"model": "m", "input": "hi"})
    assert (asked.operation, asked.api, asked.inexact_output) == ("chat", "responses", True)
    given = {"id": "c", "object": "response.compaction", "output": [{"type": "compaction"}]}
    kind = getattr(models, "CompactedResponse", None)
    answer = kind.construct(**given, usage=USAGE) if kind else {**given, "usage": USAGE}
    assert shape.parse_response(answer, sink) == Response(
        id="c", finish_reasons=("compaction",), compacted=True, reported=REPORTED
    )
    assert not sink.parts
    assert sink.marks == {("unknown", 0, 0)}
