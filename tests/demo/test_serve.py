"""``tokentrail demo --serve``: the embedded server alone, for programs of the user's own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import openai
import pytest

from tokentrail import cli
from tokentrail.testing.server import Plain, Server

COMMAND = [sys.executable, "-m", "tokentrail", "demo", "--serve"]


def test_it_says_how_to_reach_it_and_answers_until_it_is_interrupted():
    process = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output = process.stdout.readline()
        url = re.fullmatch(r"export OPENAI_BASE_URL=(\S+) OPENAI_API_KEY=none\n", output)[1]
        with openai.OpenAI(base_url=url, api_key="none") as client:
            asked = [{"role": "user", "content": "Why is the night dark?"}]
            answer = client.chat.completions.create(model="gpt-4o-mini", messages=asked)
        assert answer.choices[0].message.content.startswith("Because the universe is young.")
        process.send_signal(signal.SIGINT)
        _, problems = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert problems == ""


def test_a_port_that_is_taken_is_named(capsys):
    with Server(lambda call: Plain({})) as server:
        port = server.url.rpartition(":")[2]
        assert cli.main(["demo", "--serve", port]) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--serve", "http"], "'http' is not a port: use a number from 0 to 65535"),
        (["--serve", "70000"], "'70000' is not a port"),
        (["--serve", "--live"], "not allowed with argument"),
    ],
)
def test_what_cannot_be_served_is_refused(arguments, said, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["demo", *arguments])
    assert left.value.code == 2
    assert said in capsys.readouterr().err
