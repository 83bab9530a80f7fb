"""The configurations of Collector and Jaeger, held against the settings that are published."""

from __future__ import annotations

import re

import pytest
import yaml
from tests.dashboards.shipped import ROOT
from tests.stack.collectors import COMPONENTS, POLICIES, WITHIN

from tokentrail.telemetry import semconv

STACK = ROOT / "examples" / "observability"
CONFIGS = ["collector", "jaeger", "gateway/agent", "gateway/gateway"]
WORDS = {"ms": "milliseconds", "s": "seconds"}
SECTIONS = ("receivers", "processors", "exporters", "connectors", "extensions")


def _read(name):
    return yaml.safe_load((STACK / name).read_text("utf-8"))


@pytest.fixture(params=CONFIGS)
def config(request):
    return _read(f"{request.param}.yaml")


def test_every_setting_of_a_component_is_a_published_one(config):
    for section in SECTIONS:
        for name, settings in config.get(section, {}).items():
            known = COMPONENTS[f"{section}/{name.partition('/')[0]}"]
            assert set(settings or ()) <= known, name
            _check_within(settings)


def _check_within(settings):
    if isinstance(settings, list):
        for each in settings:
            _check_within(each)
    elif isinstance(settings, dict):
        for key, value in settings.items():
            # the outer "prometheus" of Jaeger's is a name that is chosen
            if key in WITHIN and isinstance(value, dict) and key not in value:
                assert set(value) <= WITHIN[key], key
            _check_within(value)


def test_pipelines_name_components_that_are_there_and_use_all(config):
    connectors = set(config.get("connectors", ()))
    used = {section: set() for section in SECTIONS}
    ends = {"receivers": set(), "exporters": set()}
    for pipeline in config["service"]["pipelines"].values():
        for section in ("receivers", "processors", "exporters"):
            for name in pipeline.get(section, ()):
                kind = "connectors" if name in connectors else section
                assert name in config[kind], name
                used[kind].add(name)
                if kind == "connectors":
                    ends[section].add(name)
    used["extensions"] = set(config["service"].get("extensions", ()))
    for section in SECTIONS:
        assert used[section] == set(config.get(section, ())), section
    assert ends["receivers"] == ends["exporters"] == connectors


def test_memory_is_limited_before_anything_else(config):
    for pipeline in config["service"]["pipelines"].values():
        if "memory_limiter" in pipeline.get("processors", ()):
            assert pipeline["processors"][0] == "memory_limiter"
        elif "memory_limiter" in config["processors"]:
            assert not set(pipeline["receivers"]) & set(config["receivers"])


def test_spanmetrics_count_traces_that_are_dropped_later():
    pipelines = _read("gateway/gateway.yaml")["service"]["pipelines"]
    (counting,) = (p for p in pipelines.values() if "spanmetrics" in p["exporters"])
    assert "tail_sampling" not in counting["processors"]


def test_policies_are_published_ones_and_read_what_we_tell():
    told = {value for value in vars(semconv).values() if isinstance(value, str)}
    sampling = _read("gateway/gateway.yaml")["processors"]["tail_sampling"]
    for policy in sampling["policies"]:
        assert set(policy) <= {"name", "type", policy["type"]}
        settings = policy[policy["type"]]
        assert set(settings) <= POLICIES[policy["type"]]
        named = re.findall(r'attributes\["(.*?)"\]', " ".join(settings.get("span", ())))
        assert {*named, *([settings["key"]] if "key" in settings else ())} <= told


@pytest.mark.parametrize("name", ["collector", "gateway/gateway"])
def test_jaeger_asks_for_what_the_connector_writes(name):
    connector = _read(f"{name}.yaml")["connectors"]["spanmetrics"]
    store = _read("jaeger.yaml")["extensions"]["jaeger_storage"]["metric_backends"]
    asked = store["prometheus"]["prometheus"]
    unit = connector["histogram"]["unit"]
    written = connector["namespace"].replace(".", "_")  # and the suffixes of unit and counter
    calls = f"{written}_calls_total"
    duration = f"{written}_duration_{WORDS[unit]}"
    assert calls == f"{asked['metric_namespace']}_calls_total"
    assert duration == f"{asked['metric_namespace']}_duration_{WORDS[asked['latency_unit']]}"
    assert asked["normalize_calls"] is asked["normalize_duration"] is True
    page = (STACK / "README.md").read_text("utf-8")
    assert calls in page
    assert f"{duration}_bucket" in page


def test_dimensions_are_attributes_that_we_tell():
    told = {semconv.OPERATION_NAME, semconv.PROVIDER_NAME, semconv.REQUEST_MODEL, semconv.OUTCOME}
    for name in ("collector", "gateway/gateway"):
        connector = _read(f"{name}.yaml")["connectors"]["spanmetrics"]
        assert {each["name"] for each in connector["dimensions"]} == told


def test_jaeger_names_its_stores():
    read = _read("jaeger.yaml")
    store, query = read["extensions"]["jaeger_storage"], read["extensions"]["jaeger_query"]
    assert query["storage"]["traces"] in store["backends"]
    assert query["storage"]["metrics"] in store["metric_backends"]
    assert read["exporters"]["jaeger_storage_exporter"]["trace_storage"] in store["backends"]
