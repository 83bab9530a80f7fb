"""smolagents.

`OpenAIModel` calls the client's methods, and asks for a stream's usage by itself. A step of an
agent is a call and a span.
"""

from __future__ import annotations

import pytest
from tests.frameworks.conftest import ANSWER, MODEL, ON_TOP, QUESTION, REPORTED

smolagents = pytest.importorskip("smolagents")

pytestmark = ON_TOP
PACKAGES = ("smolagents",)
ASKED = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]


@pytest.fixture
def model(framework):
    return smolagents.OpenAIModel(MODEL, api_base=framework.base_url, api_key="k")


def test_plain(framework, model):
    assert framework.twice("plain", lambda: model.generate(ASKED).content, REPORTED) == ANSWER


def test_streamed(framework, model):
    def streamed():
        return "".join(piece.content or "" for piece in model.generate_stream(ASKED))

    assert framework.twice("streamed", streamed, REPORTED) == ANSWER
