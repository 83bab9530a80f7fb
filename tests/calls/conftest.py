"""What the tests of calls share: a server that says a short text at the test's own pace.

Every piece of the text is one token, so k pieces received are k tokens counted.
"""

from __future__ import annotations

import gc
import logging
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import openai
import pytest

import tokentrail
from tokentrail.counting import ENCODINGS
from tokentrail.testing.payloads import Answer, Usage, chat, completions, responses
from tokentrail.testing.server import Plain, Server, Stream

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tokentrail.testing.replies import Call, Reply, Step

OPEN = object()
"""A step at which the server waits until the test lets it go on."""
PIECES = ("The", " sea", " is", " old", " and", " wide", ".")
QUESTION = "Tell me of the sea."


def is_last(chunk: Any) -> bool:
    """Return whether all that the model said was received with this chunk."""
    if choices := getattr(chunk, "choices", None):
        return choices[0].finish_reason is not None
    return getattr(chunk, "type", None) == "response.completed"


@dataclass(frozen=True)
class Api:
    """One of the ways to ask, and what of an answer's chunks is text."""

    name: str
    path: str
    model: str
    asked: dict[str, Any]
    input_tokens: int
    extra: int = 0
    """Tokens billed beside the text of an answer that was received to its end."""

    def method(self, client: Any, name: str = "create") -> Any:
        """Return the client's method."""
        owner = client
        for part in self.path.split("."):
            owner = getattr(owner, part)
        return getattr(owner, name)

    def answer(self, **changes: Any) -> Answer:
        """Return the model's answer, by default without usage."""
        return Answer(**{"texts": ("".join(PIECES),), "model": self.model, **changes})

    def events(self, usage: Usage | None = None) -> list[Any]:
        """Return the events of the streamed answer."""
        answer = self.answer(usage=usage)
        if self.name == "responses":
            return responses.events(answer)
        said = chat.chunks if self.name == "chat" else completions.events
        return said(answer, "last" if usage else "none")

    def body(self, usage: Usage | None = None) -> Any:
        """Return the plain answer."""
        answer = self.answer(usage=usage)
        if self.name == "responses":
            return responses.response(answer)
        return (chat.completion if self.name == "chat" else completions.completion)(answer)

    def text(self, chunk: Any) -> str:
        """Return the text in one chunk that the client gave."""
        if self.name == "responses":
            return chunk.delta if chunk.type == "response.output_text.delta" else ""
        if not chunk.choices:
            return ""
        choice = chunk.choices[0]
        return (choice.delta.content if self.name == "chat" else choice.text) or ""

    def tokens(self, chunks: Collection[Any]) -> int:
        """Return what the text of these chunks is billed."""
        said = sum(1 for chunk in chunks if self.text(chunk))
        return said + self.extra * any(map(is_last, chunks)) if said else 0


MESSAGES = [{"role": "user", "content": QUESTION}]
APIS = {
    "chat": Api("chat", "chat.completions", "gpt-4o-mini", {"messages": MESSAGES}, 13),
    "completions": Api(
        "completions", "completions", "gpt-3.5-turbo-instruct", {"prompt": QUESTION}, 6
    ),
    "responses": Api("responses", "responses", "gpt-4o-mini", {"input": QUESTION}, 13, extra=1),
}


@dataclass
class Stage:
    """A server that answers every call with ``reply``, and waits where it is told to."""

    OPEN: ClassVar[object] = OPEN
    server: Server
    reply: Reply | None = None
    first: list[Reply] = field(default_factory=list)
    """What is answered before :attr:`reply`, once each."""
    gate: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    """Set when the server came to :data:`OPEN`."""

    def answer(self, call: Call) -> Reply:
        """Return the reply to a call."""
        return self.first.pop(0) if self.first else self.reply

    def streams(self, steps: Iterable[Step | object], **options: Any) -> None:
        """Answer with a stream of these steps."""
        self.reply = Stream(_Steps(list(steps), self), **options)

    def says(self, body: object, **options: Any) -> None:
        """Answer with a plain body."""
        self.reply = Plain(body, **options)


@dataclass
class _Steps:
    steps: list[Any]
    stage: Stage

    def __iter__(self) -> Iterator[Any]:
        for step in self.steps:
            if step is OPEN:
                self.stage.reached.set()
                self.stage.gate.wait(10)
            else:
                yield step


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    """Give one server for the whole folder; what it answers, the stage of each test says."""
    server = Server(lambda call: server.stage.answer(call))  # noqa: PLW0108 - of each test's
    with server:
        yield server


@pytest.fixture
def stage(server) -> Iterator[Stage]:
    """Give a server whose answers the test writes."""
    server.stage = stage = Stage(server)
    server.calls.clear()
    yield stage
    stage.gate.set()
    gc.collect()
    failures, server.failures[:] = server.failures[:], []
    assert failures == []


@pytest.fixture(scope="package", autouse=True)
def warm() -> Iterator[None]:
    """Have encodings and client loaded, so that a call is told the moment it ends.

    What is there then is frozen, or each of the many collections here would take 0.2 s. Nothing
    is encrypted here, so the clients share one TLS context, which takes 30 ms to make.

    The collector runs when it is asked to: a dropped stream that it finds inside httpcore's
    pool, whose lock it then wants once more, hangs openai 1.40 with or without us.
    """
    ENCODINGS.load("o200k_base")
    ENCODINGS.load("cl100k_base")
    with openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="k") as client:
        assert client.chat.completions.create
        assert client.completions.create
        assert getattr(client, "responses", client).__class__
    gc.collect()
    gc.freeze()
    gc.disable()
    context = ssl.create_default_context()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ssl, "create_default_context", lambda *_, **__: context)
        yield
    gc.enable()


@pytest.fixture
def apis() -> dict[str, Api]:
    """Give the ways to ask, by name."""
    return APIS


@pytest.fixture
def silent(caplog) -> Iterator[None]:
    """Fail the test if anything is logged that the client alone would not log."""
    caplog.set_level(logging.DEBUG)
    gc.collect()  # what earlier tests dropped is not this one's, and messages by the worker
    tokentrail.flush(10)
    caplog.clear()
    yield
    gc.collect()
    own = ("tokentrail", "opentelemetry", "asyncio")
    ours = [r for r in caplog.get_records("call") if r.name.startswith(own)]
    messages = [r.getMessage() for r in ours if r.levelno >= logging.INFO]
    assert messages == []
