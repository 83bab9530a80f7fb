"""``examples/budget``: a stream is cut off when its live count passes the budget."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import openai
import pytest

import tokentrail
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server


@pytest.fixture
def budget(examples):
    spec = importlib.util.spec_from_file_location("budget", examples / "budget" / "budget.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.thorough
def test_the_program_says_what_it_spent_with_each_client(examples, environment, model):
    done = subprocess.run(
        [sys.executable, examples / "budget" / "budget.py", "12"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert (
        re.findall(r"cut off at (\d+) tokens, with a budget of (\d+)", done.stdout)
        == [("12", "12")] * 2
    )
    assert done.stderr == ""
    assert len(model.calls) == 2


async def test_the_yielded_text_is_within_the_budget_and_recorded_as_closed_early(
    budget, trail, driver, says_much
):
    """A chunk bears a token or two: the count passes the budget by no more than one chunk's."""
    tokentrail.count_tokens("", model=budget.MODEL)
    client = driver.client(says_much)
    stream = await driver.call(
        client.chat.completions.create, model=budget.MODEL, messages=budget.MESSAGES, stream=True
    )
    if isinstance(stream, openai.AsyncStream):
        chunks = [chunk async for chunk in budget.within_async(stream, 20)]
    else:
        chunks = list(budget.within(stream, 20))
    spent = budget.spent(stream)
    attributes = trail.spans.attributes()
    assert 20 <= spent <= 22
    assert attributes["tokentrail.outcome"] == "closed_early"
    assert attributes["gen_ai.usage.output_tokens"] == spent
    assert attributes["tokentrail.usage.output.source"] == "counted"
    text = "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)
    assert tokentrail.count_tokens(text, model=budget.MODEL) == pytest.approx(spent, abs=1)


@pytest.fixture
def says_much():
    with Server(Model()) as server:
        yield server
