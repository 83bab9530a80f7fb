"""A Prometheus that holds an invented history, and what the shipped rules make of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import yaml

from tokentrail import cli

from .history import FLEETS, HOURS, History, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = 9399
URL = f"http://127.0.0.1:{PORT}"


class DrawError(Exception):
    """A program that was needed failed."""


_open = build_opener(ProxyHandler({})).open
_MINUTE = 60.0


def prepared(
    folder: Path, engines: Path, fleet: str, incident: str, vocabulary: str, rules: list[Path]
) -> float:
    """Have a history in ``folder``, made anew where it or a rule was changed; return when it ends.

    The vocabulary ``none`` is a Prometheus without a sample.
    """
    mark, made_of = folder / "end", _made_of(rules)
    end, _, before = mark.read_text("utf-8").partition(" ") if mark.exists() else ("0", "", "")
    if before == made_of:
        return float(end)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    last = time.time() // _MINUTE * _MINUTE
    if vocabulary != "none":
        history = History(vocabulary)
        fill(history, FLEETS[fleet], last, incident)
        _backfill(engines, folder, history.text())
        _evaluate(folder, engines, rules, last)
    mark.write_text(f"{last} {made_of}", "utf-8")
    return last


def _made_of(rules: list[Path]) -> str:
    sources = [Path(__file__).with_name("history.py"), *rules]
    return sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _evaluate(folder: Path, engines: Path, rules: list[Path], end: float) -> None:
    for _ in range(3):  # recordings that are made of recordings come with a later pass
        with serving(folder, engines):
            _record(engines, folder, rules, end)
    with serving(folder, engines):
        lines = [*_alerts(rules, end), "# EOF"]
    _backfill(engines, folder, iter(lines))


def price_rules(folder: Path, by: str | None) -> Path:
    """Have ``tokentrail prices`` write its rules for the models of the fleet."""
    folder.mkdir(parents=True, exist_ok=True)
    path, own = folder / "prices.rules.yml", folder / "own.json"
    own.write_text(
        json.dumps({"gpt-4o-2024-08-06": {"input": 2.5, "output": 10, "cache_read": 1.25}})
    )
    names = {m.answers or m.name for fleet in FLEETS.values() for s in fleet for m in s.models}
    asked = ["prices", "--models", ",".join(sorted(names)), "--overrides", str(own)]
    asked += ["--by", by, "--budget-each", "30"] if by else ["--budget", "150"]
    if cli.main([*asked, "-o", str(path)]):
        raise DrawError(asked)
    return path


@contextmanager
def serving(folder: Path, engines: Path) -> Iterator[None]:
    """Run a Prometheus over the history, until the block ends."""
    config = folder / "prometheus.yml"
    config.write_text("{}", "utf-8")
    command = [
        str(engines / "prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{PORT}",
        "--storage.tsdb.retention.time=10y",
    ]
    with (folder / "log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await_ready(process)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _await_ready(process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise DrawError(process.args)
        with suppress(URLError, ConnectionError), _open(f"{URL}/-/ready", timeout=5):
            return
        time.sleep(0.1)
    message = "Prometheus is not ready"
    raise TimeoutError(message)


def ask(path: str, **parameters: Any) -> Any:
    """Return the data of an answer of the HTTP API."""
    with _open(f"{URL}/api/v1/{path}?{urlencode(parameters)}", timeout=60) as answer:
        return json.load(answer)["data"]


def _backfill(engines: Path, folder: Path, lines: Iterator[str]) -> None:
    text = folder / "history.txt"
    text.write_text("\n".join(lines) + "\n", "utf-8")
    promtool = [str(engines / "promtool"), "tsdb", "create-blocks-from", "openmetrics", "-q"]
    subprocess.run(
        [*promtool, str(text), str(folder / "tsdb")], check=True, stdout=subprocess.DEVNULL
    )
    text.unlink()


def _record(engines: Path, folder: Path, rules: list[Path], end: float) -> None:
    made = folder / "made"
    shutil.rmtree(made, ignore_errors=True)
    command = [str(engines / "promtool"), "tsdb", "create-blocks-from", "rules", "--url", URL]
    span = [f"--start={end - HOURS * 3600 + 300:.0f}", f"--end={end:.0f}", "--eval-interval=60s"]
    names = [str(path) for path in rules]
    done = subprocess.run(
        [*command, *span, f"--output-dir={made}", *names],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise DrawError(done.stderr)
    for block in made.iterdir():
        shutil.move(block, folder / "tsdb")


def _alerts(rules: list[Path], end: float) -> Iterator[str]:
    """Yield ALERTS and ALERTS_FOR_STATE, which Prometheus writes of alerts that fire."""
    for path in rules:
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    yield from _alert(rule, end)


def _alert(rule: dict[str, Any], end: float) -> Iterator[str]:
    wait = {"m": 60, "h": 3600}[rule.get("for", "0m")[-1]] * int(rule.get("for", "0m")[:-1])
    span = {"start": end - HOURS * 3600 + 600, "end": end, "step": 60}
    for one in ask("query_range", query=rule["expr"], **span)["result"]:
        labels = {**one["metric"], **rule["labels"], "alertname": rule["alert"]}
        labels.pop("__name__", None)
        plain, shown = (
            ",".join(f'{k}="{v}"' for k, v in sorted(each.items()))
            for each in (labels, {**labels, "alertstate": "firing"})
        )
        begun = before = 0.0
        for at, _ in one["values"]:
            begun = at if at - before > _MINUTE else begun
            before = at
            if at - begun >= wait:
                yield f"ALERTS{{{shown}}} 1 {at:.0f}"
                yield f"ALERTS_FOR_STATE{{{plain}}} {begun:.0f} {at:.0f}"
