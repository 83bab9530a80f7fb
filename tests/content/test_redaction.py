"""The user's redaction, the cap and the missing bytes act on everything; the JSON stays whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.content.schemas import check

from tokentrail.content import (
    KINDS,
    Redaction,
    serialize_messages,
    serialize_parts,
    serialize_tools,
    to_json,
)
from tokentrail.content.parts import (
    Blob,
    Compaction,
    Content,
    File,
    Message,
    Reasoning,
    ServerToolCall,
    ServerToolResponse,
    Text,
    Tool,
    ToolCall,
    ToolResponse,
    Uri,
)
from tokentrail.support import guard

SECRET = "tiger-tiger"
PARTS = (
    Text(f"a {SECRET}"),
    Reasoning(f"b {SECRET}"),
    ToolCall("f", {"deep": [{"er": SECRET}]}, "1"),
    ToolCall("f", f"not json {SECRET}", "1"),
    ToolResponse(f"c {SECRET}", "1"),
    ToolResponse((Text(SECRET),), "1"),
    ToolResponse([SECRET], "1"),
    Blob("image", "image/png", "aGVsbG8=", 5),
    Uri("image", f"https://x/{SECRET}"),
    File("document", "file-1"),
    ServerToolCall("s", {"type": "s", "query": SECRET}),
    ServerToolResponse({"type": "s", "found": SECRET}),
    Compaction("cmp"),
)
WHOLE = Content(
    system=(Text(SECRET),),
    input=(Message("user", PARTS, SECRET),),
    output=(Message("assistant", PARTS),),
    tools=(Tool("function", "f", SECRET, {"enum": [SECRET]}),),
    variables=(("v", SECRET),),
)


def written(content: Content) -> dict[str, Any]:
    """Return the JSON of a content, read back and checked by its schemas."""
    found = {
        "gen_ai.system_instructions": serialize_parts(content.system),
        "gen_ai.input.messages": serialize_messages(content.input),
        "gen_ai.output.messages": serialize_messages(content.output),
        "gen_ai.tool.definitions": serialize_tools(content.tools),
    }
    return {name: check(name, json.loads(to_json(value))) for name, value in found.items()}


def everything(content: Content) -> str:
    return to_json([written(content), dict(content.variables)])


def test_without_rules_all_is_kept():
    assert everything(WHOLE).count(SECRET) == everything(Redaction().content(WHOLE)).count(SECRET)


def test_redaction_sees_every_text_with_its_kind():
    seen: dict[str, list[str]] = {}

    def redact(kind: str, text: str) -> str:
        seen.setdefault(kind, []).append(text)
        return text.replace(SECRET, "***")

    assert SECRET not in everything(Redaction(redact).content(WHOLE))
    assert set(seen) == set(KINDS) - {"error", "stop"}
    assert '{"deep":[{"er":"tiger-tiger"}]}' in seen["tool_arguments"]


def test_redacted_arguments_are_still_arguments():
    kept = Redaction(lambda _, text: text.replace(SECRET, "***")).content(WHOLE)
    assert kept.output[0].parts[2] == ToolCall("f", {"deep": [{"er": "***"}]}, "1")


@pytest.mark.parametrize("nothing", [None, 7, b"no"])
def test_what_redaction_returns_nothing_for_is_left_out(nothing):
    kept = Redaction(lambda *_: nothing).content(WHOLE)
    assert SECRET not in everything(kept)
    (message,) = written(kept)["gen_ai.output.messages"]
    assert [part["type"] for part in message["parts"]] == [
        "tool_call", "tool_call", "tool_call_response", "tool_call_response",
        "tool_call_response", "blob", "file", "server_tool_call", "server_tool_call_response",
        "compaction",
    ]  # fmt: skip
    assert message["parts"][0] == {"type": "tool_call", "id": "1", "name": "f"}


def test_a_redaction_that_raises_keeps_nothing(monkeypatch):
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(guard, "_logged", set())

    def redact(kind: str, text: str) -> str:
        raise ValueError(text)

    assert SECRET not in everything(Redaction(redact).content(WHOLE))


def test_a_cap_cuts_every_text_after_redaction():
    rules = Redaction(lambda _, text: text.replace(SECRET, "*" * 50), limit=12)
    kept = rules.content(WHOLE)
    assert rules.text("input", "x" * 12) == "x" * 12
    assert rules.text("input", "x" * 13) == "x" * 11 + "…"
    assert "*" * 12 not in everything(kept)
    (message,) = written(kept)["gen_ai.output.messages"]
    assert message["parts"][2]["arguments"] == '{"deep":[{"…'


@given(st.integers(1, 40))
def test_capped_content_is_valid_whatever_the_cap(limit):
    written(Redaction(limit=limit).content(WHOLE))


def test_bytes_are_recorded_by_their_size():
    (message,) = written(Redaction().content(WHOLE))["gen_ai.output.messages"]
    assert message["parts"][7] == {
        "type": "blob", "modality": "image", "mime_type": "image/png", "content": "",
        "byte_size": 5,
    }  # fmt: skip
    (message,) = written(Redaction(binary=True).content(WHOLE))["gen_ai.output.messages"]
    assert message["parts"][7]["content"] == "aGVsbG8="


def test_bytes_inside_arguments_are_recorded_by_their_size():
    url = "data:image/png;base64," + "aGVs" * 100
    rules = Redaction()
    assert rules.value("tool_arguments", {"a": [url]}) == {"a": ["[300 bytes]"]}
    assert Redaction(binary=True).value("tool_arguments", {"a": [url]}) == {"a": [url]}
