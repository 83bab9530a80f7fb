"""Why the lowest OpenTelemetry API is the one that pyproject.toml states."""

from __future__ import annotations

import inspect
from importlib.metadata import distribution

import pytest
from opentelemetry.metrics import Counter, Histogram, Meter
from packaging.requirements import Requirement


def _floor(name: str) -> str:
    for text in distribution("tokentrail").requires or []:
        requirement = Requirement(text)
        if requirement.name == name and requirement.marker is None:
            return next(part.version for part in requirement.specifier if part.operator == ">=")
    raise AssertionError(name)


def test_1_30_is_the_first_that_takes_a_context_and_advice_on_boundaries():
    """1.29 has the one and lacks the other; the CI session ``oldest`` runs this on 1.30 itself."""
    assert _floor("opentelemetry-api") == "1.30"
    assert _floor("opentelemetry-instrumentation") == "0.51b0"
    assert (
        "explicit_bucket_boundaries_advisory"
        in inspect.signature(Meter.create_histogram).parameters
    )


@pytest.mark.parametrize("record", [Histogram.record, Counter.add])
def test_a_measurement_takes_the_context_of_its_call(record):
    assert "context" in inspect.signature(record).parameters
