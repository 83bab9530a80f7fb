"""What the documents tell a reader to type works: programs run, commands and settings are there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import openai
import pytest
from tests.websocket import apis
from tests.websocket.peer import Peer

from tokentrail import cli
from tokentrail.config import SETTINGS
from tokentrail.demo.model import Model
from tokentrail.demo.server import Server

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


def _blocks(page, language):
    text = page.read_text(encoding="utf-8")
    return [textwrap.dedent(body) for found, body in BLOCK.findall(text) if found == language]


def _pages(language):
    found = [page for page in PAGES if page.name not in NOT_RUN and _blocks(page, language)]
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in sorted(found)]


def _server(page):
    """Return what answers the programs of a page."""
    if page.name != "websocket.md":
        return Server(Model())
    if not hasattr(openai.OpenAI, "realtime"):
        pytest.skip("this openai has no realtime.connect")
    realtime = apis.Realtime("realtime")
    return Peer([apis.whole(realtime)], realtime.greeting())


@pytest.mark.parametrize("page", _pages("python"))
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
                "TOKENTRAIL_FLUSH_TIMEOUT": "20",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
    assert done.returncode == 0, done.stderr


def _commands(page):
    """Yield the commands of a page's shell blocks, as words, variables and comments left out."""
    for block in _blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words:
                yield words


@pytest.mark.parametrize("page", _pages("sh"))
def test_its_commands_are_there(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for program, *rest in _commands(page):
        if program == "make":
            targets = [word for word in rest if "=" not in word and not word.startswith("-")]
            missing = [t for t in targets if not re.search(rf"^{t}:", makefile, re.MULTILINE)]
            assert not missing
        elif program == "tokentrail":
            cli._parser().parse_args([word for word in rest if word not in {">", "|"}])


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in sorted(PAGES)]
)
def test_its_settings_are_there(page):
    text = page.read_text(encoding="utf-8")
    known = {setting.environ for setting in SETTINGS} | {"TOKENTRAIL_STRICT"}
    assert set(re.findall(r"\bTOKENTRAIL_[A-Z_]+[A-Z]", text)) <= known
