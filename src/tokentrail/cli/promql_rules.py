"""Recording rules and alerts as lines of YAML, and their expressions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from decimal import Decimal

COST: Final = "tokentrail:cost_usd:rate5m"
PRICE: Final = "tokentrail:token_price_usd"
ALIKE: Final = (
    "job, gen_ai_provider_name, gen_ai_request_model, openai_response_service_tier,"
    " tokentrail_model"
)
"""The labels of tokens that have the same price."""


def promql_name(name: str) -> str:
    """Return the name that Prometheus gives to an attribute or metric, but for a unit's suffix."""
    return name.replace(".", "_")


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


def summed(
    selector: str,
    alike: str = ALIKE,
    models: tuple[str, ...] = (semconv.REQUEST_MODEL, semconv.RESPONSE_MODEL),
) -> str:
    """Return the rate of the selected series, by the model of the answer or the request.

    ``models``: the labels that name the model with the price, the best last.
    """
    named = f"rate({selector}[5m])"
    for label in map(promql_name, models):
        named = f'label_replace({named}, "tokentrail_model", "$1", "{label}", "(.+)")'
    return f"sum by ({alike}) ({named})"


def number(price: Decimal) -> str:
    """Return USD for one, of a price in millionths."""
    return f"{price.normalize():f}e-6" if price else "0"
