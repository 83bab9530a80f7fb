"""PromQL taken apart: what a query selects, and what an alert compares."""

from __future__ import annotations

from typing import Any

import promql_parser

COMPARE = {">", "<", ">=", "<=", "==", "!=", "and", "or", "unless"}


def selected(expr: str) -> list[tuple[str, set[str]]]:
    """Return the metrics that a query selects, and the labels it names for each."""
    found: list[tuple[str, set[str]]] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name, {matcher.name for matcher in node.matchers.matchers}))

    promql_parser.walk(promql_parser.parse(expr), visit)
    return found


def selectors(expr: str) -> list[tuple[str, dict[str, str]]]:
    """Return the metrics that a query selects, each with the labels that it asks to be equal."""
    found: list[tuple[str, dict[str, str]]] = []

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            equal = (m for m in node.matchers.matchers if str(m.op) == "MatchOp.Equal")
            found.append((node.name, {matcher.name: matcher.value for matcher in equal}))

    promql_parser.walk(promql_parser.parse(expr), visit)
    return found


def grouping(expr: str) -> set[str]:
    """Return the labels by which a query groups."""
    labels: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            labels.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expr), visit)
    return labels


def compared(expr: str) -> list[str]:
    """Return the parts of an alert that must have values, whether it fires or not."""
    return _parts(promql_parser.parse(expr))


def _parts(node: Any) -> list[str]:
    if isinstance(node, promql_parser.BinaryExpr) and str(node.op) in COMPARE:
        return [*_parts(node.lhs), *_parts(node.rhs)]
    if isinstance(node, promql_parser.NumberLiteral):
        return []
    return [node.prettify()]
