"""Each row of the table of methods, in each way to call it, on every supported release."""

from __future__ import annotations

import logging
from dataclasses import replace

import openai
import pytest
from tests.surface import results, standing
from tests.surface.table import BY_PATH, METHODS, Way, method_of, streams, ways_of
from tests.surface.taking import check_told, take

import tokentrail
from tokentrail.patching import install, methods
from tokentrail.patching.methods import ROWS
from tokentrail.support import guard

pytestmark = [
    pytest.mark.surface,
    pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning"),  # of the method called
]

KINDS = ("openai", "azure")
CASES = [
    # How an answer is taken is nothing to who gives it: with Azure, each row plain and streamed.
    pytest.param(
        row, way, kind, marks=[pytest.mark.thorough] if kind == "azure" and way.prefix else []
    )
    for row in ROWS
    for way in ways_of(method_of(row))
    for kind in KINDS
]


@pytest.fixture
def mode(row) -> str:
    """Drive the client of the row's kind."""
    return "async" if row.is_async else "sync"


def _skip_without(row, prefix=""):
    if standing.has_moved(row):
        pytest.skip(f"{row.title} has moved, as a test of its own says")
    if standing.method(row, prefix) is None:
        where = f"{prefix} of " if prefix and standing.method(row) else ""
        pytest.skip(f"openai {openai.__version__} has no {where}{row.path}")


def _title(each):
    if isinstance(each, str):
        return each
    return each.name if isinstance(each, Way) else each.title.removeprefix("openai.resources.")


def test_every_row_has_its_call():
    assert [method.path for method in METHODS] == list(BY_PATH)
    assert {row.path for row in ROWS} == set(BY_PATH)


@pytest.mark.parametrize("row", ROWS, ids=_title)
def test_a_method_stands_where_its_row_says(row):
    """What a release moves is named here, and all other tests of the surface are left out."""
    there = standing.method(row) is not None
    assert there or row.optional, f"openai {openai.__version__} has no {row.path} any more"
    assert not standing.has_moved(row), f"{row.title} is not where the client has {row.path}"
    if not there:
        results.keep(row.path, "plain", None)


@pytest.mark.parametrize(("row", "way", "kind"), CASES, ids=_title)
async def test_a_call_is_recorded_once_and_is_the_bare_call(row, way, kind, surface):
    """One span, its metrics, the server's or our numbers; the application sees no difference."""
    _skip_without(row, way.prefix)
    method = method_of(row)
    taken = await surface.twice(method, way, kind)
    results.keep(row.path, way.name, check_told(surface.trail, method, way, taken))


@pytest.mark.parametrize("row", ROWS, ids=_title)
async def test_no_row_is_idle(row, surface, monkeypatch):
    """Without it its own method, in any way it is called, is not told: the check above fails."""
    _skip_without(row)
    method = method_of(row)
    asked = await surface.asked(method)
    async with surface.bare():
        monkeypatch.setattr(methods, "ROWS", tuple(each for each in ROWS if each is not row))
        monkeypatch.setattr(methods, "DIRECT", ())  # it would tell the request below the method
    for way in ways_of(method):
        made = method.on(surface.client(), way.prefix)
        if made is None:
            continue
        taken = await take(surface.driver, made, asked, way)
        with pytest.raises(AssertionError, match=r"one span was expected, not \[\]"):
            check_told(surface.trail, method, way, taken)


@pytest.mark.parametrize("row", [row for row in ROWS if streams(method_of(row))], ids=_title)
async def test_a_stream_is_recorded_when_it_ends_and_not_before(row, kind, surface):
    _skip_without(row)
    driver, method = surface.driver, method_of(row)
    asked = await surface.asked(method, kind)
    stream = await driver.call(method.on(surface.client(kind)), **asked, stream=True)
    await driver.next(stream)
    assert surface.trail.spans.all() == ()
    await driver.close(stream)
    attributes = surface.trail.spans.attributes()
    assert attributes["tokentrail.outcome"] == "closed_early"
    assert "error.type" not in attributes


@pytest.mark.parametrize("row", ROWS, ids=_title)
async def test_after_uninstrument_nothing_is_recorded(row, surface):
    """Nor by what was made before: a raw wrapper keeps the method that it was made of."""
    _skip_without(row)
    driver, method, client = surface.driver, method_of(row), surface.client()
    asked = await surface.asked(method)
    await driver.call(method.on(client), **asked)
    await driver.call(method.on(client, "with_raw_response"), **asked)
    assert len(surface.trail.spans.all()) == 2
    tokentrail.uninstrument()
    await driver.call(method.on(client), **asked)
    await driver.call(method.on(client, "with_raw_response"), **asked)
    assert len(surface.trail.spans.at_once()) == 2


# What a release lacks ----------------------------------------------------------------------------


def _logged(caplog, level):
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "tokentrail" and record.levelno == level
    ]


def test_what_this_release_lacks_is_logged_at_debug_only(caplog, monkeypatch):
    """A line for each row without a method, whether its class or its whole module is missing."""
    monkeypatch.setattr(methods, "CONNECTIONS", ())
    for row in ROWS:
        _skip_without(row) if standing.has_moved(row) else standing.method(row)
    lacking = {row.title for row in ROWS if standing.method(row) is None}
    install.remove()
    with caplog.at_level(logging.DEBUG, "tokentrail"):
        install.install()
    install.remove()
    lines = _logged(caplog, logging.DEBUG)
    assert {title for title in lacking if any(title in line for line in lines)} == lacking
    assert len(lines) == len(lacking)
    assert _logged(caplog, logging.WARNING) == []


@pytest.mark.parametrize(
    "row",
    [
        replace(ROWS[0], owner="Perfections"),
        replace(ROWS[0], method="perfect"),
        replace(ROWS[0], modules=("openai.resources.chat.nowhere", "openai.resources.nowhere")),
    ],
    ids=["class", "method", "module"],
)
@pytest.mark.parametrize("optional", [True, False])
def test_a_row_that_finds_nothing_is_no_error(row, optional, monkeypatch, caplog):
    """An optional one is a debug line, a required one a warning, said once."""
    monkeypatch.setattr(methods, "ROWS", (replace(row, optional=optional),))
    monkeypatch.setattr(methods, "CONNECTIONS", ())
    monkeypatch.setattr(guard, "_logged", set())
    standing.method(ROWS[0])
    for _ in range(2):
        install.remove()
        with caplog.at_level(logging.DEBUG, "tokentrail"):
            install.install()
    install.remove()
    assert len(_logged(caplog, logging.WARNING)) == (0 if optional else 1)
    assert bool(_logged(caplog, logging.DEBUG)) is optional
    assert all(row.title in line for line in caplog.messages)
