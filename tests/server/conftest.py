"""The encodings that the package ships, each built once."""

import pytest

from tokentrail.counting import ENCODINGS


@pytest.fixture(scope="session")
def encoding():
    """Return what gives a ``tiktoken.Encoding`` by its name, without the network."""
    return ENCODINGS.load
