"""Any order of all that an application can do with a call ends it exactly once, and counts it.

The steps are those of applications, on the client's own objects and a transport inside the process;
``test_recorder`` has the laws of the recorder alone.

To add a case:

- what an application can do is a ``@rule`` of ``Life``, with a precondition for when it can
  (``some_open``, ``some_awaited``); it does it on the client's own objects, by ``self.run``;
- a call that is held is a ``Call`` (``played``) in ``self.open``: tell it what was pulled by
  ``took``, and how it ended by ``end``; one that is let go of puts ``call.account()`` into
  ``self.expected``;
- a way in which a server ends an answer is a word of ENDS, and what it then sends is in
  ``answer``;
- what holds for every run is asserted in ``teardown``.

A run that fails is printed as a program of steps: make it a test of its own before you mend it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
from contextlib import suppress
from functools import partial
from typing import Any

import openai
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.calls.played import OVER, Body, Call, elsewhere, httpx, kind

import tokentrail
from tokentrail.counting import ENCODINGS
from tokentrail.testing.payloads import errors
from tokentrail.testing.server import Event

anyio = pytest.importorskip("anyio")

ENDS = ("whole", "cut", "error event", "malformed")
WHICH = st.integers(0, 9)
"""One of the streams that are open."""
some_open = precondition(lambda self: self.open)
some_awaited = precondition(lambda self: self.open and self.mode == "async")


class Life(RuleBasedStateMachine):
    """Calls of one program, each opened, handled and left in a random order."""

    apis: Any = None
    mode = "sync"

    def __init__(self):
        super().__init__()
        ENCODINGS.load("o200k_base")
        ENCODINGS.load("cl100k_base")
        self.loop = asyncio.new_event_loop()
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.next_end = "whole"
        self.body = None
        transport = httpx.MockTransport(self.answer)
        asked = {"api_key": "k", "base_url": "http://127.0.0.1/v1", "max_retries": 0}
        self.client = (
            openai.OpenAI(http_client=httpx.Client(transport=transport), **asked)
            if self.mode == "sync"
            else openai.AsyncOpenAI(http_client=httpx.AsyncClient(transport=transport), **asked)
        )
        self.calls = 0
        self.expected = {}
        """How each call that was let go of ended, its error, and the tokens that it received."""
        self.open = []
        self.forks = 0
        self.switch_on()

    def switch_on(self):
        tokentrail.instrument(
            tracer_provider=self.provider, count_verification_ratio=0.0, request_attributes="user"
        )

    # The wire ----------------------------------------------------------------------------------

    def answer(self, request):
        api = self.apis[request.url.path.rpartition("/v1/")[2].replace("/completions", "")]
        if not json.loads(request.content).get("stream"):
            return httpx.Response(200, json=api.body())
        events = list(api.events())
        if self.next_end != "whole":
            events = events[:4]
        if self.next_end == "error event":
            events.append(errors.event(code="overloaded"))
        if self.next_end == "malformed":
            events.append(Event("{nonsense"))
        self.body = Body([event.encode() for event in events], cut=self.next_end == "cut")
        headers = {"content-type": "text/event-stream"}
        return httpx.Response(200, stream=self.body, headers=headers)

    # The application ---------------------------------------------------------------------------

    def run(self, step):
        """Do what an application does, awaited where it must be; return its value or error."""
        try:
            answer = step()
            if hasattr(answer, "__await__"):
                answer = self.loop.run_until_complete(_awaited(answer))
        except Exception as error:
            return error
        return answer

    def asked(self, api):
        """Return the arguments of one call more, which bear its number."""
        self.calls += 1
        return {"model": api.model, **api.asked, "user": str(self.calls)}

    def pull(self, call):
        """Take one chunk; return whether there was one."""
        chunk = self.run(lambda: _next(call.stream))
        call.took(chunk)
        return not isinstance(chunk, BaseException)

    def hold(self, api, stream):
        self.open.append(Call(api, self.calls, stream, self.body))

    @rule(name=st.sampled_from(["chat", "completions", "responses"]), end=st.sampled_from(ENDS))
    def open_stream(self, name, end):
        if not hasattr(self.client, name):
            return
        self.next_end, api = end, self.apis[name]
        asked = self.asked(api)
        self.hold(api, self.run(lambda: api.method(self.client)(**asked, stream=True)))

    @rule(end=st.sampled_from(ENDS))
    def open_helper(self, end):
        """A helper's stream, entered as its documentation has it."""
        self.next_end, api = end, self.apis["chat"]
        chat = self.client.chat
        owner = chat if hasattr(chat.completions, "stream") else self.client.beta.chat
        manager = owner.completions.stream(**self.asked(api))
        enter = manager.__aenter__ if self.mode == "async" else manager.__enter__
        self.hold(api, self.run(enter))

    @rule(end=st.sampled_from(ENDS))
    def open_raw(self, end):
        self.next_end, api = end, self.apis["chat"]
        asked = self.asked(api)
        create = self.client.chat.completions.with_raw_response.create
        raw = self.run(lambda: create(**asked, stream=True))
        self.hold(api, raw.parse())

    @rule(end=st.sampled_from(ENDS), how=st.sampled_from(["read", "close", "drop"]))
    def leave_raw(self, end, how):
        """A raw answer that is never parsed: its text is nobody's business."""
        self.next_end, api = end, self.apis["chat"]
        asked = self.asked(api)
        create = self.client.chat.completions.with_raw_response.create
        response = self.run(lambda: create(**asked, stream=True)).http_response
        told = ("closed_early", None, 0)
        if how == "read":
            error = self.run(lambda: self.lines(response))
            failed = isinstance(error, Exception)
            assert failed is (end == "cut")
            if not failed:
                told = ("completed", None, 0)
            elif response.is_closed:  # httpx leaves it open, and then it is dropped like any other
                told = ("failed", kind(error), 0)
        elif how == "close":
            self.run(response.aclose if self.mode == "async" else response.close)
        self.expected[self.calls] = told

    def lines(self, response):
        """Read a response by its lines."""
        if self.mode == "async":
            return _all_of(response.aiter_lines())
        return list(response.iter_lines())

    @rule()
    def ask_plainly(self):
        api = self.apis["chat"]
        asked = self.asked(api)
        answer = self.run(lambda: api.method(self.client)(**asked))
        assert answer.choices[0].message.content == "The sea is old and wide."
        self.expected[self.calls] = ("completed", None, 7)

    @rule()
    def never_await(self):
        if self.mode == "async":
            api = self.apis["chat"]
            api.method(self.client)(model=api.model, **api.asked, stream=True).close()

    @some_open
    @rule(at=WHICH, count=st.integers(1, 12))
    def read(self, at, count):
        """Loop for a while: a first, a second or a third time."""
        call = self.one(at)
        while count and self.pull(call):
            count -= 1

    def one(self, at):
        return self.open[at % len(self.open)]

    @some_open
    @rule(at=WHICH)
    def read_elsewhere(self, at):
        """Take a chunk in another thread or task; the latter is what ``pull`` does anyway."""
        elsewhere(partial(self.pull, self.one(at)))

    @some_open
    @rule(at=WHICH, count=st.integers(1, 4))
    def read_by_a_generator(self, at, count):
        """Loop in a generator of the application's, which is closed: the stream is not."""
        call = self.one(at)
        if self.mode == "async":
            self.loop.run_until_complete(_read_through(call, count))
            return
        through = (chunk for chunk in call.stream)
        for _ in range(count):
            chunk = self.run(lambda: next(through))
            call.took(chunk)
            if isinstance(chunk, BaseException):
                break
        through.close()

    @some_open
    @rule(at=WHICH)
    def read_twice_at_once(self, at):
        """Pull while another pull waits: that one gets an error, and it is not the stream's."""
        call, second = self.one(at), []
        before = call.ended
        if self.mode == "async":
            self.loop.run_until_complete(_both(call, second))
        else:
            call.body.meanwhile = lambda: elsewhere(
                lambda: second.append(self.run(lambda: next(call.stream)))
            )
            self.pull(call)
            call.body.meanwhile = None
        assert all(isinstance(each, (ValueError, RuntimeError, *OVER)) for each in second) or before

    @some_open
    @rule(at=WHICH, how=st.sampled_from(["stream", "response", "with", "raise"]))
    def close(self, at, how):
        call = self.one(at)
        if how == "stream":
            self.run(call.stream.close)
        elif how == "response":
            response = call.stream._response if call.helper else call.stream.response
            self.run(response.aclose if self.mode == "async" else response.close)
        else:
            self.run(lambda: self.leave(call.stream, KeyError() if how == "raise" else None))
        call.end("closed_early")

    def leave(self, stream, error):
        """Enter a ``with`` and leave it, perhaps by an error."""
        if self.mode == "async":
            return _left(stream, error)
        with suppress(KeyError), stream:
            if error is not None:
                raise error
        return None

    @some_awaited
    @rule(at=WHICH, how=st.sampled_from(["task", "wait_for", "group"]))
    def cancel(self, at, how):
        """Cancel a pull that waits for the server, in one of the ways that there are."""
        call = self.one(at)
        call.body.meanwhile = partial(asyncio.sleep, 5)
        self.loop.run_until_complete(_CANCELLED[how](call))
        call.body.meanwhile = None

    @some_awaited
    @rule(at=WHICH)
    def cancel_before_the_first_step(self, at):
        """What never began to wait ends nothing."""
        self.loop.run_until_complete(_never_begun(self.one(at)))

    @precondition(lambda self: self.open and self.mode == "sync" and not self.forks)
    @rule()
    def fork(self):
        """A child reads and drops its parent's streams: it is the parent that tells them."""
        self.forks += 1
        assert tokentrail.flush(10)
        before = len(self.exporter.get_finished_spans())
        child = os.fork()
        if child == 0:
            for call in self.open:
                self.run(lambda call=call: next(call.stream))
            self.open.clear()
            gc.collect()
            tokentrail.flush(2)
            os._exit(len(self.exporter.get_finished_spans()) != before)
        assert os.waitpid(child, 0)[1] == 0

    @some_open
    @rule(at=WHICH)
    def drop(self, at):
        call = self.open.pop(at % len(self.open))
        self.expected[call.number] = call.account()

    @rule()
    def collect(self):
        gc.collect()
        self.loop.run_until_complete(asyncio.sleep(0))

    @rule()
    def switch_off_and_on(self):
        """What was begun is told all the same, and what is made in between is not."""
        tokentrail.uninstrument()
        api = self.apis["chat"]
        self.run(lambda: api.method(self.client)(model=api.model, **api.asked))
        self.switch_on()

    def teardown(self):
        """Leave the rest, and compare the accounts."""
        while self.open:
            self.drop(0)
        self.collect()
        self.run(self.client.close)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        gc.collect()
        assert tokentrail.flush(10)
        spans = self.exporter.get_finished_spans()
        tokentrail.uninstrument()
        assert len(spans) == self.calls
        assert {_number(span): _recorded(span) for span in spans} == self.expected


def _number(span):
    return int(span.attributes["tokentrail.request.user"])


def _recorded(span):
    told = span.attributes.get
    tokens = told("gen_ai.usage.output_tokens", 0)
    return told("tokentrail.outcome"), told("error.type"), tokens


def _next(stream):
    return stream.__anext__() if hasattr(stream, "__anext__") else next(stream)


async def _awaited(answer):
    return await answer


async def _all_of(iterator):
    return [each async for each in iterator]


async def _left(stream, error):
    with suppress(KeyError):
        async with stream:
            if error is not None:
                raise error


async def _pulled(call):
    """Take a chunk; what that raises is raised, too."""
    try:
        chunk = await call.stream.__anext__()
    except BaseException as error:
        call.failed(error)
        raise
    call.took(chunk)


async def _read_through(call, count):
    through = (chunk async for chunk in call.stream)
    try:
        for _ in range(count):
            call.took(await through.__anext__())
    except Exception as error:
        call.took(error)
    await through.aclose()


async def _both(call, second):
    first = asyncio.ensure_future(_pulled(call))
    await asyncio.sleep(0)
    if not first.done():
        try:
            second.append(await call.stream.__anext__())
        except Exception as error:
            second.append(error)
    with suppress(Exception):
        await first


async def _by_task(call):
    task = asyncio.ensure_future(_pulled(call))
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task


async def _by_wait_for(call):
    with suppress(Exception):
        await asyncio.wait_for(_pulled(call), 0.002)


async def _by_group(call):
    async def fail():
        await asyncio.sleep(0)
        raise KeyError

    async def pull():
        with suppress(Exception):
            await _pulled(call)

    with suppress(KeyError, Exception):
        async with anyio.create_task_group() as group:
            group.start_soon(pull)
            group.start_soon(fail)


_CANCELLED = {"task": _by_task, "wait_for": _by_wait_for, "group": _by_group}


async def _never_begun(call):
    task = asyncio.ensure_future(_pulled(call))
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.usefixtures("silent")
def test_any_order_ends_each_call_once(mode, apis):
    """A span for each call: how it ended, its error, and the tokens of the text received."""
    machine = type("Machine", (Life,), {"mode": mode, "apis": apis})
    case = machine.TestCase
    once = [Phase.explicit, Phase.generate]  # to shrink a failure would take minutes
    case.settings = settings(max_examples=60, stateful_step_count=30, phases=once)
    case().runTest()
