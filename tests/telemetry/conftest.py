from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

# tokentrail is imported in the fixtures: strictness must be settled before.

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokentrail.testing.server import Server


@pytest.fixture(autouse=True)
def no_chance(monkeypatch) -> None:
    """Leave out what is done for a random share of the calls."""
    monkeypatch.setenv("TOKENTRAIL_COUNT_VERIFICATION_RATIO", "0")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server that gives these replies in turn, then the last one again and again."""
    from tokentrail.testing.server import Server

    with contextlib.ExitStack() as servers:

        def start(*replies: Any) -> Server:
            left = list(replies)
            return servers.enter_context(
                Server(lambda call: left.pop(0) if len(left) > 1 else left[0])
            )

        yield start


@pytest.fixture
def encodings() -> None:
    """Have both encodings built, so that nothing waits for one."""
    from tokentrail.counting import ENCODINGS

    for name in ("cl100k_base", "o200k_base"):
        assert ENCODINGS.load(name) is not None
