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
    "Usage",
    "__version__",
    "attributes",
    "count_tokens",
    "current_usage",
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


def test_instrument_takes_each_setting_by_name():
    """An editor offers what the table has, and nothing else."""
    providers = {"tracer_provider", "meter_provider", "logger_provider"}
    taken = set(inspect.signature(tokentrail.instrument).parameters) - providers - {"unknown"}
    assert taken == {setting.name for setting in SETTINGS}


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
