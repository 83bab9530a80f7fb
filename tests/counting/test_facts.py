"""What was billed is counted, exactly or with the error that is known; and the page says so."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from tests.counting.facts import FACTS, SOURCES, VISIBLE

TOOL = Path(__file__).parents[2] / "tools" / "make_accuracy.py"


@pytest.fixture(scope="module")
def accuracy():
    spec = importlib.util.spec_from_file_location("make_accuracy", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"{fact.model}-{fact.what}")
def test_what_was_billed_is_what_is_counted(accuracy, fact):
    """By the way of a call: arguments or answer, shape, tally, label."""
    counted = accuracy.count(fact)
    assert counted.tokens - fact.billed == fact.error
    if counted.source is not None:
        known = "visible" if fact.category == VISIBLE else "counted"
        assert counted.source == ("approximated" if fact.guess else known)


def test_every_number_says_where_it_is_from():
    assert {fact.source for fact in FACTS} == set(SOURCES)
    assert len(set(map(repr, FACTS))) == len(FACTS)


def test_text_and_plain_messages_are_exact():
    """The promise of the README: what is off is explained by tools, images, thought or the day."""
    for fact in FACTS:
        if fact.error and fact.category in {"Messages of text", "Answers of text"}:
            assert "2025" in fact.what or "input_tokens.count" in fact.what
            assert fact.note


def test_the_page_is_what_the_tool_makes():
    """If this fails: python tools/make_accuracy.py."""
    made = subprocess.run(
        [sys.executable, TOOL, "--check"], check=False, capture_output=True, text=True
    )
    assert (made.returncode, made.stdout) == (0, "")
