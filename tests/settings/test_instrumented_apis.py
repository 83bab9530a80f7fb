"""The setting ``instrumented_apis``: what is told, and that the rest is not touched."""

from __future__ import annotations

import pytest

import tokentrail
from tokentrail.config import INSTRUMENTED_APIS, read_settings
from tokentrail.diagnosis import findings as doctor
from tokentrail.patching import install, methods
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello."}]}


@pytest.fixture
def client(driver):
    with Server(Model()) as server:
        yield driver.client(server)


def _patched_apis():
    return {row.api for row in methods.ROWS if _is_patched(row)}


def _is_patched(row):
    return any(owner.__name__ == row.owner and owner.__module__ in row.modules
               and name == row.method for owner, name, _, _ in install._patched)  # fmt: skip


def _touch(client):
    """Have the client import what it has."""
    for name in INSTRUMENTED_APIS:
        getattr(client, name, None)
    for name in ("completions", "create"):
        getattr(client.chat, name, None)
    for name in ("transcriptions", "translations", "speech"):
        getattr(client.audio, name)


def test_each_row_belongs_to_an_api():
    assert {row.api for row in methods.ROWS} | {"realtime"} == set(INSTRUMENTED_APIS)


def test_a_beta_method_belongs_to_the_api_of_its_stable_counterpart():
    assert {row.api for row in methods.ROWS if row.path.startswith("beta.")} == {"responses"}


async def test_all_are_recorded_by_default(trail, client):
    trail.instrument()
    _touch(client)
    has = {name for name in INSTRUMENTED_APIS if name != "realtime" and hasattr(client, name)}
    assert _patched_apis() == has


async def test_an_api_left_out_is_not_patched(trail, driver, client):
    trail.instrument(instrumented_apis="images, moderations")
    _touch(client)
    assert _patched_apis() == {"images", "moderations"}
    await driver.call(client.chat.completions.create, **CHAT)
    assert trail.spans.all() == ()
    await driver.call(client.moderations.create, input="Hello.")
    assert trail.spans.one().name == "moderate"


async def test_what_was_left_out_may_be_recorded_later(trail, driver, client):
    trail.instrument(instrumented_apis=["images"])
    _touch(client)
    trail.instrument(instrumented_apis=["chat"])
    assert _patched_apis() == {"chat"}
    await driver.call(client.chat.completions.create, **CHAT)
    assert trail.spans.one().name == "chat gpt-4o-mini"


async def test_what_is_left_out_is_not_recorded_below_its_method_either(trail, driver, client):
    trail.instrument(instrumented_apis=["embeddings"])
    await driver.call(client.post, "/chat/completions", body=CHAT, cast_to=object)
    assert trail.spans.all() == ()


def test_names_in_the_environment():
    assert read_settings({}, {"TOKENTRAIL_INSTRUMENTED_APIS": "chat,audio"}).instrumented_apis == (
        "chat",
        "audio",
    )
    for unsaid in ({}, {"TOKENTRAIL_INSTRUMENTED_APIS": ","}):
        assert read_settings({}, unsaid).instrumented_apis == INSTRUMENTED_APIS


@pytest.mark.parametrize("given", [[], (), "", ",", " , "])
def test_none_at_all_is_refused(given):
    with pytest.raises(
        ValueError, match=r"instrumented_apis=.* is not allowed; allowed: names .*images"
    ):
        tokentrail.instrument(instrumented_apis=given)


def _states(environ):
    return {method.name: method.state for method in doctor.examine(environ).methods}


def _titles(family):
    return {row.title for row in methods.ROWS if row.api == family}


def test_the_doctor_says_what_the_environment_leaves_out():
    states = _states({"TOKENTRAIL_INSTRUMENTED_APIS": "chat, decisions"})
    assert {states[title] for title in _titles("chat")} <= {"found", "absent"}
    assert {states[title] for title in _titles("embeddings")} == {"left out"}
    assert {state for title, state in states.items() if "realtime" in title} <= {
        "left out",
        "absent",
    }


def test_the_doctor_says_what_is_left_out_here(trail, client):
    """Whatever the environment would leave out."""
    trail.instrument(instrumented_apis=["chat"])
    states = _states({"TOKENTRAIL_INSTRUMENTED_APIS": "embeddings"})
    assert {states[title] for title in _titles("chat")} <= {"patched", "absent"}
    assert {states[title] for title in _titles("embeddings")} == {"left out"}


def test_a_name_that_is_none_is_refused():
    with pytest.raises(
        ValueError, match=r"instrumented_apis='pictures' is not allowed.*images, audio"
    ):
        tokentrail.instrument(instrumented_apis="pictures")
