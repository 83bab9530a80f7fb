"""Examples are run as their README says, as programs of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def examples():
    """Give the folder of the examples."""
    return ROOT / "examples"


@pytest.fixture
def model():
    """Serve an OpenAI that takes its time, as one does."""
    with Server(Model(delay=0.01)) as server:
        yield server


@pytest.fixture
def environment(model):
    """Give the environment of a program that calls the model."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": model.base_url,
        # A busy machine may take longer than the default to build the first encoding.
        "TOKENTRAIL_COUNT_TIMEOUT": "20",
        "TOKENTRAIL_COUNT_VERIFICATION_RATIO": "0",
    }


@pytest.fixture
def collector():
    """Give what takes OTLP over HTTP."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    from tests.examples.collector import Collector

    with Collector() as collector:
        yield collector
