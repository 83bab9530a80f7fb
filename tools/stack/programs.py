"""The stack without containers: the same configuration files, on loopback, by their variables."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from .engines import ROOT, StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILES = ROOT / "examples" / "observability"
HOST = "127.0.0.1"
PORTS = {
    "OTLP_GRPC_PORT": 4317,
    "OTLP_HTTP_PORT": 4318,
    "COLLECTOR_METRICS_PORT": 8888,
    "JAEGER_PORT": 16686,
    "JAEGER_QUERY_PORT": 16685,
    "JAEGER_OTLP_PORT": 14317,
    "PROMETHEUS_PORT": 9090,
}
"""The variables that move a port, and where it is without."""
PATIENCE = 60.0
"""Seconds that a program may take to be ready."""

open_url = build_opener(ProxyHandler({})).open
"""Opens a URL of this machine, whatever the environment says of proxies."""


def answers(url: str) -> bool:
    """Whether a server answers there with success."""
    with suppress(URLError, OSError), open_url(url, timeout=5) as said:
        return bool(said.status == HTTPStatus.OK)
    return False


class Program:
    """One program of the stack, in a session of its own: Ctrl-C does not reach it, we end it."""

    def __init__(self, command: list[str], variables: Mapping[str, str], log: Path) -> None:
        self.name = Path(command[0]).name
        self.log = log
        with log.open("a", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Return once it is ready; raise where it ended, or was not ready in time."""
        until = time.monotonic() + PATIENCE
        while not is_ready():
            self.check()
            if time.monotonic() > until:
                message = f"{self.name} is not ready after {PATIENCE:.0f} s:\n{self.tail()}"
                raise StackError(message)
            time.sleep(0.1)

    def check(self) -> None:
        """Raise if it has ended."""
        if self.process.poll() is not None:
            message = f"{self.name} ended ({self.process.returncode}):\n{self.tail()}"
            raise StackError(message)

    def tail(self) -> str:
        """Return the end of what it wrote."""
        return "\n".join(self.log.read_text("utf-8", errors="replace").splitlines()[-12:])

    def stop(self, patience: float = 20.0) -> None:
        """End it and what it started: asked first, then without asking."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Stack:
    """Collector, Jaeger and Prometheus, started on entering and ended on leaving.

    ``engines``: where they were built; ``data``: where they keep what they are sent, and logs.
    """

    def __init__(self, engines: Path, data: Path, ports: Mapping[str, int] = PORTS) -> None:
        self.engines, self.data, self.ports = engines.absolute(), data, dict(ports)
        self.jaeger_url = f"http://{HOST}:{ports['JAEGER_PORT']}"
        self.prometheus_url = f"http://{HOST}:{ports['PROMETHEUS_PORT']}"
        self.otlp_url = f"http://{HOST}:{ports['OTLP_HTTP_PORT']}"
        self.programs: dict[str, Program] = {}

    @property
    def variables(self) -> dict[str, str]:
        """What the configuration files read from the environment."""
        return {
            "LISTEN": HOST,
            "JAEGER_OTLP": f"{HOST}:{self.ports['JAEGER_OTLP_PORT']}",
            "JAEGER_UI": str(FILES / "jaeger-ui.json"),
            "PROMETHEUS": self.prometheus_url,
            **{name: str(port) for name, port in self.ports.items()},
        }

    def __enter__(self) -> Stack:
        """Start all three, each once what it sends to is there."""
        check_ports(self.ports)
        try:
            self.start_prometheus()
            self.start("jaeger", "jaeger.yaml", lambda: answers(f"{self.jaeger_url}/api/services"))
            self.start_collector()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End what was started, the last first: what is under way arrives."""
        for program in reversed(self.programs.values()):
            program.stop()

    def start_prometheus(self) -> None:
        """Start Prometheus, with the switches that compose.yaml has."""
        command = [
            str(self.engines / "prometheus"),
            f"--config.file={FILES / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self.data / 'prometheus'}",
            f"--web.listen-address={HOST}:{self.ports['PROMETHEUS_PORT']}",
            "--web.enable-otlp-receiver",
            "--enable-feature=exemplar-storage",
        ]
        program = self._run("prometheus", command)
        program.wait_until(lambda: answers(f"{self.prometheus_url}/-/ready"))

    def start_collector(self) -> None:
        """Start the Collector; again, where it was stopped."""
        self.start("collector", "collector.yaml", lambda: listens(self.ports["OTLP_HTTP_PORT"]))

    def start(self, engine: str, config: str, is_ready: Callable[[], bool], **more: str) -> Program:
        """Start an engine with a file of the example, and wait until it is ready."""
        name = Path(config).stem
        command = [str(self.engines / engine), "--config", str(FILES / config)]
        program = self._run(name, command, **more)
        program.wait_until(is_ready)
        return program

    def _run(self, name: str, command: list[str], **more: str) -> Program:
        variables = {**self.variables, **more}
        self.programs[name] = Program(command, variables, self.data / f"{name}.log")
        return self.programs[name]


def demo_settings() -> dict[str, str]:
    """Return the settings of the demo, of the file that compose.yaml reads."""
    lines = (FILES / "demo.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def check_ports(ports: Mapping[str, int]) -> None:
    """Raise where a port is taken, naming the variable that moves it."""
    for name, port in ports.items():
        with socket.socket() as trying:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trying.bind((HOST, port))
            except OSError as error:
                message = (
                    f"port {port} is taken: end what listens there, or choose another with {name}="
                )
                raise StackError(message) from error


def listens(port: int) -> bool:
    """Whether a server takes connections there."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False
