"""No old name comes back: of modules, classes, functions, settings, telemetry, targets, headings.

Nobody who knows OpenTelemetry could guess these names, or they meant two things.
Docstrings, comments and messages of the package are checked for words of the old style.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from tokentrail.config import SETTINGS
from tokentrail.telemetry import schema, semconv

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tokentrail"

MODULES = {
    *("asked", "health", "own", "patterns", "published", "record"),
    *("answers", "bodies", "calls", "company", "connections", "custom", "deferred", "direct"),
    *("engine", "exchange", "filters", "following", "forks", "gathered", "hook", "kinds", "lanes"),
    *("names", "neighbours", "operation", "owed", "patches", "pending", "plans", "points"),
    *("prepared", "reading", "repeatable", "said", "settlement", "shapes", "tell", "told"),
    *("usage_request", "watch", "whose", "written"),
}
"""Files and folders of the package, wherever they stand."""

DEFINITIONS = {
    *("Watch", "inside", "keep_nothing"),
    *("Alike", "Answers", "Aside", "Deferred", "Ending", "Engine", "Gathering", "Kind", "Kinds"),
    *(
        "Neighbour",
        "Owed",
        "OwnPrices",
        "Patient",
        "Plan",
        "Points",
        "Prepared",
        "Pulled",
        "Raised",
    ),
    *("Rules", "Saying", "Seams", "Settlement", "Shape", "Teller", "Telling", "ToldCall"),
    *("Unforked", "Wanted"),
    *("CapturingShape", "ChatShape", "CompactShape", "CompletionsShape", "ConnectionShape"),
    *("CustomShape", "EmbeddingsShape", "FetchShape", "FollowedShape", "LanesShape"),
    *("RealtimeShape", "ResponsesShape", "TokenCountShape"),
    *("abandoned", "alike", "beside", "break_off", "broken_off", "calibrate", "conceal"),
    *("degraded", "erred", "every", "exhausted", "gathering_for", "give", "hand_over", "heard"),
    *("hurry", "is_light", "is_quick", "lane", "learned", "offered", "picked", "read_asked"),
    *("read_said", "so_far", "tell", "tell_output", "tell_text", "tells_health"),
    *("tells_more", "told", "told_by_others", "wanting", "written_messages", "written_parts"),
    *("written_tools",),
}
"""Classes, functions and methods, wherever they stand; an underscore before them hides none."""

HOMES = {
    "Answer": "websocket",
    "Row": "patching",
    "as_json": "telemetry",
    "attributed": "telemetry",
    "ended": "telemetry",
    "found": "telemetry",
    "label": "apis",
    "labelled": "telemetry",
    "leave": "runtime",
    "own": "telemetry",
    "refuse": "telemetry",
    "report": "support",
    "said": "apis",
    "settle": "usage",
    "text": "apis/values",
    "wanted": "usage",
    "word": "apis",
    "words": "apis",
}
"""Words that are a name elsewhere, by where they must not be one."""

FIELDS = {
    *("Operation.ending", "Operation.exchange", "Method.family", "Method.shape"),
    *("Setting.environ", "Findings.neighbours"),
}
"""Fields of records."""

SETTINGS_BEFORE = {
    *("attributes_on_metrics", "content_limit", "families", "flush_timeout"),
    *("health", "metrics", "models", "preload"),
}
"""Keywords, and by them environment variables."""

ARGUMENTS = {"flush": {"break_off"}, "start_call": {"early", "watched", "said"}}
"""Arguments by function."""

TELEMETRY = {
    *("tokentrail.calls.deferred", "tokentrail.calls.degraded", "tokentrail.calls.ended"),
    *("tokentrail.cost", "tokentrail.ending", "tokentrail.errors", "tokentrail.queue.size"),
    "tokentrail.usage.visible_output_tokens",
}
"""Attributes and metrics."""

VALUES = {"abandoned", "broken_off", "exhausted"}
"""Values of attributes; of settings, ``span`` too."""

TARGETS = {"company", "imitations"}
"""What make, nox and pytest are asked for."""

PAGES = {
    *("beside-other-instrumentations", "cost", "costs", "encodings", "fleet"),
    *("images-and-audio", "imitations", "methods", "what-is-told"),
}
"""Files of the documentation."""

HEADINGS = {
    "At fleet scale",
    "Beside other instrumentations",
    "Each call is told once",
    "Leaving families out",
    "Servers that imitate OpenAI's",
    "The shape of the house",
    "What an encoding weighs",
    "What is told",
    "What is told, method by method",
    "What it costs and what it promises",
    "What it promises",
    "What their points bear",
    "Whose prices",
}
"""Of pages, as they are spelt."""

FOLDERS = {
    *("company", "costs", "house", "imitations", "live", "shapes", "telling"),
    "usage_request",
}
"""Of tests."""


PROSE = re.compile(
    r"\b(?:told|tell|tells|telling|bears?|borne|ought|owed|nought|thereof|wherefore|hearsay)\b"
    r"|\bbroken? off\b|\bimitations?\b|\bmend(?:s|ed)?\b",
    re.IGNORECASE,
)
"""Words that docstrings, comments and messages of the package do without."""

IN_OLD_PROSE: tuple[str, ...] = ()
"""Folders that are still to be rewritten."""

QUOTED = {"demo/scenes.py", "diagnosis/verdict.py", "testing/exchanges.py"}
"""Modules with a story, a model's name and a value of ``doctor --json`` that have such a word."""


_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def _nodes(kind):
    """Yield what is of that kind in the package, with the path of its module."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, kind):
                yield path.relative_to(SOURCE).as_posix(), node


def test_the_list_is_long():
    named = (MODULES, DEFINITIONS, SETTINGS_BEFORE, TELEMETRY, VALUES, TARGETS, PAGES, HEADINGS)
    assert sum(map(len, named)) > 150


def test_no_module_has_an_old_name():
    paths = [path.relative_to(SOURCE) for path in SOURCE.rglob("*") if path.suffix in {".py", ""}]
    assert [str(path) for path in paths if path.stem in MODULES] == []


def test_no_class_or_function_has_an_old_name():
    found = [
        (path, node.name)
        for path, node in _nodes((ast.ClassDef, *_FUNCTION))
        if (name := node.name.lstrip("_")) in DEFINITIONS
        or (name in HOMES and path.startswith(HOMES[name]) and node.name == name)
    ]
    assert found == []


def test_no_field_of_a_record_has_an_old_name():
    fields = {
        f"{node.name}.{field.target.id}"
        for _, node in _nodes(ast.ClassDef)
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
    assert {"Operation.outcome", "Setting.variable"} <= fields
    assert fields.isdisjoint(FIELDS)


def test_no_argument_has_an_old_name():
    for path, node in _nodes(_FUNCTION):
        taken = {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
        assert taken.isdisjoint(ARGUMENTS.get(node.name, ())), (path, node.name)


def test_no_setting_has_an_old_name():
    variables = {f"TOKENTRAIL_{name.upper()}" for name in SETTINGS_BEFORE}
    assert {row.name for row in SETTINGS}.isdisjoint(SETTINGS_BEFORE)
    assert {row.variable for row in SETTINGS}.isdisjoint(variables)


def test_no_attribute_or_metric_has_an_old_name():
    rows = [*schema.SPAN, *schema.METRICS, *schema.EVENTS]
    rows += [row for each in (*schema.METRICS, *schema.EVENTS) for row in each.attributes]
    named = {row.name for row in rows} | {v for v in vars(semconv).values() if isinstance(v, str)}
    assert named.isdisjoint(TELEMETRY)


def test_no_text_of_the_code_is_an_old_name_or_value():
    """Attributes, metrics and values stand in the code as texts of their own."""
    old = TELEMETRY | VALUES
    found = [(path, n.lineno) for path, n in _nodes(ast.Constant) if n.value in old]
    assert found == []


def test_no_setting_allows_an_old_value():
    words = {word for row in SETTINGS for word in re.split(r"[ ,]+", row.allowed)}
    assert words.isdisjoint(VALUES | {"span"})


def _shipped():
    """Return the files in which an old name of telemetry would find nothing."""
    folders = ("docs", "examples", "src/tokentrail/dashboards", "tools")
    kinds = {".md", ".yml", ".yaml", ".json", ".py", ".ipynb", ".env"}
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    return [ROOT / "README.md", *(path for path in paths if path.suffix in kinds)]


def test_nothing_that_is_shipped_asks_for_an_old_name():
    names = [*TELEMETRY, *(f"TOKENTRAIL_{name.upper()}" for name in SETTINGS_BEFORE)]
    names += [name.replace(".", "_") + "_total" for name in TELEMETRY]
    names.remove("tokentrail.cost")  # a module of that name stays
    names += ["tokentrail_ending", "tokentrail_queue_size", "broken_off"]
    old = re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, names))})(?![\w.]*\w)")
    for path in _shipped():
        assert old.findall(path.read_text(encoding="utf-8")) == [], path


def test_no_target_marker_or_session_has_an_old_name():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    sessions = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    named |= {node.name for node in ast.walk(sessions) if isinstance(node, ast.FunctionDef)}
    named |= set(re.findall(r'^    "(\w+)(?:\(.*\))?: ', project, re.MULTILINE))
    assert named.isdisjoint({*TARGETS, *(name.replace("-", "_") for name in TARGETS)})
    assert {"mock-servers", "interop", "mock_servers"} <= named


def test_no_folder_of_tests_has_an_old_name():
    assert {path.name for path in (ROOT / "tests").iterdir()}.isdisjoint(FOLDERS)


@pytest.mark.parametrize("suffix", [".md", ".json"])
def test_no_page_has_an_old_name(suffix):
    assert {path.stem for path in (ROOT / "docs").glob(f"*{suffix}")}.isdisjoint(PAGES)


def test_no_heading_is_an_old_one():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]
    for page in pages:
        headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(headings).isdisjoint(HEADINGS), page
        assert not re.search(r"\b(?:told|tells?|whose|ought)\b", " ".join(headings)), page


def _prose(source):
    """Yield docstrings, messages and comments, each with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_docstrings_comments_and_messages_are_in_plain_words():
    found = [
        f"{path}:{line}: {PROSE.search(text)[0]!r}"
        for module in sorted(SOURCE.rglob("*.py"))
        if not (path := module.relative_to(SOURCE).as_posix()).startswith(IN_OLD_PROSE)
        if path not in QUOTED
        for line, text in _prose(module.read_text(encoding="utf-8"))
        if PROSE.search(text)
    ]
    assert found == []


def test_a_word_of_the_old_style_is_found_anywhere():
    source = 'x = 1  # is told\ndef f():\n    """Return what it bears."""\n    g("you ought to")\n'
    assert [PROSE.search(text)[0] for _, text in _prose(source)] == ["bears", "ought", "told"]
