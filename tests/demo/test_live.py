"""``tokentrail demo --live`` against the stand-in model, as if it were the user's own endpoint."""

import io
import socket
from dataclasses import dataclass

import pytest

from tokentrail import cli
from tokentrail.cli import CommandError
from tokentrail.demo.live import QUESTION, find_target
from tokentrail.demo.model import Model
from tokentrail.demo.server import Server

KEY = "sk-right-0123456789"


@pytest.fixture
def server():
    with Server(Model(api_key=KEY, deployments={"mine": "gpt-4o"})) as server:
        yield server


class Stdin(io.StringIO):
    """What the user types, on a terminal; without a word of theirs it is none."""

    def isatty(self):
        return bool(self.getvalue())


@dataclass
class Done:
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command in this process, in an environment of nothing but what is given."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments, typed="", **environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.stdin", Stdin(typed))
        code = cli.main(["demo", "--live", *arguments])
        return Done(code, *capsys.readouterr())

    return run


def calls_of(server, path):
    return [call for call in server.calls if call.path == path]


def test_three_calls_are_made_and_told(run, server):
    done = run("--yes", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"3 calls to gpt-4o-mini at {server.base_url}, about" in done.stdout
    rows = [
        line
        for line in done.stdout.splitlines()
        if "gpt-4o-mini " in line and " completed " in line
    ]
    assert [line.split("gpt")[0].strip() for line in rows] == [
        "plain",
        "stream with usage",
        "stream",
    ]
    assert [line.count("●") for line in rows] == [2, 2, 0]
    assert rows[2].count("◆") == 2
    assert max(map(len, done.stdout.splitlines())) <= 80
    calls = calls_of(server, "/v1/chat/completions")
    assert [call.body["messages"][0]["content"] for call in calls] == [QUESTION] * 3
    assert [call.body.get("stream_options") for call in calls] == [
        None,
        {"include_usage": True},
        None,
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_DEPLOY"),
        ("OPENAI_API_BASE", "OPENAI_API_KEY", "OPENAI_API_DEPLOY"),
    ],
    ids=["today", "notebooks"],
)
def test_azure_is_called_by_todays_variables_and_by_the_notebooks(run, server, names):
    environ = dict(zip(names, (server.url, KEY, "mine"), strict=True))
    done = run("--yes", **environ)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.rstrip() for line in done.stdout.splitlines() if " completed " in line]
    assert [line[-1:] for line in rows if "mine →" in line] == ["●", "●", "◆"]
    assert " gpt-4o-2024-08-06\n" in "".join(
        f"{line.rstrip()}\n" for line in done.stdout.splitlines()
    )
    assert max(map(len, done.stdout.splitlines())) <= 80
    calls = calls_of(server, "/openai/deployments/mine/chat/completions")
    assert len(calls) == 3
    assert calls[0].query == {"api-version": "2024-10-21"}


def test_a_wrong_key_is_explained_in_one_line_and_not_shown(run, server):
    done = run("--yes", OPENAI_API_KEY="sk-wrong-secret", OPENAI_BASE_URL=server.base_url)
    assert done.returncode == 1
    assert done.stderr == (
        f"tokentrail: {server.base_url} refuses the key in OPENAI_API_KEY (401):"
        " set OPENAI_API_KEY to a key of this endpoint\n"
    )
    assert "secret" not in done.stdout


def test_an_unknown_model_is_explained(run, server):
    done = run(
        "--yes", "--model", "gpt-nought", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url
    )
    assert done.returncode == 1
    assert "does not know 'gpt-nought' (404): name a model" in done.stderr
    assert "--model" in done.stderr


def test_an_endpoint_out_of_reach_is_explained(run):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    done = run("--yes", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1")
    assert done.returncode == 1
    assert f"cannot reach http://127.0.0.1:{port}/v1" in done.stderr
    assert "mend the address in OPENAI_BASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_key_nothing_is_tried(run):
    done = run("--yes")
    assert done.returncode == 2
    assert done.stderr.startswith("tokentrail: no key: set OPENAI_API_KEY, or leave --live out")


def test_nobody_to_ask_is_an_error(run, server):
    done = run(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)
    assert done.returncode == 2
    assert "give --yes to spend without being asked" in done.stderr
    assert calls_of(server, "/v1/chat/completions") == []


@pytest.mark.parametrize(("answer", "code", "made"), [("n", 1, 0), ("", 1, 0), ("y", 0, 3)])
def test_it_asks_before_it_spends(run, server, answer, code, made):
    done = run(typed=f"{answer}\n", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)
    assert "Go on? [y/N]" in done.stdout
    assert done.returncode == code
    assert done.stderr == ("" if made else "tokentrail: nothing was sent\n")
    assert len(calls_of(server, "/v1/chat/completions")) == made


AZURE = {"AZURE_OPENAI_ENDPOINT": "https://a.example", "AZURE_OPENAI_API_KEY": "k"}


@pytest.mark.parametrize(
    ("environ", "model", "where", "asked", "key"),
    [
        (
            {"OPENAI_API_KEY": "k"},
            None,
            "https://api.openai.com/v1",
            "gpt-4o-mini",
            "OPENAI_API_KEY",
        ),
        (
            {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": " "},
            "gpt-5",
            "https://api.openai.com/v1",
            "gpt-5",
            "OPENAI_API_KEY",
        ),
        (
            {"OPENAI_API_KEY": "k", "OPENAI_API_BASE": "http://b/v1"},
            None,
            "http://b/v1",
            "gpt-4o-mini",
            "OPENAI_API_KEY",
        ),
        (
            {
                "OPENAI_API_KEY": "k",
                "OPENAI_API_BASE": "https://api.openai.com/v1",
                "OPENAI_API_DEPLOY": "gpt-4o",
            },
            None,
            "https://api.openai.com/v1",
            "gpt-4o",
            "OPENAI_API_KEY",
        ),
        (
            {**AZURE, "OPENAI_API_KEY": "o"},
            "mine",
            "https://a.example",
            "mine",
            "AZURE_OPENAI_API_KEY",
        ),
    ],
)
def test_the_environment_names_the_target(environ, model, where, asked, key):
    target = find_target(model, environ)
    assert (target.where, target.model, target.key_setting) == (where, asked, key)


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({}, "no key: set OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": ""}, "no key: set OPENAI_API_KEY"),
        (
            {"AZURE_OPENAI_ENDPOINT": "x"},
            "no key: set AZURE_OPENAI_API_KEY or OPENAI_API_KEY",
        ),
        (AZURE, "no deployment is named: give its name with --model or in OPENAI_API_DEPLOY"),
    ],
)
def test_what_the_environment_lacks_is_named(environ, complaint):
    with pytest.raises(CommandError, match=complaint) as error:
        find_target(None, environ)
    assert error.value.code == 2
