"""``tokentrail doctor``: its first line says whether calls are exported, and if not, why not."""

import os
import socket
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from tests.process.auto import COMMAND, installed

import tokentrail
from tokentrail import diagnosis
from tokentrail.config import Settings
from tokentrail.diagnosis import findings

__all__ = ["installed"]


@pytest.fixture
def instrument():
    """Instrument with a provider of these exporters, and undo it."""
    made = []

    def instrument(*exporters, **options):
        provider = TracerProvider(shutdown_on_exit=False, **options)
        made.append(provider)
        for exporter in exporters:
            provider.add_span_processor(BatchSpanProcessor(exporter))
        tokentrail.instrument(tracer_provider=provider, skip_dep_check=True)

    yield instrument
    tokentrail.uninstrument()
    for provider in made:
        provider.shutdown()


def first_line(environ=None, **options):
    """Return the first line of what the doctor says, and its exit code."""
    verdict = diagnosis.diagnose(environ or {}, **options)
    return diagnosis.report(verdict).splitlines()[0], verdict.exit_code


def test_calls_are_exported_to_whom(instrument):
    instrument(ConsoleSpanExporter())
    assert first_line() == ("calls made here are exported to the console", 0)
    assert tokentrail.doctor() == "calls made here are exported to the console"
    assert "versions" in tokentrail.doctor(verbose=True)


def otlp(port):
    module = pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    return module.OTLPSpanExporter(f"http://127.0.0.1:{port}/v1/traces")


def test_whether_somebody_is_at_the_endpoint_is_asked_with_connect(instrument):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        instrument(otlp(port))
        said = f"calls made here are exported to http://127.0.0.1:{port}/v1/traces"
        assert first_line(connect=True) == (said, 0)
    assert first_line() == (said, 0)
    refused = f"calls made here are not exported: nothing answers at 127.0.0.1:{port}"
    assert first_line(connect=True) == (refused, 1)


def test_without_a_provider_nothing_is_exported():
    tokentrail.instrument(skip_dep_check=True)
    try:
        assert first_line() == ("calls made here are not exported: no tracer provider is set", 1)
    finally:
        tokentrail.uninstrument()


def test_a_provider_without_exporter_or_with_a_sampler_that_drops_all(instrument):
    instrument()
    assert first_line()[0].endswith("not exported: the tracer provider has no exporter")
    tokentrail.uninstrument()
    instrument(ConsoleSpanExporter(), sampler=ALWAYS_OFF)
    assert first_line()[0].endswith("not exported: the sampler drops every span")


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, "OTEL_SDK_DISABLED=true"),
        ({"TOKENTRAIL_DISABLED": "yes"}, "TOKENTRAIL_DISABLED=yes"),
        (
            {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask, tokentrail"},
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS has it",
        ),
    ],
)
def test_a_switch_that_is_off_is_the_reason(environ, why):
    assert first_line(environ) == (f"calls made here are not exported: {why}", 1)


@pytest.mark.parametrize(
    ("version", "why"),
    [
        (None, "openai is not installed"),
        *((v, f"openai {v} is not supported") for v in ("0.28.1", "1.39.0", "4.0.0")),
    ],
)
def test_an_openai_that_is_refused_is_the_reason(monkeypatch, version, why):
    found = findings._version
    monkeypatch.setattr(findings, "_version", lambda n: version if n == "openai" else found(n))
    assert first_line() == (f"calls made here are not exported: {why}", 1)


def test_a_misspelt_variable_is_named_with_the_nearest_right_one(caplog, instrument):
    environ = {"TOKENTRAIL_TOKEN_COUNTNG": "off", "TOKENTRAIL_XYZ": "1"}
    said = (
        "TOKENTRAIL_TOKEN_COUNTNG is not a setting and has no effect: the nearest is"
        " TOKENTRAIL_TOKEN_COUNTING"
    )
    verdict = diagnosis.diagnose(environ)
    assert (
        verdict.headline
        == f"unknown: nothing is instrumented in this process; but {said}, and 1 more"
    )
    assert verdict.problems == (said, "TOKENTRAIL_XYZ is not a setting and has no effect")
    assert verdict.exit_code == 2
    instrument(ConsoleSpanExporter())
    assert first_line(environ)[1] == 1


def test_a_misspelt_variable_is_warned_of_at_run_time(caplog, monkeypatch):
    monkeypatch.setenv("TOKENTRAIL_COST_", "counted")
    monkeypatch.setattr("tokentrail.support.guard._logged", set())
    tokentrail.instrument(skip_dep_check=True)
    tokentrail.uninstrument()
    assert caplog.messages == [
        "TOKENTRAIL_COST_ is not a setting and has no effect: the nearest is TOKENTRAIL_COST."
    ]


def test_two_instrumentations_at_work_are_a_problem(instrument, monkeypatch):
    module = ModuleType("openinference.instrumentation.openai")
    instance = SimpleNamespace(_is_instrumented_by_opentelemetry=True)
    module.OpenAIInstrumentor = type("OpenAIInstrumentor", (), {"_instance": instance})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    instrument(ConsoleSpanExporter())
    verdict = diagnosis.diagnose({})
    assert verdict.headline == (
        "calls made here are exported to the console; but each call is recorded twice:"
        " OpenInference is active too"
    )
    assert verdict.exit_code == 1


def test_the_verdict_is_unknown_if_nothing_is_instrumented():
    said, code = first_line()
    assert (said, code) == ("unknown: nothing is instrumented in this process", 2)
    assert "opentelemetry-instrument tokentrail doctor" in diagnosis.diagnose({}).remedy


@pytest.mark.thorough
@pytest.mark.skipif(not COMMAND.exists(), reason="no opentelemetry-instrument here")
@pytest.mark.parametrize(
    ("environ", "distro", "said", "code"),
    [
        ({"OTEL_TRACES_EXPORTER": "console"}, True, "exported to the console", 0),
        ({"OTEL_TRACES_EXPORTER": "none"}, True, "not exported: OTEL_TRACES_EXPORTER=none", 1),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True, "no exporter otlp_proto_grpc for traces", 1),
        ({}, False, "not exported: opentelemetry-distro is not installed", 1),
    ],
)
def test_as_it_is_under_opentelemetry_instrument(installed, tmp_path, environ, distro, said, code):
    """The SDK that cannot be set up has the instrumentations left out; and so on."""
    if not distro:
        for path in (installed / "distro-0.0.1.dist-info").iterdir():
            path.unlink()
    else:  # by the name that the doctor knows
        (installed / "distro-0.0.1.dist-info").rename(
            installed / "opentelemetry_distro-0.0.1.dist-info"
        )
        metadata = installed / "opentelemetry_distro-0.0.1.dist-info" / "METADATA"
        metadata.write_text("Metadata-Version: 2.1\nName: opentelemetry-distro\nVersion: 0.0.1\n")
    path = os.pathsep.join((str(installed), str(findings.__file__).rsplit("/tokentrail/", 1)[0]))
    done = subprocess.run(
        [COMMAND, sys.executable, "-m", "tokentrail", "doctor"],
        env={
            **os.environ,
            "PYTHONPATH": path,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            **environ,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert said in done.stdout.splitlines()[0], done.stdout + done.stderr
    assert done.returncode == code


@pytest.mark.parametrize("word", ["yes", "on", "TRUE", "1"])
def test_a_switch_is_read_as_people_write_it(monkeypatch, word):
    monkeypatch.setenv("TOKENTRAIL_INTERNAL_METRICS", {"yes": "no", "on": "off"}.get(word, "0"))
    monkeypatch.setenv("TOKENTRAIL_TIME_PER_OUTPUT_CHUNK", word)
    from tokentrail.config import read_settings

    settings = read_settings({}, dict(os.environ))
    assert isinstance(settings, Settings)
    assert (settings.time_per_output_chunk, settings.internal_metrics) == (True, False)


def test_content_for_events_that_are_switched_off_is_refused(caplog, monkeypatch):
    with pytest.raises(ValueError, match="contradicts emit_event=False"):
        tokentrail.instrument(capture_content="EVENT_ONLY", emit_event=False)
    monkeypatch.setattr("tokentrail.support.guard._logged", set())
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "no")
    tokentrail.instrument(skip_dep_check=True)
    tokentrail.uninstrument()
    assert "recorded nowhere" in caplog.text
