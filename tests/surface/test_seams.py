"""What is ours on the application's objects: the seams that CONTRIBUTING lists, no more."""

from __future__ import annotations

import functools
from types import FunctionType, MethodType, ModuleType, SimpleNamespace

import pytest
from tests.surface.table import HELPERS, SHAPES, STREAMING, each

import tokentrail

pytestmark = pytest.mark.surface

ITERATOR = {("Stream", "_iterator")}
CLOSE = {("Response", "close"), ("Response", "aclose")}
PARSE = {("Raw", "parse")}
OPAQUE = (str, bytes, int, float, type, ModuleType, FunctionType, MethodType)


def _kind(owner):
    name = type(owner).__name__.removeprefix("Async")
    return "Raw" if name.endswith("APIResponse") else name


def _is_ours(thing):
    """Whether it is an object, a function, a bound method or a partial of ours."""
    if isinstance(thing, functools.partial):
        return _is_ours(thing.func)
    if isinstance(thing, MethodType):
        return _is_ours(thing.__self__) or _is_ours(thing.__func__)
    kind = thing if isinstance(thing, FunctionType) else type(thing)
    return (kind.__module__ or "").partition(".")[0] == "tokentrail"


@pytest.mark.parametrize(
    "hook",
    [
        tokentrail.flush,
        tokentrail.OpenAIInstrumentor().uninstrument,
        functools.partial(tokentrail.flush, 1.0),
        tokentrail.Usage(),
    ],
)
def test_whatever_hangs_there_is_seen(hook):
    assert seams({"stream": SimpleNamespace(close=hook)}) == {("SimpleNamespace", "close")}


def seams(*roots):
    """Return where something of ours hangs, on anything that can be reached from ``roots``."""
    found, seen, left = set(), set(), list(roots)
    while left:
        thing = left.pop()
        if id(thing) in seen or isinstance(thing, OPAQUE):
            continue
        seen.add(id(thing))
        assert not _is_ours(thing)
        if isinstance(thing, dict):
            left += [*thing.keys(), *thing.values()]
        elif isinstance(thing, (list, tuple, set, frozenset)):
            left += thing
        else:
            fields = getattr(thing, "__dict__", {})
            found |= {(_kind(thing), name) for name, each in fields.items() if _is_ours(each)}
            left += [each for each in fields.values() if not _is_ours(each)]
    return found


@pytest.fixture(params=["read", "closed"])
def end(request, surface):
    """Bring a stream to its end in one way or the other."""

    async def bring(stream):
        if request.param == "read":
            await surface.driver.read(stream)
        else:
            await surface.driver.next(stream)
            await surface.driver.close(stream)

    return bring


@each(SHAPES)
async def test_a_plain_answer_is_untouched(method, surface):
    client, asked = surface.client(), await surface.asked(method)
    answer = await surface.driver.call(method.on(client), **asked)
    raw = await surface.driver.call(method.on(client, "with_raw_response"), **asked)
    assert seams(client, answer, raw, raw.parse(), raw.http_response, asked) == set()


@each(STREAMING)
async def test_a_stream_has_an_iterator_and_the_close_of_its_response(method, surface, end):
    client, asked = surface.client(), await surface.asked(method)
    stream = await surface.driver.call(method.on(client), **asked, stream=True)
    assert seams(client, stream, stream.response) == ITERATOR | CLOSE
    await surface.driver.next(stream)
    assert seams(client, stream, stream.response) == ITERATOR | CLOSE
    await end(stream)
    assert seams(client, stream, stream.response) == ITERATOR


@each(STREAMING)
@pytest.mark.parametrize("prefix", ["with_raw_response", "with_streaming_response"])
async def test_a_raw_stream_has_its_parse_too(method, prefix, surface, end):
    driver, client, asked = surface.driver, surface.client(), await surface.asked(method)
    made = method.on(client, prefix)(**asked, stream=True)
    if prefix == "with_raw_response":
        raw = await driver.call(lambda: made)
        assert seams(client, raw) == PARSE | CLOSE
        stream = raw.parse()
        assert seams(client, raw, stream) == PARSE | CLOSE | ITERATOR
        await end(stream)
    else:
        async with driver.within(made) as raw:
            assert seams(client, raw) == PARSE | CLOSE
            stream = await driver.call(raw.parse)
            assert seams(client, raw, stream) == PARSE | CLOSE | ITERATOR
            await end(stream)
    assert seams(client, raw, stream, raw.http_response) == ITERATOR


@each(SHAPES)
@pytest.mark.parametrize("how", ["parse", "leave"])
async def test_a_plain_answer_not_read_yet_has_parse_and_close(method, how, surface):
    driver, client, asked = surface.driver, surface.client(), await surface.asked(method)
    async with driver.within(method.on(client, "with_streaming_response")(**asked)) as raw:
        assert seams(client, raw) == PARSE | CLOSE
        if how == "parse":
            await driver.call(raw.parse)
            assert seams(client, raw) == set()
    assert seams(client, raw, raw.http_response) == set()


@each([method for method in HELPERS if method.streamed is not None])
async def test_a_helper_has_the_seams_of_its_stream(method, surface):
    driver, client, asked = surface.driver, surface.client(), await surface.asked(method)
    manager = method.on(client)(**asked)
    async with driver.within(manager) as stream:
        await driver.next(stream)
        assert seams(client, stream) == ITERATOR | CLOSE
    assert seams(client, manager, stream) == ITERATOR
