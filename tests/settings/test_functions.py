"""Functions of the user's own, named in the environment: imported late, and never to do harm."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tokentrail
from tokentrail.config import read_settings
from tokentrail.diagnosis import findings as doctor
from tokentrail.testing.payloads import Answer, chat
from tokentrail.testing.server import Plain, Server

MINE = """
def redact(kind, text):
    return text.replace("canary", "*")

def asked(span, arguments):
    span.set_attribute("mine.asked", arguments["model"])

def answered(span, answer):
    span.set_attribute("mine.answered", type(answer).__name__)

async def later(kind, text):
    return text
"""
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "a canary sings"}]}
ANSWER = Answer(("so does this canary",))
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
HOOK = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Put a module where Python finds it; give its name."""
    (tmp_path / "mine_of_this_test.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "broken_of_this_test.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "mine_of_this_test"
    sys.modules.pop("mine_of_this_test", None)


@pytest.fixture
def ask(driver):
    with Server(lambda _: Plain(chat.completion(ANSWER))) as server:
        client = driver.client(server)
        yield lambda: driver.call(client.chat.completions.create, **ASKED)


async def test_functions_of_the_environment_are_called(trail, ask, mine, monkeypatch):
    monkeypatch.setenv("TOKENTRAIL_REDACT", f"{mine}:redact")
    monkeypatch.setenv("TOKENTRAIL_REQUEST_HOOK", f"{mine}:asked")
    monkeypatch.setenv("TOKENTRAIL_RESPONSE_HOOK", f"{mine}:answered")
    assert mine not in sys.modules
    trail.instrument(capture_content="SPAN_AND_EVENT")
    await ask()
    attributes = trail.spans.attributes()
    assert "a * sings" in attributes["gen_ai.input.messages"]
    assert "so does this *" in attributes["gen_ai.output.messages"]
    assert attributes["mine.asked"] == "gpt-4o"
    assert attributes["mine.answered"] == "ChatCompletion"
    assert "canary" not in str(trail.logs.one("operation.details"))


@pytest.mark.parametrize(
    "named",
    [
        "{mine}:gone",
        "{mine}:later",
        "{mine}:__doc__",
        "{mine}",
        "gone_of_this_test:redact",
        "broken_of_this_test:redact",
    ],
)
async def test_without_its_redact_no_content_is_recorded(
    trail, ask, mine, monkeypatch, caplog, unsaid, named
):
    """Neither on spans nor in events, nor to the completion hook; the call is told as ever."""
    named = named.format(mine=mine)
    monkeypatch.setenv("TOKENTRAIL_REDACT", named)
    monkeypatch.setenv(HOOK, "upload")
    trail.instrument(capture_content="SPAN_AND_EVENT", capture_binary=True, emit_event=True)
    from tokentrail.runtime import runtime

    assert not runtime.current().emitter.captures_content
    assert not runtime.current().emitter.has_hook
    await ask()
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "completed"
    assert not [name for name in attributes if "messages" in name]
    assert "canary" not in str([attributes, trail.logs.all()])
    (warning,) = [record for record in caplog.records if record.name == "tokentrail"]
    assert f"TOKENTRAIL_REDACT={named!r}" in warning.getMessage()
    assert warning.getMessage().endswith("No content is recorded.")


async def test_an_argument_is_in_for_a_redact_that_is_missing(trail, ask, monkeypatch):
    monkeypatch.setenv("TOKENTRAIL_REDACT", "gone_of_this_test:redact")
    trail.instrument(capture_content="SPAN_ONLY", redact=lambda _, text: text.upper())
    await ask()
    assert "A CANARY SINGS" in trail.spans.attributes()["gen_ai.input.messages"]


async def test_without_its_hook_a_call_is_recorded_as_always(
    trail, ask, mine, monkeypatch, caplog, unsaid
):
    monkeypatch.setenv("TOKENTRAIL_REQUEST_HOOK", f"{mine}:later")
    trail.instrument()
    await ask()
    assert trail.spans.attributes()["tokentrail.outcome"] == "completed"
    (warning,) = [record for record in caplog.records if record.name == "tokentrail"]
    assert "never awaited here" in warning.getMessage()


def test_an_argument_may_be_a_name_and_raises_if_it_does_not_exist(mine):
    assert read_settings({"redact": f"{mine}:redact"}, {}).redact("input", "canary") == "*"
    with pytest.raises(ValueError, match=r"redact='.*' is not allowed \(.* has no gone\)"):
        tokentrail.instrument(redact=f"{mine}:gone")


@pytest.mark.parametrize("by_argument", [True, False])
def test_where_it_is_disabled_nothing_is_imported(mine, by_argument):
    environ = {"TOKENTRAIL_REDACT": f"{mine}:redact"}
    if not by_argument:
        environ["TOKENTRAIL_DISABLED"] = "true"
    settings = read_settings({"disabled": True} if by_argument else {}, environ)
    assert settings.disabled
    assert mine not in sys.modules


def test_the_doctor_shows_the_function(mine):
    found = doctor.examine({"TOKENTRAIL_REDACT": f"{mine}:redact"})
    (redact,) = [setting for setting in found.settings if setting.name == "redact"]
    assert (redact.value, redact.source) == (f"{mine}:redact", "TOKENTRAIL_REDACT")
    assert found.problems == ()


def test_the_doctor_says_why_it_cannot_be_had(mine):
    found = doctor.examine({"TOKENTRAIL_REDACT": "broken_of_this_test:redact"})
    (redact,) = [setting for setting in found.settings if setting.name == "redact"]
    assert redact.value == "no content is recorded"
    (problem,) = found.problems
    assert "broken_of_this_test cannot be imported: ZeroDivisionError" in problem


PROGRAM = """
import sys
import tokentrail
assert "mine_of_this_test" not in sys.modules
tokentrail.instrument()
assert "mine_of_this_test" in sys.modules
assert not {"openai", "tiktoken"} & sys.modules.keys()
"""


def test_it_is_imported_when_instrumenting_and_the_client_is_not(mine, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env={"TOKENTRAIL_REDACT": f"{mine}:redact", CAPTURE: "SPAN_ONLY", "PYTHONPATH": tmp_path},
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )
    assert done.returncode == 0, done.stderr
