"""A bill compared with telemetry: rows by model and direction, and reasons for differences."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tokentrail.cli.reconcile.facts import Bill, Gap, Key, Recorded
from tokentrail.model.records import Source
from tokentrail.telemetry.metrics.label_values import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DIRECTIONS: Final = ("input", "output")


@dataclass(frozen=True)
class Reason:
    """A reason for a difference, shown by a number. It may explain all or a part of it."""

    code: str
    number: float
    text: str


@dataclass(frozen=True)
class Row:
    """A model and a direction."""

    model: str
    direction: str
    billed: int
    recorded: float
    sources: dict[str, float]
    within: bool
    reasons: tuple[Reason, ...]

    @property
    def difference(self) -> float:
        """Tokens recorded beyond those billed; negative: some were not recorded."""
        return self.recorded - self.billed

    @property
    def ratio(self) -> float | None:
        """The difference as a share of what was billed."""
        return self.difference / self.billed if self.billed else None


@dataclass(frozen=True)
class Requests:
    """Requests of a model; None: not known."""

    model: str
    billed: int | None
    recorded: float | None


@dataclass(frozen=True)
class Comparison:
    """All that is printed."""

    rows: tuple[Row, ...]
    requests: tuple[Requests, ...]
    names: dict[str, tuple[str, ...]]
    """For each model with several names: all of them."""
    tools: dict[str, tuple[int, float | None]]
    """Requests to hosted tools, billed and recorded."""
    cost: dict[str, dict[str, float]]
    cost_recorded_usd: dict[str, float]
    gaps: tuple[Gap, ...]
    starts: int
    agrees: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "agrees", all(row.within for row in self.rows))


def compare(bill: Bill, recorded: Recorded, tolerance: float) -> Comparison:
    """Compare them by model and direction; ``tolerance`` is a share of the bill."""
    groups = _groups(bill, recorded)
    billed = _by_group(bill.tokens, groups)
    batch = _by_group(bill.batch_tokens, groups)
    failed = _by_group(recorded.failed, groups)
    sources: defaultdict[Key, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for key, of_key in recorded.tokens.items():
        for source, number in of_key.items():
            sources[_key(key, groups)][source] += number
    seen = {groups.get(key.model, key.model) for key in recorded.tokens}
    rows = []
    for key in sorted({*billed, *sources}):
        number, of_key = int(billed.get(key, 0)), dict(sources.get(key, {}))
        if not number and not any(of_key.values()):
            continue
        total = sum(of_key.values())
        within = abs(total - number) <= tolerance * number
        reasons = (
            ()
            if total == number
            else tuple(_reasons(key, of_key, failed.get(key, 0), batch.get(key, 0), seen))
        )
        rows.append(Row(*key, number, total, of_key, within, reasons))
    return Comparison(
        rows=tuple(rows),
        requests=_requests(bill, recorded, groups),
        names=_several(groups),
        tools={
            tool: (number, recorded.tools.get(tool))
            for tool, number in sorted(bill.tools.items())
            if number or recorded.tools.get(tool)
        },
        cost=bill.cost,
        cost_recorded_usd=_sum_names(recorded.cost_usd, groups),
        gaps=recorded.gaps,
        starts=recorded.starts,
    )


def _reasons(
    key: Key, sources: Mapping[str, float], failed: float, batch: float, seen: set[str]
) -> Iterable[Reason]:
    if key.model not in seen:
        yield Reason("never_seen", 0, "telemetry never saw this model: its calls are not recorded")
    visible = sources.get(Source.VISIBLE.value, 0)
    if visible:
        message = f"{visible:,.0f} are visible only: reasoning was billed and not shown"
        yield Reason("visible", visible, message)
    if failed:
        yield Reason("failed", failed, f"{failed:,.0f} are of calls that failed")
    if batch:
        yield Reason("batch", batch, f"{batch:,.0f} were billed for batch jobs, not for calls")


def _groups(bill: Bill, recorded: Recorded) -> dict[str, str]:
    """Return the group of each model: models that answered each other's requests.

    A dated model answers for its alias. The group has the requested name, the shortest.
    """
    names = {key.model for key in (*bill.tokens, *recorded.tokens)}
    names |= {*bill.requests, *recorded.requests}
    groups = {name: {name} for name in names}
    for asked, answered in recorded.answered:
        if OTHER in (asked, answered):  # may be any number of models
            continue
        joined = groups.get(asked, {asked}) | groups.get(answered, {answered})
        for name in joined:
            groups[name] = joined
    requested = {key.model for key in recorded.tokens} | {asked for asked, _ in recorded.answered}
    return {
        name: min(group & requested or group, key=lambda one: (len(one), one))
        for name, group in groups.items()
    }


def _several(groups: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(groups):
        names[groups[name]].append(name)
    return {group: tuple(of) for group, of in sorted(names.items()) if len(of) > 1}


def _key(key: Key, groups: Mapping[str, str]) -> Key:
    return Key(groups.get(key.model, key.model), key.direction)


def _by_group(numbers: Mapping[Key, float], groups: Mapping[str, str]) -> dict[Key, float]:
    sums: defaultdict[Key, float] = defaultdict(float)
    for key, number in numbers.items():
        sums[_key(key, groups)] += number
    return dict(sums)


def _sum_names(numbers: Mapping[str, float], groups: Mapping[str, str]) -> dict[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    for name, number in numbers.items():
        sums[groups.get(name, name)] += number
    return dict(sums)


def _requests(bill: Bill, recorded: Recorded, groups: Mapping[str, str]) -> tuple[Requests, ...]:
    billed = {name: int(number) for name, number in _sum_names(bill.requests, groups).items()}
    ours = _sum_names(recorded.requests, groups)
    return tuple(
        Requests(name, billed.get(name), ours.get(name)) for name in sorted({*billed, *ours})
    )
