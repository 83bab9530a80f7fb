"""The encodings, built once, and the text that is hard to count."""

from __future__ import annotations

import pytest

from tokentrail.counting import ENCODINGS


@pytest.fixture(scope="session", params=["cl100k_base", "o200k_base"])
def encoding(request):
    built = ENCODINGS.load(request.param)
    assert built is not None
    return built


@pytest.fixture(scope="session")
def cl100k():
    return ENCODINGS.load("cl100k_base")


@pytest.fixture(scope="session")
def o200k():
    return ENCODINGS.load("o200k_base")
