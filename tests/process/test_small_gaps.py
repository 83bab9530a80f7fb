"""Frozen programs, clocks that jump, deep JSON, deployments named at once, links that dangle."""

from __future__ import annotations

import importlib.metadata
import inspect
import itertools
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tokentrail
from tokentrail.apis import http_body
from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.call.recorder import Recorder
from tokentrail.cli import main
from tokentrail.content.parts import Content, Message, Uri
from tokentrail.content.redaction import Redaction
from tokentrail.model.records import Endpoint, Request, Response
from tokentrail.runtime import runtime
from tokentrail.support.bounded import BoundedCache
from tokentrail.testing.server import Plain, Server

NOWHERE = Endpoint("openai", None, None, "")


def test_openai_without_metadata_is_instrumented(monkeypatch):
    """As in a program that PyInstaller froze."""
    from openai.resources.chat.completions import Completions

    found = importlib.metadata.Distribution.from_name

    def from_name(name):
        if name == "openai":
            raise importlib.metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(importlib.metadata.Distribution, "from_name", from_name)
    bare = Completions.__dict__["create"]
    tokentrail.instrument()
    try:
        assert Completions.__dict__["create"] is not bare
    finally:
        tokentrail.uninstrument()


def test_an_end_is_never_before_its_start():
    clock = iter([10.0, 9.0, 8.0, 8.0]).__next__
    recorder = Recorder(Request("chat", None, NOWHERE), ChatAdapter(), None, clock, 5_000)
    operation = recorder.on_closed()
    assert (operation.duration, operation.end_time) == (0.0, 5_000)


SIZES = {"whole": 0, "its ends": http_body.MAX_PARSED_BYTES}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("way", ["raw", "text", "speech"])
async def test_json_that_is_too_deep_is_no_failure_of_ours(trail, driver, caplog, way, size):
    body = b'{"usage": ' + b"[" * 200_000 + b" " * SIZES[size]
    if way == "speech":  # only its end is looked at
        body = b" " * SIZES[size] + b'data: {"type": "speech.audio.done", "usage": ' + b"[" * 2_000
    kind = "text/plain" if way == "text" else "application/json"
    with Server(lambda call: Plain(body, headers={"content-type": kind})) as server:
        client = driver.client(server)
        if way == "speech":
            create, asked = client.audio.speech.create, {"voice": "ash", "input": "Hello"}
        else:
            create, asked = client.chat.completions.create, {"messages": []}
        if way == "raw":
            create = client.chat.completions.with_raw_response.create
        await driver.call(create, model="tts-1", **asked)
    assert trail.spans.one().end_time
    assert "tokentrail failed" not in caplog.text


def test_deployments_are_remembered_by_many_threads_at_once(trail):
    """Between any two steps of one thread, wherever Python may switch, another remembers one."""
    active, numbers = runtime.current(), itertools.count()
    ours = {inspect.getfile(type(active)), inspect.getfile(BoundedCache)}

    def meanwhile(frame, event, _):
        if frame.f_code.co_filename not in ours:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            active._models[("another", str(next(numbers)))] = "gpt-4o"
        return meanwhile

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 looks at it when tracing begins
    sys.settrace(meanwhile)
    try:
        for number in range(active._models.limit + 8):
            request = Request("chat", None, NOWHERE, f"deployment-{number}")
            active.remember(request, Response(model="gpt-4o"))
    finally:
        sys.settrace(before)
        sys._getframe().f_trace_opcodes = False
    assert next(numbers) > active._models.limit


@pytest.mark.parametrize(
    ("binary", "kept"),
    [(False, "https://x/cat.png"), (True, "https://x/cat.png?sig=secret#top")],
)
def test_a_signature_stays_out_of_addresses(binary, kept):
    message = Message("user", (Uri("image", "https://x/cat.png?sig=secret#top"),))
    content = Redaction(binary=binary).content(Content(input=(message,)))
    assert content.input[0].parts[0].uri == kept


FROM_A_ZIP = """
import sys
sys.path.insert(0, sys.argv[1])
import tokentrail
from tokentrail.cli import main
assert tokentrail.__file__.startswith(sys.argv[1])
sys.exit(main(["dashboards", sys.argv[2]]))
"""


def test_dashboards_are_written_from_a_zip(tmp_path):
    """As a program that zipapp or shiv made holds the package."""
    there, out = tmp_path / "app.zip", tmp_path / "out"
    source = Path(tokentrail.__file__).parent
    with zipfile.ZipFile(there, "w") as packed:
        for file in source.rglob("*"):
            if file.suffix in {".py", ".json", ".yml"}:
                packed.write(file, file.relative_to(source.parent))
    subprocess.run([sys.executable, "-c", FROM_A_ZIP, there, out], check=True, capture_output=True)
    shipped = source / "dashboards" / "tokentrail.json"
    assert (out / "tokentrail.json").read_bytes() == shipped.read_bytes()


def test_dashboards_are_not_written_through_a_dangling_link(tmp_path, capsys):
    assert main(["dashboards", str(tmp_path / "first")]) == 0
    name = min(path.name for path in (tmp_path / "first").iterdir())
    second = tmp_path / "second"
    second.mkdir()
    (second / name).symlink_to(tmp_path / "elsewhere")
    assert main(["dashboards", str(second)]) == 2
    assert not (tmp_path / "elsewhere").exists()
    assert main(["dashboards", str(second), "--force"]) == 0
    assert not (tmp_path / "elsewhere").exists()
    assert not (second / name).is_symlink()
