"""``examples/zero_code``: an unchanged program, seen on the console and by a Collector."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.process.auto import COMMAND, installed, json_objects

__all__ = ["installed"]

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not COMMAND.exists(), reason="no opentelemetry-instrument here"),
]

ENDINGS = ["completed", "completed", "closed_early"]
SOURCES = ["reported", "counted", "counted"]


@pytest.fixture
def run(examples, environment, installed):
    """Run the program as its README says, with these variables."""

    def run(**variables):
        path = os.pathsep.join((str(installed), environment["PYTHONPATH"]))
        program = examples / "zero_code" / "app.py"
        return subprocess.run(
            [COMMAND, sys.executable, program],
            env={**environment, "PYTHONPATH": path, "OTEL_SERVICE_NAME": "zero-code", **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )

    return run


def test_it_is_seen_on_the_console(run):
    done = run(OTEL_TRACES_EXPORTER="console", OTEL_METRICS_EXPORTER="console")
    assert done.returncode == 0, done.stderr
    said = list(json_objects(done.stdout))
    told = [each["attributes"] for each in said if "context" in each]
    assert sorted(t["tokentrail.outcome"] for t in told) == sorted(ENDINGS)
    assert any("resource_metrics" in each for each in said)


def test_it_is_seen_by_a_collector(run, collector):
    done = run(
        OTEL_TRACES_EXPORTER="otlp",
        OTEL_METRICS_EXPORTER="otlp",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
    )
    assert done.returncode == 0, done.stderr
    told = [span["attributes"] for span in collector.spans()]
    assert [t["tokentrail.outcome"] for t in told] == ENDINGS
    assert [t["tokentrail.usage.output.source"] for t in told] == SOURCES
    assert all(t["gen_ai.usage.output_tokens"] > 0 for t in told)
    (span, *_) = collector.spans()
    assert span["resource"]["service.name"] == "zero-code"


def test_the_program_is_as_it_is_without(examples, environment, run):
    bare = subprocess.run(
        [sys.executable, Path(examples) / "zero_code" / "app.py"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    assert run(OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none").stdout == bare.stdout
