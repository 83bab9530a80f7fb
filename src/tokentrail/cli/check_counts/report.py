"""Where counts and bills differ: kinds of requests and numbers only, no content."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from tokentrail.counting import base_name, encoding_name
from tokentrail.model.records import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokentrail.cli.check_counts.replay import Counted

_HEAD: Final = ("counts", "known", "wrong", "visible", "estimates", ">10 % off")
_OTHER: Final = "another model"


@dataclass(frozen=True)
class RequestKind:
    """All counts of one direction and kind of request."""

    direction: str
    kind: str
    counts: int
    known: int
    wrong: int
    """Exact counts that differ from the bill."""
    visible: int
    estimates: int
    far: int
    """Estimates that are more than a tenth off."""


@dataclass(frozen=True)
class Difference:
    """Counts that are off in the same way."""

    direction: str
    kind: str
    model: str
    """OpenAI's name; your own names are not shown."""
    source: str
    off: int
    """Counted minus billed."""
    times: int
    billed: int
    """Of one example."""
    rules: dict[str, int]
    """Tokens of the example by rule."""


@dataclass(frozen=True)
class Report:
    """The result of comparing a user's exchanges with our counts."""

    exchanges: int
    not_read: int
    """Lines without an exchange."""
    not_counted: int
    """Inputs to which the server adds content that only it knows."""
    kinds: tuple[RequestKind, ...]
    differences: tuple[Difference, ...]

    @property
    def is_right(self) -> bool:
        """Whether no exact count is wrong."""
        return not any(kind.wrong for kind in self.kinds)


def report(exchanges: int, not_read: int, counted: list[Counted]) -> Report:
    """Return the report on the counts of this many exchanges."""
    inputs = sum(one.direction == "input" for one in counted)
    names = dict.fromkeys((one.direction, one.kind) for one in counted)
    kinds = (_kind(*name, (o for o in counted if (o.direction, o.kind) == name)) for name in names)
    return Report(
        exchanges,
        not_read,
        exchanges - inputs,
        tuple(sorted(kinds, key=lambda kind: (kind.direction, -kind.counts))),
        tuple(_differences(counted)),
    )


def _kind(direction: str, kind: str, counted: Iterable[Counted]) -> RequestKind:
    every = list(counted)
    known = [one for one in every if one.source == Source.COUNTED.value]
    visible = [one for one in every if one.source == Source.VISIBLE.value]
    guessed = [one for one in every if one.source == Source.APPROXIMATED.value]
    return RequestKind(
        direction,
        kind,
        len(every),
        len(known),
        sum(not one.right for one in known),
        len(visible),
        len(guessed),
        sum(one.far for one in guessed),
    )


def _differences(counted: list[Counted]) -> Iterator[Difference]:
    """Yield wrong counts, exact ones first; output that is only visible is not compared."""
    alike: dict[tuple[object, ...], list[Counted]] = {}
    for one in counted:
        if not one.right and one.source != Source.VISIBLE.value:
            off, rules = one.tokens - one.billed, tuple(sorted(one.rules))
            key = (one.direction, one.kind, _shown(one.model), one.source, off, rules)
            alike.setdefault(key, []).append(one)
    order = sorted(
        alike.values(), key=lambda found: (found[0].source != Source.COUNTED.value, -len(found))
    )
    for found in order:
        first, rules_of = found[0], Counter[str]()
        for part in first.parts:
            rules_of[part.rule.value] += part.tokens
        yield Difference(
            first.direction,
            first.kind,
            _shown(first.model),
            first.source,
            first.tokens - first.billed,
            len(found),
            first.billed,
            dict(rules_of),
        )


def _shown(model: str) -> str:
    return base_name(model) if encoding_name(model) is not None else _OTHER


def as_json(found: Report) -> str:
    """Return an object for programs."""
    return json.dumps({**asdict(found), "is_right": found.is_right}, indent=2)


def as_table(found: Report) -> str:
    """Return lines for a reader."""
    return "\n".join(_lines(found))


def _lines(found: Report) -> Iterator[str]:
    yield f"Counts and bills of {found.exchanges:,} exchanges"
    yield ""
    width = max([len(f"{one.direction}  {one.kind}") for one in found.kinds] + [5])
    yield f"{'':<{width}}" + "".join(f"{name:>11}" for name in _HEAD)
    for one in found.kinds:
        numbers = (one.counts, one.known, one.wrong, one.visible, one.estimates, one.far)
        name = f"{one.direction:<6}  {one.kind}"
        yield f"{name:<{width}}" + "".join(f"{number:>11,}" for number in numbers)
    if found.not_counted:
        yield f"{found.not_counted:,} inputs cannot be counted: the server adds to them"
    if found.differences:
        yield ""
        yield "Where they differ: how often, counted minus billed, and one example by its rules"
    for off in found.differences:
        yield (
            f"{off.times:>5}x {off.off:+}  {off.direction}  {off.kind}  {off.model}  {off.source}"
            f"  billed {off.billed:,}"
        )
        yield "       " + "  ".join(f"{rule} {tokens}" for rule, tokens in off.rules.items())
