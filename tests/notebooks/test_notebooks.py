"""The notebooks and the script, run as a reader runs them, against a server that answers.

The answer is a text of our own that cl100k_base counts 366, as it counts the answer recorded by
the notebooks that this project began with; where that recording is at hand it is answered too.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import tiktoken
from nbclient import NotebookClient
from tests.shared import OUTSIDE

from tokentrail.counting import ENCODINGS
from tokentrail.demo.error import DemoError
from tokentrail.demo.target import find_target
from tokentrail.testing.exchanges import Exchange
from tokentrail.testing.model import Model
from tokentrail.testing.payloads import pieces
from tokentrail.testing.server import Plain, Server

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "notebooks"
OWN = Path(__file__).with_name("answer.txt")
RECORDED = "recordings/solar_system_reply.txt"
ITS_OWN = pytest.param(OWN, id="own")
FROM_OUTSIDE = pytest.param(OUTSIDE / RECORDED, id="recorded", marks=pytest.mark.outside(RECORDED))

PAGE = ROOT / "docs" / "from-the-notebooks-to-production.md"

TABLE = """\
                               reported           counted        span
                         in   out   sum    in   out   sum    in   out  source
plain                    12   366   378    12   366   378    12   366  reported
streamed                  -     -     -    12   366   378    12   366  counted
streamed, usage asked    12   366   378    12   366   378    12   366  reported
"""
QUESTION = "Tell me about Solar system"
PROMPT, COMPLETION, TOTAL = 12, 366, 378
CLOSED_EARLY_AFTER = 40
WITHOUT_TEXT = {"openai": 1, "azure": 2}
"""Chunks at the beginning that bear none: the role, and before it what Azure's filter says."""
NAMED = {"OPENAI_API_KEY": "the-key", "OPENAI_API_DEPLOY": "mine"}
MODELS = {"openai": "gpt-3.5-turbo-0613", "azure": "gpt-35-turbo"}


@pytest.fixture(params=[ITS_OWN, FROM_OUTSIDE])
def text(request):
    """Give what the model answers; the recording stays where it is and is not copied."""
    return request.param.read_text(encoding="utf-8").strip()


@pytest.fixture
def server(text):
    """Serve an OpenAI and an Azure OpenAI that know the question, and one key."""
    exchange = Exchange(QUESTION, text, PROMPT, COMPLETION)
    model = Model(
        api_key="the-key", exchanges=(exchange,), deployments={"my-chat": MODELS["azure"]}
    )
    with Server(model) as server:
        yield server
    assert server.failures == []


@pytest.fixture
def environment(kind, server, tmp_path, monkeypatch):
    """Give the environment in which the examples are run; Jupyter leaves nothing at home."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    settings = {
        "openai": {"OPENAI_API_BASE": server.base_url, "OPENAI_API_DEPLOY": MODELS["openai"]},
        "azure": {
            "OPENAI_API_BASE": server.url,
            "OPENAI_API_DEPLOY": "my-chat",
            # The host does not say so, as one of Azure's does.
            "OPENAI_API_TYPE": "azure",
        },
    }
    # Building an encoding on a machine that is busy with tests may take its time.
    return (
        os.environ
        | settings[kind]
        | {
            # A line break that a file left is no part of the key.
            "OPENAI_API_KEY": "the-key\n",
            "TOKENTRAIL_COUNT_TIMEOUT": "20",
        }
    )


def _read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def _run(name, environment):
    notebook = _read(name)
    client = NotebookClient(
        notebook, timeout=50, resources={"metadata": {"path": str(FOLDER)}}, kernel_name="python3"
    )
    client.execute(env=environment)
    return {
        cell["id"]: "".join(output.get("text", "") for output in cell.get("outputs", ()))
        for cell in notebook.cells
    }


def _run_for(*cases):
    """A kernel takes seconds to start: the recording goes through each notebook once."""
    given = [
        pytest.param(kind, *text.values, id=f"{kind}-{text.id}", marks=text.marks)
        for kind, text in cases
    ]
    return pytest.mark.parametrize(("kind", "text"), given, indirect=True)


def _compared(model):
    return [
        [model, "reported", "counted"],
        ["prompt", str(PROMPT), str(PROMPT)],
        ["completion", str(COMPLETION), str(COMPLETION)],
        ["total", str(TOTAL), str(TOTAL)],
    ]


def _words(printed):
    return [line.split() for line in printed.strip().splitlines()]


def test_the_answer_counts_what_the_recorded_one_was_billed(text):
    encoding = ENCODINGS.load("cl100k_base")
    assert len(encoding.encode_ordinary(text)) == COMPLETION


@pytest.mark.parametrize("name", ["plain", "streamed"])
def test_a_notebook_is_kept_without_outputs(name):
    notebook = _read(name)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert cell.metadata == {}
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


@_run_for(("openai", ITS_OWN), ("azure", ITS_OWN), ("openai", FROM_OUTSIDE))
def test_the_plain_notebook_compares(environment, kind, text):
    printed = _run("plain", environment)
    assert printed["ask"].strip() == text
    assert _words(printed["compare"]) == _compared(MODELS[kind])
    assert dict(_words(printed["span"])[1:]) == {
        "gen_ai.usage.input_tokens": str(PROMPT),
        "gen_ai.usage.output_tokens": str(COMPLETION),
        "tokentrail.usage.counted.input_tokens": str(PROMPT),
        "tokentrail.usage.counted.output_tokens": str(COMPLETION),
        "tokentrail.usage.encoding": "cl100k_base",
        "tokentrail.usage.input.source": "reported",
        "tokentrail.usage.output.source": "reported",
    }


@_run_for(("openai", ITS_OWN), ("azure", ITS_OWN), ("azure", FROM_OUTSIDE))
def test_the_streamed_notebook_compares(environment, kind, text):
    printed = _run("streamed", environment)
    assert printed["stream"].strip() == f"{text}\n\nreports of usage: 0"
    assert printed["count"].strip() == f"{PROMPT} + {COMPLETION} = {TOTAL}"
    assert _words(printed["usage"]) == _compared(MODELS[kind])
    header, whole, asked, broken = _words(printed["spans"])
    assert header == ["outcome", "in", "out", "out", "is"]
    assert whole == ["completed", str(PROMPT), str(COMPLETION), "counted"]
    assert asked == ["completed", str(PROMPT), str(COMPLETION), "reported"]
    received = pieces(text)[: CLOSED_EARLY_AFTER - WITHOUT_TEXT[kind]]
    count = len(ENCODINGS.load("cl100k_base").encode_ordinary("".join(received)))
    assert broken == ["closed_early", str(PROMPT), str(count), "counted"]


def _compare(environment):
    return subprocess.run(
        [sys.executable, str(FOLDER / "compare.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_the_script_prints_the_comparison(environment, kind):
    ended = _compare(environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    service = {"openai": "gpt-3.5-turbo-0613 (OpenAI)", "azure": "my-chat (Azure OpenAI)"}[kind]
    assert ended.stdout == f"'{QUESTION}', asked of {service}\n\n{TABLE}"


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({}, "OpenAI"),
        ({"OPENAI_API_BASE": "http://127.0.0.1:8000/v1"}, "OpenAI"),
        ({"OPENAI_API_BASE": "https://eu.api.openai.com/v1"}, "OpenAI"),
        ({"OPENAI_API_BASE": "https://a.openai.azure.com/"}, "AzureOpenAI"),
        ({"OPENAI_API_BASE": "https://a.openai.azure.us"}, "AzureOpenAI"),
        ({"OPENAI_API_BASE": "https://a.services.ai.azure.com"}, "AzureOpenAI"),
        ({"OPENAI_API_BASE": "https://a.openai.azure.com/openai/v1/"}, "OpenAI"),
        ({"OPENAI_API_BASE": "http://127.0.0.1:8000", "OPENAI_API_TYPE": "azure"}, "AzureOpenAI"),
        ({"OPENAI_API_BASE": "http://h/openai/v1", "OPENAI_API_TYPE": "azure"}, "OpenAI"),
    ],
)
def test_the_script_and_the_live_demo_connect_alike(monkeypatch, environ, kind):
    """The same three variables mean the same in both."""
    for name, value in (NAMED | environ).items():
        monkeypatch.setenv(name, value)
    target = find_target(None, NAMED | environ)
    client, model = runpy.run_path(str(FOLDER / "compare.py"))["connect"]()
    with client, target.connect() as lives:
        assert type(client).__name__ == type(lives).__name__ == kind
        assert str(client.base_url).rstrip("/") == str(lives.base_url).rstrip("/")
    assert model == target.model


@pytest.mark.parametrize(
    "environ",
    [
        {"OPENAI_API_BASE": "https://a.openai.azure.com"},
        {"OPENAI_API_BASE": "https://a.openai.azure.com/openai/v1"},
        {"OPENAI_API_TYPE": "azure"},
    ],
)
def test_the_script_and_the_live_demo_miss_the_same(monkeypatch, environ):
    given = {"OPENAI_API_KEY": "the-key"} | environ
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DemoError, match=r"[Aa]zure"):
        find_target(None, given)
    script = runpy.run_path(str(FOLDER / "compare.py"))
    with pytest.raises(script["SettingError"], match="Azure"):
        script["connect"]()


def test_an_error_of_the_scripts_own_is_not_taken_for_a_setting():
    with Server(lambda _: Plain({"model": "gpt-4o", "choices": []})) as server:
        ended = _compare(os.environ | NAMED | {"OPENAI_API_BASE": server.base_url})
    assert ended.returncode == 1
    assert ended.stderr.strip().endswith("IndexError: list index out of range")


def test_the_page_shows_what_the_script_prints():
    page = PAGE.read_text(encoding="utf-8")
    assert f"```text\n'{QUESTION}', asked of {MODELS['openai']} (OpenAI)\n\n{TABLE}```" in page


@pytest.mark.parametrize("model", ["my-chat", "openai/gpt-4o"])
def test_tiktoken_itself_knows_no_encoding_of_these(model):
    """What the page says of it; families that are newer depend on the release."""
    with pytest.raises(KeyError):
        tiktoken.encoding_name_for_model(model)


def test_tiktoken_itself_goes_by_the_beginning_of_a_name():
    assert tiktoken.encoding_name_for_model("gpt-4o-2099-01-01") == "o200k_base"


@_run_for(("azure", ITS_OWN))
@pytest.mark.parametrize(
    ("change", "mend"),
    [
        ({"OPENAI_API_KEY": ""}, "set OPENAI_API_KEY; `tokentrail demo` shows"),
        ({"OPENAI_API_KEY": "\u201cthe-key\u201d"}, "set OPENAI_API_KEY to the key alone"),
        ({"OPENAI_API_BASE": ""}, "set OPENAI_API_BASE to the address of your Azure resource"),
        ({"OPENAI_API_DEPLOY": ""}, "set OPENAI_API_DEPLOY to the name of your Azure deployment"),
        ({"OPENAI_API_KEY": "another"}, "Error code: 401"),
        ({"OPENAI_API_DEPLOY": "not-mine"}, "Error code: 404"),
    ],
)
def test_the_script_says_what_is_wrong(environment, change, mend):
    ended = _compare(environment | change)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"compare.py: {mend}")
    assert "the-key" not in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
