"""Raw and streaming answers that nobody parses: read as bytes, left, closed twice, dropped."""

from __future__ import annotations

import gc

import pytest
from tests.surface.table import SHAPES, STREAMING, each

pytestmark = pytest.mark.surface

STREAMING_RESPONSE = "with_streaming_response"


async def _open(surface, method, prefix, **options):
    """Return the call, made but not awaited: a manager, or what gives a raw answer."""
    asked = await surface.asked(method)
    return method.on(surface.client(), prefix)(**asked, **options)


async def _raw(surface, method, **options):
    made = await _open(surface, method, "with_raw_response", **options)
    return await surface.driver.call(lambda: made)


def _require_one_span(surface, method, ending, *, output=None):
    """Require one span, with an input that was counted if the method spends any."""
    attributes = surface.trail.spans.attributes()
    assert attributes["gen_ai.operation.name"] == method.operation
    assert attributes["tokentrail.outcome"] == ending
    reported = output == "reported"
    spends = method.plain[0] is not None and (reported or method.is_known)
    known = None if not spends else "reported" if reported else "counted"
    assert attributes.get("tokentrail.usage.input.source") == known
    assert attributes.get("tokentrail.usage.output.source") == (
        method.plain[1] if reported else None
    )
    assert "error.type" not in attributes


async def _consume(driver, raw, how):
    if how == "read":
        return await driver.call(raw.read)
    if how == "text":
        return await driver.call(raw.text)
    lines = getattr(raw, how)()
    return [line async for line in lines] if driver.mode == "async" else list(lines)


@each(STREAMING)
@pytest.mark.parametrize("how", ["read", "text", "iter_bytes", "iter_lines", "iter_text"])
async def test_a_stream_read_by_hand_is_recorded_at_its_end(method, how, surface):
    """It is completed; what was not looked at has no output, rather than none of it."""
    async with surface.driver.within(
        await _open(surface, method, STREAMING_RESPONSE, stream=True)
    ) as raw:
        assert surface.trail.spans.all() == ()
        body = await _consume(surface.driver, raw, how)
        assert ("sea" if method.is_known else "type") in str(body)
        _require_one_span(surface, method, "completed")
    assert len(surface.trail.spans.all()) == 1


@each(STREAMING)
async def test_the_body_of_a_legacy_answer_may_be_read_as_well(method, surface):
    driver = surface.driver
    response = (await _raw(surface, method, stream=True)).http_response
    await driver.call(response.aread if driver.mode == "async" else response.read)
    _require_one_span(surface, method, "completed")


@each(STREAMING)
@pytest.mark.parametrize("prefix", ["with_raw_response", STREAMING_RESPONSE])
async def test_closed_unparsed_and_closed_again_is_one_call_closed_early(method, prefix, surface):
    driver = surface.driver
    if prefix == STREAMING_RESPONSE:
        async with driver.within(await _open(surface, method, prefix, stream=True)) as raw:
            await driver.close(raw)
            await driver.close(raw)
    else:
        response = (await _raw(surface, method, stream=True)).http_response
        for _ in range(2):
            await driver.call(response.aclose if driver.mode == "async" else response.close)
    _require_one_span(surface, method, "closed_early")


@each([STREAMING[0], STREAMING[-1]])
async def test_a_stream_neither_parsed_nor_closed_is_recorded_when_dropped(method, surface):
    raw = await _raw(surface, method, stream=True)
    assert surface.trail.spans.all() == ()
    del raw
    gc.collect()
    _require_one_span(surface, method, "closed_early")


@each(STREAMING)
@pytest.mark.parametrize("seen", [0, 1, 100])
async def test_a_stream_closed_twice_is_one_call(method, seen, surface):
    driver = surface.driver
    stream = (await _raw(surface, method, stream=True)).parse()
    chunks = await driver.take(stream, seen) if seen else []
    for _ in range(2):
        await driver.close(stream)
    (span,) = surface.trail.spans.all()
    whole = len(chunks) > 1
    assert span.attributes["tokentrail.outcome"] == ("completed" if whole else "closed_early")


@each(SHAPES)
@pytest.mark.parametrize("how", ["read", "text", "json", "parse"])
async def test_a_plain_answer_is_recorded_however_it_is_read(method, how, surface):
    """The body is there when its response is closed at the latest, and its usage in it."""
    if how == "json" and method.operation == "generate_speech":
        pytest.skip("sound is no JSON")
    manager = await _open(surface, method, STREAMING_RESPONSE)
    async with surface.driver.within(manager) as raw:
        assert surface.trail.spans.all() == ()
        await surface.driver.call(getattr(raw, how))
    _require_one_span(surface, method, "completed", output="reported")


@each(SHAPES)
async def test_a_plain_answer_that_is_not_read_is_closed_early(method, surface):
    async with surface.driver.within(await _open(surface, method, STREAMING_RESPONSE)):
        pass
    _require_one_span(surface, method, "closed_early")


@each(SHAPES)
async def test_parsing_again_gives_the_same_object(method, surface):
    """The answer that we looked at is the one that the application gets, once and again."""
    raw = await _raw(surface, method)
    assert len(surface.trail.spans.all()) == 1
    parsed = raw.parse()
    assert raw.parse() is parsed
    assert raw.text
    assert type(parsed).__module__.startswith("openai.")
    assert len(surface.trail.spans.all()) == 1
