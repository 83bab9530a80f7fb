"""Requests by the client's own ``post``, as litellm makes them: told as the method of that path."""

from __future__ import annotations

import openai
import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.surface.table import BY_PATH, METHODS, Way, ways_of
from tests.surface.taking import Taken, check_told

import tokentrail
from tokentrail.patching import raw_requests

pytestmark = pytest.mark.surface

RAW = {"headers": {"X-Stainless-Raw-Response": "true"}}
STREAMS = {"sync": openai.Stream, "async": openai.AsyncStream}
CASTS = {"chat.completions.create": ChatCompletion, "embeddings.create": CreateEmbeddingResponse}
PLAIN, STREAMED, ASKED = (
    way for way in ways_of(BY_PATH["chat.completions.create"]) if not way.prefix
)
ASKED_OF_CHAT = BY_PATH["chat.completions.create"].asked
CASES = [
    ("chat.completions.create", PLAIN),
    ("chat.completions.create", STREAMED),
    ("chat.completions.create", ASKED),
    ("embeddings.create", PLAIN),
]


def _path(method):
    return "/" + method.path.rpartition(".")[0].replace(".", "/")


@pytest.fixture
def post(surface):
    """Post what a method would, and take what comes of it to its end."""

    async def post(client, method, way, options):
        body = {**method.asked, **way.options}
        stream = {"stream": True, "stream_cls": STREAMS[surface.driver.mode][ChatCompletionChunk]}
        answer = await surface.driver.call(
            client.post,
            _path(method),
            body=body,
            cast_to=CASTS[method.path],
            options=options,
            **(stream if way.streamed else {}),
        )
        parsed = answer.parse() if options else answer
        chunks = await surface.driver.read(parsed) if way.streamed else []
        return Taken([answer, parsed, *chunks])

    return post


@pytest.mark.parametrize("options", [{}, RAW], ids=["parsed", "raw"])
@pytest.mark.parametrize(("path", "way"), CASES)
async def test_it_is_recorded_as_the_method_and_is_the_bare_request(
    surface, post, path, way, options
):
    method = BY_PATH[path]
    async with surface.bare():
        bare = await post(surface.client(), method, way, options)
    told = await post(surface.client(), method, way, options)
    assert told.seen() == bare.seen()
    first, second = surface.server.calls[-2:]
    assert (second.headers, second.content) == (first.headers, first.content)
    check_told(surface.trail, method, way, told)


@pytest.mark.parametrize("options", [{}, RAW], ids=["parsed", "raw"])
async def test_the_server_is_asked_for_usage_if_the_application_does_not_read_the_wire(
    surface, post, options
):
    surface.trail.instrument(stream_usage="request")
    taken = await post(surface.client(), BY_PATH["chat.completions.create"], STREAMED, options)
    assert ("stream_options" in surface.server.calls[-1].body) is not bool(options)
    assert all(chunk.choices for chunk in taken.objects[2:])
    source = surface.trail.spans.attributes()["tokentrail.usage.output.source"]
    assert source == ("counted" if options else "reported")


async def test_what_is_laid_over_the_body_is_read(surface):
    """The client lays ``extra_body`` over the body."""
    await surface.driver.call(
        surface.client().post,
        "/embeddings",
        body={"input": "salt"},
        cast_to=CreateEmbeddingResponse,
        options={"extra_json": {"model": "text-embedding-3-small"}},
    )
    assert surface.trail.spans.one().name == "embeddings text-embedding-3-small"


async def test_a_refused_request_is_recorded_as_failed(surface):
    with pytest.raises(openai.NotFoundError):
        await surface.driver.call(
            surface.client().post,
            "/chat/completions",
            body={"model": "gpt-nought", "messages": []},
            cast_to=ChatCompletion,
        )
    assert surface.trail.spans.attributes()["tokentrail.outcome"] == "failed"


@pytest.mark.parametrize("path", ["/models", "/files"])
async def test_other_paths_are_left_alone(surface, path):
    with pytest.raises(openai.NotFoundError):
        await surface.driver.call(surface.client().get, path, cast_to=object)
    assert surface.trail.spans.all() == ()


@pytest.mark.parametrize("path", ["moderations", "images/generations"])
async def test_paths_that_are_not_of_text_are_left_alone(surface, path):
    body = {"model": "gpt-image-1", "input": "salt", "prompt": "salt"}
    await surface.driver.call(surface.client().post, f"/{path}", body=body, cast_to=object)
    assert surface.server.calls[-1].path.endswith(path)
    assert surface.trail.spans.all() == ()


async def test_what_a_helper_posts_is_recorded_once(surface):
    """The helper calls the method, the method the client's ``post``, and that its ``request``."""
    before = len(surface.server.calls)
    completions = surface.client().chat.completions
    if not hasattr(completions, "stream"):
        completions = surface.client().beta.chat.completions
    async with surface.driver.within(completions.stream(**ASKED_OF_CHAT)) as stream:
        await surface.driver.read(stream)
    assert len(surface.server.calls) == before + 1
    assert surface.trail.spans.one().name == f"chat {ASKED_OF_CHAT['model']}"


async def test_after_uninstrument_nothing_is_recorded(surface, post):
    tokentrail.uninstrument()
    await post(surface.client(), BY_PATH["embeddings.create"], PLAIN, {})
    assert surface.trail.spans.at_once() == ()


def test_every_path_is_that_of_a_method():
    methods = {_path(method).strip("/") for method in METHODS if method.path.endswith(".create")}
    assert {path for path in raw_requests.PATHS if "{" not in path} <= methods
    assert isinstance(PLAIN, Way)


async def test_a_search_is_recorded_by_its_path(surface):
    """By the client's own ``post``, and where the async client's search is read without await."""
    client, driver = surface.client(), surface.driver
    await driver.call(
        client.post, "/vector_stores/vs%201/search", cast_to=object, body={"query": "a"}
    )
    if hasattr(getattr(client, "vector_stores", None), "search"):
        found = client.vector_stores.search("vs_2", query="a", max_num_results=1)
        ids = [each.file_id async for each in found] if driver.mode == "async" else list(found)
        assert len(ids) == 1
    names = [span.name for span in surface.trail.spans.all()]
    assert names == ["retrieval vs 1", "retrieval vs_2"][: len(names)]
    assert len(names) == 1 + hasattr(getattr(client, "vector_stores", None), "search")
