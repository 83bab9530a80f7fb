"""Help, of all and of each command, reads as a manual: purpose, options, examples that are true."""

from __future__ import annotations

import re
import shlex

import pytest

from tokentrail import cli

COMMANDS = ("demo", "run", "count", "dashboards", "prices", "doctor")


@pytest.fixture(params=[(), *((command,) for command in COMMANDS)], ids=" ".join)
def manual(request, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([*request.param, "--help"])
    assert left.value.code == 0
    return capsys.readouterr().out


def test_it_has_examples_which_parse(manual):
    """Each is a command that would be taken; what follows two blanks says what it is for."""
    section = re.search(r"^examples:\n((?:  .*\n)+)", manual, re.MULTILINE)[1]
    for line in section.splitlines():
        words = shlex.split(re.split(r"  +", line.strip())[0])
        options = words[words.index("tokentrail") + 1 :]
        options = options[: options.index("|")] if "|" in options else options
        assert cli._parser().parse_args(options).run


def test_it_fits_a_screen(manual):
    assert max(map(len, manual.splitlines())) <= 80
    assert "docs/" not in manual
    assert "exit codes: 0 " in manual


@pytest.mark.parametrize("command", ["check-counts", "explain", "reconcile"])
def test_the_help_of_the_long_commands_fits_too(command, capsys):
    """Their examples go over several lines, so they are not parsed above."""
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "exit codes: 0 " in printed
