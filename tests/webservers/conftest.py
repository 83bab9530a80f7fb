"""Web servers in processes of their own, whose applications pass a model's stream on."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import pytest
from tests.frameworks.results import pytest_deselected, pytest_sessionfinish  # noqa: F401 - hooks
from tests.shared import free_port

from tokentrail.testing.model import Model
from tokentrail.testing.server import Server, Stream, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APPS = Path(__file__).parent / "apps"
PATIENCE = 40.0
"""Seconds until what must happen has happened, on a machine that has much else to do."""


def eventually(found: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Return what ``found`` returns as soon as it is true."""
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"no {what} within {seconds} s"
        time.sleep(0.05)
    return value


@dataclass
class Talker:
    """A model that says one word after the other until it is told to finish."""

    finish: Flag = field(default_factory=Flag)
    sent: int = 0
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        model = Model()

        def respond(call):
            reply = model(call)
            endless = "x-endless" in call.headers
            return Stream(self._words(list(reply.steps))) if endless else reply

        self.server = Server(respond)

    def _words(self, steps: list[Any]) -> Iterator[Any]:
        opening, word, *_, last, done = steps
        yield opening
        while not self.finish.is_set():
            self.sent += 1
            yield word
            yield Wait(0.05)
        yield last
        yield done


@dataclass
class Web:
    """A server that runs, and what its processes exported."""

    process: subprocess.Popen[str]
    port: int
    told: Path
    log: Path

    def get(self, query: str = "") -> http.client.HTTPResponse:
        """Return the answer to a request, unread."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", f"/stream{query}", headers={"Connection": "close"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return answer

    def spans(self) -> list[dict[str, Any]]:
        """Return the spans that were exported by now."""
        text = self.told.read_text() if self.told.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def calls(self) -> list[dict[str, Any]]:
        """Return those of tokentrail."""
        return [span for span in self.spans() if span["scope"] == "tokentrail"]

    def call(self, count: int = 1) -> dict[str, Any]:
        """Return the last of so many calls, once it is exported."""
        eventually(lambda: len(self.calls()) >= count, f"span of a call\n{self.log.read_text()}")
        calls = self.calls()
        assert len(calls) == count
        return calls[-1]

    def above(self, span: dict[str, Any]) -> dict[str, Any]:
        """Return the parent of a span, once it is exported."""
        spans = eventually(
            lambda: [each for each in self.spans() if each["id"] == span["parent"]],
            "span of a request",
        )
        return spans[0]

    def stop(self, by: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(by)

    def await_end(self) -> None:
        """Wait for the process to end."""
        self.process.wait(PATIENCE)


def _listens(port: int) -> bool:
    with contextlib.closing(socket.socket()) as connecting:
        return connecting.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def talker() -> Iterator[Talker]:
    """Give the model."""
    talker = Talker()
    with talker.server:
        yield talker
        talker.finish.set()
    assert talker.server.failures == []


@pytest.fixture
def serve(tmp_path, talker) -> Iterator[Callable[..., Web]]:
    """Start servers, each in a process group of its own, and end what is left of them."""
    running = []

    def serve(*command: str) -> Web:
        port, log = free_port(), tmp_path / "log"
        told = tmp_path / "told.jsonl"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(APPS), os.environ.get("PYTHONPATH", ""))),
            "OPENAI_API_KEY": "k",
            "OPENAI_BASE_URL": talker.server.base_url,
            "SPANS_FILE": str(told),
            "TOKENTRAIL_COUNT_TIMEOUT": "20",
        }
        with log.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", *(part.format(port=port) for part in command)],
                cwd=tmp_path,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running.append(process)
        eventually(lambda: process.poll() is not None or _listens(port), "server")
        assert process.poll() is None, log.read_text()
        return Web(process, port, told, log)

    yield serve
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
