"""What our metrics are called in Prometheus: as the pull exporter writes them.

That OTLP ingestion calls them the same is asked of a real Prometheus (test_live.py).
"""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry.exporter.prometheus", reason="needs tokentrail[dashboards]")
pytest.importorskip("promql_parser", reason="needs tokentrail[dashboards]")

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry
from tests.dashboards import expected, promql
from tests.dashboards.application import play, respond
from tests.dashboards.scenes import SCENES
from tests.dashboards.shipped import filled, rules, targets

import tokentrail
from tokentrail.cli.budget_rules import BUDGET
from tokentrail.testing.server import Server

BY_PRICES = {expected.COST, expected.PRICE, BUDGET, "ALERTS", "ALERTS_FOR_STATE"}
HEARD = {"tokentrail_transcription_tokens_total", "tokentrail_transcription_time_seconds_total"}
"""Of realtime sessions, which none of the calls here is: tests/stack/test_billing.py has one."""


@pytest.fixture(scope="module")
def pulled():
    """Play every scene under both vocabularies; give the families that are scraped then."""
    registry = CollectorRegistry()
    meters = MeterProvider([PrometheusMetricReader(registry=registry)])
    tokentrail.uninstrument()
    tokentrail.instrument(
        meter_provider=meters,
        metric_names="both",
        time_per_output_chunk=True,
        count_verification_ratio=1.0,
        explain="all",
        custom_metric_attributes=("tenant",),
    )
    try:
        with Server(respond) as server:
            for scene in SCENES:
                with tokentrail.attributes(tenant=scene.tenant):
                    play(scene, server.url, 0)
            assert tokentrail.flush(20.0)
        return {family.name: family for family in registry.collect()}
    finally:
        tokentrail.uninstrument()
        meters.shutdown()


def test_calls_and_tokens_are_what_the_scenes_say(pulled):
    """Without a Prometheus too: what the proof builds on."""
    for name, points in (
        ("tokentrail_operations", expected.calls("")),
        ("tokentrail_usage_tokens", expected.tokens("")),
    ):
        by = [*expected.FINE, expected.OUTCOME]
        by += [expected.KIND, expected.SOURCE] if name.endswith("tokens") else []
        samples = [({**s.labels, "job": ""}, s.value) for s in pulled[name].samples]
        assert expected.grouped(samples, *by) == expected.grouped(points, *by)


def test_every_name_that_is_asked_for_is_recorded(pulled):
    series: dict[str, set[str]] = {}
    for family in pulled.values():
        for sample in family.samples:
            series.setdefault(sample.name, {"job"}).update(sample.labels)
    recorded = {rule.name for rule in rules() if not rule.alert} | BY_PRICES
    promoted = {"deployment_environment_name", "service_version"}
    known = set().union(*series.values(), promoted, {"alertname", "alert"})
    for name, labels in series.items():
        if "_embeddings_" in name:  # none of the calls made here failed
            labels.add("error_type")
    for expr in [filled(t.expr) for t in targets()] + [rule.expr for rule in rules()]:
        assert promql.grouping(expr) <= known, expr
        for name, labels in promql.selected(expr):
            if name in recorded:
                assert labels <= known | {"alertstate", "tokentrail_part"}
            elif name not in HEARD:
                assert name in series, f"no metric is called {name}"
                assert labels <= series[name] | promoted, f"{name} has not all of {labels}"
