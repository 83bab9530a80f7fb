"""What tokentrail costs, beside the bare client, its peers and a floor written by hand.

    make bench                      # all of it, in less than eight minutes
    make bench ARGS=--quick         # less of it, in about one and a half
    make bench ARGS="--only tokentrail --only genai-openai"
    make bench ARGS=--write         # also into docs/performance.md

Every subject has an environment and a process of its own; a turn of each measure is taken of one
after the other, so that a busy moment of the machine meets all. Figures are CPU time beyond the
bare client's in the same process: medians, with quartiles. Compare figures of one run only.
Exits 1 if a bar is missed that is not known as missed (``bench.bars``).
"""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import bars, report
from bench.environments import KEPT, ROOT, Unavailable, python, versions
from bench.plot import plot
from bench.results import Results
from bench.subjects import BAR, FLOOR, NOBODY, OURS, SETTINGS, SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bench.subjects import Subject

MODES = ("on", "unsampled", "untraced")
PATIENCE = 420
"""Seconds after which no further round is begun, and what is least important is left out."""
LONGEST = 120
"""Seconds for which a subject is waited for; then it is said to hang, and left out."""


_EVERYBODY = tuple(subject.name for subject in SUBJECTS if not subject.setting)
_NOT_FLOOR = tuple(name for name in _EVERYBODY if name != FLOOR)
_SETTINGS = tuple(subject.name for subject in SETTINGS)


@dataclass(frozen=True, slots=True)
class Turn:
    """A measure, and of whom it is taken."""

    label: str
    command: list[Any]
    mode: str = "on"
    only: tuple[str, ...] = _EVERYBODY
    again: tuple[str, ...] = ()
    """Of whom it is taken in further rounds, too; if nobody is named, of all."""


_KINDS = [
    (f"{api} {kind}", api, f"chunks{'' if kind == 'sync' else '_async'}")
    for api in ("chat", "responses")
    for kind in ("sync", "async")
]

QUICK = [
    Turn("call sync", ["call", "chat", 96]),
    Turn("call async", ["call_async", "chat", 96]),
    Turn("call threads", ["threads", 16, 20]),
    *(Turn(f"chunk {kind} 1000", [name, api, 1000, 1]) for kind, api, name in _KINDS),
    *(Turn(f"embeddings {each}", ["call", f"embeddings {each}", 12]) for each in (1, 100)),
    *(
        Turn(f"embeddings raw {each}", ["call", f"embeddings raw {each}", 12], only=_NOT_FLOOR)
        for each in (1, 100)
    ),
]
_FEW = (NOBODY, OURS)
_CROWDED = (NOBODY, OURS, BAR)
LONG = [
    *(Turn(f"chunk {kind} 50", [name, api, 50, 6]) for kind, api, name in _KINDS),
    Turn("stall", ["stall", 20_000, 1], again=_FEW),
    Turn("memory", ["memory", 20_000], again=(OURS,)),
    Turn("open streams", ["open", 100, 50], again=(OURS,)),
    Turn("call sync", ["call", "chat", 96], "unsampled"),
    Turn("call sync", ["call", "chat", 96], "untraced"),
    Turn("chunk chat sync 1000", ["chunks", "chat", 1000, 1], "unsampled"),
    Turn("chunk chat sync 1000", ["chunks", "chat", 1000, 1], "untraced"),
    *(
        Turn(f"chunk {kind} 20000", [name, api, 20_000, 1], only=(OURS, BAR), again=(OURS,))
        for kind, api, name in _KINDS
    ),
    Turn("crowd", ["crowd", 200, 20], again=_FEW),
    Turn("crowd 1000", ["crowd", 1000, 20], only=_CROWDED, again=(OURS,)),
    Turn("crowd threads", ["crowd_threads", 200, 100], only=_CROWDED, again=(OURS,)),
    Turn("call sync", ["call", "chat", 96], only=_SETTINGS),
    Turn("chunk chat sync 1000", ["chunks", "chat", 1000, 1], only=_SETTINGS),
    Turn(
        "chunk chat sync 20000",
        ["chunks", "chat", 20_000, 1],
        only=(FLOOR, NOBODY, "openlit"),
        again=(NOBODY,),
    ),
]
STARTS = {True: (3, 1), False: (20, 3)}
"""Fresh processes for tokentrail and for each other, quick or not."""


class Process:
    """A subject in its process, taking turns."""

    def __init__(self, subject: Subject, interpreter: Path, mode: str) -> None:
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [str(interpreter), "-m", "bench.turns", subject.name, mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=_environ(),
        )

    def ready(self) -> None:
        """Wait until it is instrumented and warm."""
        self._answer()

    def take(self, command: list[Any]) -> dict[str, list[float]]:
        """Take a turn and return its samples."""
        print(json.dumps(command), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, list[float]]:
        said = self._process.stdout
        if not select.select([said], [], [], LONGEST)[0]:
            hangs = f"no answer in {LONGEST} s"
            raise Unavailable(hangs)
        line = said.readline() if said else ""
        if not line:
            self._said.seek(0)
            said = self._said.read()
            raise Unavailable(said.strip().splitlines()[-1] if said.strip() else "it ended")
        answer: dict[str, list[float]] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._said.close()


def _environ() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return {**kept, "PYTHONPATH": str(ROOT / "tools")}


def _started(
    subjects: list[tuple[Subject, Path]], mode: str, results: Results
) -> dict[str, Process]:
    started = {
        subject.name: Process(subject, interpreter, mode)
        for subject, interpreter in subjects
        if mode == "on" or subject.modes
    }
    for name, process in list(started.items()):
        try:
            process.ready()
        except Unavailable as reason:
            results.skipped[name] = str(reason)
            started.pop(name).close()
    return started


def _rounds(
    turns: list[Turn],
    subjects: list[tuple[Subject, Path]],
    modes: Iterable[str],
    results: Results,
    until: float,
) -> int:
    """Take all turns, then those of which there should be more, as long as there is time.

    Each round has processes of its own: how the memory of a process lies moves what a call takes
    by a fifth.
    """
    count = 0
    while count == 0 or time.monotonic() < until:
        running = {mode: _started(subjects, mode, results) for mode in modes}
        try:
            for turn in turns:
                if time.monotonic() > until and not (count == 0 and turn.label.startswith("c")):
                    continue
                _take(turn, running.get(turn.mode, {}), results, of=turn.again if count else ())
        finally:
            for process in (each for by_name in running.values() for each in by_name.values()):
                process.close()
        count += 1
    return count


def _take(turn: Turn, processes: dict[str, Process], results: Results, of: tuple[str, ...]) -> None:
    for name, process in list(processes.items()):
        if name not in turn.only or (of and name not in of):
            continue
        try:
            results.add(turn.mode, name, turn.label, process.take(turn.command))
        except Unavailable as reason:
            results.skipped[f"{name}: {turn.label}"] = str(reason)
            processes.pop(name).close()


def _starts(subjects: list[tuple[Subject, Path]], results: Results, *, quick: bool) -> None:
    ours, others = STARTS[quick]
    for number in range(ours):
        for subject, interpreter in subjects:
            if subject.home or (subject.name != OURS and number >= others):
                continue
            command = [str(interpreter), "-m", "bench.startup", subject.name]
            told = _printed(results, f"{subject.name}: start", command)
            results.add("on", subject.name, "start", told)


FIRST_USES = {True: 1, False: 7}
"""Fresh processes whose first stream is looked at, with and without its encoding preloaded."""


def _first_uses(subjects: list[tuple[Subject, Path]], results: Results, *, quick: bool) -> None:
    for interpreter in [interpreter for subject, interpreter in subjects if subject.name == OURS]:
        for label, more in (("first use", ()), ("first use, preloaded", ("o200k_base",))) * (
            FIRST_USES[quick]
        ):
            told = _printed(results, label, [str(interpreter), "-m", "bench.first_use", *more])
            results.add("on", OURS, label, told)


def _printed(results: Results, label: str, command: list[str]) -> dict[str, list[float]]:
    """Return what a fresh process prints; nothing of one that fails."""
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, env=_environ(), check=True, timeout=LONGEST
        )
    except subprocess.SubprocessError as reason:
        results.skipped[label] = str(reason)
        return {}
    return {name: [value] for name, value in json.loads(ran.stdout).items()}


def main() -> None:
    """Run the benchmark and write what came out."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out what takes long")
    parser.add_argument("--only", action="append", help="a subject; may be given again")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md, too")
    parser.add_argument("--seconds", type=int, help=f"patience (default {PATIENCE})")
    asked = parser.parse_args()
    results = Results()
    subjects = []
    for subject in SUBJECTS:
        if asked.only and subject.name not in asked.only:
            continue
        try:
            interpreter = python(subject)
            subjects.append((subject, interpreter))
            if subject.requires:
                own = ("tokentrail",) if subject.name == OURS else ()
                results.versions[subject.name] = versions(interpreter, (*subject.requires, *own))
        except Unavailable as reason:
            results.skipped[subject.name] = str(reason)
    begun = time.monotonic()
    _starts(subjects, results, quick=asked.quick)
    _first_uses(subjects, results, quick=asked.quick)
    modes = MODES[:1] if asked.quick else MODES
    patience = asked.seconds or (60 if asked.quick else PATIENCE)
    turns = QUICK if asked.quick else QUICK + LONG
    results.rounds = _rounds(turns, subjects, modes, results, begun + patience)
    results.seconds = time.monotonic() - begun
    (KEPT / "results.json").write_text(results.to_json())
    text = report.tables(results)
    (KEPT / "performance.md").write_text(text)
    (KEPT / "performance.svg").write_text(plot(results))
    print(text)
    if asked.write:
        report.write(results)
    missed = bars.failed(results, whole=not (asked.quick or asked.only))
    for bar in missed:
        print(f"{'missed' if bar.reached is False else 'not measured'}: {bar.what}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
