"""Who is called and with which model; calls by absolute URLs; a client that is imported anew."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import openai
import pytest
from openai.types.chat import ChatCompletion
from tests.servers.conftest import responses_of

from tokentrail.model.endpoint import endpoint_of
from tokentrail.testing.payloads import Answer, Usage, chat, responses
from tokentrail.testing.server import Plain, Stream

from .conftest import MESSAGES

ANSWER = Answer(("Alders.",), Usage(19, 4), "gpt-4.1-mini")


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://bedrock-mantle.us-east-1.api.aws/v1", "aws.bedrock"),
        ("https://bedrock.eu-west-2.api.aws/openai/v1", "aws.bedrock"),
        ("https://bedrock-mantle.us-east-1.api.aws.example/v1", "openai"),
        ("https://other.us-east-1.api.aws/v1", "openai"),
        ("https://mine.eastus2.models.ai.azure.com/v1", "azure.ai.inference"),
        ("https://models.ai.azure.com.example/v1", "openai"),
    ],
)
def test_hosts(url, provider):
    with openai.OpenAI(api_key="no-secret", base_url=url) as client:
        assert endpoint_of(client).provider == provider


@pytest.mark.parametrize("name", ["BedrockOpenAI", "AsyncBedrockOpenAI"])
def test_bedrock_s_clients_are_bedrock_s_whatever_their_host(name):
    if not hasattr(openai, name):
        pytest.skip("this openai has no such client")
    url = "http://127.0.0.1:1/v1"
    client = getattr(openai, name)(api_key="no-secret", aws_region="us-east-1", base_url=url)
    assert endpoint_of(client).provider == "aws.bedrock"


@pytest.mark.parametrize("stream", [False, True])
async def test_the_model_of_a_stored_prompt_is_the_one_that_the_answer_names(
    trail, driver, serve, stream
):
    events = Stream(responses.events(ANSWER))
    client = driver.client(serve(events if stream else Plain(responses.response(ANSWER))))
    answer = await driver.call(
        responses_of(client).create, prompt={"id": "pmpt_trees"}, stream=stream
    )
    if stream:
        await driver.read(answer)
    assert trail.spans.attributes()["gen_ai.request.model"] == "gpt-4.1-mini"
    for name in ("tokentrail.usage.tokens", "gen_ai.client.token.usage"):
        point = trail.metrics.one(name, gen_ai_token_type="output")
        assert point.attributes["gen_ai.request.model"] == "gpt-4.1-mini"


@pytest.mark.parametrize("own", [True, False], ids=["own server", "another server"])
async def test_a_post_to_an_absolute_url_is_recorded(trail, driver, serve, own):
    server = serve(Plain(chat.completion(ANSWER)))
    client = driver.client(server if own else serve(Plain({}, 500)))
    url = server.base_url if own else f"{server.url}/proxy/openai/v3"
    await driver.call(
        client.post,
        f"{url}/chat/completions",
        cast_to=ChatCompletion,
        body={"model": "gpt-4.1-mini", "messages": MESSAGES},
    )
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.usage.output_tokens"] == 4
    assert attributes["server.port"] == int(server.url.rpartition(":")[2])


async def test_a_post_to_another_absolute_url_is_not_recorded(trail, driver, serve):
    server = serve(Plain({"ok": True}))
    client = driver.client(server)
    await driver.call(client.post, f"{server.base_url}/mine", cast_to=object, body={"a": 1})
    assert trail.spans.all() == ()


@pytest.mark.thorough
def test_a_client_that_is_imported_anew_is_instrumented_again():
    """By ``instrument()`` once more, which may be called at any time."""
    program = """
        import sys, tokentrail
        from tokentrail.patching.install import is_patched

        def create():
            import openai.resources.chat.completions as found
            return vars(found.Completions)["create"]

        def forget():
            for name in [name for name in sys.modules if name.partition(".")[0] == "openai"]:
                del sys.modules[name]

        tokentrail.instrument()
        first = create()
        forget()
        tokentrail.instrument()
        second = create()
        forget()
        create()
        tokentrail.instrument()
        third = create()
        print(first is not second, *map(is_patched, (first, second, third)))
        tokentrail.uninstrument()
        print(is_patched(create()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "True", "True", "True", "False"]
