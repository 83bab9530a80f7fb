"""What tests of several folders share: fixtures to take by their name, and small builders."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

# tokentrail is imported in the fixtures: strictness must be settled before.

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokentrail.testing.server import Server

OUTSIDE = Path(__file__).parents[2] / "shared"
"""What may stand beside the checkout. A test that reads there is marked ``outside(path)``."""

MODES = ("sync", "async")
both_modes = pytest.mark.parametrize("mode", MODES)

A_TEST = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-mini",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "A test."},
        }
    ],
}
"""A chat completion of 3 tokens, without a report."""


@pytest.fixture
def either_mode(request) -> str:
    """Run each case with one kind of client, chosen by its name, so that a table has both.

    To take as ``mode`` where cases differ in what is sent: how it is read does not depend on the
    kind of client. What does is marked ``both_modes``.
    """
    return MODES[crc32(request.node.name.encode()) % len(MODES)]


@pytest.fixture(autouse=True)
def no_chance(monkeypatch) -> None:
    """Leave out what is done for a random share of the calls."""
    monkeypatch.setenv("TOKENTRAIL_COUNT_VERIFICATION_RATIO", "0")


@pytest.fixture
def serve_in_turn() -> Iterator[Callable[..., Server]]:
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
def unsaid(monkeypatch) -> None:
    """Let warnings that are said once in a process be said once in the test."""
    from tokentrail.support import guard

    monkeypatch.setattr(guard, "_logged", set())


@pytest.fixture
def model() -> Iterator[Server]:
    """Give a server that behaves like a model, and has to answer all that it is asked."""
    from tokentrail.testing.model import Model
    from tokentrail.testing.server import Server

    with Server(Model()) as server:
        yield server
    assert server.failures == []


def helper_stream(client: Any) -> Any:
    """Return the client's helper that streams chat completions, wherever the release has it."""
    owner = client.chat if hasattr(client.chat.completions, "stream") else client.beta.chat
    return owner.completions.stream


def free_port() -> int:
    """Return a port of this machine on which nobody listens."""
    with contextlib.closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
