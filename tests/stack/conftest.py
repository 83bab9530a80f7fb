"""The engines that `make verify-stack` builds, started with the files of the example."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.dashboards.server import Queries
from tests.stack.jaeger import Jaeger
from tests.stack.provider import Provider
from tests.waiting import wait_until
from tools.stack.programs import FILES, HOST, PORTS, Program, Stack, demo_settings, listens

from tokentrail.demo.scenes import SCENES
from tokentrail.testing.server import Server

CALLS = 16
"""Operations in a round of the demo's scenes."""
ROUNDS = 60
KEPT = ("failed", "broken off", "cancelled", "approximated", "visible", "late", "costly", "slow")
"""Kinds of calls of which the gateway keeps every trace: one for each policy, and two for some."""
OF_EACH, OTHERS = 3, 600


@dataclass(frozen=True)
class Seen:
    """What runs, and who was called."""

    stack: Stack
    jaeger: Jaeger
    prometheus: Queries
    provider: Provider


@pytest.fixture(scope="session")
def engines():
    """Give the folder of the engines; skip where they were not built."""
    folder = os.environ.get("REQUIRE_ENGINES")
    if not folder:
        pytest.skip("there are no engines: make verify-stack builds them, with Go")
    return Path(folder)


def free_ports() -> dict[str, int]:
    """Return a free port for each variable of the stack."""
    with ExitStack() as held:
        sockets = {name: held.enter_context(socket.socket()) for name in PORTS}
        for each in sockets.values():
            each.bind((HOST, 0))
        return {name: each.getsockname()[1] for name, each in sockets.items()}


@pytest.fixture(scope="session")
def seen(engines, tmp_path_factory):
    """Give the stack while the demo calls, after a load and what went through the gateway.

    The load's Collector is away for two seconds, and both programs end right after their calls.
    """
    with ExitStack() as ending:
        stack = Stack(engines, tmp_path_factory.mktemp("stack"), free_ports())
        ending.enter_context(stack)
        provider = Provider()
        server = ending.enter_context(Server(provider))
        _program(stack, "demo", [str(FILES / "app.py")], stack.otlp_url, demo_settings())
        agent = _start_fleet(stack)
        through = {**dict.fromkeys(KEPT, OF_EACH), "plain kind": OTHERS}
        sampled = _calls(stack, "sampled", server, agent, through)
        load = dict.fromkeys((scene.name for scene in SCENES), ROUNDS)
        loaded = _calls(stack, "load", server, stack.otlp_url, load)
        wait_until(
            lambda: provider.answered > ROUNDS * CALLS / 3, "a third of the load", patience=200
        )
        assert loaded.process.poll() is None, loaded.tail()
        stack.programs["collector"].stop()
        time.sleep(2)
        stack.start_collector()
        for program in (loaded, sampled):
            assert program.process.wait(300) == 0, program.tail()
            assert "Traceback" not in program.tail(), program.tail()
        assert not server.failures
        yield Seen(stack, Jaeger(stack.jaeger_url), Queries(stack.prometheus_url), provider)


def _calls(stack, name: str, server: Server, endpoint: str, kinds: dict[str, int]) -> Program:
    wanted = [f"{kind}={number}" for kind, number in kinds.items()]
    return _program(stack, name, ["-m", "tests.stack.program", server.url, *wanted], endpoint, {})


def _program(stack, name: str, what: list[str], endpoint: str, settings: dict[str, str]) -> Program:
    """Start a Python program that tells its calls to ``endpoint``, as the service ``name``."""
    variables = {
        **settings,
        "OTEL_SERVICE_NAME": name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    }
    program = Program([sys.executable, *what], variables, stack.data / f"{name}.log")
    stack.programs[name] = program
    return program


def _start_fleet(stack: Stack) -> str:
    """Start the gateway, and an agent before it; return where applications send."""
    gateway, agent = free_ports(), free_ports()
    addresses = {
        "TRACES": f"{HOST}:{stack.ports['JAEGER_OTLP_PORT']}",
        "METRICS": f"{stack.prometheus_url}/api/v1/otlp",
        "HOSTNAME": "gateway-1",
    }
    own = {name: str(port) for name, port in gateway.items()}
    grpc = gateway["OTLP_GRPC_PORT"]
    stack.start("collector", "gateway/gateway.yaml", lambda: listens(grpc), **addresses, **own)
    own = {name: str(port) for name, port in agent.items()}
    config = stack.data / "agent.yaml"
    config.write_text(json.dumps(agent_of_one_gateway(f"{HOST}:{grpc}")), "utf-8")
    http = agent["OTLP_HTTP_PORT"]
    stack.start("collector", str(config), lambda: listens(http), **addresses, **own)
    return f"http://{HOST}:{http}"


def agent_of_one_gateway(address: str) -> dict:
    """Return agent.yaml for one gateway: loadbalancing, which cannot be built, is what it wraps."""
    config = yaml.safe_load((FILES / "gateway" / "agent.yaml").read_text("utf-8"))
    wrapper = config["exporters"].pop("loadbalancing")
    settings = {**wrapper["protocol"]["otlp"], "endpoint": address}
    for name in ("retry_on_failure", "sending_queue"):
        settings[name] = wrapper[name]
    config["exporters"]["otlp_grpc"] = settings
    config["service"]["pipelines"]["traces"]["exporters"] = ["otlp_grpc"]
    return config
