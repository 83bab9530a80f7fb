"""``tokentrail explain``: a table and a page of requests, exchanges, recorded calls and traces."""

from __future__ import annotations

import json
import re

import pytest
from tests.calibration.biller import text, tool

from tokentrail.cli import main

pytestmark = pytest.mark.usefixtures("encodings")

SECRET = "hello"
"""All that is said."""
TALK = [
    {"role": "system", "content": text(1500)},
    {"role": "user", "content": text(6)},
]
MORE = [{"role": "assistant", "content": text(3)}, {"role": "user", "content": text(2)}]


def _request(*messages, tools=("look",)):
    return {"model": "gpt-4o", "messages": list(messages), "tools": [tool(n) for n in tools]}


def _exchange(request, billed, cached):
    details = {"prompt_tokens_details": {"cached_tokens": cached}}
    usage = {"prompt_tokens": billed, "completion_tokens": 2, **details}
    return {"request": request, "response": {}, "usage": usage}


def _explain(capsys, tmp_path, *lines, options=()):
    file = tmp_path / "given"
    file.write_text("\n".join(json.dumps(line) for line in lines))
    code = main(["explain", str(file), *options])
    output = capsys.readouterr()
    return code, output.out, output.err


def _rows(printed):
    """Return name, tokens and worth of each row."""
    row = re.compile(r"^    (\S+) +([\d,]+) +\d+% .*?(\w+)$", re.MULTILINE)
    return [(m[1], int(m[2].replace(",", "")), m[3]) for m in row.finditer(printed)]


def test_one_request_by_part_message_and_tool(capsys, tmp_path):
    """Around each message stand 3 tokens and its role, before the whole 3."""
    asked = {"model": "gpt-4o", "messages": [*TALK, *MORE]}
    code, printed, _ = _explain(capsys, tmp_path, asked)
    assert code == 0
    assert printed.startswith("gpt-4o, 1,530 input tokens, counted\n")
    assert _rows(printed) == [
        ("instructions", 1504, "counted"),
        ("history", 10 + 7, "counted"),
        ("user", 6, "counted"),
        ("other", 3, "counted"),
        ("request", 3, "counted"),
        ("messages[0]", 1504, "counted"),
        ("messages[1]", 10, "counted"),
        ("messages[2]", 7, "counted"),
        ("messages[3]", 6, "counted"),
    ]
    assert max(map(len, printed.splitlines())) <= 80


def test_what_broke_the_cache_between_turns(capsys, tmp_path):
    """1,600 are 12 steps of 128, and 1,700 are 13."""
    first, second = _request(*TALK), _request(*TALK, *MORE)
    third = _request(*TALK, *MORE, *MORE, tools=("look", "search"))
    lines = [(first, 1600, 0), (second, 1700, 1536), (third, 1800, 0)]
    code, printed, _ = _explain(capsys, tmp_path, *(_exchange(*line) for line in lines))
    assert code == 0
    assert [line.strip() for line in printed.splitlines() if "cache:" in line] == [
        "cache: no earlier request has the same beginning",
        "cache: 1,536 tokens could be served, 1,536 were read",
        "cache: 1,664 tokens could be served, 0 were read, 1,664 missed: tools_changed",
    ]


def test_requests_alone_show_what_differs(capsys, tmp_path):
    """Nobody says what was served of them; the first is counted as some 1,560 tokens."""
    changed = _request(*TALK, *MORE, tools=("look", "search"))
    _, printed, _ = _explain(capsys, tmp_path, _request(*TALK), changed)
    assert (
        "cache: 1,536 tokens could be served, it is not known how much was (tools_changed)"
        in " ".join(printed.split())
    )


def test_half_a_surrogate_pair_is_explained_as_any_text(capsys, tmp_path):
    """It counts as U+FFFD, one token; the next turn shares the prefix with it."""
    half = {"role": "user", "content": "\ud83d" + text(1500)}
    lines = [(_request(half), 1600, 0), (_request(half, *MORE), 1700, 1536)]
    code, printed, _ = _explain(capsys, tmp_path, *(_exchange(*line) for line in lines))
    assert code == 0
    assert "cache: 1,536 tokens could be served, 1,536 were read" in printed


CONTENT = {
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": text(6)}]}]
    ),
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": text(1500)}]),
}
RECORDED = {
    "version": 1,
    "span_id": "1",
    "start_time": "2026-11-28T10:00:00+00:00",
    "model": "gpt-4o",
    "input_source": "reported",
    "input_tokens": 1600,
    "cached_tokens": None,
    "content": CONTENT,
}
ATTRIBUTES = {
    **CONTENT,
    "gen_ai.request.model": "gpt-4o",
    "tokentrail.usage.input.source": "reported",
}
SPAN = {
    "startTimeUnixNano": "1000",
    "attributes": [
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "1600"}},
        *({"key": key, "value": {"stringValue": value}} for key, value in ATTRIBUTES.items()),
    ],
}
TRACE = {"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": []}, SPAN]}]}]}


@pytest.mark.parametrize("line", [RECORDED, TRACE], ids=["recorded call", "trace"])
def test_calls_that_tokentrail_recorded(capsys, tmp_path, line):
    """1,600 of 1,517 that are counted: the rest is shared out."""
    code, printed, _ = _explain(capsys, tmp_path, line)
    assert code == 0
    assert printed.startswith("gpt-4o, 1,600 input tokens, reported\n")
    parts = _rows(printed)[:3]
    assert [name for name, *_ in parts] == ["instructions", "user", "other"]
    assert sum(tokens for _, tokens, _ in parts) == 1600
    assert {worth for *_, worth in parts} == {"approximated"}


def test_a_page_that_needs_nothing_else_and_quotes_nothing(capsys, tmp_path):
    page = tmp_path / "page.html"
    odd = _request(*TALK, tools=("<script>",))
    code, printed, _ = _explain(capsys, tmp_path, odd, options=["--html", str(page)])
    written = page.read_text()
    assert code == 0
    assert "&lt;script&gt;" in written
    assert not re.search(r"<script|src=|href=\"(?!#)|url\(|@import", written)
    assert SECRET not in written
    assert SECRET not in printed


@pytest.mark.parametrize(
    ("line", "options", "complaint"),
    [
        ("no request", [], "has no request in JSON"),
        ({"messages": TALK}, [], "name one, for example --model"),
        (_request(*TALK), ["--html", "/nowhere/page.html"], "name a file that can be written"),
    ],
)
def test_an_error_says_why_nothing_can_be_explained(capsys, tmp_path, line, options, complaint):
    code, _, error = _explain(capsys, tmp_path, line, options=options)
    assert code == 2
    assert complaint in error


def test_a_list_of_messages_needs_a_model(capsys, tmp_path):
    code, printed, _ = _explain(capsys, tmp_path, TALK, options=["--model", "gpt-4o"])
    assert code == 0
    assert printed.startswith("gpt-4o, 1,517 input tokens, counted\n")
