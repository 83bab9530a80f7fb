"""CrewAI.

Models of OpenAI are called by the client's methods, chat completions and, with `api="responses"`,
the Responses API. It asks for a stream's usage by itself. Its own telemetry sets a tracer provider
of its own and is switched off here, by `CREWAI_DISABLE_TELEMETRY=true`.
"""

from __future__ import annotations

import os

import pytest
from tests.frameworks.conftest import ANSWER, MODEL, ON_TOP, QUESTION, REPORTED

os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"
crewai = pytest.importorskip("crewai")

pytestmark = ON_TOP
PACKAGES = ("crewai",)


@pytest.fixture
def model(framework):
    def model(**options):
        return crewai.LLM(
            model=f"openai/{MODEL}",
            base_url=framework.base_url,
            api_key="k",
            max_retries=0,
            **options,
        )

    return model


@pytest.mark.parametrize(
    ("title", "options"),
    [
        ("chat completions, plain", {}),
        ("chat completions, streamed", {"stream": True}),
        ("responses, plain", {"api": "responses"}),
        ("responses, streamed", {"api": "responses", "stream": True}),
    ],
)
def test_a_model_is_called(framework, model, title, options):
    assert framework.twice(title, lambda: model(**options).call(QUESTION), REPORTED) == ANSWER
