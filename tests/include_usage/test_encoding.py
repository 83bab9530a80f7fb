"""Where the server is asked for the usage, no encoding is built that nobody needs."""

from __future__ import annotations

import pytest

import tokentrail
from tokentrail.counting import ENCODINGS, HELD, Encodings
from tokentrail.testing.payloads import Answer

from .conftest import ANSWER, BILLED, MESSAGES, says, says_text

O200K = "o200k_base"


@pytest.fixture
def cold(monkeypatch):
    """Give encodings that are not built, and note which are asked for."""
    from tokentrail.runtime import runtime

    class Cold(Encodings):
        def __init__(self):
            super().__init__()
            self.started = []

        def start(self, name, ready):
            self.started.append(name)
            self._built[name] = ENCODINGS.load(name)
            ready()

    cold = Cold()
    monkeypatch.setattr(runtime, "ENCODINGS", cold)
    return cold


async def _stream(driver, server):
    return await driver.call(
        driver.client(server).chat.completions.create,
        model="gpt-4o-mini",
        messages=MESSAGES,
        stream=True,
    )


async def test_a_program_with_reported_streams_builds_no_encoding(driver, cold, trail, serve):
    """It was asked for and it comes, so there is nothing to count."""
    trail.instrument(stream_usage="request")
    server = serve(says())
    for _ in range(3):
        await driver.read(await _stream(driver, server))
    assert [s.attributes["tokentrail.usage.output.source"] for s in trail.spans.all()] == [
        "reported"
    ] * 3
    assert cold.started == []


async def test_a_stream_that_is_not_asked_starts_one_with_the_request(driver, cold, trail, serve):
    """Whether it reports is not known before its end."""
    trail.instrument()
    await _stream(driver, serve(says()))
    assert cold.started == [O200K]


async def test_one_is_built_when_the_report_does_not_come(driver, cold, trail, serve):
    """The stream is closed early; the span waits for the count."""
    trail.instrument(stream_usage="request")
    stream = await _stream(driver, serve(says()))
    await driver.take(stream, 4)
    assert cold.started == []
    await driver.close(stream)
    attributes = trail.spans.attributes()
    assert cold.started == [O200K]
    assert attributes["tokentrail.usage.output.source"] == "counted"


async def test_an_encoding_is_built_when_it_is_needed(driver, cold, trail, serve):
    """The first answer is an estimate, the next a count."""
    trail.instrument(stream_usage="request")
    stream = await _stream(driver, serve(says()))
    await driver.take(stream, 4)
    first, then = (tokentrail.current_usage(stream).input for _ in range(2))
    assert cold.started == [O200K]
    assert (first.source.value, then.source.value) == ("approximated", "counted")
    await driver.close(stream)


@pytest.mark.thorough
async def test_one_is_built_for_a_long_answer_before_its_text_is_too_much(
    driver, cold, trail, serve
):
    """So much is held while a report is awaited that it would be estimated if none came."""
    words = tuple(f"word {n} " for n in range(HELD // 4))
    long = Answer(("".join(words),), ANSWER.usage, "gpt-4o-mini", id="one", created=1)
    trail.instrument(stream_usage="request")
    stream = await _stream(driver, serve(says(long)))
    await driver.take(stream, 200)
    assert cold.started == []
    await driver.take(stream, 8_000)
    assert set(cold.started) == {O200K}
    await driver.close(stream)
    assert trail.spans.attributes()["tokentrail.usage.output.source"] == "counted"


@pytest.mark.parametrize(("echo", "started"), [(False, {"cl100k_base"}), (True, set())])
async def test_none_is_built_for_a_long_answer_that_could_not_be_counted(
    driver, cold, trail, serve, echo, started
):
    """An answer that repeats the prompt does not show what was generated."""
    line = "and so the sea goes on and on. "
    long = Answer((line,), BILLED, "gpt-3.5-turbo-instruct", split=lambda _: [line] * (HELD // 100))
    trail.instrument(stream_usage="request")
    stream = await driver.call(
        driver.client(serve(says_text(long))).completions.create,
        model="gpt-3.5-turbo-instruct",
        prompt="Tell me of the sea.",
        echo=echo,
        stream=True,
    )
    await driver.read(stream)
    assert trail.spans.attributes()["tokentrail.usage.output.source"] == "reported"
    assert set(cold.started) == started
