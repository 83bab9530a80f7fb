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
import gzip
import hashlib
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from tokentrail.apis.chat.adapter import ChatAdapter
from tokentrail.apis.completions.adapter import CompletionsAdapter
from tokentrail.apis.embeddings.adapter import EmbeddingsAdapter
from tokentrail.apis.responses.adapter import ResponsesAdapter
from tokentrail.counting import ENCODINGS, RULES, InputTally, OutputTally, proves
from tokentrail.counting.evidence import Evidence
from tokentrail.model.records import Endpoint, Prompt
from tokentrail.usage import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tokentrail.counting import Part
    from tokentrail.model.records import Request, Response

EVIDENCE = ROOT / "src" / "tokentrail" / "counting" / "evidence.py"
ADAPTERS: dict[str, Any] = {
    "chat": ChatAdapter(),
    "responses": ResponsesAdapter(),
    "completions": CompletionsAdapter(),
    "embeddings": EmbeddingsAdapter(),
}
_DEPLOYMENT = re.compile(r"/deployments/([^/]+)/")
UNKNOWN = frozenset({"input.not_read", "output.not_read"})
_ZERO = Counter[str]()


@dataclass(frozen=True)
class Counted:
    """One direction of one exchange: what was billed, and what the count is made of."""

    id: str
    project: str
    month: str
    direction: str
    billed: int
    parts: tuple[Part, ...]
    measured: bool
    source: str
    model: str

    @property
    def tokens(self) -> int:
        """What was counted."""
        return sum(part.tokens for part in self.parts)

    @property
    def right(self) -> bool:
        """Whether that is what was billed."""
        return self.tokens == self.billed

    @property
    def far(self) -> bool:
        """Whether it is more than a tenth off."""
        return abs(self.tokens - self.billed) > self.billed / 10

    @property
    def rules(self) -> set[str]:
        """The names of the rules."""
        return {part.rule.value for part in self.parts}


def read(paths: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the exchanges of files."""
    for path in paths:
        opened = gzip.open if path.endswith(".gz") else open
        with opened(path, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def half_of(exchange: dict[str, Any]) -> int:
    """Return in which half of the projects an exchange is."""
    return hashlib.sha256(str(exchange.get("repo")).encode()).digest()[0] % 2


def replay(exchange: dict[str, Any]) -> Iterator[Counted]:
    """Count both directions of an exchange, as far as they were billed and can be counted."""
    adapter = ADAPTERS.get(exchange["api"])
    usage = exchange.get("response_usage") or {}
    if adapter is None:
        return
    request = _request(adapter, exchange)
    tally = OutputTally()
    response = _response(adapter, exchange, request, tally)
    model = resolve.identify(request.model, response.model, None, {})
    encoding, prompt = ENCODINGS.load(model.encoding), request.prompt or Prompt()
    billed = billed_input(usage), billed_output(usage)
    made = resolve.input_tally(prompt, response)
    if billed[0] and not prompt.unknowable:
        for _ in made.steps(encoding, model.name):
            pass
        yield _counted(exchange, request, model, made, billed[0], output=False)
    if billed[1] and resolve.shows_output(request):
        tally.surcharges = resolve.surcharges(request, prompt, response, model)
        for _ in tally.steps(encoding):
            pass
        yield _counted(exchange, request, model, tally, billed[1], output=True)


def billed_input(usage: dict[str, Any]) -> int | None:
    """Return the input that was billed."""
    return usage.get("prompt_tokens", usage.get("input_tokens"))


def billed_output(usage: dict[str, Any]) -> int | None:
    """Return the output that was billed, thought beside ``completion_tokens`` included."""
    made = usage.get("completion_tokens", usage.get("output_tokens"))
    total, given = usage.get("total_tokens"), billed_input(usage)
    if None not in (made, total, given) and total > given + made:
        return total - given
    return made


def _request(
    adapter: Any,
    exchange: dict[str, Any],
) -> Request:
    arguments, host = dict(exchange["request"]), exchange.get("host") or ""
    found = _DEPLOYMENT.search(exchange.get("url_path") or "")
    if found and not arguments.get("model"):
        arguments["model"] = found[1]
    provider = "azure.ai.openai" if "azure" in host else "openai"
    return adapter.parse_request(Endpoint(provider, host, 443, host), arguments)


def _response(
    adapter: Any,
    exchange: dict[str, Any],
    request: Request,
    tally: OutputTally,
) -> Response:
    answer = exchange.get("response")
    if not isinstance(answer, list):
        return adapter.parse_response(answer or {}, tally)
    accumulator = adapter.stream_accumulator(request, tally)
    for chunk in answer:
        accumulator.add(chunk)
    return accumulator.response()


def _counted(
    exchange: dict[str, Any],
    request: Request,
    model: resolve.Model,
    tally: InputTally | OutputTally,
    billed: int,
    *,
    output: bool,
) -> Counted:
    count = resolve.to_count(request, model, tally, output=output)
    return Counted(
        id=str(exchange.get("id")),
        project=str(exchange.get("repo")),
        month=str(exchange.get("when"))[:7],
        direction="output" if output else "input",
        billed=billed,
        parts=tally.parts,
        measured=tally.measured and model.known and not (output and request.inexact_output),
        source=count.source.value if count is not None else "absent",
        model=model.name,
    )


def evidence(counted: Iterable[Counted], published: Counter[str] = _ZERO) -> dict[str, Evidence]:
    """Return what counts say of each rule.

    Not of those of which something was not understood, or answers behind which there may be
    thought: of such nobody can say what is wrong.
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
    yield "| rule | for | it says | right | wrong | projects | months | published | off | known |"
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
