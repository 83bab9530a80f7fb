"""Servers that answer as compatible servers do, over real HTTP, each with input made up here."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tokentrail.counting import ENCODINGS
from tokentrail.testing.server import Event, Plain, Server, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MESSAGES = [{"role": "user", "content": "Which trees stand at the river?"}]
HEAD = {"id": "c-9", "model": "gpt-4o-mini", "object": "chat.completion.chunk", "created": 5}


def responses_of(client: Any) -> Any:
    """Return the client's responses; a test of a client that has none is skipped."""
    if not hasattr(client, "responses"):
        pytest.skip("this client has no responses")
    return client.responses


@pytest.fixture(scope="session", autouse=True)
def encodings() -> None:
    """Have the encoding ready."""
    ENCODINGS.load("o200k_base")


@pytest.fixture(autouse=True)
def no_chance(monkeypatch) -> None:
    """Leave out what is done for a random share of the calls."""
    monkeypatch.setenv("TOKENTRAIL_COUNT_VERIFICATION_RATIO", "0")


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server for a reply, or for a function from a call to its reply."""
    with contextlib.ExitStack() as servers:

        def start(reply: Any) -> Server:
            respond = reply if callable(reply) else lambda _: reply
            return servers.enter_context(Server(respond))

        yield start


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> Event:
    """Return a chunk with one choice."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return Event({**HEAD, "choices": [{**choice, **more.pop("choice", {})}], **more})


def streamed(*events: Event) -> Stream:
    """Return a stream that ends as those of chat do."""
    return Stream([*events, Event("[DONE]")])


def completion(message: Any, finish: str = "stop", **more: Any) -> Plain:
    """Return a plain answer with one choice."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    choice.update(more.pop("choice", {}))
    return Plain({**HEAD, "object": "chat.completion", "choices": [choice], **more})


def reply_of(said: Any, *, stream: bool, usage: Any = None) -> Any:
    """Return an answer of one message, plain or in one chunk and one for the finish reason."""
    more = {} if usage is None else {"usage": usage}
    if stream:
        return streamed(chunk(said), chunk({}, "stop", **more))
    return completion(said, **more)


@pytest.fixture
def ask(driver, serve):
    """Return a function that asks a server of this reply, and reads the answer to its end."""

    async def ask(reply: Any, *, stream: bool = False, **more: Any) -> Any:
        client = driver.client(serve(reply))
        given = {"model": "gpt-4o-mini", "messages": MESSAGES, **more}
        answer = await driver.call(client.chat.completions.create, **given, stream=stream)
        return await driver.read(answer) if stream else answer

    return ask
