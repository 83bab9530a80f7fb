"""A real backend: Arize Phoenix, which takes traces by OTLP and gives them back by REST."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

from tests.waiting import wait_until

PATIENCE = 240.0
"""Seconds for its first start, which makes a database, on a slow machine."""
_open = build_opener(ProxyHandler({})).open


class Phoenix:
    """A server on loopback with a folder of its own; it calls nobody."""

    def __init__(self, program: str, folder: Path) -> None:
        ports = _free_ports()
        self.url = f"http://127.0.0.1:{ports[0]}"
        self.traces = f"{self.url}/v1/traces"
        self._log = folder / "phoenix.log"
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [str(Path(program).absolute()), "serve"],
                cwd=folder,
                env={**os.environ, **_environment(folder, *ports)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(self._is_ready, "Phoenix is ready", patience=PATIENCE)
        except BaseException:
            self.close()
            raise

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            message = f"Phoenix ended:\n{self._log.read_text('utf-8')}"
            raise RuntimeError(message)
        with suppress(URLError, ConnectionError):
            return bool(self.ask("projects"))
        return False

    def ask(self, path: str) -> list[dict[str, Any]]:
        """Return the data of an answer of the REST API."""
        with _open(f"{self.url}/v1/{path}", timeout=30) as said:
            data: list[dict[str, Any]] = json.load(said)["data"]
        return data

    def spans(self, count: int) -> list[dict[str, Any]]:
        """Return the spans of the default project, once there are so many, oldest first."""

        def stored() -> list[dict[str, Any]]:
            found = self.ask("projects/default/spans?limit=1000")
            return found if len(found) >= count else []

        found = wait_until(stored, f"{count} spans", patience=PATIENCE)
        return sorted(found, key=lambda span: span["start_time"])

    def filtered(self, condition: str) -> list[str]:
        """Return the names of the spans that its page would list for a filter."""
        asked = {
            "query": "query($id: ID!, $condition: String) { node(id: $id) { ... on Project {"
            " spans(filterCondition: $condition, first: 100) { edges { node { name } } } } } }",
            "variables": {"id": self.ask("projects")[0]["id"], "condition": condition},
        }
        headers = {"content-type": "application/json"}
        request = Request(f"{self.url}/graphql", json.dumps(asked).encode(), headers)  # noqa: S310 - its own address
        with _open(request, timeout=30) as said:
            edges = json.load(said)["data"]["node"]["spans"]["edges"]
        return sorted(edge["node"]["name"] for edge in edges)

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _environment(folder: Path, http: int, grpc: int) -> dict[str, str]:
    return {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(http),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }


def _free_ports() -> list[int]:
    sockets = [socket.socket(), socket.socket()]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
