"""What explains the calls of an agent's loop, as it is worked out by hand."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace

import pytest
from tests import shared
from tests.explain.loop import BESIDE, LOOP, OTHER, Conversation, beside, composition

import tokentrail
from tokentrail.testing.payloads import Answer, Usage, chat, responses
from tokentrail.testing.server import Plain, Server, Stream

pytestmark = [
    pytest.mark.usefixtures("encodings"),
    pytest.mark.settings(explain="all", calibration=False),
]

mode = shared.either_mode

PARTS = (
    "instructions", "tools", "tool_results", "history", "user", "images", "files", "schema", "other"
)  # fmt: skip


def parts_of(attributes):
    """Return the tokens of each part that a span has."""
    found = {part: attributes.get(f"tokentrail.input.{part}_tokens") for part in PARTS}
    return {part: tokens for part, tokens in found.items() if tokens is not None}


def cache_of(attributes):
    """Return what a span has of the cache: cacheable, missed, reason."""
    cache = "tokentrail.cache"
    names = (f"{cache}.cacheable_tokens", f"{cache}.missed_tokens", f"{cache}.miss_reason")
    return tuple(attributes.get(name) for name in names)


class Agent:
    """Makes calls of a server that says of each what its turn has."""

    def __init__(self, driver, trail, api, streamed):
        self.driver, self.trail, self.api, self.streamed = driver, trail, api, streamed
        self.turn = self.diagnostics = None
        self.server = Server(self._reply)

    def _reply(self, call):
        usage = None
        if not self.turn.closed:
            usage = Usage(self.turn.billed, 3, cached=self.turn.read)
        answer = Answer(("Hello there.",), usage, call.body["model"])
        kind = chat if self.api == "chat" else responses
        if not call.body.get("stream"):
            body = (chat.completion if kind is chat else responses.response)(answer)
            said = {"prompt_cache_diagnostics": self.diagnostics} if self.diagnostics else {}
            return Plain({**body, **said})
        if kind is chat:
            return Stream(chat.chunks(answer, "last"))
        return Stream(responses.events(answer))

    async def make(self, client, turn, asked, within=None):
        """Make the call of a turn; return the attributes of its span."""
        self.turn = turn
        api = client.chat.completions if self.api == "chat" else client.responses
        await asyncio.sleep(turn.pause)
        self.trail.spans.clear()
        with within or nullcontext():
            if not (self.streamed or turn.closed):
                await self.driver.call(api.create, **asked)
            else:
                stream = await self.driver.call(api.create, **asked, stream=True)
                await (self.driver.take(stream, 3) if turn.closed else self.driver.read(stream))
                await self.driver.close(stream)
        return self.trail.spans.attributes()


@pytest.fixture(params=["chat", "responses"])
def api(request):
    """Run the test once for each API that has conversations."""
    return request.param


@pytest.fixture
def agent(driver, trail, api):
    """Give an agent whose server runs."""
    agent = Agent(driver, trail, api, streamed=False)
    with agent.server:
        yield agent
    assert agent.server.failures == []


@pytest.fixture
def client(agent, driver, api):
    """Give the agent's client."""
    client = driver.client(agent.server)
    if api == "responses" and not hasattr(client, "responses"):
        pytest.skip("this openai has no responses")
    return client


def _named(conversation_id):
    if conversation_id is None:
        return nullcontext()
    return tokentrail.attributes({"gen_ai.conversation.id": conversation_id})


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("named", [True, pytest.param(False, marks=pytest.mark.thorough)])
async def test_the_cache_in_ten_turns(agent, client, api, streamed, named):
    """Others stand between them: auxiliary calls, and those of another conversation."""
    agent.streamed = streamed
    first, other = Conversation(api, "Find the page."), Conversation(api, "Find the other page.")
    names = ("first", "other") if named else (None, None)
    for number, turn in LOOP.items():
        if number == 6:
            first.tools.append("read")
        if number == 8:
            first.compact()
        seen = await agent.make(client, turn, first.asked(), _named(names[0]))
        assert (number, *cache_of(seen)) == (number, *turn.explained)
        idle, is_idle = seen.get("tokentrail.cache.idle_seconds"), turn.reason == "not_served"
        assert (idle is not None and turn.pause <= idle < 30) == is_idle
        assert (number, parts_of(seen)) == (number, composition(api, number))
        assert sum(parts_of(seen).values()) == _input(seen)
        source = seen.get("tokentrail.cache.miss_reason_source")
        assert source == (None if turn.reason is None else "inferred")
        first.go_on(number)
        if number in BESIDE:
            seen = await agent.make(client, BESIDE[number], beside(api, number))
            assert (number, *cache_of(seen)) == (number, *BESIDE[number].explained)
        if number in OTHER:
            other.instructions += " Now." if OTHER[number].reason else ""
            seen = await agent.make(client, OTHER[number], other.asked(), _named(names[1]))
            assert (number, *cache_of(seen)) == (number, *OTHER[number].explained)
            other.go_on(number)
    turns = [*LOOP.values(), *OTHER.values()]
    known = [turn for turn in turns if turn.cacheable is not None and turn.missed is not None]
    points = agent.trail.metrics.points("tokentrail.cache.tokens", gen_ai_request_model="gpt-4o")
    assert _states(points) == {
        ("cacheable", None): sum(turn.cacheable for turn in known),
        ("read", None): sum(turn.read for turn in known),
        **{("missed", turn.reason): turn.missed for turn in known if turn.reason is not None},
    }


def _states(points):
    state, reason = "tokentrail.cache.state", "tokentrail.cache.miss_reason"
    return {(p.attributes[state], p.attributes.get(reason)): p.value for p in points}


def _input(seen):
    guess = seen.get("tokentrail.usage.approximated.input_tokens")
    return seen.get("gen_ai.usage.input_tokens", guess)


async def test_a_history_without_its_first_question_begins_a_conversation(agent, client, api):
    """Where nothing names it: what it shares is tools and instructions, too few for a cache."""
    asked = Conversation(api, "Find the page.")
    await agent.make(client, replace(LOOP[1]), asked.asked())
    asked.items = [{"role": "user", "content": "You were looking for a page."}]
    seen = await agent.make(client, LOOP[2], asked.asked())
    assert cache_of(seen) == (0, 0, None)


async def test_a_first_call_shares_what_stands_before_its_question(agent, client, api):
    """1,300 tokens of instructions, as counted; the tools before them are some 60."""
    first, second = Conversation(api, "Find the page."), Conversation(api, "Find the other.")
    first.instructions = second.instructions = "hello " * 1300
    await agent.make(client, LOOP[1], first.asked())
    seen = await agent.make(client, replace(LOOP[1], billed=1400), second.asked())
    assert cache_of(seen) == (1280, 1280, "not_served")


CHANGES = {
    "model_changed": lambda asked: {**asked, "model": "gpt-4o-mini"},
    "cache_key_changed": lambda asked: {**asked, "extra_body": {"prompt_cache_key": "other"}},
    "schema_changed": lambda asked: {**asked, **_schema(asked)},
}


def _schema(asked):
    form = {"name": "page", "schema": {"type": "object", "properties": {}}}
    if "messages" in asked:
        return {"response_format": {"type": "json_schema", "json_schema": form}}
    return {"text": {"format": {"type": "json_schema", **form}}}


@pytest.mark.parametrize("reason", CHANGES)
async def test_what_else_may_change_between_turns(agent, client, api, reason):
    conversation = Conversation(api, "Find the page.")
    key = {"extra_body": {"prompt_cache_key": "mine"}}
    await agent.make(client, LOOP[1], {**conversation.asked(), **key})
    conversation.go_on(1)
    seen = await agent.make(
        client, replace(LOOP[2], read=0), CHANGES[reason]({**conversation.asked(), **key})
    )
    assert cache_of(seen) == (1920, 1920, reason)


async def test_one_cache_key_may_serve_many_conversations(agent, client, api):
    """Each goes on from its own turn before, and a first call follows none."""
    key = {"extra_body": {"prompt_cache_key": "app"}}
    for question in ("Find the page.", "Find another page."):
        conversation = Conversation(api, question)
        seen = await agent.make(client, LOOP[1], {**conversation.asked(), **key})
        assert cache_of(seen)[1:] in ((None, None), (0, None)), question
        conversation.go_on(1)
        seen = await agent.make(client, LOOP[2], {**conversation.asked(), **key})
        assert cache_of(seen) == (1920, 0, None)


async def test_a_cache_key_distinguishes_conversations_that_begin_alike(agent, client, api):
    """Two users ask the same, each with a key: the second goes on from nothing of the first."""
    for name in ("one", "two"):
        key = {"extra_body": {"prompt_cache_key": name}}
        conversation = Conversation(api, "Find the page.")
        seen = await agent.make(client, LOOP[1], {**conversation.asked(), **key})
        assert cache_of(seen)[2] is None
        conversation.compact()
        seen = await agent.make(client, replace(LOOP[2], read=0), {**conversation.asked(), **key})
        assert cache_of(seen) == (1920, 1920, "not_served")


async def test_more_than_could_be_known_may_be_read(agent, client, api):
    """Another worker warmed the cache."""
    conversation = Conversation(api, "Find the page.")
    seen = await agent.make(client, replace(LOOP[1], read=1024), conversation.asked())
    assert cache_of(seen) == (0, 0, None)
    conversation.go_on(1)
    seen = await agent.make(client, replace(LOOP[2], read=2432), conversation.asked())
    assert cache_of(seen) == (1920, 0, None)


MISS = {"type": "cache_miss", "reason": "verbosity_changed", "cache_missed_tokens": 700}


@pytest.mark.parametrize("api", ["responses"], indirect=True)
async def test_the_reason_that_the_server_says_goes_before_ours(agent, client, api):
    """Of whatever differs: here it is the tools, too. A hit has no reason."""
    conversation = Conversation(api, "Find the page.")
    agent.diagnostics = {"type": "cache_hit"}
    seen = await agent.make(client, LOOP[1], conversation.asked())
    assert cache_of(seen) == (None, None, None)
    agent.diagnostics = MISS
    conversation.go_on(1)
    conversation.tools.append("read")
    seen = await agent.make(client, replace(LOOP[2], read=0), conversation.asked())
    assert cache_of(seen) == (1920, 700, "verbosity_changed")
    assert seen["tokentrail.cache.miss_reason_source"] == "server"


@pytest.mark.parametrize("named", [False, True])
async def test_a_call_between_two_turns_of_a_conversation_breaks_nothing(agent, client, named):
    """It asks another model for a title: nobody takes it for the turn before."""
    api = agent.api
    conversation = Conversation(api, "Find the page.")
    within = "mine" if named else None
    await agent.make(client, LOOP[1], conversation.asked(), _named(within))
    asked = conversation.asked()
    items = asked.get("messages") or asked["input"]
    items.append({"role": "user", "content": "Give it a title."})
    seen = await agent.make(client, LOOP[1], {**asked, "model": "gpt-4o-mini"}, _named(within))
    assert cache_of(seen)[2] == "model_changed"
    conversation.go_on(1)
    seen = await agent.make(client, replace(LOOP[2]), conversation.asked(), _named(within))
    assert cache_of(seen) == (1920, 0, None)


async def test_the_same_asked_of_another_model_is_not_the_turn_before(agent, client, api):
    """Both stand in the next turn with all they have: it goes on from the one that begins alike."""
    conversation = Conversation(api, "Find the page.")
    for model in ("gpt-4o", "gpt-4o-mini"):
        await agent.make(client, LOOP[1], {**conversation.asked(), "model": model})
    conversation.go_on(1)
    seen = await agent.make(client, replace(LOOP[2], read=0), conversation.asked())
    assert cache_of(seen) == (1920, 1920, "not_served")


@pytest.mark.parametrize("api", ["responses"], indirect=True)
async def test_a_turn_continues_from_the_response_that_it_names(agent, client, api):
    """The server has the items of before: no item of this request was sent then."""
    conversation = Conversation(api, "Find the page.")
    first = await agent.make(client, LOOP[1], conversation.asked())
    known = {"previous_response_id": first["gen_ai.response.id"], "input": "Go on."}
    seen = await agent.make(client, LOOP[2], {**conversation.asked(), **known})
    assert cache_of(seen) == (1920, 0, None)


@pytest.mark.parametrize(("again", "wasted"), [(True, 2003), (False, None)])
async def test_a_request_that_is_sent_again_unchanged_is_waste(agent, client, api, again, wasted):
    conversation = Conversation(api, "Find the page.")
    await agent.make(client, LOOP[1], conversation.asked())
    if not again:
        conversation.go_on(1)
    await agent.make(client, LOOP[1], conversation.asked())
    points = agent.trail.metrics.points("tokentrail.waste.tokens")
    assert {p.attributes["tokentrail.waste.reason"] for p in points} == (
        {"repeated"} if again else set()
    )
    assert (sum(p.value for p in points) or None) == wasted
