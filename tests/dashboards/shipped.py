"""The shipped files, read as Grafana and Prometheus read them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tokentrail.cli.label_option import labelled

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "src" / "tokentrail" / "dashboards"
RULES = FOLDER / "tokentrail.rules.yml"
BOARDS = ("tokentrail.json", "tokentrail-by.json")
LABEL = "tenant"
"""What the second of them is asked by."""


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    board: str
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
    annotations: dict[str, str] = field(default_factory=dict)


def dashboard(board: str = BOARDS[0]) -> Any:
    """Return a dashboard as it is loaded."""
    return json.loads(labelled((FOLDER / board).read_text("utf-8"), LABEL))


def panels(board: str = BOARDS[0]) -> list[Any]:
    """Return the panels that show something, those of folded rows too: rows are headings."""
    every = [p for panel in dashboard(board)["panels"] for p in (panel, *panel.get("panels", ()))]
    return [panel for panel in every if panel["type"] != "row"]


def targets(*boards: str) -> list[Target]:
    """Return every query of these dashboards."""
    return [
        Target(name, panel["title"], one["refId"], one["expr"], one.get("exemplar", False))
        for name in boards or BOARDS
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
            rule.get("annotations", {}),
        )
        for group in groups
        for rule in group["rules"]
    ]


def filled(expr: str, *, service: str = ".*", window: str = "5m") -> str:
    """Return a query with Grafana's variables replaced, as it would send it."""
    seconds = int(window[:-1]) * 60
    values = {
        "__rate_interval": window,
        "__interval_ms": str(seconds * 1000),
        "__interval": window,
        "__range": window,
        "service": service,
    }
    return re.sub(r"\$([a-z_]\w*)", lambda found: values.get(found[1], ".*"), expr)
