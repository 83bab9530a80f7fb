"""The stack of examples/observability without Docker: Collector, Jaeger and Prometheus.

    make stack                              # the demo's calls, for ever; Ctrl-C ends everything
    make stack APP="python my_program.py"   # a program of yours instead
    make stack OTLP_HTTP_PORT=5318          # where a port is taken

The engines are built with Go, once: into .stack, or the folder that STACK_ENGINES names.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from .engines import ENGINES, SHOWN, StackError, build
from .programs import FILES, PORTS, Program, Stack, demo_settings, open_url

PAUSE = 5.0
"""Seconds between two lines of what has arrived."""
TOKENS = "sum by (tokentrail_usage_source) (tokentrail_usage_tokens_total)"


def main() -> int:
    """Build, and start what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="make stack", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--build", nargs="+", choices=[*ENGINES, "all"], help="only build these engines"
    )
    asked = parser.parse_args()
    engines = Path(os.environ.get("STACK_ENGINES") or ".stack")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        build(ENGINES if asked.build == ["all"] else asked.build or SHOWN, engines)
        if not asked.build:
            _run(engines, os.environ.get("APP"))
    except StackError as error:
        print(f"make stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130 if asked.build else 0
    return 0


def _run(engines: Path, command: str | None) -> None:
    ports = {name: int(os.environ.get(name) or port) for name, port in PORTS.items()}
    with (
        tempfile.TemporaryDirectory(prefix="tokentrail-stack-") as data,
        Stack(engines, Path(data), ports) as stack,
    ):
        print(_addresses(stack, command), flush=True)
        application = _application(stack, command)
        stack.programs["application"] = application
        while True:
            time.sleep(PAUSE)
            for program in stack.programs.values():
                if program is not application:
                    program.check()
            _show(stack, application)


def _application(stack: Stack, command: str | None) -> Program:
    """Start the demo's calls, or the user's program, told where to send."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": stack.otlp_url,
        "OTEL_METRIC_EXPORT_INTERVAL": "5000",
    }
    log = stack.data / "application.log"
    if command:
        name = {"OTEL_SERVICE_NAME": os.environ.get("OTEL_SERVICE_NAME", "app")}
        return Program(shlex.split(command), {**variables, **name}, log)
    return Program([sys.executable, str(FILES / "app.py")], {**variables, **demo_settings()}, log)


def _addresses(stack: Stack, command: str | None) -> str:
    service = os.environ.get("OTEL_SERVICE_NAME", "app") if command else "demo"
    tags = urlencode({"service": service, "tags": '{"tokentrail.usage.output.source":"counted"}'})
    query = urlencode({"query": TOKENS})
    return f"""\
OTLP        {stack.otlp_url} (HTTP), 127.0.0.1:{stack.ports["OTLP_GRPC_PORT"]} (gRPC)
Jaeger      {stack.jaeger_url}
              {stack.jaeger_url}/api/traces?{tags}
Prometheus  {stack.prometheus_url}
              {stack.prometheus_url}/api/v1/query?{query}
              {stack.prometheus_url}/api/v1/rules
{"running     " + command if command else "the demo's calls, for ever"}; Ctrl-C ends everything"""


def _show(stack: Stack, application: Program) -> None:
    """Say what has arrived, in place on a terminal."""
    with open_url(
        f"{stack.prometheus_url}/api/v1/query?{urlencode({'query': TOKENS})}", timeout=10
    ) as said:
        found = json.load(said)["data"]["result"]
    tokens = {one["metric"].get("tokentrail_usage_source", "?"): one["value"][1] for one in found}
    line = "tokens: " + (", ".join(f"{n} {source}" for source, n in tokens.items()) or "none yet")
    if application.process.poll() is not None:
        last = application.tail().rpartition("\n")[2]
        line += f"; the application ended ({application.process.returncode}): {last}"
    in_place = sys.stdout.isatty()
    print(f"\r{line}" if in_place else line, end="" if in_place else "\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
