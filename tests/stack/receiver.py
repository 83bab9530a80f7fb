"""Runs an example, and keeps what it tells by OTLP."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.examples.collector import Collector

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Told:
    """What arrived."""

    spans: list[dict[str, Any]]
    metrics: set[str]


def run_application(program: Path, settings: dict[str, str], *, slow: float) -> Told:
    """Return what a round of calls tells, with the variables that ``settings`` has."""
    with Collector() as collector:
        environment = {
            **os.environ,
            **settings,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        }
        arguments = ["--rounds", "1", "--pause", "0", "--delay", "0.002", "--slow", str(slow)]
        done = subprocess.run(
            [sys.executable, program, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        metrics = {
            metric.name
            for request in collector.received
            for resource in getattr(request, "resource_metrics", ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }
        return Told(collector.spans(), metrics)
