"""What the documents tell a reader to type works: programs run, commands and settings are there.

Every block is looked at, by its language; those without one are output, or commands of a reader's
own.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from importlib.metadata import metadata
from pathlib import Path

import openai
import pytest
import yaml
from tests import shared
from tests.websocket import apis
from tests.websocket.peer import Peer

import tokentrail
from tokentrail import cli
from tokentrail.config import SETTINGS
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

unsaid = shared.unsaid

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").glob("*.md"),
    *(ROOT / "examples").rglob("*.md"),
]
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
PREAMBLE = """
import openai, tiktoken, tokentrail
client = openai.OpenAI()
"""
"""What a reader has by then: the packages, and a client."""

NOT_RUN = {"CHANGELOG.md"}
FRAGMENTS = {"celery.md", "web-servers.md"}
"""Pages with pieces of applications, which want a server: tests/webservers runs whole ones."""
CALLED = {"py": "python"}
"""Other words for a language."""
LOOKED_AT = {"json", "promql", "python", "sh", "text", "yaml"}
"""Text is what a program printed: nothing to be tried out."""


def _blocks(page, language):
    text = page.read_text(encoding="utf-8")
    return [
        textwrap.dedent(body)
        for found, body in BLOCK.findall(text)
        if CALLED.get(found, found) == language
    ]


def _named(pages):
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in sorted(pages)]


def _pages(language):
    return [page for page in PAGES if page.name not in NOT_RUN and _blocks(page, language)]


@pytest.mark.parametrize("page", _named(PAGES))
def test_every_code_block_is_in_a_checked_language(page):
    found = {name for name, _ in BLOCK.findall(page.read_text(encoding="utf-8"))}
    assert {CALLED.get(name, name) for name in found} <= LOOKED_AT


def _server(page):
    """Return what answers the programs of a page."""
    if page.name != "websocket.md":
        return Server(Model())
    if not hasattr(openai.OpenAI, "realtime"):
        pytest.skip("this openai has no realtime.connect")
    realtime = apis.Realtime("realtime")
    return Peer([apis.whole(realtime)], realtime.greeting())


@pytest.mark.thorough
@pytest.mark.parametrize("page", _named(p for p in _pages("python") if p.name not in FRAGMENTS))
def test_the_programs_of_a_page_run_one_after_the_other(page, tmp_path):
    program = tmp_path / "page.py"
    program.write_text("\n".join([PREAMBLE, *_blocks(page, "python")]), encoding="utf-8")
    with _server(page) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", program],
            env={
                **os.environ,
                "OPENAI_API_KEY": "none",
                "OPENAI_BASE_URL": server.base_url,
                "TOKENTRAIL_COUNT_TIMEOUT": "20",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", _named(p for p in _pages("python") if p.name in FRAGMENTS))
def test_the_pieces_of_programs_call_what_is_there(page):
    calls = [
        node
        for block in _blocks(page, "python")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("tokentrail.")
    ]
    assert calls
    for call in calls:
        called = getattr(tokentrail, call.func.attr)
        inspect.signature(called).bind_partial(*call.args, **{k.arg: k for k in call.keywords})


@pytest.mark.parametrize("page", _named(_pages("json")))
def test_what_is_documented_as_json_is_json(page):
    for block in _blocks(page, "json"):
        json.loads(block)


@pytest.mark.parametrize("page", _named(_pages("promql")))
def test_its_queries_can_be_read(page):
    promql_parser = pytest.importorskip("promql_parser", reason="needs tokentrail[dashboards]")
    for block in _blocks(page, "promql"):
        for query in block.splitlines():
            promql_parser.parse(query)


@pytest.mark.parametrize("page", _named(_pages("yaml")))
def test_its_configuration_files_have_settings_that_are_there(page, unsaid, caplog):
    """That the SDK reads them is seen in tests/interop."""
    for block in _blocks(page, "yaml"):
        file = yaml.safe_load(re.sub(r"\$\{\w+:-(\w+)\}", r"\1", block))
        options = file["instrumentation/development"]["python"]["tokentrail"]
        tokentrail.OpenAIInstrumentor.configuration(**options)
    assert caplog.messages == []


def _commands(page):
    """Yield the commands of a page's shell blocks, as words, variables and comments left out."""
    for block in _blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words:
                yield words


@pytest.mark.parametrize("page", _named(_pages("sh")))
def test_its_commands_are_there(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for program, *rest in _commands(page):
        if program == "make":
            targets = [word for word in rest if "=" not in word and not word.startswith("-")]
            missing = [t for t in targets if not re.search(rf"^{t}:", makefile, re.MULTILINE)]
            assert not missing
        elif program == "tokentrail":
            cli._parser().parse_args([word for word in rest if word not in {">", "|"}])
        elif program in {"python", "pip"}:
            files = [word for word in rest if word.endswith((".py", ".txt"))]
            assert [name for name in files if not (page.parent / name).exists()] == []
            offered = set(metadata("tokentrail").get_all("Provides-Extra"))
            assert set(re.findall(r"tokentrail\[([^\]]+)\]", " ".join(rest))) <= offered


@pytest.mark.parametrize("page", _named(PAGES))
def test_its_settings_are_there(page):
    text = page.read_text(encoding="utf-8")
    known = {setting.variable for setting in SETTINGS} | {"TOKENTRAIL_STRICT"}
    assert set(re.findall(r"\bTOKENTRAIL_[A-Z_]+[A-Z]", text)) <= known
