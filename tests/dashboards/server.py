"""A real Prometheus, and applications that it scrapes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import pytest
from tests.dashboards.scenes import ENVIRONMENT, VERSION
from tests.dashboards.shipped import ROOT, RULES
from tests.waiting import wait_until

PROMOTED = ["deployment.environment.name", "service.version"]
"""Resource attributes that become labels, for two variables of the dashboard."""
PROMOTED_LABELS = {"deployment_environment_name": ENVIRONMENT, "service_version": VERSION}
_open = build_opener(ProxyHandler({})).open


def program(name: str) -> str:
    """Return the path of a program that `make verify-dashboards` builds; skip where it did not."""
    engines = os.environ.get("REQUIRE_ENGINES")
    if not engines:
        pytest.skip(f"there is no {name}: make verify-dashboards builds it, with Go")
    return str(Path(engines).absolute() / name)


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@dataclass
class Application:
    """A process of application.py."""

    vocabulary: str
    receiver: str
    """Where it sends metrics by OTLP, once it is asked to."""
    traces: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.dashboards.application", self.vocabulary, self.receiver],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TOKENTRAIL_STRICT": "1"},
        )
        self.port: int | None = None
        """Of the pull exporter, once the first round was played."""

    def begin(self, what: str = "play") -> None:
        """Have a round played, which :meth:`finish` waits for; "send": begin to send by OTLP."""
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()

    def finish(self) -> None:
        """Wait until the round was played and told."""
        if self.port is None:
            self.port = self._next_value()["pull"]
        self.traces.update(self._next_value()["traces"])

    def _next_value(self) -> Any:
        line = self.process.stdout.readline()
        assert line, f"the application ended: {self.process.wait(5)}"
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


class Queries:
    """Asks the Prometheus at ``url``, or what speaks its language."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **parameters: Any) -> Any:
        """Return the data of an answer of the HTTP API."""
        query = urlencode(parameters, doseq=True)
        with _open(f"{self.url}/api/v1/{path}?{query}", timeout=10) as said:
            answer = json.load(said)
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, expr: str, at: float) -> dict[frozenset[tuple[str, str]], float]:
        """Return the values of a query, by labels without the metric's name."""
        found = self.ask("query", query=expr, time=at)["result"]
        return {
            frozenset((k, v) for k, v in one["metric"].items() if k != "__name__"): float(
                one["value"][1]
            )
            for one in found
        }

    def samples(self, selector: str, at: float) -> list[tuple[dict[str, str], list[Any]]]:
        """Return the series of a selector, each with its samples of the last five minutes."""
        found = self.ask("query", query=f"{selector}[5m]", time=at)["result"]
        return [(one["metric"], one["values"]) for one in found]


class Prometheus(Queries):
    """A server with a data folder of its own and the shipped rules, that scrapes applications.

    ``rules``: more files of rules.
    """

    def __init__(
        self, folder: Path, port: int, applications: list[Application], *rules: Path
    ) -> None:
        super().__init__(f"http://127.0.0.1:{port}")
        config = folder / "prometheus.yml"
        config.write_text(json.dumps(_config(applications, rules)), "utf-8")  # JSON is YAML
        self._log = (folder / "log").open("w", encoding="utf-8")
        self.process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-otlp-receiver",
                "--enable-feature=exemplar-storage",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        wait_until(self._is_ready, "Prometheus is ready")

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, Path(self._log.name).read_text("utf-8")
        with suppress(URLError, ConnectionError), _open(f"{self.url}/-/ready", timeout=5) as said:
            return said.status == 200
        return False

    def close(self) -> None:
        """End the process."""
        self.process.terminate()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()
            self._log.close()


def _config(applications: list[Application], rules: tuple[Path, ...]) -> dict[str, Any]:
    scrapes = [
        {
            "job_name": f"pull-{application.vocabulary}",
            "static_configs": [
                {"targets": [f"127.0.0.1:{application.port}"], "labels": PROMOTED_LABELS}
            ],
        }
        for application in applications
    ]
    return {
        "global": {
            "scrape_interval": "500ms",
            "scrape_timeout": "500ms",
            "evaluation_interval": "500ms",
        },
        "otlp": {"promote_resource_attributes": PROMOTED},
        "rule_files": [str(path) for path in (RULES, *rules)],
        "scrape_configs": scrapes,
    }
