"""What the metrics say, summed up, and into how many series they part it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

DURATION = "gen_ai.client.operation.duration"
USED = "gen_ai.client.token.usage"
ENDED = "tokentrail.operations"
TOKENS = "tokentrail.usage.tokens"


def points(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """Return the points of each metric by its name."""
    return {metric.name: list(metric.data.data_points) for metric in _metrics(reader)}


def _metrics(reader: InMemoryMetricReader) -> Iterator[Any]:
    collected = reader.get_metrics_data()
    for resource in collected.resource_metrics if collected else ():
        for scope in resource.scope_metrics:
            yield from scope.metrics


def calls(reader: InMemoryMetricReader) -> dict[str, int]:
    """Return the number of calls that each metric of calls tells."""
    told = points(reader)
    return {
        DURATION: sum(point.count for point in told.get(DURATION, ())),
        ENDED: sum(point.value for point in told.get(ENDED, ())),
    }


def output(reader: InMemoryMetricReader) -> dict[str, int]:
    """Return the tokens of output that each metric of tokens tells."""
    told = points(reader)
    return {
        USED: sum(point.sum for point in told.get(USED, ()) if _is_output(point)),
        TOKENS: sum(point.value for point in told.get(TOKENS, ()) if _is_output(point)),
    }


def _is_output(point: Any) -> bool:
    return bool(point.attributes.get("gen_ai.token.type") == "output")


def widest(reader: InMemoryMetricReader) -> tuple[int, int]:
    """Return the most series of a metric, and the most values of an attribute."""
    told = [each for each in points(reader).values() if each]
    values = {
        len({point.attributes[name] for point in each if name in point.attributes})
        for each in told
        for name in {name for point in each for name in point.attributes}
    }
    return max(map(len, told), default=0), max(values, default=0)
