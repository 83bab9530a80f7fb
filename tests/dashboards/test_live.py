"""The proof: what is shipped, asked of a real Prometheus that scraped real calls.

Each application plays a round, Prometheus starts, and a second round is played. What every query of
every panel and rule must return then is known from the scenes (expected.py). The same process is
scraped in two ways: by the pull exporter, and as an OTLP receiver would have stored it.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

pytest.importorskip("opentelemetry.exporter.prometheus", reason="needs tokentrail[dashboards]")

from tests.dashboards import expected, promql
from tests.dashboards.expected import Labels, World
from tests.dashboards.scenes import ENVIRONMENT, VERSION
from tests.dashboards.server import Application, Prometheus, free_port, program
from tests.dashboards.shipped import BOARDS, LABEL, Rule, dashboard, filled, panels, rules, targets
from tests.waiting import wait_until

from tokentrail import cli

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

WAYS = ("pull", "otlp")
TOLD = ("released", "latest", "both")
"""What an application's ``metric_names`` may be; the dashboard is for each."""


@dataclass
class Seen:
    """What was seen, and by whom."""

    prometheus: Prometheus
    traces: set[str]
    end: float
    priced: float
    """When costs were recorded, after that."""
    price_rules: list[Rule]

    def world(self, job: str, at: float | None = None) -> World:
        """Return a job as it stood when all was over."""
        end = at or self.end
        (probe,) = self.prometheus.samples(f'tokentrail_internal_queue_size{{job="{job}"}}', end)

        def recorded(name):
            series = self.prometheus.samples(f'{name}{{job="{job}"}}', end)
            return [(labels, [(at, float(n)) for at, n in told]) for labels, told in series]

        return World(
            job,
            [t for t, _ in probe[1]],
            end,
            lambda name: self._rises(name, job),
            recorded,
        )

    def _rises(self, name, job):
        series = self.prometheus.samples(f'{name}{{job="{job}"}}', self.end)
        ends = [(labels, float(told[0][1]), float(told[-1][1])) for labels, told in series]
        return [(labels, first, last - first) for labels, first, last in ends]


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    program("prometheus")
    port = free_port()
    receiver = f"http://127.0.0.1:{port}/api/v1/otlp/v1/metrics"
    applications = [Application(vocabulary, receiver) for vocabulary in TOLD]
    server = None
    try:
        _play(applications)
        folder = tmp_path_factory.mktemp("prometheus")
        prices = _price_rules(folder)
        server = Prometheus(folder, port, applications, prices)
        for application in applications:
            application.begin("send")
        _scraped(server, 2)
        _play(applications)
        _scraped(server, 3)
        end = round(time.time(), 3)  # Prometheus knows milliseconds
        number = len(rules()) + len(rules(prices))
        wait_until(lambda: _evaluated(server, end, number), "every rule is evaluated")
        priced = wait_until(lambda: _priced(server, end), "costs are recorded")
        traces = set().union(*(one.traces for one in applications))
        yield Seen(server, traces, end, priced, rules(prices))
    finally:
        if server is not None:
            server.close()
        for application in applications:
            application.close()


def _play(applications) -> None:
    for application in applications:
        application.begin()
    for application in applications:
        application.finish()


def _scraped(server, more: int) -> None:
    """Wait until each job was scraped so many times from now on."""
    begun = time.time()

    def scraped() -> bool:
        found = server.samples("tokentrail_internal_queue_size", time.time())
        fresh = [sum(at > begun for at, _ in values) >= more for _, values in found]
        return len(fresh) == len(TOLD) * len(WAYS) and all(fresh)

    wait_until(scraped, f"{more} scrapes of each application")


def _price_rules(folder) -> Path:
    """Have the command write what a user would load."""
    own, path = folder / "own.json", folder / "prices.rules.yml"
    own.write_text(json.dumps(expected.PRICES), "utf-8")
    names = ",".join({**expected.PRICES, **expected.PUBLISHED})
    asked = ["prices", "--models", names, "--overrides", str(own), "-o", str(path)]
    asked += ["--by", LABEL, "--budget", str(expected.USD_BUDGET)]
    assert cli.main(asked) == 0
    return path


def _priced(server, since: float) -> float | None:
    """Return when costs of every job were recorded last, once some stood at a full minute."""
    found = {values[-1][0] for _, values in server.samples(expected.COST, time.time())}
    if len(found) != 1 or (at := found.pop()) <= since + 0.5:
        return None
    told = server.values(f"sum by (job) (sum_over_time({expected.COST}[5m:1m]))", at)
    return at if len(told) == len(TOLD) * len(WAYS) else None


def _evaluated(server, since: float, number: int) -> bool:
    found = [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]
    assert not [rule for rule in found if rule["health"] == "err"]
    return len(found) == number and all(
        rule["lastEvaluation"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))
        and rule["health"] == "ok"
        for rule in found
    )


JOBS = [f"{way}-{told}" for told in TOLD for way in WAYS]
ASKED = [
    pytest.param(job, target, id=f"{target.board}-{job}-{target.panel}-{target.letter}")
    for target in targets()
    for job in JOBS
]
EXPECTED = {**expected.PANELS, **expected.BY_TENANT}
SILENT = {"Firing alerts"}
"""Panels that have nothing to show, for the alerts that fire first wait for minutes."""


@pytest.mark.parametrize(("job", "target"), ASKED)
def test_every_query_of_a_panel_returns_what_is_known(seen, job, target):
    # What was recorded while a scrape was under way lacks a sample that we see, one of eight or so
    # if all went quickly. That recorded costs are exact is seen below.
    at, near = (seen.priced, 0.2) if expected.COST in target.expr else (seen.end, 1e-6)
    at = seen.priced if expected.PRICE in target.expr else at
    values = seen.prometheus.values(filled(target.expr, service=job), at)
    assert bool(values) == (target.panel not in SILENT), "an empty panel"
    assert values == pytest.approx(EXPECTED[target.key](seen.world(job, at)), rel=near)


@pytest.mark.parametrize("job", JOBS)
def test_priced_tokens_are_those_of_the_scenes(seen, job):
    """Before prices are multiplied: exact, by the model that answered, in each vocabulary."""
    told = defaultdict(float)
    for rule in seen.price_rules:
        if rule.name == "tokentrail:priced_tokens:rate5m":
            part = rule.labels["tokentrail_part"]
            for labels, value in seen.prometheus.values(rule.expr, seen.end).items():
                if ("job", job) in labels and value:
                    apart = ("openai_response_service_tier", LABEL)
                    alike = [(k, v) for k, v in labels if k not in apart]
                    told[Labels([*alike, ("part", part)])] += value
    by = (*expected.BY_MODEL, "tokentrail_model", "part")
    known = expected.grouped(expected.priced_tokens(job), *by)
    pace = seen.world(job).pace(300)
    assert told == pytest.approx(expected.times(known, pace), rel=1e-6)


@pytest.mark.parametrize("job", JOBS)
def test_recorded_costs_are_the_prices_of_the_recorded_tokens(seen, job):
    query = f'sum by (gen_ai_request_model) ({expected.COST}{{job="{job}"}})'
    costs = seen.prometheus.values(query, seen.priced)
    tokens = seen.prometheus.values(f'tokentrail:priced_tokens:rate5m{{job="{job}"}}', seen.priced)
    known = defaultdict(float)
    for labels, pace in tokens.items():
        told = dict(labels)
        rates = {**expected.PRICES, **expected.PUBLISHED}.get(told["tokentrail_model"])
        if rates is not None:
            part = told["tokentrail_part"]
            whole = {"cache_read": "input", "reasoning": "output"}.get(part, part)
            price = rates.get(part, rates.get(whole, 0)) - (rates[whole] if whole != part else 0)
            known[Labels({(expected.MODEL, told[expected.MODEL])})] += pace * price / 1e6
    assert costs
    assert costs == pytest.approx(known, rel=1e-6)


@pytest.mark.parametrize("rule", [rule for rule in rules() if not rule.alert], ids=lambda r: r.name)
def test_every_recording_has_the_known_values(seen, rule):
    values = seen.prometheus.values(rule.expr, seen.end)
    if rule.name == expected.CONSTANT:
        assert values == {Labels(): float(re.fullmatch(r"vector\((\d+)\)", rule.expr)[1])}
        return
    known = {}
    for told in TOLD:
        for way in WAYS:
            world = seen.world(f"{way}-{told}")
            known.update(expected.RECORDINGS[rule.name](world))
    assert values
    assert values == pytest.approx(known, rel=1e-6)
    assert seen.prometheus.values(rule.name, time.time()).keys() == known.keys()


@pytest.mark.parametrize("rule", [rule for rule in rules() if rule.alert], ids=lambda r: r.name)
def test_every_alert_compares_what_is_there_and_fires_as_known(seen, rule):
    for part in promql.compared(rule.expr):
        if "offset" in part:  # they look back further than the proof lasts
            continue
        assert seen.prometheus.values(part, time.time()), f"nothing is told of {part}"
    known = {}
    for told in TOLD:
        for way in WAYS:
            world = seen.world(f"{way}-{told}")
            known.update(expected.ALERTS[rule.name](world))
    assert seen.prometheus.values(rule.expr, time.time()) == pytest.approx(known, rel=1e-6)
    alerts = seen.prometheus.ask("alerts")["alerts"]
    own = [one["labels"] for one in alerts if one["labels"]["alertname"] == rule.name]
    bare = ({k: v for k, v in one.items() if k not in ("alertname", "severity")} for one in own)
    assert {Labels(labels.items()) for labels in bare} == known.keys()


@pytest.mark.parametrize("told", TOLD)
def test_the_pull_exporter_and_otlp_give_the_same_series_and_labels(seen, told):
    def series(way):
        found = defaultdict(set)
        selector = f'{{job="{way}-{told}", __name__=~"(gen_ai|tokentrail)_.+"}}'
        for labels in seen.prometheus.ask("series", **{"match[]": selector}):
            own = {name for name in labels if not name.startswith("otel_scope_")}
            found[labels["__name__"]] |= own
        return found

    pulled = series("pull")
    assert len(pulled) > 20
    assert pulled == series("otlp")


WITH_EXEMPLARS = [target for target in targets(BOARDS[0]) if target.exemplar]


@pytest.mark.parametrize("target", WITH_EXEMPLARS, ids=lambda t: str(t.key))
def test_exemplars_lead_to_the_traces_of_the_calls(seen, target):
    """Where metrics come by OTLP: the pull exporter for Python has no exemplars."""
    query = filled(target.expr, service="otlp-released")
    found = seen.prometheus.ask("query_exemplars", query=query, start=seen.end - 300, end=seen.end)
    ids = {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}
    assert ids
    assert ids <= seen.traces


@pytest.mark.parametrize("board", BOARDS)
def test_every_variable_has_its_choices(seen, board):
    known = {
        "service": {f"{way}-{told}" for way in WAYS for told in TOLD},
        "provider": {labels[expected.PROVIDER] for labels, _ in expected.calls("")},
        "environment": {ENVIRONMENT},
        "version": {VERSION},
        **(
            {"by": {labels[expected.TENANT] for labels, _ in expected.calls("")}}
            if board == BOARDS[1]
            else {}
        ),
        "model": {labels[expected.MODEL] for labels, _ in expected.calls("")},
    }
    asked = {
        one["name"]: one["query"]
        for one in dashboard(board)["templating"]["list"]
        if one["type"] == "query"
    }
    assert asked.keys() == known.keys()
    for name, query in asked.items():
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
        match = {"match[]": filled(selector)}
        assert set(seen.prometheus.ask(f"label/{label}/values", **match)) == known[name]


@pytest.mark.parametrize("board", BOARDS)
def test_links_name_labels_that_the_series_have(seen, board):
    """The labels that a link fills in are those that each query of its panel returns."""
    linked = 0
    for panel in panels(board):
        for link in panel["fieldConfig"]["defaults"].get("links", []):
            named = set(re.findall(r"\$\{__field\.labels\.(\w+)\}", unquote(link["url"])))
            for one in panel["targets"]:
                query = filled(one["expr"], service="pull-both")
                for labels in seen.prometheus.values(query, seen.end):
                    assert named <= {name for name, _ in labels}, panel["title"]
                    linked += 1
    assert linked
