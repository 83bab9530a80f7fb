"""The ecosystem's completion hook is given what is said, in opentelemetry-util-genai's types."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import time
from typing import Any

import openai
import pytest

import tokentrail
from tokentrail.support import guard
from tokentrail.testing.payloads import Answer, ToolCall, chat
from tokentrail.testing.server import Plain, Stream

HOOK = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"
MESSAGES = [
    {"role": "system", "content": "Be short."},
    {"role": "user", "content": [
        {"type": "text", "text": "tiger-tiger?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}]},
]  # fmt: skip
TOOLS = [{"type": "function", "function": {"name": "f", "description": "Does."}},
         {"type": "custom", "custom": {"name": "g"}}]  # fmt: skip
ANSWER = Answer(("tiger-tiger it is.",), tool_calls=(ToolCall("f", '{"a": 1}', "call_1"),))


@dataclasses.dataclass
class Heard:
    """A hook that keeps what it hears, and may write or raise."""

    calls: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    raises: Exception | None = None

    def on_completion(self, **said: Any) -> None:
        self.calls.append(said)
        if self.raises is not None:
            raise self.raises
        said["span"].set_attribute("hook.ref", "there")
        if said["log_record"] is not None:
            said["log_record"].attributes = {**said["log_record"].attributes, "hook.ref": "there"}


@pytest.fixture
def util():
    return pytest.importorskip("opentelemetry.util.genai.types")


@pytest.fixture
def heard(util, monkeypatch) -> Heard:
    """Give a hook that stands among the entry points as "mine"."""
    from opentelemetry.util.genai import completion_hook

    heard = Heard()
    point = type("Point", (), {"name": "mine", "load": lambda _: lambda: heard})()
    monkeypatch.setattr(completion_hook, "entry_points", lambda group: [point])
    monkeypatch.setenv(HOOK, "mine")
    return heard


async def ask(driver, serve, *, stream=False, **options):
    reply = Stream(chat.chunks(ANSWER)) if stream else Plain(chat.completion(ANSWER))
    create = driver.client(serve(reply)).chat.completions.create
    given = {"model": "gpt-4o", "messages": MESSAGES, "tools": TOOLS, "stream": stream, **options}
    answer = await driver.call(create, **given)
    return await driver.read(answer) if stream else answer


@pytest.mark.parametrize("stream", [False, True])
async def test_the_hook_gets_the_content(driver, serve, trail, heard, util, stream):
    """Also with capture off: naming a hook is the user's choice; nothing is told elsewhere."""
    trail.instrument(capture_binary=True)
    await ask(driver, serve, stream=stream)
    span = trail.spans.one()
    (said,) = heard.calls
    assert said["inputs"] == [
        util.InputMessage("system", [util.TextPart("Be short.")]),
        util.InputMessage(
            "user",
            [util.TextPart("tiger-tiger?"), util.BlobPart("image/png", "image", b"hello")],
        ),
    ]
    assert said["outputs"] == [
        util.OutputMessage(
            "assistant",
            [
                util.TextPart("tiger-tiger it is."),
                util.ToolCallRequestPart(arguments={"a": 1}, name="f", id="call_1"),
            ],
        )
    ]
    assert said["system_instruction"] == []
    assert said["tool_definitions"] == [
        util.FunctionToolDefinition("f", None, None), util.GenericToolDefinition("g", "custom")
    ]  # fmt: skip
    assert said["log_record"] is None
    assert span.attributes["hook.ref"] == "there"
    assert "tiger" not in span.to_json()


async def test_what_the_hook_writes_is_recorded(driver, serve, trail, heard):
    trail.instrument(capture_content="EVENT_ONLY")
    await ask(driver, serve)
    assert trail.spans.one().attributes["hook.ref"] == "there"
    assert trail.logs.one("operation.details").attributes["hook.ref"] == "there"


async def test_rules_act_on_what_the_hook_hears(driver, serve, trail, heard):
    trail.instrument(redact=lambda _, text: text.replace("tiger", "*****"), content_max_chars=12)
    await ask(driver, serve)
    assert trail.spans.one()
    (said,) = heard.calls
    assert "tiger" not in repr(said)
    assert said["inputs"][1].parts[1].content == b""
    assert said["outputs"][0].parts[0].content == "*****-*****…"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_hook_that_asks_a_model_is_not_recorded(
    driver, serve, trail, heard, monkeypatch, stream
):
    """Recorded, its call would run it again."""
    there = serve(Plain(chat.completion(ANSWER)))

    def on_completion(**said: Any) -> None:
        heard.calls.append(said)
        with openai.OpenAI(api_key="no-secret", base_url=there.base_url) as client:
            client.chat.completions.create(model="gpt-4o", messages=MESSAGES)

    monkeypatch.setattr(heard, "on_completion", on_completion)
    trail.instrument()
    await ask(driver, serve, stream=stream)
    assert trail.spans.one()
    assert (len(heard.calls), len(there.calls)) == (1, 1)


async def test_every_kind_of_part_has_a_type_of_theirs(util, heard):
    from tests.content.test_redaction import WHOLE

    from tokentrail.telemetry.completion_hook import load

    hook = load()
    assert hook is not None
    hook.completed(WHOLE, _Span(), None)
    (said,) = heard.calls
    for part in (*said["inputs"][0].parts, *said["outputs"][0].parts):
        assert type(part).__module__ == util.__name__
        json.dumps(dataclasses.asdict(part), default=str)


class _Span:
    def set_attribute(self, *_: object) -> None:
        """Take it."""


async def test_a_hook_that_raises_does_no_harm(driver, serve, trail, heard, caplog):
    heard.raises = ValueError("no")
    trail.instrument(capture_content="SPAN_AND_EVENT")
    answer = await ask(driver, serve)
    assert answer.choices
    assert "gen_ai.output.messages" in trail.spans.attributes()
    assert trail.logs.one("operation.details")


@pytest.mark.parametrize("name", ["nobody", ""])
async def test_a_hook_that_is_not_installed_is_no_hook(
    driver, serve, trail, util, monkeypatch, name
):
    monkeypatch.setenv(HOOK, name)
    trail.instrument()
    from tokentrail.runtime import runtime

    assert not runtime.current().emitter.captures_content
    await ask(driver, serve)
    assert trail.spans.one()


async def test_an_upload_without_a_path_is_no_hook(driver, serve, trail, util, monkeypatch):
    """Theirs is a no-op then, in a guard: nothing is gathered for it."""
    monkeypatch.setenv(HOOK, "upload")
    trail.instrument()
    from tokentrail.runtime import runtime

    assert not runtime.current().emitter.captures_content
    await ask(driver, serve)
    assert trail.spans.one()


async def test_without_the_package_a_warning_says_so(driver, serve, trail, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "opentelemetry.util.genai", None)
    monkeypatch.setattr(guard, "_logged", set())
    monkeypatch.setenv(HOOK, "upload")
    trail.instrument()
    await ask(driver, serve)
    assert trail.spans.one()
    (warning,) = [record for record in caplog.records if record.name == "tokentrail"]
    assert "opentelemetry-util-genai" in warning.getMessage()


async def test_the_upload_hook_stores_the_content(
    driver, serve, trail, util, monkeypatch, tmp_path
):
    pytest.importorskip("fsspec")
    monkeypatch.setenv(HOOK, "upload")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_UPLOAD_BASE_PATH", str(tmp_path))
    trail.instrument()
    await ask(driver, serve)
    attributes = trail.spans.attributes()
    tokentrail.uninstrument()
    place = attributes["gen_ai.output.messages_ref"].removeprefix("file://")
    deadline = time.monotonic() + 5
    stored: list[Any] = []
    while not stored and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
        for path in tmp_path.iterdir():
            if str(path) == place and path.stat().st_size:
                stored = json.loads(path.read_text())
    assert stored[0]["role"] == "assistant"
    assert stored[0]["parts"][0] == {"content": "tiger-tiger it is.", "type": "text"}
