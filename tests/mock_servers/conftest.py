"""Mock servers of OpenAI that others wrote, each installed in an environment of its own.

The environments are kept in .nox/mock-servers and made once for each version.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import venv
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.mock_servers.table import MOCK_SERVERS, MockServer
from tests.shared import free_port

ENVIRONMENTS = Path(__file__).parents[2] / ".nox" / "mock-servers"
STARTING = 20.0
"""Seconds until a server must take connections."""


@dataclass(frozen=True)
class RunningServer:
    """A server that runs; the `driver` makes clients of it as of our own."""

    facts: MockServer
    url: str

    @property
    def base_url(self) -> str:
        """What the client of OpenAI takes as its base URL."""
        return f"{self.url}/v1"


def _install(facts):
    """Return the Python of an environment that holds the package."""
    requirement = f"{facts.package}=={facts.version}"
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


def _await_connection(port, process, log):
    end = time.monotonic() + STARTING
    while time.monotonic() < end and process.poll() is None:
        with closing(socket.socket()) as connecting:
            if connecting.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"the server does not listen:\n{log.read_text()}")


@contextmanager
def _serving(facts, folder):
    python, port = _install(facts), free_port()
    for name, text in facts.files.items():
        (folder / name).write_text(text)
    # mockllm would load rank files for tiktoken: it is not to get out, and counts words instead.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(python), *(part.format(port=port) for part in facts.command)],
            cwd=folder,
            env=os.environ | nowhere,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        _await_connection(port, process, log)
        yield RunningServer(facts, f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def serving(tmp_path_factory):
    """Return what starts a mock server where it does not run yet; all are stopped in the end."""
    running = {}
    with ExitStack() as stack:

        def serving(facts):
            if facts.package not in running:
                folder = tmp_path_factory.mktemp("mock-server")
                running[facts.package] = stack.enter_context(_serving(facts, folder))
            return running[facts.package]

        yield serving


@pytest.fixture(params=MOCK_SERVERS, ids=str)
def mock_server(request, serving):
    """Run the test against each mock server that can be installed here, or those that it names."""
    return serving(request.param)
