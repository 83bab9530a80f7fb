"""A comparison as a table, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokentrail.cli.reconcile.comparison import Comparison, Row
    from tokentrail.cli.reconcile.facts import Days

_MOST_GAPS: Final = 10


def as_json(found: Comparison, days: Days, tolerance: float) -> str:
    """Return an object for programs."""
    rows = [{**asdict(row), "difference": row.difference, "ratio": row.ratio} for row in found.rows]
    document: dict[str, Any] = {
        "from": days.first.isoformat(),
        "to": days.last.isoformat(),
        "tolerance": tolerance,
        "agrees": found.agrees,
        "tokens": rows,
        "requests": [asdict(one) for one in found.requests],
        "names": found.names,
        "tools": {
            tool: {"billed": billed, "recorded": recorded}
            for tool, (billed, recorded) in found.tools.items()
        },
        "cost": found.cost,
        "cost_recorded_usd": found.cost_recorded_usd,
        "gaps": [{"start": _time(gap.start), "end": _time(gap.end)} for gap in found.gaps],
        "starts": found.starts,
    }
    return json.dumps(document, indent=2)


def as_table(found: Comparison, days: Days, tolerance: float) -> str:
    """Return lines for a reader."""
    return "\n".join(_lines(found, days, tolerance))


def _lines(found: Comparison, days: Days, tolerance: float) -> Iterator[str]:
    width = max([len(row.model) for row in found.rows] + [5])
    yield f"Tokens of {days.first} to {days.last}, whole days of UTC"
    yield ""
    head = ("billed", "recorded", "difference")
    yield f"{'model':<{width}}  {'':<6}" + "".join(f"{one:>15}" for one in head)
    for row in found.rows:
        yield _row(row, width)
        if row.recorded:
            sources = (f"{source} {number:,.0f}" for source, number in sorted(row.sources.items()))
            yield f"  {', '.join(sources)}"
        yield from (f"  ! {reason.text}" for reason in row.reasons)
    if not found.rows:
        yield "nothing was billed, and nothing recorded"
    for title, part in (
        ("Names that are one model, by their answers", _names(found)),
        ("Requests: billed, recorded", _requests(found)),
        ("Hosted tools: billed besides tokens, recorded", _tools(found)),
        ("Cost", _cost(found)),
        ("Telemetry", _telemetry(found)),
    ):
        lines = list(part)
        if lines:
            yield from ("", title, *(f"  {line}" for line in lines))
    yield ""
    off = sum(not row.within for row in found.rows)
    if off:
        yield f"{off} of {len(found.rows)} rows differ by more than {tolerance:.4g} of the bill"
    else:
        yield f"The bill agrees, to {tolerance:.4g} of it"


def _row(row: Row, width: int) -> str:
    share = "" if row.ratio is None else f" {row.ratio:>+8.2%}"
    numbers = f"{row.billed:>15,}{row.recorded:>15,.0f}{row.difference:>+15,.0f}"
    return f"{row.model:<{width}}  {row.direction:<6}{numbers}{share}".rstrip()


def _names(found: Comparison) -> Iterator[str]:
    for model, names in found.names.items():
        yield f"{model}: {', '.join(name for name in names if name != model)}"


def _requests(found: Comparison) -> Iterator[str]:
    for one in found.requests:
        billed = "not known" if one.billed is None else f"{one.billed:,}"
        recorded = "none" if one.recorded is None else f"{one.recorded:,.0f}"
        yield f"{one.model}: {billed}, {recorded}"


def _tools(found: Comparison) -> Iterator[str]:
    for tool, (billed, recorded) in found.tools.items():
        yield f"{tool}: {billed:,}, {'none' if recorded is None else f'{recorded:,.0f}'}"


def _cost(found: Comparison) -> Iterator[str]:
    for currency, items in sorted(found.cost.items()):
        yield f"billed: {sum(items.values()):,.2f} {currency}"
        yield from (f"  {item}: {amount:,.2f}" for item, amount in sorted(items.items()))
    if found.cost_recorded_usd:
        total = sum(found.cost_recorded_usd.values())
        yield f"recorded, by the price rules: about {total:,.2f} USD"
        yield from (
            f"  {model}: {usd:,.2f}" for model, usd in sorted(found.cost_recorded_usd.items())
        )


def _telemetry(found: Comparison) -> Iterator[str]:
    for gap in found.gaps[:_MOST_GAPS]:
        yield f"no sample from {_time(gap.start)} to {_time(gap.end)}"
    if len(found.gaps) > _MOST_GAPS:
        yield f"and {len(found.gaps) - _MOST_GAPS} gaps more, all of them with --json"
    if found.starts:
        yield f"processes that began, or began again: {found.starts}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
