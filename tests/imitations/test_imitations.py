"""Servers that are like OpenAI's in their own ways: what each sends, and what is told of it.

`docs/imitations.md` tells it as a table; the facts of it are those of these tests.
"""

from __future__ import annotations

import pytest

import tokentrail
from tokentrail.counting import ENCODINGS

pytestmark = [pytest.mark.imitations, pytest.mark.slow, pytest.mark.timeout(180)]

MODEL = "gpt-4o-mini"
MESSAGES = [{"role": "user", "content": "Tell me about Solar system"}]
ASKED = {"model": MODEL, "messages": MESSAGES}
ASKING = [
    pytest.param({}, id="unasked"),
    pytest.param({"stream_options": {"include_usage": True}}, id="asked"),
]


def _text(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def _usage(reported):
    return {
        "gen_ai.usage.input_tokens": reported.prompt_tokens,
        "gen_ai.usage.output_tokens": reported.completion_tokens,
        "tokentrail.usage.input.source": "reported",
        "tokentrail.usage.output.source": "reported",
    }


@pytest.fixture
def counted():
    """Return what makes of a text the usage to be told where the server tells none."""
    encoding = ENCODINGS.load("o200k_base")

    def counted(text):
        return {
            "gen_ai.usage.input_tokens": tokentrail.count_tokens(MESSAGES, model=MODEL),
            "gen_ai.usage.output_tokens": len(encoding.encode_ordinary(text)),
            "tokentrail.usage.input.source": "counted",
            "tokentrail.usage.output.source": "counted",
            "tokentrail.usage.encoding": "o200k_base",
        }

    return counted


async def test_a_plain_answer_is_told_as_reported(trail, driver, imitated):
    client = driver.client(imitated)
    answer = await driver.call(client.chat.completions.create, **ASKED)
    attributes = trail.spans.attributes()
    assert attributes.items() >= _usage(answer.usage).items()
    assert attributes["gen_ai.response.model"] == MODEL
    assert attributes["tokentrail.ending"] == "completed"


@pytest.mark.parametrize("options", ASKING)
async def test_a_stream_is_told_as_reported_or_counted(trail, driver, imitated, counted, options):
    client = driver.client(imitated)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED, **options)
    chunks = await driver.read(stream)
    reporting = [chunk for chunk in chunks if chunk.usage]
    usage = imitated.imitation.usage
    assert len(reporting) == (usage == "always" or (usage == "asked" and bool(options)))
    attributes = trail.spans.attributes()
    if reporting:
        assert reporting == chunks[-1:]
        assert bool(chunks[-1].choices) == (usage == "always")
        assert attributes.items() >= _usage(chunks[-1].usage).items()
    else:
        assert attributes.items() >= counted(_text(chunks)).items()
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["tokentrail.ending"] == "completed"


@pytest.mark.parametrize("options", ASKING)
async def test_a_stream_broken_off_is_counted(trail, driver, imitated, counted, options):
    client = driver.client(imitated)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED, **options)
    text = _text(await driver.take(stream, 2))
    await driver.close(stream)
    assert text
    attributes = trail.spans.attributes()
    assert attributes.items() >= counted(text).items()
    assert attributes["tokentrail.ending"] == "broken_off"
    assert "error.type" not in attributes
