"""Where ``attributes()`` holds and where Python gives no way: a call in each place, and its span.

FastAPI makes a span of its own for the endpoint, in another OpenTelemetry context than that of the
dependencies. What holds is in docs/whose-call-it-is.md, with a recipe where it does not.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from opentelemetry import context as otel_context

import tokentrail
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}


@pytest.fixture(scope="module")
def server():
    with Server(Model()) as server:
        yield server
    assert server.failures == []


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="no-secret") as client:
        yield client


@pytest.fixture
def ask(client):
    """Give a function that makes a call."""
    return lambda: client.chat.completions.create(**ASKED) and None


def _tenants(trail):
    return [span.attributes.get("tenant") for span in trail.spans.all() if "chat" in span.name]


def _application(trail, ask, setting):  # noqa: C901 - an endpoint for each place
    """Return an application in which each way to set a tenant meets each way to make a call."""
    fastapi = pytest.importorskip("fastapi")
    from fastapi.responses import Response, StreamingResponse
    from starlette.background import BackgroundTask

    if "telemetry" not in inspect.signature(fastapi.FastAPI).parameters:
        pytest.skip("this FastAPI makes no spans of its own")
    spans = {"tracer_provider": trail.spans.provider, "auto_configure": False}
    app = fastapi.FastAPI(telemetry=spans)
    depends = [fastapi.Depends(setting)] if setting is not _middleware else []
    if setting is _middleware:
        app.add_middleware(_middleware)

    @app.get("/async", dependencies=depends)
    async def in_async():
        ask()

    @app.get("/sync", dependencies=depends)
    def in_sync():
        ask()

    @app.get("/stream", dependencies=depends)
    async def in_stream():
        def lines():
            ask()
            yield "said"

        return StreamingResponse(lines())

    @app.get("/to_thread", dependencies=depends)
    async def in_to_thread():
        await asyncio.to_thread(ask)

    @app.get("/executor", dependencies=depends)
    async def in_executor():
        await asyncio.get_running_loop().run_in_executor(None, ask)

    @app.get("/executor_recipe", dependencies=depends)
    async def in_executor_with_its_context():
        run = contextvars.copy_context().run
        await asyncio.get_running_loop().run_in_executor(None, run, ask)

    @app.get("/background", dependencies=depends)
    async def in_background():
        return Response(background=BackgroundTask(ask))

    return app


async def _asynchronous():
    with tokentrail.attributes(tenant="acme"):
        yield


def _synchronous():
    with tokentrail.attributes(tenant="acme"):
        yield


async def _recipe():
    """Set it as an asynchronous dependency, whatever computes the tenant."""
    tenant = await asyncio.to_thread(lambda: "acme")
    with tokentrail.attributes(tenant=tenant):
        yield


class _middleware:  # noqa: N801 - one of the ways, beside two functions
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        with tokentrail.attributes(tenant="acme"):
            await self.app(scope, receive, send)


# FastAPI ends dependencies after background tasks and streams are done.
EVERYWHERE = {"async", "sync", "stream", "to_thread", "executor_recipe", "background"}


@pytest.mark.parametrize(
    ("setting", "holds"),
    [
        pytest.param(_asynchronous, EVERYWHERE, id="asynchronous dependency"),
        pytest.param(_synchronous, set(), id="synchronous dependency, run in a copy"),
        pytest.param(_recipe, EVERYWHERE, id="asynchronous dependency around what is synchronous"),
        pytest.param(_middleware, EVERYWHERE, id="middleware"),
    ],
)
def test_fastapi(trail, ask, setting, holds):
    pytest.importorskip("fastapi")
    from starlette.testclient import TestClient

    app = _application(trail, ask, setting)
    with TestClient(app) as browser:
        for place in (*sorted(EVERYWHERE), "executor"):
            assert browser.get(f"/{place}").status_code == 200
            assert _tenants(trail) == ["acme" if place in holds else None], place
            trail.spans.clear()


def test_a_thread_has_none_unless_it_is_given_the_context(trail, ask):
    with tokentrail.attributes(tenant="acme"):
        copied, run = otel_context.get_current(), contextvars.copy_context().run

        def given():
            token = otel_context.attach(copied)
            ask()
            otel_context.detach(token)

        for target, args in ((ask, ()), (run, (ask,)), (given, ())):
            thread = threading.Thread(target=target, args=args)
            thread.start()
            thread.join()
    assert _tenants(trail) == [None, "acme", "acme"]


def test_a_pool_has_none_unless_it_is_given_the_context(trail, ask):
    with ThreadPoolExecutor(1) as pool, tokentrail.attributes(tenant="acme"):
        pool.submit(ask).result()
        pool.submit(contextvars.copy_context().run, ask).result()
    assert _tenants(trail) == [None, "acme"]


def test_a_task_keeps_what_held_when_it_was_made(trail, ask):
    async def later():
        await asyncio.sleep(0)
        ask()

    async def main():
        with tokentrail.attributes(tenant="acme"):
            task = asyncio.create_task(later())
        await task
        ask()

    asyncio.run(main())
    assert _tenants(trail) == ["acme", None]


def test_the_inner_block_wins_over_a_context_from_outside(trail, ask):
    before = otel_context.get_current()
    with tokentrail.attributes(tenant="outer"):
        around = otel_context.get_current()
        with tokentrail.attributes(tenant="inner"):
            for context in (before, around):
                token = otel_context.attach(context)
                ask()
                otel_context.detach(token)
        ask()
    assert _tenants(trail) == ["inner", "inner", "outer"]


def test_a_context_that_is_passed_on_by_hand_counts(trail, ask):
    with tokentrail.attributes(tenant="passed", feature="import"):
        passed = otel_context.get_current()
    with tokentrail.attributes(tenant="own"):
        token = otel_context.attach(passed)
        ask()
        with tokentrail.attributes(feature="export"):
            ask()
        otel_context.detach(token)
        ask()
    assert _tenants(trail) == ["passed", "passed", "own"]
