"""CrewAI.

It calls OpenAI's models by the client's methods: chat completions or, with `api="responses"`, the
Responses API. It asks for a stream's usage by itself, and reads every stream to its end. Its own
telemetry, which goes to CrewAI, is switched off here by `CREWAI_DISABLE_TELEMETRY=true`.
"""

from __future__ import annotations

import os

import pytest
from tests.frameworks.conftest import ANSWER, MODEL, ON_TOP, QUESTION, REPORTED, WEATHER

os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"
crewai = pytest.importorskip("crewai")

pytestmark = ON_TOP
PACKAGES = ("crewai",)
WAYS = [
    ("chat completions, plain", {}),
    ("chat completions, streamed", {"stream": True}),
    ("responses, plain", {"api": "responses"}),
    ("responses, streamed", {"api": "responses", "stream": True}),
]


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


@pytest.mark.parametrize(("title", "options"), WAYS)
def test_a_model_is_called(framework, model, title, options):
    assert framework.twice(title, lambda: model(**options).call(QUESTION), REPORTED) == ANSWER
    title = f"{title}, async"
    assert framework.twice(title, lambda: model(**options).acall(QUESTION), REPORTED) == ANSWER


@pytest.mark.parametrize(("title", "options"), WAYS)
def test_a_model_is_called_with_tools(framework, model, title, options):
    functions = {"get_weather": lambda **said: f"A mild day: {sorted(said)}"}

    def call():
        return model(**options).call(QUESTION, [WEATHER], available_functions=functions)

    said = framework.twice(f"{title}, tools", call, REPORTED)
    assert said == "A mild day: ['city']"
