"""Switching on and off: what is changed in the client, and that it is put back."""

from __future__ import annotations

import contextlib
import importlib

import openai
import pytest
import wrapt
from opentelemetry.instrumentation.utils import suppress_instrumentation

import tokentrail
from tokentrail.patching import install, methods

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello, how are you?"}]}


def _methods():
    """Return every method of the table that this release of openai has, by what holds it."""
    found = {}
    for row in (*methods.ROWS, *methods.CONNECTIONS):
        for name in row.modules:
            with contextlib.suppress(ImportError):
                module = importlib.import_module(name)
                owner = vars(module).get(row.owner)
                if owner is not None and row.method in vars(owner):
                    found[owner, row.method] = vars(owner)[row.method]
    return found


@pytest.fixture
def bare():
    """Give the client's own functions, while nothing is instrumented; and put them back."""
    tokentrail.uninstrument()
    methods = _methods()
    yield methods
    tokentrail.uninstrument()
    for (owner, name), method in methods.items():
        setattr(owner, name, method)
    install._patched.clear()


def test_the_very_same_functions_are_put_back(bare):
    """Identity, for every method of the table; again and again."""
    assert len(bare) >= 4
    for _ in range(3):
        tokentrail.instrument()
        changed = _methods()
        assert all(changed[key] is not method for key, method in bare.items())
        tokentrail.uninstrument()
        assert all(vars(owner)[name] is method for (owner, name), method in bare.items())


def test_switching_on_twice_changes_nothing_more(bare):
    tokentrail.instrument()
    once = _methods()
    tokentrail.instrument(token_counting="off")
    assert all(vars(owner)[name] is method for (owner, name), method in once.items())
    tokentrail.uninstrument()
    tokentrail.uninstrument()
    assert all(vars(owner)[name] is method for (owner, name), method in bare.items())


def test_all_ways_to_switch_are_one_switch(bare):
    """The function and the instrumentor, of which there is one."""
    tokentrail.instrument()
    assert tokentrail.OpenAIInstrumentor() is tokentrail.OpenAIInstrumentor()
    assert tokentrail.OpenAIInstrumentor().is_instrumented_by_opentelemetry
    tokentrail.OpenAIInstrumentor().uninstrument()
    assert all(vars(owner)[name] is method for (owner, name), method in bare.items())
    tokentrail.OpenAIInstrumentor().instrument()
    tokentrail.uninstrument()
    assert not tokentrail.OpenAIInstrumentor().is_instrumented_by_opentelemetry
    assert all(vars(owner)[name] is method for (owner, name), method in bare.items())


def test_a_changed_method_looks_as_before(bare):
    import inspect

    tokentrail.instrument()
    for (owner, name), method in bare.items():
        changed = getattr(owner, name)
        assert inspect.signature(changed) == inspect.signature(method)
        assert (changed.__name__, changed.__doc__) == (method.__name__, method.__doc__)
        assert changed.__qualname__ == method.__qualname__
        assert changed.__module__ == method.__module__


async def test_clients_made_before_and_after_are_recorded(spans, metrics, driver, server):
    """Also through methods that were taken off the client before or between.

    One taken before is the bare method: what is told then is the request that it makes.
    """
    tokentrail.uninstrument()
    before = driver.client(server)
    held_bare = before.chat.completions.create
    tokentrail.instrument(tracer_provider=spans.provider, meter_provider=metrics.provider)
    after = driver.client(server)
    held = after.chat.completions.create
    await driver.call(before.chat.completions.create, **ASKED)
    await driver.call(after.chat.completions.create, **ASKED)
    await driver.call(held, **ASKED)
    assert len(spans.all()) == 3
    await driver.call(held_bare, **ASKED)
    assert [span.name for span in spans.all()] == ["chat gpt-4o"] * 4
    tokentrail.uninstrument()
    for create in (before.chat.completions.create, after.chat.completions.create, held):
        assert (await driver.call(create, **ASKED)).choices
    assert len(spans.all()) == 4


def test_the_client_of_the_module_is_recorded(trail, server, monkeypatch):
    monkeypatch.setattr(openai, "api_key", "no-secret")
    monkeypatch.setattr(openai, "base_url", server.base_url + "/")
    try:
        assert openai.chat.completions.create(**ASKED).choices
        list(openai.chat.completions.create(stream=True, **ASKED))
    finally:
        openai._reset_client()
    assert [span.name for span in trail.spans.all()] == ["chat gpt-4o"] * 2


async def test_what_is_suppressed_is_not_recorded(trail, driver, server):
    client = driver.client(server)
    with suppress_instrumentation():
        await driver.call(client.chat.completions.create, **ASKED)
        stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
        await driver.read(stream)
    assert trail.spans.all() == ()
    assert trail.metrics.names() & {"gen_ai.client.operation.duration"} == set()
    await driver.call(client.chat.completions.create, **ASKED)
    assert len(trail.spans.all()) == 1


# Somebody else on top of us ----------------------------------------------------------------------


def _wrap_with_wrapt(owner, calls):
    def around(wrapped, instance, args, kwargs):
        calls.append("theirs")
        return wrapped(*args, **kwargs)

    ours = vars(owner)["create"]
    wrapt.wrap_function_wrapper(owner.__module__, f"{owner.__name__}.create", around)
    return lambda: setattr(owner, "create", ours)


def _wrap_by_hand(owner, calls):
    ours = owner.create

    def create(self, *args, **kwargs):
        calls.append("theirs")
        return ours(self, *args, **kwargs)

    original = vars(owner)["create"]
    owner.create = create
    return lambda: setattr(owner, "create", original)


@pytest.fixture(params=[_wrap_with_wrapt, _wrap_by_hand])
def theirs(request, mode, bare, spans, metrics):
    """Instrument, and let another do so on top; give their log and how they take it off."""
    completions = importlib.import_module("openai.resources.chat.completions")
    owner = getattr(completions, "Completions" if mode == "sync" else "AsyncCompletions")
    tokentrail.instrument(tracer_provider=spans.provider, meter_provider=metrics.provider)
    calls = []
    take_off = request.param(owner, calls)
    return calls, take_off


async def test_another_wrapper_around_ours_still_works_after_uninstrument(
    theirs, spans, driver, server
):
    calls, _ = theirs
    client = driver.client(server)
    await driver.call(client.chat.completions.create, **ASKED)
    assert (len(calls), len(spans.all())) == (1, 1)
    tokentrail.uninstrument()
    assert (await driver.call(client.chat.completions.create, **ASKED)).choices
    assert (len(calls), len(spans.all())) == (2, 1)


async def test_one_who_wraps_us_does_not_make_us_wrap_twice(theirs, spans, metrics, driver, server):
    calls, _ = theirs
    client = driver.client(server)
    for _ in range(2):
        tokentrail.uninstrument()
        tokentrail.instrument(tracer_provider=spans.provider, meter_provider=metrics.provider)
    await driver.call(client.chat.completions.create, **ASKED)
    stream = await driver.call(client.chat.completions.create, stream=True, **ASKED)
    await driver.read(stream)
    assert (len(calls), len(spans.all())) == (2, 2)


async def test_one_who_leaves_after_us_puts_back_what_says_nothing(
    theirs, bare, spans, metrics, driver, server
):
    """It puts our wrapper back, which nobody asked for any more; and the next switch works."""
    calls, take_off = theirs
    client = driver.client(server)
    tokentrail.uninstrument()
    take_off()
    assert (await driver.call(client.chat.completions.create, **ASKED)).choices
    assert (calls, spans.all()) == ([], ())
    tokentrail.instrument(tracer_provider=spans.provider, meter_provider=metrics.provider)
    await driver.call(client.chat.completions.create, **ASKED)
    assert len(spans.all()) == 1
    tokentrail.uninstrument()
    assert all(vars(owner)[name] is method for (owner, name), method in bare.items())


# Before the client is there ----------------------------------------------------------------------

IMPORTS = """
    import tokentrail
    {switch}
    assert not [name for name in sys.modules if name.split(".")[0] == "openai"]
    import openai
    from openai.resources.chat.completions import Completions
    from tokentrail.patching import wrappers
    def is_ours(method):
        return isinstance(vars(Completions)["create"], wrappers.PatchedMethod)
    say(is_ours("create"))
    client = openai.OpenAI()
    client.chat.completions.create(**ASKED)
    tokentrail.flush(10)
    tokentrail.uninstrument()
    say(is_ours("create"))
"""
ON = "tokentrail.instrument(tracer_provider=provider(), token_counting='off')"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("switch", "told"),
    [
        (ON, 1),
        (f"{ON}; tokentrail.uninstrument()", 0),
        (f"{ON}; tokentrail.uninstrument(); {ON}", 1),
    ],
    ids=["on", "on, off", "on, off, on"],
)
def test_the_client_may_be_imported_later(run, switch, told):
    """What counts is whether it is switched on when a module of the client is imported."""
    done = run(IMPORTS.format(switch=switch))
    assert done.said == [bool(told), False]
    assert len(done.spans) == told
    assert done.err == ""


@pytest.mark.thorough
def test_the_client_may_be_imported_between(run):
    """Switched on, off, imported while off, and on again: told."""
    done = run(f"""
        import tokentrail
        {ON}
        tokentrail.uninstrument()
        import openai
        client = openai.OpenAI()
        client.chat.completions.create(**ASKED)
        {ON}
        client.chat.completions.create(**ASKED)
        tokentrail.flush(10)
    """)
    assert len(done.spans) == 1
