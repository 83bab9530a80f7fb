"""Chat completions: requests, answers and streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tokentrail.apis.chat.forms import (
    KNOWN_FIELDS,
    THOUGHT_FIELDS,
    content_parts,
    holds_other_words,
    holds_thought,
    message_of,
    thought_of,
)
from tokentrail.apis.chat.messages import (
    holds_only_functions,
    input_variant,
    read_messages,
    read_tool_choice,
    read_tools,
)
from tokentrail.apis.chat.tool_calls import (
    CallPlaces,
    OpenCall,
    arguments_of,
    called,
    each_call,
    is_unknown,
    repeats_a_call,
    written_content,
)
from tokentrail.apis.choices import (
    CONTENT,
    CONTENT_SHOWN,
    NOTHING,
    THOUGHT,
    accumulator,
    read_answer,
)
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
    from collections.abc import Iterator, Mapping

    from tokentrail.apis.choices import ChunkAccumulator
    from tokentrail.model.records import Endpoint, Request, Response, TextSink


def _output_speech(modalities: object) -> str | None:
    return "speech" if _asks_for_audio(modalities) else None


def _asks_for_audio(modalities: object) -> bool | None:
    return True if "audio" in sequence(modalities) else None


def _has_server_tools(tools: object) -> bool | None:
    """Whether the request has tools that the server runs, such as ``openrouter:web_search``."""
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


_TRANSCRIPT: Final = 1
"""The index of an audio transcript among a choice's items of kind "text"."""
_FUNCTION_CALL: Final = -1
"""The index of the legacy function call; tool calls are numbered from 0."""
_HIDDEN: Final = frozenset({"reasoning.summary", "reasoning.encrypted"})
"""Types of details for reasoning that is billed but not shown."""
_TEXTS: Final = {"text": "text", "output_text": "text", "refusal": "refusal"}
"""Content parts that are text, with the field that has the text."""


class MessageReader:
    """Reads the choices of a plain answer; each item of a call list is a separate call."""

    def feed(self, choice: Mapping[str, object], index: int, sink: TextSink) -> None:
        """Pass the content of a choice's message to the sink."""
        message = message_of(choice)
        feed_words(message, index, sink)
        calls, legacy = each_call(message.get("tool_calls")), message.get("function_call")
        for position, call in enumerate(calls):
            given = called(call)
            name = nonempty_str(given.get("name"))
            _feed_call(call, (index, position), name, arguments_of(given), sink)
        if legacy and not repeats_a_call(legacy, calls):
            _feed_legacy(OpenCall(_FUNCTION_CALL), fields(legacy), index, sink)
        _note_elsewhere(choice, index, sink, called=bool(legacy) or any(map(called, calls)))
        if not message.keys() - {"content"} and message.get("content") is None:
            sink.add("unknown", index, _TRANSCRIPT, "")  # there is no message

    def shows(self, choice: Mapping[str, object]) -> int:
        """Return what the message of a choice contains."""
        return shown_by(message_of(choice))


class DeltaReader:
    """Reads the choices of one stream's chunks."""

    __slots__ = ("_has_called", "_has_deltas", "_legacy", "_places")

    def __init__(self) -> None:
        self._has_called = False
        """Whether anything of a call was read."""
        self._has_deltas = False
        self._legacy: dict[int, OpenCall] = {}
        """The legacy function calls, by choice."""
        self._places: CallPlaces | None = None
        """The places of tool calls, set once the first one arrived."""

    def feed(self, choice: Mapping[str, object], index: int, sink: TextSink) -> None:
        """Pass the content of a choice's delta to the sink."""
        delta = choice.get("delta")
        message = fields(delta)
        if delta and not message:
            sink.add("unknown", index, _TRANSCRIPT, "")
        if not self._has_deltas:
            self._has_deltas = any(message[name] for name in message if name != "role")
        if not self._has_deltas and (choice.get("message") or choice.get("text")):
            sink.add("unknown", index, _TRANSCRIPT, "")  # unclear: a piece, or all text so far
        feed_words(message, index, sink)
        calls, legacy = message.get("tool_calls"), message.get("function_call")
        if calls:
            places = self._places = self._places or CallPlaces()
            for position, call in enumerate(each_call(calls)):
                own = places.place(index, call, position)
                self._has_called = self._has_called or bool(own.name or own.arguments)
                _feed_call(call, (index, own.slot), own.new_name, own.new_arguments, sink)
                if own.is_unclear:
                    sink.add("unknown", index, own.slot, "")
        if legacy and not (calls and repeats_a_call(legacy, each_call(calls))):
            opened = self._legacy.setdefault(index, OpenCall(_FUNCTION_CALL))
            _feed_legacy(opened, fields(legacy), index, sink)
            self._has_called = True
        _note_elsewhere(choice, index, sink, called=self._has_called)

    def shows(self, choice: Mapping[str, object]) -> int:
        """Return what the delta of a choice contains."""
        return shown_by(fields(choice.get("delta")))


def feed_words(message: Mapping[str, object], index: int, sink: TextSink) -> None:
    """Give ``sink`` all but the tool calls of a message or delta; both have the same fields."""
    get = message.get
    content = get("content")
    if content and type(content) is str:
        sink.add("text", index, CONTENT, content)
    elif type(content) is not str and not is_absent(content):
        for kind, text in content_pieces(content):
            sink.add(kind, index, CONTENT, text)
    value = get("refusal")
    if value and type(value) is str:
        sink.add("refusal", index, 0, value)
    elif value and not is_absent(value):
        sink.add("unknown", index, _TRANSCRIPT, "")
    if not THOUGHT_FIELDS.isdisjoint(message):  # tested here: most chunks have none
        _feed_thought(message, index, sink)
    value = get("audio")
    if value:
        sink.add("unknown", index, _TRANSCRIPT, "")
        transcript = nonempty_str(fields(value).get("transcript"))
        if transcript is not None:
            sink.add("text", index, _TRANSCRIPT, transcript)
    if get("images") or (not KNOWN_FIELDS.issuperset(message) and holds_other_words(message)):
        sink.add("unknown", index, _TRANSCRIPT, "")


def _feed_thought(message: Mapping[str, object], index: int, sink: TextSink) -> None:
    """Pass shown reasoning to the sink, from any field that compatible servers use.

    If a server fills two fields, they repeat each other. A summary is shorter than the billed
    reasoning.
    """
    value, details = thought_of(message), None
    if value is None:
        return
    if "reasoning_details" in message:
        details = {fields(one).get("type") for one in sequence(message["reasoning_details"])}
    kind = "reasoning"
    if details and not _HIDDEN.isdisjoint(details):
        sink.add("summary", index, 0, "")
        kind = "summary" if "reasoning.summary" in details else kind
    if value:
        sink.add(kind, index, 0, value)
    elif kind == "reasoning" and not details:
        sink.add("unknown", index, _TRANSCRIPT, "")


def content_pieces(content: object) -> Iterator[tuple[str, str]]:
    """Yield kind and text of each piece of non-text content; "unknown" pieces have no text."""
    bare = plain_str(written_content(content))
    if bare is not None:
        if bare:
            yield "text", bare
        return
    content = content_parts(content)
    if not isinstance(content, (list, tuple)):
        yield "unknown", ""
    for part in sequence(content):
        text = plain_str(part)
        if text is not None:
            if text:
                yield "text", text
            continue
        given = fields(part)
        kind = plain_str(given.get("type")) or "text"
        if kind == "thinking":
            yield from _thought(given.get("thinking"))
        elif (text := plain_str(given.get(_TEXTS.get(kind, "")))) is not None:
            if text:
                yield "text", text
        else:
            yield "unknown", ""


def _thought(value: object) -> Iterator[tuple[str, str]]:
    """Yield the reasoning of a part: text, or parts of text."""
    for kind, text in () if is_absent(value) else content_pieces(value):
        yield ("reasoning" if kind == "text" else kind), text


def shown_by(message: Mapping[str, object]) -> int:
    """Return what a message or a delta contains."""
    get = message.get
    content = get("content")
    if content and type(content) is str:
        return CONTENT_SHOWN
    shown = NOTHING
    if not is_absent(content) and type(content) is not str:
        kinds = {kind for kind, text in content_pieces(content) if text or kind == "unknown"}
        if kinds - {"reasoning"}:
            return CONTENT_SHOWN
        shown = THOUGHT if kinds else NOTHING
    audio = fields(get("audio"))
    if get("refusal") or audio.get("data") or audio.get("transcript") or get("images"):
        return CONTENT_SHOWN
    calls, legacy = get("tool_calls"), get("function_call")
    if calls and any(_is_named(called(call)) for call in each_call(calls)):
        return CONTENT_SHOWN
    if legacy and _is_named(fields(legacy)):
        return CONTENT_SHOWN
    has_thought = not THOUGHT_FIELDS.isdisjoint(message) and holds_thought(message)
    return THOUGHT if has_thought else shown


def _is_named(call: Mapping[str, object]) -> bool:
    return bool(call.get("name")) or arguments_of(call) is not None


def _feed_call(
    call: Mapping[str, object],
    place: tuple[int, int],
    name: str | None,
    arguments: str | None,
    sink: TextSink,
) -> None:
    """Give ``sink`` a call, or the new pieces of its name and arguments."""
    if call.get("type") == "custom" or call.get("custom"):
        sink.add("custom_call", *place, "")
    if name is not None:
        sink.add("tool_name", *place, name)
    if arguments is not None:
        sink.add("tool_arguments", *place, arguments)
    if is_unknown(call):
        sink.add("unknown", *place, "")


def _feed_legacy(opened: OpenCall, given: Mapping[str, object], index: int, sink: TextSink) -> None:
    """Give ``sink`` a legacy function call, or the next piece of one."""
    opened.add(None, nonempty_str(given.get("name")), arguments_of(given))
    place = (index, _FUNCTION_CALL)
    _feed_call({"function": given}, place, opened.new_name, opened.new_arguments, sink)
    if opened.is_unclear:
        sink.add("unknown", *place, "")


def _note_elsewhere(
    choice: Mapping[str, object], index: int, sink: TextSink, *, called: bool
) -> None:
    """Note output in another place: a call that only the finish reason names, or reasoning."""
    names_call = not called and plain_str(choice.get("finish_reason")) in _CALLED
    if names_call or (not THOUGHT_FIELDS.isdisjoint(choice) and holds_thought(choice)):
        sink.add("unknown", index, _TRANSCRIPT, "")


_CALLED: Final = frozenset({"tool_calls", "tool_call", "tool_use", "function_call"})

_MESSAGES: Final = MessageReader()


class ChatAdapter:
    """``chat.completions.create`` and ``parse``."""

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments of a call."""
        model = arguments.get("model")
        return _PARAMETERS.read(
            arguments,
            operation=CHAT.name,
            api=CHAT.api,
            endpoint=endpoint,
            # OpenAI's gpt-5-search-api and others search before each answer.
            searches_web=isinstance(model, str) and "-search-" in model,
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
    """Return a ``function_call``; naming a function costs fewer tokens than naming a tool."""
    read = read_tool_choice(choice)
    return read and read.replace("name:", "function:", 1)


def _schema(form: object) -> object:
    if isinstance(form, type):
        return form
    return deep_copy(fields(fields(form).get("json_schema")).get("schema"))
