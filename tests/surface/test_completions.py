"""Legacy completions: every form of a prompt, and what of the text shown is what is billed."""

from __future__ import annotations

import pytest
from tests.surface.table import INSTRUCT, SEA

from tokentrail.counting import ENCODINGS
from tokentrail.testing.payloads import Answer, Usage, completions
from tokentrail.testing.server import Plain, Stream

pytestmark = pytest.mark.surface

IN, OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
IN_SOURCE, OUT_SOURCE = "tokentrail.usage.input.source", "tokentrail.usage.output.source"
GUESSED = "tokentrail.usage.approximated.output_tokens"


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def ask(request, driver, says, trail):
    """Ask a server that answers so, and never says a word of usage."""

    async def call(texts=(SEA.answer,), usage=None, **asked):
        answer = Answer(tuple(texts), usage, model=INSTRUCT)
        events = completions.events(answer, "last" if usage else "none")
        reply = Stream(events) if request.param else Plain(completions.completion(answer))
        client = driver.client(says(reply))
        given = {"model": INSTRUCT, "prompt": SEA.question, **asked}
        got = await driver.call(client.completions.create, **given, stream=request.param)
        if request.param:
            await driver.read(got)
        return trail.spans.attributes()

    return call


def _ids(text):
    return ENCODINGS.load("cl100k_base").encode(text)


PROMPTS = {
    "text": (SEA.question, 6),
    "texts": ([SEA.question, SEA.question, SEA.answer], 6 + 6 + 7),
    "token ids": (_ids(SEA.question), 6),
    "lists of token ids": ([_ids(SEA.question), _ids(SEA.answer)], 6 + 7),
}


@pytest.mark.parametrize("prompt", PROMPTS)
async def test_every_form_of_a_prompt_is_counted(ask, prompt):
    """Ids are counted, not looked at; texts apart from each other, without any frame."""
    given, tokens = PROMPTS[prompt]
    said = await ask(prompt=given)
    assert (said[IN], said[IN_SOURCE]) == (tokens, "counted")
    assert (said[OUT], said[OUT_SOURCE]) == (7, "counted")


async def test_a_suffix_is_input(ask):
    said = await ask(suffix=SEA.question)
    assert (said[IN], said[IN_SOURCE]) == (6 + 6, "counted")


async def test_all_choices_are_output(ask):
    said = await ask(texts=(SEA.answer, SEA.question, SEA.answer), n=3)
    assert (said[OUT], said[OUT_SOURCE]) == (7 + 6 + 7, "counted")
    assert said["gen_ai.request.choice.count"] == 3
    assert said["gen_ai.response.finish_reasons"] == ("stop",) * 3


@pytest.mark.parametrize("asked", [{"best_of": 3}, {"best_of": 3, "n": 2}])
async def test_text_that_is_not_what_is_billed_is_a_guess(ask, asked):
    """Candidates that nobody sees are billed."""
    said = await ask(**asked)
    assert OUT not in said
    assert said[OUT_SOURCE] == "approximated"
    assert said[GUESSED] == 7
    assert (said[IN], said[IN_SOURCE]) == (6, "counted")


async def test_text_that_repeats_the_prompt_is_not_counted(ask):
    said = await ask(echo=True)
    assert not [name for name in said if "output" in name]
    assert (said[IN], said[IN_SOURCE]) == (6, "counted")


@pytest.mark.parametrize("asked", [{"echo": False}, {"best_of": 2, "n": 2}, {"best_of": None}])
async def test_what_changes_nothing_leaves_the_count_exact(ask, asked):
    said = await ask(**asked)
    assert (said[OUT], said[OUT_SOURCE]) == (7, "counted")


@pytest.mark.parametrize("asked", [{}, {"echo": True}, {"prompt": [[1, 2], [3]]}])
async def test_the_servers_own_numbers_go_first(ask, asked):
    said = await ask(usage=Usage(40, 30), stream_options={"include_usage": True}, **asked)
    assert (said[IN], said[IN_SOURCE]) == (40, "reported")
    assert (said[OUT], said[OUT_SOURCE]) == (30, "reported")


async def test_half_a_stream_of_two_choices(driver, says, trail):
    """What was received of each is counted; neither came to its end."""
    answer = Answer((SEA.answer, SEA.question), model=INSTRUCT)
    client = driver.client(says(Stream(completions.events(answer))))
    given = {"model": INSTRUCT, "prompt": SEA.question, "n": 2, "stream": True}
    stream = await driver.call(client.completions.create, **given)
    await driver.take(stream, 5)
    await driver.close(stream)
    attributes = trail.spans.attributes()
    assert (attributes[OUT], attributes[OUT_SOURCE]) == (5, "counted")
    assert attributes["gen_ai.response.finish_reasons"] == ("error", "error")
    assert attributes["tokentrail.outcome"] == "closed_early"
