"""Usage of responses made in the background: told once, by who sees the end."""

from __future__ import annotations

from tokentrail.model.records import Endpoint, Reported, Request, Response
from tokentrail.usage import background

HERE, THERE = (Endpoint("openai", None, None, key) for key in ("here", "there"))
DONE = Response(id="r", status="completed", reported=Reported(1, 2))
QUEUED = Response(id="r", status="queued", complete=False)


def _made(where=HERE, *, background=True):
    return Request("chat", "responses", where, background=background)


def _fetch(where=HERE):
    return Request("fetch_response", "responses", where, fetches=True)


def test_it_is_told_by_the_first_fetch_that_finds_it_finished():
    book = background.BackgroundUsage()
    assert book.settled(_made(), QUEUED) is QUEUED
    assert book.settled(_fetch(), QUEUED) is QUEUED
    assert book.settled(_fetch(), DONE) is DONE
    assert book.settled(_fetch(), DONE).reported is None


def test_a_report_of_what_is_not_finished_is_not_told():
    book = background.BackgroundUsage()
    book.settled(_made(), QUEUED)
    so_far = Response(id="r", status="in_progress", reported=Reported(1, 1))
    assert book.settled(_fetch(), so_far).reported is None
    assert book.settled(_fetch(), DONE).reported is not None


def test_what_was_told_by_its_own_call_is_not_owed():
    book = background.BackgroundUsage()
    assert book.settled(_made(), DONE) is DONE
    assert book.settled(_made(background=False), QUEUED) is QUEUED
    assert book.settled(_fetch(), DONE).reported is None


def test_servers_are_told_apart():
    book = background.BackgroundUsage()
    book.settled(_made(), QUEUED)
    assert book.settled(_fetch(THERE), DONE).reported is None
    assert book.settled(_fetch(HERE), DONE).reported is not None


def test_what_is_remembered_is_bounded():
    book = background.BackgroundUsage()
    for number in range(background.REMEMBERED + 1):
        book.settled(_made(), Response(id=str(number), status="queued", complete=False))
    assert len(book._responses) == background.REMEMBERED
    assert book.settled(_fetch(), Response(id="0", reported=Reported(1, 1))).reported is None


def test_an_answer_without_an_id_is_left_as_it_is():
    nameless = Response(reported=Reported(1, 1))
    assert background.BackgroundUsage().settled(_fetch(), nameless) is nameless
    assert background.BackgroundUsage().settled(_made(), None) is None
