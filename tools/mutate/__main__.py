"""Judge the sample of mutants, or a share of it.

    make mutate                                        # the whole sample; what is known is kept
    make mutate ARGS="--write"                         # ... and keep who killed what, for CI
    make mutate ARGS="--known --seconds 60 --share 1a2b3c4"  # as many as fit, ordered by a word
    make mutate ARGS="--only cost/rates"               # those of a file, at work on its tests
    make mutate ARGS="--show 1f3a5b7c9d0e"             # what a mutant is, and what is asked of it

It may be interrupted: what was measured and judged by then is kept, and the same command goes on.
Exits 1 if less than the bar is killed, 2 if what is set aside is not as it may be.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from tools.mutate import killers, sample, scope
from tools.mutate.mutants import population
from tools.mutate.run import Run

if TYPE_CHECKING:
    from tools.mutate.mutants import Mutant
    from tools.mutate.results import Result


def main() -> int:
    """Run what is asked for; return the exit code."""
    began, asked = time.monotonic(), _arguments()
    return _share(asked, began) if asked.known else _whole(asked, began)


def _whole(asked: argparse.Namespace, began: float) -> int:
    texts = {path: (scope.ROOT / path).read_text() for path in scope.sources()}
    drawn = sample.draw(population(texts), scope.SEED, scope.SIZE)
    try:
        reasons = sample.set_aside(drawn)
    except sample.RefusedError as error:
        print(f"tools/mutate/equivalent.json: {error}", file=sys.stderr)
        return 2
    wanted = [mutant for mutant in _asked_for(drawn, asked) if mutant.key not in reasons]
    print(
        f"{len(drawn)} mutants by seed {scope.SEED}, {len(reasons)} of them set aside", flush=True
    )
    run = Run(texts, asked, began)
    results = _judged(run, wanted, asked)
    if left := sample.gone(drawn, remove=asked.write):
        done = "removed from" if asked.write else "no longer drawn, remove them from"
        print(f"\n{len(left)} mutants {done} tools/mutate/equivalent.json: {', '.join(left)}")
    if asked.write:
        judged = {m.key: run.killed(m, results[m.key]) for m in wanted if m.key in results}
        killers.keep(judged, {mutant.key for mutant in drawn} - reasons.keys())
    return sample.verdict(results.values(), len(wanted))


def _share(asked: argparse.Namespace, began: float) -> int:
    known = killers.Killers()
    wanted = _asked_for(known.mutants, asked)
    results = _judged(Run(known.texts, asked, began, known), wanted, asked)
    found = [result for result in results.values() if result.verdict != "broken"]
    return sample.verdict(found, len(wanted), killers.fewest(len(found)))


def _asked_for(mutants: list[Mutant], asked: argparse.Namespace) -> list[Mutant]:
    ordered = sample.draw(mutants, asked.share)
    return [m for m in ordered if asked.only in m.path and asked.show in m.key]


def _judged(run: Run, wanted: list[Mutant], asked: argparse.Namespace) -> dict[str, Result]:
    print(f"{len(wanted)} to judge, in the order of {asked.share!r}", flush=True)
    results = run.judge(wanted)
    _report(run, wanted, results, show=bool(asked.show))
    return results


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutate", description="Judge a sample of mutants.")
    parser.add_argument("--seconds", type=float, help="begin no mutant after so many, but one")
    parser.add_argument("--share", default="", help="a word that orders the mutants")
    parser.add_argument("--only", default="", help="those of files with this in their path")
    parser.add_argument("--show", default="", help="one mutant by its key, anew")
    parser.add_argument("--again", action="store_true", help="those too whose verdict is kept")
    parser.add_argument("--known", action="store_true", help="by the one test that killed it last")
    parser.add_argument("--write", action="store_true", help="keep which test killed what")
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
