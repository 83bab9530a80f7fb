"""``tokentrail.current_usage(stream)``: what is known of an open stream, exact whenever asked."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import gc
import threading

import openai
import pytest
from tests import shared
from tests.shared import helper_stream

import tokentrail
from tokentrail.call.observed_call import ObservedCall
from tokentrail.counting import ENCODINGS, Encodings, InputTally, OutputTally
from tokentrail.model.records import Count, Source
from tokentrail.testing.payloads import Answer, Usage, chat, completions, responses
from tokentrail.testing.server import Plain, Stream

serve = shared.serve_in_turn

MESSAGES = [{"role": "user", "content": "Hello, how are you?"}]
"""13 tokens (a published count)."""
MIXED = (
    "The sea is old. Das Meer ist alt; 海は古い。 Море старое! 👨‍👩‍👧 x1=0x3fa9b;\n\n"
    "    don't <|endoftext|> stop here: 1234567890   "
)
O200K = "o200k_base"


@pytest.fixture(scope="module")
def o200k():
    ENCODINGS.load("cl100k_base")
    return ENCODINGS.load(O200K)


@pytest.fixture(autouse=True)
def no_chance(monkeypatch, o200k):
    monkeypatch.setenv("TOKENTRAIL_COUNT_VERIFICATION_RATIO", "0")


def in_pieces(text):
    """Cut a text anywhere, as no tokenizer would."""
    return tuple(text[at : at + 3] for at in range(0, len(text), 3))


def said(*texts, model="gpt-4o-mini", **more):
    return Answer(texts, model=model, split=in_pieces, **more)


async def stream_of(driver, server, model="gpt-4o-mini", method="chat.completions", **asked):
    owner = driver.client(server)
    for part in method.split("."):
        owner = getattr(owner, part)
    asked = asked or {"messages": MESSAGES}
    return await driver.call(owner.create, model=model, stream=True, **asked)


def tokens(encoding, text):
    return len(encoding.encode_ordinary(text))


@pytest.mark.usefixtures("trail")
async def test_after_each_chunk_it_is_tiktoken_s_count_of_the_text_so_far(driver, serve, o200k):
    """For any text in any pieces, and asking changes nothing of what is told in the end."""
    stream = await stream_of(driver, serve(Stream(chat.chunks(said(MIXED * 4)))))
    received = ""
    asked = 0
    with contextlib.suppress(StopAsyncIteration):
        while True:
            chunk = await driver.next(stream)
            received += chunk.choices[0].delta.content or ""
            known = tokentrail.current_usage(stream)
            assert known.input == Count(13, Source.COUNTED, O200K)
            assert known.output == Count(tokens(o200k, received), Source.COUNTED, O200K)
            asked += 1
    assert asked > 150
    assert received == MIXED * 4
    assert tokentrail.current_usage(stream).output.tokens == tokens(o200k, received)


async def test_the_final_usage_is_what_is_recorded(driver, trail, serve, o200k):
    """After the end it is final, also of a stream that was closed early."""
    server = serve(Stream(chat.chunks(said(MIXED))))
    whole, broken = await stream_of(driver, server), await stream_of(driver, server)
    await driver.read(whole)
    await driver.take(broken, 9)
    await driver.close(broken)
    spans = trail.spans.all()
    for stream, span in zip((whole, broken), spans, strict=True):
        known = tokentrail.current_usage(stream)
        assert known.input.tokens == span.attributes["gen_ai.usage.input_tokens"]
        assert known.output.tokens == span.attributes["gen_ai.usage.output_tokens"]
        assert known.output.source is Source.COUNTED
        assert tokentrail.current_usage(stream) == known


@pytest.mark.usefixtures("trail")
async def test_a_report_replaces_the_counts(driver, serve):
    """As soon as the server has told; what came before was a count."""
    answer = said("Hello there.", usage=Usage(113, 107))
    stream = await stream_of(driver, serve(Stream(chat.chunks(answer, "last"))))
    await driver.take(stream, 3)
    assert tokentrail.current_usage(stream).output.source is Source.COUNTED
    await driver.read(stream)
    known = tokentrail.current_usage(stream)
    assert (known.input, known.output) == (
        Count(113, Source.REPORTED),
        Count(107, Source.REPORTED),
    )
    assert known.reported.output_tokens == 107


@pytest.mark.usefixtures("trail")
async def test_a_helper_s_stream_is_known_too(driver, serve, o200k):
    """It has a stream of its own inside."""
    server = serve(Stream(chat.chunks(said(MIXED))))
    manager = helper_stream(driver.client(server))(model="gpt-4o-mini", messages=MESSAGES)
    received, asked = "", 0
    async with driver.within(manager) as stream:
        with contextlib.suppress(StopAsyncIteration):
            while True:
                event = await driver.next(stream)
                if event.type == "chunk":
                    received += event.chunk.choices[0].delta.content or ""
                    known = tokentrail.current_usage(stream)
                    assert known.output.tokens == tokens(o200k, received)
                    asked += 1
        assert asked > 20
        assert tokentrail.current_usage(stream).output.tokens == tokens(o200k, MIXED)


@pytest.mark.usefixtures("trail")
@pytest.mark.parametrize("helper", [False, True])
async def test_a_stream_of_responses_is_known(driver, serve, o200k, helper):
    """The one token more that is billed there stands for an end, which has not come yet."""
    if not hasattr(openai.OpenAI, "responses"):
        pytest.skip("this openai has no responses")
    server = serve(Stream(responses.events(said(MIXED))))
    client = driver.client(server)
    async with contextlib.AsyncExitStack() as stack:
        if helper:
            manager = client.responses.stream(model="gpt-4o-mini", input="Hello, how are you?")
            stream = await stack.enter_async_context(driver.within(manager))
        else:
            stream = await stream_of(
                driver, server, method="responses", input="Hello, how are you?"
            )
        received = ""
        with contextlib.suppress(StopAsyncIteration):
            while True:
                event = await driver.next(stream)
                if event.type == "response.output_text.delta":
                    received += event.delta
                    known = tokentrail.current_usage(stream)
                    assert known.input.tokens == 13
                    assert known.output.tokens == tokens(o200k, received)
        assert received == MIXED


@pytest.mark.usefixtures("trail")
async def test_a_legacy_stream_and_several_choices_are_known(driver, serve):
    """Each choice is a text of its own."""
    answer = said("One two.", "Three four five.", model="gpt-3.5-turbo-instruct")
    server = serve(Stream(completions.events(answer)))
    stream = await stream_of(
        driver, server, "gpt-3.5-turbo-instruct", "completions", prompt="Tell me."
    )
    await driver.read(stream)
    assert tokentrail.current_usage(stream).output.tokens == 3 + 4


SOURCES = {
    "reasoning": ("o4-mini", {}, (Source.COUNTED, Source.VISIBLE)),
    "unknown": ("my-model", {}, (Source.APPROXIMATED, Source.APPROXIMATED)),
    "off": ("gpt-4o-mini", {"token_counting": "off"}, (None, None)),
}


@pytest.mark.parametrize(("model", "settings", "sources"), SOURCES.values(), ids=SOURCES)
async def test_each_number_says_what_it_is_worth(driver, trail, serve, model, settings, sources):
    """By the same rules as in the end."""
    trail.instrument(**settings)
    stream = await stream_of(driver, serve(Stream(chat.chunks(said("Hi.", model=model)))), model)
    await driver.take(stream, 2)
    known = tokentrail.current_usage(stream)
    assert tuple(count and count.source for count in (known.input, known.output)) == sources
    await driver.close(stream)


@pytest.fixture
def cold(monkeypatch):
    """Give encodings that are built when the test says so."""
    from tokentrail.runtime import runtime

    class Cold(Encodings):
        def start(self, name, ready):
            self.ready = ready

    cold = Cold()
    monkeypatch.setattr(runtime, "ENCODINGS", cold)
    return cold


async def test_while_the_encoding_loads_it_is_an_approximation(driver, cold, trail, serve, o200k):
    """By length; and exact from the moment it is there, for what came before as well."""
    trail.instrument()
    stream = await stream_of(driver, serve(Stream(chat.chunks(said(MIXED * 3)))))
    chunks = await driver.take(stream, 60)
    received = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    known = tokentrail.current_usage(stream)
    assert known.input.source is known.output.source is Source.APPROXIMATED
    assert known.input.encoding is known.output.encoding is None
    assert known.output.tokens == pytest.approx(tokens(o200k, received), rel=0.5)
    cold._built[O200K] = o200k
    known = tokentrail.current_usage(stream)
    assert known.input == Count(13, Source.COUNTED, O200K)
    assert known.output == Count(tokens(o200k, received), Source.COUNTED, O200K)
    await driver.close(stream)


@pytest.mark.usefixtures("trail")
async def test_a_long_prompt_is_counted_by_the_worker(driver, serve, o200k):
    """The asking thread gets an estimate at once, later the count; it encodes nothing of it."""
    text = MIXED * 1_000
    stream = await stream_of(
        driver,
        serve(Stream(chat.chunks(said("Hi.")))),
        messages=[{"role": "user", "content": text}],
    )
    await driver.take(stream, 2)
    here, encoded = threading.get_ident(), []

    class Watched:
        def encode_ordinary(self, text):
            encoded.append((threading.get_ident(), len(text)))
            return o200k.encode_ordinary(text)

    known = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENCODINGS._built, O200K, Watched())
        known = tokentrail.current_usage(stream)
        assert known.input.source is Source.APPROXIMATED
        assert tokentrail.flush(10)
        known = tokentrail.current_usage(stream)
    assert known.input == Count(7 + tokens(o200k, text), Source.COUNTED, O200K)
    assert sum(size for thread, size in encoded if thread == here) < 100
    assert sum(size for thread, size in encoded if thread != here) >= len(text)
    await driver.close(stream)


@pytest.mark.usefixtures("trail")
async def test_what_is_no_stream_of_ours_is_none(driver, serve):
    """A foreign object, an answer, a stream opened before."""
    server = serve(Plain(chat.completion(said("Hi."))))
    client = driver.client(server)
    answer = await driver.call(
        client.chat.completions.create, model="gpt-4o-mini", messages=MESSAGES
    )
    for foreign in (answer, None, 5, object(), [], iter(()), tokentrail, type):
        assert tokentrail.current_usage(foreign) is None
    tokentrail.uninstrument()
    stream = await stream_of(driver, serve(Stream(chat.chunks(said("Hi.")))))
    assert tokentrail.current_usage(stream) is None
    await driver.read(stream)
    assert tokentrail.current_usage(stream) is None


async def test_a_stream_without_current_usage_costs_nothing(monkeypatch, driver, trail, serve):
    """No count midway, no prompt counted before the end."""
    called = []

    def watch(owner, name):
        original = getattr(owner, name)

        def watched(*args, **kwargs):
            called.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, watched)

    watch(ObservedCall, "known_usage")
    watch(OutputTally, "now")
    watch(InputTally, "steps")
    trail.instrument()
    stream = await stream_of(driver, serve(Stream(chat.chunks(said(MIXED)))))
    await driver.take(stream, 20)
    assert called == []
    await driver.read(stream)
    assert called == ["steps"]


async def test_a_stream_read_by_current_usage_is_freed_without_the_collector(driver, trail, serve):
    trail.instrument(count_verification_ratio=0)
    server = serve(Stream(chat.chunks(said("Hi."))))
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            stream = await stream_of(driver, server)
            await driver.take(stream, 1)
            assert tokentrail.current_usage(stream) is not None
            await driver.read(stream)
        assert tokentrail.flush(10)
        kept = [each for each in gc.get_objects() if type(each) is ObservedCall]
        assert len(kept) < 2, "that of the stream which is still held, if any"
    finally:
        gc.enable()


async def test_asking_reads_nothing_of_the_stream(driver, trail, serve):
    """A chunk that is not sent yet is not waited for."""
    gate = threading.Event()
    events = chat.chunks(said("Hello there."))

    def steps():
        yield from events[:3]
        gate.wait(10)
        yield from events[3:]

    trail.instrument()
    stream = await stream_of(driver, serve(Stream(steps())))
    await driver.take(stream, 3)
    for _ in range(100):
        known = tokentrail.current_usage(stream)
    assert known.output.tokens > 0
    gate.set()
    assert len(await driver.read(stream)) == len(events) - 4


async def test_a_budget_can_be_kept(driver, trail, serve):
    """What it is for: leave when it gets too long."""
    trail.instrument()
    stream = await stream_of(driver, serve(Stream(chat.chunks(said(MIXED * 10)))))
    with contextlib.suppress(StopAsyncIteration):
        while True:
            await driver.next(stream)
            if tokentrail.current_usage(stream).output.tokens >= 100:
                await driver.close(stream)
                break
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "closed_early"
    assert 100 <= attributes["gen_ai.usage.output_tokens"] < 105


class _Reads(list):
    """Parts of a content that know how often they are read."""

    def __init__(self, parts):
        super().__init__(parts)
        self.times = 0

    def __iter__(self):
        self.times += 1
        return super().__iter__()


@pytest.mark.usefixtures("trail")
async def test_a_prompt_that_came_in_an_iterator_is_read_once(driver, serve):
    """However often somebody asks: a long one takes milliseconds."""
    content = _Reads([{"type": "text", "text": "Hello, how are you?"}])
    message = {"role": "user", "content": content}
    server = serve(Stream(chat.chunks(said(MIXED))))
    stream = await stream_of(driver, server, messages=iter([message]))
    await driver.take(stream, 5)
    known, read = tokentrail.current_usage(stream), content.times
    for _ in range(20):
        assert tokentrail.current_usage(stream) == known
    assert known.input == Count(13, Source.COUNTED, O200K)
    await driver.read(stream)
    assert tokentrail.flush(10)
    assert content.times == read


@pytest.mark.usefixtures("trail")
async def test_what_the_request_says_of_the_answer_s_price_is_known_at_once(driver, serve):
    """One token more beside tools, as in the end, also where they came in an iterator."""
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    server = serve(Stream(chat.chunks(said("Hello there."))))
    for tools in ([tool], iter([tool])):
        stream = await stream_of(driver, server, messages=MESSAGES, tools=tools)
        await driver.read(stream)
        assert tokentrail.current_usage(stream).output.tokens == 3 + 1
        stream = await stream_of(driver, server, messages=MESSAGES, tools=tools)
        await driver.take(stream, 5)
        known = tokentrail.current_usage(stream).output
        assert known.source is Source.COUNTED
        await driver.close(stream)
        assert tokentrail.current_usage(stream).output == known


def test_a_usage_is_a_dataclass_like_any_other():
    """Its constructor and its table of fields are made late, and not by ``dataclass``."""
    count = Count(12, Source.COUNTED)
    usage = tokentrail.Usage(count, output=Count(3, Source.REPORTED, "o200k_base"))
    assert repr(count) == f"Count(tokens=12, source={Source.COUNTED!r}, encoding=None)"
    assert usage == copy.deepcopy(usage)
    assert hash(usage) == hash(copy.deepcopy(usage))
    assert dataclasses.asdict(usage)["output"]["encoding"] == "o200k_base"
    assert dataclasses.replace(count, tokens=13) == Count(13, Source.COUNTED)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'source'"):
        Count(12)
