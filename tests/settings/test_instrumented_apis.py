"""The setting ``families``: what is told, and that the rest is not touched."""

from __future__ import annotations

import pytest

import tokentrail
from tokentrail import doctor
from tokentrail.config import INSTRUMENTED_APIS, read_settings
from tokentrail.patching import install, methods
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello."}]}


@pytest.fixture
def client(driver):
    with Server(Model()) as server:
        yield driver.client(server)


def _patched_families():
    return {row.family for row in methods.ROWS if _is_patched(row)}


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


def test_each_row_belongs_to_a_family():
    assert {row.family for row in methods.ROWS} | {"realtime"} == set(INSTRUMENTED_APIS)


def test_a_beta_method_is_of_the_family_of_its_elder():
    assert {row.family for row in methods.ROWS if row.path.startswith("beta.")} == {"responses"}


async def test_all_are_told_by_default(trail, client):
    trail.instrument()
    _touch(client)
    has = {name for name in INSTRUMENTED_APIS if name != "realtime" and hasattr(client, name)}
    assert _patched_families() == has


async def test_a_family_left_out_is_not_patched(trail, driver, client):
    trail.instrument(families="images, moderations")
    _touch(client)
    assert _patched_families() == {"images", "moderations"}
    await driver.call(client.chat.completions.create, **CHAT)
    assert trail.spans.all() == ()
    await driver.call(client.moderations.create, input="Hello.")
    assert trail.spans.one().name == "moderate"


async def test_what_was_left_out_may_be_told_later(trail, driver, client):
    trail.instrument(families=["images"])
    _touch(client)
    trail.instrument(families=["chat"])
    assert _patched_families() == {"chat"}
    await driver.call(client.chat.completions.create, **CHAT)
    assert trail.spans.one().name == "chat gpt-4o-mini"


async def test_what_is_left_out_is_not_told_below_its_method_either(trail, driver, client):
    trail.instrument(families=["embeddings"])
    await driver.call(client.post, "/chat/completions", body=CHAT, cast_to=object)
    assert trail.spans.all() == ()


def test_names_in_the_environment():
    assert read_settings({}, {"TOKENTRAIL_FAMILIES": "chat,audio"}).families == ("chat", "audio")
    for unsaid in ({}, {"TOKENTRAIL_FAMILIES": ","}):
        assert read_settings({}, unsaid).families == INSTRUMENTED_APIS


@pytest.mark.parametrize("given", [[], (), "", ",", " , "])
def test_none_at_all_is_refused(given):
    with pytest.raises(ValueError, match=r"families=.* is not allowed; allowed: names .*images"):
        tokentrail.instrument(families=given)


def _states(environ):
    return {method.name: method.state for method in doctor.examine(environ).methods}


def _titles(family):
    return {row.title for row in methods.ROWS if row.family == family}


def test_the_doctor_says_what_the_environment_leaves_out():
    states = _states({"TOKENTRAIL_FAMILIES": "chat, decisions"})
    assert {states[title] for title in _titles("chat")} <= {"found", "absent"}
    assert {states[title] for title in _titles("embeddings")} == {"left out"}
    assert {state for title, state in states.items() if "realtime" in title} <= {
        "left out",
        "absent",
    }


def test_the_doctor_says_what_is_left_out_here(trail, client):
    """Whatever the environment would leave out."""
    trail.instrument(families=["chat"])
    states = _states({"TOKENTRAIL_FAMILIES": "embeddings"})
    assert {states[title] for title in _titles("chat")} <= {"patched", "absent"}
    assert {states[title] for title in _titles("embeddings")} == {"left out"}


def test_a_name_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"families='pictures' is not allowed.*images, audio"):
        tokentrail.instrument(families="pictures")
