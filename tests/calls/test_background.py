"""Usage of responses made in the background: recorded once, by who sees the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tokentrail.model.records import (
    Endpoint,
    Operation,
    Outcome,
    Reported,
    Request,
    Response,
    Usage,
)
from tokentrail.usage.background import REMEMBERED, BackgroundUsage

HERE, THERE = (Endpoint("openai", None, None, key) for key in ("here", "there"))
DONE = Response(id="r", status="completed", reported=Reported(1, 2))
QUEUED = Response(id="r", status="queued", complete=False)


def _made(where=HERE, *, background=True):
    return Request("chat", "responses", where, background=background)


def _fetch(where=HERE):
    return Request("fetch_response", "responses", where, fetches=True)


def claimed(book, request, response):
    """Return the response as it is recorded, and whether on the span alone."""
    operation = Operation(request, response, Usage(), Outcome.COMPLETED, 1.0, 1, answered=True)
    book.claim(operation)
    return operation.response, operation.spans_only


def test_it_is_recorded_by_the_first_fetch_that_finds_it_finished():
    book = BackgroundUsage()
    assert claimed(book, _made(), QUEUED)[0] is QUEUED
    assert claimed(book, _fetch(), QUEUED)[0] is QUEUED
    assert claimed(book, _fetch(), DONE) == (DONE, False)
    assert claimed(book, _fetch(), DONE)[0].reported is None


def test_a_report_of_what_is_not_finished_is_not_recorded():
    book = BackgroundUsage()
    claimed(book, _made(), QUEUED)
    so_far = Response(id="r", status="in_progress", reported=Reported(1, 1))
    assert claimed(book, _fetch(), so_far)[0].reported is None
    assert claimed(book, _fetch(), DONE)[0].reported is not None


@pytest.mark.parametrize("done", [DONE, replace(DONE, background=True)])
def test_what_was_recorded_by_its_own_call_is_not_owed(done):
    book = BackgroundUsage()
    assert claimed(book, _made(), done)[0] is done
    assert claimed(book, _made(background=False), QUEUED)[0] is QUEUED
    assert claimed(book, _fetch(), done)[0].reported is None


def test_servers_are_distinguished():
    book = BackgroundUsage()
    claimed(book, _made(), QUEUED)
    assert claimed(book, _fetch(THERE), DONE)[0].reported is None
    assert claimed(book, _fetch(HERE), DONE)[0].reported is not None


@pytest.mark.parametrize("counts_all", [False, True])
def test_what_another_process_began_is_for_the_span_unless_all_is_counted(counts_all):
    book, done = BackgroundUsage(counts_all=counts_all), replace(DONE, background=True)
    assert claimed(book, _fetch(), done) == (done, not counts_all)
    assert claimed(book, _fetch(), done)[0].reported is None


def test_what_is_remembered_is_bounded():
    book = BackgroundUsage()
    for number in range(REMEMBERED + 1):
        claimed(book, _made(), Response(id=str(number), status="queued", complete=False))
        claimed(book, _made(), Response(id=f"{number}, done", status="completed"))
    assert len(book._owed) == len(book._recorded) == REMEMBERED
    known = Response(id="0", reported=Reported(1, 1))
    assert claimed(book, _fetch(), known)[0].reported is None


def test_an_answer_without_an_id_is_left_as_it_is():
    nameless = Response(reported=Reported(1, 1))
    assert claimed(BackgroundUsage(), _fetch(), nameless)[0] is nameless
    assert claimed(BackgroundUsage(), _made(), None)[0] is None
