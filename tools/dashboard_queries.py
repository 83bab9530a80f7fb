"""PromQL over tokentrail's metrics: names, sums of rates, and either vocabulary of the conventions.

The names of metrics and labels are those of :mod:`tokentrail.telemetry.semconv`, as
OpenTelemetry's rules for Prometheus write them: see docs/dashboards.md.
"""

from __future__ import annotations

from tokentrail.cli.label_option import PLACEHOLDER
from tokentrail.cli.promql_rules import COST, PRICE
from tokentrail.telemetry import semconv

RATE = "$__rate_interval"
INTERVAL = "$__interval"
RANGE = "$__range"
NOW = "15m"
"""What "now" is: enough to see a share at four calls a minute."""


def series(name: str, suffix: str = "", unit: str = "") -> str:
    """Return what Prometheus calls a metric."""
    return "_".join(filter(None, [name.replace(".", "_"), unit, suffix]))


def label(name: str) -> str:
    """Return what Prometheus calls an attribute."""
    return name.replace(".", "_")


JOB = "job"
ENVIRONMENT = label("deployment.environment.name")
VERSION = label("service.version")
OPERATION = label(semconv.OPERATION_NAME)
PROVIDER = label(semconv.PROVIDER_NAME)
MODEL = label(semconv.REQUEST_MODEL)
ANSWERED = label(semconv.RESPONSE_MODEL)
KIND = label(semconv.TOKEN_TYPE)
SOURCE = label(semconv.SOURCE)
OUTCOME = label(semconv.OUTCOME)
ERROR = label(semconv.ERROR_TYPE)
LIMIT_TYPE = label(semconv.RATE_LIMIT_TYPE)
REASON = label(semconv.FINISH_REASON)
BY = PLACEHOLDER
"""The label that ``tokentrail dashboards --by`` names, until it is named."""
PRICED = (JOB, PROVIDER, MODEL)
"""What has a price."""
TRACED = (MODEL, JOB)
"""What a search for traces asks for: the series of a panel that links to it are one of each."""

CALLS = series(semconv.OPERATIONS, "total")
TOKENS = series(semconv.USAGE_TOKENS, "total")
COMPARED = series(semconv.COMPARED_TOKENS, "total")
RETRIES = series(semconv.RETRIES, "total")
FINISHED = series(semconv.FINISHED_CHOICES, "total")
LEFT = series(semconv.RATE_LIMIT_REMAINING)
LIMIT = series(semconv.RATE_LIMIT_LIMIT)
WASTED = series(semconv.WASTE_TOKENS, "total")
QUEUE = series(semconv.QUEUE_SIZE)
ERRORS = series(semconv.INTERNAL_ERRORS, "total")
QUEUED = series(semconv.COUNTS_QUEUED, "total")
CORRECTED = series(semconv.COUNTS_CORRECTED, "total")
ESTIMATED = series(semconv.COUNTS_ESTIMATED, "total")
_DETAILS = {field: series(name, "total") for _, field, name in semconv.DETAIL_COUNTERS}
CACHED = _DETAILS["cache_read_tokens"]
REASONING = _DETAILS["reasoning_tokens"]

DURATION = (
    series(semconv.DURATION, unit="seconds"),
    series(semconv.INFERENCE_DURATION, unit="seconds"),
    series(semconv.EMBEDDINGS_DURATION, unit="seconds"),
)
FIRST_CONTENT = (series(semconv.FIRST_CONTENT, unit="seconds"),)
OUTPUT_CHUNK = (
    series(semconv.OUTPUT_CHUNK, unit="seconds"),
    series(semconv.INFERENCE_OUTPUT_CHUNK, unit="seconds"),
)
"""Histograms, by the released name and, where there is one, by the latest."""

CHOSEN_SERVICES = f'{JOB}=~"$service", {ENVIRONMENT}=~"$environment", {VERSION}=~"$version"'
"""What the variables pick of what tokentrail records of itself."""
CHOSEN = f'{CHOSEN_SERVICES}, {PROVIDER}=~"$provider", {MODEL}=~"$model"'
"""What the variables of a dashboard pick."""
CHOSEN_BY = f'{CHOSEN}, {BY}=~"$by"'


def chosen(*, by: bool) -> str:
    """Return what the variables pick, where there is one for the label of ``--by`` or not."""
    return CHOSEN_BY if by else CHOSEN


def of_kind(kind: str) -> str:
    """Return the condition that picks input tokens, or output tokens."""
    return f'{KIND}="{kind}"'


class Queries:
    """Sums of what is chosen; ``by``: there is a variable for the label of ``--by``."""

    def __init__(self, *, by: bool) -> None:
        self.by = by
        self.where = chosen(by=by)

    def total(
        self,
        metric: str,
        *labels: str,
        where: str = "",
        over: str = RATE,
        function: str = "rate",
        own: bool = False,
    ) -> str:
        """Return a sum of rates by labels; ``own``: of what tokentrail records of itself."""
        base = CHOSEN_SERVICES if own else self.where
        conditions = f"{base}, {where}" if where else base
        group = f" by ({', '.join(labels)})" if labels else ""
        return f"sum{group} ({function}({metric}{{{conditions}}}[{over}]))"

    def increase(self, metric: str, *labels: str, where: str = "", over: str = RANGE) -> str:
        """Return a sum of increases by labels."""
        return self.total(metric, *labels, where=where, over=over, function="increase")

    def either(
        self,
        names: tuple[str, ...],
        suffix: str,
        *labels: str,
        where: str = "",
        over: str = RATE,
    ) -> str:
        """Return a sum of rates of a part of a histogram, by whichever name it is recorded.

        Where both names are recorded the released one counts. They are held against each other by
        service, operation and model, and only then summed, so no call is counted twice or lost.
        """
        if len(names) == 1:
            return self.total(f"{names[0]}_{suffix}", *labels, where=where, over=over)
        fine = (JOB, PROVIDER, OPERATION, MODEL)
        inner = tuple(dict.fromkeys((*labels, *fine)))
        both = " or ".join(
            self.total(f"{name}_{suffix}", *inner, where=where, over=over) for name in names
        )
        group = f" by ({', '.join(labels)})" if labels else ""
        return f"sum{group} ({both})"

    def p95(self, names: tuple[str, ...], *labels: str, over: str = RATE) -> str:
        """Return the 95th percentile by labels; of no calls it would be NaN, which ``>=`` drops."""
        buckets = self.either(names, "bucket", *labels, "le", over=over)
        return f"histogram_quantile(0.95, {buckets}) >= 0"

    def spent(self, *labels: str) -> str:
        """Return USD per second by labels, as the rules of ``tokentrail prices`` record it."""
        where = f'{JOB}=~"$service", {PROVIDER}=~"$provider", {MODEL}=~"$model"'
        where += f', {BY}=~"$by"' if self.by else ""
        group = f" by ({', '.join(labels)})" if labels else ""
        return f"sum{group} ({COST}{{{where}}})"

    def spent_over(self, over: str, *labels: str) -> str:
        """Return USD in a time, of which a minute that was not recorded costs nothing."""
        inner = self.spent().removeprefix("sum (").removesuffix(")")
        group = f" by ({', '.join(labels)})" if labels else ""
        return f"sum{group} (sum_over_time({inner}[{over}:1m])) * 60"

    def worth(self, tokens: str, part: str, *labels: str) -> str:
        """Return USD per second of tokens per second, at the price of a part of them.

        ``tokens`` are by labels, and by job, provider and model. Without a price they are nothing.
        """
        return f"sum by ({', '.join(labels)}) ({tokens} {self.at_price(part)})"

    def at_price(self, part: str) -> str:
        """Return what multiplies tokens by their price, as `tokentrail prices` records it."""
        by = ", ".join(PRICED)
        price = f'{PRICE}{{{JOB}=~"$service", tokentrail_part="{part}"}}'
        return f"* on ({by}) group_left () avg by ({by}) ({price})"

    def spent_lately(self) -> str:
        """Return USD in the interval between two points."""
        inner = self.spent().removeprefix("sum (").removesuffix(")")
        return f"sum (avg_over_time({inner}[{INTERVAL}])) * $__interval_ms / 1000"


def legend(*labels: str) -> str:
    """Return what names a series: the values of these labels, model first."""
    return " / ".join(f"{{{{{label}}}}}" for label in labels)


def or_zero(query: str, of: str) -> str:
    """Return a sum that is 0 where there is none of it, but something of ``of``."""
    return f"({query} or {of} * 0)"


def ratio(part: str, whole: str, match: str = "") -> str:
    """Return a part over its whole; nothing where the whole is 0, instead of NaN."""
    return f"{part} /{match and ' ' + match} ({whole} > 0)"


def choice(label: str) -> str:
    """Return the label of what a variable takes: a value of this one, or All."""
    return f"{label}_or_all"


def with_choice(query: str, label: str) -> str:
    """Return a query whose series have the choice of a label, for links to the dashboard."""
    given = f'label_replace({query}, "{choice(label)}", "All", "", "")'
    return f'label_replace({given}, "{choice(label)}", "$1", "{label}", "(.+)")'
