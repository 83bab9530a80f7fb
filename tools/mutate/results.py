"""Verdicts that still hold: those of files, and by tests, that have not changed since."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from tools.mutate import scope
from tools.mutate.mutants import digest

if TYPE_CHECKING:
    from tools.mutate.contexts import Test
    from tools.mutate.mutants import Mutant

FILE: Final = scope.STORE / "results.jsonl"


@dataclass(frozen=True)
class Result:
    """How the tests took a mutant."""

    key: str
    text: str
    """Hash of the file that was mutated."""
    verdict: str
    """killed, timeout, survived, broken (no such test was found) or uncovered."""
    test: str | None
    """Which test killed it."""
    seconds: float
    tests: str
    """Hash of the tests that were asked and their files; of the killer's file, if there is one."""

    @property
    def is_killed(self) -> bool:
        """Whether a test noticed, be it for the time it took."""
        return self.verdict in {"killed", "timeout"}


def tests_hash(tests: list[Test], killer: str | None) -> str:
    """Return a hash of these tests and their files, or of the killer's file if it is among them."""
    for test in tests:
        if test.name == killer:
            return test.key
    return digest(*sorted(f"{test.name} {test.key}" for test in tests))


class Results:
    """What is known so far, kept line by line."""

    def __init__(self) -> None:
        lines = FILE.read_text().splitlines() if FILE.exists() else []
        self._known = {row["key"]: Result(**row) for row in map(json.loads, lines)}

    def get(self, mutant: Mutant, text: str, tests: list[Test]) -> Result | None:
        """Return the result of a mutant, unless its file or the tests that decided changed."""
        known = self._known.get(mutant.key)
        if known is None or known.text != digest(text):
            return None
        return known if known.tests == tests_hash(tests, known.test) else None

    def add(self, result: Result) -> None:
        """Keep a result."""
        self._known[result.key] = result
        FILE.parent.mkdir(exist_ok=True)
        with FILE.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")
