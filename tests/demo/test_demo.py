"""The demonstration, run in a process of its own: what it prints against numbers that are known.

The stand-in model's texts are tokens piece by piece (tests/server proves it), so what it would
bill is known where it says nothing, and a count of ours must equal it.
"""

import os
import re
import subprocess
import sys

import pytest

from tokentrail.demo.scenes import AT_ONCE, BREAK_AFTER
from tokentrail.testing.exchanges import BIRDS, EXCHANGES, LAMP, NIGHT, SALT, TOWN, TURTLE, WEATHER
from tokentrail.testing.payloads import pieces

FRAME = 7
"""Tokens of a prompt of one message, beside its text."""


def run(*arguments, **environ):
    environ = {**os.environ, "PYTHONIOENCODING": "utf-8", "TOKENTRAIL_STRICT": "1", **environ}
    return subprocess.run(
        [sys.executable, "-m", "tokentrail", "demo", *arguments],
        capture_output=True,
        encoding="utf-8",
        env=environ,
        timeout=50,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture(scope="module")
def printed():
    # what is counted does not depend on how long an encoding takes to load here, nor the table on
    # which calls are chosen to be verified
    done = run(
        TOKENTRAIL_PRELOAD_ENCODINGS="cl100k_base,o200k_base",
        TOKENTRAIL_COUNT_VERIFICATION_RATIO="1",
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def asked(*exchanges):
    return sum(FRAME + len(pieces(exchange.question)) for exchange in exchanges)


def answered(*exchanges):
    return sum(len(pieces(exchange.answer)) for exchange in exchanges)


ROW = re.compile(
    r" (\S.*?) +((?:gpt|o4|help).*?) +(completed|closed early|failed)"
    r" +(–|-|[\d.]+ m?s) +([\d.]+ m?s) +(–|-|\d+ \S) +(–|-|\d+ \S) +(–|-|\$0\.\d+) *"
)


def row(printed, name):
    """Return the cells of a call's row."""
    rows = [found.groups() for line in printed.splitlines() if (found := ROW.fullmatch(line))]
    assert len(rows) == 9
    (cells,) = [cells for cells in rows if cells[0] == name]
    return cells[:-1]


def cost(printed, name):
    """Return the last cell of a call's row."""
    (found,) = re.findall(rf"^ {name} .* (\S+) *$", printed, re.MULTILINE)
    return found


MANY = [EXCHANGES[number % len(EXCHANGES)] for number in range(AT_ONCE)]


@pytest.mark.parametrize(
    ("name", "model", "ended", "tokens"),
    [
        ("plain", "gpt-4o-mini", "completed", (asked(SALT), "●", answered(SALT), "●")),
        ("stream with usage", "gpt-4o-mini", "completed", (asked(LAMP), "●", answered(LAMP), "●")),
        ("stream", "gpt-4.1", "completed", (asked(BIRDS), "◆", answered(BIRDS), "◆")),
        ("stream, half read", "gpt-4o-mini", "closed early", (asked(TOWN), "◆", BREAK_AFTER, "◆")),
        (
            "stream from Azure",
            "help →",
            "completed",
            (asked(NIGHT), "◆", answered(NIGHT), "◆"),
        ),
        (
            "reasoning stream",
            "o4-mini",
            "completed",
            (asked(TURTLE) - 1, "◆", answered(TURTLE), "◐"),
        ),
        ("8 async streams", "gpt-4o", "completed", (asked(*MANY), "◆", answered(*MANY), "◆")),
    ],
)
def test_a_row_shows_the_known_numbers(printed, name, model, ended, tokens):
    cells = row(printed, name)
    told = ("{} {}".format(*tokens[:2]), "{} {}".format(*tokens[2:]))
    assert (*cells[:3], *cells[-2:]) == (name, model, ended, *told)


def test_times_stand_where_there_are_any(printed):
    assert row(printed, "plain")[3] == "–"
    assert row(printed, "stream")[3].endswith("s")


def test_a_tool_call_is_reported(printed):
    assert row(printed, "tool call")[-1] == "14 ●"


def test_each_call_with_a_price_has_its_cost(printed):
    """Of gpt-4o-mini 15 cents a million in, 60 out; thought that nobody saw has no price."""
    (input_tokens, output_tokens) = asked(SALT), answered(SALT)
    amount = (input_tokens * 0.15 + output_tokens * 0.6) / 1e6
    assert cost(printed, "plain") == f"${amount:.6f}"
    assert cost(printed, "reasoning stream") == cost(printed, "unknown model") == "–"
    priced = ["stream with usage", "stream, half read", "tool call", "8 async streams"]
    assert all(cost(printed, name).startswith("$0.00") for name in priced)


@pytest.mark.thorough
def test_an_error_has_no_usage_and_its_name(printed):
    assert row(printed, "unknown model")[-2:] == ("–", "–")
    assert " failed: unknown model, openai.NotFoundError\n" in squeezed(printed)


def squeezed(printed):
    return "".join(f"{line.rstrip()}\n" for line in printed.splitlines())


def metric(printed, *words):
    """Return the numbers of the metric's row by column heading, sums of all that begins so."""
    lines = squeezed(printed).splitlines()
    (head,) = [line for line in lines if line.startswith(" metric: tokens")]
    found, metric = {}, ""
    for line in lines[lines.index(head) + 2 :]:
        if not line:
            break
        metric = line[1:28].strip() or metric
        place = (metric, line[29:35].strip(), line[36:48].strip())
        if place == words:
            for heading in re.finditer(r"\S+", head[48:]):
                end = 48 + heading.end()
                number = line[48:end].split()[-1:] if len(line) >= end else []
                if number and line[end - 1] != " ":
                    found[heading[0]] = int(number[0].replace(",", ""))
    return found


def test_metrics_add_up_to_the_calls(printed):
    """What the server reported and what was counted, each in the column of its source."""
    tool = int(row(printed, "tool call")[-2].split()[0])
    reported_input, reported_output = asked(SALT, LAMP) + tool, answered(SALT, LAMP) + 14
    counted_input = asked(BIRDS, NIGHT, TURTLE, *MANY) - 1
    counted_output = answered(BIRDS, NIGHT, *MANY)
    closed_early = {"counted": asked(TOWN)}, {"counted": BREAK_AFTER}

    conventional = "gen_ai.client.token.usage"
    assert metric(printed, conventional, "input", "") == {
        "reported": reported_input,
        "counted": counted_input + asked(TOWN),
    }
    assert metric(printed, conventional, "output", "") == {
        "reported": reported_output,
        "counted": counted_output + BREAK_AFTER,
    }
    own = "tokentrail.usage.tokens"
    assert metric(printed, own, "input", "completed") == {
        "reported": reported_input,
        "counted": counted_input,
    }
    assert metric(printed, own, "output", "completed") == {
        "reported": reported_output,
        "counted": counted_output,
        "visible": answered(TURTLE),
    }
    assert metric(printed, own, "input", "closed early") == closed_early[0]
    assert metric(printed, own, "output", "closed early") == closed_early[1]


def test_every_call_has_its_duration_and_every_stream_its_first_chunk(printed):
    (calls,) = re.findall(r" gen_ai\.client\.operation\.duration +(\d+) ", printed)
    (streams,) = re.findall(r" gen_ai\.client\.operation\.time_to_first_chunk +(\d+) ", printed)
    assert (int(calls), int(streams)) == (8 + AT_ONCE, 5 + AT_ONCE)


def test_it_fits_80_columns_and_has_no_colour_in_a_pipe(printed):
    assert max(len(line) for line in printed.splitlines()) <= 80
    assert "\x1b" not in printed
    assert "…" not in printed


def test_every_sign_has_its_meaning(printed):
    for sign in "●◆◐":
        assert f"\n {sign} " in printed
    assert "≈" not in printed
    assert "counted here with cl100k_base and o200k_base" in printed


@pytest.mark.thorough
def test_an_ascii_terminal_gets_letters():
    done = run(PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert row(done.stdout, "reasoning stream")[-2:] == ("29 C", "29 V")
    assert "help ->" in done.stdout


@pytest.mark.thorough
def test_a_trail_without_records_fails():
    done = run(TOKENTRAIL_DISABLED="true")
    assert done.returncode == 1
    assert "nothing was recorded of: 8 async streams, plain," in done.stderr


def test_the_question_of_every_scene_is_one_of_the_model():
    scenes = (BIRDS, LAMP, NIGHT, SALT, TOWN, TURTLE, WEATHER)
    assert set(scenes) == set(EXCHANGES)
