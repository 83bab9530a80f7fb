"""``tokentrail demo --watch``: running totals, from the metrics alone."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time

import pytest
from rich.console import Console

from tokentrail import cli
from tokentrail.demo.dash import Meters, Picture, Totals
from tokentrail.demo.scenes import AT_ONCE, BREAK_AFTER, SCENES
from tokentrail.telemetry import semconv
from tokentrail.testing.exchanges import BIRDS, EXCHANGES, LAMP, NIGHT, SALT, TURTLE
from tokentrail.testing.payloads import pieces

COMMAND = [sys.executable, "-m", "tokentrail", "demo", "--watch"]
ENVIRON = {**os.environ, "TOKENTRAIL_STRICT": "1", "PYTHONIOENCODING": "utf-8"}


def answered(*exchanges):
    return sum(len(pieces(exchange.answer)) for exchange in exchanges)


@pytest.mark.thorough
def test_without_a_terminal_the_calls_are_made_once_and_printed_in_lines():
    done = subprocess.run(
        COMMAND, capture_output=True, encoding="utf-8", env=ENVIRON, timeout=50, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()[2:]
    assert [line.split(": ")[0] for line in lines] == [scene.name for scene in SCENES]
    many = [EXCHANGES[number % len(EXCHANGES)] for number in range(AT_ONCE)]
    counted = answered(BIRDS, NIGHT, *many) + BREAK_AFTER
    numbers = dict(re.findall(r"(\w+) [\d,]+ in ([\d,]+) out", lines[-1]))
    assert numbers == {
        "reported": str(answered(SALT, LAMP) + 14),
        "counted": str(counted),
        "visible": str(answered(TURTLE)),
    }
    assert f", {len(SCENES) - 1 + AT_ONCE} calls, " in lines[-1]


@pytest.mark.thorough
@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_on_a_terminal_it_continues_until_it_is_stopped():
    master, slave = os.openpty()
    environ = {**ENVIRON, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        COMMAND, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True
    )
    os.close(slave)
    try:
        shown = _until(master, "3 calls in")
        process.send_signal(2)
        shown += _until(master, " tokens/s")
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    for words in ("tokens per second", "reported", "counted", "visible", "Ctrl-C ends it"):
        assert words in shown


def _until(terminal, words):
    shown, end = "", time.monotonic() + 30
    while words not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536).decode("utf-8", "replace")
    assert words in shown
    return shown


def test_the_pace_is_that_of_the_last_seconds():
    now = [100.0]
    meters = Meters(clock=lambda: now[0])
    counter = meters.provider.get_meter("any").create_counter(semconv.USAGE_TOKENS, "{token}")
    labels = {semconv.SOURCE: "counted", semconv.TOKEN_TYPE: "output", semconv.OUTCOME: "completed"}
    for second in range(10):
        now[0] = 101.0 + second
        counter.add(1000 if second < 3 else 10, labels)
        totals = meters.read()
    assert (totals.of("counted", "output"), totals.seconds) == (3070, 10.0)
    assert totals.rate == pytest.approx(10.0)
    meters.provider.shutdown()


def test_a_terminal_without_utf_8_gets_letters(tmp_path):
    with (tmp_path / "out").open("w+", encoding="ascii") as out:
        console = Console(file=out, width=80)
        meters = Meters()
        console.print(Picture(console, meters)())
        meters.provider.shutdown()
        out.seek(0)
        assert "C counted" in out.read()


def test_nothing_yet_is_a_line_too():
    assert Totals(0.0, {}, {}, 0.0).line() == "0.0 s, 0 calls, 0 tokens/s"


def test_it_is_not_for_a_key_that_is_paid_for(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["demo", "--watch", "--live"])
    assert left.value.code == 2
    assert "--live" in capsys.readouterr().err
