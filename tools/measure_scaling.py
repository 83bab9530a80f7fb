"""What many services have to carry: series of metrics, bytes on the wire; for docs/scaling.md.

    .venv/bin/python tools/measure_scaling.py          # print them
    .venv/bin/python tools/measure_scaling.py --write  # into docs/scaling.md

Real calls of the client against the embedded server, told with the defaults, encoded by the OTLP
exporter's own encoders. One service, one process, one model, one endpoint.
"""

from __future__ import annotations

import gzip
import re
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Histogram, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import tokentrail
from tokentrail.telemetry import semconv
from tokentrail.testing.model import Model
from tokentrail.testing.payloads import errors
from tokentrail.testing.server import Call, Reply, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.metrics.export import Metric

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
MODEL = "gpt-4o-mini"
QUESTION = "Plan a quiet day in the old town."
TIMES = "\N{MULTIPLICATION SIGN}"
BATCH = 512
"""Spans in a request of the SDK's batch processor, by default."""
VOCABULARIES = ("released", "latest", "both")
HEALTH = {
    semconv.QUEUE_SIZE,
    semconv.INTERNAL_ERRORS,
    semconv.COUNTS_QUEUED,
    semconv.COUNTS_ESTIMATED,
    semconv.COUNTS_CORRECTED,
}
"""Told once for a process, whatever it calls."""


def respond(call: Call) -> Reply:
    """Answer as the model does, or refuse."""
    if call.headers.get("x-refuse"):
        return errors.reply(429, "Slow down.")
    return _model(call)


_model = Model()


@dataclass(frozen=True)
class Kind:
    """A kind of call."""

    name: str
    stream: bool = False
    read: int | None = None
    """Chunks after which the application breaks off."""
    refused: bool = False

    def make(self, client: openai.OpenAI) -> None:
        """Make one call."""
        asked: dict[str, Any] = {"stream": True} if self.stream else {}
        if self.refused:
            asked["extra_headers"] = {"x-refuse": "1"}
        messages = [{"role": "user", "content": QUESTION}]
        with suppress(openai.RateLimitError):
            answer = client.chat.completions.create(model=MODEL, messages=messages, **asked)  # type: ignore[call-overload]
            if self.stream:
                with answer:
                    for number, _ in enumerate(answer):
                        if number == self.read:
                            break


KINDS = (
    Kind("plain"),
    Kind("streamed", stream=True),
    Kind("closed early", stream=True, read=20),
    Kind("failed", refused=True),
)


def resource() -> Resource:
    """Return what an application in a cluster says of itself."""
    return Resource.create(
        {
            "service.name": "support-desk",
            "service.version": "1.4.2",
            "service.instance.id": "4f7c1d0e-5a0b-4b52-9c1f-6a2f6a1f3b77",
            "deployment.environment.name": "production",
            "k8s.pod.name": "support-desk-7d9f8c6b5-x2x4z",
        }
    )


@contextmanager
def told(**settings: Any) -> Iterator[tuple[openai.OpenAI, InMemorySpanExporter, Any]]:
    """Give a client whose calls are told: to an exporter of spans, and to a reader of metrics."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(resource=resource()), MeterProvider([reader], resource())
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    tokentrail.instrument(tracer_provider=tracers, meter_provider=meters, **settings)
    http = openai.DefaultHttpxClient(trust_env=False)
    try:
        with (
            Server(respond) as server,
            openai.OpenAI(
                api_key="none", base_url=server.base_url, max_retries=0, http_client=http
            ) as client,
        ):
            yield client, spans, reader
    finally:
        tokentrail.uninstrument()
        meters.shutdown()
        tracers.shutdown()


# Series ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """What one vocabulary costs for one model, when these kinds of calls were made."""

    vocabulary: str
    points: int
    series: int
    wire: int
    """Bytes of one export, compressed."""


def load(
    vocabulary: str,
    kinds: tuple[Kind, ...],
    *,
    times: int = 3,
    **settings: Any,
) -> Load:
    """Return what a process has told of its only model after these calls."""
    settings = {"count_verification_ratio": 1.0, "preload_encodings": "o200k_base", **settings}
    with told(metric_names=vocabulary, **settings) as (client, _, reader):
        for kind in kinds:
            for _ in range(times):
                kind.make(client)
        tokentrail.flush(20.0)
        collected = reader.get_metrics_data()
    metrics = [
        metric
        for each in collected.resource_metrics
        for scope in each.scope_metrics
        for metric in scope.metrics
        if metric.name not in HEALTH
    ]
    points = sum(len(metric.data.data_points) for metric in metrics)
    wire = len(gzip.compress(encode_metrics(collected).SerializeToString()))
    return Load(vocabulary, points, sum(map(series, metrics)), wire)


def series(metric: Metric) -> int:
    """Return the series that Prometheus makes of a metric's points."""
    if isinstance(metric.data, Histogram):
        # a bucket for each boundary, +Inf, _sum and _count
        return sum(len(point.explicit_bounds) + 3 for point in metric.data.data_points)
    return len(metric.data.data_points)


def loads() -> list[tuple[str, list[Load]]]:
    """Return the load of each vocabulary, for more and more kinds of calls."""
    mixes = [KINDS[: last + 1] for last in range(len(KINDS))]
    return [
        (", ".join(kind.name for kind in mix), [load(name, mix) for name in VOCABULARIES])
        for mix in mixes
    ]


# Bytes -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weight:
    """What a call weighs as a span, in a full batch: bytes, plain and compressed."""

    name: str
    plain: float
    compressed: float


def weight(name: str, kinds: tuple[Kind, ...], **settings: Any) -> Weight:
    """Return the mean weight of the spans of these kinds of calls."""
    with told(count_verification_ratio=0.0, **settings) as (client, spans, _):
        for number in range(BATCH):
            kinds[number % len(kinds)].make(client)
        tokentrail.flush(20.0)
        finished = spans.get_finished_spans()
    encoded = encode_spans(finished).SerializeToString()
    return Weight(name, len(encoded) / len(finished), len(gzip.compress(encoded)) / len(finished))


def weights() -> list[Weight]:
    """Return the weight of each kind of call, of a mix of them, and of one with its content."""
    return [
        *(weight(kind.name, (kind,)) for kind in KINDS),
        weight("a mix of the four", KINDS),
        weight("the mix, with content", KINDS, capture_content="span_only"),
    ]


# Tables ------------------------------------------------------------------------------------------


def series_table(found: list[tuple[str, list[Load]]]) -> str:
    """Return the table of series."""
    rows = [
        f"| {mix} | "
        + " | ".join(f"{one.points} / {one.series} / {_bytes(one.wire)}" for one in each)
        + " |"
        for mix, each in found
    ]
    head = " | ".join(f'`metric_names="{name}"`' for name in VOCABULARIES)
    most, own = found[-1][1][0].series, len(HEALTH)
    example = (
        "So 200 processes that call six models in every manner, with the released names, are\n"
        f"200 {TIMES} (6 {TIMES} {most} + {own}) = {200 * (6 * most + own):,} series,"
        " however many calls they make."
    )
    table = [f"| calls that were made | {head} |", "| --- |" + " --- |" * 3, *rows]
    return "\n".join([*table, "", example])


def settings_table() -> str:
    """Return the table of what settings add, with the released names and every kind of call."""
    most = load("released", KINDS).series
    changed: list[tuple[str, dict[str, Any]]] = [
        ("`time_per_output_chunk=True`", {"time_per_output_chunk": True}),
        ("`count_verification_ratio=0`", {"count_verification_ratio": 0.0}),
    ]
    rows = [
        f"| {name} | {load('released', KINDS, **settings).series - most:+d} |"
        for name, settings in changed
    ]
    return "\n".join([f"| set | beside the {most} |", "| --- | --- |", *rows])


def weight_table(found: list[Weight]) -> str:
    """Return the table of bytes."""
    rows = [f"| {one.name} | {one.plain:,.0f} | {one.compressed:,.0f} |" for one in found]
    head = ["| call | bytes of its span | compressed (gzip) |", "| --- | --- | --- |"]
    return "\n".join([*head, *rows])


def _bytes(number: int) -> str:
    return f"{number / 1000:.1f} kB"


def replaced(page: str, name: str, table: str) -> str:
    """Return the page with the table between its marks."""
    marks = f"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    return re.sub(marks, lambda found: f"{found[1]}{table}\n{found[2]}", page, flags=re.DOTALL)


TABLES: dict[str, Callable[[], str]] = {
    "series": lambda: series_table(loads()),
    "settings": settings_table,
    "bytes": lambda: weight_table(weights()),
}


def main(arguments: list[str]) -> None:
    """Print the tables, or write them into the page."""
    for name, make in TABLES.items():
        table = make()
        print(table, end="\n\n")
        if "--write" in arguments:
            PAGE.write_text(replaced(PAGE.read_text("utf-8"), name, table), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
