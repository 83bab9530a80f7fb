"""The rules of counting: one table, and what recorded exchanges say of each."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.shared import A_TEST as ANSWER
from tools.rules import Counted, evidence, table

from tokentrail.counting import ENCODINGS, RULES, InputTally, Part, RuleId, is_proven, proves
from tokentrail.counting.evidence import EVIDENCE, Evidence
from tokentrail.model.records import Message, Prompt

ROOT = Path(__file__).parents[2]
TEXT, TITLE, ARRAY = RuleId.MESSAGES, RuleId.DECLARED_TITLE, RuleId.DECLARED_ARRAY


def test_every_rule_is_in_the_table_once_and_all_evidence_is_of_a_rule():
    assert sorted(rule.id for rule in RULES) == sorted(RuleId)
    assert set(EVIDENCE) <= {rule.value for rule in RuleId}


def test_the_page_has_the_evidence_of_each_rule():
    """The same numbers, and the same verdict, stand in docs/accuracy.md."""
    page = (ROOT / "docs" / "accuracy.md").read_text("utf-8").splitlines()
    shown = list(table(EVIDENCE))
    assert [line for line in page if line in shown] == shown


@pytest.mark.parametrize(
    ("found", "enough"),
    [
        (Evidence(), False),
        (Evidence(50, 0, 1, 5), False),
        (Evidence(50, 0, 5, 1), False),
        (Evidence(2, 0, 2, 2), True),
        (Evidence(99, 1, 5, 5), False),
        (Evidence(100, 1, 5, 5), True),
        (Evidence(200, 3, 5, 5), False),
        (Evidence(published=2), False),
        (Evidence(published=3), True),
        (Evidence(0, 1, published=3), False),
    ],
)
def test_a_rule_is_proven_by_two_projects_and_months_and_hardly_contradicted(found, enough):
    assert proves(TEXT, found) is enough


def test_what_was_not_understood_is_never_proven():
    for rule in (RuleId.NOT_READ, RuleId.ANSWER_NOT_READ, RuleId.SCHEMA_CLASS):
        assert not proves(rule, Evidence(1000, 0, 10, 10, 10))


def test_one_part_without_a_proven_rule_makes_the_whole_a_guess():
    o200k = ENCODINGS.load("o200k_base")
    sealed = Message("reasoning", sealed=2_200)
    for more, exact in (((), True), ((sealed,), False)):
        tally = InputTally(Prompt(messages=(Message("user", ("hello",)), *more)))
        for _ in tally.steps(o200k, "gpt-5"):
            pass
        assert tally.exact is exact
        assert tally.measured
        assert tally.tokens == sum(part.tokens for part in tally.parts) == 7 + 200 * len(more)
    assert [part.rule for part in tally.parts if not is_proven(part.rule)] == [
        RuleId.REASONING_SEALED
    ]


def one(project, month, error, *rules):
    parts = (Part(TEXT, 10 + error), *(Part(rule, 0) for rule in rules))
    return Counted("x", project, month, "input", 10, parts, True, "counted", "gpt-4o")


def test_an_exchange_that_is_off_contradicts_its_most_doubtful_rule_alone():
    found = evidence(
        [
            one("a", "2026-01", 0),
            one("b", "2026-02", 0, TITLE),
            one("b", "2026-02", -1, TITLE, ARRAY),
            one("c", "2026-03", 5, ARRAY),
        ]
    )
    assert found[TEXT.value] == Evidence(2, 0, 2, 2, 0, 4, 1)
    assert found[TITLE.value] == Evidence(1, 0, 1, 1, 0, 2, 0)
    assert found[ARRAY.value] == Evidence(0, 2, 0, 0, 0, 2, 1)


def test_of_what_was_not_understood_nothing_is_evidence():
    found = evidence([one("a", "2026-01", -5, RuleId.NOT_READ), one("a", "2026-01", 0)])
    assert found[TEXT.value] == Evidence(1, 0, 1, 1, 0, 2, 1)
    assert found[RuleId.NOT_READ.value] == Evidence(used=1, off=1)


def test_the_table_says_of_each_rule_what_it_is_for():
    rows = list(table({TEXT.value: Evidence(200, 1, 3, 4, 5, 210, 2)}))
    assert len(rows) == 2 + len(RULES)
    (row,) = (row for row in rows if row.startswith(f"| {TEXT.value} |"))
    assert row.endswith("| 200 | 1 | 3 | 4 | 5 | 2 of 210 | yes |")


SAID = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say this is a test"}]}
CHUNKS = [
    {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": reason}],
    }
    for piece, reason in (("A test", None), (".", "stop"))
]


def test_your_own_exchanges_are_replayed_and_their_content_is_not_printed(tmp_path):
    """Packed or not, plain or streamed; what is off is named by its id, its rules and numbers."""
    common = {"api": "chat", "request": SAID, "repo": "mine", "when": "2026-01-02"}
    right = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    plain = {**common, "id": "plain", "response": ANSWER, "response_usage": right}
    wrong = {**common, "id": "wrong", "response": CHUNKS}
    wrong["response_usage"] = {"prompt_tokens": 14, "completion_tokens": 3, "total_tokens": 17}
    (tmp_path / "a.jsonl").write_text(json.dumps(plain) + "\n")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(json.dumps(wrong).encode()))
    done = subprocess.run(
        [sys.executable, "-m", "tools.rules", *map(str, sorted(tmp_path.iterdir())), "--wrong"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    *_, last = done.stdout.splitlines()
    assert last == "wrong input gpt-4o-mini counted -2 input.messages=12"
    assert "| input.messages | models that do not reason |" in done.stdout
    assert "this is a test" not in done.stdout
    assert any(
        line.startswith("| output.text |") and "| 2 | 0 | 1 | 1 |" in line
        for line in done.stdout.splitlines()
    )
