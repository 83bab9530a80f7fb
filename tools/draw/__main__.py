"""Draw a dashboard with Grafana's own components, over an invented history or a live Prometheus.

    python -m tools.draw out.png                            # the first screen, one service, dark
    python -m tools.draw out.png --fleet four --whole --open --mode light
    python -m tools.draw out.png --incident cache           # or failing, tenant
    python -m tools.draw out.png --data latest              # of the other vocabulary, or none
    python -m tools.draw out.png --panel "Cost per hour"    # one panel
    python -m tools.draw out.png --prometheus http://localhost:9090

Needs node, npm, chromium, and the engines of `make verify-dashboards`. npm installs some 460 MB
into .draw, or the folder that DRAW_WORK names. What Grafana itself would add is not drawn: menus,
tooltips, exemplars and the list of alerts; heatmaps are drawn by page.jsx.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import store
from .history import FLEETS, INCIDENTS, STEP

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "src" / "tokentrail" / "dashboards"
SCREEN = 1080


def main() -> int:
    """Draw what was asked for; print what each panel got."""
    asked = _asked()
    work = Path(os.environ.get("DRAW_WORK") or ".draw").absolute()
    engines = Path(os.environ.get("STACK_ENGINES") or ".stack").absolute()
    _install(work)
    with ExitStack() as running:
        end = time.time() - 30
        if not asked.prometheus:
            parts = (asked.fleet, asked.incident, asked.data, asked.by)
            folder = work / "-".join(filter(None, parts))
            rules = [Path(path) for path in asked.rules or [SHIPPED / "tokentrail.rules.yml"]]
            rules.append(store.price_rules(work, asked.by))
            about = (asked.fleet, asked.incident, asked.data, rules)
            end = store.prepared(folder, engines, *about)
            running.enter_context(store.serving(folder, engines))
        report = _draw(work, _job(asked, end))
    for panel in report["panels"]:
        if asked.names or panel["notes"]:
            print(panel)
    print({name: report[name] for name in ("height", "problems")})
    return 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tools.draw",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("picture")
    parser.add_argument("--board", default=str(SHIPPED / "tokentrail.json"))
    parser.add_argument("--fleet", choices=FLEETS, default="one")
    parser.add_argument("--incident", choices=INCIDENTS, default="none")
    parser.add_argument("--data", choices=("released", "latest", "none"), default="released")
    parser.add_argument("--prometheus", help="draw what a live one has instead")
    parser.add_argument("--rules", nargs="+", help="files of rules, instead of the shipped one")
    parser.add_argument("--by", help="cost by this label, 30 USD a day each")
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument("--mode", choices=("dark", "light"), default="dark")
    parser.add_argument("--width", type=int, default=1600)
    parser.add_argument("--whole", action="store_true", help="not the first screen only")
    parser.add_argument("--screens", action="store_true", help="a picture for each screen")
    parser.add_argument("--open", action="store_true", help="open the folded rows")
    parser.add_argument("--panel", help="the title of the one panel to draw")
    parser.add_argument("--row", help="the heading of the one row to draw, open and whole")
    parser.add_argument("--names", action="store_true", help="print the names of series")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="variables")
    return parser.parse_args()


def _job(asked: argparse.Namespace, end: float) -> dict[str, Any]:
    dashboard = json.loads(Path(asked.board).read_text("utf-8"))
    if asked.row:
        dashboard["panels"] = _row(dashboard["panels"], asked.row)
    span = asked.minutes * 60
    step = max(15, -(-span // 800 // 15) * 15)
    built_in = {"__range": f"{span}s", "__range_s": str(span), "__from": "", "__to": ""}
    chosen = dict(one.split("=", 1) for one in asked.set)
    own = {one["name"]: ".*" for one in dashboard["templating"]["list"]}
    shot: dict[str, Any] = {"file": str(Path(asked.picture).absolute())}
    if asked.panel:
        every = [p for panel in dashboard["panels"] for p in (panel, *panel.get("panels", ()))]
        (found,) = (panel["id"] for panel in every if panel.get("title") == asked.panel)
        shot["panel"] = f"panel-{found}"
    elif not (asked.whole or asked.row):
        shot |= {"height": SCREEN, "all": asked.screens}
    return {
        "dashboard": dashboard,
        "prometheus": asked.prometheus or store.URL,
        "from": int((end - span) * 1000),
        "to": int(end * 1000),
        "step": step,
        "scrape": STEP,
        "variables": {**own, **built_in, **chosen},
        "mode": asked.mode,
        "width": asked.width,
        "open": asked.open or bool(asked.row),
        "shots": [shot],
        "browser": shutil.which("chromium") or shutil.which("google-chrome"),
    }


def _row(panels: list[dict[str, Any]], title: str) -> list[dict[str, Any]]:
    """Return a heading and the panels below it, at the top."""
    (first,) = (n for n, p in enumerate(panels) if p["type"] == "row" and p["title"] == title)
    others = [n for n, p in enumerate(panels) if p["type"] == "row" and n > first]
    chosen = panels[first : min([*others, len(panels)])]
    top = chosen[0]["gridPos"]["y"]
    for panel in chosen:
        panel["gridPos"]["y"] -= top
    return chosen


def _install(work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "browser.mjs", "page.jsx"):
        there, mine = work / name, (HERE / name).read_bytes()
        if not there.exists() or there.read_bytes() != mine:
            there.write_bytes(mine)
    if not (work / "node_modules").exists():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=work, check=True)  # noqa: S607 - the user's npm


def _draw(work: Path, job: dict[str, Any]) -> Any:
    path = work / "job.json"
    path.write_text(json.dumps(job), "utf-8")
    done = subprocess.run(
        ["node", "browser.mjs", str(path)],  # noqa: S607 - the user's node
        cwd=work,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
