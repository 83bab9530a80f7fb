"""What is billed beside the tokens of an answer, against numbers worked out by hand.

Each answer is made up of the client's own types, which validate it.
"""

from __future__ import annotations

import pytest
from openai.types.responses import Response
from tests import shared

from tokentrail.testing.payloads import Answer, Usage, chat, responses
from tokentrail.testing.replies import Event
from tokentrail.testing.server import Plain, Server, Stream

mode = shared.either_mode

REQUESTS = "tokentrail.tool.requests"
ANSWER = Answer(("The sea is old.",), Usage(1000, 200, 0, 400), "gpt-4o-mini-2024-07-18")
# of gpt-4o-mini: 600 at 0.15, 400 at 0.075, 200 at 0.6 USD a million
TOKENS = 0.00024
SEARCHES = [
    {"type": "web_search_call", "id": f"ws_{n}", "status": "completed", "action": action}
    for n, action in enumerate(
        [
            {"type": "search", "query": "sea"},
            {"type": "search", "query": "old sea"},
            {"type": "search", "query": "how old"},
            {"type": "open_page", "url": "https://example.com"},
        ]
    )
]
IMAGE = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"}
FILES = {"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["sea"]}
CODE = {
    "type": "code_interpreter_call",
    "id": "ci_1",
    "status": "completed",
    "code": "1 + 1",
    "container_id": "c_1",
    "outputs": [],
}
MCP = {"type": "mcp_call", "id": "m_1", "name": "roll", "arguments": "{}", "server_label": "dice"}
COMPUTER = {
    "type": "computer_call",
    "id": "cc_1",
    "call_id": "call_1",
    "status": "completed",
    "pending_safety_checks": [],
    "action": {"type": "screenshot"},
}
IMAGES = {"type": "image_generation", "model": "gpt-image-1.5"}
NO_IMAGES = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}
SOME_IMAGES = {
    "input_tokens": 50,
    "input_tokens_details": {"image_tokens": 20, "text_tokens": 30},
    "output_tokens": 4160,
    "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0},
    "total_tokens": 4210,
}


def said(items=(), *, tool_usage=None, tools=(), status=None):
    """Return a response with these items; the client's own type takes it as it is."""
    body = responses.response(ANSWER, status)
    body["output"] = [*items, *body["output"]]
    body["tools"] = list(tools)
    body["usage"]["input_tokens_details"]["cache_write_tokens"] = 0
    if tool_usage is not None:
        searches, images = tool_usage
        body["tool_usage"] = {"web_search": {"num_requests": searches}, "image_gen": images}
    return Response.model_validate(body).model_dump(mode="json", exclude_unset=True)


def reply(body, *, streamed, whole=True):
    """Return a response plain, or as the events of a stream; ``whole``: to its end."""
    if not streamed:
        return Plain(body)
    items = [
        {"type": "response.output_item.done", "output_index": n, "item": item}
        for n, item in enumerate(body["output"])
    ]
    begun = {**body, "output": [], "usage": None, "status": "in_progress"}
    begun.pop("tool_usage", None)
    told = [{"type": "response.created", "response": begun}, *items]
    if whole:
        told.append({"type": "response.completed", "response": body})
    return Stream(
        [Event({**event, "sequence_number": n}, event["type"]) for n, event in enumerate(told)]
    )


async def asked(driver, answered, *, streamed):
    """Make one call of the Responses API and read its answer."""
    with Server(lambda _call: answered) as server:
        client = driver.client(server)
        answer = await driver.call(
            client.responses.create, model="gpt-4o-mini", input="How old?", stream=streamed
        )
        if streamed:
            await driver.read(answer)


def requests_on(attributes):
    """Return the requests by tool that stand on a span."""
    start, end = "tokentrail.tool.", ".requests"
    return {
        name[len(start) : -len(end)]: number
        for name, number in attributes.items()
        if name.startswith(start) and name.endswith(end)
    }


@pytest.mark.settings(cost="reported")
@pytest.mark.parametrize("streamed", [False, True])
async def test_three_searches_and_an_image_cost_what_they_are_billed(trail, driver, streamed):
    pytest.importorskip("genai_prices", reason="needs tokentrail[cost]")
    body = said([*SEARCHES, IMAGE], tool_usage=(3, SOME_IMAGES), tools=[IMAGES])
    await asked(driver, reply(body, streamed=streamed), streamed=streamed)
    attributes = trail.spans.attributes()
    assert requests_on(attributes) == {"web_search": 3, "image_generation": 1}
    assert attributes["tokentrail.tool.image_generation.input_tokens"] == 50
    assert attributes["tokentrail.tool.image_generation.output_tokens"] == 4160
    assert attributes["gen_ai.usage.output_tokens"] == 200
    # three searches at 10 USD a thousand; 30 text, 20 image and 4160 image tokens at 5, 8 and 32
    usd = TOKENS + 0.03 + (30 * 5 + 20 * 8 + 4160 * 32) / 1e6
    assert attributes["tokentrail.cost.amount"] == pytest.approx(usd, rel=1e-9)
    searches = trail.metrics.one(REQUESTS, tokentrail_tool_name="web_search")
    assert searches.value == 3
    assert searches.attributes["tokentrail.usage.source"] == "reported"
    images = trail.metrics.one(REQUESTS, tokentrail_tool_name="image_generation")
    assert (images.value, images.attributes["tokentrail.usage.source"]) == (1, "counted")
    assert searches.attributes["gen_ai.response.model"] == ANSWER.model
    tokens = trail.metrics.points("tokentrail.tool.tokens")
    assert {p.attributes["tokentrail.tool.model"] for p in tokens} == {"gpt-image-1.5"}
    assert _by_part(tokens) == {
        ("input", "text", None): 30,
        ("input", "image", None): 20,
        ("output", "image", None): 4160,
    }


def _by_part(points):
    names = ("gen_ai.token.type", "gen_ai.token.modality", "tokentrail.cache.state")
    return {tuple(p.attributes.get(name) for name in names): p.value for p in points}


CACHED_TEXT = {
    "cached_tokens": 10,
    "cached_tokens_details": {"cached_text_tokens": 10, "cached_image_tokens": 0},
}
CACHED_BOTH = {
    "cached_tokens": 15,
    "cached_tokens_details": {"cached_text_tokens": 10, "cached_image_tokens": 5},
}
WRITTEN = {("output", "image", None): 4160}


@pytest.mark.settings(cost="reported")
@pytest.mark.parametrize(
    ("cached", "points", "usd"),
    [
        (
            CACHED_TEXT,
            {
                ("input", "text", None): 20,
                ("input", "text", "read"): 10,
                ("input", "image", None): 20,
            },
            20 * 5 + 10 * 1.25 + 20 * 8,
        ),
        (
            CACHED_BOTH,
            {
                ("input", "text", None): 20,
                ("input", "text", "read"): 10,
                ("input", "image", None): 15,
                ("input", "image", "read"): 5,
            },
            20 * 5 + 10 * 1.25 + 15 * 8 + 5 * 2,
        ),
        # how many of the images were cached is not known: no price, on spans and in rules
        ({"cached_tokens": 15}, None, None),
    ],
)
async def test_cached_tokens_of_images_are_points_and_cost_of_their_own(
    trail, driver, cached, points, usd
):
    pytest.importorskip("genai_prices", reason="needs tokentrail[cost]")
    body = said([IMAGE], tools=[IMAGES])
    body["tool_usage"] = {"image_gen": {**SOME_IMAGES, **cached}, "web_search": {"num_requests": 0}}
    await asked(driver, Plain(body), streamed=False)
    found = _by_part(trail.metrics.points("tokentrail.tool.tokens"))
    attributes = trail.spans.attributes()
    if points is None:
        assert found == {("input", "unknown", None): 50, ("output", "unknown", None): 4160}
        assert attributes["tokentrail.cost.unpriced"] == ("image_generation",)
        return
    assert found == {**points, **WRITTEN}
    expected = TOKENS + (usd + 4160 * 32) / 1e6
    assert attributes["tokentrail.cost.amount"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.settings(cost="reported")
@pytest.mark.parametrize(
    ("details", "usd"),
    [
        # of 30 text and 20 image tokens 10 each were cached: 5 and 8 USD, cached 1.25 and 2
        (
            {"cached_text_tokens": 10, "cached_image_tokens": 10},
            (20 * 5 + 10 * 1.25 + 10 * 8 + 10 * 2) / 1e6,
        ),
        (None, None),  # nobody says of which they were
    ],
)
async def test_what_was_cached_of_the_input_of_images(trail, driver, details, usd):
    pytest.importorskip("genai_prices", reason="needs tokentrail[cost]")
    images = {**SOME_IMAGES, "cached_tokens": 20, "cached_tokens_details": details}
    body = said([IMAGE], tools=[IMAGES])
    body["tool_usage"] = {"image_gen": images}
    await asked(driver, Plain(body), streamed=False)
    whole = usd and pytest.approx(TOKENS + usd + 4160 * 32 / 1e6, rel=1e-9)
    assert trail.spans.attributes().get("tokentrail.cost.amount") == whole


@pytest.mark.settings(cost="reported")
@pytest.mark.parametrize("streamed", [False, True])
async def test_without_a_report_items_are_counted_and_parts_without_a_price_are_named(
    trail, driver, streamed
):
    pytest.importorskip("genai_prices", reason="needs tokentrail[cost]")
    body = said([*SEARCHES, IMAGE, FILES, FILES, CODE, MCP, COMPUTER])
    await asked(driver, reply(body, streamed=streamed), streamed=streamed)
    attributes = trail.spans.attributes()
    assert requests_on(attributes) == {
        "web_search": 3,
        "file_search": 2,
        "code_interpreter": 1,
        "computer_use": 1,
        "mcp": 1,
        "image_generation": 1,
    }
    assert set(attributes["tokentrail.cost.unpriced"]) == {"code_interpreter", "image_generation"}
    assert "tokentrail.cost.amount" not in attributes
    points = trail.metrics.points(REQUESTS)
    assert {p.attributes["tokentrail.usage.source"] for p in points} == {"counted"}
    assert sum(p.value for p in points) == 9


OWN = {"gpt-4o-mini": {"input": 1, "output": 2, "web_search": 5, "file_search": 4}}


@pytest.mark.settings(cost="reported", prices=OWN)
async def test_searches_have_prices_of_your_own(trail, driver):
    await asked(driver, Plain(said([*SEARCHES, FILES])), streamed=False)
    usd = (1000 * 1 + 200 * 2) / 1e6 + 3 * 0.005 + 0.004
    assert trail.spans.attributes()["tokentrail.cost.amount"] == pytest.approx(usd, rel=1e-9)


async def test_a_stream_that_is_cut_has_the_tools_that_it_showed(trail, driver):
    await asked(driver, reply(said(SEARCHES), streamed=True, whole=False), streamed=True)
    assert requests_on(trail.spans.attributes()) == {"web_search": 3}


async def test_a_reported_zero_goes_before_items(trail, driver):
    await asked(driver, Plain(said(SEARCHES, tool_usage=(0, NO_IMAGES))), streamed=False)
    assert not requests_on(trail.spans.attributes())
    assert not trail.metrics.points(REQUESTS)


async def test_a_background_response_has_its_tools_on_the_fetch_that_finds_it_finished(
    trail, driver
):
    queued = responses.response(ANSWER, "queued")
    done = said(SEARCHES, tool_usage=(3, NO_IMAGES))

    def respond(call):
        return Plain(queued if call.method == "POST" else done)

    with Server(respond) as server:
        client = driver.client(server)
        await driver.call(
            client.responses.create, model="gpt-4o-mini", input="How old?", background=True
        )
        for _ in range(2):
            await driver.call(client.responses.retrieve, queued["id"])
        spans = trail.spans.all()
    assert [requests_on(span.attributes) for span in spans] == [{}, {"web_search": 3}, {}]
    assert trail.metrics.one(REQUESTS).value == 3


CITED = {"url": "https://sea.example", "title": "Sea", "start_index": 0, "end_index": 7}


async def chat_span(
    trail, driver, usage, *, streamed, cites=False, answers="gpt-4o-mini", **request
):
    """Make one chat call whose usage has more beside it; return its span's attributes."""
    notes = {"annotations": [{"type": "url_citation", "url_citation": CITED}]} if cites else {}
    answer = Answer(("The sea is old.",), Usage(1000, 200), answers)

    def respond(_call):
        if not streamed:
            body = chat.completion(answer)
            body["usage"].update(usage)
            body["choices"][0]["message"].update(notes)
            return Plain(body)
        events = list(chat.chunks(answer, "last"))
        last = next(e for e in reversed(events) if isinstance(getattr(e, "data", ""), dict))
        last.data["usage"].update(usage)
        first = next(e for e in events if e.data["choices"])
        first.data["choices"][0]["delta"].update(notes)
        return Stream(events)

    with Server(respond) as server:
        client = driver.client(server)
        asks = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How old?"}]}
        if streamed:
            asks |= {"stream": True, "stream_options": {"include_usage": True}}
        asks |= request
        answered = await driver.call(client.chat.completions.create, **asks)
        if streamed:
            await driver.read(answered)
        return trail.spans.attributes()


@pytest.mark.settings(cost="reported")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ({"cost": 0.0042}, 0.0042),
        ({"cost": 0}, 0.0),
        (
            {
                "cost": 0.0002,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.004},
            },
            0.0042,
        ),
        ({"cost_in_usd_ticks": 37_756_000}, 0.0037756),
        ({"cost": {"request_cost": 0.005, "total_cost": 0.006}}, 0.006),
        ({"cost": {"input_cost": 0, "total_cost": 0, "currency": "USD"}}, 0.0),
        ({"cost": {"usd": 0.0003, "credits": 0.006}}, 0.0003),
    ],
)
async def test_the_provider_s_own_cost_goes_first(trail, driver, usage, usd, streamed):
    attributes = await chat_span(trail, driver, usage, streamed=streamed)
    assert attributes["tokentrail.cost.amount"] == pytest.approx(usd, rel=1e-9)
    assert attributes["tokentrail.cost.currency"] == "USD"
    assert attributes["tokentrail.cost.source"] == "provider"


@pytest.mark.settings(cost="reported", prices={"gpt-4o-mini": {"input": 1, "output": 2}})
@pytest.mark.parametrize(
    "usage",
    [
        {"cost": 0.1, "is_byok": True},
        {"cost": "free"},
        {"cost": -1},
        {"cost": {"total_cost": 0.1, "currency": "EUR"}},
    ],
)
async def test_what_is_not_the_whole_cost_is_none(trail, driver, usage):
    """The fee for a key of your own is not what the provider behind it bills."""
    attributes = await chat_span(trail, driver, usage, streamed=False)
    assert attributes["tokentrail.cost.amount"] == pytest.approx(0.0014, rel=1e-9)
    assert attributes["tokentrail.cost.source"] == "own_prices"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("usage", "request_options", "number", "source"),
    [
        ({}, {"web_search_options": {}}, 1, "counted"),
        ({}, {"model": "gpt-4o-search-preview"}, 1, "counted"),
        ({}, {"cites": True}, 1, "counted"),
        ({"server_tool_use": {"web_search_requests": 4}}, {"cites": True}, 4, "reported"),
        ({"num_search_queries": 2}, {"web_search_options": {}}, 2, "reported"),
        ({"server_tool_use": {"web_search_requests": 4}}, {}, 4, "reported"),
        ({"server_tool_use_details": {"web_search_requests": 1}}, {}, 1, "reported"),
        ({"server_side_tool_usage_details": {"web_search_calls": 2}}, {}, 2, "reported"),
    ],
)
async def test_chat_has_web_searches(
    trail, driver, usage, request_options, number, source, streamed
):
    attributes = await chat_span(trail, driver, usage, streamed=streamed, **request_options)
    assert requests_on(attributes) == {"web_search": number}
    point = trail.metrics.one(REQUESTS)
    assert (point.value, point.attributes["tokentrail.usage.source"]) == (number, source)


@pytest.mark.settings(cost="reported")
async def test_a_model_that_searches_before_each_answer_has_no_cost_of_its_tokens_alone(
    trail, driver
):
    """The search is billed, and has no published price; of other models it has."""
    pytest.importorskip("genai_prices", reason="needs tokentrail[cost]")
    attributes = await chat_span(trail, driver, {}, streamed=False, cites=True)
    usd = (1000 * 0.15 + 200 * 0.6) / 1e6 + 0.01
    assert attributes["tokentrail.cost.amount"] == pytest.approx(usd, rel=1e-9)
    trail.spans.clear()
    own = {"model": "gpt-4o-search-preview"}
    attributes = await chat_span(trail, driver, {}, streamed=False, answers=own["model"], **own)
    assert attributes["tokentrail.cost.unpriced"] == ("web_search",)
    assert "tokentrail.cost.amount" not in attributes


@pytest.mark.settings(cost="reported")
async def test_embeddings_have_the_cost_that_their_provider_reports(trail, driver):
    usage = {"prompt_tokens": 7, "total_tokens": 7, "cost": {"total_cost": 2.8e-8}}
    body = {"object": "list", "model": "e", "data": [{"index": 0, "embedding": [0.5]}]}
    with Server(lambda _: Plain({**body, "usage": usage})) as server:
        create = driver.client(server).embeddings.create
        await driver.call(create, model="e", input="Old?", encoding_format="float")
    attributes = trail.spans.attributes()
    assert attributes["tokentrail.cost.amount"] == pytest.approx(2.8e-8, rel=1e-9)
    assert attributes["tokentrail.cost.source"] == "provider"
