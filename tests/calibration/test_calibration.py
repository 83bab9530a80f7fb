"""What the application's own calls teach of the input: the source ``calibrated``."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest
from tests import shared
from tests.calibration.biller import CALL, flat, text, tool

import tokentrail
from tokentrail.counting import Encodings

mode = shared.either_mode

SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
TOOLS = {"chat": [tool("look")], "responses": [flat("look")]}


@pytest.mark.parametrize("api", ["chat", "responses"])
async def test_three_reports_that_agree_teach(application, api):
    """Calls with the same tools that are closed early are known then, whatever their length."""
    await application.teach(api=api, tools=TOOLS[api])
    for words in (3, 77, 400):
        source, tokens = await application.unreported(words, api=api, tools=TOOLS[api])
        assert (source, tokens) == ("calibrated", application.biller.billed[-1])


@pytest.mark.settings(cost="counted", prices={"gpt-4o": {"input": 2.0, "output": 8.0}})
async def test_what_is_calibrated_is_good_enough_for_everything(application):
    """It is in the conventional metrics, in ours under its source, and in the cost."""
    trail = application.trail
    await application.teach()
    _, tokens = await application.unreported()
    assert "tokentrail.cost.amount" in trail.spans.attributes()
    sourced = {"gen_ai_token_type": "input", "tokentrail_usage_source": "calibrated"}
    assert trail.metrics.one("gen_ai.client.token.usage", **sourced).sum == tokens
    assert tokens == application.biller.billed[-1]
    assert trail.metrics.one("tokentrail.usage.tokens", **sourced).value == tokens


@shared.both_modes
@pytest.mark.parametrize("end", ["closed", "read to its end", "dropped"])
async def test_it_is_known_however_a_stream_without_usage_ends(application, end):
    await application.teach()
    driver, asked = application.driver, [{"role": "user", "content": text(77)}]
    create = application.client.chat.completions.create
    application.trail.spans.clear()
    stream = await driver.call(create, model="gpt-4o", messages=asked, stream=True)
    if end == "read to its end":
        await driver.read(stream)
    else:
        await driver.next(stream)
    if end == "closed":
        await driver.close(stream)
    del stream
    gc.collect()
    attributes = application.trail.spans.attributes()
    source, tokens = (
        attributes["tokentrail.usage.input.source"],
        attributes["gen_ai.usage.input_tokens"],
    )
    assert (source, tokens) == ("calibrated", application.biller.billed[-1])


@shared.both_modes
async def test_whoever_asks_at_once_gets_the_count(application):
    """The worker calibrates; the number of before is there as soon as the stream is closed."""
    await application.teach()
    client, driver = application.client, application.driver
    asked = [{"role": "user", "content": text(77)}]
    stream = await driver.call(
        client.chat.completions.create, model="gpt-4o", messages=asked, stream=True
    )
    await driver.next(stream)
    await driver.close(stream)
    assert tokentrail.current_usage(stream).input.tokens in {77 + 7, application.biller.billed[-1]}
    assert tokentrail.flush(10)
    known = tokentrail.current_usage(stream).input
    assert (known.source, known.tokens) == ("calibrated", application.biller.billed[-1])


TOO_LITTLE = {
    "two reports": (10, 50),
    "the same request again, as a retry": (10, 50, 50, 10, 50),
    "lengths that hardly differ": (10, 15, 20, 25, 29),
}


@pytest.mark.parametrize("lengths", TOO_LITTLE.values(), ids=TOO_LITTLE)
async def test_too_little_teaches_nothing(application, lengths):
    await application.teach(*lengths)
    source, _ = await application.unreported()
    assert source == "counted"


async def test_a_report_that_disagrees_withdraws_the_constant_until_fifty_agree(application):
    biller = application.biller
    await application.teach()
    biller.more = 1
    application.trail.instrument(count_verification_ratio=1)
    await application.teach()
    assert (await application.unreported())[0] == "calibrated"  # nothing was known of before
    biller.more = 2
    await application.teach(90)
    biller.more = 1
    await application.teach(*range(100, 149))
    assert (await application.unreported())[0] == "counted"
    await application.teach(149, 149)
    assert await application.unreported() == ("calibrated", biller.billed[-1])


@pytest.mark.parametrize("counting", ["missing", "spans_only", "always"])
async def test_what_is_long_known_is_verified_as_often_as_the_ratio_says(application, counting):
    """Of calls that teach nothing new few are looked at, but for those that were drawn."""
    application.trail.instrument(count_verification_ratio=1, token_counting=counting)
    await application.teach(*range(10, 90, 2))
    assert (await application.unreported())[0] == "calibrated"
    application.biller.more = 1
    await application.teach(90)
    assert (await application.unreported())[0] == "counted"


BASE = {"tools": [tool("look")], "before": [{"role": "system", "content": "x"}]}
ASKED, ANSWERED = {"role": "user", "content": "x"}, {"role": "assistant", "content": "x"}
OTHERS = {
    "a tool": {"tools": [tool("find")]},
    "one more tool": {"tools": [tool("look"), tool("find")]},
    "a strict tool": {
        "tools": [{"type": "function", "function": {**tool("look")["function"], "strict": True}}]
    },
    "the choice": {"tool_choice": "required"},
    "calls one by one": {"parallel_tool_calls": False},
    "a format": {"response_format": SCHEMA},
    "effort": {"reasoning_effort": "low"},
    "no instructions": {"before": []},
    "an earlier turn": {"before": [*BASE["before"], ASKED, ANSWERED]},
    "a deployment": {"model": "gpt-4.1"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
async def test_it_is_only_of_calls_that_are_alike(application, other):
    await application.teach(**BASE)
    asked = {**BASE, **other}
    assert (await application.unreported(**asked))[0] != "calibrated"
    await application.teach(**asked)
    taught = (await application.unreported(**asked), await application.unreported(**BASE))
    billed = application.biller.billed[-2:]
    assert taught == (("calibrated", billed[0]), ("calibrated", billed[1]))


async def test_rounds_of_calls_and_results_are_a_kind_of_their_own(application):
    result = {"role": "tool", "tool_call_id": "c", "content": "sunny"}
    round_ = [ASKED, {"role": "assistant", "content": None, "tool_calls": [CALL]}, result]
    for rounds in range(3):
        asked = {"tools": [tool("look")], "before": round_ * rounds}
        assert (await application.unreported(**asked))[0] != "calibrated"
        await application.teach(**asked)
        assert await application.unreported(**asked) == (
            "calibrated",
            application.biller.billed[-1],
        )


FILE = {"type": "input_file", "filename": "f", "file_data": "data:text/plain;base64,aGVsbG8="}
IMAGE = {"type": "input_image", "image_url": "https://images.example/1.png"}
REASONING = {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "x" * 900}
NEVER = {
    "a response before": {"previous_response_id": "resp_1"},
    "a conversation": {"conversation": "conv_1"},
    "a stored prompt": {"prompt": {"id": "pmpt_1"}},
    "hosted tools": {"tools": [{"type": "web_search"}]},
    "a custom tool": {"tools": [{"type": "custom", "name": "c"}]},
    "truncation": {"truncation": "auto"},
    "reasoning": {"model": "gpt-5", "before": [ASKED, REASONING]},
    "a file": {"before": [{"role": "user", "content": [FILE]}]},
    "an image of unknown size": {"before": [{"role": "user", "content": [IMAGE]}]},
    "an unknown item": {"before": [{"type": "news", "id": "n"}]},
    "an unknown model": {"model": "our-own"},
}


@pytest.mark.parametrize("asked", NEVER.values(), ids=NEVER)
async def test_what_cannot_be_known_is_never_calibrated(application, asked):
    application.biller.model = asked.get("model", application.biller.model)
    await application.teach(api="responses", **asked)
    await application.ask(77, api="responses", stream=True, **asked)
    attributes = application.trail.spans.attributes()
    assert attributes.get("tokentrail.usage.input.source") != "calibrated"


async def test_what_was_learned_goes_before_the_rules_and_is_counted(application):
    """Where both say the same, it stays ``counted``."""
    biller, metric = application.biller, "tokentrail.internal.counts.corrected"
    biller.constant = lambda _: 7  # what the rules say of one message
    before = application.trail.metrics.one(metric).value
    await application.teach()
    assert await application.unreported() == ("counted", biller.billed[-1])
    assert application.trail.metrics.one(metric).value == before
    application.trail.instrument()
    biller.more = 4
    await application.teach()
    assert await application.unreported() == ("calibrated", biller.billed[-1])
    assert application.trail.metrics.one(metric).value == before + 1


async def test_a_list_of_tools_that_changes_is_what_it_is_when_it_is_sent(application):
    """A call is hashed by what it sent, whatever becomes of the list meanwhile."""
    tools = [tool("look")]
    for words in (10, 30, 50):
        await application.ask(words, tools=tools)
        tools.append(tool("find"))
        tools.pop(0)
        tools[:] = [tool("look")]
    tools[0]["function"]["parameters"]["properties"]["day"] = {"type": "string"}
    assert (await application.unreported(tools=tools))[0] == "counted"
    known = await application.unreported(tools=[tool("look")])
    assert known == ("calibrated", application.biller.billed[-1])


async def test_two_models_that_answer_by_one_name_are_distinguished(application):
    """Where the answer does not say which it is, nothing is calibrated."""
    biller = application.biller
    models = ["gpt-4o-2024-08-06", "gpt-4o-2024-11-20"]
    for words in (10, 30, 50):
        for biller.model, biller.more in zip(models, (1, 2), strict=True):
            await application.ask(words)
    for biller.model, biller.more in zip(models, (1, 2), strict=True):
        assert await application.unreported() == ("calibrated", biller.billed[-1])
    biller.model = ""
    assert (await application.unreported())[0] == "counted"


async def test_an_answer_that_names_no_model_is_that_of_the_one_before(application):
    await application.teach()
    application.biller.model = ""
    assert await application.unreported() == ("calibrated", application.biller.billed[-1])


@pytest.mark.settings(calibration=False)
async def test_it_may_be_switched_off(application):
    await application.teach()
    assert (await application.unreported())[0] == "counted"


async def test_no_encoding_is_built_to_learn(monkeypatch, application):
    from tokentrail.runtime import runtime

    monkeypatch.setattr(runtime, "ENCODINGS", Encodings())
    monkeypatch.setattr(Encodings, "start", lambda *_: pytest.fail("an encoding was asked for"))
    application.trail.instrument()
    await application.teach()


FORKED = """
import os, sys, openai, tokentrail
from tests.calibration.biller import Biller, text
from tokentrail.testing.server import Server
from tokentrail.runtime import runtime
tokentrail.instrument(preload_encodings="o200k_base")
with Server(Biller()) as server:
    def ask(words, **more):
        client = openai.OpenAI(base_url=server.base_url, api_key="k")
        asked = [{"role": "user", "content": text(words)}]
        return client.chat.completions.create(model="gpt-4o", messages=asked, **more)
    for words in (10, 30, 50):
        ask(words)
    assert tokentrail.flush(10)
    if child := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stream = ask(77, stream=True)
    next(stream)
    stream.close()
    assert tokentrail.flush(10)
    os._exit(tokentrail.current_usage(stream).input.source.value != "calibrated")
"""


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_worker_knows_what_its_parent_learned():
    done = subprocess.run([sys.executable, "-c", FORKED], check=False, timeout=60)
    assert done.returncode == 0


async def test_content_is_only_kept_as_a_hash(application):
    from tokentrail.runtime import runtime

    await application.teach(tools=[tool("secret")])
    learned = runtime.current().calibration
    assert learned._differences
    kept = repr([(key, found._requests) for key, found in learned._differences.items()])
    assert "secret" not in kept
    assert text(2) not in kept
