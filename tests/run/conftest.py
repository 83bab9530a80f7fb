"""Programs under ``tokentrail run``, as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parents[2] / "src"
ASK = """
import openai, os, sys
client = openai.OpenAI(max_retries=0)
def ask(model="gpt-4o-mini", **more):
    said = [{"role": "user", "content": "Why is the sea salt?"}]
    return client.chat.completions.create(model=model, messages=said, **more)
"""
"""What each program begins with: a client, and one question."""


@dataclass
class Programs:
    """Writes programs and runs them, bare or under ``tokentrail run``."""

    folder: Path
    environ: dict[str, str]

    def write(self, source: str, name: str = "app.py") -> Path:
        path = self.folder / name
        path.write_text(ASK + textwrap.dedent(source), encoding="utf-8")
        return path

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "tokentrail", "run", *map(str, words)]

    def run(self, *words: object, code: int = 0, bare: bool = False, **more):
        command = [sys.executable, *map(str, words)] if bare else self.command(*words)
        done = subprocess.run(
            command,
            **{"env": self.environ, "cwd": self.folder, "timeout": 50, "input": "", **more},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def record(self, *words: object, code: int = 0) -> list[dict]:
        """Return the lines of ``--record`` of a run that shows nothing."""
        path = self.folder / "calls.jsonl"
        done = self.run("--quiet", "--record", path, *words, code=code)
        assert done.stderr == ""
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def programs(tmp_path) -> Iterator[Programs]:
    """Give programs that call a model on loopback."""
    with Server(Model()) as server:
        environ = {
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "PYTHONIOENCODING": "utf-8",
            "OPENAI_API_KEY": "no-secret",
            "OPENAI_BASE_URL": server.base_url,
            # A busy machine may take longer than the default to build the first encoding.
            "TOKENTRAIL_COUNT_TIMEOUT": "20",
            "TOKENTRAIL_COUNT_VERIFICATION_RATIO": "0",
        }
        yield Programs(tmp_path, environ)
