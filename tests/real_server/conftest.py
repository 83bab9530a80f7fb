"""A real model server: llama.cpp's own, with a model of random weights, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("serve.py")
NEEDED = ("gguf", "numpy", "xllamacpp")


@dataclass(frozen=True)
class Served:
    """Where a server listens; the `driver` makes clients of it as of our own."""

    url: str

    @property
    def base_url(self) -> str:
        """What the client of OpenAI takes as its base URL."""
        return f"{self.url}/v1"


@contextmanager
def _serving(task, log):
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} on this platform")
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, str(SCRIPT), task],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        url = process.stdout.readline().strip()
        assert url, f"the server did not start:\n{log.read_text()}"
        try:
            yield Served(url)
        finally:
            process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


@pytest.fixture(scope="session")
def chat_server(tmp_path_factory):
    """Serve chat, completions and responses."""
    with _serving("chat", tmp_path_factory.mktemp("real") / "chat.log") as served:
        yield served


@pytest.fixture(scope="session")
def embedding_server(tmp_path_factory):
    """Serve embeddings: llama.cpp does so in a server that does nothing else."""
    with _serving("embedding", tmp_path_factory.mktemp("real") / "embedding.log") as served:
        yield served
