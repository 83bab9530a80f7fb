"""The commands of each example's README, in an environment made by its own pip line.

The packages come from an index, so these are slow; the wheel of this tree stands in for tokentrail.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
import venv

import httpx
import pytest
from tests.examples.conftest import ROOT
from tests.shared import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXPECTED = {
    "zero_code": ['"tokentrail.outcome": "closed_early"', '"gen_ai.usage.output_tokens"'],
    "budget": ["tokens, with a budget of 40"],
    "companion": ["source counted  outcome closed_early  (by tokentrail)"],
}
"""What the first command of each prints."""


def _run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


def _commands(example):
    text = (ROOT / "examples" / example / "README.md").read_text(encoding="utf-8")
    blocks = [block.replace("\\\n", " ").strip() for block in SHELL.findall(text)]
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def install(wheel, tmp_path, model):
    """Return what installs by a README's pip line, and gives the environment for its commands."""

    def install(line, folder):
        assert line.startswith("pip install ")
        venv.create(tmp_path, with_pip=True)
        _run(tmp_path / "bin" / "python", "-m", "pip", "install", "-qq", *_packages(line, folder))
        return {
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": model.base_url,
            "TOKENTRAIL_COUNT_TIMEOUT": "20",
        }

    def _packages(line, folder):
        words = shlex.split(line)[2:]
        if words[0] == "-r":
            words = (folder / words[1]).read_text(encoding="utf-8").splitlines()
        return [
            re.sub(r"^tokentrail(\[\w+\])?$", lambda found: f"{wheel}{found[1] or ''}", word)
            for word in words
        ]

    return install


@pytest.mark.parametrize("example", list(EXPECTED))
def test_its_commands_do_what_it_says(example, install, collector):
    pip, first, *others = _commands(example)
    folder = ROOT / "examples" / example
    environ = install(pip, folder)
    done = _run("sh", "-c", first, env=environ, cwd=folder)
    assert [words for words in EXPECTED[example] if words not in done.stdout] == []
    for command in others:  # those that export, to a Collector on loopback
        exported = command.replace("http://127.0.0.1:4318", collector.url)
        _run("sh", "-c", exported, env=environ, cwd=folder)
    if others:
        assert len(collector.spans()) == 3


def test_the_chat_service_serves_its_page_and_exports_an_answer(install, collector):
    pip, serve = _commands("chat_service")
    folder = ROOT / "examples" / "chat_service"
    environ = install(pip, folder)
    command, port = serve.replace("http://127.0.0.1:4318", collector.url), free_port()
    started = ["sh", "-c", f"exec env {command} --port {port}"]
    service, url = subprocess.Popen(started, env=environ, cwd=folder), f"http://127.0.0.1:{port}"
    try:
        assert "<html" in _page(url, service)
        asked = {"messages": [{"role": "user", "content": "Why does the sea taste of salt?"}]}
        assert "event: usage" in httpx.post(f"{url}/chat", json=asked, timeout=60).text
    finally:
        service.terminate()
        service.wait(60)
    spans = {span["name"]: span["attributes"] for span in collector.spans()}
    assert spans["chat gpt-4o-mini"]["gen_ai.usage.input_tokens"] == 15
    assert "POST /chat" in spans


def _page(url, service):
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert service.poll() is None, "the service did not start"
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(url, timeout=60).text
        time.sleep(0.1)
    return ""
