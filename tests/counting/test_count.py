import importlib
import warnings
from collections import UserList, deque

import pytest
from openai import NOT_GIVEN
from openai.types.chat import ChatCompletionMessage

from tokentrail.usage.count_tokens import count_tokens

module = importlib.import_module("tokentrail.usage.count_tokens")

SAY = [{"role": "user", "content": "Say this is a test"}]


@pytest.mark.parametrize(
    ("given", "model", "tokens"),
    [
        ("hello world", "gpt-4o", 2),
        ("", "gpt-4o", 0),
        ("This is a test", "text-embedding-3-small", 4),
        (SAY, "gpt-4o-mini", 12),
        (SAY, "gpt-4", 12),
        (SAY, "ft:gpt-4o-mini-2024-07-18:org::id", 12),
        (tuple(SAY), "gpt-35-turbo", 12),
        (SAY, "o4-mini", 11),
        ([], "gpt-4o", 0),
        (
            [{"role": "user", "content": [{"type": "text", "text": "Say this is a test"}]}],
            "gpt-4o",
            12,
        ),
        ([ChatCompletionMessage(role="assistant", content="hello")], "gpt-4o", 8),
    ],
)
def test_text_and_messages_are_counted(given, model, tokens):
    assert count_tokens(given, model=model) == tokens


def test_tools_are_counted_in_the_form_the_client_takes():
    tools = [
        {
            "type": "function",
            "function": {
                "name": "get_user_country",
                "parameters": {"type": "object", "properties": {}},
            },
        }
    ]
    asked = [{"role": "user", "content": "What is the largest city in the user country?"}]
    assert count_tokens(asked, model="gpt-4o", tools=tools) == 42
    assert count_tokens(asked, model="gpt-4o", tools=tools, tool_choice="none") == 43


def test_a_guessed_encoding_counts_and_warns_once(monkeypatch):
    monkeypatch.setattr(module, "_warned", set())
    for model in ("my-model", "gpt-6-sol"):
        with pytest.warns(UserWarning, match=rf"'{model}' is not known.*encoding=.*'o200k_base'"):
            assert count_tokens("hello world", model=model) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert count_tokens("hello world", model="my-model") == 2
        assert count_tokens("hello world", model="new-model", encoding="o200k_base") == 2


def test_the_warning_points_to_the_application_s_own_line(monkeypatch):
    monkeypatch.setattr(module, "_warned", set())
    with pytest.warns(UserWarning, match="my-model") as caught:
        count_tokens("hello world", model="my-model")
    assert caught[0].filename == __file__


def test_an_unknown_encoding_is_refused_by_name():
    with pytest.raises(ValueError, match="encoding='p50k_base' is not allowed; allowed: cl100k"):
        count_tokens("hello", model="gpt-4", encoding="p50k_base")


@pytest.mark.parametrize(
    "given",
    [deque(SAY), UserList(SAY), dict(enumerate(SAY)).values()],
    ids=lambda given: type(given).__name__,
)
def test_any_collection_of_messages_counts_as_a_list_does(given):
    assert count_tokens(given, model="gpt-4o") == count_tokens(SAY, model="gpt-4o") == 12
    assert len(given) == 1


def test_any_collection_of_tools_counts_as_a_list_does():
    tools = [{"type": "function", "function": {"name": "get_time"}}]
    listed = count_tokens(SAY, model="gpt-4o", tools=tools)
    assert count_tokens(SAY, model="gpt-4o", tools=deque(tools)) == listed > 12


def test_what_the_client_takes_for_absent_is_absent():
    assert count_tokens(SAY, model="gpt-4o", tools=NOT_GIVEN, tool_choice=NOT_GIVEN) == 12


@pytest.mark.parametrize("given", [None, 5, b"bytes", {"role": "user"}, iter(SAY)])
def test_what_is_neither_text_nor_messages_is_refused(given):
    with pytest.raises(TypeError, match=f"^messages_or_text must be .*not {type(given).__name__}$"):
        count_tokens(given, model="gpt-4o")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"model": None}, "model must be a str, the name of a model, not NoneType"),
        ({"model": 3}, "model must be a str, the name of a model, not int"),
        ({"encoding": 5}, "encoding must be one of 'cl100k_base', 'o200k_base', or None, not int"),
        ({"tools": "x"}, "tools must be a list of dicts, or None, not str"),
        ({"tools": {"type": "function"}}, "tools must be a list of dicts, or None, not dict"),
        ({"tools": [5]}, "tools[0] must be a dict or one of the client's own objects, not int"),
        ({"tool_choice": 5}, "tool_choice must be a str, a dict or None, not int"),
        (
            {"messages_or_text": [*SAY, "hello"]},
            "messages_or_text[1] must be a dict or one of the client's own objects, not str",
        ),
    ],
)
def test_a_wrong_type_is_refused_by_the_arguments_name(wrong, complaint):
    given = {"messages_or_text": SAY, "model": "gpt-4o"} | wrong
    with pytest.raises(TypeError) as refused:
        count_tokens(given.pop("messages_or_text"), **given)
    assert str(refused.value) == complaint


LOOK = {"name": "look", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"a":"b"}'}}
CHAT = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "Be brief."},
        *SAY,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "sunny"},
    ],
    "tools": [{"type": "function", "function": LOOK}],
    "temperature": 0.5,
}
RESPONSE = {
    "model": "gpt-4o",
    "instructions": "Be brief.",
    "input": SAY,
    "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}},
}
REQUESTS = {
    # the request, its tokens, their worth, and the places of its parts in order
    "chat": (
        CHAT,
        66,
        "counted",
        ["request", *(f"messages[{n}]" for n in (0, 1, 2, 3)), "tools"],
    ),
    "responses": (RESPONSE, 32, "counted", ["request", "instructions", "input[0]", "schema"]),
    "a text": ({**RESPONSE, "input": "hello"}, 28, "counted", None),
    "a model that reasons": ({"model": "gpt-5", "messages": SAY}, 11, "counted", None),
    "an image of unknown size": (
        {
            "model": "gpt-4o",
            "input": [
                {"role": "user", "content": [{"type": "input_image", "image_url": "http://x"}]}
            ],
        },
        262,
        "approximated",
        ["request", "input[0]"],
    ),
    "more before": ({**RESPONSE, "previous_response_id": "resp_1"}, None, None, None),
}


@pytest.mark.parametrize(("request_", "tokens", "worth", "of"), REQUESTS.values(), ids=REQUESTS)
def test_a_whole_request_is_counted_part_by_part(request_, tokens, worth, of):
    counted = count_tokens(request=request_)
    assert (counted.tokens, counted.worth and counted.worth.value) == (tokens, worth)
    assert (counted.model, counted.encoding) == (request_["model"], "o200k_base")
    if tokens is not None:
        assert sum(part.tokens for part in counted.parts) == tokens
    if of is not None:
        assert list(dict.fromkeys(part.of for part in counted.parts)) == of


def test_each_part_says_by_which_rule_it_is_counted_and_what_that_is_worth():
    counted = count_tokens(request=CHAT)
    found = {(part.of, part.rule): (part.tokens, part.worth.value) for part in counted.parts}
    assert found["messages[3]", "input.messages"] == (2, "counted")  # sun, ny
    assert found["tools", "input.tools.chat"] == (5, "counted")
    assert all(part.says for part in counted.parts)
    unread = count_tokens(request={**CHAT, "messages": [{"role": "user", "content": [{}]}]})
    assert unread.worth.value == "approximated"
    found = {part.rule: (part.of, part.tokens, part.worth.value) for part in unread.parts}
    assert found["input.not_read"] == ("messages[0]", 0, "approximated")
    assert found["input.tools.chat"][2] == "counted"


def test_what_is_no_request_is_refused():
    with pytest.raises(ValueError, match="neither messages"):
        count_tokens(request={"model": "gpt-4o"})
    with pytest.raises(TypeError, match="request must be a dict"):
        count_tokens(request=SAY)
    with pytest.raises(TypeError, match="request= has its own messages and tools"):
        count_tokens(SAY, request=CHAT)
    with pytest.raises(TypeError, match="needs something to count: messages_or_text, or request="):
        count_tokens(model="gpt-4o")
    with pytest.raises(TypeError, match="model must be a str"):
        count_tokens(request={"messages": SAY})
