"""The public surface: what a release promises."""

from __future__ import annotations

import inspect
from importlib.metadata import distribution, entry_points

import pytest
from packaging.requirements import Requirement

import tokentrail
from tokentrail.config import SETTINGS

NAMES = {
    "Count",
    "OpenAIInstrumentor",
    "Source",
    "TokenCount",
    "TokenPart",
    "Usage",
    "__version__",
    "attributes",
    "count_tokens",
    "current_usage",
    "doctor",
    "flush",
    "instrument",
    "uninstrument",
}


def test_it_is_exactly_these_names():
    assert set(tokentrail.__all__) == NAMES


def test_they_are_sorted_and_there():
    assert list(tokentrail.__all__) == sorted(tokentrail.__all__)
    assert all(hasattr(tokentrail, name) for name in tokentrail.__all__)


def test_a_star_import_brings_them():
    namespace: dict[str, object] = {}
    exec("from tokentrail import *", namespace)  # noqa: S102 - only valid at a module's top
    assert set(namespace) - {"__builtins__"} == NAMES


@pytest.mark.parametrize("name", sorted(NAMES - {"__version__"}))
def test_each_says_what_it_does(name):
    assert inspect.getdoc(getattr(tokentrail, name))


PROVIDERS = {
    "tracer_provider": "TracerProvider",
    "meter_provider": "MeterProvider",
    "logger_provider": "LoggerProvider",
}


def test_instrument_takes_each_setting_by_name():
    """An editor offers what the table has, in its order, and nothing else."""
    parameters = inspect.signature(tokentrail.instrument).parameters
    keywords = {setting.name: setting.accepts for setting in SETTINGS}
    expected = {name: f"{accepts} | None" for name, accepts in (PROVIDERS | keywords).items()}
    assert {name: kind.annotation for name, kind in parameters.items()} == {
        **expected,
        "unknown": "NoReturn",
    }
    assert list(parameters) == [*expected, "unknown"]
    assert {parameters[name].default for name in expected} == {None}
    assert {parameters[name].kind for name in expected} == {inspect.Parameter.KEYWORD_ONLY}


def test_its_docstring_says_of_each_setting_what_the_table_says():
    said = " ".join(inspect.getdoc(tokentrail.instrument).split())
    for row in SETTINGS:
        line = f"{row.name}: {row.about} Allowed: {row.allowed}. Default: {row.default_text}."
        assert f" {line} " in said


@pytest.mark.parametrize("name", [setting.name for setting in SETTINGS])
def test_instrument_hands_each_keyword_on(name):
    """No setting takes just any object, and each says so by its own name."""
    with pytest.raises(ValueError, match=f"^{name}=<object object .* is not allowed"):
        tokentrail.instrument(**{name: object()})


WRONG_CALLS = {
    'instrument(token_countin="always")': '"token_countin"',
    'instrument(count_timeout="soon")': '"count_timeout"',
    "instrument(instrumented_apis=7)": '"instrumented_apis"',
    "instrument(redact=len)": '"redact"',
    "flush(break_off=True)": '"break_off"',
}
RIGHT_CALLS = (
    'instrument(token_counting="always", instrumented_apis=["chat"], count_timeout=1)',
    "instrument(redact=lambda kind, text: None, prices={})",
    "flush(1, end_open_calls=True)",
)


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_a_type_checker_checks_a_caller(tmp_path):
    """Each wrong call is one error, at its line; none is found in the right ones."""
    api = pytest.importorskip("mypy.api")
    caller = tmp_path / "caller.py"
    calls = [f"tokentrail.{call}" for call in (*WRONG_CALLS, *RIGHT_CALLS)]
    caller.write_text("\n".join(("import tokentrail", *calls)))
    options = (
        "--follow-imports=silent",
        "--no-incremental",
        "--config-file=",
        "--no-error-summary",
    )
    found, broken, _ = api.run([*options, str(caller)])
    lines = [line for line in found.splitlines() if ": error:" in line]
    assert not broken
    assert [int(line.split(":")[1]) for line in lines] == [2 + n for n in range(len(WRONG_CALLS))]
    for line, name in zip(lines, WRONG_CALLS.values(), strict=True):
        assert name in line


def test_the_version_is_the_distributions():
    assert distribution("tokentrail").version == tokentrail.__version__


def test_auto_instrumentation_finds_the_instrumentor():
    (found,) = entry_points(group="opentelemetry_instrumentor", name="tokentrail")
    assert found.load() is tokentrail.OpenAIInstrumentor


def test_the_extra_names_what_the_instrumentor_asks_for():
    required = map(Requirement, distribution("tokentrail").requires or [])
    extra = {
        (requirement.name, str(requirement.specifier))
        for requirement in required
        if requirement.marker and requirement.marker.evaluate({"extra": "instruments"})
    }
    asked = map(Requirement, tokentrail.OpenAIInstrumentor().instrumentation_dependencies())
    assert {(requirement.name, str(requirement.specifier)) for requirement in asked} == extra
