"""The engines that `make verify-stack` builds, started with the files of the example."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.dashboards.server import Queries
from tests.stack.jaeger import Jaeger
from tests.stack.provider import Provider
from tests.waiting import wait_until
from tools.stack.fleet import free_ports, start_fleet
from tools.stack.programs import FILES, Program, Stack, demo_settings

from tokentrail.demo.scenes import SCENES
from tokentrail.testing.server import Server

NEEDING_OTLP = ("test_billing.py", "test_stack.py", "test_victoria.py")
collect_ignore = [] if find_spec("opentelemetry.exporter") else [*NEEDING_OTLP]

CALLS = 16
"""Operations in a round of the demo's scenes."""
ROUNDS = 60
KEPT = ("failed", "closed early", "cancelled", "approximated", "visible", "late", "costly", "slow")
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
        agent = start_fleet(stack)
        from tests.stack.calls import shop  # it needs the exporter, which only some have

        ending.enter_context(shop(f"{stack.otlp_url}/v1/metrics"))
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
