"""A server that honours or refuses the option, and a comparison with a program without us."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import openai
import pytest
from tests import shared

from tokentrail.counting import ENCODINGS
from tokentrail.testing.payloads import Answer, Usage, chat, completions
from tokentrail.testing.server import Plain, Server, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tokentrail.testing.replies import Call, Reply, Step

no_chance = shared.no_chance

MESSAGES = [{"role": "user", "content": "Tell me of the sea."}]
BILLED = Usage(113, 1070, reasoning=1000)
"""Nothing that counting would come to."""
ANSWER = Answer(("The sea is old and wide.",), BILLED, "gpt-4o-mini", id="one", created=1)

Says = "Callable[[Call, bool], Sequence[Step]]"


def is_asked(call: Call) -> bool:
    """Whether the request has the option on."""
    return (call.body.get("stream_options") or {}).get("include_usage") is True


def says(answer: Answer = ANSWER, said: Any = chat.chunks) -> Callable[[Call], Reply]:
    """Answer with a stream whose usage comes as asked."""
    return lambda call: Stream(said(answer, "last" if is_asked(call) else "none"))


def says_text(answer: Answer) -> Callable[[Call], Reply]:
    """Answer legacy completions likewise."""
    return says(answer, completions.events)


@dataclass
class Turn:
    """One answer at a time, each step of it when the test allows it."""

    steps: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    waited: int = 0

    def paced(self, events: Sequence[Step]) -> Iterator[Step]:
        """Yield an event for each permit."""
        for event in events:
            if not self.steps.acquire(timeout=5):
                self.waited += 1
            yield event


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start a server for a function from a call to its reply."""
    with contextlib.ExitStack() as servers:

        def start(respond: Callable[[Call], Reply]) -> Server:
            return servers.enter_context(Server(respond))

        yield start


@pytest.fixture(scope="session", autouse=True)
def encodings() -> None:
    """Have the encodings ready."""
    ENCODINGS.load("o200k_base")
    ENCODINGS.load("cl100k_base")


def seen(chunk: Any) -> tuple[Any, ...]:
    """Return all that an application can see of a chunk or of a helper's event."""
    inner = getattr(chunk, "chunk", None)
    shown = [type(chunk), repr(chunk)]
    for model in (chunk, inner):
        if isinstance(model, openai.BaseModel):
            shown += [
                model.to_json(),
                model.to_dict(),
                model.model_dump_json(),
                sorted(model.model_fields_set),
                model.model_extra,
            ]
    return tuple(shown)


@dataclass
class Ways:
    """The same program with and without tokentrail."""

    driver: Any
    trail: Any

    async def compared(self, program: Callable[[], Any]) -> Any:
        """Assert that ``program`` sees the same either way; return what it saw."""
        import tokentrail

        tokentrail.uninstrument()
        without = await program()
        self.trail.instrument(stream_usage="request")
        with_us = await program()
        assert with_us == without
        return with_us


@pytest.fixture
def ways(driver, trail) -> Ways:
    return Ways(driver, trail)


def refusal(body: Any, status: int = 400) -> Callable[[Call], Reply]:
    """Refuse calls that have the option, in these words; answer all others."""
    plain = says()

    def respond(call: Call) -> Reply:
        if "stream_options" in call.body:
            return Plain(body, status)
        return plain(call)

    return respond
