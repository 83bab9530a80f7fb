"""A model on loopback, and calls made of it bare and instrumented.

A call is made bare first and instrumented then, by the same steps against the same server; what the
application got and what went over the wire must be the same.
"""

from __future__ import annotations

from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai
import pytest
from tests.surface import results, standing
from tests.surface.table import SEA
from tests.surface.taking import take

import tokentrail
from tokentrail.counting import ENCODINGS
from tokentrail.patching.methods import ROWS
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.surface.table import Method, Way
    from tests.surface.taking import Taken

    Make = Callable[[Any, Any, dict[str, Any], Way], Awaitable[Taken]]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down what was seen, if all went well."""
    if not session.testsfailed:
        results.write()


@dataclass
class Surface:
    """One server, and the calls made of it bare and instrumented."""

    server: Server
    driver: Any
    trail: Any

    def client(self, kind: str = "openai", **options: Any) -> Any:
        """Return a client that was never used: raw wrappers keep the method they were made of."""
        return self.driver.client(self.server, kind, **options)

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[None]:
        """Uninstrument for a while."""
        tokentrail.uninstrument()
        yield
        self.trail.instrument()

    async def asked(self, method: Method, kind: str = "openai") -> dict[str, Any]:
        """Return the arguments; where the call is about a response, have one made, untold."""
        if method.fetches is None:
            return method.asked
        async with self.bare():
            create = self.client(kind).responses.create
            made = await self.driver.call(create, **method.fetches)
        return {**method.asked, "response_id": made.id}

    async def twice(self, method: Method, way: Way, kind: str, make: Make = take) -> Taken:
        """Make a call bare and instrumented; whatever the application can see is the same."""
        asked, base = await self.asked(method, kind), self.client(kind)
        async with self.bare():
            bare = await make(self.driver, method.on(base, way.prefix), asked, way)
        client = base.copy()
        told = await make(self.driver, method.on(client, way.prefix), asked, way)
        assert told.seen() == bare.seen()
        first, second = self.server.calls[-2:]
        assert (second.path, second.query) == (first.path, first.query)
        assert _sent(second) == _sent(first)
        return told


def _sent(call: Any) -> tuple[dict[str, str], bytes]:
    """Return headers and body; what parts the fields of a form is drawn by lot."""
    kind = call.headers.get("content-type", "")
    boundary = kind.partition("boundary=")[2]
    if not boundary:
        return dict(call.headers), call.content
    headers = {**call.headers, "content-type": kind.replace(boundary, "*")}
    return headers, call.content.replace(boundary.encode(), b"*")


@pytest.fixture(scope="session")
def model_server() -> Iterator[Server]:
    """Give a model that knows the sea, to all tests."""
    ENCODINGS.load("o200k_base")
    ENCODINGS.load("cl100k_base")
    with Server(Model(exchanges=(SEA,))) as server:
        yield server
    assert server.failures == []


@pytest.fixture(autouse=True)
def nothing_has_moved(request) -> None:
    """Leave out what cannot succeed in a release that moved a method: one test names its row."""
    moved = [row.title for row in ROWS if standing.has_moved(row)]
    if moved and request.module.__name__.rpartition(".")[2] != "test_rows":
        pytest.skip(f"moved: {moved}")


@pytest.fixture
def surface(model_server, driver, trail) -> Surface:
    """Give the server, the driver of the mode, and the trail."""
    return Surface(model_server, driver, trail)


@pytest.fixture
def method(request, surface) -> Method:
    """Give a method of ``each()``, if this release has it."""
    if request.param.on(surface.client()) is None:
        pytest.skip(f"openai {openai.__version__} has no {request.param.path}")
    return request.param


@pytest.fixture
def says() -> Iterator[Callable[..., Server]]:
    """Start a server that gives these replies in turn, then the last one again and again."""
    with ExitStack() as servers:

        def start(*replies: Any) -> Server:
            left = list(replies)
            started = Server(lambda call: left.pop(0) if len(left) > 1 else left[0])
            return servers.enter_context(started)

        yield start
