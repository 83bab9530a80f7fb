"""``opentelemetry-instrument python app.py``: nothing in the program, all of its calls told."""

from __future__ import annotations

import os
import subprocess

import pytest
from tests.process.auto import COMMAND, installed, json_objects

__all__ = ["installed"]

PROGRAM = """
import openai
assert "tokentrail" in sys.modules, "nobody loaded it"
stream = openai.OpenAI().chat.completions.create(stream=True, **ASKED)
for chunk in stream:
    pass
print("the program's own words")
"""

BARE = """
import openai
assert "tokentrail" not in sys.modules, "somebody loaded it"
for chunk in openai.OpenAI().chat.completions.create(stream=True, **ASKED):
    pass
print("the program's own words")
"""
HIDING = """
assert "openai" not in sys.modules
print("the program's own words")
"""

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not COMMAND.exists(), reason="no opentelemetry-instrument here"),
]


def _run(run, installed, program=PROGRAM, **changes):
    environment = run.environment(
        OTEL_TRACES_EXPORTER="console",
        OTEL_METRICS_EXPORTER="console",
        OTEL_LOGS_EXPORTER="none",
        OTEL_SERVICE_NAME="the-program",
        **changes,
    )
    environment["PYTHONPATH"] = os.pathsep.join((str(installed), environment["PYTHONPATH"]))
    return subprocess.run(
        [COMMAND, *run.command(program)],
        env=environment,
        cwd=run.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_a_program_without_instrumentation_of_its_own_is_recorded(run, installed):
    """Its first call, at the end of a script: span and metrics, counted, before all shuts down."""
    done = _run(run, installed)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the program's own words\n")
    objects = list(json_objects(done.stdout))
    (span,) = [found for found in objects if "context" in found]
    assert span["name"] == "chat gpt-4o"
    assert span["attributes"]["tokentrail.outcome"] == "completed"
    assert span["attributes"]["tokentrail.usage.output.source"] == "counted"
    assert span["attributes"]["gen_ai.usage.input_tokens"] == 13
    assert span["resource"]["attributes"]["service.name"] == "the-program"
    scopes = [
        scope
        for found in objects
        for resource in found.get("resource_metrics", ())
        for scope in resource["scope_metrics"]
    ]
    metrics = {
        m["name"] for s in scopes if s["scope"]["name"] == "tokentrail" for m in s["metrics"]
    }
    assert {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "gen_ai.client.operation.time_to_first_chunk",
        "tokentrail.usage.tokens",
    } <= metrics
    assert "tokentrail" not in done.stderr


def test_the_environment_can_switch_it_off(run, installed):
    done = _run(run, installed, TOKENTRAIL_DISABLED="true")
    assert done.returncode == 0, done.stderr
    assert [found for found in json_objects(done.stdout) if "context" in found] == []


def test_the_tools_own_switch_leaves_it_out(run, installed):
    """OTEL_PYTHON_DISABLED_INSTRUMENTATIONS names entry points."""
    environ = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "tokentrail"}
    done = _run(run, installed, program=BARE, **environ)
    assert done.returncode == 0, done.stderr
    assert [found for found in json_objects(done.stdout) if "context" in found] == []


def test_a_disabled_sdk_leaves_the_program_alone(run, installed):
    done = _run(run, installed, OTEL_SDK_DISABLED="true")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "the program's own words\n"


def test_without_openai_a_program_starts_and_is_not_recorded(run, installed):
    """The tool finds that what is to be instrumented is not there, and goes on."""
    metadata = installed / "tokentrail-0.0.1.dist-info" / "METADATA"
    wanting = metadata.read_text(encoding="utf-8").replace("openai >= 1.40, < 4", "openai-not-here")
    metadata.write_text(wanting, encoding="utf-8")
    done = _run(run, installed, program=HIDING)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("the program's own words\n")
