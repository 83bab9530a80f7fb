"""What the dashboards ask: every panel, its queries and what they mean; Grafana is not known here.

The names of metrics and labels are those of :mod:`tokentrail.telemetry.semconv`, as
OpenTelemetry's rules for Prometheus write them: see docs/dashboards.md. It is long because it is a
table, to be read top down beside the picture that it makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tokentrail.cli.price_rules import COST
from tokentrail.model.operations import FETCH
from tokentrail.telemetry import semconv

RATE = "$__rate_interval"
RANGE = "$__range"
QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


def series(name: str, suffix: str = "", unit: str = "") -> str:
    """Return what Prometheus calls a metric."""
    return "_".join(filter(None, [name.replace(".", "_"), unit, suffix]))


def label(name: str) -> str:
    """Return what Prometheus calls an attribute."""
    return name.replace(".", "_")


JOB = "job"
OPERATION = label(semconv.OPERATION_NAME)
PROVIDER = label(semconv.PROVIDER_NAME)
MODEL = label(semconv.REQUEST_MODEL)
KIND = label(semconv.TOKEN_TYPE)
SOURCE = label(semconv.SOURCE)
OUTCOME = label(semconv.OUTCOME)
ERROR = label(semconv.ERROR_TYPE)
TRACED = (JOB, MODEL)
"""What a search for traces asks for: the series of a panel that links to it are one of each."""

CALLS = series(semconv.OPERATIONS, "total")
TOKENS = series(semconv.USAGE_TOKENS, "total")
COMPARED = series(semconv.COMPARED_TOKENS, "total")
QUEUE = series(semconv.QUEUE_SIZE)
ERRORS = series(semconv.INTERNAL_ERRORS, "total")
DEFERRED = series(semconv.COUNTS_QUEUED, "total")
DEGRADED = series(semconv.COUNTS_ESTIMATED, "total")
_DETAILS = {field: series(name, "total") for _, field, name in semconv.DETAIL_COUNTERS}
CACHED = _DETAILS["cache_read_tokens"]
REASONING = _DETAILS["reasoning_tokens"]

CHOSEN = f'{JOB}=~"$service", {PROVIDER}=~"$provider", {MODEL}=~"$model"'
"""What the variables of a dashboard pick."""
OURS = f'{JOB}=~"$service"'
"""The same, for what tokentrail tells of itself."""
_NO_INFERENCE = f'{OPERATION}!~"chat|text_completion"'


def summed(
    metric: str,
    *by: str,
    where: str = "",
    over: str = RATE,
    function: str = "rate",
    chosen: str = CHOSEN,
) -> str:
    """Return a sum of rates, by labels, of what is chosen."""
    conditions = f"{chosen}, {where}" if where else chosen
    group = f" by ({', '.join(by)})" if by else ""
    return f"sum{group} ({function}({metric}{{{conditions}}}[{over}]))"


def legend(*labels: str, word: str = "") -> str:
    """Return what names a series: its values of these labels, and a word that they all have."""
    return " ".join(filter(None, [*(f"{{{{{label}}}}}" for label in labels), word]))


def or_zero(query: str) -> str:
    """Return a sum without labels that is 0 where there is nothing: what did not happen is none."""
    return f"({query} or vector(0))"


@dataclass(frozen=True)
class Vocabulary:
    """One of the two sets of conventional names; see the setting ``metric_names``."""

    name: str
    about: str
    duration: str
    other_duration: str | None
    """Where operations that are no inference stand, if elsewhere."""
    first_chunk: str
    output_chunk: str
    tokens: tuple[str, str]
    """Input and output tokens, as what can be summed up, with their conditions."""
    sizes: tuple[str, str]
    """Input and output tokens of an operation, as the buckets of histograms."""
    token_conditions: tuple[str, str] = ("", "")

    def durations(self, suffix: str, *by: str, where: str = "", over: str = RATE) -> str:
        """Return the sum of rates of a part of the histogram of durations.

        ``by`` names the operation, so that the two halves of the latest vocabulary never meet.
        """
        inference = summed(f"{self.duration}_{suffix}", *by, where=where, over=over)
        if self.other_duration is None:
            return inference
        assert OPERATION in by  # noqa: S101 - a mistake in this very file
        conditions = f"{where}, {_NO_INFERENCE}" if where else _NO_INFERENCE
        other = summed(f"{self.other_duration}_{suffix}", *by, where=conditions, over=over)
        return f"({inference} or {other})"


RELEASED = Vocabulary(
    name="released",
    about="the released GenAI conventions (metric_names=released, the default, or both)",
    duration=series(semconv.DURATION, unit="seconds"),
    other_duration=None,
    first_chunk=series(semconv.FIRST_CHUNK, unit="seconds"),
    output_chunk=series(semconv.OUTPUT_CHUNK, unit="seconds"),
    tokens=(series(semconv.TOKEN_USAGE, "sum"),) * 2,
    sizes=(series(semconv.TOKEN_USAGE, "bucket"),) * 2,
    token_conditions=(f'{KIND}="input"', f'{KIND}="output"'),
)
LATEST = Vocabulary(
    name="latest",
    about="the GenAI conventions to come (metric_names=latest or both)",
    duration=series(semconv.INFERENCE_DURATION, unit="seconds"),
    other_duration=series(semconv.DURATION, unit="seconds"),
    first_chunk=series(semconv.INFERENCE_FIRST_CHUNK, unit="seconds"),
    output_chunk=series(semconv.INFERENCE_OUTPUT_CHUNK, unit="seconds"),
    tokens=(
        series(semconv.USAGE_COUNTERS["input"], "total"),
        series(semconv.USAGE_COUNTERS["output"], "total"),
    ),
    sizes=(
        series(semconv.OPERATION_TOKENS["input"], "bucket"),
        series(semconv.OPERATION_TOKENS["output"], "bucket"),
    ),
)
VOCABULARIES = (RELEASED, LATEST)


@dataclass(frozen=True)
class Query:
    """One query of a panel, and the legend of its series."""

    expr: str
    legend: str = ""
    instant: bool = False
    exemplars: bool = False
    """Only of use where buckets are asked for: Prometheus keeps exemplars with those."""


@dataclass(frozen=True)
class Panel:
    """What is shown: a question, its answer's unit, and from where on it is a worry."""

    title: str
    about: str
    kind: Literal["stat", "timeseries", "table"]
    queries: tuple[Query, ...]
    unit: str = "short"
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    width: int = 12
    stacked: bool = False
    traces: bool = False
    """Series are of one service and model: link them to the traces of both."""
    most: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


def rows(vocabulary: Vocabulary) -> tuple[Row, ...]:
    """Return the whole dashboard."""
    return (
        Row("At a glance", _glance()),
        Row("Calls", _calls(vocabulary)),
        Row("Tokens", _tokens(vocabulary)),
        Row("Cost (by the rules of `tokentrail prices`)", _cost()),
        Row("Time", _time(vocabulary)),
        Row("How good the numbers are", _trust()),
        Row("tokentrail itself", _health()),
        Row("Services and models", (_table(vocabulary),)),
    )


def _glance() -> tuple[Panel, ...]:
    calls = summed(CALLS, over=RANGE, function="increase")
    unfinished = or_zero(
        summed(TOKENS, where=f'{OUTCOME}!="completed"', over=RANGE, function="increase")
    )
    failed = or_zero(summed(CALLS, where=f'{OUTCOME}="failed"', over=RANGE, function="increase"))
    told = or_zero(
        summed(TOKENS, where=f'{SOURCE}=~"reported|counted"', over=RANGE, function="increase")
    )
    every = summed(TOKENS, over=RANGE, function="increase")
    return (
        _stat("Calls", "Calls that ended in the time shown, however they ended.", calls),
        _stat(
            "Failed calls",
            "Share of calls that ended in an error of the server, the network or the client."
            " Calls that the application broke off or cancelled are no errors.",
            f"{failed} / {calls}",
            unit="percentunit",
            steps=((None, "green"), (0.01, "yellow"), (0.05, "red")),
        ),
        *(
            _stat(
                f"{kind.capitalize()} tokens",
                f"{kind.capitalize()} tokens in the time shown, from every source.",
                summed(TOKENS, where=f'{KIND}="{kind}"', over=RANGE, function="increase"),
            )
            for kind in ("input", "output")
        ),
        _stat(
            "Unfinished tokens",
            "Tokens in the time shown that were spent on calls that were closed early, cancelled or"
            " failed half way. The server bills them, and reports none of them.",
            unfinished,
        ),
        _stat(
            "Known tokens",
            "Share of tokens that the server reported or that were counted exactly: the rest is"
            " approximated, or only what a reasoning model let us see.",
            f"{told} / {every}",
            unit="percentunit",
            steps=((None, "red"), (0.5, "yellow"), (0.9, "green")),
        ),
    )


def _calls(vocabulary: Vocabulary) -> tuple[Panel, ...]:
    return (
        Panel(
            "Calls by model",
            "Calls per second that ended, by the service that made them and the model that was"
            " asked for.",
            "timeseries",
            (Query(summed(CALLS, *TRACED), legend(*TRACED)),),
            unit="reqps",
            traces=True,
        ),
        Panel(
            "Calls by service and provider",
            "Calls per second that ended, by the service that made them and who was called.",
            "timeseries",
            (Query(summed(CALLS, JOB, PROVIDER), legend(JOB, PROVIDER)),),
            unit="reqps",
        ),
        Panel(
            "Errors by type",
            "Failed calls per second by operation, service, model and error.type: the class of the"
            " exception, or the code that the server gave.",
            "timeseries",
            (
                Query(
                    vocabulary.durations("count", OPERATION, *TRACED, ERROR, where=f'{ERROR}!=""'),
                    legend(OPERATION, *TRACED, ERROR),
                ),
            ),
            unit="reqps",
            steps=((None, "green"), (0.1, "red")),
            traces=True,
        ),
        Panel(
            "How calls ended",
            "Calls per second by outcome: completed, closed early (the application stopped reading"
            " a stream), cancelled (its task was), failed.",
            "timeseries",
            (Query(summed(CALLS, OUTCOME), legend(OUTCOME)),),
            unit="reqps",
            stacked=True,
        ),
    )


def _tokens(vocabulary: Vocabulary) -> tuple[Panel, ...]:
    both = tuple(zip(("input", "output"), vocabulary.tokens, strict=True))
    conditions = dict(zip(("input", "output"), vocabulary.token_conditions, strict=True))
    sizes = tuple(zip(("input", "output"), vocabulary.sizes, strict=True))
    reported = {
        kind: summed(TOKENS, where=f'{KIND}="{kind}", {SOURCE}="reported"')
        for kind in ("input", "output")
    }
    written = summed(TOKENS, OPERATION, *TRACED, where=f'{KIND}="output"')
    return (
        Panel(
            "Tokens per second by model",
            "Tokens per second as the conventions tell them, by service and model: reported by the"
            " server or counted exactly. Estimates are not among them.",
            "timeseries",
            tuple(
                Query(summed(metric, *TRACED, where=conditions[kind]), legend(*TRACED, word=kind))
                for kind, metric in both
            ),
            traces=True,
        ),
        Panel(
            "Tokens per second by source",
            "Tokens per second by where the number comes from: reported by the server, counted"
            " here, visible (what a reasoning model let us see), approximated.",
            "timeseries",
            (Query(summed(TOKENS, SOURCE, KIND), legend(SOURCE, KIND)),),
            stacked=True,
        ),
        Panel(
            "Tokens per second by service",
            "Tokens per second from every source, by the service that spent them.",
            "timeseries",
            (Query(summed(TOKENS, JOB, KIND), legend(JOB, KIND)),),
        ),
        Panel(
            "Tokens per second by provider",
            "Tokens per second from every source, by who was called.",
            "timeseries",
            (Query(summed(TOKENS, PROVIDER, KIND), legend(PROVIDER, KIND)),),
        ),
        Panel(
            "Tokens of unfinished calls",
            "Tokens per second spent on calls that did not complete, by how they ended.",
            "timeseries",
            (
                Query(
                    summed(TOKENS, OUTCOME, KIND, where=f'{OUTCOME}!="completed"'),
                    legend(OUTCOME, KIND),
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Cached and reasoning tokens",
            "Share of reported input tokens that came from the server's cache, and of reported"
            " output tokens that were thought and not answer. Only a server knows these.",
            "timeseries",
            (
                Query(f"{or_zero(summed(CACHED))} / {reported['input']}", "cached input"),
                Query(f"{or_zero(summed(REASONING))} / {reported['output']}", "reasoning output"),
            ),
            unit="percentunit",
            most=1.0,
        ),
        Panel(
            "Tokens of a call",
            "How many tokens 95 % of calls do not exceed, by service and model. The histogram's"
            " buckets are a factor of four apart: read it as a size, not as a number.",
            "timeseries",
            tuple(
                Query(
                    _quantile(0.95, summed(metric, *TRACED, "le", where=conditions[kind])),
                    legend(*TRACED, word=kind),
                    exemplars=True,
                )
                for kind, metric in sizes
            ),
            traces=True,
        ),
        Panel(
            "Output tokens per second of waiting",
            "Output tokens from every source over the time that calls took: how fast"
            " answers come, waiting included. By operation, service and model.",
            "timeseries",
            (
                Query(
                    f"{written} / {vocabulary.durations('sum', OPERATION, *TRACED)}",
                    legend(OPERATION, *TRACED),
                ),
            ),
            traces=True,
        ),
    )


def _cost() -> tuple[Panel, ...]:
    loaded = " Empty until the rules that tokentrail prices writes are loaded."

    def spent(*by: str) -> str:
        group = f" by ({', '.join(by)})" if by else ""
        return f"sum{group} ({COST}{{{CHOSEN}}})"

    by = ", ".join(TRACED)
    calls = f'sum by ({by}) (rate({CALLS}{{{CHOSEN}, {OPERATION}!="{FETCH.name}"}}[5m]))'
    return (
        Panel(
            "Cost",
            "USD in the time shown, for models that have a price." + loaded,
            "stat",
            (
                Query(
                    f"sum (sum_over_time({COST}{{{CHOSEN}}}[{RANGE}:30s])) * 30",
                    instant=True,
                ),
            ),
            unit="currencyUSD",
            width=4,
        ),
        Panel(
            "Cost by model",
            "USD per hour at the pace of the last five minutes, by the service that spent and the"
            " model that was asked for." + loaded,
            "timeseries",
            (Query(f"{spent(*TRACED)} * 3600", legend(*TRACED)),),
            unit="currencyUSD",
            width=10,
            stacked=True,
            traces=True,
        ),
        Panel(
            "Cost by service and provider",
            "USD per hour at the pace of the last five minutes, by who spent and who was paid."
            + loaded,
            "timeseries",
            (Query(f"{spent(JOB, PROVIDER)} * 3600", legend(JOB, PROVIDER)),),
            unit="currencyUSD",
            width=10,
            stacked=True,
        ),
        Panel(
            "Cost of a thousand calls",
            "USD that a thousand calls of a service to a model cost on average, failed ones among"
            " them." + loaded,
            "timeseries",
            (Query(f"{spent(*TRACED)} / {calls} * 1000", legend(*TRACED)),),
            unit="currencyUSD",
            traces=True,
        ),
        Panel(
            "Calls without a price",
            "Calls per second, by service, to models that had no cost in the last five minutes:"
            " unknown names, tokens that are not known, failures. Name their prices with"
            " --overrides." + loaded,
            "timeseries",
            (
                Query(
                    f"{calls} unless on ({by}) {spent(*TRACED)} and on () (count ({COST}) > 0)",
                    legend(*TRACED),
                ),
            ),
            unit="reqps",
            traces=True,
        ),
    )


def _time(vocabulary: Vocabulary) -> tuple[Panel, ...]:
    by = (OPERATION, *TRACED, "le")
    durations = vocabulary.durations("bucket", *by)
    first = summed(f"{vocabulary.first_chunk}_bucket", *by)
    gaps = summed(f"{vocabulary.output_chunk}_bucket", *by)
    return (
        _quantiles(
            "Duration",
            "Seconds from the request until the answer was whole or the stream over.",
            durations,
            steps=((None, "green"), (30.0, "red")),
        ),
        _quantiles(
            "Time to first chunk",
            "Seconds from the request to the first chunk of a stream: what a user waits for.",
            first,
            steps=((None, "green"), (5.0, "red")),
        ),
        _quantiles(
            "Time per output chunk",
            "Seconds from one chunk of a stream to the next: how steadily an answer comes."
            " Empty unless time_per_output_chunk is on.",
            gaps,
            steps=((None, "green"), (1.0, "red")),
        ),
    )


def _trust() -> tuple[Panel, ...]:
    shares = summed(TOKENS, SOURCE, KIND)
    return (
        Panel(
            "Counted over reported tokens",
            "Tokens that we counted over tokens that the server reported, of the calls that have"
            " both (the share that count_verification_ratio says). 1 is exact; away from it,"
            " counts of that model are off.",
            "timeseries",
            (
                Query(
                    " / ".join(
                        summed(COMPARED, *TRACED, KIND, where=f'{SOURCE}="{source}"')
                        for source in ("counted", "reported")
                    ),
                    legend(*TRACED, KIND),
                ),
            ),
            unit="none",
            steps=((None, "red"), (0.95, "green"), (1.05, "red")),
            traces=True,
        ),
        Panel(
            "Share of tokens by source",
            "What part of the tokens each source gave, for input and for output.",
            "timeseries",
            (
                Query(
                    f"{shares} / on ({KIND}) group_left () {summed(TOKENS, KIND)}",
                    legend(SOURCE, KIND),
                ),
            ),
            unit="percentunit",
            most=1.0,
        ),
    )


def _health() -> tuple[Panel, ...]:
    def ours(metric: str) -> str:
        return summed(metric, JOB, function="increase", chosen=OURS)

    return (
        Panel(
            "Waiting work",
            "Pieces of work that wait for tokentrail's worker: near zero but for moments.",
            "timeseries",
            (Query(f"max by ({JOB}) ({QUEUE}{{{OURS}}})", legend(JOB)),),
            steps=((None, "green"), (1000.0, "red")),
            width=8,
        ),
        Panel(
            "Own errors",
            "Errors of tokentrail's own that the application was spared. Each kind is logged once:"
            " look for 'tokentrail failed'.",
            "timeseries",
            (Query(ours(ERRORS), legend(JOB)),),
            steps=((None, "green"), (1.0, "red")),
            width=8,
        ),
        Panel(
            "Deferred and degraded calls",
            "Calls whose count was left to the worker (usual), and those that were estimated"
            " because it had too much to do (a worry).",
            "timeseries",
            (
                Query(ours(DEFERRED), legend(JOB, word="deferred")),
                Query(ours(DEGRADED), legend(JOB, word="degraded")),
            ),
            width=8,
        ),
    )


def _table(vocabulary: Vocabulary) -> Panel:
    by = (JOB, PROVIDER, OPERATION, MODEL)
    buckets = vocabulary.durations("bucket", *by, "le", over=RANGE)

    def over_all(metric: str, where: str = "") -> Query:
        return Query(
            summed(metric, *by, where=where, over=RANGE, function="increase"), instant=True
        )

    return Panel(
        "Calls, tokens and time",
        "In the time shown, for each service, provider and model: calls, those that failed, input"
        " and output tokens, seconds that 95 % of calls do not exceed. A row leads to its traces.",
        "table",
        (
            over_all(CALLS),
            over_all(CALLS, f'{OUTCOME}="failed"'),
            over_all(TOKENS, f'{KIND}="input"'),
            over_all(TOKENS, f'{KIND}="output"'),
            Query(_quantile(0.95, buckets), instant=True),
        ),
        width=24,
        traces=True,
    )


def _stat(
    title: str,
    about: str,
    expr: str,
    unit: str = "short",
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),),
) -> Panel:
    return Panel(title, about, "stat", (Query(expr, instant=True),), unit, steps, width=4)


def _quantiles(
    title: str, about: str, buckets: str, steps: tuple[tuple[float | None, str], ...]
) -> Panel:
    queries = tuple(
        Query(_quantile(share, buckets), legend(OPERATION, *TRACED, word=name), exemplars=True)
        for name, share in QUANTILES
    )
    return Panel(title, about, "timeseries", queries, "s", steps, width=8, traces=True)


def _quantile(share: float, buckets: str) -> str:
    return f"histogram_quantile({share}, {buckets})"
