"""What every query must return, worked out from the scenes: the other half of the proof.

A round was played while Prometheus watched, after one that it did not see. So every counter rose by
what the scenes say, and a rate is that number times :meth:`World.pace`. Only times are not known
beforehand: a quantile is worked out anew from what the buckets rose by.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.dashboards.scenes import SCENES

from tokentrail.model.operations import INFERENCES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Labels = frozenset  # of pairs of a label and its value
Values = dict

JOB, OPERATION, PROVIDER, MODEL = (
    "job",
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
)
KIND, SOURCE, OUTCOME, ERROR = (
    "gen_ai_token_type",
    "tokentrail_usage_source",
    "tokentrail_outcome",
    "error_type",
)
TRACED = (JOB, MODEL)
"""What tells the series of a panel apart that leads to traces, and maybe more."""
INFERENCE = tuple(sorted(INFERENCES))
DAY_BUDGET = 10_000_000


@dataclass(frozen=True)
class World:
    """One job as Prometheus saw it."""

    job: str
    vocabulary: str
    times: Sequence[float]
    """When it was scraped."""
    end: float
    """When it was asked."""
    rises: Callable[[str], Sequence[tuple[Mapping[str, str], float, float]]]
    """The series of a metric by their labels, each with its first value and what it rose by."""
    recorded: Callable[[str], Sequence[tuple[Mapping[str, str], Sequence[tuple[float, float]]]]]
    """The series of a recording, each with its samples of the last five minutes."""

    def pace(self, window: float, begun: float = 1.0) -> float:
        """Return what a rise of 1 is as a rate over ``window`` seconds, as Prometheus extrapolates.

        Its rule: the samples' span, and at each end the gap to the window's, or half a scrape's
        interval where that gap is longer than 1.1 of them. A counter is not thought to have begun
        before it was 0: ``begun`` is its first value over its rise.
        """
        first, last = self.times[0], self.times[-1]
        span, interval = last - first, (last - first) / (len(self.times) - 1)
        before, after = (
            gap if gap < 1.1 * interval else interval / 2
            for gap in (first - (self.end - window), self.end - last)
        )
        return (span + min(before, span * begun) + after) / span / window

    def increases(self, metric: str) -> list[tuple[Mapping[str, str], float]]:
        """Return the series of a metric, each with its increase as Prometheus extrapolates it."""
        return [
            (labels, rise * self.pace(WINDOW, first / rise) * WINDOW if rise else 0.0)
            for labels, first, rise in self.rises(metric)
        ]


WINDOW = 300.0


def calls(job: str) -> list[tuple[dict[str, str], float]]:
    """Return a point for each call."""
    return [
        (
            {
                JOB: job,
                OPERATION: scene.operation,
                PROVIDER: scene.provider,
                MODEL: scene.model,
                OUTCOME: scene.outcome,
                ERROR: scene.error or "",
            },
            1.0,
        )
        for scene in SCENES
    ]


def tokens(job: str) -> list[tuple[dict[str, str], float]]:
    """Return a point for each direction of each call."""
    return [
        (
            {**labels, KIND: kind, SOURCE: told.source, "conventional": str(told.conventional)},
            float(told.number),
        )
        for scene, (labels, _) in zip(SCENES, calls(job), strict=True)
        for kind, told in (("input", scene.input), ("output", scene.output))
        if told is not None
    ]


def grouped(
    points, *by: str, where: Callable[[Mapping[str, str]], bool] = lambda _: True
) -> Values:
    """Return sums by labels."""
    sums: Values = defaultdict(float)
    for labels, number in points:
        if where(labels):
            sums[Labels((name, labels[name]) for name in by if labels[name])] += number
    return dict(sums)


def times(values: Values, factor: float) -> Values:
    """Return the values multiplied."""
    return {labels: value * factor for labels, value in values.items()}


def divided(above: Values, below: Values) -> Values:
    """Return the quotients of what both have."""
    return {labels: above[labels] / below[labels] for labels in above if labels in below}


class Edge(float):
    """A quantile between two observations with empty buckets between them: either end is right.

    Which of them Prometheus returns hangs on the last bit of a sum of rates.
    """

    __slots__ = ("upper",)
    upper: float

    def __eq__(self, other: object) -> bool:
        return other == pytest.approx(float(self)) or other == pytest.approx(self.upper)

    __hash__ = float.__hash__


def quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Return a quantile of cumulative buckets, linear within one, as Prometheus has it."""
    ordered = sorted(buckets)
    total = ordered[-1][1]
    at_least = _interpolated(ordered, share * total - 1e-9 * total)
    more_than = _interpolated(ordered, share * total + 1e-9 * total)
    if at_least == pytest.approx(more_than):
        return at_least
    edge = Edge(at_least)
    edge.upper = more_than
    return edge


def _interpolated(ordered: Sequence[tuple[float, float]], rank: float) -> float:
    place = next(i for i, (_, count) in enumerate(ordered) if count >= rank)
    if place == len(ordered) - 1:
        return ordered[-2][0]
    low, before = ordered[place - 1] if place else (0.0, 0.0)
    high, until = ordered[place]
    return low + (high - low) * (rank - before) / (until - before)


def _rate(points, *by, where=lambda _: True):
    return lambda w: times(grouped(points(w.job), *by, where=where), w.pace(WINDOW))


def _increase(points, *by, where=lambda _: True):
    return lambda w: times(grouped(points(w.job), *by, where=where), w.pace(WINDOW) * WINDOW)


def _share(points, above, below=lambda _: True):
    return lambda w: divided(
        grouped(points(w.job), where=above), grouped(points(w.job), where=below)
    )


def _is(label: str, *values: str):
    return lambda labels: labels[label] in values


def _unfinished(labels) -> bool:
    return labels[OUTCOME] != "completed"


def _told_by_model(kind: str):
    def expected(w: World) -> Values:
        def told(labels) -> bool:
            there = w.vocabulary == "released" or labels[OPERATION] in INFERENCE
            return labels[KIND] == kind and labels["conventional"] == "True" and there

        return times(grouped(tokens(w.job), *TRACED, where=told), w.pace(WINDOW))

    return expected


def _detail(kind: str, field: str):
    def expected(w: World) -> Values:
        reported = sum(
            number
            for labels, number in tokens(w.job)
            if (labels[KIND], labels[SOURCE]) == (kind, "reported")
        )
        return {Labels(): sum(getattr(scene, field) for scene in SCENES) / reported}

    return expected


def _buckets(w: World, names: Sequence[str], *by: str, where=lambda _: True) -> Values:
    """Return the increases of the buckets of histograms, by labels."""
    found: Values = defaultdict(lambda: defaultdict(float))
    for name in names:
        for labels, rise in w.increases(f"{name}_bucket"):
            if where(labels):
                group = Labels((label, labels[label]) for label in by)
                found[group][float(labels["le"])] += rise
    return {group: list(buckets.items()) for group, buckets in found.items()}


def _quantile(share: float, family: str, *by: str):
    def expected(w: World) -> Values:
        if w.vocabulary == "released" or family == "other":
            buckets = _buckets(w, [f"gen_ai_client_operation_{family}_seconds"], *by)
        else:
            buckets = _buckets(w, [f"gen_ai_client_inference_{family}_seconds"], *by)
            if family == "duration":
                others = _buckets(
                    w,
                    ["gen_ai_client_operation_duration_seconds"],
                    *by,
                    where=lambda labels: labels[OPERATION] not in INFERENCE,
                )
                buckets = {**buckets, **others}
        if family == "duration":  # a check of the check: there are as many as there were calls
            counts = {group: dict(b)[float("inf")] for group, b in buckets.items()}
            known = times(grouped(calls(w.job), *by), w.pace(WINDOW) * WINDOW)
            assert counts == pytest.approx(known)
        return {group: quantile(share, b) for group, b in buckets.items()}

    return expected


def _sizes(kind: str):
    def expected(w: World) -> Values:
        if w.vocabulary == "released":
            found = _buckets(
                w, ["gen_ai_client_token_usage"], *TRACED, where=lambda labels: labels[KIND] == kind
            )
        else:
            found = _buckets(w, [f"gen_ai_client_inference_operation_{kind}_tokens"], *TRACED)
        return {group: quantile(0.95, b) for group, b in found.items()}

    return expected


def _speed(w: World) -> Values:
    family = "operation" if w.vocabulary == "released" else "inference"
    waited = w.increases(f"gen_ai_client_{family}_duration_seconds_sum")
    written = grouped(tokens(w.job), OPERATION, *TRACED, where=_is(KIND, "output"))
    told = times(written, w.pace(WINDOW) * WINDOW)
    return divided(told, grouped(waited, OPERATION, *TRACED))


def _compared(w: World, *by: str, source: str = "reported") -> Values:
    """Return the tokens that were both reported and counted, by one of the two."""
    points = [
        (
            {JOB: w.job, MODEL: scene.model, KIND: kind},
            float(told.number if source == "reported" else told.counted),
        )
        for scene in SCENES
        for kind, told in (("input", scene.input), ("output", scene.output))
        if told is not None and told.counted is not None
    ]
    return grouped(points, *by)


def _ratio(w: World, *by: str) -> Values:
    return divided(_compared(w, *by, source="counted"), _compared(w, *by))


def _by_source(w: World, *by: str) -> Values:
    all_of = grouped(tokens(w.job), *(label for label in by if label != SOURCE))
    return {
        group: number / all_of[Labels(pair for pair in group if pair[0] != SOURCE)]
        for group, number in grouped(tokens(w.job), *by).items()
    }


def _own(metric: str, number: float | None = None):
    def expected(w: World) -> Values:
        assert number is None or sum(rise for _, _, rise in w.rises(metric)) == number
        return {Labels({(JOB, w.job)}): sum(rise for _, rise in w.increases(metric))}

    return expected


PRICES = {
    "gpt-4o-mini": {"input": 0.15, "output": 0.6, "cache_read": 0.075},
    "gpt-4o": {"input": 2.5, "output": 10},
    "o4-mini": {"input": 1.1, "output": 4.4, "reasoning": 5},
    "gpt-4.1": {"input": 2, "output": 8},
    "gpt-35-turbo": {"input": 0.5, "output": 1.5},
    "text-embedding-3-small": {"input": 0.02},
}
"""Own prices, in USD per million tokens, by the model that answers."""
PUBLISHED = {"gpt-3.5-turbo-instruct": {"input": 1.5, "output": 2}}
"""What OpenAI asks: https://developers.openai.com/api/docs/pricing."""
COST = "tokentrail:cost_usd:rate5m"


def costs(job: str) -> list[tuple[dict[str, str], float]]:
    """Return a point of USD for each call whose model has a price: reported and counted tokens."""
    found = []
    for scene, (labels, _) in zip(SCENES, calls(job), strict=True):
        rates = {**PRICES, **PUBLISHED}.get(scene.answers or scene.model)
        if rates is None or not (scene.input and scene.input.conventional):
            continue
        made = scene.output.number if scene.output and scene.output.conventional else 0
        usd = (
            (scene.input.number - scene.cached) * rates["input"]
            + scene.cached * rates.get("cache_read", rates["input"])
            + (made - scene.reasoning) * rates.get("output", 0)
            + scene.reasoning * rates.get("reasoning", 0)
        )
        found.append((labels, usd / 1e6))
    return found


def priced_tokens(job: str) -> list[tuple[dict[str, str], float]]:
    """Return a point for each part of a total that may have a price."""
    found = []
    for scene, (labels, _) in zip(SCENES, calls(job), strict=True):
        for part, number in (
            ("input", scene.input.number if scene.input and scene.input.conventional else 0),
            ("output", scene.output.number if scene.output and scene.output.conventional else 0),
            ("cache_read", scene.cached),
            ("reasoning", scene.reasoning),
        ):
            if number:
                model = {"tokentrail_model": scene.answers or scene.model}
                found.append(({**labels, **model, "part": part}, float(number)))
    return found


def _spent(w: World) -> Values:
    """Return what the recorded samples at full half minutes sum up to, each for that long."""
    total, found = 0.0, False
    for _, samples in w.recorded(COST):
        for minute in range(int((w.end - WINDOW) // 30) + 1, int(w.end // 30) + 1):
            before = [value for at, value in samples if at <= minute * 30]
            found = found or bool(before)
            total += before[-1] * 30 if before else 0.0
    return {Labels(): total} if found else {}


def _unpriced(w: World) -> Values:
    priced = grouped(costs(w.job), *TRACED)
    every = times(grouped(calls(w.job), *TRACED), w.pace(WINDOW))
    return {labels: pace for labels, pace in every.items() if labels not in priced}


ROW = (JOB, PROVIDER, OPERATION, MODEL)

PANELS: dict[tuple[str, str], Callable[[World], Values]] = {
    ("Calls", "A"): _increase(calls),
    ("Failed calls", "A"): _share(calls, _is(OUTCOME, "failed")),
    ("Input tokens", "A"): _increase(tokens, where=_is(KIND, "input")),
    ("Output tokens", "A"): _increase(tokens, where=_is(KIND, "output")),
    ("Unfinished tokens", "A"): _increase(tokens, where=_unfinished),
    ("Known tokens", "A"): _share(tokens, _is(SOURCE, "reported", "counted")),
    ("Calls by model", "A"): _rate(calls, *TRACED),
    ("Calls by service and provider", "A"): _rate(calls, JOB, PROVIDER),
    ("Errors by type", "A"): _rate(
        calls, OPERATION, *TRACED, ERROR, where=lambda labels: labels[ERROR] != ""
    ),
    ("How calls ended", "A"): _rate(calls, OUTCOME),
    ("Tokens per second by model", "A"): _told_by_model("input"),
    ("Tokens per second by model", "B"): _told_by_model("output"),
    ("Tokens per second by source", "A"): _rate(tokens, SOURCE, KIND),
    ("Tokens per second by service", "A"): _rate(tokens, JOB, KIND),
    ("Tokens per second by provider", "A"): _rate(tokens, PROVIDER, KIND),
    ("Tokens of unfinished calls", "A"): _rate(tokens, OUTCOME, KIND, where=_unfinished),
    ("Cached and reasoning tokens", "A"): _detail("input", "cached"),
    ("Cached and reasoning tokens", "B"): _detail("output", "reasoning"),
    ("Tokens of a call", "A"): _sizes("input"),
    ("Tokens of a call", "B"): _sizes("output"),
    ("Output tokens per second of waiting", "A"): _speed,
    ("Cost", "A"): _spent,
    ("Cost by model", "A"): lambda w: times(grouped(costs(w.job), *TRACED), w.pace(WINDOW) * 3600),
    ("Cost by service and provider", "A"): lambda w: times(
        grouped(costs(w.job), JOB, PROVIDER), w.pace(WINDOW) * 3600
    ),
    ("Cost of a thousand calls", "A"): lambda w: times(
        divided(grouped(costs(w.job), *TRACED), grouped(calls(w.job), *TRACED)), 1000
    ),
    ("Calls without a price", "A"): _unpriced,
    **{
        (title, letter): _quantile(share, family, OPERATION, *TRACED)
        for title, family in (
            ("Duration", "duration"),
            ("Time to first chunk", "time_to_first_chunk"),
            ("Time per output chunk", "time_per_output_chunk"),
        )
        for letter, share in (("A", 0.5), ("B", 0.95), ("C", 0.99))
    },
    ("Counted over reported tokens", "A"): lambda w: _ratio(w, *TRACED, KIND),
    ("Share of tokens by source", "A"): lambda w: _by_source(w, SOURCE, KIND),
    ("Waiting work", "A"): lambda w: {Labels({(JOB, w.job)}): 0.0},
    ("Own errors", "A"): _own("tokentrail_internal_errors_total", 0),
    ("Deferred and degraded calls", "A"): _own("tokentrail_internal_counts_queued_total"),
    ("Deferred and degraded calls", "B"): _own("tokentrail_internal_counts_estimated_total", 0),
    ("Calls, tokens and time", "A"): _increase(calls, *ROW),
    ("Calls, tokens and time", "B"): _increase(calls, *ROW, where=_is(OUTCOME, "failed")),
    ("Calls, tokens and time", "C"): _increase(tokens, *ROW, where=_is(KIND, "input")),
    ("Calls, tokens and time", "D"): _increase(tokens, *ROW, where=_is(KIND, "output")),
    ("Calls, tokens and time", "E"): _quantile(0.95, "duration", *ROW),
}


def _failed(w: World, *by: str) -> Values:
    none = times(grouped(calls(w.job), *by), 0.0)
    return {**none, **grouped(calls(w.job), *by, where=_is(OUTCOME, "failed"))}


BY_MODEL = (JOB, PROVIDER, MODEL)

RECORDINGS: dict[str, Callable[[World], Values]] = {
    "job_provider_model:tokentrail_operations:rate5m": _rate(calls, *BY_MODEL),
    "job_provider_model:tokentrail_failed_operations:rate5m": lambda w: times(
        _failed(w, *BY_MODEL), w.pace(300)
    ),
    "job_provider_model:tokentrail_failed_operations:ratio_rate5m": lambda w: divided(
        _failed(w, *BY_MODEL), grouped(calls(w.job), *BY_MODEL)
    ),
    "job_operation_model:tokentrail_duration_seconds:p95_rate5m": _quantile(
        0.95, "duration", JOB, OPERATION, MODEL
    ),
    "job_operation_model:tokentrail_first_chunk_seconds:p95_rate5m": _quantile(
        0.95, "time_to_first_chunk", JOB, OPERATION, MODEL
    ),
    "job_model_type_source:tokentrail_tokens:rate5m": _rate(tokens, JOB, MODEL, KIND, SOURCE),
    "job:tokentrail_tokens:rate5m": _rate(tokens, JOB),
    "job:tokentrail_tokens:rate1h": lambda w: times(grouped(tokens(w.job), JOB), w.pace(3600)),
    "job:tokentrail_tokens:increase24h": lambda w: times(
        grouped(tokens(w.job), JOB), w.pace(86400) * 86400
    ),
    "job_type_source:tokentrail_tokens:ratio_rate1h": lambda w: _by_source(w, JOB, KIND, SOURCE),
    "job_model_type:tokentrail_compared_tokens:ratio_rate1h": lambda w: _ratio(w, JOB, MODEL, KIND),
    "job_model_type:tokentrail_compared_tokens:increase1h": lambda w: times(
        _compared(w, JOB, MODEL, KIND), w.pace(3600) * 3600
    ),
    "tokentrail:token_budget:per_day": lambda _: {Labels(): float(DAY_BUDGET)},
}

# What an alert compares, each side of it, and which of it is over the threshold.
ALERTS: dict[str, Callable[[World], Values]] = {
    "TokentrailCallsFail": lambda _: {},  # most of some models' fail, but too few are made
    "TokentrailCallsAreSlow": lambda _: {},
    "TokentrailFirstChunkIsSlow": lambda _: {},
    "TokentrailTokenBudgetBurns": lambda _: {},
    "TokentrailTokenBudgetIsSpent": lambda _: {},
    "TokentrailCountsDrift": lambda _: {},  # some are off, over too few tokens
    "TokentrailTokensAreApproximated": lambda w: {
        group: share
        for group, share in _by_source(w, JOB, KIND, SOURCE).items()
        if (SOURCE, "approximated") in group and share > 0.1
    },
    "TokentrailTokensAreVisibleOnly": lambda w: {
        group: share
        for group, share in _by_source(w, JOB, KIND, SOURCE).items()
        if (SOURCE, "visible") in group and share > 0.1
    },
    "TokentrailHasErrors": lambda _: {},
    "TokentrailIsOverloaded": lambda _: {},
}
