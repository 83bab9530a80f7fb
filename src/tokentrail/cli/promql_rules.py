"""Recording rules and alerts as lines of YAML."""

from __future__ import annotations

import json
from typing import Final

COST: Final = "tokentrail:cost_usd:rate5m"
PRICE: Final = "tokentrail:token_price_usd"


def group(name: str, rules: list[list[str]]) -> list[str]:
    """Return the lines of a group."""
    return [
        f"  - name: {name}",
        "    rules:",
        *(f"      {line}" for rule in rules for line in rule),
    ]


def rule(record: str, expr: str, **labels: str) -> list[str]:
    """Return the lines of a recording."""
    shown = [f"    {name}: {json.dumps(value)}" for name, value in labels.items()]
    return [
        f"- record: {record}",
        *(["  labels:", *shown] if shown else []),
        "  expr: |",
        *(f"    {line}" for line in expr.splitlines()),
    ]


def alert(
    name: str, expr: str, *, wait: str, severity: str, comment: str, annotations: dict[str, str]
) -> list[str]:
    """Return the lines of an alert that fires once ``expr`` held for ``wait``."""
    return [
        f"- alert: {name}",
        f"  # {comment}",
        "  expr: |",
        *(f"    {line}" for line in expr.splitlines()),
        f"  for: {wait}",
        "  labels:",
        f"    severity: {severity}",
        "  annotations:",
        *(f"    {key}: {json.dumps(text)}" for key, text in annotations.items()),
    ]
