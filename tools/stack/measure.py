"""What a Collector takes for a thousand spans a second, without content and with it.

    make verify-stack                                          # builds the engines
    PYTHONPATH=tools:. .venv/bin/python -m stack.measure       # some six minutes

Real spans of calls, under new ids, are sent by OTLP/HTTP in batches of 500 to the Collector of the
stack, then to an agent with a gateway behind it. CPU and memory are those that /proc has of each
program: means and peaks after the first half minute, in which a gateway fills up.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from tools import measure_scaling

from .fleet import free_ports, start_fleet
from .programs import Program, Stack, open_url

RATE, BATCH = 1000, 500
WARM, MEASURED = 35, 45
"""Seconds."""
WORDS = 600
"""Of the prompt, where content is told."""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """Spans to be sent over and over: an encoded request, and its size."""

    name: str
    request: Any

    @property
    def weight(self) -> float:
        """Bytes of one span."""
        return self.request.ByteSize() / BATCH

    def fresh(self) -> bytes:
        """Return the request under new ids, its calls having ended now."""
        now = time.time_ns()
        for resource in self.request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    span.trace_id, span.span_id = os.urandom(16), os.urandom(8)
                    took = span.end_time_unix_nano - span.start_time_unix_nano
                    span.start_time_unix_nano, span.end_time_unix_nano = now - took, now
        encoded: bytes = self.request.SerializeToString()
        return encoded


def load(name: str, **settings: Any) -> Load:
    """Return a batch of spans of real calls, streams among them."""
    asked = "Plan a quiet day in the old town. " * (WORDS // 8)
    with measure_scaling.told(count_verification_ratio=0.0, **settings) as (client, spans, _):
        for number in range(BATCH):
            answer = client.chat.completions.create(
                model=measure_scaling.MODEL,
                messages=[{"role": "user", "content": asked}],
                stream=number % 2 == 0,
            )
            for _ in answer if number % 2 == 0 else ():
                pass
        measure_scaling.tokentrail.flush(60.0)
        return Load(name, encode_spans(spans.get_finished_spans()))


def send(load: Load, url: str, programs: dict[str, Program]) -> dict[str, tuple[float, float]]:
    """Send at the rate; return the CPUs that each program used, and its peak of memory in MB."""
    begun = time.monotonic()
    before: dict[str, float] = {}
    peaks = dict.fromkeys(programs, 0.0)
    for number in range((WARM + MEASURED) * RATE // BATCH):
        time.sleep(max(0.0, begun + number * BATCH / RATE - time.monotonic()))
        headers = {"content-type": "application/x-protobuf"}
        with open_url(Request(f"{url}/v1/traces", load.fresh(), headers), timeout=30):  # noqa: S310 - ours
            pass
        if time.monotonic() - begun < WARM:
            continue
        before = before or {name: _seconds(each) for name, each in programs.items()}
        peaks = {name: max(peaks[name], _megabytes(each)) for name, each in programs.items()}
    took = time.monotonic() - begun - WARM
    return {
        name: ((_seconds(each) - before[name]) / took, peaks[name])
        for name, each in programs.items()
    }


def _seconds(program: Program) -> float:
    fields = Path(f"/proc/{program.process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _megabytes(program: Program) -> float:
    lines = Path(f"/proc/{program.process.pid}/status").read_text("utf-8").splitlines()
    (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(resident) / 1000


def main() -> None:
    """Print the table of the page."""
    engines = Path(os.environ.get("STACK_ENGINES") or ".stack")
    loads = [load("without content"), load("with content", capture_content="span_only")]
    print(f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}\n")
    print(
        "| spans | bytes of a span | program | CPUs | memory, MB |\n| --- | --- | --- | --- | --- |"
    )
    for each in loads:
        # new ones for each: what a program was once is not what it takes
        with (
            tempfile.TemporaryDirectory() as data,
            Stack(engines, Path(data), free_ports()) as stack,
        ):
            agent = start_fleet(stack)
            for url, names in (
                (stack.otlp_url, ["collector"]),
                (agent, ["agent", "gateway"]),
            ):
                programs = {name: stack.programs[name] for name in names}
                for name, (cpus, memory) in send(each, url, programs).items():
                    start = f"| {each.name} | {each.weight:,.0f} | {name}"
                    print(f"{start} | {cpus:.2f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
