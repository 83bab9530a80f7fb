"""A request to the stand-in model, read from the body of any of the four APIs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tokentrail.testing.payloads import pieces
from tokentrail.testing.replies import JsonObject, as_json


@dataclass(frozen=True, slots=True)
class Said:
    """One message: its role, text and name."""

    role: str
    text: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call."""

    name: str
    parameters: object


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, as far as the model uses it."""

    model: str
    messages: tuple[Said, ...] = ()
    stream: bool = False
    include_usage: bool = False
    choice_count: int = 1
    limit: int | None = None
    effort: str | None = None
    tool: Tool | None = None
    schema: object = None
    declared: str = ""
    """The declarations of tools and of the answer's schema, as JSON: they cost input tokens."""

    @property
    def question(self) -> str:
        """The text of the last user message."""
        return next(
            (message.text for message in reversed(self.messages) if message.role == "user"), ""
        )

    def input_tokens(self) -> int:
        """Return the input tokens: exact if each piece of the texts is one token."""
        total = 3 + len(pieces(self.declared))
        for message in self.messages:
            total += 3 + len(pieces(message.role)) + len(pieces(message.text))
            if message.name:  # docs/accuracy.md, input.name: one that is the role's costs no mark
                total += len(pieces(message.name)) + (message.name != message.role)
        return total


def read(body: JsonObject, model: str) -> Ask:
    """Return the request in the body of a chat completion or of a response."""
    messages = tuple(_messages(body))
    limits = (body.get(key) for key in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
    reasoning = _mapping(body.get("reasoning"))
    schema = _schema(body)
    tools = _tools(body)
    chosen = _chosen(body.get("tool_choice"), tools)
    declared = [part for part in (body.get("tools"), schema) if part]
    return Ask(
        model=model,
        messages=messages,
        stream=body.get("stream") is True,
        include_usage=_mapping(body.get("stream_options")).get("include_usage") is True,
        choice_count=_count(body.get("n")),
        limit=next((limit for limit in limits if isinstance(limit, int)), None),
        effort=_text(body.get("reasoning_effort") or reasoning.get("effort")),
        # a tool's result is answered with text
        tool=None if messages and messages[-1].role == "tool" else chosen,
        schema=schema,
        declared=as_json(declared) if declared else "",
    )


def prompts(value: object) -> tuple[str, ...]:
    """Return the texts of a legacy prompt or of an embedding's input; token ids become words."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        return ()
    if value and all(isinstance(item, int) for item in value):
        return (" a" * len(value),)
    return tuple(text for item in value for text in prompts(item))


def _messages(body: JsonObject) -> Iterator[Said]:
    if isinstance(instructions := body.get("instructions"), str):
        yield Said("developer", instructions)
    given = body.get("messages") or body.get("input")
    if isinstance(given, str):
        yield Said("user", given)
    for item in given if isinstance(given, list) else ():
        message = _mapping(item)
        if message.get("type") == "function_call_output":
            yield Said("tool", str(message.get("output") or ""))
        elif "role" in message:
            text = _content(message.get("content"))
            yield Said(str(message["role"]), text, _text(message.get("name")))


def _content(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(_mapping(part).get("text") or "") for part in content)
    return content if isinstance(content, str) else ""


def _tools(body: JsonObject) -> tuple[Tool, ...]:
    declared = body.get("tools")
    found = []
    for item in declared if isinstance(declared, list) else ():
        # chat completions wrap a function, responses do not
        function = _mapping(_mapping(item).get("function") or item)
        if name := _text(function.get("name")):
            found.append(Tool(name, function.get("parameters")))
    return tuple(found)


def _chosen(choice: object, tools: tuple[Tool, ...]) -> Tool | None:
    if choice == "none" or not tools:
        return None
    named = _mapping(_mapping(choice).get("function") or choice).get("name")
    return next((tool for tool in tools if tool.name == named), tools[0])


def _schema(body: JsonObject) -> object:
    wanted = _mapping(body.get("response_format") or _mapping(body.get("text")).get("format"))
    return _mapping(wanted.get("json_schema")).get("schema") or wanted.get("schema")


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
