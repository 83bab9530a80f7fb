"""The proof: what is shipped, asked of a real Prometheus that scraped real calls.

Each application plays a round, Prometheus starts, and a second round is played. What every query of
every panel and rule must return then is known from the scenes (expected.py). The same process is
scraped in two ways: by the pull exporter, and as an OTLP receiver would have stored it.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from urllib.parse import unquote

import pytest

pytest.importorskip("opentelemetry.exporter.prometheus", reason="needs tokentrail[dashboards]")

from tests.dashboards import expected, promql
from tests.dashboards.expected import Labels, World
from tests.dashboards.server import Application, Prometheus, program, wait_until
from tests.dashboards.shipped import VOCABULARIES, dashboard, filled, panels, rules, targets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

WAYS = ("pull", "otlp")
TOLD = ("released", "latest", "both")
"""What an application's ``metrics`` may be; a dashboard is for its own names, and for both."""


@dataclass
class Seen:
    """What was seen, and by whom."""

    prometheus: Prometheus
    traces: set[str]
    end: float

    def world(self, job: str, vocabulary: str) -> World:
        """Return a job as it stood when all was over, for one vocabulary."""
        (probe,) = self.prometheus.samples(f'tokentrail_queue_size{{job="{job}"}}', self.end)
        return World(
            job, vocabulary, [t for t, _ in probe[1]], self.end, lambda name: self._rises(name, job)
        )

    def _rises(self, name, job):
        series = self.prometheus.samples(f'{name}{{job="{job}"}}', self.end)
        ends = [(labels, float(told[0][1]), float(told[-1][1])) for labels, told in series]
        return [(labels, first, last - first) for labels, first, last in ends]


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    program("prometheus")
    applications = [Application(vocabulary) for vocabulary in TOLD]
    server = None
    try:
        _play(applications)
        server = Prometheus(tmp_path_factory.mktemp("prometheus"), applications)
        _scraped(server, 2)
        _play(applications)
        _scraped(server, 3)
        end = round(time.time(), 3)  # Prometheus knows milliseconds
        wait_until(lambda: _evaluated(server, end), "every rule is evaluated")
        yield Seen(server, set().union(*(one.traces for one in applications)), end)
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
        found = server.samples("tokentrail_queue_size", time.time())
        fresh = [sum(at > begun for at, _ in values) >= more for _, values in found]
        return len(fresh) == len(TOLD) * len(WAYS) and all(fresh)

    wait_until(scraped, f"{more} scrapes of each application")


def _evaluated(server, since: float) -> bool:
    found = [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]
    assert not [rule for rule in found if rule["health"] == "err"]
    return len(found) == len(rules()) and all(
        rule["lastEvaluation"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))
        and rule["health"] == "ok"
        for rule in found
    )


def _jobs(vocabulary):
    return [f"{way}-{told}" for told in (vocabulary, "both") for way in WAYS]


ASKED = [
    pytest.param(job, target, id=f"{target.vocabulary}-{job}-{target.panel}-{target.letter}")
    for vocabulary in VOCABULARIES
    for target in targets(vocabulary)
    for job in _jobs(vocabulary)
]


@pytest.mark.parametrize(("job", "target"), ASKED)
def test_every_query_of_a_panel_returns_what_is_known(seen, job, target):
    world = seen.world(job, target.vocabulary)
    values = seen.prometheus.values(filled(target.expr, service=job), seen.end)
    assert values, "an empty panel"
    assert values == pytest.approx(expected.PANELS[target.key](world), rel=1e-6)


@pytest.mark.parametrize("rule", [rule for rule in rules() if not rule.alert], ids=lambda r: r.name)
def test_every_recording_has_the_known_values(seen, rule):
    values = seen.prometheus.values(rule.expr, seen.end)
    known = {}
    for told in TOLD:
        for way in WAYS:
            world = seen.world(f"{way}-{told}", "latest" if told == "latest" else "released")
            known.update(expected.RECORDINGS[rule.name](world))
    assert values
    assert values == pytest.approx(known, rel=1e-6)
    assert seen.prometheus.values(rule.name, time.time()).keys() == known.keys()


@pytest.mark.parametrize("rule", [rule for rule in rules() if rule.alert], ids=lambda r: r.name)
def test_every_alert_compares_what_is_there_and_fires_as_known(seen, rule):
    for part in promql.compared(rule.expr):
        assert seen.prometheus.values(part, time.time()), f"nothing is told of {part}"
    known = {}
    for told in TOLD:
        for way in WAYS:
            world = seen.world(f"{way}-{told}", "latest" if told == "latest" else "released")
            known.update(expected.ALERTS[rule.name](world))
    assert seen.prometheus.values(rule.expr, time.time()) == pytest.approx(known, rel=1e-6)
    alerts = seen.prometheus.ask("alerts")["alerts"]
    own = [one["labels"] for one in alerts if one["labels"]["alertname"] == rule.name]
    bare = ({k: v for k, v in one.items() if k not in ("alertname", "severity")} for one in own)
    assert {Labels(labels.items()) for labels in bare} == known.keys()


@pytest.mark.parametrize("target", [t for t in targets() if t.exemplar], ids=lambda t: str(t.key))
def test_exemplars_lead_to_the_traces_of_the_calls(seen, target):
    """Where metrics come by OTLP: the pull exporter for Python has no exemplars."""
    query = filled(target.expr, service=f"otlp-{target.vocabulary}")
    found = seen.prometheus.ask("query_exemplars", query=query, start=seen.end - 300, end=seen.end)
    ids = {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}
    assert ids
    assert ids <= seen.traces


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_every_variable_has_its_choices(seen, vocabulary):
    known = {
        "service": {f"{way}-{told}" for way in WAYS for told in TOLD},
        "provider": {labels[expected.PROVIDER] for labels, _ in expected.calls("")},
        "model": {labels[expected.MODEL] for labels, _ in expected.calls("")},
    }
    asked = {
        one["name"]: one["query"]
        for one in dashboard(vocabulary)["templating"]["list"]
        if one["type"] == "query"
    }
    assert asked.keys() == known.keys()
    for name, query in asked.items():
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", query).groups()
        match = {"match[]": filled(selector)}
        assert set(seen.prometheus.ask(f"label/{label}/values", **match)) == known[name]


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_links_name_labels_that_the_series_have(seen, vocabulary):
    """The labels that a link fills in are those that each query of its panel returns."""
    linked = 0
    for panel in panels(vocabulary):
        for link in panel["fieldConfig"]["defaults"].get("links", []):
            named = set(re.findall(r"\$\{__field\.labels\.(\w+)\}", unquote(link["url"])))
            for one in panel["targets"]:
                query = filled(one["expr"], service=f"pull-{vocabulary}")
                for labels in seen.prometheus.values(query, seen.end):
                    assert named <= {name for name, _ in labels}, panel["title"]
                    linked += 1
    assert linked
