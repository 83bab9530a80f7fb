"""Who killed what in the last whole run: kept in the repository, so a share needs no measuring."""

from __future__ import annotations

import json
from math import comb
from typing import TYPE_CHECKING, Final

from tools.mutate import scope
from tools.mutate.contexts import Test, file_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tools.mutate.mutants import Mutant
    from tools.mutate.results import Result

FILE: Final = scope.ROOT / "tools/mutate/killers.json"
"""The test that killed each mutant, by its key."""
SECONDS: Final = 10.0
"""What a test may take; it is ended after a multiple of it."""
CHANCE: Final = 1e-4
"""How likely a share may be below its bar where the whole sample is at its own."""


class Killers:
    """Of each mutant the one test that killed it, where that is known and still there."""

    def __init__(self, path: Path = FILE) -> None:
        self._tests = {
            key: test for key, test in load(path).items() if (scope.ROOT / file_of(test)).exists()
        }

    def of(self, mutant: Mutant) -> list[Test]:
        """Return the test that killed a mutant, if it is known."""
        test = self._tests.get(mutant.key)
        return [] if test is None else [Test(test, SECONDS, SECONDS, 0, "")]


def load(path: Path = FILE) -> dict[str, str]:
    """Return the test that killed each mutant, by its key."""
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return known


def keep(results: Mapping[str, Result], sample: Collection[str], path: Path = FILE) -> None:
    """Write down which test killed what; of a mutant that was not judged, what is known."""
    killers = {key: test for key, test in load(path).items() if key in sample}
    for key, result in results.items():
        killers.pop(key, None)
        if result.test is not None:
            killers[key] = result.test
    path.write_text(json.dumps(killers, indent=0, sort_keys=True) + "\n")


def fewest(number: int) -> int:
    """Return how many of a share must be killed, where the bar holds for the whole sample.

    Fewer come of it by chance with a probability below :data:`CHANCE`. Of nothing at all it is one:
    an empty share shows nothing.
    """
    if number == 0:
        return 1
    below = 0.0
    for killed in range(number + 1):
        below += comb(number, killed) * scope.BAR**killed * (1 - scope.BAR) ** (number - killed)
        if below > CHANCE:
            return killed
    return number
