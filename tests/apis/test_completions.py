"""Laws of legacy completions and of embeddings, which share their inputs."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types import Completion, CreateEmbeddingResponse

from tokentrail.apis.completions.adapter import CompletionsAdapter
from tokentrail.apis.embeddings.adapter import EmbeddingsAdapter
from tokentrail.model.records import Endpoint, Prompt, Reported, Request, Response

COMPLETIONS, EMBEDDINGS = CompletionsAdapter(), EmbeddingsAdapter()
ENDPOINT = Endpoint("openai", None, None, "")

INPUTS = [
    ("hi", Prompt(texts=("hi",))),
    ("", Prompt(texts=("",))),
    (["a", "b"], Prompt(texts=("a", "b"))),
    (("a",), Prompt(texts=("a",))),
    ([1, 2, 3], Prompt(token_ids=3)),
    ([[1, 2], [3]], Prompt(token_ids=3)),
    ([], Prompt()),
    (None, Prompt()),
    (iter("ab"), Prompt(incomplete=True)),
    (5, Prompt(incomplete=True)),
    (["a", None], Prompt(texts=("a",), incomplete=True)),
    ([[1], []], Prompt(token_ids=1, incomplete=True)),
    ([True], Prompt(incomplete=True)),
]


@pytest.mark.parametrize(("given", "prompt"), INPUTS)
def test_an_input_has_four_forms(given: object, prompt: Prompt) -> None:
    """Text, texts, token ids, lists of token ids; the same for both APIs."""
    assert COMPLETIONS.parse_request(ENDPOINT, {"prompt": given}).prompt == prompt
    assert EMBEDDINGS.parse_request(ENDPOINT, {"input": given}).prompt == prompt


def test_a_completions_request() -> None:
    """There is no API type for it, and a suffix is input."""
    arguments = {
        "model": "gpt-3.5-turbo-instruct",
        "prompt": "a",
        "suffix": "z",
        "stream": True,
        "n": 2,
        "max_tokens": 5,
        "temperature": 0,
        "top_p": 1,
        "frequency_penalty": 0.5,
        "presence_penalty": 0.5,
        "seed": 1,
        "stop": ["x"],
    }
    assert COMPLETIONS.parse_request(ENDPOINT, arguments) == Request(
        operation="text_completion",
        api=None,
        endpoint=ENDPOINT,
        model="gpt-3.5-turbo-instruct",
        stream=True,
        choice_count=2,
        max_tokens=5,
        temperature=0.0,
        top_p=1.0,
        frequency_penalty=0.5,
        presence_penalty=0.5,
        seed=1,
        stop_sequences=("x",),
        prompt=Prompt(texts=("a", "z")),
    )


@pytest.mark.parametrize(
    ("given", "inexact"),
    [
        ({}, False),
        ({"echo": True}, True),
        ({"echo": False}, False),
        ({"best_of": 1}, False),
        ({"best_of": 3}, True),
        ({"best_of": 3, "n": 3}, False),
        ({"best_of": 3, "n": 2}, True),
        ({"best_of": "3"}, False),
    ],
)
def test_output_that_is_not_what_is_billed(given: dict[str, Any], inexact: bool) -> None:
    """Echoed prompts and candidates that are not shown make a count a guess."""
    assert COMPLETIONS.parse_request(ENDPOINT, given).inexact_output is inexact


def test_a_completion(sink: Any) -> None:
    """Plain: two choices, the second first."""
    answer = Completion.construct(
        id="c-1",
        model="m",
        system_fingerprint="fp",
        choices=[
            {"index": 1, "text": "b", "finish_reason": "length"},
            {"index": 0, "text": "a", "finish_reason": "stop"},
        ],
        usage={"prompt_tokens": 2, "completion_tokens": 4},
    )
    assert COMPLETIONS.parse_response(answer, sink) == Response(
        id="c-1",
        model="m",
        system_fingerprint="fp",
        finish_reasons=("stop", "length"),
        reported=Reported(input_tokens=2, output_tokens=4),
    )
    assert sink.parts == {("text", 0, 0): "a", ("text", 1, 0): "b"}


def test_a_stream_of_completions(sink: Any) -> None:
    """Chunks have the text itself, no delta."""
    accumulator = COMPLETIONS.stream_accumulator(
        COMPLETIONS.parse_request(ENDPOINT, {"n": 2}), sink
    )
    for choices in (
        [{"index": 1, "text": "b"}],
        [{"index": 0, "text": "a"}, {"index": 1, "text": "b", "finish_reason": "stop"}],
        [{"index": 0, "text": "", "finish_reason": "length"}],
    ):
        accumulator.add(Completion.construct(id="c-1", model="m", choices=choices))
    answer = accumulator.response()
    assert answer == Response("c-1", "m", finish_reasons=("length", "stop"), final=False)
    assert sink.parts == {("text", 0, 0): "a", ("text", 1, 0): "bb"}


def test_an_embeddings_request() -> None:
    """Dimensions and encoding as the user gave them."""
    arguments = {"model": "m", "input": "a", "dimensions": 256, "encoding_format": "float"}
    read = EMBEDDINGS.parse_request(ENDPOINT, arguments)
    assert (read.operation, read.api, read.model) == ("embeddings", None, "m")
    assert (read.dimension_count, read.encoding_formats) == (256, ("float",))
    bare = EMBEDDINGS.parse_request(ENDPOINT, {"input": "a", "dimensions": True})
    assert (bare.dimension_count, bare.encoding_formats) == (None, None)


class Untouchable(list[object]):
    """Vectors that nobody may look at."""

    def __iter__(self) -> Any:
        raise AssertionError

    __len__ = __getitem__ = __bool__ = __iter__  # type: ignore[assignment]


def test_vectors_are_not_touched(sink: Any) -> None:
    """Usage is of the input only, and the model is the server's."""
    answer = CreateEmbeddingResponse.construct(
        model="m-1", object="list", usage={"prompt_tokens": 4, "total_tokens": 4}
    )
    answer.data = Untouchable()  # type: ignore[assignment]
    read = EMBEDDINGS.parse_response(answer, sink)
    assert read == Response(model="m-1", reported=Reported(input_tokens=4))


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "four"}, {"total_tokens": 0}, "x"])
def test_embeddings_without_usage(usage: object) -> None:
    """As compatible servers answer."""
    assert (
        EMBEDDINGS.parse_response(CreateEmbeddingResponse.construct(data=[], usage=usage), None)
        == Response()
    )


def test_embeddings_do_not_stream() -> None:
    """Whatever a server streams there, nothing is told of it."""
    accumulator = EMBEDDINGS.stream_accumulator(EMBEDDINGS.parse_request(ENDPOINT, {}), None)
    accumulator.add({"model": "m"})
    assert accumulator.response() == Response(complete=False)
