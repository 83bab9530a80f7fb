"""The command line, run as a user runs it, and in process where only the words matter."""

import io
import json
import os
import pty
import re
import subprocess
import sys

import pytest

import tokentrail
from tokentrail import cli
from tokentrail.cli import count as count_command

SAID = [{"role": "user", "content": "Tell me about Solar system"}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def run(*arguments, **kwargs):
    command = [sys.executable, "-m", "tokentrail", *arguments]
    kwargs = {"input": "", **kwargs}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=50, check=False, **kwargs
    )


@pytest.fixture
def count(capsys, monkeypatch):
    """Run ``tokentrail count`` and return exit code, output and complaint."""

    def count(*arguments, stdin=b""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            code = cli.main(["count", *arguments])
        except SystemExit as error:
            code = error.code
        return (code, *capsys.readouterr())

    return count


@pytest.fixture
def json_file(tmp_path):
    """Return what writes JSON into a file and gives its name."""

    def json_file(content):
        path = tmp_path / "said.json"
        path.write_text(json.dumps(content), "utf-8")
        return str(path)

    return json_file


@pytest.mark.parametrize(
    ("text", "model", "told"),
    [
        ("hello world", "gpt-4o", "2 tokens, o200k_base, exact\n"),
        ("hello", "gpt-4", "1 token, cl100k_base, exact\n"),
        ("", "gpt-4", "0 tokens, cl100k_base, exact\n"),
    ],
)
def test_a_text_is_counted(count, tmp_path, text, model, told):
    path = tmp_path / "text"
    path.write_text(text, "utf-8")
    assert count(text, "--model", model) == (0, told, "")
    assert count("--file", str(path), "--model", model) == (0, told, "")
    assert count("--model", model, stdin=text.encode()) == (0, told, "")
    assert count("--file", "-", "--model", model, stdin=text.encode()) == (0, told, "")


def test_messages_are_counted_as_they_are_billed(count, json_file):
    told = "12 tokens, cl100k_base, exact\n"
    assert count("--messages", json_file(SAID), "--model", "gpt-3.5-turbo-0613") == (0, told, "")
    request = {"model": "other", "messages": SAID, "stream": True}
    assert count("--messages", json_file(request), "--model", "gpt-35-turbo") == (0, told, "")


@pytest.mark.parametrize(
    ("content", "model"),
    [
        ({"messages": SAID, "tools": TOOLS}, "gpt-4o"),
        (SAID, "o4-mini"),
        ({"instructions": "Be brief.", "input": "Hello"}, "gpt-4o"),
    ],
    ids=["tools", "reasoning", "responses"],
)
def test_what_has_proven_rules_is_exact(count, json_file, content, model):
    code, output, _ = count("--messages", json_file(content), "--model", model)
    assert (code, output.endswith("exact\n")) == (0, True)


@pytest.mark.parametrize(
    "content",
    [
        [{"role": "user", "content": [{"type": "input_audio"}]}],
        {"input": SAID, "tools": [{"type": "custom", "name": "c"}]},
    ],
    ids=["audio", "a custom tool"],
)
def test_what_has_no_proven_rule_is_an_estimate(count, json_file, content):
    code, output, _ = count("--messages", json_file(content), "--model", "gpt-4o")
    assert (code, output.endswith("estimate\n")) == (0, True)


@pytest.mark.parametrize("content", [SAID, [*SAID, {"role": "assistant", "content": "Yes?"}]])
def test_the_number_is_that_of_count_tokens(count, json_file, content):
    _, told, _ = count("--messages", json_file(content), "--model", "gpt-4o", "--json")
    assert json.loads(told) == {
        "tokens": tokentrail.count_tokens(content, model="gpt-4o"),
        "model": "gpt-4o",
        "encoding": "o200k_base",
        "exact": True,
    }


def test_an_encoding_serves_a_model_that_is_not_known(count, json_file):
    assert count("hello", "--model", "mine", "--encoding", "cl100k_base")[:2] == (
        0,
        "1 token, cl100k_base, exact\n",
    )
    told = count("--messages", json_file(SAID), "--model", "mine", "--encoding", "o200k_base")[1]
    assert told.endswith("estimate\n")


def test_a_count_in_another_encoding_than_the_models_says_so(count):
    foreign = ("hello", "--model", "gpt-4o", "--encoding", "cl100k_base")
    assert count(*foreign)[1] == "1 token, cl100k_base, not as gpt-4o counts (o200k_base)\n"
    assert json.loads(count(*foreign, "--json")[1])["exact"] is False
    own = ("hello", "--model", "gpt-4o", "--encoding", "o200k_base")
    assert count(*own)[1] == "1 token, o200k_base, exact\n"


def test_a_mark_of_byte_order_is_no_token(count):
    marked = b"\xef\xbb\xbf"
    assert count("--model", "gpt-4o", stdin=marked + b"hello")[1].startswith("1 token,")
    stdin = marked + json.dumps(SAID).encode()
    assert count("--model", "gpt-4o", "--messages", "-", stdin=stdin)[1].startswith("12 tokens,")


@pytest.mark.parametrize(
    ("arguments", "stdin", "complaint"),
    [
        (["x", "--model", "nought"], b"", "--model nought has no known encoding: add --encoding"),
        (
            ["x", "--model", "m", "--encoding", "p9"],
            b"",
            "--encoding p9 is not an encoding",
        ),
        (["--file", "/nought", "--model", "gpt-4"], b"", "--file /nought: No such file"),
        (["--model", "gpt-4"], b"ab\xff", "--file -: byte 2 is not UTF-8"),
        (["--messages", "-", "--model", "gpt-4"], b"{", "--messages - is not JSON"),
        (["--messages", "-", "--model", "gpt-4"], b'"x"', "--messages - holds no messages"),
        (["--messages", "-", "--model", "gpt-4"], b"[1]", "--messages - holds no messages"),
        (["x"], b"", "the following arguments are required: --model"),
        (["x", "--file", "y", "--model", "gpt-4"], b"", "not allowed with argument"),
    ],
)
def test_an_error_says_how_to_fix_it(count, arguments, stdin, complaint):
    code, output, complained = count(*arguments, stdin=stdin)
    assert (code, output) == (2, "")
    assert complaint in complained


def test_a_terminal_is_not_waited_for(count, monkeypatch):
    class Terminal(io.TextIOWrapper):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal(io.BytesIO()))
    with pytest.raises(cli.CommandError, match="nothing to count"):
        count_command._read("-", "--file")


def test_the_error_of_deeply_nested_json_says_how_to_fix_it(count):
    code, _, complained = count("--messages", "-", "--model", "gpt-4", stdin=b"[" * 100_000)
    assert (code, complained) == (
        2,
        "tokentrail: --messages - is nested too deep: count it as text with --file\n",
    )


def test_a_closed_input_is_nothing_to_count(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(cli.CommandError, match="nothing to count"):
        count_command._read("-", "--file")


@pytest.mark.thorough
def test_it_runs_as_a_module():
    assert run("count", "--model", "gpt-4o", input="hello world").stdout.startswith("2 tokens")
    assert run("--version").stdout == f"tokentrail {tokentrail.__version__}\n"
    assert run().returncode == 2
    assert "demo" in run("--help").stdout


def test_demo_options_of_live_need_live(capsys):
    assert cli.main(["demo", "--yes"]) == 2
    assert cli.main(["demo", "--model", "gpt-4o"]) == 2
    assert "--model goes with --live only" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "package"),
    [("opentelemetry.sdk", "opentelemetry-sdk"), ("openai", "openai")],
)
def test_a_missing_package_is_named_in_one_line(tmp_path, module, package):
    done = _demo_without(module, tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"tokentrail: the demo needs {package}, not installed here:"
        " pip install 'tokentrail[demo]'\n"
    )


@pytest.mark.thorough
def test_without_rich_it_is_plainer(tmp_path):
    done = _demo_without("rich", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(
        r"^  gpt-4o-mini +completed +\S +\d+ ms +\d+ ● +\d+ ● +\$0", done.stdout, re.MULTILINE
    )
    assert re.search(r"^all +16 +\d+ +\d+ +\$0\.\d+", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("  import tokentrail\n  tokentrail.instrument()\n")


def _demo_without(module, tmp_path):
    """Run the demo with a finder in front of the others that hides a package."""
    hidden = (
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(name, *_):\n"
        f"        if name == {module!r}:\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Hide)\n"
    )
    script = tmp_path / "hidden.py"
    script.write_text(
        f"{hidden}from tokentrail.cli import main\nsys.exit(main(['demo']))\n", "utf-8"
    )
    return subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=50,
        check=False,
    )


def test_an_interrupt_is_no_traceback(capsys, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(count_command, "_run", interrupt)
    assert cli.main(["count", "x", "--model", "gpt-4"]) == 130
    assert capsys.readouterr().err == "tokentrail: interrupted\n"


def _terminal_said(*arguments):
    """Run a command whose standard error is a terminal; return its output and what that showed."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "tokentrail", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=its, timeout=50, check=False)
    os.close(its)
    try:
        return done.stdout.decode(), os.read(ours, 1024).decode()
    finally:
        os.close(ours)


@pytest.mark.thorough
def test_a_slow_step_shows_a_status_on_a_terminal_and_removes_it():
    told, shown = _terminal_said("doctor", "--json")
    assert json.loads(told)["problems"] == []
    json_file, blank, rest = shown.split("\r")
    assert json_file == "checking the client and the encodings ..."
    assert (blank, rest) == (" " * len(json_file), "")


@pytest.mark.thorough
def test_nothing_is_printed_of_it_without_a_terminal():
    assert run("doctor", "--json").stderr == ""
