"""A call ends exactly once, however it ends, and is told as what it was."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
import warnings
from dataclasses import dataclass
from typing import Any, TypeVar

import openai
import pytest
from openai.types.chat import ChatCompletionChunk
from opentelemetry.trace import StatusCode
from tests.shared import helper_stream

from tokentrail.testing.payloads import Usage, errors, responses
from tokentrail.testing.server import Cut, Drop, Event, Plain, Raw, Stream

anyio = pytest.importorskip("anyio")

pytestmark = pytest.mark.usefixtures("silent")
async_only = pytest.mark.parametrize("mode", ["async"])

HERE = {"chat": 3, "completions": 2, "responses": 6}
"""Chunks read before a stream is closed early: the text of two of them was received."""
IN_STEP = 0.05
"""Seconds by which the clocks of a span and of a test may differ."""


@pytest.fixture(params=["chat", "completions", "responses"])
def api(request, apis):
    if request.param == "responses" and not hasattr(openai.OpenAI, "responses"):
        pytest.skip("this openai has no responses")
    return apis[request.param]


@dataclass
class Play:
    """One call, from the application's side and from telemetry's."""

    driver: Any
    stage: Any
    trail: Any
    api: Any
    begun: int = 0

    async def call(self, **options):
        """Make the call."""
        client = self.driver.client(self.stage.server, **options.pop("client", {}))
        self.begun = time.time_ns()
        method = self.api.method(client)
        return await self.driver.call(method, model=self.api.model, **self.api.asked, **options)

    async def stream(self, **options):
        """Make the call, streamed."""
        return await self.call(stream=True, **options)

    def pauses(self, after=None):
        """Have the server stream some chunks more than are read, and then wait."""
        from_here = HERE[self.api.name] + 1 if after is None else after
        events = self.api.events()
        self.stage.streams([*events[:from_here], self.stage.OPEN, *events[from_here:]])

    async def take(self, stream, count=None):
        """Read the first chunks in a loop and break out of it."""
        return await self.driver.take(stream, count or HERE[self.api.name])

    async def pull(self, stream, chunks):
        """Pull chunks by hand until that raises."""
        while True:
            chunks.append(await self.driver.next(stream))

    async def close(self, response):
        """Close the HTTP response below a stream."""
        await (response.aclose() if self.driver.mode == "async" else _nothing(response.close()))

    def told(self, ending, chunks=(), *, error=None, waits=False, usage=None, code=None):
        """Assert that exactly this was recorded; ``waits``: only after a garbage collection."""
        spans = self.trail.spans
        span = spans.one() if waits else _only(spans.at_once())
        assert spans.all() == (span,)
        attributes = dict(span.attributes)
        assert attributes["tokentrail.outcome"] == ending
        assert span.status.status_code is (StatusCode.ERROR if error else StatusCode.UNSET)
        assert span.status.description == code
        assert attributes.get("error.type") == (_kind(error) if error else None)
        assert self.begun <= span.start_time <= span.end_time
        assert span.end_time <= time.time_ns() + IN_STEP * 1e9
        assert _usage(attributes) == (self.counted(chunks) if usage is None else usage)
        duration = self.trail.metrics.one("gen_ai.client.operation.duration")
        assert duration.count == 1
        assert duration.attributes.get("error.type") == attributes.get("error.type")
        assert duration.sum == pytest.approx((span.end_time - span.start_time) / 1e9, abs=1e-6)
        return span

    def counted(self, chunks):
        """Return the usage told where nothing was reported and these chunks were received."""
        usage = {"input": (self.api.input_tokens, "counted")}
        if chunks:
            usage["output"] = (self.api.tokens(chunks), "counted")
        return usage


NO_USAGE: dict[str, Any] = {}


def _nothing(answer):
    return asyncio.sleep(0, answer)


def _only(spans):
    assert len(spans) == 1, spans
    return spans[0]


def _kind(error):
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")


def _usage(attributes):
    told = {}
    for way in ("input", "output"):
        source = attributes.get(f"tokentrail.usage.{way}.source")
        tokens = attributes.get(f"gen_ai.usage.{way}_tokens")
        assert (source is None) is (tokens is None)
        if source is not None:
            told[way] = (tokens, source)
    return told


def _is_clean(response):
    return not {"close", "aclose"} & set(vars(response))


@pytest.fixture
def play(driver, stage, trail, api):
    return Play(driver, stage, trail, api)


@pytest.fixture
def chat(driver, stage, trail, apis):
    return Play(driver, stage, trail, apis["chat"])


# To the end --------------------------------------------------------------------------------------


async def test_a_stream_read_to_its_end_is_completed(play):
    """Span and metrics are final before the last ``next()`` returns; no hook is left."""
    play.stage.streams(play.api.events())
    stream = await play.stream()
    chunks = await play.driver.read(stream)
    span = play.told("completed", chunks)
    assert play.api.tokens(chunks) == 7 + play.api.extra
    assert _is_clean(stream.response)
    assert span.attributes["tokentrail.usage.encoding"].endswith("_base")


async def test_a_report_on_the_last_chunk_is_believed(play):
    """What the server reports at the end stands for both directions."""
    play.stage.streams(play.api.events(Usage(31, 17)))
    await play.driver.read(await play.stream())
    play.told("completed", usage={"input": (31, "reported"), "output": (17, "reported")})


async def test_a_plain_answer_is_completed(play):
    """A whole answer ends the call when it is handed over."""
    play.stage.says(play.api.body(Usage(31, 17)))
    await play.call()
    play.told("completed", usage={"input": (31, "reported"), "output": (17, "reported")})


async def test_next_works_like_a_loop(play):
    """``next()`` until it refuses, and once more, is one end."""
    play.stage.streams(play.api.events())
    stream = await play.stream()
    chunks = []
    for _ in range(2):
        with pytest.raises(StopAsyncIteration):
            await play.pull(stream, chunks)
    play.told("completed", chunks)


async def test_two_loops_over_one_stream_are_one_call(play):
    """The second loop goes on where the first broke off; a third finds nothing."""
    play.stage.streams(play.api.events())
    stream = await play.stream()
    first = await play.take(stream)
    assert play.trail.spans.at_once() == ()
    rest = await play.driver.read(stream)
    assert await play.driver.read(stream) == []
    play.told("completed", [*first, *rest])


@pytest.mark.parametrize("end", ["read", "closed"])
async def test_what_the_application_puts_over_a_close_stays_there(chat, end):
    """It is the application's own to take away, and calls what was there before."""
    chat.stage.streams(chat.api.events())
    stream = await chat.stream()
    response, name = stream.response, "aclose" if chat.driver.mode == "async" else "close"
    before, called = getattr(response, name), []

    def mine():
        called.append(name)
        return before()

    setattr(response, name, mine)
    chunks = await (chat.driver.read(stream) if end == "read" else chat.take(stream))
    await chat.driver.close(stream)
    chat.told("completed" if end == "read" else "closed_early", chunks)
    seen = len(called)
    await chat.close(response)
    assert len(called) == seen + 1 > 1


async def test_a_stream_without_done_is_completed(chat):
    """``[DONE]`` is a courtesy: a body that ends well has ended."""
    chat.stage.streams(chat.api.events()[:-1])
    chunks = await chat.driver.read(await chat.stream())
    chat.told("completed", chunks)


async def test_a_second_done_changes_nothing(chat):
    """What comes after ``[DONE]`` is nobody's."""
    chat.stage.streams([*chat.api.events(), Event("[DONE]"), Event("[DONE]")])
    chunks = await chat.driver.read(await chat.stream())
    chat.told("completed", chunks)


async def test_headers_alone_cost_nothing(chat):
    """No model answered in a stream without a chunk."""
    chat.stage.streams([])
    assert await chat.driver.read(await chat.stream()) == []
    attributes = chat.trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "truncated"
    assert not [name for name in attributes if ".usage." in name]


async def test_closing_after_the_end_is_too_late_to_matter(play):
    """A stream read to its end in ``with`` is completed, and closed again it still is."""
    play.stage.streams(play.api.events())
    stream = await play.stream()
    async with play.driver.within(stream):
        chunks = await play.driver.read(stream)
    await play.driver.close(stream)
    play.told("completed", chunks)


async def test_a_stream_read_to_its_last_content_was_not_closed_early(chat):
    """Closing between the finish reason and ``[DONE]`` is a completed call."""
    chat.pauses(after=9)
    stream = await chat.stream()
    chunks = await chat.take(stream, 9)
    await chat.driver.close(stream)
    chat.told("completed", chunks)


# Closed early -----------------------------------------------------------------------------------


async def _close(play, stream):
    chunks = await play.take(stream)
    await play.driver.close(stream)
    return chunks


async def _close_the_response(play, stream):
    chunks = await play.take(stream)
    await play.close(stream.response)
    return chunks


async def _leave_the_with(play, stream):
    async with play.driver.within(stream):
        return await play.take(stream)


async def _raise_in_the_loop(play, stream):
    chunks = []

    async def read():
        async with play.driver.within(stream):
            chunks.extend(await play.take(stream))
            raise KeyError

    with pytest.raises(KeyError):
        await read()
    return chunks


async def _close_twice(play, stream):
    chunks = await play.take(stream)
    await play.driver.close(stream)
    await play.close(stream.response)
    await play.driver.close(stream)
    return chunks


async def _close_unread(play, stream):
    await play.driver.close(stream)
    return []


async def _leave_the_with_unread(play, stream):
    async with play.driver.within(stream):
        return []


@pytest.mark.parametrize(
    "way",
    [
        _close, _close_the_response, _leave_the_with, _raise_in_the_loop, _close_twice,
        _close_unread, _leave_the_with_unread,
    ],
)  # fmt: skip
async def test_closing_early_is_recorded_at_once_and_is_no_error(chat, way):
    """Prompt and received text are counted; the span ends with the close, the hooks go."""
    chat.pauses()
    stream = await chat.stream()
    chunks = await way(chat, stream)
    chat.told("closed_early", chunks)
    assert _is_clean(stream.response)


@pytest.mark.skipif(not hasattr(openai.AsyncStream, "aclose"), reason="this openai has no aclose")
@async_only
async def test_aclose_is_another_close(chat):
    """The alias breaks off as the close does."""
    chat.pauses()
    stream = await chat.stream()
    chunks = await chat.take(stream)
    await stream.aclose()
    chat.told("closed_early", chunks)


async def test_breaking_off_is_the_same_in_every_api(play):
    """What was received is counted, whatever the shape of the chunks."""
    play.pauses()
    stream = await play.stream()
    chunks = await _close(play, stream)
    play.told("closed_early", chunks)
    assert play.api.tokens(chunks) == 2


async def test_an_outer_generator_that_is_closed_breaks_off(play):
    """GeneratorExit in the application's own generator is its way to break off."""
    play.pauses()
    stream = await play.stream()
    chunks = []

    async def outer():
        async with play.driver.within(stream):
            while True:
                yield await play.driver.next(stream)

    generator = outer()
    for _ in range(HERE[play.api.name]):
        chunks.append(await generator.__anext__())  # noqa: PERF401 - a step at a time
    await generator.aclose()
    play.told("closed_early", chunks, waits=True)


async def test_what_comes_after_the_end_is_not_counted(chat):
    """Chunks that the client still had in hand when it was closed belong to no call."""
    events = b"".join(event.encode() for event in chat.api.events()[:-1])
    chat.stage.streams([Raw(events), chat.stage.OPEN])
    stream = await chat.stream()
    chunks = await chat.take(stream)
    await chat.driver.close(stream)
    with contextlib.suppress(StopAsyncIteration, Exception):
        await chat.driver.next(stream)
    chat.told("closed_early", chunks)


# Dropped -----------------------------------------------------------------------------------------


async def _collect():
    """Have the collector take what nobody holds, and the loop close its generators."""
    for _ in range(3):
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)


async def _drop(play):
    stream = await play.stream()
    await play.take(stream)


async def _drop_unread(play):
    await play.stream()


async def _drop_by_exception(play):
    stream = await play.stream()
    await play.take(stream)
    raise KeyError


async def _drop_with_a_generator(play):
    stream = await play.stream()

    async def outer():
        while True:
            yield await play.driver.next(stream)

    generator = outer()
    for _ in range(HERE[play.api.name]):
        await generator.__anext__()
    await generator.aclose()


@pytest.mark.parametrize("way", [_drop, _drop_unread, _drop_by_exception, _drop_with_a_generator])
async def test_a_dropped_stream_ends_when_it_is_collected(chat, way):
    """It is closed early, its text counted, and the time of its end is that of its last chunk."""
    chat.pauses()
    with contextlib.suppress(KeyError):
        await way(chat)
    dropped = time.time_ns()
    time.sleep(3 * IN_STEP)
    await _collect()
    usage = {"input": (13, "counted"), "output": (2, "counted")}
    if way is _drop_unread:
        del usage["output"]
    span = chat.told("closed_early", usage=usage, waits=True)
    assert span.end_time <= dropped + IN_STEP * 1e9


async def test_a_stream_dropped_unread_ends_when_its_headers_came(chat):
    """The wait for the server is part of the call, the wait for the collector is not."""
    chat.stage.streams([chat.stage.OPEN], wait=3 * IN_STEP)
    await _drop_unread(chat)
    dropped = time.time_ns()
    time.sleep(3 * IN_STEP)
    await _collect()
    span = chat.told("closed_early", [], waits=True)
    assert chat.begun + 2 * IN_STEP * 1e9 <= span.end_time
    assert span.end_time <= dropped + IN_STEP * 1e9


async def test_dropping_is_the_same_in_every_api(play):
    """The collector ends a call of any shape."""
    play.pauses()
    await _drop(play)
    await _collect()
    tokens = {"input": play.api.input_tokens, "output": 2}
    usage = {way: (count, "counted") for way, count in tokens.items()}
    play.told("closed_early", usage=usage, waits=True)


async def test_the_gaps_of_a_dropped_stream_are_recorded(chat):
    """Three chunks have two gaps between them, also where nobody closed the stream."""
    chat.pauses()
    await _drop(chat)
    await _collect()
    chat.trail.spans.one()
    assert chat.trail.metrics.one("gen_ai.client.operation.time_per_output_chunk").count == 2


async def test_a_stream_dropped_after_its_response_was_kept_leaves_no_hook_in_use(chat):
    """The response outlives its stream; closing it later ends nothing twice."""
    chat.pauses()

    async def lose():
        stream = await chat.stream()
        await chat.take(stream)
        return stream.response

    response = await lose()
    await _collect()
    await chat.close(response)
    chat.told(
        "closed_early", usage={"input": (13, "counted"), "output": (2, "counted")}, waits=True
    )
    assert _is_clean(response)


# Failed ------------------------------------------------------------------------------------------


async def _fails(play, **options):
    """Make a streamed call that fails; return what was received and the error."""
    chunks = []
    stream = await play.stream(**options)
    with pytest.raises(Exception) as caught:
        await play.pull(stream, chunks)
    assert not isinstance(caught.value, StopAsyncIteration)
    return chunks, caught.value, stream.response


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(errors.event(code="overloaded"), id="error event"),
        pytest.param(errors.event("The prompt was: " + "sea " * 9), id="error event without code"),
        pytest.param(Event("{nonsense"), id="malformed json"),
        pytest.param(Raw(b'data: {"a": "\xff"}\n\n'), id="invalid utf-8"),
        pytest.param(Cut(), id="cut"),
        pytest.param(Cut(reset=True), id="reset"),
    ],
)
async def test_an_error_in_the_middle_is_recorded_by_its_class(chat, last):
    """error.type is the class of the very error that the application gets; the rest is counted."""
    chat.stage.streams([*chat.api.events()[:4], last])
    chunks, error, response = await _fails(chat)
    assert len(chunks) == 4 or isinstance(last, Cut)
    code = "overloaded" if getattr(error, "code", None) == "overloaded" else None
    chat.told("failed", chunks, error=error, code=code)
    assert _is_clean(response)


async def test_a_timeout_between_chunks_is_an_error(chat):
    """A server that falls silent for longer than the client waits has failed."""
    chat.pauses(after=4)
    chunks, error, response = await _fails(chat, client={"timeout": 0.2})
    assert len(chunks) == 4
    span = chat.told("failed", chunks, error=error)
    assert span.end_time - span.start_time > 0.2e9 - IN_STEP * 1e9
    assert _is_clean(response)


async def test_a_cut_after_the_headers_costs_the_prompt(chat):
    """Nothing was received, so the output is absent."""
    chat.stage.streams([Cut()])
    chunks, error, _ = await _fails(chat)
    assert chunks == []
    chat.told("failed", [], error=error)


async def test_a_failed_response_is_an_error_without_an_exception(driver, stage, trail, apis):
    """``response.failed`` is yielded to the application, and is no less an error for that."""
    if not hasattr(openai.OpenAI, "responses"):
        pytest.skip("this openai has no responses")
    play = Play(driver, stage, trail, apis["responses"])
    stage.streams(responses.events(play.api.answer(usage=Usage(31, 17)), "failed"))
    await driver.read(await play.stream())
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "failed"
    assert attributes["error.type"] == "server_error"
    assert attributes["gen_ai.usage.output_tokens"] == 17


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        pytest.param(errors.model_not_found("gpt-4o-mini"), "404 model_not_found", id="404"),
        pytest.param(errors.reply(429, "Slow down, said the sea."), "429", id="429"),
        pytest.param(errors.reply(500, "The sea is out of order."), "500", id="500"),
        pytest.param(Drop(), None, id="dropped"),
        pytest.param(Stream([], wait=10), None, id="timeout"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_before_the_headers_costs_nothing(chat, reply, code, stream):
    """There is no usage; the status says the number and the code, never the server's words."""
    chat.stage.reply = reply
    with pytest.raises(openai.APIError) as caught:
        await chat.call(stream=stream, client={"timeout": 0.2})
    chat.told("failed", error=caught.value, code=code, usage=NO_USAGE)


async def test_a_wrong_argument_is_recorded_the_same_in_sync_and_async(chat):
    """A call that the client itself refuses is a failed call without usage, made or not."""
    client = chat.driver.client(chat.stage.server)
    with pytest.raises(TypeError) as caught:
        chat.api.method(client)(model="gpt-4o-mini")
    chat.told("failed", error=caught.value, usage=NO_USAGE)
    assert chat.stage.server.calls == []


async def test_retries_are_one_call(chat):
    """The client's own attempts are below the call: one span, the usage of the last."""
    soon = {"retry-after-ms": "1"}
    chat.stage.first = [Plain({"error": {}}, 500, soon), Plain({"error": {}}, 503, soon)]
    chat.stage.says(chat.api.body(Usage(31, 17)))
    await chat.call(client={"max_retries": 2})
    assert len(chat.stage.server.calls) == 3
    chat.told("completed", usage={"input": (31, "reported"), "output": (17, "reported")})


# Cancelled ---------------------------------------------------------------------------------------


async def _until(condition):
    async with asyncio.timeout(5) if hasattr(asyncio, "timeout") else contextlib.AsyncExitStack():
        while not condition():  # noqa: ASYNC110 - of what happens in threads, too
            await asyncio.sleep(0.001)


async def _reading(play, chunks):
    async for chunk in await play.stream():
        chunks.append(chunk)


@async_only
@pytest.mark.parametrize("stream", [False, True])
async def test_cancelled_before_the_headers_costs_nothing(chat, stream):
    """Cancellation is no error, and nothing is known to have been spent."""
    play = chat
    play.stage.streams([], wait=10)
    task = asyncio.create_task(play.call(stream=stream))
    await _until(lambda: play.stage.server.calls)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    play.told("cancelled", usage=NO_USAGE)


@async_only
async def test_cancelled_before_it_began_is_no_call(chat):
    """A task that never ran asked for nothing."""
    play = chat
    task = asyncio.create_task(play.call())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert play.trail.spans.all() == ()


@async_only
async def test_cancelled_while_waiting_for_a_chunk(chat):
    """What was received until then is counted, and told before the task is done."""
    play, chunks = chat, []
    play.pauses(after=4)
    task = asyncio.create_task(_reading(play, chunks))
    await _until(lambda: len(chunks) == 4)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    play.told("cancelled", chunks)


@async_only
async def test_cancelled_while_the_application_works(chat):
    """Between two chunks the call is not at work: leaving it is breaking off."""
    play, chunks = chat, []
    play.pauses(after=4)

    async def work():
        async with await play.stream() as stream:
            async for chunk in stream:
                chunks.append(chunk)
                await asyncio.sleep(10 if len(chunks) == 3 else 0)

    task = asyncio.create_task(work())
    await _until(lambda: len(chunks) == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    play.told("closed_early", chunks)


@async_only
async def test_wait_for_cancels(chat):
    """``asyncio.wait_for`` is a cancellation like any other."""
    play, chunks = chat, []
    play.pauses(after=4)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(_reading(play, chunks), 0.3)
    play.told("cancelled", chunks)
    assert len(chunks) == 4


# The client itself leaves async generators to the collector; trio says so, with or without us.
@pytest.mark.filterwarnings("ignore:.*async_generator:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("way", ["cancelled", "sibling failed", "moved on", "completed"])
def test_task_groups(stage, trail, apis, backend, way):
    """Structured cancellation ends a call as any other does, on asyncio and on trio."""
    pytest.importorskip(backend)
    play = Play(None, stage, trail, apis["chat"])
    chunks = []
    if way == "completed":
        stage.streams(play.api.events())
    else:
        play.pauses(after=4)

    async def read(client):
        play.begun = time.time_ns()
        stream = await play.api.method(client)(model="gpt-4o-mini", **play.api.asked, stream=True)
        async for chunk in stream:
            chunks.append(chunk)  # noqa: PERF401 - others look on

    async def disturb(group):
        while len(chunks) < 4:
            await anyio.sleep(0.001)
        if way == "sibling failed":
            raise KeyError(way)
        if way == "cancelled":
            group.cancel_scope.cancel()

    async def main():
        client = openai.AsyncOpenAI(base_url=stage.server.base_url, api_key="k", max_retries=0)
        async with client:
            with anyio.move_on_after(0.5 if way == "moved on" else 10):
                async with anyio.create_task_group() as group:
                    group.start_soon(read, client)
                    group.start_soon(disturb, group)

    with contextlib.suppress(Exception):
        anyio.run(main, backend=backend)
    play.told("completed" if way == "completed" else "cancelled", chunks)
    assert len(chunks) == (9 if way == "completed" else 4)


# More than one hand ------------------------------------------------------------------------------


async def test_a_stream_passed_to_another_thread_or_task(play):
    """Who reads a stream need not be who asked for it."""
    play.stage.streams(play.api.events())
    stream = await play.stream()
    if play.driver.mode == "async":
        chunks = await asyncio.create_task(play.driver.read(stream))
    else:
        chunks = await asyncio.to_thread(list, stream)
    play.told("completed", chunks)


async def _beside(play, pull):
    """Return a future of ``pull`` once it waits for the server's next chunk."""
    if play.driver.mode == "async":
        pulling = asyncio.create_task(pull())
    else:
        pulling = asyncio.ensure_future(asyncio.to_thread(lambda: asyncio.run(pull())))
    await _until(play.stage.reached.is_set)
    await asyncio.sleep(0.05)  # there is no event for a thread that waits in recv()
    return pulling


@pytest.mark.parametrize("last", ["completed", "failed"])
async def test_two_pull_at_once(chat, last):
    """One gets an error, which is not the stream's: it ends as it ends for the other."""
    events = chat.api.events()
    rest = events[4:] if last == "completed" else [errors.event()]
    chat.stage.streams([*events[:4], chat.stage.OPEN, *rest])
    stream = await chat.stream()
    chunks = await chat.take(stream, 4)

    async def pull():
        with contextlib.suppress(StopAsyncIteration, openai.APIError):
            await chat.pull(stream, chunks)

    pulling = await _beside(chat, pull)
    with pytest.raises((ValueError, RuntimeError), match="already"):
        await chat.driver.next(stream)
    assert chat.trail.spans.at_once() == ()
    chat.stage.gate.set()
    await pulling
    attributes = chat.trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == last
    assert attributes.get("error.type") == (None if last == "completed" else "openai.APIError")
    assert _usage(attributes) == chat.counted(chunks)


@pytest.mark.parametrize("excuse", ["calmly", "in despair"])
async def test_closed_by_another_while_it_is_pulled(chat, excuse):
    """It is closed early: the error that the other then gets is the close's echo."""
    chat.pauses(after=4)
    stream = await chat.stream()
    chunks = await chat.take(stream, 4)

    async def pull():
        with pytest.raises(Exception):
            await chat.driver.next(stream)

    pulling = await _beside(chat, pull)
    if excuse == "calmly":
        await chat.driver.close(stream)
    else:
        with contextlib.suppress(KeyError):
            try:
                raise KeyError(excuse)
            finally:
                await chat.driver.close(stream)
    chat.stage.gate.set()
    await pulling
    chat.told("closed_early", chunks, waits=True)
    assert _is_clean(stream.response)


# Never awaited -----------------------------------------------------------------------------------


def _warnings_of_a_forgotten_call(client, ways):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for way in ways:
            way(client)
        gc.collect()
    return [(warning.category, str(warning.message)) for warning in caught]


def _forget(client):
    client.chat.completions.create(model="gpt-4o-mini", messages=[])


def _forget_streamed(client):
    client.chat.completions.create(model="gpt-4o-mini", messages=[], stream=True)


def _forget_raw(client):
    client.chat.completions.with_streaming_response.create(model="gpt-4o-mini", messages=[])


def _forget_helper(client):
    owner = client.chat if hasattr(client.chat.completions, "stream") else client.beta.chat
    owner.completions.stream(model="gpt-4o-mini", messages=[])


@pytest.mark.parametrize("way", [_forget, _forget_streamed, _forget_raw, _forget_helper])
def test_a_call_never_awaited_is_none_and_warns_as_usual(trail, way):
    """Python's one RuntimeWarning is the same as without us, and there is no span."""
    import tokentrail

    client = openai.AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="k")
    with_us = _warnings_of_a_forgotten_call(client, [way])
    tokentrail.uninstrument()
    without = _warnings_of_a_forgotten_call(client, [way])
    assert with_us == without
    assert len(with_us) == 1
    assert trail.spans.all() == ()


# The helpers' streams ----------------------------------------------------------------------------


@pytest.fixture
def help_(chat):
    client = chat.driver.client(chat.stage.server)
    chat.begun = time.time_ns()
    return lambda: helper_stream(client)(model="gpt-4o-mini", **chat.api.asked)


async def test_a_helper_stream_read_to_its_end(chat, help_):
    """One call, completed, whatever events the helper makes of its chunks."""
    chat.stage.streams(chat.api.events())
    async with chat.driver.within(help_()) as stream:
        events = await chat.driver.read(stream)
        chat.told("completed", [event.chunk for event in events if event.type == "chunk"])
    assert len(chat.trail.spans.all()) == 1


async def test_a_helper_asked_for_the_whole(chat, help_):
    """``get_final_completion`` reads the stream itself."""
    chat.stage.streams(chat.api.events())
    async with chat.driver.within(help_()) as stream:
        whole = await chat.driver.call(stream.get_final_completion)
    assert whole.choices[0].message.content == "The sea is old and wide."
    chat.told("completed", usage={"input": (13, "counted"), "output": (7, "counted")})


@pytest.mark.parametrize("way", ["left", "closed", "raised"])
async def test_a_helper_stream_closed_early(chat, help_, way):
    """The helper closes the response, never the stream: that is seen all the same."""
    chat.pauses(after=4)
    chunks = []
    with contextlib.suppress(KeyError):
        async with chat.driver.within(help_()) as stream:
            while len(chunks) < 3:
                event = await chat.driver.next(stream)
                chunks += [event.chunk] if event.type == "chunk" else []
            if way == "closed":
                await chat.driver.close(stream)
                assert len(chat.trail.spans.at_once()) == 1
            if way == "raised":
                raise KeyError(way)
    chat.told("closed_early", chunks)


async def test_a_helper_entered_and_left_unread(chat, help_):
    """The request was made, so its prompt is counted."""
    chat.pauses(after=4)
    async with chat.driver.within(help_()):
        pass
    chat.told("closed_early", [])


async def test_a_response_helper_closed_early(driver, stage, trail, apis):
    """The same goes for the responses API."""
    if not hasattr(openai.OpenAI, "responses"):
        pytest.skip("this openai has no responses")
    play = Play(driver, stage, trail, apis["responses"])
    play.pauses()
    client = driver.client(stage.server)
    play.begun = time.time_ns()
    manager = client.responses.stream(model="gpt-4o-mini", **play.api.asked)
    async with driver.within(manager) as stream:
        chunks = [await driver.next(stream) for _ in range(HERE["responses"])]
    play.told("closed_early", chunks)


# Raw answers -------------------------------------------------------------------------------------


def _raw(play, name):
    client = play.driver.client(play.stage.server)
    owner = getattr(client.chat.completions, name)
    play.begun = time.time_ns()
    return lambda **options: owner.create(model="gpt-4o-mini", **play.api.asked, **options)


@pytest.mark.parametrize("end", ["read", "closed"])
async def test_a_raw_answer_parsed_to_a_stream(chat, end):
    """The stream that ``parse()`` makes is observed like any other, and made once."""
    chat.pauses(after=4)
    if end == "read":
        chat.stage.gate.set()
    raw = await chat.driver.call(_raw(chat, "with_raw_response"), stream=True)
    stream = raw.parse()
    assert raw.parse() is stream
    if end == "read":
        chat.told("completed", await chat.driver.read(stream))
    else:
        chunks = await chat.take(stream, 3)
        await chat.driver.close(stream)
        chat.told("closed_early", chunks)
    assert "parse" not in vars(raw)
    assert _is_clean(raw.http_response)


async def test_a_raw_answer_is_read_without_being_parsed(chat):
    """A plain raw answer is told when it came; the application may parse it later or never."""
    chat.stage.says(chat.api.body(Usage(31, 17)))
    raw = await chat.driver.call(_raw(chat, "with_raw_response"))
    reported = {"input": (31, "reported"), "output": (17, "reported")}
    chat.told("completed", usage=reported)
    assert raw.parse().usage.total_tokens == 48


async def _iterate(play, raw, how):
    lines = getattr(raw, how)()
    if play.driver.mode == "async":
        return [line async for line in lines]
    return list(lines)


@pytest.mark.parametrize("how", ["iter_lines", "iter_bytes"])
async def test_a_stream_read_as_bytes_is_completed(chat, how):
    """Nobody parsed it, so its output is absent, not zero."""
    chat.stage.streams(chat.api.events())
    async with chat.driver.within(_raw(chat, "with_streaming_response")(stream=True)) as raw:
        await _iterate(chat, raw, how)
    chat.told("completed", [])
    assert "parse" not in vars(raw)
    assert _is_clean(raw.http_response)


async def test_a_stream_cut_while_it_is_read_as_bytes_has_failed(chat):
    """A cut is a cut, whoever reads."""
    chat.stage.streams([*chat.api.events()[:4], Cut()])
    with pytest.raises(Exception) as caught:
        async with chat.driver.within(_raw(chat, "with_streaming_response")(stream=True)) as raw:
            await _iterate(chat, raw, "iter_lines")
    chat.told("failed", [], error=caught.value)


async def test_a_stream_of_bytes_left_in_the_middle_is_closed_early(chat):
    """A loop over lines that breaks has not come to the end."""
    chat.pauses(after=4)
    async with chat.driver.within(_raw(chat, "with_streaming_response")(stream=True)) as raw:
        await chat.driver.take(raw.iter_lines(), 2)
        await _collect()
    chat.told("closed_early", [], waits=True)


async def test_bytes_read_while_another_error_is_handled_are_no_failure(chat):
    """An error that the application deals with meanwhile is not this call's."""
    chat.stage.streams(chat.api.events())
    try:
        raise KeyError  # noqa: TRY301 - the application's own
    except KeyError:
        async with chat.driver.within(_raw(chat, "with_streaming_response")(stream=True)) as raw:
            await _iterate(chat, raw, "iter_lines")
    chat.told("completed", [])


class _Reader:
    """The application's own, whose method has the name of the client's, and gives up."""

    def __init__(self, response):
        self.response = response

    def iter_raw(self):
        self.response.close()

    async def aiter_raw(self):
        await self.response.aclose()


async def test_a_stream_of_bytes_closed_by_a_reader_is_closed_early(chat):
    """Only the response itself knows that it was read to its end."""
    chat.pauses(after=4)
    async with chat.driver.within(_raw(chat, "with_streaming_response")(stream=True)) as raw:
        reader = _Reader(raw.http_response)
        read = reader.aiter_raw if chat.driver.mode == "async" else reader.iter_raw
        await chat.driver.call(read)
        chat.told("closed_early", [])


Chunk = TypeVar("Chunk")


class _Lines(openai.Stream[Chunk]):
    """A stream of the application's own making, which the client may be asked for."""

    def __init__(self, **given):
        self.response = given["response"]


class _LinesLater(openai.AsyncStream[Chunk]):
    """The same."""

    def __init__(self, **given):
        self.response = given["response"]


@pytest.mark.parametrize("end", ["read", "closed"])
async def test_a_stream_of_another_kind_ends_with_its_response(chat, end):
    """To ask for it is not to have read it; what it makes of the bytes is not known."""
    chat.pauses(after=4)
    if end == "read":
        chat.stage.gate.set()
    raw = await chat.driver.call(_raw(chat, "with_raw_response"), stream=True)
    kind = _LinesLater if chat.driver.mode == "async" else _Lines
    response = raw.parse(to=kind[ChatCompletionChunk]).response
    assert chat.trail.spans.at_once() == ()
    if end == "read":
        await chat.driver.call(response.aread if chat.driver.mode == "async" else response.read)
    else:
        await chat.close(response)
    chat.told("completed" if end == "read" else "closed_early", [])


async def test_a_stream_left_as_bytes_is_closed_early(chat):
    """Leaving the manager unread ends the call."""
    chat.pauses(after=4)
    async with chat.driver.within(_raw(chat, "with_streaming_response")(stream=True)):
        pass
    chat.told("closed_early", [])


@pytest.mark.parametrize("how", ["parse", "read", "json", "iter_bytes", "nothing"])
async def test_a_plain_answer_under_a_streaming_response(chat, how):
    """Whoever gets the body, by whatever name, has a completed call; whoever leaves broke off."""
    chat.stage.says(chat.api.body(Usage(31, 17)))
    async with chat.driver.within(_raw(chat, "with_streaming_response")()) as raw:
        if how == "iter_bytes":
            await _iterate(chat, raw, how)
        elif how != "nothing":
            await chat.driver.call(getattr(raw, how))
    reported = {"input": (31, "reported"), "output": (17, "reported")}
    input_alone = {"input": (13, "counted")}
    if how == "nothing":
        chat.told("closed_early", usage=input_alone)
    else:
        chat.told("completed", usage=input_alone if how == "iter_bytes" else reported)
    assert "parse" not in vars(raw)
    assert _is_clean(raw.http_response)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_raw_answer_dropped_unread(chat, stream):
    """It is told by the worker, which runs even if nothing was streamed before."""
    chat.stage.says(chat.api.body()) if not stream else chat.pauses(after=4)

    async def lose():
        manager = _raw(chat, "with_streaming_response")(stream=stream)
        if chat.driver.mode == "async":
            await manager.__aenter__()
        else:
            manager.__enter__()

    await lose()
    await _collect()
    chat.told("closed_early", [], waits=True)


@async_only
async def test_parse_never_awaited_warns_as_usual(chat):
    """A forgotten ``await raw.parse()`` has its one RuntimeWarning, by its own name."""
    import tokentrail

    play, told = chat, []
    for instrumented in (True, False):
        play.stage.says(play.api.body())
        if not instrumented:
            tokentrail.uninstrument()
        async with _raw(play, "with_streaming_response")() as raw:
            told.append(_warnings_of_a_forgotten_call(raw, [lambda raw: [raw.parse()].clear()]))
    assert told[0] == told[1]
    assert len(told[0]) == 1


# Uninstrumented in between -----------------------------------------------------------------------


async def test_a_stream_outlives_the_instrumentation(chat):
    """A call that was begun is told when it ends, and what is begun later is not."""
    import tokentrail

    chat.stage.streams(chat.api.events())
    stream = await chat.stream()
    first = await chat.take(stream)
    tokentrail.uninstrument()
    chunks = await chat.driver.read(stream)
    chat.told("completed", [*first, *chunks])
    await chat.driver.read(await chat.stream())
    assert len(chat.trail.spans.all()) == 1


def test_many_threads_each_end_their_own_calls(stage, trail, apis):
    """As many spans as calls, of every ending, and no token lost."""
    api = apis["chat"]
    stage.streams(api.events())
    with openai.OpenAI(base_url=stage.server.base_url, api_key="k", max_retries=0) as client:

        def call(number):
            stream = api.method(client)(model="gpt-4o-mini", **api.asked, stream=True)
            for seen, _ in enumerate(stream, start=1):
                if number % 2 and seen == 3:
                    break
            stream.close()

        threads = [threading.Thread(target=call, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    spans = trail.spans.all()
    output = sorted(span.attributes["gen_ai.usage.output_tokens"] for span in spans)
    assert output == [2] * 8 + [7] * 8
    assert len({span.context.span_id for span in spans}) == 16
