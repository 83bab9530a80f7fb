"""The commands of each example's README, in an environment made by its own pip line.

The packages come from an index, so these are slow; the wheel of this tree stands in for tokentrail.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import venv

import pytest
from tests.examples.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXPECTED = {
    "zero_code": ['"tokentrail.outcome": "closed_early"', '"gen_ai.usage.output_tokens"'],
    "budget": ["tokens, with a budget of 40"],
    "companion": ["source counted  outcome closed_early  (by tokentrail)"],
}
"""What the first command of each prints."""


def _run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


def _commands(example):
    text = (ROOT / "examples" / example / "README.md").read_text(encoding="utf-8")
    blocks = [block.replace("\\\n", " ").strip() for block in SHELL.findall(text)]
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("example", list(EXPECTED))
def test_its_commands_do_what_it_says(example, wheel, tmp_path, model, collector):
    pip, first, *others = _commands(example)
    assert pip.startswith("pip install ")
    venv.create(tmp_path, with_pip=True)
    folder = ROOT / "examples" / example
    packages = [
        re.sub(r"^tokentrail(\[\w+\])?$", lambda found: f"{wheel}{found[1] or ''}", word)
        for word in shlex.split(pip)[2:]
    ]
    _run(tmp_path / "bin" / "python", "-m", "pip", "install", "-qq", *packages)
    environ = {
        **os.environ,
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": model.base_url,
        "TOKENTRAIL_COUNT_TIMEOUT": "20",
    }
    done = _run("sh", "-c", first, env=environ, cwd=folder)
    assert [words for words in EXPECTED[example] if words not in done.stdout] == []
    for command in others:  # those that export, to a Collector on loopback
        _run(
            "sh",
            "-c",
            command.replace("http://127.0.0.1:4318", collector.url),
            env=environ,
            cwd=folder,
        )
    if others:
        assert len(collector.spans()) == 3
