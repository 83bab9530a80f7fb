"""What docs/scaling.md says: its tables are measured anew, and metrics know nothing of sampling."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from opentelemetry.sdk.metrics import Counter as SDKCounter
from opentelemetry.sdk.metrics import Histogram as SDKHistogram
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics import ObservableCounter as SDKObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

pytest.importorskip("opentelemetry.exporter.otlp.proto.common", reason="needs the OTLP exporter")

from tools import measure_scaling

import tokentrail
from tokentrail.demo import scenes
from tokentrail.telemetry import semconv
from tokentrail.testing.model import Model
from tokentrail.testing.server import Server

pytestmark = pytest.mark.thorough


def _rows(table):
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _on_the_page(name):
    page = measure_scaling.PAGE.read_text("utf-8")
    return _rows(re.search(f"<!-- {name} -->\n(.*?)<!-- /{name} -->", page, re.DOTALL)[1])


def test_the_table_of_series_is_what_is_recorded():
    """Points and series to the last one; bytes within a quarter, since they hold clocks."""
    measured = _rows(measure_scaling.series_table(measure_scaling.loads()))
    written = _on_the_page("series")
    assert [row[0] for row in written] == [row[0] for row in measured]
    for row, again in zip(written, measured, strict=True):
        for cell, other in zip(row[1:], again[1:], strict=True):
            (points, series, size), (now, then, bytes_now) = cell.split("/"), other.split("/")
            assert (points, series) == (now, then)
            assert _number(size) == pytest.approx(_number(bytes_now), rel=0.25)


def test_the_rest_of_the_series_is_worked_out_of_them():
    page = measure_scaling.PAGE.read_text("utf-8")
    assert measure_scaling.settings_table() in page
    assert measure_scaling.series_table(measure_scaling.loads()).rpartition("\n\n")[2] in page


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_table_of_bytes_is_what_is_encoded():
    measured, written = (
        _rows(measure_scaling.weight_table(measure_scaling.weights())),
        _on_the_page("bytes"),
    )
    assert [row[0] for row in written] == [row[0] for row in measured]
    for row, again in zip(written, measured, strict=True):
        for cell, other in zip(row[1:], again[1:], strict=True):
            assert _number(cell) == pytest.approx(_number(other), rel=0.15), row[0]


def _number(cell):
    return float(re.sub(r"[^\d.]", "", cell))


def _played(sampler, temporality=None):
    """Return the spans, and the reader, of a few calls in a process that samples so."""
    preferred = None
    if temporality is not None:
        kinds = (SDKCounter, SDKHistogram, SDKObservableCounter)
        preferred = dict.fromkeys(kinds, temporality)
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader(preferred_temporality=preferred)
    tracers, meters = TracerProvider(sampler=sampler), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    tokentrail.instrument(
        tracer_provider=tracers, meter_provider=meters, count_verification_ratio=0.0
    )
    collected = []
    try:
        with Server(Model()) as server:
            stage = scenes.Stage(server.url, lambda _: None)
            for _ in range(2):
                for play in (
                    scenes.plain,
                    scenes.stream,
                    scenes.closed_early,
                    scenes.unknown_model,
                ):
                    play(stage)
                assert tokentrail.flush(20.0)
                collected.append(reader.get_metrics_data())
    finally:
        tokentrail.uninstrument()
        meters.shutdown()
        tracers.shutdown()
    return spans.get_finished_spans(), collected


def _points(collected):
    for each in collected.resource_metrics:
        for scope in each.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    yield metric.name, point


HERE = {semconv.SERVER_PORT}  # another server in each round of the test


def _numbers(collected):
    """Return calls and tokens by metric and attributes: not times, which differ each time."""
    found = Counter()
    for name, point in _points(collected):
        key = (name, *sorted((k, v) for k, v in point.attributes.items() if k not in HERE))
        if hasattr(point, "bucket_counts"):
            found[(*key, "count")] += point.count
            if name == semconv.TOKEN_USAGE:
                found[(*key, "sum")] += point.sum
        elif name in (semconv.USAGE_TOKENS, semconv.OPERATIONS):
            found[key] += point.value
    return found


def test_head_sampling_takes_spans_and_leaves_every_number():
    none, unsampled = _played(ALWAYS_OFF)
    all_of_them, sampled = _played(ALWAYS_ON)
    assert (len(none), len(all_of_them)) == (0, 8)
    assert _numbers(unsampled[-1]) == _numbers(sampled[-1])
    assert sum(n for key, n in _numbers(unsampled[-1]).items() if key[0] == semconv.OPERATIONS) == 8


def test_exemplars_are_of_sampled_spans_alone():
    """So with head sampling none of them leads to a trace that is not kept."""

    def exemplars(collected):
        return {e.trace_id for _, p in _points(collected) for e in getattr(p, "exemplars", ())}

    _, unsampled = _played(ALWAYS_OFF)
    spans, sampled = _played(ALWAYS_ON)
    assert not exemplars(unsampled[-1])
    found = exemplars(sampled[-1])
    assert found
    assert found <= {span.context.trace_id for span in spans}


def test_deltas_sum_to_what_is_cumulative():
    _, delta = _played(ALWAYS_OFF, AggregationTemporality.DELTA)
    _, cumulative = _played(ALWAYS_OFF)
    assert _numbers(delta[0]) + _numbers(delta[1]) == _numbers(cumulative[1])
    assert _numbers(delta[1]) != _numbers(cumulative[1])
