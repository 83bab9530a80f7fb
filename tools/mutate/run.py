"""One run: mutants are handed to the workers, and their verdicts kept."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tools.mutate import scope, trees
from tools.mutate.contexts import Contexts, file_of
from tools.mutate.killers import Killed, Killers, load
from tools.mutate.measure import measured
from tools.mutate.mutants import Mutant, Source, change, digest, patch
from tools.mutate.results import Result, Results, tests_hash

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from tools.mutate.contexts import Test
    from typing_extensions import Self

    Waiting = queue.Queue[tuple[Mutant, list[Test]]]

PATIENCE: Final = 5
"""A mutant may take so many times what its tests took when they were measured ..."""
GRACE: Final = 30
"""... and so many seconds beside."""
STAGES: Final = (1, 4)
"""First the tests of so many files are asked, then those up to so many, then all others: to collect
a file takes longer than most of its tests."""
WARM: Final = 30
"""Files of tests whose imports a worker makes before it forks."""
OFTEN: Final = 50
"""Mutants between two lines that say how far it is."""


class Run:
    """The trees, what is known of tests and of mutants, and until when."""

    def __init__(
        self,
        texts: dict[str, str],
        asked: Namespace,
        began: float,
        killers: Killers | None = None,
    ) -> None:
        """``began``: from then on its seconds count, by ``time.monotonic``.

        ``killers``: where only the test is asked that killed a mutant last.
        """
        self._texts = texts
        self._asked = asked
        self._known = Results()
        self._sources: dict[str, Source] = {}
        self._lock = threading.Lock()
        self._trees = [trees.copy(number) for number in range(asked.jobs)]
        self._killers = killers
        self._chooser: Contexts | Killers = killers or self._measured()
        self._ends = began + (asked.seconds or float("inf"))
        self._asked_so_far = 0

    def _measured(self) -> Contexts:
        files = measured(self._texts, scope.tests(), self._trees[0], jobs=self._asked.jobs)
        return Contexts(self._texts, files, {key: row.test for key, row in load().items()})

    def tests_of(self, mutant: Mutant) -> list[Test]:
        """Return the tests that are asked of a mutant, in their order."""
        return self._chooser.of(mutant)

    def judge(self, mutants: list[Mutant]) -> dict[str, Result]:
        """Return the results of these mutants, of as many as there is time for."""
        results: dict[str, Result] = {}
        waiting: Waiting = queue.Queue()
        for mutant in mutants:
            tests = self.tests_of(mutant)
            known = self._known.get(mutant, self._texts[mutant.path], tests)
            if known is None or self._killers or self._asked.again or self._asked.show:
                waiting.put((mutant, tests))
            else:
                results[mutant.key] = known
        first = dict.fromkeys(file_of(tests[0].name) for _, tests in waiting.queue if tests)
        warm = list(first)[:WARM]
        if not waiting.empty():
            with ThreadPoolExecutor(self._asked.jobs) as pool:
                for judged in pool.map(lambda tree: self._work(tree, waiting, warm), self._trees):
                    results.update(judged)
        return results

    def _work(self, tree: Path, waiting: Waiting, warm: list[str]) -> dict[str, Result]:
        results: dict[str, Result] = {}
        with Worker(tree) as worker:
            worker.ask({"warm": warm})
            while time.monotonic() < self._ends or not results:
                try:
                    mutant, tests = waiting.get_nowait()
                except queue.Empty:
                    break
                results[mutant.key] = self._one(worker, mutant, tests)
        return results

    def _one(self, worker: Worker, mutant: Mutant, tests: list[Test]) -> Result:
        answer: dict[str, Any] = {"verdict": "uncovered", "test": None, "seconds": 0.0}
        if tests:
            answer = worker.ask(self._question(mutant, tests))
        result = Result(
            key=mutant.key,
            text=digest(self._texts[mutant.path]),
            tests=tests_hash(tests, answer["test"]),
            **answer,
        )
        with self._lock:
            if self._killers is None:
                self._known.add(result)
            if self._asked_so_far % OFTEN == 0:
                print(f"  {self._asked_so_far} judged", flush=True)
            if not result.is_killed:
                print(f"  {result.verdict}  {self.described(mutant)}", flush=True)
        return result

    def _question(self, mutant: Mutant, tests: list[Test]) -> dict[str, Any]:
        with self._lock:
            self._asked_so_far += 1
            return {
                "path": mutant.path,
                "text": self._mutated(mutant),
                "number": self._asked_so_far,
                "stages": in_stages([test.name for test in tests]),
                "seconds": GRACE + PATIENCE * sum(test.seconds for test in tests),
            }

    def _mutated(self, mutant: Mutant) -> str:
        if self._killers is not None:
            return self._killers.mutated(mutant)
        if mutant.path not in self._sources:
            self._sources[mutant.path] = Source(self._texts[mutant.path])
        return self._sources[mutant.path].mutated(mutant.index)

    def killed(self, mutant: Mutant, result: Result) -> Killed | None:
        """Return what is kept of a mutant that a test killed."""
        if result.test is None:
            return None
        return Killed(
            mutant.path, *patch(self._texts[mutant.path], self._mutated(mutant)), result.test
        )

    def described(self, mutant: Mutant) -> str:
        """Return file, line, key and change."""
        changed = change(self._texts[mutant.path], self._mutated(mutant))
        return f"{mutant.path}:{mutant.site.line}  {mutant.key}  {changed}"


def in_stages(tests: list[str]) -> list[list[str]]:
    """Return the tests in the stages in which they are asked; see :data:`STAGES`."""
    files = list(dict.fromkeys(map(file_of, tests)))
    ends = (0, *STAGES, len(files))
    stages = [set(files[start:end]) for start, end in pairwise(ends)]
    found = [[test for test in tests if file_of(test) in stage] for stage in stages]
    return [stage for stage in found if stage]


class Worker:
    """The process beside a tree (see ``worker.py``)."""

    def __init__(self, tree: Path) -> None:
        with (tree.parent / f"{tree.name}.log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tools.mutate.worker", str(tree)],
                cwd=scope.ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer.

        Raises:
            RuntimeError: If the process died.
        """
        print(json.dumps(question), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            message = "a worker of make mutate died; its log stands beside its tree"
            raise RuntimeError(message)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
