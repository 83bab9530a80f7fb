"""What a configuration file has, as the SDK gives it to ``OpenAIInstrumentor.configuration``.

The real package reads real files in tests/interop.
"""

from __future__ import annotations

import dataclasses
from typing import get_type_hints

import pytest
from tests import shared

from tokentrail import OpenAIInstrumentor, diagnosis
from tokentrail.config import SETTINGS, ContentCapture, TokenCounting, read_settings

unsaid = shared.unsaid


def _configured(environ=None, **options):
    """Return the settings in force for these options, as opentelemetry-configuration passes on."""
    read = OpenAIInstrumentor.configuration(**options)
    given = {field.name: getattr(read, field.name) for field in dataclasses.fields(read)}
    given = {name: value for name, value in given.items() if value is not None}
    return read_settings(given, environ or {})


def test_it_has_every_setting_typed():
    fields = dataclasses.fields(OpenAIInstrumentor.configuration)
    assert [field.name for field in fields] == [setting.name for setting in SETTINGS]
    types = get_type_hints(OpenAIInstrumentor.configuration)
    assert types["count_timeout"] == float | None
    assert types["baggage_keys"] == list[str] | str | None
    assert types["model_aliases"] == dict[str, str] | str | None
    assert types["token_counting"] == str | bool | None
    assert types["redact"] == str | None


@pytest.mark.parametrize(
    ("name", "in_yaml", "in_a_variable"),
    [
        ("token_counting", False, "off"),
        ("cost", False, "off"),
        ("explain", False, "off"),
        ("explain", 1, "all"),
        ("count_timeout", 1, "1"),
        ("count_verification_ratio", 0.25, "0.25"),
        ("content_max_chars", 100, "100"),
        ("internal_metrics", False, "false"),
        ("metric_attributes", ["server.port"], "server.port"),
        ("metric_attributes", [], "none"),
        ("preload_encodings", ["gpt-4o"], "gpt-4o"),
        ("model_aliases", {"house": "gpt-4o"}, "house=gpt-4o"),
        ("capture_content", "span_only", "SPAN_ONLY"),
        ("redact", "builtins:max", "builtins:max"),
    ],
)
def test_a_value_means_what_its_variable_does(name, in_yaml, in_a_variable):
    variable = next(setting.variable for setting in SETTINGS if setting.name == name)
    assert _configured(**{name: in_yaml}) == read_settings({}, {variable: in_a_variable})


def test_prices_are_a_mapping():
    prices = _configured(prices={"house": {"input": 1, "output": 2.5}}).prices
    assert prices.models == ("house",)


def test_the_file_wins_over_variables_which_apply_to_all_other_settings():
    environ = {"TOKENTRAIL_TOKEN_COUNTING": "always", "TOKENTRAIL_COUNT_TIMEOUT": "7"}
    settings = _configured(environ, token_counting="missing", redact=None)
    assert settings.token_counting is TokenCounting.MISSING
    assert settings.count_timeout == 7


def test_a_wrong_value_is_warned_of_and_the_others_hold(unsaid, caplog):
    settings = _configured(count_timeout="soon", token_counting=False)
    assert settings.count_timeout == 2
    assert settings.token_counting is TokenCounting.OFF
    (record,) = caplog.records
    assert record.getMessage() == (
        "count_timeout in OTEL_CONFIG_FILE='soon' is not allowed; allowed: seconds from 0 to 60. "
        "The default (2.0) is used."
    )


def test_without_the_redaction_that_was_wanted_no_content_is_recorded(unsaid, caplog):
    settings = _configured(redact="nowhere:mask", capture_content="span_only")
    assert settings.capture_content is ContentCapture.NO_CONTENT
    assert "No content is recorded" in caplog.text


def test_content_that_has_no_place_is_recorded_nowhere(unsaid, caplog):
    settings = _configured(capture_content="event_only", emit_event=False)
    assert settings.capture_content is ContentCapture.NO_CONTENT
    assert "event_only contradicts emit_event: false" in caplog.text


def test_an_unknown_option_is_named_with_the_nearest(unsaid, caplog):
    assert _configured(explan="all", nonsense=1) == read_settings({}, {})
    assert (
        "explan in OTEL_CONFIG_FILE is not a setting and has no effect: the nearest is explain."
        in caplog.messages
    )
    assert "nonsense in OTEL_CONFIG_FILE is not a setting and has no effect." in caplog.messages


def test_a_file_without_the_package_that_reads_it_is_a_problem(monkeypatch):
    monkeypatch.setattr(diagnosis.findings, "_version", lambda name: None)
    problems = diagnosis.examine({"OTEL_CONFIG_FILE": "otel.yaml"}).problems
    assert "OTEL_CONFIG_FILE is set: pip install opentelemetry-configuration" in problems


def test_what_bootstrap_installs_and_cannot_be_imported_is_named(monkeypatch):
    """No call is recorded twice by it."""
    name, version = diagnosis.findings.BROKEN, diagnosis.findings._version
    monkeypatch.setattr(
        diagnosis.findings, "_version", lambda n: "2.4b0" if n == name else version(n)
    )
    found = diagnosis.examine({})
    assert found.other_instrumentations[name].startswith("2.4b0, cannot be imported: No module")
    assert (
        f"{name} records nothing: it cannot be imported here. pip uninstall {name}" in found.notes
    )
    assert not any("twice" in note for note in found.notes)
