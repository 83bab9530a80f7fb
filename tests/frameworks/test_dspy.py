"""DSPy.

`dspy.LM` calls models by an HTTP client of its own (`dspy.lm15`), not by `openai`: these calls are
**not recorded**. With `engine="litellm"` it calls litellm, which calls the client: these calls are
recorded. It never asks for the usage of a stream.
"""

from __future__ import annotations

import pytest
from tests.frameworks.conftest import (
    ANSWER,
    CLOSED_EARLY,
    COUNTED,
    MODEL,
    ON_TOP,
    QUESTION,
    REPORTED,
    WEATHER,
)

dspy = pytest.importorskip("dspy")

pytestmark = ON_TOP
PACKAGES = ("dspy", "litellm")


@pytest.fixture
def lm(framework):
    def lm(**options):
        return dspy.LM(
            f"openai/{MODEL}",
            api_base=framework.base_url,
            api_key="k",
            cache=False,
            num_retries=0,
            **options,
        )

    return lm


def test_its_own_http_client_is_not_recorded(framework, lm):
    framework.missed("plain", lambda: lm()(QUESTION))
    framework.missed("plain, async", lambda: lm().acall(QUESTION))


class _Ask(dspy.Module):
    """A program that asks a model."""

    def __init__(self, lm):
        super().__init__()
        self._lm = lm

    def forward(self, question):
        """Return the answer."""
        return dspy.Prediction(answer=self._lm(question)[0])


def test_streamed_by_litellm(framework, lm):
    async def streamed():
        asked = _Ask(lm(engine="litellm"))
        return [piece async for piece in dspy.streamify(asked)(question=QUESTION)][-1].answer

    title = 'engine="litellm", streamed, async'
    assert framework.twice(title, streamed, COUNTED) == ANSWER


def test_closed_early_by_litellm(framework, lm):
    async def some():
        asked = _Ask(lm(engine="litellm", extra_headers={"x-stall": "1"}))
        stream = dspy.streamify(asked)(question=QUESTION)
        taken = [await anext(stream) for _ in range(4)]
        await stream.aclose()
        return len(taken)

    framework.twice('engine="litellm", streamed, closed early, async', some, CLOSED_EARLY)


def test_tools_by_litellm(framework, lm):
    def call():
        (said,) = lm(engine="litellm")(QUESTION, tools=[WEATHER])
        return said["tool_calls"][0].function.name

    assert framework.twice('engine="litellm", tools', call, REPORTED) == "get_weather"


def test_plain_by_litellm(framework, lm):
    title = 'engine="litellm", plain'
    assert framework.twice(title, lambda: lm(engine="litellm")(QUESTION), REPORTED) == [ANSWER]
    framework.twice(f"{title}, async", lambda: lm(engine="litellm").acall(QUESTION), REPORTED)
