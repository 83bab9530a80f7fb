"""Imitations of OpenAI's server that others wrote, each installed in an environment of its own.

The environments are kept in .nox/imitations and made once for each version.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import venv
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ENVIRONMENTS = Path(__file__).parents[2] / ".nox" / "imitations"
SAID = "A small answer that is the same each time."
STARTING = 20.0
"""Seconds until a server must take connections."""


@dataclass(frozen=True)
class Imitation:
    """A package, how its server is started, and when its streams bear usage."""

    package: str
    version: str
    command: tuple[str, ...]
    """What follows its Python; ``{port}`` stands for the port."""
    usage: str
    """On a stream: ``never``, ``asked``, or ``always``, asked or not."""
    files: dict[str, str] = field(default_factory=dict)
    """What it wants to find in the folder in which it starts."""

    def __str__(self) -> str:
        return self.package


IMITATIONS = (
    Imitation(
        "fakellm",
        "0.3.5",
        ("-m", "fakellm.cli", "serve", "--port", "{port}"),
        "never",
        {"fakellm.yaml": "version: 1\ndefaults: {fallback: deterministic_echo}\nrules: []\n"},
    ),
    Imitation(
        "mockllm",
        "0.0.8",
        ("-m", "uvicorn", "mockllm.server:app", "--port", "{port}"),
        "never",
        {"responses.yml": f"responses: {{}}\ndefaults: {{unknown_response: '{SAID}'}}\n"},
    ),
    Imitation(
        "llmock",
        "0.2.2",
        ("-m", "uvicorn", "llmock.main:app", "--port", "{port}"),
        "asked",
    ),
    Imitation(
        "llm-mock-api",
        "0.1.2",
        ("-m", "llm_mock_api.cli", "start", "--port", "{port}", "--latency", "0", "-f", SAID),
        "always",
    ),
    Imitation(
        "mock-ai-api",
        "0.1.1",
        ("-m", "uvicorn", "app.openai_app:app", "--port", "{port}"),
        "always",
    ),
)


@dataclass(frozen=True)
class Imitated:
    """A server that runs; the `driver` makes clients of it as of our own."""

    imitation: Imitation
    url: str

    @property
    def base_url(self) -> str:
        """What the client of OpenAI takes as its base URL."""
        return f"{self.url}/v1"


def _install(imitation):
    """Return the Python of an environment that holds the package."""
    requirement = f"{imitation.package}=={imitation.version}"
    folder = ENVIRONMENTS / requirement
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = folder / "installed"
    if not stamp.exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--quiet", requirement]
        ended = subprocess.run(install, capture_output=True, text=True, check=False)
        if ended.returncode:
            pytest.skip(f"{requirement} cannot be installed: {ended.stderr.splitlines()[-1:]}")
        stamp.touch()
    return python


def _free_port():
    with closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def _await_connection(port, process, log):
    end = time.monotonic() + STARTING
    while time.monotonic() < end and process.poll() is None:
        with closing(socket.socket()) as connecting:
            if connecting.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"the server does not listen:\n{log.read_text()}")


@contextmanager
def _serving(imitation, folder):
    python, port = _install(imitation), _free_port()
    for name, text in imitation.files.items():
        (folder / name).write_text(text)
    # mockllm would load rank files for tiktoken: it is not to get out, and counts words instead.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(python), *(part.format(port=port) for part in imitation.command)],
            cwd=folder,
            env=os.environ | nowhere,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_connection(port, process, log)
        yield Imitated(imitation, f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session", params=IMITATIONS, ids=str)
def imitated(request, tmp_path_factory):
    """Run the test against each imitation that can be installed here."""
    with _serving(request.param, tmp_path_factory.mktemp("imitation")) as imitated:
        yield imitated
