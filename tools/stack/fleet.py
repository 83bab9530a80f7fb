"""An agent and a gateway, of the files in examples/observability/gateway, beside the stack."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from typing import Any

import yaml

from .programs import FILES, HOST, PORTS, Stack, listens


def free_ports() -> dict[str, int]:
    """Return a free port for each variable of the stack."""
    with ExitStack() as held:
        sockets = {name: held.enter_context(socket.socket()) for name in PORTS}
        for each in sockets.values():
            each.bind((HOST, 0))
        return {name: each.getsockname()[1] for name, each in sockets.items()}


def start_fleet(stack: Stack) -> str:
    """Start a gateway, and an agent before it; return where applications send.

    The gateway sends to the Jaeger and the Prometheus of the stack.
    """
    gateway, agent = free_ports(), free_ports()
    addresses = {
        "TRACES": f"{HOST}:{stack.ports['JAEGER_OTLP_PORT']}",
        "METRICS": f"{stack.prometheus_url}/api/v1/otlp",
        "HOSTNAME": "gateway-1",
    }
    grpc, http = gateway["OTLP_GRPC_PORT"], agent["OTLP_HTTP_PORT"]
    own = {name: str(port) for name, port in gateway.items()}
    stack.start("collector", "gateway/gateway.yaml", lambda: listens(grpc), **addresses, **own)
    own = {name: str(port) for name, port in agent.items()}
    config = stack.data / "agent.yaml"
    config.write_text(json.dumps(agent_of_one_gateway(f"{HOST}:{grpc}")), "utf-8")
    stack.start("collector", str(config), lambda: listens(http), **addresses, **own)
    return f"http://{HOST}:{http}"


def agent_of_one_gateway(address: str) -> dict[str, Any]:
    """Return agent.yaml for one gateway: with the exporter that ``loadbalancing`` wraps.

    ``loadbalancing`` itself needs a Go module that is not to be had; all other settings are those
    of the file.
    """
    config: dict[str, Any] = yaml.safe_load((FILES / "gateway/agent.yaml").read_text("utf-8"))
    wrapper = config["exporters"].pop("loadbalancing")
    settings = {**wrapper["protocol"]["otlp"], "endpoint": address}
    for name in ("retry_on_failure", "sending_queue"):
        settings[name] = wrapper[name]
    config["exporters"]["otlp_grpc"] = settings
    config["service"]["pipelines"]["traces"]["exporters"] = ["otlp_grpc"]
    return config
