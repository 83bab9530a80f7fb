"""Programs of their own: what a process does at its beginning, its end, and in its children."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.testing.server import Server

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
PREAMBLE = "from readback import *\n"


@dataclass
class Program:
    """A program that was run: what it told, what it said, and how it ended."""

    code: int
    out: str
    err: str
    spans: list[dict[str, Any]] = field(default_factory=list)

    @property
    def said(self) -> list[Any]:
        """Return what the program printed, a JSON value a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def one(self) -> dict[str, Any]:
        """Return the attributes of the only span of the program."""
        assert len(self.spans) == 1, f"one span was expected, not {self.spans}\n{self.err}"
        return self.spans[0]["attributes"]


@dataclass
class Runner:
    """Runs programs against a server; they may use what ``readback.py`` has."""

    folder: Path
    server: Server
    count: int = 0

    def environment(self, **changes: str) -> dict[str, str]:
        """Return the environment of a program."""
        path = os.pathsep.join((str(SOURCE), str(HERE)))
        return {
            **os.environ,
            "PYTHONPATH": path,
            "OPENAI_API_KEY": "no-secret",
            "OPENAI_BASE_URL": self.server.base_url,
            "AZURE_URL": self.server.url,
            "SPANS_FILE": str(self.folder / f"spans{self.count}.jsonl"),
            "TOKENTRAIL_COUNT_VERIFICATION_RATIO": "0",
            # A busy machine may take longer than the default to build the first encoding.
            "TOKENTRAIL_COUNT_TIMEOUT": "20",
            **changes,
        }

    def command(self, source: str, *options: str, preamble: str = PREAMBLE) -> list[str]:
        """Return the command that runs this text."""
        path = self.folder / f"program{self.count}.py"
        path.write_text(preamble + textwrap.dedent(source), encoding="utf-8")
        return [sys.executable, *options, str(path)]

    def __call__(
        self,
        source: str,
        *,
        code: int = 0,
        preamble: str = PREAMBLE,
        timeout: float = 40,
        **changes: str,
    ) -> Program:
        """Run this text as a program that ends with ``code``."""
        self.count += 1
        environment = self.environment(**changes)
        done = subprocess.run(
            self.command(source, preamble=preamble),
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return Program(done.returncode, done.stdout, done.stderr, self.spans())

    def spans(self) -> list[dict[str, Any]]:
        """Return the spans that the last program exported."""
        path = self.folder / f"spans{self.count}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]


@pytest.fixture
def server() -> Iterator[Server]:
    """Give a model that answers; who asks it to stall gets four chunks and waits for the fifth."""
    from tokentrail.testing.model import Model
    from tokentrail.testing.server import Server, Stream, Wait

    model = Model()

    def respond(call):
        reply = model(call)
        if "x-stall" not in call.headers:
            return reply
        steps = list(reply.steps)
        return Stream([*steps[:4], Wait(20), *steps[4:]])

    with Server(respond) as server:
        yield server
    assert server.failures == []


@pytest.fixture
def run(tmp_path, server) -> Runner:
    """Run a program in a process of its own."""
    return Runner(tmp_path, server)
