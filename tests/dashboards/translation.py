"""OpenTelemetry's rules for Prometheus, written down anew: what a metric is called there.

Source: the specification's "Prometheus and OpenMetrics Compatibility" and, where it leaves a
choice, the translator that Prometheus' own OTLP receiver and the Collector use
(UnderscoreEscapingWithSuffixes, the default). Collected metrics become the families that an OTLP
receiver would store.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.samples import Exemplar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric

UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "%": "percent", "1": ""}


def metric_name(name: str, unit: str, kind: str) -> str:
    """Return the family's name; ``kind`` is "counter", "gauge" or "histogram"."""
    words = [word for word in re.split(r"[^a-zA-Z0-9:]+", name) if word]
    suffix = "" if "{" in unit else UNITS.get(unit, unit)  # an annotation is no unit
    if suffix and suffix not in words:
        words.append(suffix)
    if kind == "counter":
        words = [*(word for word in words if word != "total"), "total"]
    if unit == "1" and kind == "gauge":
        words = [*(word for word in words if word != "ratio"), "ratio"]
    return "_".join(words)


def label_name(name: str) -> str:
    """Return an attribute's name as a label."""
    return re.sub(r"[^a-zA-Z0-9]+", "_", name)


def kind_of(metric: Metric) -> str:
    """Return what Prometheus makes of a metric's data."""
    if isinstance(metric.data, Histogram):
        return "histogram"
    if isinstance(metric.data, Sum) and metric.data.is_monotonic:
        return "counter"
    assert isinstance(metric.data, Sum | Gauge)
    return "gauge"


class Ingested:
    """What an OTLP receiver stores of a reader's metrics, as a collector for prometheus_client.

    The job is the service's name and the instance its id; each bucket has its largest exemplar.
    """

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def describe(self) -> list[Any]:
        """Return nothing: names are known when there are metrics."""
        return []

    def collect(self) -> Iterator[Any]:
        """Yield a family for each metric."""
        collected = self._reader.get_metrics_data()
        for resource in collected.resource_metrics if collected else ():
            of = resource.resource.attributes
            target = {"job": of["service.name"], "instance": of["service.instance.id"]}
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    yield _family(metric, target)


def _family(metric: Metric, target: dict[str, Any]) -> Any:
    kind = kind_of(metric)
    name = metric_name(metric.name, metric.unit or "", kind)
    points = [
        ({**target, **{label_name(k): str(v) for k, v in point.attributes.items()}}, point)
        for point in metric.data.data_points
    ]
    keys = sorted({key for labels, _ in points for key in labels})
    made = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }[kind](name, metric.description or "", labels=keys)
    for labels, point in points:
        values = [labels.get(key, "") for key in keys]
        if kind == "histogram":
            made.add_metric(values, _buckets(point), point.sum)
        else:
            made.add_metric(values, point.value)
    return made


def _buckets(point: Any) -> list[tuple[Any, ...]]:
    found, total, lowest = [], 0, float("-inf")
    bounds = [*point.explicit_bounds, float("inf")]
    for bound, count in zip(bounds, point.bucket_counts, strict=True):
        total += count
        within = [e for e in point.exemplars if lowest < e.value <= bound and e.trace_id]
        told = max(within, key=lambda exemplar: exemplar.value, default=None)
        written = "+Inf" if bound == float("inf") else str(float(bound))
        found.append((written, total, _exemplar(told)) if told else (written, total, None))
        lowest = bound
    return found


def _exemplar(told: Any) -> Exemplar:
    labels = {"trace_id": f"{told.trace_id:032x}", "span_id": f"{told.span_id:016x}"}
    return Exemplar(labels, told.value, told.time_unix_nano / 1e9)
