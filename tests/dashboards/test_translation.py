"""What our metrics are called in Prometheus, whichever way they get there.

Laws: the pull exporter and OpenTelemetry's rules for OTLP ingestion give the same names, for every
metric of ours; and every metric and label that a dashboard or a rule names is one of them.
"""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry.exporter.prometheus", reason="needs tokentrail[dashboards]")
pytest.importorskip("promql_parser", reason="needs tokentrail[dashboards]")

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry
from tests.dashboards import expected, promql
from tests.dashboards.application import play, respond
from tests.dashboards.scenes import SCENES
from tests.dashboards.shipped import filled, rules, targets
from tests.dashboards.translation import Ingested, kind_of, label_name, metric_name

import tokentrail
from tokentrail.telemetry import semconv
from tokentrail.testing.server import Server


@pytest.mark.parametrize(
    ("name", "unit", "kind", "called"),
    [
        # a unit becomes a suffix, unless its word is there
        ("a.duration", "s", "histogram", "a_duration_seconds"),
        ("a.seconds.spent", "s", "histogram", "a_seconds_spent"),
        # an annotation is no unit
        ("a.usage", "{token}", "histogram", "a_usage"),
        ("a.queue.size", "{item}", "gauge", "a_queue_size"),
        # a counter is a total, once
        ("a.errors", "{error}", "counter", "a_errors_total"),
        ("a.total.errors", "{error}", "counter", "a_errors_total"),
        # 1 is a ratio of gauges only
        ("a.used", "1", "gauge", "a_used_ratio"),
        ("a.ratio", "1", "histogram", "a_ratio"),
        ("a.share", "1", "histogram", "a_share"),
    ],
)
def test_the_rules(name, unit, kind, called):
    assert metric_name(name, unit, kind) == called


def test_the_ratio_is_called_the_same_under_each_reading_of_its_unit():
    """The specification adds a suffix for 1, translators only to gauges: ours has it already."""
    kinds = ("histogram", "gauge")
    called = {metric_name(semconv.COUNT_RATIO, "1", kind) for kind in kinds}
    assert called == {"tokentrail_usage_count_ratio"}


@pytest.fixture(scope="module")
def told():
    """Play every scene under both vocabularies; give the families of each way, and the metrics."""
    pulled, ingested = CollectorRegistry(), CollectorRegistry()
    reader = InMemoryMetricReader()
    meters = MeterProvider([PrometheusMetricReader(registry=pulled), reader])
    ingested.register(Ingested(reader))
    tokentrail.uninstrument()
    tokentrail.instrument(
        meter_provider=meters,
        metric_names="both",
        time_per_output_chunk=True,
        count_verification_ratio=1.0,
    )
    try:
        with Server(respond) as server:
            for scene in SCENES:
                play(scene, server.url)
            assert tokentrail.flush(20.0)
        collected = reader.get_metrics_data()
        families = [{f.name: f for f in registry.collect()} for registry in (pulled, ingested)]
    finally:
        tokentrail.uninstrument()
        meters.shutdown()
    metrics = [
        metric for r in collected.resource_metrics for s in r.scope_metrics for metric in s.metrics
    ]
    return metrics, *families


def _series(families):
    labels: dict[str, set[str]] = {}
    for family in families.values():
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def test_every_way_gives_the_same_series_and_labels(told):
    _, pulled, ingested = told
    pulled = _series({name: family for name, family in pulled.items() if name != "target"})
    pulled = {name: labels for name, labels in pulled.items() if name != "target_info"}
    ours = _series(ingested)
    assert pulled.keys() == ours.keys()
    for name, labels in pulled.items():
        own = {label for label in labels if not label.startswith("otel_scope_")}
        assert own == ours[name] - {"job", "instance"}


def test_each_metric_is_called_by_the_rules(told):
    metrics, pulled, _ = told
    called = {metric_name(m.name, m.unit or "", kind_of(m)).removesuffix("_total") for m in metrics}
    assert called == pulled.keys() - {"target", "target_info"}
    assert {m.name for m in metrics} > {
        semconv.DURATION,
        semconv.INFERENCE_DURATION,
        semconv.OPERATIONS,
    }


def test_calls_and_tokens_are_what_the_scenes_say(told):
    """Without a Prometheus too: what the proof builds on."""
    _, pulled, _ = told
    for name, points in (
        ("tokentrail_calls_ended", expected.calls("")),
        ("tokentrail_usage_tokens", expected.tokens("")),
    ):
        by = [*expected.ROW, expected.ENDING]
        by += [expected.KIND, expected.SOURCE] if name.endswith("tokens") else []
        samples = [({**s.labels, "job": ""}, s.value) for s in pulled[name].samples]
        assert expected.grouped(samples, *by) == expected.grouped(points, *by)


def test_every_name_that_is_asked_for_is_told(told):
    metrics, _, ingested = told
    series = _series(ingested)
    recorded = {rule.name for rule in rules() if not rule.alert} | {expected.COST}
    known = {label_name(key) for m in metrics for p in m.data.data_points for key in p.attributes}
    known |= {"job", "le"}
    for expr in [filled(t.expr) for t in targets()] + [rule.expr for rule in rules()]:
        assert promql.grouping(expr) <= known, expr
        for name, labels in promql.selected(expr):
            if name in recorded:
                assert labels <= known
            else:
                assert name in series, f"no metric is called {name}"
                assert labels <= series[name], f"{name} has not all of {labels}"
