"""Laws of reading prompts: what is taken, what is refused, what stays the caller's."""

from __future__ import annotations

from enum import Enum

import pytest
from openai.types.chat import ChatCompletionMessage
from pydantic import BaseModel

from tokentrail.apis.chat.messages import read_messages, read_tool_choice, read_tools
from tokentrail.apis.values import fields, integer, nonempty_strs, number, plain_str, tokens
from tokentrail.model.records import Image, Message, ToolCall


class NotGiven:
    """As the client's sentinel, which is known by its name: openai is never imported."""

    def __bool__(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"role": "user", "content": "hi"}, Message("user", ("hi",))),
        ({"role": "user", "content": ""}, Message("user", ("",))),
        ({"role": "user", "content": "hi", "name": "ann"}, Message("user", ("hi",), "ann")),
        ({"role": "assistant", "content": None}, Message("assistant")),
        ({"role": "assistant", "content": NotGiven()}, Message("assistant")),
        ({"role": "assistant", "refusal": "no"}, Message("assistant", ("no",))),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, "b"]},
            Message("user", ("a", "b")),
        ),
        (
            {"role": "user", "content": ({"type": "refusal", "refusal": "a"},)},
            Message("user", ("a",)),
        ),
        (
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}],
            },
            Message("user", images=(Image("data:x", "low"),)),
        ),
        (
            {"role": "user", "content": [{"type": "input_image", "image_url": "u", "detail": "d"}]},
            Message("user", images=(Image("u", "d"),)),
        ),
        (
            {"role": "user", "content": [{"type": "input_image", "file_id": "f"}]},
            Message("user", images=(Image(None, None),)),
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {}}, {"type": "text"}, None]},
            Message("user", unknown_parts=3),
        ),
        ({"role": "assistant", "audio": {"id": "a"}}, Message("assistant", unknown_parts=1)),
        ({"role": "user", "content": iter("hi")}, Message("user", unknown_parts=1)),
        ({"role": "user", "content": 5}, Message("user", unknown_parts=1)),
        ("hi", Message("", unknown_parts=1)),
        (None, Message("", unknown_parts=1)),
        (
            {
                "role": "assistant",
                "tool_calls": [
                    {"type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"type": "custom", "custom": {"name": "g", "input": "x"}},
                ],
            },
            Message(
                "assistant", tool_calls=(ToolCall("f", "{}"), ToolCall("g", "x")), unknown_parts=1
            ),
        ),
        (
            {"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]},
            Message("assistant", unknown_parts=1),
        ),
        ({"role": "assistant", "tool_calls": [5]}, Message("assistant", unknown_parts=1)),
        ({"role": "assistant", "tool_calls": iter(())}, Message("assistant", unknown_parts=1)),
        (
            {"role": "assistant", "function_call": {"name": "f", "arguments": None}},
            Message("assistant", function_call=ToolCall("f", "")),
        ),
        (
            {"role": "tool", "content": "42", "tool_call_id": "c"},
            Message("tool", ("42",), call_id="c"),
        ),
    ],
)
def test_a_message_is_read_or_its_unknown_parts_are_counted(given: object, read: Message) -> None:
    """What can be priced is taken; the rest is counted, never guessed."""
    assert read_messages([given]) == (read,)


def test_a_returned_message_may_be_appended_back() -> None:
    """A model object reads as the dict that it stands for."""
    message = ChatCompletionMessage.construct(
        role="assistant",
        content="hi",
        refusal=None,
        tool_calls=[
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ],
    )
    read = Message("assistant", ("hi",), tool_calls=(ToolCall("f", "{}", id="c"),))
    assert read_messages((message,)) == (read,)


def test_later_changes_of_the_list_do_not_matter() -> None:
    """An application appends to its messages while the stream runs."""
    message = {"role": "user", "content": "hi"}
    messages = [message]
    read = read_messages(messages)
    messages.append({"role": "assistant", "content": "ho"})
    message["content"] = "other"
    assert read == (Message("user", ("hi",)),)


@pytest.mark.parametrize("given", [None, NotGiven(), "text", 5, {"role": "user"}, object()])
def test_what_is_no_list_is_no_messages(given: object) -> None:
    """Only a list or tuple can be looked at without consuming it."""
    assert read_messages(given) is None


def test_an_iterator_is_not_consumed() -> None:
    """The client needs what is in it."""
    messages = iter([{"role": "user", "content": "hi"}])
    assert read_messages(messages) is None
    assert len(list(messages)) == 1


def test_tools_of_all_three_forms_read_alike() -> None:
    """Chat's, those of responses and the legacy functions declare the same."""
    parameters = {"type": "object", "properties": {}}
    function = {"name": "f", "description": "d", "parameters": parameters}
    tools = [
        {"type": "function", "function": {**function, "strict": True}},
        {"type": "function", **function},
        function,
    ]
    assert read_tools(tools) == (function, function, function)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ([{"type": "function", "function": {"name": "f"}}], ({"name": "f"},)),
        ([{"name": "f", "description": None, "parameters": NotGiven()}], ({"name": "f"},)),
        ([{"type": "custom", "custom": {"name": "f"}}], ()),
        ([{"type": "web_search"}, {"type": "function"}, {"function": 5}, None, 7], ()),
        (NotGiven(), ()),
        (iter([{"name": "f"}]), ()),
    ],
)
def test_what_declares_no_function_is_left_out(given: object, read: object) -> None:
    """A shorter result tells that something was left out."""
    assert read_tools(given) == read


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("none", "none"),
        ("auto", "auto"),
        ("required", "required"),
        ("other", None),
        (None, None),
        (NotGiven(), None),
        ({"type": "function", "function": {"name": "f"}}, "name:f"),
        ({"type": "custom", "custom": {"name": "f"}}, "name:f"),
        ({"type": "function", "name": "f"}, "name:f"),
        ({"name": "f"}, "name:f"),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required"}}, "required"),
        ({"type": "allowed_tools", "mode": "auto"}, "auto"),
        ({"type": "web_search_preview"}, None),
        ({"mode": []}, None),
    ],
)
def test_tool_choice(given: object, read: str | None) -> None:
    """Chat, responses and the legacy function_call say it in three ways."""
    assert read_tool_choice(given) == read


class Colour(str, Enum):
    """A string enum, as applications use for model names."""

    RED = "red"


class Open(BaseModel, extra="allow"):
    """A model object that takes extra fields."""

    known: int


def test_readers_go_by_type() -> None:
    """Only the type that is meant is a value; a bool is no int, text is no number but of tokens."""
    assert [tokens(value) for value in (0, 7, -1, True, 7.5, "7.5", None, 1 << 63)] == [
        0, 7, None, None, None, None, None, None,
    ]  # fmt: skip
    assert [tokens(value) for value in (7.0, "7")] == [7, 7]
    assert [integer(value) for value in (-1, False, 10**30)] == [-1, None, None]
    assert [number(value) for value in (1, 0.5, True, "1", 10**400)] == [1.0, 0.5, None, None, None]
    assert nonempty_strs(["a", "b"]) == nonempty_strs(("a", "b")) == ("a", "b")
    assert [nonempty_strs(value) for value in ([], ["a", 1], "a", None)] == [None] * 4


def test_a_string_enum_gives_its_plain_value() -> None:
    """Its own str() would be "Colour.RED"."""
    assert plain_str(Colour.RED) == "red"
    assert type(plain_str(Colour.RED)) is str


def test_fields_are_declared_and_extra() -> None:
    """Unknown fields of a server are fields; classes and scalars have none."""
    assert fields(Open(known=1, more=2)) == {"known": 1, "more": 2}  # type: ignore[call-arg]
    assert [dict(fields(value)) for value in (Open, 5, "a", [1], None, object())] == [{}] * 6


def test_a_mapping_that_has_attributes_is_a_mapping() -> None:
    """As the client's PydanticFunctionTool, a dict with a ``model`` attribute."""

    class Tool(dict[str, object]):
        pass

    tool = Tool(name="f")
    tool.model = int  # type: ignore[attr-defined]
    assert fields(tool) == {"name": "f"}
