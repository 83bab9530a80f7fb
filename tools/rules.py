"""What recorded exchanges say of each rule of counting.

    python -m tools.rules EXCHANGES...            print the table
    python -m tools.rules EXCHANGES... --wrong    and each exchange that is off, without its content
    python -m tools.rules EXCHANGES... --half 0   only that half of the projects: 0 or 1
    python -m tools.rules EXCHANGES... --write    write src/tokentrail/counting/evidence.py

EXCHANGES are files of JSON, one exchange a line, packed by gzip or not: ``api`` ("chat",
"responses", "completions", "embeddings"), ``request`` (its body), ``response`` (its body; of a
stream the list of its chunks) and ``response_usage``; where they are known ``id``, ``repo`` (the
project), ``host``, ``url_path``, ``when`` (a date) and ``response_model``. Nothing of them is kept.

An exchange is counted on the way that a call goes. If the count is what was billed, it supports
each rule of it; if not, it contradicts the one that is most often among counts that are off.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from tokentrail.cli.check_counts.replay import Counted, lines, replay
from tokentrail.counting import RULES, proves
from tokentrail.counting.evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


EVIDENCE = ROOT / "src" / "tokentrail" / "counting" / "evidence.py"
UNKNOWN = frozenset({"input.not_read", "output.not_read"})
_ZERO = Counter[str]()


def read(paths: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the exchanges of files."""
    for path in paths:
        yield from map(json.loads, lines(path))


def half_of(exchange: dict[str, Any]) -> int:
    """Return in which half of the projects an exchange is."""
    return hashlib.sha256(str(exchange.get("repo")).encode()).digest()[0] % 2


def evidence(counted: Iterable[Counted], published: Counter[str] = _ZERO) -> dict[str, Evidence]:
    """Return the evidence for each rule.

    Exchanges that were not fully understood, and answers that may have hidden reasoning, are left
    out: nobody can know which rule is wrong there.
    """
    everything = [one for one in counted if "output.thought" not in one.rules]
    used = Counter(rule for one in everything for rule in one.rules)
    far = Counter(rule for one in everything if one.far for rule in one.rules)
    known = [one for one in everything if one.measured and one.rules.isdisjoint(UNKNOWN)]
    uses = Counter(rule for one in known for rule in one.rules)
    off = Counter(rule for one in known if not one.right for rule in one.rules)
    blamed: Counter[str] = Counter()
    for one in known:
        if not one.right:
            blamed[max(one.rules, key=lambda rule: (off[rule] / uses[rule], rule))] += 1
    found = {}
    for rule in used.keys() | published.keys():
        right = [one for one in known if one.right and rule in one.rules]
        found[rule] = Evidence(
            len(right),
            blamed[rule],
            len({one.project for one in right}),
            len({one.month for one in right}),
            published[rule],
            used[rule],
            far[rule],
        )
    return found


def table(found: Mapping[str, Evidence]) -> Iterator[str]:
    """Yield the rows of the table of rules."""
    yield "| rule | for | tokens | right | wrong | projects | months | published | off | known |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for rule in RULES:
        one = found.get(rule.id.value, Evidence())
        figures = " | ".join(map(str, one[:5]))
        off = f"{one.off} of {one.used}" if one.used else ""
        known = "yes" if proves(rule.id, one) else ""
        yield f"| {rule.id.value} | {rule.models} | {rule.says} | {figures} | {off} | {known} |"


def written(found: dict[str, Evidence]) -> str:
    """Return the module of evidence with other figures."""
    head = EVIDENCE.read_text(encoding="utf-8").partition("EVIDENCE: dict")[0]
    rows = (
        f'    "{rule.id.value}": Evidence({", ".join(map(str, found[rule.id.value]))}),\n'
        for rule in RULES
        if rule.id.value in found
    )
    return f"{head}EVIDENCE: dict[str, Evidence] = {{\n{''.join(rows)}}}\n"


def published_rules() -> Counter[str]:
    """Return how many published numbers each rule fits."""
    from tools.make_accuracy import published

    return published()


def main() -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("exchanges", nargs="+")
    parser.add_argument("--wrong", action="store_true")
    parser.add_argument("--half", type=int)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    counted = [
        one
        for exchange in read(asked.exchanges)
        if asked.half is None or half_of(exchange) == asked.half
        for one in replay(exchange)
    ]
    found = evidence(counted, published_rules())
    if asked.write:
        EVIDENCE.write_text(written(found), encoding="utf-8")
    print("\n".join(table(found)))
    if asked.wrong:
        for one in counted:
            if not one.right:
                rules = " ".join(f"{part.rule.value}={part.tokens}" for part in one.parts)
                print(one.id, one.direction, one.model, one.source, one.tokens - one.billed, rules)
    return 0


if __name__ == "__main__":
    sys.exit(main())
