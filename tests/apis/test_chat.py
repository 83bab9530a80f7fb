"""Laws of chat completions: requests, answers, streams."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.apis.choices import MOST_CHOICES
from tokentrail.model.records import Endpoint, Message, Prompt, Reported, Request, Response

SHAPE = ChatAdapter()
ENDPOINT = Endpoint("openai", None, None, "")
NAMES = """
model stream n max_tokens max_completion_tokens temperature top_p frequency_penalty
presence_penalty seed stop response_format modalities prediction reasoning_effort
service_tier tools functions tool_choice function_call web_search_options
"""
USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


class Answer(BaseModel):
    """A class given as response format."""

    text: str


def request(**arguments: object) -> Request:
    return SHAPE.parse_request(ENDPOINT, {"messages": [], **arguments})


def chunk(*choices: object, **more: object) -> ChatCompletionChunk:
    """Build a chunk as the client does, without validation."""
    head = {"id": "c-1", "model": "gpt-4o-1", "object": "chat.completion.chunk", "created": 1}
    return ChatCompletionChunk.construct(**{**head, "choices": list(choices), **more})  # type: ignore[arg-type]


def delta(index: int = 0, finish: object = None, **said: object) -> dict[str, object]:
    return {"index": index, "delta": said, "finish_reason": finish, "logprobs": None}


def stream(*chunks: object, sink: Any = None, n: int | None = None) -> Response:
    accumulator = SHAPE.stream_accumulator(request(n=n), sink)
    for each in chunks:
        accumulator.add(each)
        accumulator.response()
    return accumulator.response()


@pytest.mark.parametrize(
    ("given", "name", "told"),
    [
        ({"model": "gpt-4o"}, "model", "gpt-4o"),
        ({"model": ""}, "model", None),
        ({"stream": True}, "stream", True),
        ({"stream": None}, "stream", False),
        ({"n": 2}, "choice_count", 2),
        ({"n": 1}, "choice_count", None),
        ({"n": True}, "choice_count", None),
        ({"max_tokens": 5}, "max_tokens", 5),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens", 6),
        ({"max_tokens": "5"}, "max_tokens", None),
        ({"temperature": 1}, "temperature", 1.0),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"frequency_penalty": 0.1}, "frequency_penalty", 0.1),
        ({"presence_penalty": -0.1}, "presence_penalty", -0.1),
        ({"seed": -3}, "seed", -3),
        ({"seed": 10**30}, "seed", None),
        ({"seed": 2**63 - 1}, "seed", 2**63 - 1),
        ({"seed": 2**63}, "seed", None),
        ({"seed": -(2**63)}, "seed", -(2**63)),
        ({"stop": "a"}, "stop_sequences", ("a",)),
        ({"stop": ["a", "b"]}, "stop_sequences", ("a", "b")),
        ({"stop": iter("ab")}, "stop_sequences", None),
        ({"response_format": {"type": "text"}}, "output_type", "text"),
        ({"response_format": {"type": "json_object"}}, "output_type", "json"),
        ({"response_format": {"type": "json_schema"}}, "output_type", "json"),
        ({"response_format": {"type": []}}, "output_type", None),
        ({"response_format": Answer}, "output_type", "json"),
        ({"modalities": ["text", "audio"]}, "output_type", "speech"),
        ({"modalities": ["text", "audio"]}, "inexact_output", True),
        ({"modalities": ["text"]}, "inexact_output", False),
        ({"prediction": {"type": "content", "content": "x"}}, "inexact_output", True),
        ({"reasoning_effort": "low"}, "reasoning_level", "low"),
        ({"service_tier": "flex"}, "service_tier", "flex"),
        ({"service_tier": "auto"}, "service_tier", None),
    ],
)
def test_request_attributes(given: dict[str, object], name: str, told: object) -> None:
    """Each is read by its type; "auto", 1 and the empty are not told."""
    assert getattr(request(**given), name) == told


def test_a_request_of_sentinels_is_an_empty_one() -> None:
    """NOT_GIVEN and omit are no values, whichever of them this version has."""
    from openai import _types

    for sentinel in (_types.NOT_GIVEN, getattr(_types, "omit", _types.NOT_GIVEN), None):
        read = request(**dict.fromkeys(NAMES.split(), sentinel))
        assert read == Request("chat", "chat_completions", ENDPOINT, prompt=Prompt())


def test_the_prompt() -> None:
    """Messages, both kinds of tools, the choice and the schema."""
    schema = {"type": "object"}
    prompt = request(
        messages=[{"role": "user", "content": "hi"}],
        tools=[{"type": "function", "function": {"name": "f"}}],
        functions=[{"name": "g"}],
        function_call={"name": "g"},
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "s", "description": "A form.", "schema": schema},
        },
    ).prompt
    assert prompt == Prompt(
        messages=(Message("user", ("hi",)),),
        tools=({"name": "f"}, {"name": "g"}),
        tool_choice="function:g",
        schema=schema,
        schema_name="s",
        schema_about="A form.",
    )
    assert request(response_format=Answer).prompt.schema is Answer


def test_a_schema_that_holds_itself_is_read() -> None:
    """The client refuses it."""
    schema: dict[str, object] = {"type": "object"}
    schema["properties"] = {"child": schema}
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    assert request(response_format=form).prompt.schema["type"] == "object"


@pytest.mark.parametrize(
    "given",
    [
        {"messages": iter(())},
        {"tools": iter(())},
        {"tools": [{"type": "custom", "custom": {"name": "f"}}]},
        {"functions": "f"},
    ],
)
def test_what_cannot_be_read_makes_the_prompt_incomplete(given: dict[str, Any]) -> None:
    """Nothing is consumed to find out."""
    assert request(**given).prompt.incomplete


@pytest.mark.parametrize("given", [{}, {"tools": []}, {"tools": ()}, {"tools": None}])
def test_an_empty_prompt_is_complete(given: dict[str, Any]) -> None:
    """No tools, or an empty list of them, leave nothing unread."""
    assert not request(**given).prompt.incomplete


def test_a_web_search_makes_the_input_unknowable() -> None:
    """The server puts into the prompt what it found."""
    assert request(web_search_options={}).prompt.unknowable


def test_a_plain_answer(sink: Any) -> None:
    """Everything that the conventions ask for, choices in choice order, text by its part."""
    answer = ChatCompletion.construct(
        id="c-1",
        model="gpt-4o-1",
        service_tier="default",
        system_fingerprint="fp",
        choices=[
            {
                "index": 1,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "x",
                            "type": "function",
                            "function": {"name": "f", "arguments": "{"},
                        },
                        {"id": "y", "type": "custom", "custom": {"name": "g", "input": "i"}},
                    ],
                },
            },
            {"index": 0, "finish_reason": "stop", "message": {"content": "hi", "refusal": "no"}},
        ],
        usage={
            **USAGE,
            "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": None},
        },
    )
    assert SHAPE.parse_response(answer, sink) == Response(
        id="c-1",
        model="gpt-4o-1",
        finish_reasons=("stop", "tool_calls"),
        service_tier="default",
        system_fingerprint="fp",
        reported=Reported(
            input_tokens=12,
            output_tokens=3,
            cache_read_tokens=2,
            cache_write_tokens=1,
            reasoning_tokens=0,
        ),
    )
    assert sink.parts == {
        ("tool_name", 1, 0): "f",
        ("tool_arguments", 1, 0): "{",
        ("tool_name", 1, 1): "g",
        ("tool_arguments", 1, 1): "i",
        ("text", 0, 0): "hi",
        ("refusal", 0, 0): "no",
    }
    assert sink.marks == {("custom_call", 1, 1)}


def test_a_stream_read_as_text_is_not_complete(sink: Any) -> None:
    """The bare text that extra_body={"stream": True} gives."""
    assert SHAPE.parse_response("data: {}\n\n", sink) == Response(complete=False)
    assert not sink.parts


@pytest.mark.parametrize("answer", [None, 5, [], {}, {"id": "c-1", "choices": None}])
def test_what_is_no_answer_failed(answer: object, sink: Any) -> None:
    """No model answered, so nothing is counted."""
    read = SHAPE.parse_response(answer, sink)
    assert (read.error_type, read.unanswered, sink.parts) == ("_OTHER", True, {})


@pytest.mark.parametrize("choices", ["x", [], {}])
def test_an_answer_without_choices_has_no_finish_reasons(choices: object) -> None:
    """A server that filtered may send none; then nothing shows that a model answered."""
    answer = ChatCompletion.construct(id="c-1", choices=choices, usage=None)
    assert SHAPE.parse_response(answer, None) == Response(id="c-1", unanswered=True)


def test_a_choice_of_a_plain_answer_may_lack_everything() -> None:
    """The reason that never came is "error", in its position."""
    answer = {"choices": [None, {"message": None, "finish_reason": 5}, {"finish_reason": "stop"}]}
    assert SHAPE.parse_response(answer, None).finish_reasons == ("error", "error", "stop")


@pytest.mark.parametrize(("created", "read"), [(1, 1), ("1", None), (1.5, None), (True, None)])
def test_when_an_answer_was_made_is_a_whole_number(created: object, read: int | None) -> None:
    answer = ChatCompletion.construct(id="c-1", created=created, choices=[])
    assert SHAPE.parse_response(answer, None).created == read
    assert stream(chunk(delta(content="hi"), created=created)).created == read


@pytest.mark.parametrize(
    "number", ["twelve", "-1", "9" * 30, -1, 1.5, nan, inf, True, None, [], {}]
)
def test_wrong_typed_usage_is_absent_not_zero(number: object) -> None:
    """On answers and on chunks; the number beside it still counts."""
    usage = {"prompt_tokens": number, "completion_tokens": 3}
    expected = Reported(output_tokens=3)
    assert SHAPE.parse_response(ChatCompletion.construct(usage=usage), None).reported == expected
    assert stream(chunk(usage=usage)).reported == expected
    nothing = {"prompt_tokens": number, "prompt_tokens_details": number}
    assert SHAPE.parse_response(ChatCompletion.construct(usage=nothing), None).reported is None
    assert stream(chunk(usage=nothing)).reported is None


@pytest.mark.parametrize("number", ["12", 12.0])
def test_a_whole_number_in_text_or_a_float_is_read_as_the_client_s_own_types_do(
    number: object,
) -> None:
    """A raw answer, and fields that are not the client's, have it as it was sent."""
    usage = {"prompt_tokens": number, "completion_tokens": 3}
    expected = Reported(input_tokens=12, output_tokens=3)
    assert SHAPE.parse_response({"choices": [], "usage": usage}, None).reported == expected


@pytest.mark.parametrize(("number", "read"), [(10**12 - 1, 10**12 - 1), (10**12, None)])
def test_a_number_larger_than_any_call_has_is_absent(number: int, read: int | None) -> None:
    """A sum of such numbers would not fit into the integers of an exporter."""
    usage = {
        "prompt_tokens": number,
        "prompt_tokens_details": {"cached_tokens": number, "audio_tokens": 1},
    }
    expected = Reported(input_tokens=read, cache_read_tokens=read, audio_input_tokens=1)
    assert SHAPE.parse_response(ChatCompletion.construct(usage=usage), None).reported == expected


def test_usage_that_has_only_details_is_reported() -> None:
    """A server may leave out the totals."""
    usage = {"prompt_tokens_details": {"cached_tokens": 2}}
    answer = SHAPE.parse_response(ChatCompletion.construct(usage=usage), None)
    assert answer.reported == Reported(cache_read_tokens=2)


def test_a_field_is_what_its_attribute_gives() -> None:
    """An application may add extra fields to an answer: they do not hide declared ones."""
    answer = ChatCompletion.construct(id="c-1", usage=USAGE, choices=[], sent_by="gateway")
    assert answer.model_extra is not None
    answer.model_extra.update(id="other", usage=None)
    read = SHAPE.parse_response(answer, None)
    assert read.id == answer.id == "c-1"
    assert read.reported == Reported(input_tokens=12, output_tokens=3)


def test_a_whole_stream(sink: Any) -> None:
    """Text by its part, usage on the last chunk, nothing of the obfuscation."""
    answer = stream(
        chunk(delta(role="assistant", content="", refusal=None), obfuscation="zzz", usage=None),
        chunk(delta(content="Hel"), usage=None, service_tier="default", system_fingerprint="fp"),
        chunk(delta(content="lo"), usage=None, obfuscation="zzz"),
        chunk(delta(finish="stop"), usage=None),
        chunk(usage=USAGE),
        sink=sink,
    )
    assert answer == Response(
        id="c-1",
        model="gpt-4o-1",
        finish_reasons=("stop",),
        service_tier="default",
        system_fingerprint="fp",
        reported=Reported(input_tokens=12, output_tokens=3),
        created=1,
    )
    assert sink.parts == {("text", 0, 0): "Hello"}
    assert not sink.marks


def test_every_kind_of_output_of_a_stream(sink: Any) -> None:
    """Tools, the legacy function call, refusals, audio transcripts, reasoning of other servers."""
    stream(
        chunk(delta(reasoning_content="hm", content=None)),
        chunk(delta(reasoning="ha", reasoning_content=None)),
        chunk(delta(reasoning="same", reasoning_content="same")),
        chunk(delta(refusal="no")),
        chunk(delta(tool_calls=[{"index": 1, "id": "x", "function": {"name": "f"}}])),
        chunk(delta(tool_calls=[{"index": 1, "function": {"arguments": "{}"}}])),
        chunk(delta(tool_calls=[{"index": 0, "custom": {"name": "g", "input": "i"}}])),
        chunk(delta(function_call={"name": "h", "arguments": "[]"})),
        chunk(delta(audio={"id": "a", "transcript": "spoken"})),
        chunk(delta(content=[{"type": "thinking"}, {"type": "text", "text": "listed"}])),
        sink=sink,
    )
    assert sink.parts == {
        ("reasoning", 0, 0): "hmhasame",
        ("refusal", 0, 0): "no",
        ("tool_name", 0, 1): "f",
        ("tool_arguments", 0, 1): "{}",
        ("tool_name", 0, 0): "g",
        ("tool_arguments", 0, 0): "i",
        ("tool_name", 0, -1): "h",
        ("tool_arguments", 0, -1): "[]",
        ("text", 0, 1): "spoken",
        ("text", 0, 0): "listed",
    }
    assert sink.marks == {("custom_call", 0, 0), ("unknown", 0, 1)}


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_together_with_content(field: str, sink: Any) -> None:
    """Also after chunks that had only content."""
    stream(
        chunk(delta(content="a")),
        chunk(delta(content="b")),
        chunk(delta(content="c", **{field: "hm"})),
        sink=sink,
    )
    assert sink.parts == {("text", 0, 0): "abc", ("reasoning", 0, 0): "hm"}


def test_a_finish_reason_together_with_the_last_content(sink: Any) -> None:
    """Also after chunks that had only content."""
    for where in (sink, None):
        answer = stream(
            chunk(delta(content="a")),
            chunk(delta(content="b")),
            chunk(delta(content="c", finish="length")),
            sink=where,
        )
        assert answer.finish_reasons == ("length",)
        assert answer.complete
    assert sink.parts == {("text", 0, 0): "abc"}


def test_two_choices_that_begin_with_the_second(sink: Any) -> None:
    """Choices go by their index, not by their position."""
    chunks = [
        chunk(delta(1, content="b")),
        chunk(delta(0, content="a"), delta(1, content="b")),
        chunk(delta(1, finish="length")),
        chunk(delta(0, finish="stop")),
    ]
    assert stream(*chunks, sink=sink, n=2).finish_reasons == ("stop", "length")
    assert sink.parts == {("text", 0, 0): "a", ("text", 1, 0): "bb"}
    assert stream(*chunks[:3], n=2).finish_reasons == ("error", "length")
    assert not stream(*chunks[:3], n=2).complete
    assert stream(chunks[0], n=3).finish_reasons == ("error", "error", "error")


def test_azures_first_chunk_says_nothing() -> None:
    """Its id, model and choices are empty, and the last non-empty wins."""
    answer = stream(
        chunk(id="", model="", prompt_filter_results=[{"prompt_index": 0}]),
        chunk(delta(content="hi"), model="gpt-4o-2024-08-06"),
        chunk(delta(finish="stop"), model="", id=""),
    )
    assert (answer.id, answer.model) == ("c-1", "gpt-4o-2024-08-06")
    assert answer.complete


def test_before_the_first_chunk_only_a_choice_is_awaited() -> None:
    """Expected but never received: what was never read has an "error" for a finish reason."""
    assert stream() == Response(complete=False, ended=False, finish_reasons=("error",))


def test_usage_may_come_in_parts() -> None:
    """The last of each direction counts; the output's is final where it stood at the end."""
    answer = stream(
        chunk(delta(content="hi", finish="stop"), usage={"prompt_tokens": 9}),
        chunk(usage={"prompt_tokens": None, "completion_tokens": 2}),
    )
    assert answer.reported == Reported(input_tokens=9, output_tokens=2)
    assert answer.final


def test_details_belong_to_the_direction_of_their_usage() -> None:
    """A usage without input tokens does not replace the details of the input."""
    answer = stream(
        chunk(usage={"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}),
        chunk(
            usage={
                "completion_tokens": 2,
                "prompt_tokens_details": None,
                "completion_tokens_details": {"reasoning_tokens": 1},
            }
        ),
    )
    assert answer.reported == Reported(
        input_tokens=9, output_tokens=2, cache_read_tokens=4, reasoning_tokens=1
    )


def test_the_output_of_before_is_not_final_for_a_later_input() -> None:
    answer = stream(
        chunk(delta(content="h"), usage={"completion_tokens": 1}),
        chunk(delta(content="i", finish="stop"), usage={"prompt_tokens": 9}),
    )
    assert answer.reported == Reported(input_tokens=9, output_tokens=1)
    assert not answer.final


def test_a_filter_result_in_the_first_chunk_is_read_from_any_server() -> None:
    """A gateway before Azure is called by a client of OpenAI's."""
    hate = {"content_filter_results": {"hate": {"filtered": True, "severity": "high"}}}
    said = stream(
        chunk(id="", model="", prompt_filter_results=[hate]),
        chunk({**delta(content="hi"), **hate}),
    ).content_filter
    assert said is not None
    assert (said.input_filtered, said.output_filtered) == (("hate",), ("hate",))


def test_a_stream_closed_early_has_an_error_for_a_finish_reason() -> None:
    """Expected but never received."""
    answer = stream(chunk(delta(content="hi")))
    assert answer.finish_reasons == ("error",)
    assert not answer.complete
    assert not answer.final
    assert answer.reported is None


def test_usage_on_every_chunk_is_final_only_on_the_last() -> None:
    """The last number wins; without a finish reason nobody said that it was the last chunk."""
    partial = {"prompt_tokens": 12, "completion_tokens": 1}
    for finish in (None, "stop"):
        answer = stream(
            chunk(delta(content="a"), usage=partial),
            chunk(delta(content="b", finish=finish), usage=USAGE),
        )
        assert answer.reported == Reported(input_tokens=12, output_tokens=3)
        assert answer.final
        assert answer.ended is answer.complete is (finish is not None)


@pytest.mark.parametrize("after", [None, {}, {"completion_tokens": None}, "none", 0])
def test_usage_before_more_output_is_not_final(after: object) -> None:
    """A number that a later choice outdates is partial."""
    answer = stream(chunk(delta(content="a"), usage=USAGE), chunk(delta(content="b"), usage=after))
    assert answer.reported == Reported(input_tokens=12, output_tokens=3)
    assert not answer.final


@pytest.mark.parametrize("count", [1, 100])
@pytest.mark.parametrize("other", [delta(0, "stop"), delta(1, content="b")])
def test_usage_together_with_a_choice_is_not_final_however_much_follows(
    other: Any, count: int, sink: Any
) -> None:
    """Also where the rest is left in lists, unread."""
    more = [chunk(delta(content="more")) for _ in range(count)]
    head = [chunk(delta(content="a")), chunk(delta(content="a"), other, usage=USAGE)]
    answer = stream(*head, *more, sink=sink, n=2)
    assert not answer.final
    assert sink.parts["text", 0, 0] == "aa" + "more" * count


def test_null_usage_on_a_chunk_without_choices_takes_nothing_away() -> None:
    """Some servers close with an empty chunk."""
    answer = stream(chunk(delta(finish="stop"), usage=USAGE), chunk(usage=None))
    assert answer.final
    assert answer.complete
    assert answer.reported == Reported(input_tokens=12, output_tokens=3)


@pytest.mark.parametrize("reason", ["", None, 5, []])
def test_an_empty_finish_reason_is_none_and_erases_none(reason: object) -> None:
    """Some servers send an empty text on every chunk."""
    assert stream(chunk(delta(finish=reason))).finish_reasons == ("error",)
    answer = stream(chunk(delta(finish="stop")), chunk(delta(finish=reason)))
    assert answer.finish_reasons == ("stop",)


@pytest.mark.parametrize("index", [-1, MOST_CHOICES, 10**30])
def test_an_index_beyond_reason_is_text_but_no_choice(index: int, sink: Any) -> None:
    """What is kept per choice is bounded."""
    answer = stream(chunk(delta(index, "stop", content="a")), sink=sink)
    assert answer.finish_reasons == ("error",)
    assert sink.parts == {("text", index, 0): "a"}


@pytest.mark.parametrize("index", [None, "0", True, [], 0.5])
def test_a_choice_without_an_index_is_the_first(index: Any, sink: Any) -> None:
    """Whatever stands there instead."""
    answer = stream(chunk(delta(index, "stop", content="a")), sink=sink)
    assert answer.finish_reasons == ("stop",)
    assert sink.parts == {("text", 0, 0): "a"}


def test_memory_is_bounded_however_many_choices_come() -> None:
    """A thousand choices, and a request for a billion."""
    answer = stream(*(chunk(delta(index)) for index in range(1000)), n=10**9)
    assert answer.finish_reasons == ("error",) * MOST_CHOICES


@pytest.mark.parametrize("strange", [None, 5, "x", [], {}, {"choices": [None]}, [{"choices": 1}]])
def test_chunks_may_be_anything(strange: object, sink: Any) -> None:
    """Plain dicts are read, the rest is nothing."""
    answer = stream(strange, {"choices": [delta(content="a", finish="stop")]}, sink=sink)
    assert sink.parts == {("text", 0, 0): "a"}
    assert answer.finish_reasons == ("stop",)
