"""Words that were given up: none is a name of the code, a setting, a metric, a page or a target.

In prose they are English like any other; here are names, as they would be looked for.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tokentrail.config import SETTINGS
from tokentrail.telemetry import semconv

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tokentrail"

MODULES = frozenset({
    "tell", "company", "neighbours", "whose", "said", "kinds", "plans", "points", "deferred",
    "names", "hook", "health", "shapes", "custom", "lanes", "connections", "watch",
    "answers", "patches", "calls", "pending", "prepared", "repeatable", "direct", "engine",
    "usage_request", "forks", "record", "operation", "settlement", "owed", "following", "exchange",
    "bodies", "asked", "gathered", "written", "own", "published", "patterns", "told",
})  # fmt: skip
DEFINITIONS = frozenset({
    "Teller", "Telling", "Aside", "Saying", "wanting", "inside", "Kind", "Kinds", "Alike", "Plan",
    "Points", "Deferred", "Engine", "hand_over", "Settlement", "hurry", "Prepared", "_Seams",
    "_Pulled", "conceal", "Shape", "Gathering", "gathering_for", "read_asked", "read_said",
    "written_messages", "written_parts", "written_tools", "Watch", "Answers", "Owed", "Neighbour",
    "Unforked", "_Patient", "Ending", "tell_text", "broken_off", "abandoned", "exhausted", "erred",
    "FollowedShape", "CapturingShape", "OwnPrices", "keep_nothing",
})  # fmt: skip
SETTINGS_BEFORE = frozenset({
    "families", "flush_timeout", "attributes_on_metrics", "metrics", "models", "health", "preload",
    "calibration", "content_limit",
})  # fmt: skip
TELEMETRY = frozenset({
    "tokentrail.ending", "tokentrail.calls.ended", "tokentrail.calls.deferred",
    "tokentrail.calls.degraded", "tokentrail.errors", "tokentrail.queue.size", "tokentrail.cost",
    "tokentrail.usage.visible_output_tokens", "broken_off", "span",
})  # fmt: skip
PAGES = frozenset({
    "what-is-told", "costs", "cost", "imitations", "beside-other-instrumentations", "methods",
    "encodings", "fleet", "images-and-audio",
})  # fmt: skip
TARGETS = frozenset({"company", "imitations"})
FOLDERS = frozenset({
    "company", "house", "telling", "costs", "live", "imitations", "shapes", "usage_request",
    "calibration",
})  # fmt: skip


def _definitions():
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name


def test_it_is_no_short_list():
    given_up = MODULES | DEFINITIONS | SETTINGS_BEFORE | TELEMETRY | PAGES | TARGETS | FOLDERS
    assert len(given_up) >= 60


def test_no_module_has_such_a_name():
    paths = [*SOURCE.rglob("*.py"), *(path.parent for path in SOURCE.rglob("__init__.py"))]
    assert {path.stem for path in paths} & MODULES == set()


def test_nothing_is_defined_by_such_a_name():
    assert set(_definitions()) & DEFINITIONS == set()


def test_no_setting_has_such_a_name_or_variable():
    assert {setting.name for setting in SETTINGS} & SETTINGS_BEFORE == set()
    variables = {f"TOKENTRAIL_{name.upper()}" for name in SETTINGS_BEFORE}
    assert {setting.variable for setting in SETTINGS} & variables == set()


def test_no_attribute_metric_or_value_has_such_a_name():
    recorded = {value for value in vars(semconv).values() if isinstance(value, str)}
    assert recorded & TELEMETRY == set()
    literals = {
        node.value
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert literals & (TELEMETRY - {"span"}) == set()


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_no_page_or_heading_has_such_a_name(page):
    assert page.stem not in PAGES
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    assert not [one for one in headings if "told" in one.lower() or "neighbour" in one.lower()]


def test_no_make_target_or_test_folder_has_such_a_name():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(targets) & TARGETS == set()
    assert {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} & FOLDERS == set()
