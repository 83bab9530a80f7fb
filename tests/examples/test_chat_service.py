"""``examples/chat_service``: several workers under load, browsers that go away, and the page."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import httpx
import pytest
from tests.shared import free_port

from tokentrail.testing.model import Model

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
pytest.importorskip("opentelemetry.instrumentation.fastapi")
pytestmark = [pytest.mark.thorough, pytest.mark.timeout(120)]

WORKERS = 2
READERS = 40
LEAVERS = 20
OPEN = 6
ASKED = {"messages": [{"role": "user", "content": "Tell me everything about the sea."}]}


@pytest.fixture
def service(request, examples, environment, collector):
    """Run the service as its README says; return where it listens and what stops it."""
    port = free_port()
    command = ["-m", "uvicorn", "service:app", "--workers", str(WORKERS), "--port", str(port)]
    # On a busy machine a worker may be slow to say that it lives, and would be killed for it.
    patient = ("--timeout-worker-healthcheck", "60")
    options = ("--log-level", "warning", *patient, *getattr(request, "param", ()))
    process = subprocess.Popen(
        [sys.executable, *command, *options],
        cwd=examples / "chat_service",
        env={
            **environment,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        },
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _await_answer(url, process)
        yield url, process
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()


def _await_answer(url, process):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, "the service did not start"
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        time.sleep(0.1)
    pytest.fail("the service does not answer")


async def _read(client, url):
    async with client.stream("POST", f"{url}/chat", json=ASKED) as answer:
        assert answer.status_code == 200
        said = [line async for line in answer.aiter_lines() if line.startswith("event:")]
    assert said[-1] == "event: usage"


async def _leave(client, url):
    """Go away in the middle, as a closed tab does: the connection is gone."""
    async with client.stream("POST", f"{url}/chat", json=ASKED) as answer:
        read = 0
        async for line in answer.aiter_lines():
            read += line.startswith("event:")
            if read == 5:
                return


async def _load(url):
    # No connection is used twice, so that both workers get their share.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:
        at_once = asyncio.Semaphore(20)

        async def one(visit):
            async with at_once:
                await visit(client, url)

        visits = [_read] * READERS + [_leave] * LEAVERS
        await asyncio.gather(*(one(visit) for visit in visits))


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user", "content": "x" * 32_001}],
        [{"role": "user", "content": "x"}] * 201,
    ],
    ids=["none", "too long", "too many"],
)
def test_what_is_too_much_is_refused(service, model, messages):
    url, _ = service
    assert httpx.post(f"{url}/chat", json={"messages": messages}).status_code == 422


async def test_under_load_every_call_is_recorded_once_whichever_worker_made_it(service, collector):
    url, process = service
    await _load(url)
    told = collector.wait(lambda: _all_recorded(collector))
    # A browser that is gone cancels the task that reads for it; on a busy machine it goes too late.
    endings = Counter(call["attributes"]["tokentrail.outcome"] for call in told)
    assert endings["completed"] >= READERS
    assert endings.keys() <= {"completed", "cancelled", "closed_early"}
    assert endings.total() == READERS + LEAVERS
    assert {call["attributes"]["feature"] for call in told} == {"chat"}
    assert all(call["attributes"]["gen_ai.usage.output_tokens"] > 0 for call in told)

    process.send_signal(signal.SIGTERM)
    process.wait(30)
    assert {call["resource"]["service.instance.id"] for call in told} == set(
        collector.latest("tokentrail.usage.tokens")
    )
    spent = sum(call["attributes"]["gen_ai.usage.output_tokens"] for call in told)
    assert spent == _sum(collector, "tokentrail.usage.tokens", "output")
    assert sum(value for _, value in _points(collector, "tokentrail.operations")) == len(told)


def _all_recorded(collector, number=READERS + LEAVERS):
    spans = collector.spans()
    calls = [span for span in spans if span["name"].startswith("chat ")]
    requests = {span["id"] for span in spans if span["name"] == "POST /chat"}
    # Each call stands under the request that it was made for.
    under = [call for call in calls if call["parent"] in requests]
    return under if len(under) == number == len(calls) else None


def _points(collector, name):
    return [point for points in collector.latest(name).values() for point in points]


def _sum(collector, name, direction):
    points = _points(collector, name)
    return sum(value for about, value in points if about["gen_ai.token.type"] == direction)


@pytest.mark.parametrize("service", [("--timeout-graceful-shutdown", "1")], indirect=True)
async def test_a_call_open_when_the_workers_stop_is_recorded_under_its_request(
    service, model, collector
):
    """The server cancels it and shuts the service down in the same moment."""
    url, process = service
    model._respond = Model(delay=0.2)
    async with httpx.AsyncClient(timeout=60) as client:
        begun = [asyncio.Event() for _ in range(OPEN)]
        readers = [asyncio.create_task(_be_cut_off(client, url, event)) for event in begun]
        await asyncio.wait_for(asyncio.gather(*(event.wait() for event in begun)), 60)
        process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(process.wait, 60)
        await asyncio.gather(*readers)
    told = _all_recorded(collector, OPEN)
    assert told, collector.spans()
    endings = {call["attributes"]["tokentrail.outcome"] for call in told}
    assert endings <= {"cancelled", "closed_early"}
    assert all(call["attributes"]["gen_ai.usage.output_tokens"] > 0 for call in told)
    spent = sum(call["attributes"]["gen_ai.usage.output_tokens"] for call in told)
    assert spent == _sum(collector, "tokentrail.usage.tokens", "output")


async def _be_cut_off(client, url, begun):
    said = []
    with contextlib.suppress(httpx.RemoteProtocolError):
        async with client.stream("POST", f"{url}/chat", json=ASKED) as answer:
            async for line in answer.aiter_lines():
                said.append(line)
                if len(said) > 6:  # two events, their ends, and more
                    begun.set()
    assert "event: usage" not in said, "the answer was over"


def test_a_refused_call_is_answered_without_the_error_text(service, model):
    """Neither key nor endpoint nor message of the model's service reaches the browser."""
    url, _ = service
    model._respond = lambda call: _refusal()
    answer = httpx.post(f"{url}/chat", json=ASKED, timeout=30)
    assert answer.status_code == 502
    assert answer.json() == {"detail": "the model's service refused (AuthenticationError)"}
    assert httpx.post(f"{url}/chat", json={"messages": []}, timeout=30).status_code == 422


def _refusal():
    from tokentrail.testing.payloads import errors

    return errors.wrong_key("sk-secret")


@pytest.fixture
def page(service):
    """Open the page in Debian's browser."""
    playwright = pytest.importorskip("playwright.async_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium is installed")
    return playwright.async_playwright, chromium, service[0]


async def test_the_page_shows_an_answer_and_stops_one_in_the_middle(page, collector, tmp_path):
    start, chromium, url = page
    async with start() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        tab = await browser.new_page(viewport={"width": 760, "height": 620})
        await tab.goto(url)
        await tab.fill("#question", "Why is the night dark?")
        await tab.click("#send")
        await tab.wait_for_function("document.querySelectorAll('.note').length == 1")
        assert "tokens in" in await tab.inner_text(".note >> nth=0")
        answer = await tab.inner_text(".assistant >> nth=0")
        assert answer.startswith("Because the universe is young.")

        await tab.fill("#question", "And how do birds find their way?")
        await tab.press("#question", "Enter")
        await tab.wait_for_function(
            "document.querySelectorAll('.assistant')[1]?.textContent.length > 20"
        )
        await tab.click("#stop")
        await tab.wait_for_function("document.querySelectorAll('.note').length == 2")
        assert await tab.inner_text(".note >> nth=1") == "stopped"
        picture = os.environ.get("PICTURE", str(tmp_path / "page.png"))
        await tab.screenshot(path=picture)
        await browser.close()

    def told():
        calls = [s["attributes"] for s in collector.spans() if s["name"].startswith("chat ")]
        return calls if len(calls) == 2 else None

    whole, stopped = collector.wait(told)
    assert whole["tokentrail.outcome"] == "completed"
    assert stopped["tokentrail.outcome"] in {"cancelled", "closed_early"}
    assert stopped["gen_ai.usage.output_tokens"] > 0
