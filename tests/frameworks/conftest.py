"""A model on loopback, and what a framework makes of it, bare and instrumented.

What the framework gives and what goes over the wire must be the same; of each request there must
be one span, under the span of the application or of the framework, with the usage that the model
bills: exactly, but for what is counted where tools or a schema go along.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import inspect
import os
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.frameworks import results
from tests.frameworks.results import pytest_deselected, pytest_sessionfinish  # noqa: F401 - hooks

import tokentrail
from tokentrail.counting import ENCODINGS
from tokentrail.testing.exchanges import SALT
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server, Stream, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from tokentrail.testing.server import Call

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network at import

QUESTION, ANSWER = SALT.question, SALT.answer
MODEL = "gpt-4o-mini"
REPORTED, COUNTED = "chat: reported; completed", "chat: counted; completed"
CLOSED_EARLY = "chat: counted; closed early"
GUESSED = "chat: approximated, counted; completed"
"""What a schema costs is guessed, and so is a tool's with titles, as pydantic writes them."""
STALL = {"default_headers": {"x-stall": "1"}}
"""Settings of a client whose streams stall in the middle."""
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Say how the weather is in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
"""A tool, as the API takes it."""
ON_TOP = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings(  # of what frameworks do in their own ways, and leave open
        "ignore::DeprecationWarning",
        "ignore::UserWarning",
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
]
"""Marks of a test of a framework."""
ITS_OWN_WAY = {"tools", "response_format"}
"""Arguments around which this model bills in a way of its own, which no count can know."""
ROUGHLY = 24
"""Tokens by which a count misses that at most; docs/accuracy.md has how OpenAI bills them."""
_CHANCE = re.compile(
    r"(?<=_)[0-9a-f]{24,32}|[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}|0x[0-9a-f]+"
    r"|datetime\.datetime\([^)]*\)|(created|created_at|timestamp)'?[=:] ?[0-9.]+"
    r"|_?(response|start|end|processing|latency|duration)_(time|ms|at)'?[=:] ?[0-9.]+"
)
"""Ids and times, which no two runs share."""


def seen(value: Any) -> Any:
    """Return what an application can see of ``value``, but for ids and times."""
    if isinstance(value, (list, tuple)):
        return [seen(each) for each in value]
    return type(value).__qualname__, _CHANCE.sub("*", repr(value))


def paused(reply: Any) -> Any:
    """Return a stream that stalls after its tenth event, until the client hangs up."""
    steps = list(reply.steps)
    return Stream([*steps[:10], Wait(60), *steps[10:]])


@dataclass
class Framework:
    """What stands on the client, and the telemetry of it."""

    server: Server
    trail: Any
    loop: asyncio.AbstractEventLoop
    packages: tuple[str, ...]

    @property
    def base_url(self) -> str:
        """What the client of OpenAI takes as its base URL."""
        return self.server.base_url

    def run(self, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returns, run in the loop where it must be."""
        made = make()
        return self.loop.run_until_complete(made) if inspect.isawaitable(made) else made

    def twice(self, title: str, make: Callable[[], Any], *told: str, under: str = "request") -> Any:
        """Run bare and instrumented; require the same results and requests, and what is told.

        ``told``: for each request the operation, the sources of its usage and its ending.
        ``under``: the name of the span that each stands under.
        """
        tokentrail.uninstrument()
        bare, asked = self._noted(make)
        self.trail.instrument()
        self.trail.spans.clear()
        tracer = self.trail.spans.provider.get_tracer("application")
        with tracer.start_as_current_span("request"):
            ours, asked_again = self._noted(make)
        assert seen(ours) == seen(bare)
        assert list(map(_wire, asked_again)) == list(map(_wire, asked))
        spans = self._model_spans(len(asked))
        assert [_summary(span) for span in spans] == list(told)
        for span, call in zip(spans, asked_again, strict=True):
            self._check(span, call, under)
        results.keep(title, list(told), *self.packages)
        return ours

    def missed(self, title: str, make: Callable[[], Any]) -> None:
        """Run instrumented; require that the server is asked once, and that there is no span."""
        _, asked = self._noted(make)
        tokentrail.flush()
        assert (len(asked), self.ours()) == (1, [])
        results.keep(title, ["not recorded"], *self.packages)

    def _noted(self, make: Callable[[], Any]) -> tuple[Any, list[Call]]:
        before = len(self.server.calls)
        made = self.run(make)
        return made, self.server.calls[before:]

    def _model_spans(self, count: int) -> list[ReadableSpan]:
        """Return our spans by start; the collector ends what a framework merely drops."""
        for _ in range(100):
            if len(ours := self.ours()) == count:
                break
            gc.collect()
            self.run(lambda: asyncio.sleep(0.01))
        return ours

    def ours(self) -> list[ReadableSpan]:
        """Return the spans of model calls that tokentrail recorded."""
        spans = [s for s in self.trail.spans.all() if s.instrumentation_scope.name == "tokentrail"]
        return sorted(spans, key=lambda span: span.start_time)

    def _check(self, span: ReadableSpan, call: Call, under: str) -> None:
        """Require that a span describes the received call, under the right parent."""
        parents = {s.context.span_id: s.name for s in self.trail.spans.all()}
        assert parents[span.parent.span_id] == under
        attributes = dict(span.attributes)
        whole = attributes["tokentrail.outcome"] == "completed"
        for kind, billed in zip(("input", "output"), _billed(call), strict=True):
            tokens, source = (
                _tokens(attributes, kind),
                attributes.get(f"tokentrail.usage.{kind}.source"),
            )
            if kind == "output" and not whole:
                assert 0 < tokens < billed
            elif source == "reported" or not call.body.keys() & ITS_OWN_WAY:
                assert tokens == billed
            else:
                assert abs(tokens - billed) <= ROUGHLY


def _wire(call: Call) -> tuple[Any, ...]:
    headers = {name: _CHANCE.sub("*", value) for name, value in call.headers.items()}
    body = _CHANCE.sub("*", call.content.decode())
    return call.method, call.path, dict(call.query), headers, body


def _summary(span: ReadableSpan) -> str:
    attributes = dict(span.attributes)
    named = (attributes.get(f"tokentrail.usage.{kind}.source") for kind in ("input", "output"))
    sources = dict.fromkeys(source for source in named if source)
    operation = attributes["gen_ai.operation.name"]
    return (
        f"{operation}: {', '.join(sources)}; {attributes['tokentrail.outcome'].replace('_', ' ')}"
    )


def _tokens(said: dict[str, Any], kind: str) -> int | None:
    names = (f"{part}.{kind}_tokens" for part in ("gen_ai.usage", "tokentrail.usage.approximated"))
    return next((said[name] for name in names if name in said), None)


def _billed(call: Call) -> tuple[int, int | None]:
    """Return the tokens that the model bills for a request, streamed or not."""
    body = {name: value for name, value in call.body.items() if name != "stream"}
    usage = Model()(dataclasses.replace(call, body=body)).body["usage"]
    return (
        usage.get("prompt_tokens", usage.get("input_tokens")),
        usage.get("completion_tokens", usage.get("output_tokens")),
    )


@pytest.fixture(scope="session")
def model_server() -> Iterator[Server]:
    """Give a model that stalls in the middle of a stream where the question asks for it."""
    model = Model()

    def respond(call: Call) -> Any:
        reply = model(call)
        stalls = isinstance(reply, Stream) and call.headers.get("x-stall")
        return paused(reply) if stalls else reply

    ENCODINGS.load("o200k_base")
    with Server(respond) as server:
        yield server
    assert server.failures == []


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Give one loop to all tests: frameworks keep clients, and those keep to their loop."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield loop
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    _collect()


@pytest.fixture
def framework(request, model_server, trail, loop) -> Iterator[Framework]:
    """Give the server and the telemetry; ``PACKAGES`` of the test's module says what is run."""
    yield Framework(model_server, trail, loop, request.module.PACKAGES)
    _collect()


def _collect() -> None:
    """Collect garbage, without warnings of clients that a framework leaves open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
