"""Dashboards, rules and prices for a store that has no ``job``: a real VictoriaMetrics by OTLP."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from tests.dashboards.server import Queries
from tests.dashboards.shipped import filled, rules
from tests.stack.calls import SHOP, asked, shop
from tests.waiting import wait_until
from tools.stack.fleet import free_ports
from tools.stack.programs import FILES, HOST, Program, answers, demo_settings

from tokentrail import cli
from tokentrail.cli.service_label import relabelled

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LABEL = "service_name"
MODELS = "gpt-4o-mini,gpt-4.1,o4-mini,gpt-4o,gpt-35-turbo"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Give the folder with what the commands write for the store."""
    folder = tmp_path_factory.mktemp("files")
    prices = ["prices", "--models", MODELS, "-o", str(folder / "prices.rules.yml")]
    for command in (["dashboards", str(folder)], prices):
        assert cli.main([*command, "--service-label", LABEL]) == 0
    return folder


@pytest.fixture(scope="module")
def store(engines, files, tmp_path_factory):
    """Give a VictoriaMetrics after rounds of the demo, its vmalert with our rules beside it."""
    data = tmp_path_factory.mktemp("victoria")
    port, alerts = list(free_ports().values())[:2]
    url = f"http://{HOST}:{port}"
    programs = []

    def start(name, *flags):
        command = [str(engines.absolute() / name), f"-httpListenAddr={HOST}:{port}", *flags]
        programs.append(Program(command, {}, data / f"{name}.log"))
        programs[-1].wait_until(lambda: answers(f"http://{HOST}:{port}/health"))

    try:
        prompt = "-search.latencyOffset=0s"  # it is asked for what came this second
        names = "-opentelemetry.usePrometheusNaming"
        start("victoria-metrics", f"-storageDataPath={data / 'data'}", names, prompt)
        port = alerts
        writes = [f"-datasource.url={url}", f"-remoteWrite.url={url}", "-notifier.blackhole"]
        start("vmalert", *writes, f"-rule={files}/*.yml", "-evaluationInterval=2s")
        _play(f"{url}/opentelemetry/v1/metrics", data)
        with shop(f"{url}/opentelemetry/v1/metrics"):
            yield Queries(url), Queries(f"http://{HOST}:{alerts}")
    finally:
        for program in reversed(programs):
            program.stop()


def _play(metrics, data):
    variables = {
        **os.environ,
        **demo_settings(),
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": metrics,
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "OTEL_TRACES_SAMPLER": "always_off",
    }
    quick = ["--rounds", "3", "--pause", "0.1", "--delay", "0.002", "--slow", "0.5"]
    with (data / "demo.log").open("w") as log:
        command = [sys.executable, FILES / "app.py", *quick]
        subprocess.run(command, env=variables, stderr=log, check=True, timeout=200)


ASKED = [
    pytest.param(service, target, id=f"{target.panel}-{target.letter}")
    for service, target in asked()
]


@pytest.mark.parametrize(("service", "target"), ASKED)
def test_every_query_of_the_dashboards_is_answered_by_the_label(store, service, target):
    query = filled(relabelled(target.expr, LABEL), service=service)
    wait_until(lambda: store[0].values(query, time.time()), query)
    others = filled(relabelled(target.expr, LABEL), service="others")
    told = store[0].values(others, time.time())
    assert not any(told.values()), "the label picks nothing"


def test_every_rule_is_evaluated_and_the_prices_among_them(store, files):
    def health():
        groups = store[1].ask("rules")["groups"]
        found = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        return None if "unknown" in found.values() else found

    found = wait_until(health, "every rule is evaluated")
    assert set(found.values()) == {"ok"}
    both = [*rules(files / "tokentrail.rules.yml"), *rules(files / "prices.rules.yml")]
    assert found.keys() == {rule.name for rule in both}
    cost = "tokentrail:cost_usd:rate5m"
    costs = wait_until(lambda: store[0].values(cost, time.time()), f"a point of {cost}")
    assert {"demo"} <= {dict(labels)[LABEL] for labels in costs} <= {"demo", SHOP}


@pytest.mark.parametrize("label", ["service_name", "service.name", "job"])
def test_prometheus_reads_the_rules_for_any_label(engines, tmp_path, label):
    """A name with a dot is quoted in PromQL."""
    assert cli.main(["dashboards", str(tmp_path), "--service-label", label]) == 0
    path = tmp_path / "tokentrail.rules.yml"
    command = [engines.absolute() / "promtool", "check", "rules", path]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    by = f'"{label}"' if "." in label else label
    assert f"sum by ({by}) (rate(tokentrail_usage_tokens_total[15m]))" in path.read_text("utf-8")
