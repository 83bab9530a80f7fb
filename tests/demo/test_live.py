"""``tokentrail demo --live`` against the stand-in model, as if it were the user's own endpoint."""

import contextlib
import io
import socket
from dataclasses import dataclass

import pytest

from tokentrail import cli
from tokentrail.demo.error import DemoError
from tokentrail.demo.live import LIMIT, QUESTION
from tokentrail.demo.target import find_target
from tokentrail.testing.model import Model
from tokentrail.testing.server import Event, Plain, Server, Stream

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
    # Building an encoding on a machine that is busy with tests may take its time.
    monkeypatch.setenv("TOKENTRAIL_COUNT_TIMEOUT", "20")

    def run(*arguments, typed="", **environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.stdin", Stdin(typed))
        code = cli.main(["demo", "--live", *arguments])
        return Done(code, *capsys.readouterr())

    return run


def calls_of(server, path):
    return [call for call in server.calls if call.path == path]


def test_three_calls_are_made_and_recorded(run, server):
    done = run("--yes", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)
    assert (done.returncode, done.stderr) == (0, "")
    offered = " ".join(done.stdout.split())
    assert f"3 calls to gpt-4o-mini at {server.base_url}, usually about 150" in offered
    assert "1,560 at most (500 for an answer), paid by the key in OPENAI_API_KEY." in offered
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
    assert [call.body.get("max_completion_tokens") for call in calls] == [LIMIT] * 3
    assert not any("max_tokens" in call.body for call in calls)


@pytest.mark.parametrize(
    "names",
    [
        ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "OPENAI_API_DEPLOY"),
        ("OPENAI_API_BASE", "OPENAI_API_KEY", "OPENAI_API_DEPLOY"),
    ],
    ids=["today", "notebooks"],
)
def test_azure_is_called_by_todays_variables_and_by_the_notebooks(run, server, names):
    # Its host does not say so, as one of Azure's does.
    azure = {"OPENAI_API_TYPE": "azure"} if "OPENAI_API_BASE" in names else {}
    environ = dict(zip(names, (server.url, KEY, "mine"), strict=True)) | azure
    done = run("--yes", **environ)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.rstrip() for line in done.stdout.splitlines() if " completed " in line]
    assert [line.split()[-2] for line in rows if "mine →" in line] == ["●", "●", "◆"]
    assert done.stdout.split().count("gpt-4o-2024-") == done.stdout.split().count("08-06") == 3
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
    assert "fix the address in OPENAI_BASE_URL" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def answering():
    """Serve one reply to every call."""
    with contextlib.ExitStack() as stack:
        yield lambda reply: stack.enter_context(Server(lambda _: reply))


@pytest.mark.parametrize(
    "reply",
    [
        Plain(b"<html>hello</html>", headers={"content-type": "text/html"}),
        Plain(b"<html>hello</html>"),
        Plain({"hello": "world"}),
        Plain({"choices": []}),
    ],
    ids=["a page", "a page said to be JSON", "other JSON", "no choice"],
)
def test_what_is_no_api_of_openais_is_explained(run, answering, reply):
    server = answering(reply)
    done = run("--yes", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
    assert done.returncode == 1
    assert done.stderr == (
        f"tokentrail: {server.url} answers, but not as an OpenAI API does:"
        " fix the address in OPENAI_BASE_URL\n"
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "The quota\nis used up."}}, "429: The quota is used up."),
        (b"<p>busy</p>" * 100, f"429: {(b'<p>busy</p>' * 100)[:200].decode()} ..."),
    ],
    ids=["JSON", "a page"],
)
def test_any_other_refusal_is_shown_in_one_short_line(run, answering, body, said):
    server = answering(Plain(body, status=429))
    done = run("--yes", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
    assert (done.returncode, done.stderr) == (1, f"tokentrail: {server.url} answers {said}\n")


def test_a_stream_that_is_no_json_is_explained(run):
    whole = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Nile."}}]}
    stream = Stream((Event("<html>"),))
    with Server(lambda call: stream if call.body.get("stream") else Plain(whole)) as server:
        done = run("--yes", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
    assert done.returncode == 1
    assert "answers, but not as an OpenAI API does: fix the address" in done.stderr


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("\u201csk-secret\u201d", "the key in OPENAI_API_KEY holds a character that no key has"),
        ("sk-\nsecret", "the key in OPENAI_API_KEY holds a character that no key has"),
    ],
    ids=["typographic quotes", "a line break inside"],
)
def test_a_key_that_cannot_be_sent_is_named_and_not_shown(run, server, key, complaint):
    done = run("--yes", OPENAI_API_KEY=key, OPENAI_BASE_URL=server.base_url)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "secret" not in done.stdout + done.stderr
    assert server.calls == []


def test_a_line_break_after_a_value_is_no_part_of_it(run, server):
    done = run("--yes", OPENAI_API_KEY=f"{KEY}\n", OPENAI_BASE_URL=f" {server.base_url}\n")
    assert (done.returncode, done.stderr) == (0, "")
    calls = calls_of(server, "/v1/chat/completions")
    assert {call.headers["authorization"] for call in calls} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("organization", ["org-\nsecret", "\u201corg-secret"])
def test_another_header_that_cannot_be_sent_is_explained_and_not_shown(run, server, organization):
    environ = {"OPENAI_BASE_URL": server.base_url, "OPENAI_ORG_ID": organization}
    done = run("--yes", OPENAI_API_KEY=KEY, **environ)
    assert done.returncode == 1
    assert done.stderr.startswith("tokentrail: a header cannot be sent: OPENAI_ORG_ID")
    assert "secret" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "address", ["http://[::1", "127.0.0.1:8000/v1", "http://:8000/v1", "http://h:port/v1", "v1"]
)
def test_what_is_no_address_is_explained_before_anything_is_asked(run, address):
    done = run(typed="y\n", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=address)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "tokentrail: OPENAI_BASE_URL holds no address:"
        " write it as https://HOST/v1 or http://HOST:PORT/v1\n"
    )


def test_an_address_that_the_client_refuses_is_explained_before_anything_is_asked(run):
    address = f"http://{'a' * 64}.\u00df\u2028/v1"
    done = run(typed="y\n", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=address)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tokentrail: no client can be made for http://aaa")
    assert done.stderr.endswith("fix the address in OPENAI_BASE_URL\n")


def test_a_password_in_an_address_is_not_shown(run, server):
    address = server.base_url.replace("//", "//me:secret@")
    done = run("--yes", OPENAI_API_KEY="wrong", OPENAI_BASE_URL=address)
    assert done.returncode == 1
    assert server.base_url in done.stdout
    assert f"{server.base_url} refuses the key" in done.stderr
    assert "secret" not in done.stdout + done.stderr


def _refusing(name):
    """Answer as a server that does not know a parameter, and else as a model."""
    model = Model(api_key=KEY)
    message = f"Unrecognized request argument supplied: {name}"

    def respond(call):
        refused = name in call.body
        return Plain({"error": {"message": message}}, status=400) if refused else model(call)

    return respond


def test_an_endpoint_that_knows_only_max_tokens_is_asked_by_that_name(run):
    with Server(_refusing("max_completion_tokens")) as server:
        done = run("--yes", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)
        limits = [
            (call.body.get("max_completion_tokens"), call.body.get("max_tokens"))
            for call in server.calls
        ]
    assert (done.returncode, done.stderr) == (0, "")
    assert limits == [(LIMIT, None), *[(None, LIMIT)] * 3]
    rows = [line.split("gpt-4o-mini") for line in done.stdout.splitlines()[4:]]
    assert [(row[0].strip(), row[1].split()[0]) for row in rows if len(row) > 1] == [
        ("plain", "failed"),
        ("plain, again", "completed"),
        ("stream with usage", "completed"),
        ("stream", "completed"),
    ]


def test_another_refusal_is_not_asked_again(run):
    with Server(_refusing("messages")) as server:
        done = run("--yes", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)
        assert len(server.calls) == 1
    assert done.returncode == 1
    assert "answers 400: Unrecognized request argument supplied: messages\n" in done.stderr


def test_without_a_key_nothing_is_tried(run):
    done = run("--yes")
    assert done.returncode == 2
    assert done.stderr.startswith("tokentrail: no key: set OPENAI_API_KEY, or leave --live out")


def test_no_terminal_to_ask_on_is_an_error(run, server):
    done = run(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)
    assert done.returncode == 2
    assert "add --yes to make the calls without asking" in done.stderr
    assert calls_of(server, "/v1/chat/completions") == []


def test_no_input_at_all_is_an_error(run, server, monkeypatch):
    monkeypatch.setattr(f"{__name__}.Stdin", lambda _: None)
    done = run(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)
    assert done.returncode == 2
    assert "add --yes to make the calls without asking" in done.stderr


def test_an_input_that_ends_is_no_consent(run, server, monkeypatch):
    monkeypatch.setattr(Stdin, "isatty", lambda _: True)
    done = run(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)
    assert (done.returncode, done.stderr) == (1, "tokentrail: nothing was sent\n")
    assert done.stdout.endswith("Go on? [y/N] \n")
    assert server.calls == []


@pytest.mark.parametrize(("answer", "code", "made"), [("n", 1, 0), ("", 1, 0), ("y", 0, 3)])
def test_it_asks_before_it_spends(run, server, answer, code, made):
    done = run(typed=f"{answer}\n", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)
    assert "Go on? [y/N]" in done.stdout
    assert done.returncode == code
    assert done.stderr == ("" if made else "tokentrail: nothing was sent\n")
    assert len(calls_of(server, "/v1/chat/completions")) == made


KEYED = {"OPENAI_API_KEY": "k"}
AZURE = {"AZURE_OPENAI_ENDPOINT": "https://a.example", "AZURE_OPENAI_API_KEY": "k"}
DEPLOYED = {**KEYED, "OPENAI_API_DEPLOY": "mine"}


@pytest.mark.parametrize(
    ("environ", "model", "where", "asked", "key"),
    [
        (KEYED, None, "https://api.openai.com/v1", "gpt-4o-mini", "OPENAI_API_KEY"),
        (
            {**KEYED, "OPENAI_BASE_URL": " "},
            "gpt-5",
            "https://api.openai.com/v1",
            "gpt-5",
            "OPENAI_API_KEY",
        ),
        (
            {**KEYED, "OPENAI_API_BASE": "http://b/v1"},
            None,
            "http://b/v1",
            "gpt-4o-mini",
            "OPENAI_API_KEY",
        ),
        (
            {**AZURE, "OPENAI_API_KEY": "o"},
            "mine",
            "https://a.example",
            "mine",
            "AZURE_OPENAI_API_KEY",
        ),
        (
            {
                **DEPLOYED,
                "OPENAI_API_BASE": "https://a.openai.azure.com",
                "AZURE_OPENAI_API_KEY": "a",
            },
            None,
            "https://a.openai.azure.com",
            "mine",
            "OPENAI_API_KEY",
        ),
    ],
)
def test_the_environment_names_the_target(environ, model, where, asked, key):
    target = find_target(model, environ)
    assert (target.where, target.model, target.key_setting) == (where, asked, key)


@pytest.mark.parametrize(
    ("environ", "kind", "called"),
    [
        (KEYED, "OpenAI", "https://api.openai.com/v1/"),
        ({"OPENAI_API_BASE": "http://127.0.0.1:8000/v1"}, "OpenAI", "http://127.0.0.1:8000/v1/"),
        ({"OPENAI_API_BASE": "https://eu.api.openai.com/v1"}, "OpenAI", None),
        ({"OPENAI_API_BASE": "https://openai.azure.com.example/v1"}, "OpenAI", None),
        ({"OPENAI_API_BASE": "https://a.openai.azure.com/"}, "AzureOpenAI", None),
        ({"OPENAI_API_BASE": "https://a.openai.azure.us"}, "AzureOpenAI", None),
        ({"OPENAI_API_BASE": "https://a.openai.azure.cn"}, "AzureOpenAI", None),
        ({"OPENAI_BASE_URL": "https://A.Services.AI.Azure.com"}, "AzureOpenAI", None),
        ({"OPENAI_API_BASE": "https://a.cognitiveservices.azure.com"}, "AzureOpenAI", None),
        (
            {"OPENAI_API_BASE": "http://127.0.0.1:8000", "OPENAI_API_TYPE": "azure"},
            "AzureOpenAI",
            "http://127.0.0.1:8000/openai/",
        ),
        (
            {"OPENAI_API_BASE": "https://a.openai.azure.com/openai/v1/"},
            "OpenAI",
            "https://a.openai.azure.com/openai/v1/",
        ),
        (
            {"AZURE_OPENAI_ENDPOINT": "https://a.example/openai/v1"},
            "OpenAI",
            "https://a.example/openai/v1/",
        ),
    ],
)
def test_who_answers_there_chooses_the_client(environ, kind, called):
    """The script of the notebooks chooses the same, by the same addresses."""
    with find_target(None, {**DEPLOYED, **environ}).connect() as client:
        assert type(client).__name__ == kind
        assert called in (None, f"{str(client.base_url).rstrip('/')}/")


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({}, "no key: set OPENAI_API_KEY"),
        ({"OPENAI_API_KEY": ""}, "no key: set OPENAI_API_KEY"),
        (
            {"AZURE_OPENAI_ENDPOINT": "https://a.example"},
            "no key: set AZURE_OPENAI_API_KEY or OPENAI_API_KEY",
        ),
        (AZURE, "no deployment is named: give its name with --model or in OPENAI_API_DEPLOY"),
        (
            {**KEYED, "OPENAI_API_BASE": "https://a.openai.azure.com/openai/v1"},
            "OPENAI_API_BASE names Azure, but no deployment is named",
        ),
        ({**DEPLOYED, "OPENAI_API_TYPE": "azure"}, "says azure, but no endpoint is named"),
    ],
)
def test_what_the_environment_lacks_is_named(environ, complaint):
    with pytest.raises(DemoError, match=complaint) as error:
        find_target(None, environ)
    assert error.value.code == 2
