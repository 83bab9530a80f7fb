"""A finaliser may run in any thread, at any line, in any lock: it takes none, and does no I/O."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading

import pytest
from tools.bench import wire

import tokentrail
from tokentrail.runtime import runtime
from tokentrail.telemetry.metrics import totals

FORBIDDEN = ("opentelemetry", "logging", "threading", "queue", "socket", "asyncio", "selectors")
"""Whose functions take locks, or do I/O."""


class Lock:
    """A lock that says whether this thread wants it; the worker may."""

    def __init__(self, wanted):
        self.wanted, self.thread = wanted, threading.get_ident()

    def acquire(self, *args, **kwargs):
        if threading.get_ident() == self.thread:
            self.wanted.append(args)
        return True

    __enter__ = acquire

    def __exit__(self, *args):
        """Nobody waits for it."""

    def release(self):
        """Nobody waits for it."""


def _module(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0]


def _collect():
    """Collect; return the functions that ours entered elsewhere, and all of our own."""
    entered, ours = set(), set()

    def look(frame, event, argument):
        if event == "call" and _module(frame) == "tokentrail":
            ours.add(frame.f_code.co_name)
        elif event == "call" and _module(frame) in FORBIDDEN:
            above = frame
            while above is not None and _module(above) in FORBIDDEN:
                above = above.f_back
            if above is not None and _module(above) == "tokentrail":  # not the client's own
                entered.add(f"{_module(frame)}:{frame.f_code.co_name}")

    sys.setprofile(look)
    try:
        gc.collect()
    finally:
        sys.setprofile(None)
    return entered, ours


async def _dropped_stream(driver, client, api):
    stream = await driver.call(api.method(client), model=api.model, **api.asked, stream=True)
    await driver.take(stream, 3)
    stream.mine = stream  # only the collector finds it


async def _dropped_unread(driver, client, api):
    stream = await driver.call(api.method(client), model=api.model, **api.asked, stream=True)
    stream.mine = stream


async def _dropped_helper(driver, client, api):
    owner = client.chat if hasattr(client.chat.completions, "stream") else client.beta.chat
    manager = owner.completions.stream(model=api.model, **api.asked)
    enter = manager.__aenter__ if driver.mode == "async" else manager.__enter__
    stream = await driver.call(enter)
    await driver.take(stream, 3)
    stream.mine = stream, manager


async def _dropped_raw(driver, client, api):
    create = client.chat.completions.with_streaming_response.create
    manager = create(model=api.model, **api.asked, stream=True)
    enter = manager.__aenter__ if driver.mode == "async" else manager.__enter__
    raw = await driver.call(enter)
    raw.mine = raw, manager


async def _dropped_lines(driver, client, api):
    """Return the answer, whose lines are read by a generator that closes it at its own end."""
    create = client.chat.completions.with_streaming_response.create
    manager = create(model=api.model, **api.asked, stream=True)
    enter = manager.__aenter__ if driver.mode == "async" else manager.__enter__
    raw = await driver.call(enter)
    lines = (_lines_later if driver.mode == "async" else _lines)(raw)
    await driver.next(lines)
    only_the_collector_finds_it = [lines]
    only_the_collector_finds_it.append(only_the_collector_finds_it)
    return raw, manager


def _lines(raw):
    try:
        yield from raw.iter_lines()
    finally:
        raw.http_response.close()


async def _lines_later(raw):
    try:
        async for line in raw.iter_lines():
            yield line
    finally:
        await raw.http_response.aclose()


async def _dropped_within(driver, client, api):
    """Return the stream, which a generator of the application reads and closes by ``with``."""
    stream = await driver.call(api.method(client), model=api.model, **api.asked, stream=True)
    chunks = (_chunks_later if driver.mode == "async" else _chunks)(stream)
    await driver.next(chunks)
    only_the_collector_finds_it = [chunks]
    only_the_collector_finds_it.append(only_the_collector_finds_it)
    return stream


def _chunks(stream):
    with stream:
        yield from stream


async def _chunks_later(stream):
    async with stream:
        async for chunk in stream:
            yield chunk


READ = (_dropped_stream, _dropped_helper, _dropped_lines, _dropped_within)


@pytest.mark.parametrize("drop", [*READ, _dropped_unread, _dropped_raw])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"capture_content": "SPAN_AND_EVENT", "emit_event": True, "metric_names": "both"},
        {"stream_usage": "request", "token_counting": "always"},
    ],
)
async def test_a_finaliser_takes_no_lock_and_does_no_io(
    driver, stage, trail, apis, monkeypatch, drop, settings
):
    """All that it does is to hand the call over; the worker tells it later."""
    trail.instrument(**settings)
    stage.streams(apis["chat"].events())
    kept = await drop(driver, driver.client(stage.server), apis["chat"])
    wanted = []
    with monkeypatch.context() as held:
        held.setattr(runtime.current().worker, "_lock", Lock(wanted))
        held.setattr(totals, "_lock", Lock(wanted))
        entered, ours = _collect()
        if driver.mode == "async" and drop in READ:
            # An asynchronous generator lives on until the loop has closed it: a step of the loop's,
            # in which locks are free. What is left then has finalisers, too.
            assert (entered, wanted) == (set(), [])
            await _turns()
            wanted.clear()
            entered, _ = _collect()
        else:
            assert "on_collected" in ours or "on_closed" in ours
    assert (entered, wanted) == (set(), [])
    del kept
    assert tokentrail.flush(10)
    assert trail.spans.attributes()["tokentrail.outcome"] == "closed_early"


async def _turns():
    for _ in range(20):
        await asyncio.sleep(0)


def test_the_finaliser_ends_a_stream_after_its_event_loop_is_closed(trail, monkeypatch):
    """Nobody is left to close it: what the collector finds then is ended in place."""
    _, client = wire.clients()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(_left_behind(client))
    loop.close()
    wanted = []
    with monkeypatch.context() as held:
        held.setattr(runtime.current().worker, "_lock", Lock(wanted))
        entered, ours = _collect()
    assert "on_collected" in ours or "on_closed" in ours
    assert (entered, wanted) == (set(), [])
    assert tokentrail.flush(10)
    assert trail.spans.attributes()["tokentrail.outcome"] == "closed_early"


async def _left_behind(client):
    headers = {wire.LENGTH: "9"}
    stream = await client.chat.completions.create(**wire.CHAT, stream=True, extra_headers=headers)
    await stream.__anext__()
    stream.mine = stream


LONG = "word " * 100_000


def _long_stream(request):
    choice = {"index": 0, "delta": {"content": LONG}, "finish_reason": None}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    body = b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n"
    headers = {"content-type": "text/event-stream"}
    return wire.httpx.Response(200, content=body * 2, headers=headers)


def test_what_is_dropped_while_too_much_waits_holds_no_text(trail, monkeypatch):
    """Finalisers hand over without end: what waits is bounded by its size there, too."""
    go = threading.Event()
    trail.instrument(
        capture_content="SPAN_ONLY", redact=lambda kind, text: text if go.wait(30) else None
    )
    sync, _ = wire.clients(_long_stream)
    worker = runtime.current().worker
    monkeypatch.setattr(worker, "_most_bytes", 0)  # as if 64 MiB waited
    for _ in range(3):
        stream = sync.chat.completions.create(**wire.CHAT, stream=True)
        next(stream)
        del stream
        gc.collect()
    held = worker.held()
    go.set()
    assert held < len(LONG)
    assert tokentrail.flush(30)
    attributes = [span.attributes for span in trail.spans.all()]
    assert {each["tokentrail.usage.output.source"] for each in attributes} == {"approximated"}
    assert len(attributes) == 3
