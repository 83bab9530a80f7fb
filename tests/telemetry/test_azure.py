"""Azure: a provider of its own, deployments for models, and a first chunk that says nothing."""

from __future__ import annotations

import pytest

import tokentrail
from tokentrail.model.records import Endpoint, Request, Response
from tokentrail.runtime import runtime
from tokentrail.testing.payloads import Answer, Usage, chat
from tokentrail.testing.server import Plain, Stream

pytestmark = pytest.mark.usefixtures("encodings")

ASKED = {"model": "my-deployment", "messages": [{"role": "user", "content": "Hello, how are you?"}]}
GPT35 = Answer(("Hello there.",), None, "gpt-35-turbo", azure=True)


async def _stream(driver, server, kind="azure", **options):
    client = driver.client(server, kind, **options)
    return await driver.call(client.chat.completions.create, stream=True, **ASKED)


async def test_a_plain_call(trail, driver, serve):
    answer = Answer(("Hello there.",), Usage(40, 50), "gpt-35-turbo", azure=True)
    server = serve(Plain(chat.completion(answer)))
    client = driver.client(server, "azure")
    await driver.call(client.chat.completions.create, **ASKED)
    assert server.calls[0].path == "/openai/deployments/my-deployment/chat/completions"
    span = trail.spans.one()
    assert span.name == "chat my-deployment"
    attributes = span.attributes
    assert attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert attributes["gen_ai.request.model"] == "my-deployment"
    assert attributes["gen_ai.response.model"] == "gpt-35-turbo"
    assert (attributes["server.address"], attributes["gen_ai.usage.input_tokens"]) == (
        "127.0.0.1",
        40,
    )
    for name in ("gen_ai.client.operation.duration", "gen_ai.client.token.usage"):
        for point in trail.metrics.points(name):
            assert point.attributes["gen_ai.provider.name"] == "azure.ai.openai"


async def test_the_empty_first_chunk_says_nothing_and_takes_nothing_back(trail, driver, serve):
    stream = await _stream(driver, serve(Stream(chat.chunks(GPT35))))
    chunks = await driver.read(stream)
    assert (chunks[0].id, chunks[0].model, chunks[0].choices) == ("", "", [])
    attributes = trail.spans.attributes()
    assert attributes["gen_ai.response.model"] == "gpt-35-turbo"
    assert attributes["gen_ai.response.id"] == f"chatcmpl-{GPT35.id}"
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.request.model"] == "my-deployment"
    assert attributes["gen_ai.usage.output_tokens"] == 3
    assert attributes["tokentrail.usage.encoding"] == "cl100k_base"


async def test_a_deployment_unnamed_so_far_is_a_guess(trail, driver, serve):
    """Closed early after the filter's chunk: nobody said yet which model it is."""
    stream = await _stream(driver, serve(Stream(chat.chunks(GPT35))))
    await driver.next(stream)
    await driver.close(stream)
    attributes = trail.spans.attributes()
    assert "gen_ai.response.model" not in attributes
    assert attributes["tokentrail.usage.input.source"] == "approximated"
    assert "gen_ai.usage.input_tokens" not in attributes


async def test_a_deployment_is_remembered_once_an_answer_named_it(trail, driver, serve):
    server = serve(Stream(chat.chunks(GPT35)))
    await driver.read(await _stream(driver, server))
    trail.spans.clear()
    stream = await _stream(driver, server)
    await driver.next(stream)
    await driver.close(stream)
    attributes = trail.spans.attributes()
    assert "gen_ai.response.model" not in attributes
    assert attributes["tokentrail.usage.input.source"] == "counted"
    assert attributes["tokentrail.usage.encoding"] == "cl100k_base"
    assert attributes["gen_ai.usage.input_tokens"] == 13


async def test_what_is_remembered_of_one_server_is_not_of_another(trail, driver, serve):
    await driver.read(await _stream(driver, serve(Stream(chat.chunks(GPT35)))))
    trail.spans.clear()
    stream = await _stream(driver, serve(Stream(chat.chunks(GPT35))))
    await driver.next(stream)
    await driver.close(stream)
    assert trail.spans.attributes()["tokentrail.usage.input.source"] == "approximated"


async def test_a_deployment_that_moves_to_another_model_is_relearned(trail, driver, serve):
    moved = Answer(("Hello there.",), None, "gpt-4o-2024-08-06", azure=True)
    server = serve(*[Stream(chat.chunks(answer)) for answer in (GPT35, moved, moved)])
    client = driver.client(server, "azure")
    create = client.chat.completions.create
    for _ in range(2):
        await driver.read(await driver.call(create, stream=True, **ASKED))
    trail.spans.clear()
    stream = await driver.call(create, stream=True, **ASKED)
    await driver.next(stream)
    await driver.close(stream)
    assert trail.spans.attributes()["tokentrail.usage.encoding"] == "o200k_base"


def test_a_deployment_that_answers_by_its_own_name_again_is_forgotten(trail):
    """What it was before says nothing of a call that ends before its model is named."""
    active = runtime.current()
    request = Request("chat", None, Endpoint("x", None, None, "k"), "gpt-4o")
    named = []
    for model in ("gpt-35-turbo", "gpt-4o"):
        active.remember(request, Response(model=model))
        named.append(active.identify(request, None).name)
    assert named == ["gpt-35-turbo", "gpt-4o"]


def test_what_is_remembered_is_bounded(trail):
    """However many deployments there are, memory is not; the latest are known."""
    active = runtime.current()
    asked = [Request("chat", None, Endpoint("x", None, None, "k"), f"d{i}") for i in range(2000)]
    for request in asked:
        active.remember(request, Response(model="gpt-4"))
    known = [active.identify(request, None).name == "gpt-4" for request in asked]
    assert known[-1]
    assert 100 <= sum(known) <= 1000
    assert known == sorted(known)


async def test_a_foreign_server_by_the_class_of_its_client(trail, driver, serve):
    """The plain client at the same server is no Azure: neither class nor host says so."""
    stream = await _stream(driver, serve(Stream(chat.chunks(GPT35))), "openai")
    await driver.read(stream)
    assert trail.spans.attributes()["gen_ai.provider.name"] == "openai"


def test_uninstrument_forgets(trail):
    request = Request("chat", None, Endpoint("x", None, None, "k"), "dep")
    runtime.current().remember(request, Response(model="gpt-4"))
    assert runtime.current().identify(request, None).known
    tokentrail.uninstrument()
    trail.instrument()
    assert not runtime.current().identify(request, None).known
