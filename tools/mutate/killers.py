"""Who killed what in the last whole run: kept in the repository, so a share needs no measuring.

The change stands beside the test, so no source is parsed for a share, and no sample drawn.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from math import comb
from typing import TYPE_CHECKING, Final

from tools.mutate import scope
from tools.mutate.contexts import Test, file_of
from tools.mutate.mutants import Mutant, Site

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

FILE: Final = scope.ROOT / "tools/mutate/killers.json"
"""By the key of each mutant what it changes, and the test that killed it."""
SECONDS: Final = 10.0
"""What a test may take; it is ended after a multiple of it."""
CHANCE: Final = 1e-4
"""How likely a share may be below its bar where the whole sample is at its own."""


@dataclass(frozen=True)
class Killed:
    """A mutant that a test noticed."""

    path: str
    before: str
    """The lines that it changes, with as many around them as are found only once in the file."""
    after: str
    test: str


class Killers:
    """Of each mutant the one test that killed it, where both can still be found."""

    def __init__(self, path: Path = FILE) -> None:
        found = load(path)
        paths = {row.path for row in found.values() if (scope.ROOT / row.path).exists()}
        self.texts = {path: (scope.ROOT / path).read_text() for path in paths}
        """The sources of these mutants."""
        self._rows = {key: row for key, row in found.items() if self._is_there(row)}

    def _is_there(self, row: Killed) -> bool:
        is_there = (scope.ROOT / file_of(row.test)).exists()
        return is_there and self.texts.get(row.path, "").count(row.before) == 1

    @cached_property
    def mutants(self) -> list[Mutant]:
        """The mutants whose lines and test are still there."""
        return [Mutant(key, row.path, 0, self._site(row)) for key, row in self._rows.items()]

    def _site(self, row: Killed) -> Site:
        line = self.texts[row.path].partition(row.before)[0].count("\n") + 1
        return Site("", line, (line, line), (), row.before, row.after)

    def mutated(self, mutant: Mutant) -> str:
        """Return the text of its file with a mutant."""
        return self.texts[mutant.path].replace(mutant.site.before, mutant.site.after)

    def of(self, mutant: Mutant) -> list[Test]:
        """Return the test that killed a mutant."""
        return [Test(self._rows[mutant.key].test, SECONDS, SECONDS, 0, "")]


def load(path: Path = FILE) -> dict[str, Killed]:
    """Return what was killed, by key."""
    known = json.loads(path.read_text()) if path.exists() else {}
    return {key: Killed(**row) for key, row in known.items()}


def keep(judged: Mapping[str, Killed | None], sample: Collection[str], path: Path = FILE) -> None:
    """Write down what was killed; of a mutant of the sample that was not judged, what is known."""
    known = {key: row for key, row in load(path).items() if key in sample and key not in judged}
    known |= {key: row for key, row in judged.items() if row is not None}
    rows = (f"{json.dumps(key)}: {json.dumps(asdict(row))}" for key, row in sorted(known.items()))
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n")


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
