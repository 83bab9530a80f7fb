from __future__ import annotations

import functools
import logging
import os
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import pytest

import tokentrail
from tokentrail.config import (
    SETTINGS,
    CacheKey,
    ContentCapture,
    Cost,
    MetricNames,
    OnConflict,
    Settings,
    StreamUsage,
    TokenCounting,
    read_settings,
)
from tokentrail.config.values import redact_everything
from tokentrail.cost import Rate, Rates, UserPrices

FILE = str(Path(__file__).with_name("prices.json"))
PRICES = {("mine", None): Rates(Rate(Decimal(1)), Rate(Decimal("2.5")))}


def _redact(kind, text):
    return text


async def _later(kind, text):
    return text


async def _one_by_one(kind, text):
    yield text


class Later:
    """Cannot be called but by who awaits."""

    async def __call__(self, kind, text):
        return text

    async def redact(self, kind, text):
        return text


GIVEN = [
    ("token_counting", "off", TokenCounting.OFF),
    ("token_counting", "spans_only", TokenCounting.SPANS_ONLY),
    ("token_counting", "missing", TokenCounting.MISSING),
    ("token_counting", "always", TokenCounting.ALWAYS),
    ("token_counting", " Always ", TokenCounting.ALWAYS),
    ("token_counting", TokenCounting.SPANS_ONLY, TokenCounting.SPANS_ONLY),
    ("token_counting", False, TokenCounting.OFF),  # as YAML has `off`
    ("model_aliases", {}, {}),
    ("model_aliases", {"mine": "gpt-4o"}, {"mine": "gpt-4o"}),
    ("model_aliases", "mine=gpt-4o", {"mine": "gpt-4o"}),
    (
        "model_aliases",
        " mine = gpt-4o , other=cl100k_base,",
        {"mine": "gpt-4o", "other": "cl100k_base"},
    ),
    ("model_aliases", "a=ft:gpt-4o:org::id", {"a": "ft:gpt-4o:org::id"}),
    ("count_timeout", 0, 0.0),
    ("count_timeout", 60, 60.0),
    ("count_timeout", 0.5, 0.5),
    ("count_timeout", "0.5", 0.5),
    ("time_per_output_chunk", False, False),
    ("time_per_output_chunk", True, True),
    ("time_per_output_chunk", "FALSE", False),
    ("time_per_output_chunk", "0", False),
    ("time_per_output_chunk", "1", True),
    ("metric_names", "released", MetricNames.RELEASED),
    ("metric_names", "Latest", MetricNames.LATEST),
    ("metric_names", MetricNames.BOTH, MetricNames.BOTH),
    ("metric_attributes", "", ()),
    ("metric_attributes", [], ()),
    ("metric_attributes", "none", ()),
    ("metric_attributes", " None ", ()),
    ("metric_attributes", "server.port, server.address", ("server.port", "server.address")),
    ("metric_attributes", ["server.port"], ("server.port",)),
    ("calibration", "false", False),
    ("internal_metrics", "false", False),
    ("internal_metrics", True, True),
    ("capture_content", "NO_CONTENT", ContentCapture.NO_CONTENT),
    ("capture_content", "span_only", ContentCapture.SPAN_ONLY),
    ("capture_content", "Event_Only", ContentCapture.EVENT_ONLY),
    ("capture_content", ContentCapture.SPAN_AND_EVENT, ContentCapture.SPAN_AND_EVENT),
    ("emit_event", "true", True),
    ("emit_event", False, False),
    ("redact", _redact, _redact),
    ("redact", "builtins:max", max),
    ("redact", " os:path.join ", os.path.join),
    ("content_max_chars", 1, 1),
    ("content_max_chars", "4096", 4096),
    ("capture_binary", "true", True),
    ("capture_binary", True, True),
    ("capture_tool_schemas", "1", True),
    ("capture_tool_schemas", False, False),
    ("stream_usage", "observe", StreamUsage.OBSERVE),
    ("stream_usage", "Request", StreamUsage.REQUEST),
    ("stream_usage", StreamUsage.REQUEST, StreamUsage.REQUEST),
    ("count_verification_ratio", 0, 0.0),
    ("count_verification_ratio", "0.25", 0.25),
    ("count_verification_ratio", 1, 1.0),
    ("explain", "all", 1.0),
    ("explain", "OFF", 0.0),
    ("explain", "0.1", 0.1),
    ("explain", 1, 1.0),
    ("preload_encodings", "o200k_base", ("o200k_base",)),
    ("preload_encodings", "gpt-4o, gpt-4, gpt-4o-mini", ("o200k_base", "cl100k_base")),
    ("preload_encodings", ["gpt-4"], ("cl100k_base",)),
    ("preload_encodings", [], ()),
    ("capture_content", "NO_CONTENT", ContentCapture.NO_CONTENT),
    ("capture_content", "Span_Only", ContentCapture.SPAN_ONLY),
    ("capture_content", " event_only ", ContentCapture.EVENT_ONLY),
    ("capture_content", ContentCapture.SPAN_AND_EVENT, ContentCapture.SPAN_AND_EVENT),
    ("emit_event", True, True),
    ("emit_event", "False", False),
    ("redact", max, max),
    ("content_max_chars", 1, 1),
    ("content_max_chars", "4096", 4096),
    ("capture_binary", "true", True),
    ("capture_tool_schemas", "true", True),
    ("on_conflict", "both", OnConflict.BOTH),
    ("on_conflict", " Defer ", OnConflict.DEFER),
    ("on_conflict", OnConflict.DEFER, OnConflict.DEFER),
    ("custom_metric_attributes", "feature, team.name,", ("feature", "team.name")),
    ("custom_metric_attributes", ["feature"], ("feature",)),
    ("custom_metric_attributes", "", ()),
    ("baggage_keys", "tenant,enduser.id", ("tenant", "enduser.id")),
    ("baggage_keys", ("tenant",), ("tenant",)),
    ("request_attributes", "user, metadata", ("user", "metadata")),
    ("request_attributes", ["safety_identifier"], ("safety_identifier",)),
    ("instrumented_apis", "chat, audio", ("chat", "audio")),
    ("instrumented_apis", ["images"], ("images",)),
    ("request_hook", max, max),
    ("request_hook", "builtins:max", max),
    ("response_hook", max, max),
    ("response_hook", "builtins:max", max),
    ("cost", "Reported", Cost.REPORTED),
    ("cost", Cost.COUNTED, Cost.COUNTED),
    ("cost", False, Cost.OFF),
    ("prices", {}, UserPrices()),
    ("prices", {"mine": {"input": 1, "output": 2.5}}, UserPrices(PRICES)),
    ("prices", FILE, UserPrices(PRICES, FILE)),
    ("cost_attributes", "gen_ai.usage.cost", ("gen_ai.usage.cost",)),
    ("cost_attributes", ["operation.cost"], ("operation.cost",)),
    ("capture_cache_key", "Hash", CacheKey.HASH),
    ("capture_cache_key", CacheKey.PLAIN, CacheKey.PLAIN),
    ("capture_account", "true", True),
    ("capture_account", False, False),
    ("fetched_usage_metrics", "1", True),
    ("fetched_usage_metrics", True, True),
    ("disabled", True, True),
    ("disabled", "true", True),
    ("disabled", "0", False),
]
WRONG = [
    ("token_counting", "sometimes"),
    ("token_counting", True),
    ("token_counting", 1),
    ("model_aliases", "mine"),
    ("model_aliases", "mine="),
    ("model_aliases", "=gpt-4o"),
    ("model_aliases", ["mine", "gpt-4o"]),
    ("model_aliases", {"mine": None}),
    ("model_aliases", {"mine": ""}),
    ("model_aliases", {7: "gpt-4o"}),
    ("model_aliases", {"mine": "llama-9"}),
    ("model_aliases", "mine=llama-9"),
    ("count_timeout", -0.1),
    ("count_timeout", 60.1),
    ("count_timeout", float("nan")),
    ("count_timeout", float("inf")),
    ("count_timeout", True),
    ("count_timeout", "soon"),
    ("count_timeout", [2]),
    ("time_per_output_chunk", "maybe"),
    ("time_per_output_chunk", 2),
    ("metric_names", "old"),
    ("metric_attributes", "server.port,gen_ai.request.temperature"),
    ("metric_attributes", ["server.port", 4]),
    ("metric_attributes", "none,server.port"),
    ("metric_attributes", True),
    ("calibration", "sometimes"),
    ("internal_metrics", "well"),
    ("capture_content", "true"),
    ("capture_content", True),
    ("capture_content", False),
    ("emit_event", "sometimes"),
    ("redact", "text"),
    ("redact", True),
    ("content_max_chars", 0),
    ("content_max_chars", -1),
    ("content_max_chars", True),
    ("content_max_chars", 10.5),
    ("content_max_chars", "many"),
    ("capture_binary", "jpeg"),
    ("capture_tool_schemas", "all"),
    ("stream_usage", "always"),
    ("count_verification_ratio", 1.01),
    ("count_verification_ratio", -0.01),
    ("count_verification_ratio", float("nan")),
    ("count_verification_ratio", True),
    ("count_verification_ratio", "often"),
    ("explain", "some"),
    ("explain", 1.5),
    ("explain", True),
    ("preload_encodings", "p51k_base"),
    ("preload_encodings", ["gpt-4o", 4]),
    ("preload_encodings", True),
    ("capture_content", "true"),
    ("capture_content", True),
    ("capture_content", "messages"),
    ("emit_event", "sometimes"),
    ("redact", "no secrets"),
    ("content_max_chars", 0),
    ("content_max_chars", -1),
    ("content_max_chars", True),
    ("content_max_chars", 1.5),
    ("content_max_chars", "much"),
    ("capture_binary", "small"),
    ("capture_tool_schemas", "names"),
    ("on_conflict", "mine"),
    ("on_conflict", True),
    ("custom_metric_attributes", "user name"),
    ("custom_metric_attributes", [7]),
    ("custom_metric_attributes", True),
    ("baggage_keys", "tenant=7"),
    ("baggage_keys", {"tenant": "7"}),
    ("request_attributes", "messages"),
    ("request_attributes", True),
    ("instrumented_apis", "pictures"),
    ("instrumented_apis", True),
    ("instrumented_apis", ()),
    ("instrumented_apis", ","),
    ("redact", "json:no_such_name"),
    ("redact", "no_such_module:redact"),
    ("redact", "json:__name__"),
    ("redact", ":redact"),
    ("redact", "json:"),
    ("redact", ".json:loads"),
    ("redact", "asyncio:wait_for"),
    ("redact", _later),
    ("redact", functools.partial(_later, "kind")),
    ("redact", Later()),
    ("redact", Later().redact),
    ("redact", _one_by_one),
    ("request_hook", "print"),
    ("request_hook", _later),
    ("response_hook", True),
    ("response_hook", "asyncio:sleep"),
    ("response_hook", _later),
    ("cost", "mine"),
    ("cost", True),
    ("prices", "/nought.json"),
    ("prices", ["mine"]),
    ("prices", {"mine": 1}),
    ("cost_attributes", "cost in USD"),
    ("cost_attributes", 4),
    ("capture_cache_key", "md5"),
    ("capture_cache_key", True),
    ("capture_account", "mine"),
    ("fetched_usage_metrics", "twice"),
    ("disabled", "perhaps"),
]
REASONED = {"prices", "redact", "request_hook", "response_hook"}
"""Those of which there may be more to say than what is allowed."""
BY_NAME = {setting.name: setting for setting in SETTINGS}
ECOSYSTEM = {
    "capture_content": "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "emit_event": "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT",
}
"""Variables that are not ours alone."""


def test_the_names_of_all_prices_are_stated():
    """As text, so that no default program imports what reads prices."""
    assert f" {', '.join(Rates.__match_args__)}, in USD " in BY_NAME["prices"].allowed


DEFAULTS = Settings(**{setting.name: setting.default for setting in SETTINGS})


def _texts(rows):
    """Return those that an environment can hold: an empty variable is none."""
    return [row for row in rows if isinstance(row[1], str) and row[1]]


@pytest.mark.parametrize(("name", "value", "meant"), GIVEN)
def test_an_argument_is_read(name, value, meant):
    assert getattr(read_settings({name: value}, {}), name) == meant


@pytest.mark.parametrize(("name", "text", "meant"), _texts(GIVEN))
def test_the_environment_is_read(name, text, meant):
    assert getattr(read_settings({}, {BY_NAME[name].variable: text}), name) == meant


def test_every_setting_is_tried_here_right_and_wrong_both_ways():
    """A new setting needs its rows in both tables, as text too: the environment sets all."""
    for rows in (GIVEN, WRONG):
        assert {row[0] for row in _texts(rows)} == set(BY_NAME)


def test_without_a_word_the_defaults_hold():
    assert read_settings({}, {}) == DEFAULTS


def test_a_variable_has_our_prefix_or_a_name_of_opentelemetry():
    for setting in SETTINGS:
        ours = setting.variable == f"TOKENTRAIL_{setting.name.upper()}"
        assert ours or setting.variable.startswith("OTEL_INSTRUMENTATION_GENAI_")


def test_an_argument_goes_over_the_environment_and_none_is_no_argument():
    environ = {"TOKENTRAIL_TOKEN_COUNTING": "off"}
    assert read_settings({"token_counting": "spans_only"}, environ).token_counting == "spans_only"
    assert read_settings({"token_counting": None}, environ).token_counting == "off"


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_none(text, caplog, unsaid):
    assert read_settings({}, {setting.variable: text for setting in SETTINGS}) == DEFAULTS
    assert caplog.records == []


def test_models_are_a_copy_that_cannot_be_changed():
    given = {"mine": "gpt-4o"}
    models = read_settings({"model_aliases": given}, {}).model_aliases
    given["mine"] = "gpt-4"
    assert models == {"mine": "gpt-4o"}
    assert isinstance(models, MappingProxyType)


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_argument_raises_with_the_setting_the_value_and_what_is_allowed(name, value):
    with pytest.raises(ValueError, match="allowed") as raised:
        read_settings({name: value}, {})
    said, _, allowed = str(raised.value).partition("; allowed: ")
    assert allowed == BY_NAME[name].allowed
    reason = r"( \(.+\))?" if name in REASONED else ""
    assert re.fullmatch(re.escape(f"{name}={value!r} is not allowed") + reason, said)


@pytest.mark.parametrize(("name", "text"), _texts(WRONG))
def test_a_wrong_variable_warns_once_and_the_default_holds(name, text, caplog, unsaid):
    setting = BY_NAME[name]
    for _ in range(2):
        settings = read_settings({}, {setting.variable: text})
        assert getattr(settings, name) == (
            redact_everything if name == "redact" else setting.default
        )
    (warning,) = caplog.records
    assert (warning.name, warning.levelno) == ("tokentrail", logging.WARNING)
    for part in (setting.variable, repr(text), setting.allowed):
        assert part in warning.getMessage()


def test_a_wrong_variable_of_one_setting_leaves_the_others(caplog, unsaid):
    environ = {"TOKENTRAIL_COUNT_TIMEOUT": "soon", "TOKENTRAIL_TOKEN_COUNTING": "always"}
    settings = read_settings({}, environ)
    assert settings == replace(DEFAULTS, token_counting=TokenCounting.ALWAYS)
    assert len(caplog.records) == 1


def test_a_name_that_is_no_setting_raises_and_names_those_there_are():
    with pytest.raises(TypeError) as raised:
        read_settings({"token_count": "off"}, {})
    for name in ("'token_count'", *BY_NAME):
        assert name in str(raised.value)


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"token_counting": "no"}, "token_counting='no' is not allowed; allowed: off,"),
        ({"qzx": True}, "tokentrail has no setting 'qzx'; there are:"),
        ({"costs": "off"}, "tokentrail has no setting 'costs': the nearest is cost; there are:"),
        (
            {"meter_provider": 3},
            "meter_provider=3 is not allowed; allowed: an object with get_meter",
        ),
    ],
)
def test_instrument_refuses_before_anything_is_changed(kwargs, error):
    """After the refusal nothing is instrumented, and a right instrument() works."""
    from openai.resources.chat.completions import Completions

    tokentrail.uninstrument()
    bare = Completions.__dict__["create"]
    with pytest.raises((TypeError, ValueError), match=error):
        tokentrail.instrument(**kwargs)
    assert Completions.__dict__["create"] is bare
    tokentrail.instrument(token_counting="off")
    assert Completions.__dict__["create"] is not bare
    tokentrail.uninstrument()
    assert Completions.__dict__["create"] is bare


async def test_instrument_reads_the_environment_when_it_is_called(trail, ask, answer, monkeypatch):
    monkeypatch.setenv("TOKENTRAIL_TOKEN_COUNTING", "off")
    trail.instrument()
    monkeypatch.setenv("TOKENTRAIL_TOKEN_COUNTING", "always")
    await ask(answer, stream=True)
    assert "gen_ai.usage.input_tokens" not in trail.spans.attributes()
