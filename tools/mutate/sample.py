"""The sample, what of it is set aside, and the score."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tools.mutate import scope
from tools.mutate.mutants import digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from tools.mutate.mutants import Mutant
    from tools.mutate.results import Result

EQUIVALENT: Final = scope.ROOT / "tools/mutate/equivalent.json"
"""Mutants that change nothing a user could see: key, change and reason of each."""


class RefusedError(Exception):
    """What is set aside is not as it may be."""

    def __init__(self, complaint: str, keys: Iterable[str]) -> None:
        super().__init__(f"{complaint}: {', '.join(keys)}")


def draw(mutants: Iterable[Mutant], seed: object, size: int | None = None) -> list[Mutant]:
    """Return mutants in an order that only the seed and their keys decide; the first ``size``.

    So a mutant stays in the sample when others come and go.
    """
    return sorted(mutants, key=lambda mutant: digest(str(seed), mutant.key))[:size]


def set_aside(sample: list[Mutant], path: Path = EQUIVALENT) -> dict[str, str]:
    """Return the reasons of the mutants of the sample that are set aside, by key.

    Raises:
        RefusedError: If one has no reason, or they are too many.
    """
    drawn = {mutant.key for mutant in sample}
    rows = [row for row in json.loads(path.read_text()) if row["mutant"] in drawn]
    reasons = {row["mutant"]: row.get("reason", "") for row in rows}
    crowd = len(reasons) > scope.MOST_EQUIVALENT * len(sample)
    faults = {
        "set aside without a reason": [
            key for key, reason in reasons.items() if not reason.strip()
        ],
        f"more than {scope.MOST_EQUIVALENT:.0%} are set aside": reasons if crowd else (),
    }
    for complaint, keys in faults.items():
        if keys:
            raise RefusedError(complaint, sorted(keys))
    return reasons


def gone(sample: list[Mutant], path: Path = EQUIVALENT, *, remove: bool = False) -> list[str]:
    """Return the mutants that are set aside and no longer in the sample; ``remove`` their rows."""
    drawn = {mutant.key for mutant in sample}
    rows = json.loads(path.read_text())
    left = [row for row in rows if row["mutant"] in drawn]
    if remove and len(left) < len(rows):
        path.write_text(json.dumps(left, indent=2, ensure_ascii=False) + "\n")
    return [row["mutant"] for row in rows if row["mutant"] not in drawn]


def verdict(results: Collection[Result], wanted: int, fewest: int | None = None) -> int:
    """Print the score of these results; return the exit code, 1 if it is below the bar.

    A mutant whose line no test passes is not killed. ``fewest``: how many must be killed, in place
    of the share that the bar says.
    """
    killed = sum(result.is_killed for result in results)
    score = killed / len(results) if results else 0.0
    timeouts = sum(result.verdict == "timeout" for result in results)
    bar = f"{scope.BAR:.0%}" if fewest is None else str(fewest)
    print(
        f"\n{score:.1%}: {killed} of {len(results)} mutants killed ({timeouts} by time); "
        f"{wanted - len(results)} not asked; the bar is {bar}"
    )
    return int(score < scope.BAR if fewest is None else killed < fewest)
