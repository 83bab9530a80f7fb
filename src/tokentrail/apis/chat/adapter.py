"""Chat completions: requests, answers and streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.chat.messages import read_content, read_messages, read_tool_choice, read_tools
from tokentrail.apis.choices import CONTENT, accumulator, index_of, read_answer
from tokentrail.apis.parameters import (
    SAMPLED,
    Parameters,
    holds_only_functions,
    output_type,
    service_tier,
)
from tokentrail.apis.values import (
    deep_copy,
    fields,
    integer,
    is_absent,
    nonempty_str,
    sequence,
    telemetry_str,
)
from tokentrail.model.operations import CHAT
from tokentrail.model.records import Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.apis.choices import ChunkAccumulator
    from tokentrail.model.records import Endpoint, Request, Response, TextSink

_TRANSCRIPT: Final = 1
"""The item of kind "text" beside the content."""
_FUNCTION_CALL: Final = -1
"""The legacy function call, beside the tool calls that are numbered from 0."""


def _output_speech(modalities: object) -> str | None:
    return "speech" if _asks_for_audio(modalities) else None


def _asks_for_audio(modalities: object) -> bool | None:
    return True if "audio" in sequence(modalities) else None


def _has_prediction(prediction: object) -> bool | None:
    return None if is_absent(prediction) else True


_PARAMETERS: Final = Parameters(
    *SAMPLED,
    ("max_completion_tokens", "max_tokens", integer),
    ("response_format", "output_type", output_type),
    ("modalities", "output_type", _output_speech),
    ("modalities", "inexact_output", _asks_for_audio),
    ("prediction", "inexact_output", _has_prediction),
    ("reasoning_effort", "reasoning_level", telemetry_str),
    ("service_tier", "service_tier", service_tier),
)


class ChatAdapter:
    """``chat.completions.create`` and ``parse``."""

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments of a call."""
        return _PARAMETERS.read(
            arguments,
            operation=CHAT.name,
            api=CHAT.api,
            endpoint=endpoint,
            prompt=_prompt(arguments) if prompt else None,
        )

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a ``ChatCompletion``."""
        return read_answer(answer, _feed_message, sink)

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> ChunkAccumulator:
        """Return an empty accumulator of ``ChatCompletionChunk``."""
        return accumulator(request, _feed_delta, sink)


def _prompt(arguments: Mapping[str, object]) -> Prompt:
    get = arguments.get
    messages = read_messages(get("messages"))
    tools, functions = get("tools"), get("functions")
    choice = read_tool_choice(get("tool_choice"))
    schema = fields(fields(get("response_format")).get("json_schema"))
    return Prompt(
        messages=messages or (),
        tools=read_tools(tools) + read_tools(functions),
        tool_choice=choice or _legacy_choice(get("function_call")),
        schema=_schema(get("response_format")),
        schema_name=nonempty_str(schema.get("name")),
        schema_about=nonempty_str(schema.get("description")),
        unknowable=not is_absent(get("web_search_options")),
        incomplete=messages is None
        or not (holds_only_functions(tools) and holds_only_functions(functions)),
    )


def _legacy_choice(choice: object) -> str | None:
    """Return a ``function_call``, which costs less to name than a tool."""
    read = read_tool_choice(choice)
    return read and read.replace("name:", "function:", 1)


def _schema(form: object) -> object:
    if isinstance(form, type):
        return form
    return deep_copy(fields(fields(form).get("json_schema")).get("schema"))


def _feed_message(choice: Mapping[str, object], index: int, sink: TextSink) -> None:
    _feed(fields(choice.get("message")), index, sink)


def _feed_delta(choice: Mapping[str, object], index: int, sink: TextSink) -> None:
    _feed(fields(choice.get("delta")), index, sink)


def _feed(said: Mapping[str, object], index: int, sink: TextSink) -> None:
    """Hand over the text of a message or a delta, which bear the same names.

    ``reasoning_content`` and ``reasoning`` are those of compatible servers; a server that sends
    both repeats itself.
    """
    get = said.get
    content = get("content")
    if content:
        if type(content) is str:
            sink.add("text", index, CONTENT, content)
        else:
            for part in read_content(content).texts:
                sink.add("text", index, CONTENT, part)
    value = get("refusal")
    if value and type(value) is str:
        sink.add("refusal", index, 0, value)
    value = get("reasoning_content") or get("reasoning")
    if value and type(value) is str:
        sink.add("reasoning", index, 0, value)
    value = get("tool_calls")
    if value:
        _feed_tool_calls(value, index, sink)
    value = get("function_call")
    if value:
        _feed_call(fields(value), index, _FUNCTION_CALL, sink)
    value = get("audio")
    if value:
        sink.add("unknown", index, _TRANSCRIPT, "")
        transcript = nonempty_str(fields(value).get("transcript"))
        if transcript is not None:
            sink.add("text", index, _TRANSCRIPT, transcript)


def _feed_tool_calls(calls: object, index: int, sink: TextSink) -> None:
    for position, call in enumerate(sequence(calls)):
        given = fields(call)
        item = index_of(given, position)
        if given.get("type") == "custom" or given.get("custom"):
            sink.add("custom_call", index, item, "")
        _feed_call(fields(given.get("function")) or fields(given.get("custom")), index, item, sink)


def _feed_call(call: Mapping[str, object], index: int, item: int, sink: TextSink) -> None:
    name = nonempty_str(call.get("name"))
    if name is not None:
        sink.add("tool_name", index, item, name)
    arguments = nonempty_str(call.get("arguments")) or nonempty_str(call.get("input"))
    if arguments is not None:
        sink.add("tool_arguments", index, item, arguments)
