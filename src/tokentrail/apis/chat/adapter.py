"""Chat completions: requests, answers and streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.chat.answer import DeltaReader, MessageReader
from tokentrail.apis.chat.messages import (
    holds_only_functions,
    input_variant,
    read_messages,
    read_tool_choice,
    read_tools,
)
from tokentrail.apis.choices import accumulator, read_answer
from tokentrail.apis.parameters import SAMPLED, output_type, service_tier
from tokentrail.apis.values import (
    Parameters,
    deep_copy,
    fields,
    integer,
    is_absent,
    nonempty_str,
    plain_str,
    sequence,
    telemetry_str,
)
from tokentrail.model.operations import CHAT
from tokentrail.model.records import Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.apis.choices import ChunkAccumulator
    from tokentrail.model.records import Endpoint, Request, Response, TextSink


def _output_speech(modalities: object) -> str | None:
    return "speech" if _asks_for_audio(modalities) else None


def _asks_for_audio(modalities: object) -> bool | None:
    return True if "audio" in sequence(modalities) else None


def _has_server_tools(tools: object) -> bool | None:
    """Whether the server is to run tools of its own, such as ``openrouter:web_search``."""
    kinds = (plain_str(fields(tool).get("type")) for tool in sequence(tools))
    return True if any(kind not in _OWN_TOOLS for kind in kinds) else None


def _has_plugins(plugins: object) -> bool | None:
    return True if sequence(plugins) else None


_OWN_TOOLS: Final = frozenset({None, "function", "custom"})
"""Types of tools that the application runs."""


def _is_given(value: object) -> bool | None:
    return None if is_absent(value) else True


_PARAMETERS: Final = Parameters(
    *SAMPLED,
    ("max_completion_tokens", "max_tokens", integer),
    ("response_format", "output_type", output_type),
    ("modalities", "output_type", _output_speech),
    ("modalities", "inexact_output", _asks_for_audio),
    ("prediction", "inexact_output", _is_given),
    ("tools", "inexact_output", _has_server_tools),
    ("plugins", "inexact_output", _has_plugins),
    ("web_search_options", "searches_web", _is_given),
    ("reasoning_effort", "reasoning_level", telemetry_str),
    ("service_tier", "service_tier", service_tier),
    ("prompt_cache_key", "cache_key", telemetry_str),
)


_MESSAGES: Final = MessageReader()


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
        return read_answer(answer, _MESSAGES, sink)

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> ChunkAccumulator:
        """Return an empty accumulator of ``ChatCompletionChunk``."""
        return accumulator(request, DeltaReader(), sink)


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
        variant=input_variant(arguments),
    )


def _legacy_choice(choice: object) -> str | None:
    """Return a ``function_call``, which costs less to name than a tool."""
    read = read_tool_choice(choice)
    return read and read.replace("name:", "function:", 1)


def _schema(form: object) -> object:
    if isinstance(form, type):
        return form
    return deep_copy(fields(fields(form).get("json_schema")).get("schema"))
