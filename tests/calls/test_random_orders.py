"""Any order of all that an application can do with a call ends it exactly once, and counts it.

The steps are those of applications, on the client's own objects and a transport inside the process;
``test_recorder`` has the laws of the recorder alone.
"""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from contextlib import suppress
from typing import Any

import httpx as plain_httpx
import openai
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tokentrail
from tokentrail.counting import ENCODINGS
from tokentrail.demo.payloads import errors
from tokentrail.demo.server import Event

httpx = getattr(openai._base_client, "httpx2", plain_httpx)


class Cut(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The events of an answer, then its end or a cut."""

    def __init__(self, events, *, cut):
        self.events, self.cut = events, cut

    def __iter__(self):
        yield from self.events
        if self.cut:
            raise httpx.ReadError(self.__doc__)

    async def __aiter__(self):
        for event in self:
            await asyncio.sleep(0)
            yield event


ENDS = ("whole", "cut", "error event", "malformed")


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
        transport = httpx.MockTransport(self.answer)
        asked = {"api_key": "k", "base_url": "http://127.0.0.1/v1", "max_retries": 0}
        self.client = (
            openai.OpenAI(http_client=httpx.Client(transport=transport), **asked)
            if self.mode == "sync"
            else openai.AsyncOpenAI(http_client=httpx.AsyncClient(transport=transport), **asked)
        )
        self.calls = 0
        self.expected = []
        """The tokens that each call that was let go of received by the time it ended."""
        self.open = []
        self.switch_on()

    def switch_on(self):
        tokentrail.instrument(tracer_provider=self.provider, calibration=0.0)

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
        body = Cut([event.encode() for event in events], cut=self.next_end == "cut")
        return httpx.Response(200, stream=body, headers={"content-type": "text/event-stream"})

    # The application ---------------------------------------------------------------------------

    def run(self, step):
        """Do what an application does, awaited where it must be; return its value or error."""
        try:
            answer = step()
            if hasattr(answer, "__await__"):
                answer = self.loop.run_until_complete(_awaited(answer))
        except Exception as error:  # noqa: BLE001 - the application's own
            return error
        return answer

    def pull(self, call):
        """Take one chunk; return whether there was one."""
        step = "__anext__" if self.mode == "async" else "__next__"
        chunk = self.run(lambda: getattr(type(call.stream), step)(call.stream))
        if isinstance(chunk, BaseException):
            call.over = True
            return False
        if not call.over:
            call.text += call.api.text(chunk)
        return True

    @rule(name=st.sampled_from(["chat", "completions", "responses"]), end=st.sampled_from(ENDS))
    def open_stream(self, name, end):
        if not hasattr(self.client, name):
            return
        self.next_end = end
        api = self.apis[name]
        create = api.method(self.client)
        stream = self.run(lambda: create(model=api.model, **api.asked, stream=True))
        self.calls += 1
        self.open.append(Call(api, stream))

    @rule(end=st.sampled_from(ENDS))
    def open_raw(self, end):
        self.next_end, api = end, self.apis["chat"]
        create = self.client.chat.completions.with_raw_response.create
        raw = self.run(lambda: create(model=api.model, **api.asked, stream=True))
        self.calls += 1
        self.open.append(Call(api, raw.parse()))

    @rule()
    def ask_plainly(self):
        api = self.apis["chat"]
        answer = self.run(lambda: api.method(self.client)(model=api.model, **api.asked))
        assert answer.choices[0].message.content == "The sea is old and wide."
        self.calls += 1
        self.expected.append(7)

    @rule()
    def never_await(self):
        if self.mode == "async":
            api = self.apis["chat"]
            api.method(self.client)(model=api.model, **api.asked, stream=True).close()

    @precondition(lambda self: self.open)
    @rule(at=st.integers(0, 9), count=st.integers(1, 12))
    def read(self, at, count):
        """Loop for a while: a first, a second or a third time."""
        call = self.open[at % len(self.open)]
        while count and self.pull(call):
            count -= 1

    @precondition(lambda self: self.open)
    @rule(at=st.integers(0, 9))
    def read_elsewhere(self, at):
        """Take a chunk in another thread or task; the latter is what ``pull`` does anyway."""
        call = self.open[at % len(self.open)]
        thread = threading.Thread(target=self.pull, args=(call,))
        thread.start()
        thread.join()

    @precondition(lambda self: self.open)
    @rule(at=st.integers(0, 9), how=st.sampled_from(["stream", "response", "with", "raise"]))
    def close(self, at, how):
        call = self.open[at % len(self.open)]
        response = call.stream.response
        if how == "stream":
            self.run(call.stream.close)
        elif how == "response":
            self.run(response.aclose if self.mode == "async" else response.close)
        else:
            self.run(lambda: self.leave(call.stream, KeyError() if how == "raise" else None))
        call.over = True

    def leave(self, stream, error):
        """Enter a ``with`` and leave it, perhaps by an error."""
        if self.mode == "async":
            return _left(stream, error)
        with suppress(KeyError), stream:
            if error is not None:
                raise error
        return None

    @precondition(lambda self: self.open and self.mode == "async")
    @rule(at=st.integers(0, 9))
    def cancel(self, at):
        """Cancel a task that pulls, before its first step or at a later one."""
        call = self.open[at % len(self.open)]

        async def cancelled():
            task = asyncio.ensure_future(call.stream.__anext__())
            await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                chunk = await task
                if not call.over:
                    call.text += call.api.text(chunk)
                return
            call.over = True

        self.loop.run_until_complete(cancelled())

    @precondition(lambda self: self.open)
    @rule(at=st.integers(0, 9))
    def drop(self, at):
        self.expected.append(self.open.pop(at % len(self.open)).tokens)

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
        self.expected += [call.tokens for call in self.open]
        self.open.clear()
        self.collect()
        self.run(self.client.close)
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        gc.collect()
        assert tokentrail.flush(10)
        spans = self.exporter.get_finished_spans()
        tokentrail.uninstrument()
        assert len(spans) == self.calls
        assert len({span.context.span_id for span in spans}) == self.calls
        told = sorted(span.attributes.get("gen_ai.usage.output_tokens", 0) for span in spans)
        assert told == sorted(self.expected)


class Call:
    """A stream that the application holds, and what it received."""

    def __init__(self, api, stream):
        self.api, self.stream = api, stream
        self.text = ""
        self.over = False

    @property
    def tokens(self):
        """What the text that was received is billed."""
        said = len(ENCODINGS.get("o200k_base").encode_ordinary(self.text))
        return said + self.api.extra if said else 0


async def _awaited(answer):
    return await answer


async def _left(stream, error):
    with suppress(KeyError):
        async with stream:
            if error is not None:
                raise error


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("silent")
def test_any_order_ends_each_call_once(mode, apis):
    """As many spans as calls, and each has the tokens of the text that was received."""
    machine = type("Machine", (Life,), {"mode": mode, "apis": apis})
    case = machine.TestCase
    once = [Phase.explicit, Phase.generate]  # to shrink a failure would take minutes
    case.settings = settings(max_examples=30, stateful_step_count=20, deadline=None, phases=once)
    case().runTest()
