"""Configured by a file (``OTEL_CONFIG_FILE``), as the real opentelemetry-configuration reads it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.process.auto import COMMAND, installed, json_objects

from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Server, Stream

__all__ = ["installed"]

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(not COMMAND.exists(), reason="no opentelemetry-instrument here"),
]

DOCS = Path(__file__).parents[2] / "docs"
BOTH_PAGES = ("declarative-configuration.md", "views.md")
FILE = """
file_format: "1.0"
tracer_provider:
  processors:
    - simple:
        exporter:
          console: {{}}
meter_provider:
  readers:
    - periodic:
        exporter:
          console: {{}}
instrumentation/development:
  python:
    tokentrail:
{options}
"""
PROGRAM = """
import sys
import openai
{first}
client = openai.OpenAI(base_url=sys.argv[1], api_key="no-secret")
asked = {{"model": "house", "messages": [{{"role": "user", "content": "Hello, how are you?"}}]}}
for chunk in client.chat.completions.create(stream=True, user="7", **asked):
    pass
"""
VARIABLES = {
    "TOKENTRAIL_MODEL_ALIASES": "house=gpt-4o",
    "TOKENTRAIL_COUNT_TIMEOUT": "30",
    "TOKENTRAIL_METRIC_NAMES": "latest",
    "TOKENTRAIL_METRIC_ATTRIBUTES": "server.port",
    "TOKENTRAIL_REQUEST_ATTRIBUTES": "user",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
    "TOKENTRAIL_CONTENT_MAX_CHARS": "10",
    "TOKENTRAIL_INTERNAL_METRICS": "false",
    "TOKENTRAIL_EXPLAIN": "off",
}
OPTIONS = """
model_aliases:
  house: gpt-4o
count_timeout: 30
metric_names: latest
metric_attributes: [server.port]
request_attributes:
  - user
capture_content: ${CAPTURE}
content_max_chars: 10
internal_metrics: false
explain: off
"""
OTHERS_OFF = {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "openai,langchain"}
OF_ONE_RUN = {"gen_ai.response.time_to_first_chunk", "tokentrail.time_to_first_content"}


@pytest.fixture
def server():
    """Give a server whose stream has no usage, whatever the model's name."""
    chunks = chat.chunks(Answer(("Hello there.",), Usage(40, 30), "house"), "none")
    with Server(lambda call: Stream(chunks)) as server:
        yield server


@pytest.fixture
def run(installed, server, needed, tmp_path):
    """Run the program under ``opentelemetry-instrument``; return what it printed."""
    needed("opentelemetry.configuration")

    def run(options=None, first="", whole=None, **environ):
        program = tmp_path / "program.py"
        program.write_text(PROGRAM.format(first=first), encoding="utf-8")
        if options is not None:
            lines = "\n".join(f"      {line}" for line in options.strip().splitlines())
            whole = FILE.format(options=lines)
        if whole is not None:
            file = tmp_path / "otel.yaml"
            file.write_text(whole, encoding="utf-8")
            environ["OTEL_CONFIG_FILE"] = str(file)
        done = subprocess.run(
            [COMMAND, sys.executable, str(program), server.base_url],
            env={**os.environ, **OTHERS_OFF, "PYTHONPATH": str(installed), **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


def _recorded(done):
    """Return the attributes of the one span, and those and the buckets of each metric's points."""
    spans, metrics = [], {}
    for found in json_objects(done.stdout):
        if "trace_id" in str(found.get("context")):
            spans.append(found["attributes"])
        for resource in found.get("resource_metrics", ()):
            for scope in resource["scope_metrics"]:
                for metric in scope["metrics"]:
                    metrics[metric["name"]] = [
                        (point["attributes"], point.get("explicit_bounds"))
                        for point in metric["data"]["data_points"]
                    ]
    (span,) = spans
    return {k: v for k, v in span.items() if k not in OF_ONE_RUN}, metrics


def test_a_program_configured_by_file_alone_behaves_as_by_variables(run):
    exporters = {"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "console"}
    by_variables = run(**VARIABLES, **exporters, OTEL_LOGS_EXPORTER="none")
    by_file = run(OPTIONS, CAPTURE="span_only")
    span, metrics = _recorded(by_file)
    assert (span, metrics) == _recorded(by_variables)
    assert span["gen_ai.usage.input_tokens"] == 13
    assert span["tokentrail.request.user"] == "7"
    assert '"Hello, ho…"' in span["gen_ai.input.messages"]
    assert "gen_ai.client.inference.duration" in metrics


@pytest.mark.parametrize("page", BOTH_PAGES)
def test_the_file_of_a_page_is_one(page, run):
    """Its exporters print here."""
    (block,) = re.findall(
        r"(?ms)^```yaml\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    done = run(whole=block.replace("otlp_http", "console"))
    metrics = {
        metric["name"]: metric["data"]["data_points"][0].get("explicit_bounds")
        for found in json_objects(done.stdout)
        for resource in found.get("resource_metrics", ())
        for scope in resource["scope_metrics"]
        for metric in scope["metrics"]
    }
    longest = 1310.72 if page == "views.md" else 81.92
    for name in ("gen_ai.client.operation.duration", "tokentrail.client.time_to_first_content"):
        assert metrics[name][-1] == longest
    assert "is not a setting" not in done.stderr
    assert "not allowed" not in done.stderr


@pytest.mark.parametrize("options", ["enabled: false", "disabled: true", "disabled: on"])
def test_the_file_switches_tokentrail_off_though_every_instrumentation_is_loaded(run, options):
    assert list(json_objects(run(options).stdout)) == []


def test_the_program_itself_can_switch_it_on_all_the_same(run):
    done = run("enabled: false", first="import tokentrail; tokentrail.instrument()")
    span, _ = _recorded(done)
    assert span["gen_ai.request.model"] == "house"


def test_what_is_wrong_in_the_file_is_named_and_the_rest_of_it_holds(run):
    done = run("metric_names: newest\nmodel_alias: x\nmodel_aliases: {house: gpt-4o}")
    span, metrics = _recorded(done)
    assert span["gen_ai.usage.input_tokens"] == 13
    assert "gen_ai.client.token.usage" in metrics
    assert "metric_names in OTEL_CONFIG_FILE='newest' is not allowed" in done.stderr
    assert "model_alias in OTEL_CONFIG_FILE is not a setting" in done.stderr
    assert "has no effect: the nearest is model_aliases." in done.stderr
    assert "Traceback" not in done.stderr


def test_the_doctor_reads_it(run, needed, tmp_path):
    from tokentrail import diagnosis

    run("token_counting: off\ncount_timeout: soon\nexplan: all")
    environ = {"OTEL_CONFIG_FILE": str(tmp_path / "otel.yaml")}
    found = diagnosis.examine(environ)
    counting = next(s for s in found.settings if s.name == "token_counting")
    assert (counting.value, counting.source) == ("off", "OTEL_CONFIG_FILE")
    problems = " ".join(found.problems)
    assert "count_timeout in OTEL_CONFIG_FILE='soon' is not allowed" in problems
    assert (
        "explan in OTEL_CONFIG_FILE is not a setting and has no effect: the nearest is explain"
        in problems
    )
    run("enabled: false")
    assert "OTEL_CONFIG_FILE" in diagnosis.diagnose(environ).headline
