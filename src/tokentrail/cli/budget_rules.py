"""Daily budgets by service or by a label of the application's own, and their alerts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tokentrail.cli.docs_option import DOCS
from tokentrail.cli.promql_rules import COST, alert, rule
from tokentrail.cost.promql_patterns import escape_regex

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUDGET: Final = "tokentrail:cost_budget_usd:per_day"
SHARE: Final = "tokentrail:cost_budget_usd_each:per_day"

_COMMENT: Final = "at the rate of the last hour and minutes, a day's budget lasts four hours"
_PANEL: Final = "/d/tokentrail"


def budget_rules(budget: float) -> list[list[str]]:
    """Return the recording rule of a service's budget, and its alert."""
    return [
        rule(BUDGET, f"vector({budget:g})"),
        _burns("TokentrailCostBudgetBurns", "job", f"> on () group_left () {BUDGET}", BUDGET),
    ]


def share_rules(label: str, shares: Mapping[str | None, float]) -> Iterator[list[str]]:
    """Yield the recording rules of the budget of each value of a label, and their alert."""
    named = [value for value in shares if value is not None]
    for value in named:
        yield rule(SHARE, f"vector({shares[value]:g})", **{label: value})
    if None in shares:
        others = json.dumps("|".join(map(escape_regex, named)))
        but = f", {label}!~{others}" if named else ""
        each = f'group by ({label}) ({COST}{{{label}!=""{but}}})'
        yield rule(SHARE, f"{each} * {shares[None]:g}")
    yield _burns("TokentrailShareOfBudgetBurns", label, f"> on ({label}) {SHARE}", SHARE)


def _burns(name: str, label: str, comparison: str, budget: str) -> list[str]:
    hour = f"sum by ({label}) (avg_over_time({COST}[1h])) * 14400"
    minutes = f"sum by ({label}) ({COST}) * 14400"
    return alert(
        name,
        f"{hour} {comparison}\n  and\n{minutes} {comparison}",
        wait="5m",
        severity="critical",
        comment=_COMMENT,
        annotations={
            "summary": f"{{{{ $labels.{label} }}}} spends a day's budget in four hours",
            "description": f"At this pace {{{{ $value | humanize }}}} USD are spent in four hours;"
            f" the daily budget is {budget}.",
            "runbook_url": f"{DOCS}/runbooks.md#{name}",
            "panel_url": _PANEL,
        },
    )
