"""What the dashboard shows: every panel, its queries and what they mean; Grafana is not known here.

It is long because it is a table, to be read top down beside the picture that it makes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dashboard_queries import (
    ANSWERED,
    BY,
    CACHED,
    CALLS,
    CHOSEN,
    COMPARED,
    CORRECTED,
    DURATION,
    ERROR,
    ERRORS,
    ESTIMATED,
    FINISHED,
    FIRST_CONTENT,
    INTERVAL,
    JOB,
    KIND,
    LEFT,
    LIMIT,
    LIMIT_TYPE,
    MODEL,
    NOW,
    OPERATION,
    OUTCOME,
    OUTPUT_CHUNK,
    QUEUE,
    QUEUED,
    RANGE,
    REASON,
    REASONING,
    RETRIES,
    SOURCE,
    TOKENS,
    TRACED,
    WASTED,
    Queries,
    choice,
    legend,
    of_kind,
    or_zero,
    ratio,
    with_choice,
)

from tokentrail.model.operations import FETCH

Steps = tuple[tuple[float | None, str], ...]

NEUTRAL: Steps = ((None, "text"),)
GOOD, WARNING, BAD = "green", "yellow", "red"
MINUTES = 60
SLOW = "5m"
"""Between two percentiles: fewer calls make none."""

PER_MINUTE = "suffix: calls/min"
TOKENS_PER_SECOND = "suffix: tokens/s"
USD_PER_HOUR = "suffix: $/h"
ALERT = "Tokentrail"
"""What the names of alerts begin with."""
NO_PRICES = "Not set up: load the rules of `tokentrail prices`"
NO_CALLS = "No calls"
HIGHER = "higher"
"""The line of a tile that is not shown."""
SHOWN, LATELY = "time shown", "15 min"
"""What a number is of."""
NO_STREAMS = "No streams"

OUTCOMES = {
    "completed": "green",
    "closed_early": "#7f96b5",
    "cancelled": "#a9b8cc",
    "failed": "red",
    "truncated": "orange",
}
SOURCES = {
    "reported": "#5794f2",
    "calibrated": "#8ab8ff",
    "counted": "#37a2a2",
    "visible": "#f2cc0c",
    "approximated": "#b877d9",
}
REASONS = {
    "stop": "#73bf69",
    "tool_calls": "#5794f2",
    "length": "#f2cc0c",
    "content_filter": "#b877d9",
}
"""Fixed colours: they mean the same in every panel."""
HUES = (
    "#5794f2",
    "#e0709f",
    "#eab317",
    "#45c4cf",
    "#9bb34b",
    "#cf6bd6",
    "#d9793d",
    "#8f6fdc",
    "#56c0a0",
    "#b08a63",
    "#c4a7e7",
)
"""For services and tenants, by their first two letters: each is read in dark and in light.

Grafana's own colours by name have some that are nearly white, or nearly black.
"""
MODELS = {
    r"embedding": "#ad9a66",
    r"^gpt-4o": "#5794f2",
    r"^gpt-4o-mini": "#45c4cf",
    r"^gpt-4\.1": "#eab317",
    r"^gpt-4\.1-mini": "#d9793d",
    r"^gpt-4\.1-nano": "#b08a63",
    r"^gpt-5": "#8f6fdc",
    r"^gpt-5[^ ]*-mini": "#56c0a0",
    r"^gpt-5[^ ]*-nano": "#9bb34b",
    r"^o\d": "#cf6bd6",
    r"^o\d[^ ]*-mini": "#e0709f",
}
"""Hues of families of models, the later the narrower: Grafana's colours by name have collisions.

Services that use one model have shades of it. Other models have a colour by their name.
"""


@dataclass(frozen=True)
class Query:
    """One query of a panel, and the legend of its series."""

    expr: str
    legend: str = ""
    instant: bool = False
    exemplars: bool = False
    """Only of use where buckets are asked for: Prometheus keeps exemplars with those."""


@dataclass(frozen=True)
class Column:
    """A column of a table: the label or the query that fills it, and how it reads."""

    name: str
    title: str
    unit: str = "short"
    decimals: int | None = None
    steps: Steps = ()
    width: int | None = None
    empty: str = ""
    color: bool = False
    hidden: bool = False
    """It is there for the link of another column."""


@dataclass(frozen=True)
class Panel:
    """What is shown: a question, its answer's unit, and from where on it is a worry."""

    title: str
    about: str
    kind: Literal["stat", "timeseries", "table", "heatmap", "text"]
    queries: tuple[Query, ...]
    unit: str = "short"
    empty: str = NO_CALLS
    """What stands there when there is nothing, and how to have something."""
    steps: Steps = NEUTRAL
    width: int = 8
    height: int = 9
    """Of 9 lines a legend has three whole rows, of 7 two: Grafana gives it 35 % of a panel."""
    over: str = ""
    """The time that it is of, where it is a set one: the title ends in it."""
    decimals: int | None = None
    calc: str = "lastNotNull"
    stacked: bool = False
    traces: Literal["", "model", "error", "outcome"] = ""
    """What its links to traces ask for, of the series under the cursor."""
    colors: dict[str, str] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    sort: str = ""
    ascending: bool = False
    most: float | None = None
    """The end of the axis; of a tile's small line, the least end of it."""
    least: tuple[float, float] | None = None
    """What the axis shows at the least, so that a blip is small and 0 may be left out."""
    stretch: str = ""
    """The least interval between two points, where it is another than usual."""


@dataclass(frozen=True)
class Row:
    """Panels under a heading; ``title`` is empty for what stands above all headings."""

    title: str
    panels: tuple[Panel, ...]
    folded: bool = True


def rows(*, by: bool) -> tuple[Row, ...]:
    """Return the whole dashboard; ``by``: with the label of ``--by``."""
    ask = Queries(by=by)
    return (
        Row("", (*_glance(ask), *_first_screen(ask)), folded=False),
        *([Row(f"By {BY}", _labelled(ask), folded=False)] if by else []),
        Row("Calls", _calls(ask), folded=False),
        Row("Time", _time(ask), folded=False),
        Row("Tokens", _tokens(ask), folded=False),
        Row("Cost", _cost(ask), folded=False),
        Row("Limits and retries", _limits(ask)),
        Row("Answers", _answers(ask)),
        Row("How good the numbers are", _trust(ask)),
        Row("tokentrail itself", _itself(ask)),
    )


def _glance(ask: Queries) -> tuple[Panel, ...]:
    calls = ask.increase(CALLS, over=NOW)
    tokens = ask.increase(TOKENS, over=NOW)

    def share(metric: str, where: str, of: str) -> str:
        return ratio(or_zero(ask.increase(metric, where=where, over=NOW), of), of)

    return (
        _tile(
            "Calls",
            "Calls that ended in the time shown, whatever their outcome.",
            ask.increase(CALLS, over=INTERVAL),
            calc="sum",
        ),
        _tile(
            "Failed calls",
            "Share of the calls of the last 15 minutes that ended in an error of the server, the"
            " network or the client. Calls that the application closed or cancelled are no errors.",
            share(CALLS, f'{OUTCOME}="failed"', calls),
            "of all calls",
            unit="percentunit",
            steps=((None, "text"), (0.0, GOOD), (0.01, WARNING), (0.05, BAD)),
            decimals=1,
            most=0.1,
        ),
        _tile(
            "Cost",
            "USD in the time shown, for models that have a price. Needs the rules that"
            " `tokentrail prices` writes. It has no colour, as no amount is good or bad by itself:"
            " the row Cost holds a day against its budget, and an alert fires where that burns.",
            ask.spent_lately(),
            unit="currencyUSD",
            empty="Not set up: tokentrail prices",
            decimals=2,
            calc="sum",
        ),
        _tile(
            "First content p95",
            "Of the streams of the last 15 minutes 95 % had their first content by then: what a"
            " user waits for.",
            ask.p95(FIRST_CONTENT, over=NOW),
            "of streams",
            unit="s",
            empty=NO_STREAMS,
            steps=((None, "text"), (0.0, GOOD), (2.0, WARNING), (5.0, BAD)),
            decimals=2,
            most=6.0,
        ),
        _tile(
            "Duration p95",
            "Of the calls of the last 15 minutes 95 % took no longer, from the request to the end"
            " of the answer.",
            ask.p95(DURATION, over=NOW),
            "of calls",
            unit="s",
            steps=((None, "text"), (0.0, GOOD), (30.0, WARNING), (60.0, BAD)),
            decimals=1,
            most=75.0,
        ),
        Panel(
            "Tokens",
            "Input and output tokens in the time shown, from every source.",
            "stat",
            tuple(
                Query(ask.increase(TOKENS, where=of_kind(kind), over=INTERVAL), f"{name}, shown")
                for kind, name in (("input", "in"), ("output", "out"))
            ),
            width=3,
            height=5,
            calc="sum",
        ),
        _tile(
            "Wasted tokens",
            "Share of the tokens of the last 15 minutes that were paid and not used: of calls that"
            " were closed early, cancelled, truncated or cut, failed, or repeated. The row Why so"
            " many tokens has the reasons.",
            share(WASTED, "", tokens),
            "paid, not used",
            unit="percentunit",
            steps=((None, "text"), (0.0, GOOD), (0.1, WARNING), (0.25, BAD)),
            decimals=1,
            most=0.3,
        ),
        _tile(
            "Known tokens",
            "Share of the tokens of the last 15 minutes that the server reported or that were"
            " counted or calibrated. The rest is approximated, or what a model let us see.",
            share(TOKENS, f'{SOURCE}=~"reported|counted|calibrated"', tokens),
            "not estimated",
            unit="percentunit",
            steps=((None, "text"), (0.0, BAD), (0.5, WARNING), (0.9, GOOD)),
            decimals=1,
            most=1.4,
        ),
    )


def _first_screen(ask: Queries) -> tuple[Panel, ...]:
    spent = (
        Panel(
            f"Cost per hour by {BY}",
            f"Dollars an hour at the pace of the last five minutes, by {BY}. Needs the rules of"
            f" `tokentrail prices --by {BY}`.",
            "timeseries",
            (Query(f"{ask.spent(BY)} * 3600", legend(BY)),),
            unit=USD_PER_HOUR,
            empty=NO_PRICES,
            decimals=2,
            height=7,
        )
        if ask.by
        else _outcomes(ask, height=7)
    )
    return (
        _services(ask),
        _alerts(ask),
        _failed_share(ask),
        Panel(
            "Cost per hour by model",
            "Dollars an hour at the pace of the last five minutes, by model and service."
            " Needs the rules of `tokentrail prices`.",
            "timeseries",
            (Query(f"{ask.spent(*TRACED)} * 3600", legend(*TRACED)),),
            unit=USD_PER_HOUR,
            empty=NO_PRICES,
            decimals=2,
            height=7,
            traces="model",
        ),
        _cached_share(ask),
        Panel(
            "Time to first content, p95 by model",
            "Seconds from the request until the first content of a stream: 95 % of streams had it"
            " by then, of the 15 minutes before each point.",
            "timeseries",
            (Query(ask.p95(FIRST_CONTENT, *TRACED, over=NOW), legend(*TRACED), exemplars=True),),
            unit="s",
            empty=NO_STREAMS,
            over=LATELY,
            decimals=2,
            height=7,
            traces="model",
        ),
        Panel(
            "Tokens per second by model",
            "Input and output tokens a second from every source, by model and service.",
            "timeseries",
            (Query(ask.total(TOKENS, *TRACED), legend(*TRACED)),),
            unit=TOKENS_PER_SECOND,
            decimals=0,
            height=7,
            traces="model",
        ),
        spent,
    )


def _services(ask: Queries) -> Panel:
    by = TRACED
    calls = ask.increase(CALLS, *by, over=NOW)
    failed = ask.increase(CALLS, *by, where=f'{OUTCOME}="failed"', over=NOW)
    reported = ask.increase(TOKENS, *by, where=f'{KIND}="input", {SOURCE}="reported"', over=NOW)
    queries = (
        f"round({ask.increase(CALLS, *by)})",
        ask.spent_over(RANGE, *by),
        f"round({ask.increase(TOKENS, *by, where=of_kind('input'))})",
        f"round({ask.increase(TOKENS, *by, where=of_kind('output'))})",
        ratio(or_zero(failed, calls), calls),
        ask.p95(FIRST_CONTENT, *by, over=NOW),
        ask.p95(DURATION, *by, over=NOW),
        ratio(ask.increase(CACHED, *by, over=NOW), reported),
    )
    return Panel(
        "Services and models",
        "Calls, cost and tokens of the time shown, dearest first; failed calls, p95 and input from"
        " the cache of its last 15 minutes, as in the alerts. A model leads to its traces, a"
        " service to this dashboard for it alone.",
        "table",
        tuple(Query(expr, instant=True) for expr in queries),
        columns=(
            Column(MODEL, "Model"),
            Column(JOB, "Service", width=90),
            Column("Value #A", "Calls", "locale", 0, empty="-", width=72),
            Column("Value #B", "Cost", "currencyUSD", 2, empty="no price", width=95),
            Column("Value #C", "Input", "short", 1, empty="-", width=76),
            Column("Value #D", "Output", "short", 1, empty="-", width=76),
            Column(
                "Value #E",
                "Failed",
                "percentunit",
                1,
                ((None, "text"), (0.01, WARNING), (0.05, BAD)),
                empty="-",
                width=75,
                color=True,
            ),
            Column("Value #F", "First content p95", "s", 2, empty="-", width=140),
            Column("Value #G", "Duration p95", "s", 1, empty="-", width=112),
            Column("Value #H", "From cache", "percentunit", 0, empty="-", width=100),
        ),
        sort="Cost",
        over=f"sums of the {SHOWN}; shares and p95 of the last {LATELY}",
        width=16,
        height=7,
        traces="model",
    )


def _alerts(ask: Queries) -> Panel:
    linked = (JOB, *([BY] if ask.by else []))
    ours = f'alertname=~"{ALERT}.+", {JOB}=~"$service|"'
    firing = f'ALERTS{{alertstate="firing", {ours}}}'
    since = f"ALERTS_FOR_STATE{{{ours}}} and ignoring (alertstate) {firing}"
    named = f'label_replace({since}, "alert", "$1", "alertname", "{ALERT}(.+)")'
    begun = f"min by ({', '.join(('alert', MODEL, *linked))}) ({named}) * 1000"
    for label in linked:
        begun = with_choice(begun, label)
    return Panel(
        "Firing alerts",
        "Alerts of tokentrail's rules that fire now, the oldest first, for it is the nearest to the"
        " cause, and since when what they watch has been wrong. An alert leads to its page in the"
        " runbook, a service to this dashboard for it alone; any: it is about no single one.",
        "table",
        (Query(begun, instant=True),),
        empty="No alert of tokentrail fires",
        columns=(
            Column("alert", "Alert", width=180 if ask.by else 190),
            Column("Value", "Since", "time:HH:mm", width=75),
            *([Column(BY, BY, empty="any", width=85)] if ask.by else []),
            Column(MODEL, "Model", empty="any", width=105 if ask.by else 150),
            Column(JOB, "Service", empty="any"),
            *(Column(choice(label), choice(label), hidden=True) for label in linked),
        ),
        sort="Since",
        ascending=True,
        width=8,
        height=7,
    )


def _failed_share(ask: Queries) -> Panel:
    calls = ask.increase(CALLS, *TRACED, over=NOW)
    failed = ask.increase(CALLS, *TRACED, where=f'{OUTCOME}="failed"', over=NOW)
    return Panel(
        "Failed calls by model",
        "Share of the calls that failed, over the 15 minutes before each point.",
        "timeseries",
        (Query(ratio(or_zero(failed, calls), calls), legend(*TRACED)),),
        unit="percentunit",
        over=LATELY,
        decimals=1,
        height=7,
        least=(0.0, 0.1),
        traces="error",
    )


def _cached_share(ask: Queries) -> Panel:
    reported = ask.increase(TOKENS, *TRACED, where=f'{KIND}="input", {SOURCE}="reported"', over=NOW)
    return Panel(
        "Input from the cache by model",
        "Share of reported input tokens that the server read from its cache, over the 15 minutes"
        " before each point. They are cheaper and faster: a fall costs money and time.",
        "timeseries",
        (Query(ratio(ask.increase(CACHED, *TRACED, over=NOW), reported), legend(*TRACED)),),
        unit="percentunit",
        empty="No server reported cached input",
        over=LATELY,
        decimals=1,
        height=7,
        most=1.0,
        traces="model",
    )


def _outcomes(ask: Queries, height: int = 9) -> Panel:
    return Panel(
        "Calls per minute by outcome",
        "Calls that ended, a minute: completed, closed early (the application stopped reading a"
        " stream), cancelled (its task was), failed, truncated (a stream that ended before its"
        " end).",
        "timeseries",
        (Query(f"{ask.total(CALLS, OUTCOME)} * {MINUTES}", legend(OUTCOME)),),
        unit=PER_MINUTE,
        decimals=1,
        height=height,
        stacked=True,
        traces="outcome",
        colors=OUTCOMES,
    )


def _labelled(ask: Queries) -> tuple[Panel, ...]:
    queries = (
        f"round({ask.increase(CALLS, BY, JOB)})",
        ask.spent_over(RANGE, BY, JOB),
        f"round({ask.increase(TOKENS, BY, JOB, where=of_kind('input'))})",
        f"round({ask.increase(TOKENS, BY, JOB, where=of_kind('output'))})",
    )
    return (
        Panel(
            f"Calls, cost and tokens by {BY}",
            f"In the time shown, by {BY} and service, dearest first.",
            "table",
            tuple(Query(expr, instant=True) for expr in queries),
            over=f"sums of the {SHOWN}",
            columns=(
                Column(BY, BY, empty="none"),
                Column(JOB, "Service"),
                Column("Value #A", "Calls", "locale", 0, empty="-"),
                Column("Value #B", "Cost", "currencyUSD", 2, empty="no price"),
                Column("Value #C", "Input tokens", "short", 1, empty="-"),
                Column("Value #D", "Output tokens", "short", 1, empty="-"),
            ),
            sort="Cost",
            width=12,
        ),
        Panel(
            f"Tokens per second by {BY}",
            f"Input and output tokens a second from every source, by {BY}.",
            "timeseries",
            (Query(ask.total(TOKENS, BY), legend(BY)),),
            unit=TOKENS_PER_SECOND,
            decimals=0,
            width=12,
        ),
    )


def _calls(ask: Queries) -> tuple[Panel, ...]:
    outcomes = (_outcomes(ask),) if ask.by else ()
    width = 8 if ask.by else 12
    return (
        Panel(
            "Calls per minute by model",
            "Calls that ended, a minute, by the model that was asked for and the service.",
            "timeseries",
            (Query(f"{ask.total(CALLS, *TRACED)} * {MINUTES}", legend(*TRACED)),),
            unit=PER_MINUTE,
            decimals=1,
            width=width,
            traces="model",
        ),
        Panel(
            "Failed calls per minute by error",
            "Calls that failed, a minute, by error.type (the class of the exception, or the code"
            " that the server gave), model and service.",
            "timeseries",
            (
                Query(
                    f"{ask.either(DURATION, 'count', ERROR, *TRACED, where=_failed())} * {MINUTES}",
                    legend(*TRACED, ERROR),
                ),
            ),
            unit=PER_MINUTE,
            empty="No call failed",
            decimals=1,
            width=width,
            stretch=SLOW,
            least=(0.0, 2.0),
            traces="error",
        ),
        *outcomes,
    )


def _failed() -> str:
    return f'{ERROR}!=""'


def _time(ask: Queries) -> tuple[Panel, ...]:
    written = ask.total(TOKENS, *TRACED, where=f'{KIND}="output", {OPERATION}!="embeddings"')
    waited = ask.either(DURATION, "sum", *TRACED, where=f'{OPERATION}!="embeddings"')
    return (
        _heatmap(
            "Time to first content",
            "How many streams had their first content after how long: the darker or brighter, the"
            " more.",
            ask.either(FIRST_CONTENT, "bucket", "le"),
            NO_STREAMS,
        ),
        _heatmap(
            "Duration",
            "How many calls took how long: the darker or brighter, the more.",
            ask.either(DURATION, "bucket", "le"),
            NO_CALLS,
        ),
        Panel(
            "Duration, p95 by model",
            "Seconds from the request until the answer was whole or the stream over: 95 % of calls"
            " took no longer.",
            "timeseries",
            (Query(ask.p95(DURATION, *TRACED), legend(*TRACED), exemplars=True),),
            unit="s",
            decimals=1,
            stretch=SLOW,
            traces="model",
        ),
        Panel(
            "Output speed by model",
            "Output tokens from every source over the seconds that calls took, waiting included.",
            "timeseries",
            (Query(ratio(written, waited), legend(*TRACED)),),
            unit=TOKENS_PER_SECOND,
            decimals=0,
            width=12,
            traces="model",
        ),
        Panel(
            "Time between chunks, p95 by model",
            "Seconds from one chunk of a stream to the next: how steadily an answer comes.",
            "timeseries",
            (Query(ask.p95(OUTPUT_CHUNK, *TRACED), legend(*TRACED), exemplars=True),),
            unit="s",
            empty="Not set up: time_per_output_chunk=True records it",
            decimals=3,
            width=12,
            stretch=SLOW,
            traces="model",
        ),
    )


def _tokens(ask: Queries) -> tuple[Panel, ...]:
    calls = ask.total(CALLS, *TRACED)
    return (
        *(_shares(ask, kind) for kind in ("input", "output")),
        Panel(
            "Reasoning by model",
            "Share of reported output tokens that were thought and not answer, by model and"
            " service.",
            "timeseries",
            (
                Query(
                    ratio(
                        ask.total(REASONING, *TRACED),
                        ask.total(TOKENS, *TRACED, where=_reported_output()),
                    ),
                    legend(*TRACED),
                ),
            ),
            unit="percentunit",
            empty="No server reported reasoning",
            decimals=1,
            most=1.0,
            traces="model",
        ),
        *(
            Panel(
                f"{kind.capitalize()} tokens per call by model",
                f"{kind.capitalize()} tokens from every source over calls: a mean.",
                "timeseries",
                (
                    Query(
                        ratio(ask.total(TOKENS, *TRACED, where=of_kind(kind)), calls),
                        legend(*TRACED),
                    ),
                ),
                unit="suffix: tokens",
                decimals=0,
                width=12,
                traces="model",
            )
            for kind in ("input", "output")
        ),
    )


def _reported_output() -> str:
    return f'{KIND}="output", {SOURCE}="reported"'


def _shares(ask: Queries, kind: str) -> Panel:
    shares = ask.total(TOKENS, SOURCE, where=of_kind(kind))
    whole = ask.total(TOKENS, where=of_kind(kind))
    return Panel(
        f"{kind.capitalize()} tokens by source",
        f"What share of {kind} tokens was reported by the server, counted here, calibrated by"
        " reports, visible (what a reasoning model let us see) or approximated.",
        "timeseries",
        (Query(ratio(shares, whole, "on () group_left ()"), legend(SOURCE)),),
        unit="percentunit",
        decimals=1,
        stacked=True,
        colors=SOURCES,
        most=1.0,
    )


def _cost(ask: Queries) -> tuple[Panel, ...]:
    by = ", ".join(TRACED)
    calls = ask.total(CALLS, *TRACED, where=f'{OPERATION}!="{FETCH.name}"', over="5m")
    return (
        Panel(
            "Cost of a day against its budget",
            "Dollars in the 24 hours before each point, by service, and what a service may spend in"
            " a day (`tokentrail prices --budget`).",
            "timeseries",
            (
                Query(ask.spent_over("1d", JOB), legend(JOB)),
                Query("max (tokentrail:cost_budget_usd:per_day)", "budget"),
            ),
            unit="currencyUSD",
            empty=NO_PRICES,
            decimals=2,
            colors={"budget": BAD},
        ),
        Panel(
            "Cost of a thousand calls by model",
            "Dollars for a thousand calls, whatever their outcome, by model and service.",
            "timeseries",
            (Query(ratio(f"1000 * {ask.spent(*TRACED)}", calls), legend(*TRACED)),),
            unit="currencyUSD",
            empty=NO_PRICES,
            decimals=2,
            traces="model",
        ),
        Panel(
            "Calls per minute without a price",
            "Calls of models that have no price, by model and service: their cost is missing above."
            " Give them one with `tokentrail prices --overrides`.",
            "timeseries",
            (
                Query(
                    f"({calls} unless on ({by}) {ask.spent(*TRACED)}"
                    f" and on () (count ({ask.spent()}) > 0)) * {MINUTES}",
                    legend(*TRACED),
                ),
            ),
            unit=PER_MINUTE,
            empty="None, or no rules of `tokentrail prices` are loaded",
            decimals=1,
            traces="model",
        ),
    )


def _limits(ask: Queries) -> tuple[Panel, ...]:
    def headroom(kind: str) -> str:
        left = f'min by ({MODEL}, {JOB}) ({LEFT}{{{CHOSEN}, {LIMIT_TYPE}="{kind}"}})'
        whole = f'min by ({MODEL}, {JOB}) ({LIMIT}{{{CHOSEN}, {LIMIT_TYPE}="{kind}"}})'
        return ratio(left, whole)

    return (
        Panel(
            "Retries per minute by cause",
            "Tries that the client made again by itself, a minute, by what went wrong (a status, a"
            " timeout, a lost connection), model and service. A call that succeeded at the second"
            " try failed for nobody, and took longer.",
            "timeseries",
            (
                Query(
                    f"{ask.total(RETRIES, ERROR, *TRACED)} * {MINUTES}",
                    legend(*TRACED, ERROR),
                ),
            ),
            unit="suffix: retries/min",
            empty="The client retried nothing",
            decimals=1,
            stretch=SLOW,
            least=(0.0, 2.0),
            traces="model",
        ),
        *(
            Panel(
                f"{kind.capitalize()} left by model",
                f"What is left of the {kind} that the provider allows, as its last answer had it"
                " (`x-ratelimit-remaining`), by model and service.",
                "timeseries",
                (Query(headroom(kind), legend(*TRACED)),),
                unit="percentunit",
                empty="No server sent x-ratelimit headers",
                decimals=1,
                most=1.0,
                traces="model",
            )
            for kind in ("requests", "tokens")
        ),
    )


def _answers(ask: Queries) -> tuple[Panel, ...]:
    return (
        Panel(
            "Answers per minute by finish reason",
            "Why answers ended, a minute: stop, length (cut at the limit of tokens), tool calls,"
            " content filter.",
            "timeseries",
            (Query(f"{ask.total(FINISHED, REASON)} * {MINUTES}", legend(REASON)),),
            unit="suffix: answers/min",
            empty="No answer had a finish reason",
            decimals=1,
            width=12,
            stacked=True,
            colors=REASONS,
        ),
        Panel(
            "Calls per minute by answering model",
            "Calls a minute by the model that answered and the one that was asked for: an alias"
            " that moves is seen here.",
            "timeseries",
            (
                Query(
                    f"{ask.either(DURATION, 'count', ANSWERED, MODEL, where=_answered())}"
                    f" * {MINUTES}",
                    legend(MODEL, ANSWERED),
                ),
            ),
            unit=PER_MINUTE,
            decimals=1,
            width=12,
        ),
    )


def _answered() -> str:
    return f'{ANSWERED}!=""'


def _trust(ask: Queries) -> tuple[Panel, ...]:
    counted, reported = (
        ask.total(COMPARED, KIND, *TRACED, where=f'{SOURCE}="{source}"')
        for source in ("counted", "reported")
    )
    return (
        Panel(
            "Counted over reported tokens",
            "Tokens counted here over tokens that the server reported, of the calls that have both."
            " 1 is exact; away from it, counts of that model are off.",
            "timeseries",
            (Query(ratio(counted, reported), legend(*TRACED, KIND)),),
            unit="none",
            empty="No calls were compared: count_verification_ratio says how many are",
            decimals=2,
            width=24,
            steps=((None, "red"), (0.95, "green"), (1.05, "red")),
            least=(0.85, 1.15),
            traces="model",
        ),
    )


def _itself(ask: Queries) -> tuple[Panel, ...]:
    def ours(metric: str) -> str:
        return ask.total(metric, JOB, function="increase", own=True)

    about = "Not set up: internal_metrics records it"
    queue = ask.total(QUEUE, JOB, own=True).partition("{")[2].partition("}")[0]
    return (
        Panel(
            "Waiting work",
            "Pieces of work that wait for tokentrail's worker: near zero but for moments.",
            "timeseries",
            (Query(f"max by ({JOB}) ({QUEUE}{{{queue}}})", legend(JOB)),),
            empty=about,
            decimals=0,
            steps=((None, "green"), (1000.0, "red")),
        ),
        Panel(
            "Internal errors",
            "Errors of tokentrail's own that the application was spared. Each is logged once: look"
            " for 'tokentrail failed'.",
            "timeseries",
            (Query(ours(ERRORS), legend(JOB)),),
            empty=about,
            decimals=0,
            least=(0.0, 5.0),
            steps=((None, "green"), (1.0, "red")),
        ),
        Panel(
            "Counts queued, estimated and corrected",
            "Counts that were left to the worker (usual), those that were estimated because it had"
            " too much to do (a worry), and those that a calibration corrected.",
            "timeseries",
            (
                Query(ours(QUEUED), f"queued / {legend(JOB)}"),
                Query(ours(ESTIMATED), f"estimated / {legend(JOB)}"),
                Query(ours(CORRECTED), f"corrected / {legend(JOB)}"),
            ),
            empty=about,
            decimals=0,
        ),
    )


def _tile(  # noqa: PLR0913 - a row of a table
    title: str,
    about: str,
    expr: str,
    of: str = "",
    unit: str = "short",
    *,
    empty: str = NO_CALLS,
    steps: Steps = NEUTRAL,
    decimals: int | None = None,
    calc: str = "lastNotNull",
    most: float | None = None,
) -> Panel:
    """Return a tile; ``of`` stands above its number, before the time that it is of.

    Its small line stays below the number: by ``most``, or by a line that is higher and not shown.
    """
    name = ", ".join(filter(None, [of, SHOWN if calc == "sum" else LATELY]))
    above = () if most else (Query(f"1.4 * ({expr})", HIGHER),)
    return Panel(
        title,
        about,
        "stat",
        (Query(expr, name), *above),
        unit,
        empty,
        steps,
        width=3,
        height=5,
        decimals=decimals,
        calc=calc,
        most=most,
    )


def _heatmap(title: str, about: str, expr: str, empty: str) -> Panel:
    return Panel(title, about, "heatmap", (Query(expr, "{{le}}"),), unit="s", empty=empty)
