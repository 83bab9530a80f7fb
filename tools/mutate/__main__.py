"""Judge the sample of mutants, or a share of it.

    make mutate                                        # the whole sample; what is known is kept
    make mutate ARGS="--seconds 120 --share 1a2b3c4"   # as many as fit, in the order of a word
    make mutate ARGS="--only cost/rates"               # those of a file, at work on its tests
    make mutate ARGS="--show 1f3a5b7c9d0e"             # what a mutant is, and what is asked of it

Exits 1 if less than the bar is killed, 2 if what is set aside is not as it may be.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tools.mutate import sample, scope
from tools.mutate.mutants import population
from tools.mutate.run import Run

if TYPE_CHECKING:
    from tools.mutate.mutants import Mutant
    from tools.mutate.results import Result


def main() -> int:
    """Run what is asked for; return the exit code."""
    asked = _arguments()
    texts = {path: (scope.ROOT / path).read_text() for path in scope.sources()}
    drawn = sample.draw(population(texts), scope.SEED, scope.SIZE)
    try:
        reasons = sample.set_aside(drawn)
    except sample.RefusedError as error:
        print(f"tools/mutate/equivalent.json: {error}", file=sys.stderr)
        return 2
    wanted = [
        mutant
        for mutant in sample.draw(drawn, asked.share)
        if mutant.key not in reasons and asked.only in mutant.path and asked.show in mutant.key
    ]
    print(
        f"{len(drawn)} mutants by seed {scope.SEED}, {len(reasons)} of them set aside; "
        f"{len(wanted)} to judge, in the order of {asked.share!r}",
        flush=True,
    )
    run = Run(texts, asked)
    results = run.judge(wanted)
    _report(run, wanted, results, show=bool(asked.show))
    return sample.verdict(results.values(), len(wanted))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutate", description="Judge a sample of mutants.")
    parser.add_argument("--seconds", type=float, help="begin no mutant after so many")
    parser.add_argument("--share", default="", help="a word that orders the mutants")
    parser.add_argument("--only", default="", help="those of files with this in their path")
    parser.add_argument("--show", default="", help="one mutant by its key, anew")
    parser.add_argument("--again", action="store_true", help="those too whose verdict is kept")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at the same time")
    return parser.parse_args()


def _report(run: Run, wanted: list[Mutant], results: dict[str, Result], *, show: bool) -> None:
    alive = [m for m in wanted if m.key in results and not results[m.key].is_killed]
    print(f"\nsurvivors: {len(alive)}")
    for mutant in sorted(alive, key=lambda mutant: (mutant.path, mutant.site.line)):
        print(f"{run.described(mutant)}  [{results[mutant.key].verdict}]")
    for mutant in wanted if show else ():
        print(f"\n{run.described(mutant)}\n  in {mutant.site.function or 'the module'}")
        print(f"  {results[mutant.key]}\n  asked:")
        print(*(f"    {test.name}" for test in run.tests_of(mutant)), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
