"""What a request says, by API and kind of part."""

from __future__ import annotations

import pytest
from tests.content.schemas import MESSAGES, SYSTEM, TOOLS, Draft202012Validator, check

from tokentrail.apis.readers import read_request_content
from tokentrail.content import (
    Redaction,
    serialize_messages,
    serialize_parts,
    serialize_tools,
)
from tokentrail.model.records import Endpoint, Request

PNG = "data:image/png;base64,aGVsbG8="
BLOB = {"type": "blob", "modality": "image", "mime_type": "image/png", "byte_size": 5}
HERE = Endpoint("openai", None, None, "")


def text(content):
    return {"type": "text", "content": content}


def asked(api, *, binary=False, schemas=False, **arguments):
    """Return what is read of a call, as its JSON, each checked by its schema."""
    request = {
        "chat": Request("chat", "chat_completions", HERE),
        "responses": Request("chat", "responses", HERE),
        "completions": Request("text_completion", None, HERE),
        "embeddings": Request("embeddings", None, HERE),
        "fetch": Request("fetch_response", "responses", HERE),
    }[api]
    content = Redaction(binary=binary).content(
        read_request_content(request, arguments, schemas=schemas)
    )
    return {
        "system": check("gen_ai.system_instructions", serialize_parts(content.system)),
        "input": check("gen_ai.input.messages", serialize_messages(content.input)),
        "tools": check("gen_ai.tool.definitions", serialize_tools(content.tools)),
        "variables": dict(content.variables),
    }


def parts(api, content):
    """Return the parts of one message with this content."""
    name = "messages" if api == "chat" else "input"
    (message,) = asked(api, **{name: [{"role": "user", "content": content}]})["input"]
    assert message["role"] == "user"
    return message["parts"]


def test_the_schemas_are_schemas():
    for schema in (MESSAGES, SYSTEM, TOOLS):
        Draft202012Validator.check_schema(schema)


CHAT_PARTS = [
    ("Hello", [text("Hello")]),
    ("", []),
    (None, []),
    (7, []),
    ([{"type": "text", "text": "Hello"}, "bare"], [text("Hello"), text("bare")]),
    ([{"type": "refusal", "refusal": "No."}], [text("No.")]),
    ([{"type": "image_url", "image_url": {"url": PNG}}], [{**BLOB, "content": ""}]),
    (
        [{"type": "image_url", "image_url": {"url": "https://x/y.png?k=1"}}],
        [{"type": "uri", "modality": "image", "uri": "https://x/y.png"}],
    ),
    (
        [{"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "format": "wav"}}],
        [{**BLOB, "modality": "audio", "mime_type": "audio/wav", "content": ""}],
    ),
    (
        [{"type": "file", "file": {"file_id": "file-1"}}],
        [{"type": "file", "modality": "document", "file_id": "file-1"}],
    ),
    (
        [{"type": "file", "file": {"file_data": "data:application/pdf;base64,aGVsbG8="}}],
        [{**BLOB, "modality": "document", "mime_type": "application/pdf", "content": ""}],
    ),
    (
        [{"type": "file", "file": {"file_data": "aGVsbG8="}}],
        [{"type": "blob", "modality": "document", "content": "", "byte_size": 5}],
    ),
    ([{"type": "hologram", "hologram": "?"}, 7, None, {}], []),
]


@pytest.mark.parametrize(("content", "expected"), CHAT_PARTS)
def test_parts_of_a_chat_message(content, expected):
    assert parts("chat", content) == expected


RESPONSES_PARTS = [
    ([{"type": "input_text", "text": "Hello"}], [text("Hello")]),
    ([{"type": "output_text", "text": "Hello", "annotations": []}], [text("Hello")]),
    ([{"type": "input_image", "image_url": PNG, "detail": "low"}], [{**BLOB, "content": ""}]),
    (
        [{"type": "input_image", "file_id": "file-1"}],
        [{"type": "file", "modality": "image", "file_id": "file-1"}],
    ),
    (
        [{"type": "input_file", "file_url": "https://x/y.pdf"}],
        [{"type": "uri", "modality": "document", "uri": "https://x/y.pdf"}],
    ),
    (
        [{"type": "input_file", "file_id": "file-1", "filename": "a.pdf"}],
        [{"type": "file", "modality": "document", "file_id": "file-1"}],
    ),
]


@pytest.mark.parametrize(("content", "expected"), RESPONSES_PARTS)
def test_parts_of_a_message_to_responses(content, expected):
    assert parts("responses", content) == expected


def test_a_data_url_that_is_not_base64_becomes_a_blob_too():
    message = {"role": "user", "content": [{"type": "input_image", "image_url": "data:,a%20b"}]}
    (said,) = asked("responses", input=[message], binary=True)["input"]
    assert said["parts"] == [
        {"type": "blob", "modality": "image", "content": "YSBi", "byte_size": 3}
    ]


def test_bytes_are_recorded_if_asked_for():
    message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}
    (said,) = asked("chat", messages=[message], binary=True)["input"]
    assert said["parts"] == [{**BLOB, "content": "aGVsbG8="}]


CALL = {"type": "tool_call", "id": "call_1", "name": "weather", "arguments": {"city": "Paris"}}
CHAT_MESSAGES = [
    (
        {"role": "developer", "content": "Be short.", "name": "boss"},
        {"role": "developer", "parts": [text("Be short.")], "name": "boss"},
    ),
    (
        {
            "role": "assistant",
            "content": "Wait.",
            "reasoning_content": "Hm.",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
                },
                {"id": "call_2", "type": "custom", "custom": {"name": "sql", "input": "[1]"}},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "Hm."},
                text("Wait."),
                CALL,
                {"type": "tool_call", "id": "call_2", "name": "sql", "arguments": "[1]"},
            ],
        },
    ),
    (
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "assistant", "parts": [text("No.")]},
    ),
    (
        {"role": "assistant", "function_call": {"name": "old", "arguments": "not json"}},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "name": "old", "arguments": "not json"}],
        },
    ),
    (
        {"role": "assistant", "audio": {"id": "audio_1"}},
        {
            "role": "assistant",
            "parts": [{"type": "file", "modality": "audio", "file_id": "audio_1"}],
        },
    ),
    (
        {"role": "assistant", "audio": {"id": "audio_1", "transcript": "Rain."}},
        {"role": "assistant", "parts": [text("Rain.")]},
    ),
    (
        {"role": "tool", "tool_call_id": "call_1", "content": "rainy"},
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "call_1", "response": "rainy"}],
        },
    ),
    (
        {"role": "function", "name": "old", "content": "rainy"},
        {
            "role": "function",
            "parts": [{"type": "tool_call_response", "response": "rainy"}],
            "name": "old",
        },
    ),
]


@pytest.mark.parametrize(("message", "expected"), CHAT_MESSAGES)
def test_chat_messages(message, expected):
    assert asked("chat", messages=[message])["input"] == [expected]


def test_a_system_message_of_chat_is_no_system_instruction():
    found = asked("chat", messages=[{"role": "system", "content": "Be."}])
    assert found["input"] == [{"role": "system", "parts": [text("Be.")]}]
    assert found["system"] == []


ITEMS = [
    (
        {"type": "function_call", "call_id": "call_1", "name": "weather",
         "arguments": '{"city": "Paris"}'},
        ("assistant", [CALL]),
    ),
    (
        {"type": "function_call_output", "call_id": "call_1", "output": "rainy"},
        ("tool", [{"type": "tool_call_response", "id": "call_1", "response": "rainy"}]),
    ),
    (
        {"type": "function_call_output", "call_id": "call_1",
         "output": [{"type": "input_image", "image_url": PNG}]},
        ("tool", [{"type": "tool_call_response", "id": "call_1",
                   "response": [{**BLOB, "content": ""}]}]),
    ),
    (
        {"type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "{}"},
        ("assistant", [{"type": "tool_call", "id": "call_2", "name": "sql", "arguments": "{}"}]),
    ),
    (
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}],
         "content": [{"type": "reasoning_text", "text": "So."}], "encrypted_content": "gAAA"},
        ("assistant", [{"type": "reasoning", "content": "Hm."},
                       {"type": "reasoning", "content": "So."}]),
    ),
    (
        {"type": "computer_call", "call_id": "call_3", "action": {"type": "click", "x": 1}},
        ("assistant", [{"type": "tool_call", "id": "call_3", "name": "computer",
                        "arguments": {"type": "click", "x": 1}}]),
    ),
    (
        {"type": "apply_patch_call", "call_id": "call_5",
         "operation": {"type": "delete_file", "path": "a.py"}},
        ("assistant", [{"type": "tool_call", "id": "call_5", "name": "apply_patch",
                        "arguments": {"type": "delete_file", "path": "a.py"}}]),
    ),
    (
        {"type": "computer_call_output", "call_id": "call_3",
         "output": {"type": "computer_screenshot", "image_url": PNG}},
        ("tool", [{"type": "tool_call_response", "id": "call_3",
                   "response": [{**BLOB, "content": ""}]}]),
    ),
    (
        {"type": "local_shell_call_output", "id": "call_4", "output": '{"stdout": ""}'},
        ("tool", [{"type": "tool_call_response", "id": "call_4", "response": '{"stdout": ""}'}]),
    ),
    (
        {"type": "web_search_call", "id": "ws_1", "status": "completed",
         "action": {"type": "search", "query": "rain"}},
        ("assistant", [{"type": "server_tool_call", "id": "ws_1", "name": "web_search",
                        "server_tool_call": {"type": "web_search", "status": "completed",
                                             "action": {"type": "search", "query": "rain"}}}]),
    ),
    (
        {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["rain"],
         "results": [{"text": "It rains."}]},
        ("assistant", [
            {"type": "server_tool_call", "id": "fs_1", "name": "file_search",
             "server_tool_call": {"type": "file_search", "queries": ["rain"],
                                  "status": "completed"}},
            {"type": "server_tool_call_response", "id": "fs_1",
             "server_tool_call_response": {"type": "file_search",
                                           "results": [{"text": "It rains."}]}},
        ]),
    ),
    (
        {"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": "1",
         "container_id": "cntr_1", "outputs": [{"type": "logs", "logs": "1"}]},
        ("assistant", [
            {"type": "server_tool_call", "id": "ci_1", "name": "code_interpreter",
             "server_tool_call": {"type": "code_interpreter", "code": "1",
                                  "container_id": "cntr_1", "status": "completed"}},
            {"type": "server_tool_call_response", "id": "ci_1",
             "server_tool_call_response": {"type": "code_interpreter",
                                           "outputs": [{"type": "logs", "logs": "1"}]}},
        ]),
    ),
    (
        {"type": "message", "role": "user", "content": "Hello"},
        ("user", [{"type": "text", "content": "Hello"}]),
    ),
    (
        {"type": "image_generation_call", "id": "ig_1", "status": "completed",
         "result": "aGVs" * 100},
        ("assistant", [
            {"type": "server_tool_call", "id": "ig_1", "name": "image_generation",
             "server_tool_call": {"type": "image_generation", "status": "completed"}},
            {"type": "server_tool_call_response", "id": "ig_1",
             "server_tool_call_response": {"type": "image_generation", "result": "[300 bytes]"}},
        ]),
    ),
    (
        {"type": "mcp_call", "id": "mcp_1", "name": "roll", "server_label": "dice",
         "arguments": '{"n": 2}', "output": "7", "error": None},
        ("assistant", [
            {"type": "server_tool_call", "id": "mcp_1", "name": "roll",
             "server_tool_call": {"type": "mcp", "server_label": "dice", "arguments": {"n": 2}}},
            {"type": "server_tool_call_response", "id": "mcp_1",
             "server_tool_call_response": {"type": "mcp", "output": "7"}},
        ]),
    ),
    (
        {"type": "mcp_call", "id": "mcp_2", "name": "roll", "server_label": "dice",
         "arguments": "{}", "output": None, "error": "no dice"},
        ("assistant", [
            {"type": "server_tool_call", "id": "mcp_2", "name": "roll",
             "server_tool_call": {"type": "mcp", "server_label": "dice", "arguments": {}}},
            {"type": "server_tool_call_response", "id": "mcp_2",
             "server_tool_call_response": {"type": "mcp", "error": "no dice"}},
        ]),
    ),
    (
        {"type": "mcp_approval_response", "approval_request_id": "r_1", "approve": True},
        ("tool", [{"type": "server_tool_call_response",
                   "server_tool_call_response": {"type": "mcp_approval_response",
                                                 "approval_request_id": "r_1", "approve": True}}]),
    ),
    (
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"},
        ("assistant", [{"type": "compaction", "id": "cmp_1"}]),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("item", "expected"), ITEMS, ids=[item["type"] for item, _ in ITEMS])
def test_items_of_a_responses_input(item, expected):
    role, said = expected
    assert asked("responses", input=[item])["input"] == [{"role": role, "parts": said}]


@pytest.mark.parametrize(
    "item", [{"type": "item_reference", "id": "msg_1"}, {"type": "from_the_future"}, 7, None]
)
def test_an_item_that_says_nothing_we_know_is_no_message(item):
    assert asked("responses", input=[item])["input"] == []


def test_responses_have_instructions_and_variables():
    found = asked(
        "responses",
        instructions="Be short.",
        input="Hello",
        prompt={"id": "p", "variables": {"a": "x", "b": {"type": "input_text", "text": "y"}}},
    )
    assert found["system"] == [text("Be short.")]
    assert found["input"] == [{"role": "user", "parts": [text("Hello")]}]
    assert found["variables"] == {"a": "x", "b": "y"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"prompt": "One"}, [[text("One")]]),
        ({"prompt": ["One", "Two"]}, [[text("One")], [text("Two")]]),
        ({"prompt": "One", "suffix": "end"}, [[text("One"), text("end")]]),
        ({"prompt": [1, 2, 3]}, []),
        ({"prompt": [[1, 2], [3]]}, []),
        ({"prompt": ""}, []),
        ({}, []),
    ],
)
def test_prompts_of_completions(given, expected):
    said = asked("completions", **given)["input"]
    assert said == [{"role": "user", "parts": parts} for parts in expected]


FUNCTION = {"name": "f", "description": "Does.", "parameters": {"type": "object"}, "strict": True}
TOOL_ROWS = [
    ("chat", "tools", {"type": "function", "function": FUNCTION}, ("function", "f")),
    ("chat", "functions", FUNCTION, ("function", "f")),
    ("chat", "tools", {"type": "custom", "custom": {"name": "sql"}}, ("custom", "sql")),
    ("responses", "tools", {"type": "function", **FUNCTION}, ("function", "f")),
    ("responses", "tools", {"type": "web_search"}, ("web_search", "web_search")),
    ("responses", "tools", {"type": "mcp", "server_label": "dice"}, ("mcp", "dice")),
]


@pytest.mark.parametrize(("api", "name", "tool", "expected"), TOOL_ROWS)
def test_tools_are_recorded_by_type_and_name_only(api, name, tool, expected):
    kind, called = expected
    assert asked(api, **{name: [tool]})["tools"] == [{"type": kind, "name": called}]


def test_description_and_parameters_of_a_tool_are_recorded_if_asked_for():
    tool = {"type": "function", "function": FUNCTION}
    (found,) = asked("chat", tools=[tool, 7, {}], schemas=True)["tools"]
    assert found == {
        "type": "function", "name": "f", "description": "Does.", "parameters": {"type": "object"},
    }  # fmt: skip


@pytest.mark.parametrize("api", ["embeddings", "fetch"])
def test_some_requests_say_nothing(api):
    found = asked(api, input="secret", messages=[{"role": "user", "content": "secret"}])
    assert not any(found.values())


@pytest.mark.parametrize("api", ["chat", "responses", "completions"])
@pytest.mark.parametrize("value", [None, 7, object(), {}, {"role": 7}, [[]], [{"role": ""}]])
def test_nothing_that_is_given_breaks_the_reading(api, value):
    names = ("messages", "input", "prompt", "instructions", "tools", "functions", "suffix")
    found = asked(api, **dict.fromkeys(names, value))
    assert not any(found.values())


@pytest.mark.parametrize("said", ["data:canary canary", "data:text/canary canary;base64,aGVsbG8="])
def test_what_is_no_media_type_is_not_taken_for_one(said):
    """A media type is neither redacted nor capped."""
    (part,) = parts("chat", [{"type": "image_url", "image_url": {"url": said}}])
    assert "mime_type" not in part
    assert "canary" not in str(part)


def test_what_is_no_format_or_id_is_not_taken_for_one():
    sound = {"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "format": "a canary"}}
    upload = {"type": "file", "file": {"file_id": "a canary"}}
    assert "canary" not in str(parts("chat", [sound, upload]))
