"""instructor.

It calls the client's method `create`. If an answer does not fit, it tries again, with one more call
and span. The sync `create_partial` reads a stream to its end before it returns the first piece, so
its streams are never closed early; the async one returns pieces as they arrive.
"""

from __future__ import annotations

import openai
import pytest
from pydantic import BaseModel, field_validator
from tests.frameworks.conftest import GUESSED, MODEL, ON_TOP, QUESTION, REPORTED

instructor = pytest.importorskip("instructor")

pytestmark = ON_TOP
PACKAGES = ("instructor",)
TOOLS, JSON = instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA
MODES = [
    pytest.param(TOOLS, "tools", id="tools"),
    pytest.param(JSON, "JSON schema", id="json"),
]
CLIENTS = {"sync": openai.OpenAI, "async": openai.AsyncOpenAI}


class Tide(BaseModel):
    metres: float
    place: str


ASKED = {
    "model": MODEL,
    "messages": [{"role": "user", "content": QUESTION}],
    "response_model": Tide,
    "max_retries": 0,
}


@pytest.fixture
def asking(framework):
    def asking(mode, kind="sync", **options):
        client = CLIENTS[kind](api_key="k", base_url=framework.base_url, max_retries=0, **options)
        return instructor.from_openai(client, mode=mode)

    return asking


async def _all(stream):
    return [each async for each in stream]


@pytest.mark.parametrize(("mode", "title"), MODES)
def test_plain(framework, asking, mode, title):
    tide = framework.twice(f"{title}, plain", lambda: asking(mode).create(**ASKED), REPORTED)
    assert isinstance(tide, Tide)
    framework.twice(
        f"{title}, plain, async", lambda: asking(mode, "async").create(**ASKED), REPORTED
    )


@pytest.mark.parametrize(("mode", "title"), MODES)
def test_streamed(framework, asking, mode, title):
    partial = framework.twice(
        f"{title}, streamed", lambda: list(asking(mode).create_partial(**ASKED)), GUESSED
    )
    assert partial[-1].metres is not None
    framework.twice(
        f"{title}, streamed, async",
        lambda: _all(asking(mode, "async").create_partial(**ASKED)),
        GUESSED,
    )


def test_streamed_and_asked_for_usage(framework, asking):
    asked = {**ASKED, "stream_options": {"include_usage": True}}
    framework.twice(
        "tools, streamed, include_usage",
        lambda: list(asking(TOOLS).create_partial(**asked)),
        REPORTED,
    )


@pytest.mark.parametrize(("mode", "title"), MODES)
def test_closed_early(framework, asking, mode, title):
    def some():
        return next(iter(asking(mode).create_partial(**ASKED)))

    async def asome():
        stream = asking(mode, "async").create_partial(**ASKED)
        taken = [await anext(stream) for _ in range(5)]
        await stream.aclose()
        return taken

    framework.twice(f"{title}, streamed, closed early", some, GUESSED)
    framework.twice(
        f"{title}, streamed, closed early, async",
        asome,
        GUESSED.replace("completed", "closed early"),
    )


def test_each_try_is_recorded(framework, asking):
    def ask():
        refused = []

        class Picky(BaseModel):
            place: str

            @field_validator("place")
            @classmethod
            def check(cls, place):
                """Refuse the first place; the model, told so, says words, and a place then."""
                if not refused:
                    refused.append(place)
                    message = "another place"
                    raise ValueError(message)
                return place

        return asking(TOOLS).create(**{**ASKED, "response_model": Picky, "max_retries": 2}).place

    framework.twice("tools, tried three times", ask, REPORTED, REPORTED, REPORTED)
