"""How a call may be written: overrides, sentinels, iterators, objects, and other clients."""

from __future__ import annotations

import openai
import pytest
from openai._types import NOT_GIVEN
from tests.surface.table import (
    BY_PATH,
    CHAT,
    INPUT,
    MODEL,
    SEA,
    SHAPES,
    STREAMING,
    USER,
    each,
)

pytestmark = pytest.mark.surface

IN, OUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
IN_SOURCE, OUT_SOURCE = "tokentrail.usage.input.source", "tokentrail.usage.output.source"
OMITTED = [NOT_GIVEN, *([openai.omit] if hasattr(openai, "omit") else [])]
MADE = [method for method in SHAPES if method.fetches is None]


@pytest.fixture
def call(surface):
    """Call a method of the surface's model with these arguments, over its own."""

    async def made(method, client=None, **asked):
        create = BY_PATH[method].on(client or surface.client())
        return await surface.driver.call(create, **{**BY_PATH[method].asked, **asked})

    return made


# extra_body, extra_headers -----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["chat.completions.create", "responses.create"])
async def test_a_model_in_the_extra_body_is_the_one_that_is_asked(call, surface, path):
    """It goes over the argument on the wire, so it does in the span."""
    if BY_PATH[path].on(surface.client()) is None:
        pytest.skip(f"openai {openai.__version__} has no {path}")
    answer = await call(path, extra_body={"model": "gpt-4.1", "temperature": 0.5})
    span = surface.trail.spans.one()
    assert surface.server.calls[-1].body["model"] == "gpt-4.1"
    assert answer.model.startswith("gpt-4.1")
    assert span.name == "chat gpt-4.1"
    assert span.attributes["gen_ai.request.temperature"] == 0.5


@pytest.mark.parametrize(
    "path", ["chat.completions.create", "completions.create", "responses.create"]
)
async def test_a_stream_in_the_extra_body_alone_gives_bare_text(call, surface, path):
    """The client reads no events then: nothing of the answer is known, and nothing breaks."""
    if BY_PATH[path].on(surface.client()) is None:
        pytest.skip(f"openai {openai.__version__} has no {path}")
    async with surface.bare():
        bare = await call(path, extra_body={"stream": True})
    answer = await call(path, extra_body={"stream": True})
    assert type(answer) is type(bare) is str
    attributes = surface.trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "completed"
    assert attributes[IN_SOURCE] == "counted"
    assert OUT_SOURCE not in attributes
    assert "gen_ai.request.stream" not in attributes


async def test_a_stream_in_both_is_one(call, surface):
    stream = await call("chat.completions.create", stream=True, extra_body={"stream": True})
    await surface.driver.read(stream)
    attributes = surface.trail.spans.attributes()
    assert (attributes[OUT], attributes[OUT_SOURCE]) == (7, "counted")


@each(MADE)
async def test_extra_headers_and_queries_go_out_and_change_nothing(method, call, surface):
    await call(method.path, extra_headers={"x-own": "1"}, extra_query={"own": "2"})
    sent = surface.server.calls[-1]
    assert (sent.headers["x-own"], sent.query["own"]) == ("1", "2")
    assert surface.trail.spans.one().name == method.name


# What stands for nothing -------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", OMITTED, ids=lambda each: type(each).__name__)
@each(MADE)
async def test_an_omitted_argument_is_as_if_it_were_not_there(method, nothing, call, surface):
    """Neither sentinel is told, sent or taken for a stream."""
    absent = {"stream": nothing} if method in STREAMING else {}
    if method.path == "chat.completions.create":
        absent |= {"temperature": nothing, "n": nothing, "stop": nothing, "tools": nothing}
    if method.path == "responses.create":
        absent |= {"instructions": nothing, "previous_response_id": nothing, "tools": nothing}
    if method.path == "embeddings.create":
        absent |= {"encoding_format": nothing, "dimensions": nothing}
    await call(method.path, **absent)
    assert not absent.keys() - {"encoding_format"} & surface.server.calls[-1].body.keys()
    attributes = surface.trail.spans.attributes()
    assert attributes.get(IN_SOURCE) == method.plain[0]
    assert not [name for name in attributes if "temperature" in name or "stream" in name]


@pytest.mark.parametrize("stream", [None, False])
@each(STREAMING)
async def test_what_is_not_true_is_no_stream(method, stream, surface):
    asked = await surface.asked(method)
    answer = await surface.driver.call(method.on(surface.client()), **asked, stream=stream)
    assert not hasattr(answer, "_iterator")
    assert surface.trail.spans.one().name == method.name


async def test_none_is_sent_as_null_and_not_recorded(call, surface):
    await call("chat.completions.create", temperature=None, stop=None)
    sent = surface.server.calls[-1].body
    assert (sent["temperature"], sent["stop"]) == (None, None)
    attributes = surface.trail.spans.attributes()
    assert not [name for name in attributes if "temperature" in name or "stop" in name]


# Iterators and objects ---------------------------------------------------------------------------

ONE_SHOT = {
    "chat.completions.create": ("messages", USER, 13),
    "completions.create": ("prompt", [11, 12, 13], 3),
    "embeddings.create": ("input", [11, 12, 13], 3),
    "responses.create": ("input", USER, 13),
}


async def _given_once(call, path, **options):
    name, items, _ = ONE_SHOT[path]
    try:
        return await call(path, **{name: (item for item in items)}, **options)
    except TypeError as error:
        return error


@pytest.mark.parametrize("path", ONE_SHOT)
async def test_an_iterator_fares_as_it_does_without_us(call, surface, path):
    """Where the client takes one, the request is whole; where it refuses it, it still does."""
    if BY_PATH[path].on(surface.client()) is None:
        pytest.skip(f"openai {openai.__version__} has no {path}")
    async with surface.bare():
        bare = await _given_once(call, path)
    answer = await _given_once(call, path)
    assert type(answer) is type(bare)
    name, items, _ = ONE_SHOT[path]
    if isinstance(answer, TypeError):
        assert str(answer) == str(bare)
        assert surface.trail.spans.attributes()["error.type"] == "TypeError"
    else:
        assert [sent.body[name] for sent in surface.server.calls[-2:]] == [items, items]


@pytest.mark.parametrize("path", ["chat.completions.create", "completions.create"])
async def test_what_the_client_takes_out_of_an_iterator_is_counted(call, surface, path):
    """It is read once, by the client, and looked at afterwards."""
    stream = await _given_once(call, path, stream=True)
    if isinstance(stream, TypeError):
        pytest.skip(f"openai {openai.__version__} takes no iterator there")
    await surface.driver.read(stream)
    attributes = surface.trail.spans.attributes()
    assert (attributes[IN], attributes[IN_SOURCE]) == (ONE_SHOT[path][2], "counted")


async def test_a_returned_message_may_be_sent_back_as_it_is(call, surface):
    """Objects of the client count as the mappings that they are on the wire."""
    async with surface.bare():
        first = await call("chat.completions.create")
    stream = await call(
        "chat.completions.create",
        messages=[*USER, first.choices[0].message, *USER],
        stream=True,
    )
    await surface.driver.read(stream)
    attributes = surface.trail.spans.attributes()
    assert (attributes[IN], attributes[IN_SOURCE]) == (3 + 10 + 11 + 10, "counted")


async def test_returned_output_may_be_sent_back_as_input(driver, says, trail):
    from tokentrail.testing.payloads import Answer, responses
    from tokentrail.testing.server import Plain

    if not hasattr(openai.OpenAI, "responses"):
        pytest.skip(f"openai {openai.__version__} has no responses")
    client = driver.client(says(Plain(responses.response(Answer((SEA.answer,))))))
    first = await driver.call(client.responses.create, **INPUT)
    trail.spans.clear()
    given = [*USER, *first.output, *USER]
    await driver.call(client.responses.create, model=MODEL, input=given)
    attributes = trail.spans.attributes()
    assert (attributes[IN], attributes[IN_SOURCE]) == (3 + 10 + 11 + 10, "counted")


async def test_the_callers_arguments_are_left_as_they_were(surface):
    """Neither the lists nor what is in them, nor the extra body."""
    messages, body, headers = [dict(USER[0])], {"seed": 3}, {"x-own": "1"}
    create = surface.client().chat.completions.create
    stream = await surface.driver.call(
        create, model=MODEL, messages=messages, stream=True, extra_body=body, extra_headers=headers
    )
    await surface.driver.read(stream)
    assert (messages, body, headers) == (USER, {"seed": 3}, {"x-own": "1"})
    assert surface.trail.spans.attributes()["gen_ai.request.seed"] == 3


# Clients -----------------------------------------------------------------------------------------


async def test_a_copy_with_options_is_recorded(call, surface):
    """Before and after: a client is no different for having been used."""
    client = surface.client()
    await call("chat.completions.create", client)
    await call("chat.completions.create", client.with_options(timeout=5.0, max_retries=1))
    await call("chat.completions.create", client.copy())
    assert len(surface.trail.spans.all()) == 3


@pytest.mark.parametrize("prefix", ["with_raw_response", "with_streaming_response"])
async def test_the_clients_own_raw_view_is_recorded(surface, prefix):
    """``client.with_raw_response.chat...``, beside ``client.chat...with_raw_response``."""
    view = getattr(surface.client(), prefix).chat.completions
    if prefix == "with_raw_response":
        raw = await surface.driver.call(view.create, **CHAT)
        assert raw.parse().usage.total_tokens == 20
    else:
        async with surface.driver.within(view.create(**CHAT)) as raw:
            assert (await surface.driver.call(raw.parse)).usage.total_tokens == 20
    assert surface.trail.spans.attributes()[OUT] == 7


@pytest.fixture
def module_client(surface, monkeypatch):
    """Point ``openai.chat`` and its like at the server."""
    if surface.driver.mode == "async":
        pytest.skip("the module has a sync client alone")
    settings = {"api_key": "k", "base_url": f"{surface.server.base_url}/", "http_client": None}
    for name, value in settings.items():
        monkeypatch.setattr(openai, name, value)
    openai._reset_client()
    yield openai
    if openai.http_client is not None:
        openai.http_client.close()
    openai._reset_client()


@each(MADE)
def test_the_modules_own_client_is_recorded(module_client, method, surface):
    """``openai.chat.completions.create`` is a proxy of a client made at first use."""
    method.on(module_client)(**method.asked)
    span = surface.trail.spans.one()
    assert span.name == method.name
    assert span.attributes.get(IN_SOURCE) == method.plain[0]


@pytest.mark.parametrize("path", ["/v1/", "/openai/v1", "/openai/v1/"])
async def test_a_base_url_may_have_a_path(call, surface, path):
    """The address and port are told; the path is nobody's business."""
    client = surface.client(base_url=f"{surface.server.url}{path}")
    await call("chat.completions.create", client)
    attributes = surface.trail.spans.attributes()
    assert attributes["server.address"] == "127.0.0.1"
    assert f":{attributes['server.port']}" in surface.server.url
    assert not [value for value in attributes.values() if isinstance(value, str) and "v1" in value]


async def test_a_deployment_in_the_base_url_of_azure(call, surface):
    """The body may name any model; the deployment is what answers."""
    where = f"{surface.server.url}/openai/deployments/{MODEL}"
    client = surface.client("azure", base_url=where)
    await call("chat.completions.create", client, model="whatever")
    span = surface.trail.spans.one()
    assert span.name == "chat whatever"
    assert span.attributes["gen_ai.response.model"].startswith(MODEL)
    assert span.attributes[OUT] == 7
