"""The shipped files, read as Grafana and Prometheus read them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "src" / "tokentrail" / "dashboards"
RULES = FOLDER / "tokentrail.rules.yml"
VOCABULARIES = ("released", "latest")


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    vocabulary: str
    panel: str
    letter: str
    expr: str
    exemplar: bool

    @property
    def key(self) -> tuple[str, str]:
        """What the proof calls it, in both dashboards."""
        return self.panel, self.letter


@dataclass(frozen=True)
class Rule:
    """A recording or an alert."""

    name: str
    expr: str
    alert: bool
    labels: dict[str, str] = field(default_factory=dict)


def dashboard(vocabulary: str) -> Any:
    """Return a dashboard as it is loaded."""
    return json.loads((FOLDER / f"tokentrail-{vocabulary}.json").read_text("utf-8"))


def panels(vocabulary: str) -> list[Any]:
    """Return the panels that show something: rows are headings."""
    return [panel for panel in dashboard(vocabulary)["panels"] if panel["type"] != "row"]


def targets(*vocabularies: str) -> list[Target]:
    """Return every query of these dashboards."""
    return [
        Target(name, panel["title"], one["refId"], one["expr"], one.get("exemplar", False))
        for name in vocabularies or VOCABULARIES
        for panel in panels(name)
        for one in panel["targets"]
    ]


def rules(path: Path = RULES) -> list[Rule]:
    """Return every rule."""
    groups = yaml.safe_load(path.read_text("utf-8"))["groups"]
    return [
        Rule(
            rule.get("record") or rule["alert"],
            rule["expr"],
            "alert" in rule,
            rule.get("labels", {}),
        )
        for group in groups
        for rule in group["rules"]
    ]


def filled(expr: str, *, service: str = ".*", window: str = "5m") -> str:
    """Return a query with Grafana's variables replaced, as it would send it."""
    return (
        expr.replace("$__rate_interval", window)
        .replace("$__range", window)
        .replace("$service", service)
        .replace("$provider", ".*")
        .replace("$model", ".*")
    )
