from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests import shared

# tokentrail is imported in the fixtures: strictness must be settled before.

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokentrail.testing.payloads import Answer
    from tokentrail.testing.server import Server

no_chance = shared.no_chance
unsaid = shared.unsaid

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
"""13 tokens in o200k_base (a published count)."""


@dataclass(frozen=True)
class Ask:
    """Asks a server that answers one text, in the mode of the test."""

    driver: Any
    serve: Callable[[Answer], Server]

    async def __call__(
        self, answer: Answer, *, stream: bool = False, kind: str = "openai", **changed: Any
    ) -> Any:
        """Call for the answer and read it to its end."""
        client = self.driver.client(self.serve(answer), kind)
        asked: dict[str, Any] = {**ASKED, **changed}
        if not stream:
            return await self.driver.call(client.chat.completions.create, **asked)
        chunks = await self.driver.call(client.chat.completions.create, stream=True, **asked)
        return await self.driver.read(chunks)


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    """Start a server that always gives this answer, streamed without usage unless asked."""
    from tokentrail.testing.payloads import chat
    from tokentrail.testing.server import Plain, Server, Stream

    with contextlib.ExitStack() as servers:

        def start(answer: Answer) -> Server:
            def respond(call):
                if call.body.get("stream") is not True:
                    return Plain(chat.completion(answer))
                asked = (call.body.get("stream_options") or {}).get("include_usage") is True
                return Stream(chat.chunks(answer, "last" if asked else "none"))

            return servers.enter_context(Server(respond))

        yield start


@pytest.fixture
def ask(driver, serve) -> Ask:
    return Ask(driver, serve)


@pytest.fixture
def answer() -> Answer:
    """Give an answer of 3 tokens, whose report says neither that nor the prompt's 13."""
    from tokentrail.testing.payloads import Answer, Usage

    return Answer(("Hello there.",), Usage(100, 30), "gpt-4o-2024-08-06")


@pytest.fixture
def cold(monkeypatch) -> Any:
    """Give encodings of which none is built, to what is instrumented after."""
    from tokentrail.counting import Encodings
    from tokentrail.runtime import runtime

    cold = Encodings()
    monkeypatch.setattr(runtime, "ENCODINGS", cold)
    return cold
