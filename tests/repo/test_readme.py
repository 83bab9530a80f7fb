"""The README does what it says: its program prints its span, its table has what is recorded."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import openai
import pytest

from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
MESSAGES = [{"role": "user", "content": "What is a trace?"}]


def _block(language):
    return re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL).group(1)


def _row(stream):
    """Return what tokentrail records of a stream, as the table has it."""
    (cells,) = re.findall(rf"^\| {stream}[^|]*\|[^|]*\|([^|]*)\|$", TEXT, re.MULTILINE)
    return cells


def test_it_has_at_most_900_words():
    assert len(TEXT.split()) <= 900


def _run_first(python, folder):
    """Run the program as it stands, and return the span that it prints."""
    program = folder / "first.py"
    program.write_text(_block("python"), encoding="utf-8")
    with Server(Model()) as server:
        done = subprocess.run(
            [python, "-W", "error", program],
            env={
                **os.environ,
                "OPENAI_API_KEY": "none",
                "OPENAI_BASE_URL": server.base_url,
                "TOKENTRAIL_COUNT_TIMEOUT": "20",  # a busy machine builds an encoding slowly
            },
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout[done.stdout.index("{") :])


def _expect_printed(span):
    expected = json.loads(_block("json"))
    attributes = expected.pop("attributes")
    assert {name: span[name] for name in expected} == expected
    assert {name: span["attributes"].get(name) for name in attributes} == attributes


def test_its_program_prints_its_span(tmp_path):
    _expect_printed(_run_first(sys.executable, tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_its_program_runs_after_its_install_command(tmp_path):
    """From a clone, in a new environment, with no other package."""
    (clone,) = re.findall(r"^(pip install .*)$", TEXT, re.MULTILINE)
    venv.create(tmp_path / "venv", with_pip=True)
    path = os.pathsep.join((str(tmp_path / "venv" / "bin"), os.environ["PATH"]))
    subprocess.run(clone, shell=True, check=True, cwd=ROOT, env={**os.environ, "PATH": path})  # noqa: S602 - as a reader types it
    _expect_printed(_run_first(tmp_path / "venv" / "bin" / "python", tmp_path))


# The table of streams ----------------------------------------------------------------------------


@pytest.fixture
async def client():
    """Give an async client of a local model."""
    with Server(Model(delay=0.01)) as server:
        async with openai.AsyncOpenAI(api_key="none", base_url=server.base_url) as client:
            yield client


async def _stream(client, model="gpt-4o-mini"):
    return await client.chat.completions.create(model=model, messages=MESSAGES, stream=True)


async def _read(stream, tokens):
    """Read the chunk with the role, and as many with a token each."""
    for _ in range(1 + tokens):
        await anext(stream)


def _recorded(trail):
    """Return tokens in and out, their sources, and the outcome, in the words of the table."""
    span = trail.spans.one()
    visible = "tokentrail.usage.visible.output_tokens"
    output = span.attributes.get("gen_ai.usage.output_tokens", span.attributes.get(visible))
    return (
        f"{span.attributes['gen_ai.usage.input_tokens']} in",
        f"{output} out",
        f"`{span.attributes['tokentrail.usage.input.source']}`",
        f"`{span.attributes['tokentrail.usage.output.source']}`",
    ), (span.attributes["tokentrail.outcome"], span.status.is_ok, span.status.description)


def _expect(trail, row, outcome):
    found, ending = _recorded(trail)
    assert [word for word in found if word not in row] == []
    assert ending == (outcome, True, None)
    assert outcome == "completed" or f"outcome `{outcome}`, no error" in row


async def test_a_stream_read_to_the_end(client, trail):
    async for _ in await _stream(client):
        pass
    _expect(trail, _row("read to the end"), "completed")


async def test_a_stream_closed_early(client, trail):
    stream = await _stream(client)
    await _read(stream, 8)
    await stream.close()
    _expect(trail, _row("closed early, after 8 tokens"), "closed_early")


async def test_a_stream_of_a_reasoning_model(client, trail):
    async for _ in await _stream(client, "gpt-5-mini"):
        pass
    _expect(trail, _row("of a reasoning model"), "completed")


async def test_a_cancelled_stream(client, trail):
    """The task that reads it is cancelled after nine tokens, while it waits for more."""
    read = asyncio.Event()

    async def reader():
        async with await _stream(client) as stream:
            await _read(stream, 9)
            read.set()
            await anext(stream)

    task = asyncio.create_task(reader())
    await read.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    _expect(trail, _row(r"cancelled \(asyncio\), after 9 tokens"), "cancelled")
