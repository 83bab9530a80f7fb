"""``tokentrail check-counts``: exchanges of one's own, counted again beside their bills."""

from __future__ import annotations

import gzip
import json

import pytest
from tests.shared import A_TEST as ANSWER

from tokentrail import cli

SECRET = "a secret of mine"
SAID = [{"role": "user", "content": "Say this is a test"}]
"""12 tokens."""
TOOL = {"type": "function", "name": SECRET, "parameters": {"type": "object", "properties": {}}}


def usage(given, made):
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}


def chat(given=12, made=3, **more):
    request = {"model": "gpt-4o-mini", "messages": SAID, **more}
    return {"request": request, "response": ANSWER, "usage": usage(given, made)}


def streamed(given=12):
    """Return an exchange whose bill stands at the end of its stream."""
    pieces = [("A test", None), (".", "stop")]
    head = {"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o-mini"}
    chunks = [
        {**head, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": reason}]}
        for piece, reason in pieces
    ]
    last = {**head, "choices": [], "usage": usage(given, 3)}
    return {"request": {"model": "gpt-4o-mini", "messages": SAID}, "response": [*chunks, last]}


@pytest.fixture
def check(capsys, tmp_path):
    """Run the command on exchanges; return exit code, output and complaint."""

    def check(*exchanges, options=()):
        lines = [one if isinstance(one, str) else json.dumps(one) for one in exchanges]
        path = tmp_path / "exchanges.jsonl.gz"
        path.write_bytes(gzip.compress("\n".join(lines).encode()))
        try:
            code = cli.main(["check-counts", str(path), *options])
        except SystemExit as error:
            code = error.code
        return (code, *capsys.readouterr())

    return check


def test_counts_that_agree_are_summed_up_by_kind(check):
    code, output, complaint = check(chat(), streamed())
    assert (code, complaint) == (0, "")
    assert output.splitlines() == [
        "Counts and bills of 2 exchanges",
        "",
        "                      counts      known      wrong    visible  estimates  >10 % off",
        "input   chat text          2          2          0          0          0          0",
        "output  chat text          2          2          0          0          0          0",
    ]


def test_each_difference_is_shown_with_its_number_size_and_rules(check):
    code, output, _ = check(chat(14), streamed(14), chat(11))
    assert code == 1
    assert output.splitlines()[-4:] == [
        "    2x -2  input  chat text  gpt-4o-mini  counted  billed 14",
        "       input.messages 12",
        "    1x +1  input  chat text  gpt-4o-mini  counted  billed 11",
        "       input.messages 12",
    ]


def test_a_report_has_no_content_and_no_name_of_the_user(check):
    request = {
        "model": "ft:gpt-4o-mini:acme::1",
        "instructions": SECRET,
        "input": SECRET,
        "tools": [TOOL],
        "metadata": {"user": "acme"},
    }
    item = {"type": "message", "content": [{"type": "output_text", "text": SECRET}]}
    answer = {"id": "resp_1", "model": "acme", "status": "completed", "output": [item]}
    own = {"request": {**request, "model": "acme"}, "response": answer, "usage": usage(99, 99)}
    tuned = {"request": request, "response": {**answer, "model": request["model"]}}
    tuned["usage"] = usage(98, 98)
    for options in ((), ("--json",)):
        _, told, complaint = check(own, tuned, "acme", options=options)
        assert "gpt-4o-mini" in told
        assert "another model" in told
        for private in ("secret", "acme"):
            assert private not in told + complaint


def test_as_an_object_it_is_for_programs(check):
    code, output, _ = check(chat(14), options=("--json",))
    made = json.loads(output)
    assert (code, made["is_right"], made["exchanges"]) == (1, False, 1)
    assert made["differences"] == [
        {
            "direction": "input",
            "kind": "chat text",
            "model": "gpt-4o-mini",
            "source": "counted",
            "off": -2,
            "times": 1,
            "billed": 14,
            "rules": {"input.messages": 12},
        }
    ]


def test_of_what_only_the_server_knows_there_is_no_count(check):
    asked = {"model": "gpt-4o", "input": "Hello", "previous_response_id": "resp_1"}
    item = {"type": "message", "content": [{"type": "output_text", "text": "Hi."}]}
    answer = {"id": "resp_2", "model": "gpt-4o", "status": "completed", "output": [item]}
    stored = {"request": asked, "response": {**answer, "usage": usage(900, 3)}}
    code, output, _ = check(stored)
    assert code == 0
    assert "1 inputs cannot be counted" in output
    assert "input   responses" not in output


BROKEN = {
    "no JSON": ("{", "it is not JSON"),
    "no object": ("[]", "it is not an object"),
    "no request": ({"response": {}, "usage": usage(1, 1)}, "it has no request"),
    "no answer": ({"request": {"messages": SAID}, "usage": usage(1, 1)}, "it has no response"),
    "no bill": ({"request": {"messages": SAID}, "response": ANSWER}, "it has no usage"),
    "another API": (
        {"request": {"image": "x"}, "response": {}, "usage": usage(1, 1)},
        "its request belongs to no API that is counted",
    ),
}


@pytest.mark.parametrize(("line", "why"), BROKEN.values(), ids=BROKEN)
def test_a_line_that_is_no_exchange_is_left_out_and_named(check, line, why):
    code, output, complaint = check(chat(), line, chat())
    assert code == 0
    assert output.startswith("Counts and bills of 2 exchanges")
    assert complaint.endswith(f"exchanges.jsonl.gz:2: {why}\n")
    code, output, complaint = check(line)
    assert (code, output) == (2, "")
    assert "no line is an exchange" in complaint


def test_a_file_that_is_not_there_is_named(capsys):
    assert cli.main(["check-counts", "/nowhere.jsonl"]) == 2
    assert "/nowhere.jsonl: No such file" in capsys.readouterr().err
