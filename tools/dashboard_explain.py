"""The row of the dashboard that says why there are so many tokens."""

from __future__ import annotations

from dashboard_panels import (
    LATELY,
    NO_PRICES,
    OUTCOMES,
    SLOW,
    TOKENS_PER_SECOND,
    USD_PER_HOUR,
    Panel,
    Query,
    Row,
)
from dashboard_queries import (
    KIND,
    NOW,
    PRICED,
    TRACED,
    WASTED,
    Queries,
    label,
    legend,
    of_kind,
    ratio,
    series,
)

from tokentrail.telemetry import semconv

PART = label(semconv.INPUT_PART)
STATE = label(semconv.CACHE_STATE)
MISS = label(semconv.MISS_REASON)
WASTE = label(semconv.WASTE_REASON)
INPUT = series(semconv.INPUT_PART_TOKENS, "total")
CACHE = series(semconv.CACHE_TOKENS, "total")
NOT_EXPLAINED = 'Not set up: explain="all" records it'
MISSED = f'{STATE}="missed"'

PARTS = {
    "instructions": "#5794f2",
    "tools": "#ff9830",
    "tool_results": "#f2cc0c",
    "history": "#8f8fb2",
    "user": "#73bf69",
    "images": "#b877d9",
    "files": "#e0b0ff",
    "schema": "#37a2a2",
    "other": "#a0a0a0",
}
MISSES = {
    "model_changed": "#b877d9",
    "cache_key_changed": "#e0b0ff",
    "tools_changed": "#ff9830",
    "schema_changed": "#37a2a2",
    "instructions_changed": "#5794f2",
    "history_rewritten": "#f2495c",
    "not_served": "#a9b8cc",
}
WASTES = {
    **{name: color for name, color in OUTCOMES.items() if name != "completed"},
    "length": "#f2cc0c",
    "content_filter": "#b877d9",
    "repeated": "#37a2a2",
}
"""Fixed colours: what changed has that of the part that it is."""


def explain_row(*, by: bool) -> Row:
    """Return the row; ``by``: of the dashboard by tenant."""
    ask = Queries(by=by)
    return Row("Why so many tokens", (*_tokens(ask), *_money(ask), *_growth(ask)))


def _stacked(  # noqa: PLR0913 - a row of a table
    title: str,
    about: str,
    query: Query,
    *,
    unit: str,
    empty: str,
    colors: dict[str, str],
    width: int = 8,
) -> Panel:
    """Return a panel of what sums to a whole: dollars with cents, tokens without parts."""
    return Panel(
        title,
        about,
        "timeseries",
        (query,),
        unit=unit,
        empty=empty,
        decimals=2 if unit == USD_PER_HOUR else 0,
        width=width,
        stacked=True,
        stretch=SLOW,
        colors=colors,
    )


def _tokens(ask: Queries) -> tuple[Panel, ...]:
    read, cacheable = (
        ask.increase(CACHE, *TRACED, where=f'{STATE}="{state}"', over=NOW)
        for state in ("read", "cacheable")
    )
    return (
        Panel(
            "Input tokens by part",
            "What share of the input was instructions, tools, results of tools, history (earlier"
            " turns), the user's last turn, images, files, a schema or other.",
            "timeseries",
            (
                Query(
                    ratio(ask.total(INPUT, PART), ask.total(INPUT), "on () group_left ()"),
                    legend(PART),
                ),
            ),
            unit="percentunit",
            empty=NOT_EXPLAINED,
            decimals=1,
            stacked=True,
            colors=PARTS,
            most=1.0,
        ),
        Panel(
            "Cache read of cacheable by model",
            "What the server read from its cache, of what it could have had nothing changed, over"
            " the 15 minutes before each point. More than 100 %: another process sent it before.",
            "timeseries",
            (Query(ratio(read, cacheable), legend(*TRACED)),),
            unit="percentunit",
            empty=NOT_EXPLAINED,
            over=LATELY,
            decimals=1,
            traces="model",
        ),
        _stacked(
            "Wasted tokens per second by reason",
            "Tokens a second that were paid and not used: of calls closed early, cancelled, failed,"
            " truncated, cut by the length limit or a filter, or repeated (with explain).",
            Query(ask.total(WASTED, WASTE), legend(WASTE)),
            unit=TOKENS_PER_SECOND,
            empty="None",
            colors=WASTES,
        ),
    )


def _money(ask: Queries) -> tuple[Panel, ...]:
    parts = ask.total(INPUT, PART, *PRICED)
    wasted = " or ".join(
        f"{ask.total(WASTED, WASTE, KIND, *PRICED, where=of_kind(kind))} {ask.at_price(kind)}"
        for kind in ("input", "output")
    )
    return (
        _stacked(
            "Cost of input per hour by part",
            "Dollars an hour of each part of the input, at the price of input that comes from no"
            " cache. Needs the rules of `tokentrail prices`.",
            Query(f"{ask.worth(parts, 'input', PART)} * 3600", legend(PART)),
            unit=USD_PER_HOUR,
            empty=NO_PRICES,
            colors=PARTS,
        ),
        _stacked(
            "Missed tokens per second by reason",
            "Tokens a second that the cache could have served and did not, by the first thing that"
            " differs from the call before. not_served: nothing differs, so it expired.",
            Query(ask.total(CACHE, MISS, where=MISSED), legend(MISS)),
            unit=TOKENS_PER_SECOND,
            empty=f"None, or {NOT_EXPLAINED[0].lower()}{NOT_EXPLAINED[1:]}",
            colors=MISSES,
        ),
        _stacked(
            "Cost of waste per hour by reason",
            "Dollars an hour of tokens that were paid and not used, input and output each at its"
            " price. Needs the rules of `tokentrail prices`.",
            Query(f"sum by ({WASTE}) ({wasted}) * 3600", legend(WASTE)),
            unit=USD_PER_HOUR,
            empty=f"None, or {NO_PRICES[0].lower()}{NO_PRICES[1:]}",
            colors=WASTES,
        ),
    )


def _growth(ask: Queries) -> tuple[Panel, ...]:
    tools = ask.increase(INPUT, *TRACED, where=f'{PART}="tools"', over=NOW)
    missed = ask.total(CACHE, MISS, *PRICED, where=MISSED)
    saved = f"({ask.worth(missed, 'input', MISS)} - {ask.worth(missed, 'cache_read', MISS)})"
    return (
        Panel(
            "Tools in the input by model",
            "Share of the input that definitions of tools are, over the 15 minutes before each"
            " point: each call pays for all of them.",
            "timeseries",
            (Query(ratio(tools, ask.increase(INPUT, *TRACED, over=NOW)), legend(*TRACED)),),
            unit="percentunit",
            empty=NOT_EXPLAINED,
            over=LATELY,
            decimals=1,
            least=(0.0, 0.5),
            width=12,
            traces="model",
        ),
        _stacked(
            "Cost of missed tokens per hour by reason",
            "Dollars an hour that the cache would have saved: missed tokens, times what input costs"
            " more than input from the cache. Needs the rules of `tokentrail prices`.",
            Query(f"{saved} * 3600", legend(MISS)),
            unit=USD_PER_HOUR,
            empty=f"None, or {NO_PRICES[0].lower()}{NO_PRICES[1:]}",
            colors=MISSES,
            width=12,
        ),
    )
