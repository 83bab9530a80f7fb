"""``opentelemetry-instrument`` where things come in another order, or come twice."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys

import pytest
from opentelemetry.instrumentation.auto_instrumentation import _load
from tests.process.auto import COMMAND, installed, json_objects

__all__ = ["installed"]

PROGRAM = """
import openai
for chunk in openai.OpenAI().chat.completions.create(stream=True, **ASKED):
    pass
"""
METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: 0.0.1\n"

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not COMMAND.exists(), reason="no opentelemetry-instrument here"),
]


def _register(installed, name, entry_points, module=""):
    """Make a further distribution with these entry points, and a module of that name."""
    folder = installed / f"{name}-0.0.1.dist-info"
    folder.mkdir()
    (folder / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    (folder / "METADATA").write_text(METADATA.format(name), encoding="utf-8")
    (installed / f"{name}.py").write_text(module, encoding="utf-8")


def _run(run, installed, command, **changes):
    environment = run.environment(
        OTEL_TRACES_EXPORTER="console",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        **changes,
    )
    environment["PYTHONPATH"] = os.pathsep.join((str(installed), environment["PYTHONPATH"]))
    done = subprocess.run(
        [COMMAND, *command],
        env=environment,
        cwd=run.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tokentrail" not in done.stderr
    return done


def _one(done):
    (span,) = [found for found in json_objects(done.stdout) if "context" in found]
    assert span["name"] == "chat gpt-4o"
    assert span["attributes"]["gen_ai.usage.input_tokens"] == 13
    assert span["attributes"]["tokentrail.usage.output.source"] == "counted"


def test_openai_may_have_been_imported_and_used_before(run, installed):
    """By an entry point that the tool loads before any instrumentation."""
    early = """
import openai
client = openai.OpenAI(api_key="no-secret")
create = client.chat.completions.create
client.embeddings
def load():
    assert "tokentrail.patching.install" not in __import__("sys").modules
"""
    _register(installed, "early", "[opentelemetry_pre_instrument]\nearly = early:load\n", early)
    _one(_run(run, installed, run.command(PROGRAM)))


def test_providers_may_be_set_after_all_instrumentations(run, installed):
    """By an entry point that the tool loads last: what was handed out before is a proxy."""
    (installed / "distro-0.0.1.dist-info" / "entry_points.txt").write_text("", encoding="utf-8")
    late = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
def load():
    assert "tokentrail.patching.install" in sys.modules
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    trace.set_tracer_provider(provider)
"""
    _register(installed, "late", "[opentelemetry_post_instrument]\nlate = late:load\n", late)
    _one(_run(run, installed, run.command(PROGRAM)))


def test_an_entry_point_that_stands_twice_instruments_once(run, installed):
    """As where a package is installed in two places of the path."""
    points = (installed / "tokentrail-0.0.1.dist-info" / "entry_points.txt").read_text("utf-8")
    _register(installed, "twice", points.replace("tokentrail =", "tokentrail_again ="))
    _one(_run(run, installed, run.command(PROGRAM)))


def test_one_that_instruments_in_its_own_program_too_is_recorded_once(run, installed):
    program = "import tokentrail\ntokentrail.instrument()\n" + PROGRAM
    _one(_run(run, installed, run.command(program)))


def test_another_that_fails_leaves_the_program_running(run, installed):
    """A broken instrumentation ends the tool's loading, before or after ours; no call is lost."""
    broken = "class Broken:\n    def __init__(self):\n        raise ValueError\n"
    _register(installed, "aaa", "[opentelemetry_instrumentor]\naaa = aaa:Broken\n", broken)
    environment = run.environment(OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none")
    environment["PYTHONPATH"] = os.pathsep.join((str(installed), environment["PYTHONPATH"]))
    done = subprocess.run(
        [COMMAND, *run.command(PROGRAM + "print('done')\n")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.parametrize("name", ["urllib3, tokentrail", "*"])
def test_the_tools_own_switch_takes_lists(run, installed, name):
    if f'"{name}"' not in inspect.getsource(_load) and name == "*":
        pytest.skip("this opentelemetry-instrument knows names alone")
    program = PROGRAM + 'assert "tokentrail" not in sys.modules\n'
    environ = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": name}
    done = _run(run, installed, run.command(program), **environ)
    assert done.stdout == ""


def test_the_doctor_sees_what_is_at_work(run, installed):
    """Patched methods and the providers in force, as JSON; the exit code says that all is well."""
    command = [sys.executable, "-m", "tokentrail", "doctor", "--json"]
    found = json.loads(_run(run, installed, command, TOKENTRAIL_METRIC_NAMES="both").stdout)
    states = {method["name"].rpartition(":")[2]: method["state"] for method in found["methods"]}
    assert states["AsyncEmbeddings.create"] == "patched"
    assert set(states.values()) <= {"patched", "absent"}
    assert found["providers"]["traces"].endswith("TracerProvider")
    settings = {setting["name"]: setting for setting in found["settings"]}
    assert settings["metric_names"]["value"] == "both"
    assert settings["metric_names"]["source"] == "TOKENTRAIL_METRIC_NAMES"
    assert found["problems"] == []
