"""Embeddings: every form of input, what goes over the wire, and vectors that nobody touches."""

from __future__ import annotations

import base64
from array import array
from types import SimpleNamespace

import pytest
from tests.surface.table import EMBEDDER, SEA

from tokentrail.counting import ENCODINGS
from tokentrail.testing.server import Plain

pytestmark = pytest.mark.surface

IN, IN_SOURCE = "gen_ai.usage.input_tokens", "tokentrail.usage.input.source"
DIMENSIONS = "gen_ai.embeddings.dimension.count"
VALUES = [0.25, -0.5, 0.125, 1.0]


def _body(usage=None, embedding=VALUES):
    one = {"object": "embedding", "index": 0, "embedding": embedding}
    told = {} if usage is None else {"usage": {"prompt_tokens": usage, "total_tokens": usage}}
    return {"object": "list", "model": EMBEDDER, "data": [one], **told}


@pytest.fixture
def ask(driver, says, trail):
    """Ask a server that answers so; return the answer, what is told and what was sent."""

    async def call(body=None, **asked):
        server = says(Plain(body or _body()))
        client = driver.client(server)
        given = {"model": EMBEDDER, "input": SEA.question, **asked}
        answer = await driver.call(client.embeddings.create, **given)
        return answer, trail.spans.attributes(), server.calls[0].body

    return call


def _ids(text):
    return ENCODINGS.load("cl100k_base").encode(text)


INPUTS = {
    "text": (SEA.question, 6),
    "texts": ([SEA.question, SEA.answer], 6 + 7),
    "token ids": (_ids(SEA.question), 6),
    "lists of token ids": ([_ids(SEA.question), _ids(SEA.answer)], 6 + 7),
}


@pytest.mark.parametrize("given", INPUTS)
async def test_every_form_of_input_is_counted_where_the_server_says_nothing(ask, given):
    """As compatible servers do; there is no output, and no zero for one."""
    value, tokens = INPUTS[given]
    _, said, sent = await ask(input=value)
    assert (said[IN], said[IN_SOURCE]) == (tokens, "counted")
    assert not [name for name in said if "output" in name]
    assert sent["input"] == value


async def test_a_report_goes_first(ask):
    _, said, _ = await ask(_body(usage=40))
    assert (said[IN], said[IN_SOURCE]) == (40, "reported")


async def test_the_clients_own_default_stays_on_the_wire_and_is_not_recorded(surface):
    """It asks for base64 (an old one if there is numpy) and decodes it; the application did not."""
    asked = {"model": EMBEDDER, "input": SEA.question, "dimensions": 4}
    client = surface.client()
    async with surface.bare():
        bare = await surface.driver.call(client.embeddings.create, **asked)
    told = await surface.driver.call(client.copy().embeddings.create, **asked)
    first, second = (call.body.get("encoding_format") for call in surface.server.calls[-2:])
    assert first == second
    assert list(told.data[0].embedding) == list(bare.data[0].embedding)
    assert "gen_ai.request.encoding_formats" not in surface.trail.spans.attributes()


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_an_encoding_that_was_asked_for_is_recorded(ask, encoding):
    packed = base64.b64encode(array("f", VALUES).tobytes()).decode()
    given = packed if encoding == "base64" else VALUES
    answer, said, sent = await ask(_body(40, given), encoding_format=encoding)
    assert sent["encoding_format"] == encoding
    assert said["gen_ai.request.encoding_formats"] == (encoding,)
    assert answer.data[0].embedding == given


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
async def test_dimensions_are_those_asked_for_whatever_the_encoding(surface, encoding):
    """A length of the vector on the wire would be another in base64."""
    asked = {} if encoding is None else {"encoding_format": encoding}
    client = surface.client()
    create = surface.driver.call
    for dimensions in (8, None):
        surface.trail.spans.clear()
        wanted = {} if dimensions is None else {"dimensions": dimensions}
        await create(client.embeddings.create, model=EMBEDDER, input="a", **asked, **wanted)
        assert surface.trail.spans.attributes().get(DIMENSIONS) == dimensions


class Untouchable(list):
    """A vector whose values must not be looked at."""

    def __getattribute__(self, name):
        raise AssertionError(name)

    def _refuse(self, *args):
        raise AssertionError

    __iter__ = __len__ = __getitem__ = _refuse


def test_nothing_looks_at_the_values():
    """A vector may have thousands of them, an answer thousands of vectors."""
    from tokentrail.apis.embeddings.adapter import EmbeddingsAdapter
    from tokentrail.model.records import Endpoint

    answer = SimpleNamespace(model=EMBEDDER, data=Untouchable(VALUES), usage=None)
    shape = EmbeddingsAdapter()
    shape.parse_request(Endpoint("openai", None, None, ""), {"input": "a"})
    assert shape.parse_response(answer, None).model == EMBEDDER


async def test_many_inputs_are_one_call(surface):
    answer = await surface.driver.call(
        surface.client().embeddings.create, model=EMBEDDER, input=[SEA.question] * 50
    )
    assert len(answer.data) == 50
    assert surface.trail.spans.attributes()[IN] == 300
