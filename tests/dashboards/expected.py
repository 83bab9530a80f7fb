"""What every query must return, worked out from the scenes: the other half of the proof.

A round was played while Prometheus watched, after one that it did not see. So every counter rose by
what the scenes say, and a rate is that number times :meth:`World.pace`. Only times are not known
beforehand: a quantile is worked out anew from what the buckets rose by.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

import pytest
from tests.billing import hearing
from tests.dashboards.scenes import FRAMED, LIMITS, SCENES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.dashboards.scenes import Scene

Labels = frozenset  # of pairs of a label and its value
Values = dict

JOB, OPERATION, PROVIDER, MODEL = (
    "job",
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
)
TOOL = "tokentrail_tool_name"
KIND, SOURCE, OUTCOME, ERROR, TENANT = (
    "gen_ai_token_type",
    "tokentrail_usage_source",
    "tokentrail_outcome",
    "error_type",
    "tenant",
)
ANSWERED, REASON, LIMIT_TYPE = (
    "gen_ai_response_model",
    "tokentrail_finish_reason",
    "tokentrail_rate_limit_type",
)
PART, STATE, MISS, WASTE = (
    "tokentrail_input_part",
    "tokentrail_cache_state",
    "tokentrail_cache_miss_reason",
    "tokentrail_waste_reason",
)
TRACED = (JOB, MODEL)
"""What tells the series of a panel apart that leads to traces, and maybe more."""

TENANTS = "Calls, cost and tokens by tenant, sums of the time shown"
SERVICES = "Services and models, sums of the time shown; shares and p95 of the last 15 min"

DAY_BUDGET = 100_000_000
USD_BUDGET = 50.0


@dataclass(frozen=True)
class World:
    """One job as Prometheus saw it."""

    job: str
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
                TENANT: scene.tenant,
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
    """A value whose last bit decides which of two Prometheus returns: either is right.

    So it is with a quantile between two observations that have empty buckets between them, and with
    what is rounded from a half.
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
    return _either(at_least, more_than)


def rounded(value: float) -> float:
    """Return a value as ``round()`` of PromQL has it, where a half goes up."""
    return _either(floor(value + 0.5 - 1e-6), floor(value + 0.5 + 1e-6))


def _either(lower: float, upper: float) -> float:
    if lower == pytest.approx(upper):
        return float(lower)
    edge = Edge(lower)
    edge.upper = upper
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


def _reported(kind: str):
    return lambda labels: (labels[KIND], labels[SOURCE]) == (kind, "reported")


def _detail(kind: str, field: str):
    """Return the share of reported tokens that a part of them has; a reported 0 is one of 0."""

    def expected(w: World) -> Values:
        parts = [
            (labels, float(getattr(scene, field)))
            for scene, (labels, _) in zip(SCENES, calls(w.job), strict=True)
            if scene.input and scene.output and scene.input.source == "reported"
        ]
        whole = grouped(tokens(w.job), *TRACED, where=_reported(kind))
        return divided(grouped(parts, *TRACED), whole)

    return expected


def _per_call(kind: str):
    return lambda w: divided(
        grouped(tokens(w.job), *TRACED, where=_is(KIND, kind)), grouped(calls(w.job), *TRACED)
    )


def _per_minute(points, *by, where=lambda _: True):
    return lambda w: times(grouped(points(w.job), *by, where=where), w.pace(WINDOW) * 60)


def tool_requests(job: str) -> list[tuple[dict[str, str], float]]:
    """Return a point for each answer of the Responses API, all of which searched three times."""
    return [({**labels, TOOL: "web_search"}, 3.0) for labels in _of_responses(job)]


def tool_tokens(job: str) -> list[tuple[dict[str, str], float]]:
    """Return the tokens of the images that those answers have."""
    return [
        ({**labels, TOOL: "image_generation", KIND: kind}, number)
        for labels in _of_responses(job)
        for kind, number in (("input", 50.0), ("output", 4160.0))
    ]


def _of_responses(job: str) -> list[dict[str, str]]:
    both = zip(SCENES, calls(job), strict=True)
    return [labels for scene, (labels, _) in both if scene.api == "responses"]


def transcribed(job: str) -> list[tuple[dict[str, str], float]]:
    """Return the tokens of what a session of each round heard."""
    labels = {JOB: job, MODEL: hearing.BY_TOKENS}
    return [({**labels, KIND: kind}, n) for kind, n in (("input", 100.0), ("output", 20.0))]


def transcribed_time(job: str) -> list[tuple[dict[str, str], float]]:
    """Return the seconds of what it heard that is billed by time."""
    return [({JOB: job, MODEL: hearing.BY_TIME}, 90.0)]


def retries(job: str) -> list[tuple[dict[str, str], float]]:
    """Return a point for each call that the client tried again."""
    return [
        ({**labels, ERROR: "429"}, float(scene.refusals))
        for scene, (labels, _) in zip(SCENES, calls(job), strict=True)
        if scene.refusals
    ]


def answers(job: str) -> list[tuple[dict[str, str], float]]:
    """Return a point for each call that a model answered."""
    return [
        ({**labels, ANSWERED: scene.answers or scene.model, REASON: scene.finish_reason or ""}, 1.0)
        for scene, (labels, _) in zip(SCENES, calls(job), strict=True)
        if scene.error != "openai.RateLimitError"
    ]


def _left(kind: str):
    share = int(LIMITS[f"x-ratelimit-remaining-{kind}"]) / int(LIMITS[f"x-ratelimit-limit-{kind}"])
    return lambda w: dict.fromkeys(grouped(answers(w.job), *TRACED), share)


def explained(job: str) -> list[tuple[Scene, dict[str, str]]]:
    """Return the calls whose input is explained, each with its labels."""
    both = zip(SCENES, calls(job), strict=True)
    return [(s, labels) for s, (labels, _) in both if s.input and s.api in ("chat", "responses")]


def parts(job: str) -> list[tuple[dict[str, str], float]]:
    """Return a point for each part of an input; what is billed otherwise than counted is scaled."""
    found = []
    for scene, labels in explained(job):
        total = scene.input.number
        framing = FRAMED - scene.model.startswith("o4")
        framed = round(framing * total / (scene.input.counted or total))
        own = scene.parts or {"user": total - framed, "other": framed}
        found += [({**labels, PART: part}, float(number)) for part, number in own.items()]
    return found


def cache(job: str) -> list[tuple[dict[str, str], float]]:
    """Return a point for each state of what the cache could serve, of servers that say it."""
    found = []
    for scene, labels in explained(job):
        states = {"cacheable": scene.cacheable, "read": scene.cached}
        found += [({**labels, STATE: s, MISS: ""}, float(n)) for s, n in states.items()]
        if scene.missed:
            own = {**labels, STATE: "missed", MISS: scene.missed}
            found.append((own, float(scene.cacheable - scene.cached)))
    return found


def waste(job: str) -> list[tuple[dict[str, str], float]]:
    """Return the tokens of calls that did not complete; why is how they ended."""
    return [
        ({**labels, WASTE: labels[OUTCOME]}, number)
        for labels, number in tokens(job)
        if _unfinished(labels)
    ]


def _priced(points, price: Callable[[Mapping[str, str], Mapping[str, float]], float]):
    """Return points of USD, of those that have a price, by what is priced of a token."""

    def priced(job: str) -> list[tuple[Mapping[str, str], float]]:
        answers = {scene.model: scene.answers or scene.model for scene in SCENES}
        rates = {**PRICES, **PUBLISHED}
        return [
            (labels, number * price(labels, rates[answers[labels[MODEL]]]) / 1e6)
            for labels, number in points(job)
            if answers[labels[MODEL]] in rates
        ]

    return priced


def _an_hour(points, by: str, price, where=lambda _: True):
    return lambda w: times(
        grouped(_priced(points, price)(w.job), by, where=where), w.pace(WINDOW) * 3600
    )


def _of_cacheable(w: World) -> Values:
    states = {
        state: grouped(cache(w.job), *TRACED, where=_is(STATE, state))
        for state in ("read", "cacheable")
    }
    return divided(states["read"], {k: n for k, n in states["cacheable"].items() if n})


def _tools_share(*by: str):
    return lambda w: divided(
        grouped(parts(w.job), *by, where=_is(PART, "tools")), grouped(parts(w.job), *by)
    )


DURATION = (
    "gen_ai_client_operation_duration_seconds",
    "gen_ai_client_inference_duration_seconds",
    "gen_ai_client_embeddings_duration_seconds",
)
OUTPUT_CHUNK = (
    "gen_ai_client_operation_time_per_output_chunk_seconds",
    "gen_ai_client_inference_time_per_output_chunk_seconds",
)
FIRST_CONTENT = ("tokentrail_client_time_to_first_content_seconds",)
FINE = (JOB, PROVIDER, OPERATION, MODEL)


def _part(w: World, names: Sequence[str], suffix: str, where=lambda _: True):
    """Return the increases of a part of a histogram, by the first name that a kind of call has."""
    found, kinds = [], set()
    for name in names:
        points = [(labels, rise) for labels, rise in w.increases(f"{name}_{suffix}")]
        fresh = {tuple(labels[each] for each in FINE) for labels, _ in points} - kinds
        kinds |= fresh
        found += [
            (labels, rise)
            for labels, rise in points
            if tuple(labels[each] for each in FINE) in fresh and where(labels)
        ]
    return found


def _quantile(share: float, names: Sequence[str], *by: str):
    def expected(w: World) -> Values:
        found: Values = defaultdict(lambda: defaultdict(float))
        for labels, rise in _part(w, names, "bucket"):
            found[Labels((label, labels[label]) for label in by)][float(labels["le"])] += rise
        if names is DURATION:  # a check of the check: there are as many as there were calls
            counts = {group: b[float("inf")] for group, b in found.items()}
            known = times(grouped(calls(w.job), *by), w.pace(WINDOW) * WINDOW)
            assert counts == pytest.approx(known)
        return {group: quantile(share, list(b.items())) for group, b in found.items()}

    return expected


def _heatmap(names: Sequence[str]):
    def expected(w: World) -> Values:
        sums: Values = defaultdict(float)
        for labels, rise in _part(w, names, "bucket"):
            sums[Labels({("le", labels["le"])})] += rise / WINDOW
        return dict(sums)

    return expected


def _not_embeddings(labels) -> bool:
    return labels[OPERATION] != "embeddings"


def _speed(w: World) -> Values:
    waited = grouped(_part(w, DURATION, "sum", _not_embeddings), *TRACED)
    written = grouped(
        tokens(w.job),
        *TRACED,
        where=lambda labels: labels[KIND] == "output" and _not_embeddings(labels),
    )
    return divided(times(written, w.pace(WINDOW) * WINDOW), waited)


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


def _sources(kind: str):
    def expected(w: World) -> Values:
        shares = grouped(tokens(w.job), SOURCE, where=_is(KIND, kind))
        return times(shares, 1 / sum(shares.values()))

    return expected


def _own(metric: str, number: float | None = None):
    def expected(w: World) -> Values:
        assert number is None or sum(rise for _, _, rise in w.rises(metric)) == number
        return {Labels({(JOB, w.job)}): sum(rise for _, rise in w.increases(metric))}

    return expected


PRICES = {
    "gpt-4o-mini": {"input": 0.15, "output": 0.6, "cache_read": 0.075},
    "gpt-4o": {"input": 2.5, "output": 10},
    "o4-mini": {"input": 1.1, "output": 4.4, "reasoning": 5},
    "gpt-4.1": {"input": 2, "output": 8, "cache_read": 0.5},
    "gpt-35-turbo": {"input": 0.5, "output": 1.5},
    "text-embedding-3-small": {"input": 0.02},
}
"""Own prices, in USD per million tokens, by the model that answers."""
PUBLISHED = {"gpt-3.5-turbo-instruct": {"input": 1.5, "output": 2}}
"""What OpenAI asks: https://developers.openai.com/api/docs/pricing."""
COST = "tokentrail:cost_usd:rate5m"
PRICE = "tokentrail:token_price_usd"


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


def _spent(*by: str):
    """Return what the recorded samples at full minutes sum up to, each for that long."""

    def expected(w: World) -> Values:
        found: Values = defaultdict(float)
        for labels, samples in w.recorded(COST):
            for minute in range(int((w.end - WINDOW) // 60) + 1, int(w.end // 60) + 1):
                before = [value for at, value in samples if at <= minute * 60]
                if before:
                    found[Labels((label, labels[label]) for label in by)] += before[-1] * 60
        return dict(found)

    return expected


def _spent_lately(w: World) -> Values:
    means = [sum(n for _, n in samples) / len(samples) for _, samples in w.recorded(COST)]
    return {Labels(): sum(means) * WINDOW}


def _unpriced(w: World) -> Values:
    priced = grouped(costs(w.job), *TRACED)
    every = times(grouped(calls(w.job), *TRACED), w.pace(WINDOW) * 60)
    return {labels: pace for labels, pace in every.items() if labels not in priced}


def _rounded(values):
    return lambda w: {labels: rounded(value) for labels, value in values(w).items()}


def _failed_share(*by: str):
    return lambda w: divided(_failed(w, *by), grouped(calls(w.job), *by))


PANELS: dict[tuple[str, str], Callable[[World], Values]] = {
    ("Calls", "A"): _increase(calls),
    ("Calls", "B"): lambda w: times(_increase(calls)(w), 1.4),
    ("Failed calls", "A"): _share(calls, _is(OUTCOME, "failed")),
    ("Cost", "A"): _spent_lately,
    ("Cost", "B"): lambda w: times(_spent_lately(w), 1.4),
    ("First content p95", "A"): _quantile(0.95, FIRST_CONTENT),
    ("Duration p95", "A"): _quantile(0.95, DURATION),
    ("Tokens", "A"): _increase(tokens, where=_is(KIND, "input")),
    ("Tokens", "B"): _increase(tokens, where=_is(KIND, "output")),
    ("Wasted tokens", "A"): lambda w: times(
        grouped(waste(w.job)), 1 / sum(number for _, number in tokens(w.job))
    ),
    ("Known tokens", "A"): _share(tokens, _is(SOURCE, "reported", "counted", "calibrated")),
    (SERVICES, "A"): _rounded(_increase(calls, *TRACED)),
    (SERVICES, "B"): _spent(*TRACED),
    (SERVICES, "C"): _rounded(_increase(tokens, *TRACED, where=_is(KIND, "input"))),
    (SERVICES, "D"): _rounded(_increase(tokens, *TRACED, where=_is(KIND, "output"))),
    (SERVICES, "E"): _failed_share(*TRACED),
    (SERVICES, "F"): _quantile(0.95, FIRST_CONTENT, *TRACED),
    (SERVICES, "G"): _quantile(0.95, DURATION, *TRACED),
    (SERVICES, "H"): _detail("input", "cached"),
    ("Firing alerts", "A"): lambda _: {},
    ("Failed calls by model, 15 min", "A"): _failed_share(*TRACED),
    ("Cost per hour by model", "A"): lambda w: times(
        grouped(costs(w.job), *TRACED), w.pace(WINDOW) * 3600
    ),
    ("Input from the cache by model, 15 min", "A"): _detail("input", "cached"),
    ("Time to first content, p95 by model, 15 min", "A"): _quantile(0.95, FIRST_CONTENT, *TRACED),
    ("Tokens per second by model", "A"): _rate(tokens, *TRACED),
    ("Calls per minute by outcome", "A"): _per_minute(calls, OUTCOME),
    ("Calls per minute by model", "A"): _per_minute(calls, *TRACED),
    ("Failed calls per minute by error", "A"): _per_minute(
        calls, ERROR, *TRACED, where=lambda labels: labels[ERROR] != ""
    ),
    ("Time to first content", "A"): _heatmap(FIRST_CONTENT),
    ("Duration", "A"): _heatmap(DURATION),
    ("Duration, p95 by model", "A"): _quantile(0.95, DURATION, *TRACED),
    ("Output speed by model", "A"): _speed,
    ("Time between chunks, p95 by model", "A"): _quantile(0.95, OUTPUT_CHUNK, *TRACED),
    ("Input tokens by source", "A"): _sources("input"),
    ("Output tokens by source", "A"): _sources("output"),
    ("Input tokens by part", "A"): lambda w: times(
        grouped(parts(w.job), PART), 1 / sum(number for _, number in parts(w.job))
    ),
    ("Cache read of cacheable by model, 15 min", "A"): _of_cacheable,
    ("Wasted tokens per second by reason", "A"): _rate(waste, WASTE),
    ("Cost of input per hour by part", "A"): _an_hour(parts, PART, lambda _, rates: rates["input"]),
    ("Missed tokens per second by reason", "A"): _rate(cache, MISS, where=_is(STATE, "missed")),
    ("Cost of waste per hour by reason", "A"): _an_hour(
        waste, WASTE, lambda labels, rates: rates[labels[KIND]]
    ),
    ("Tools in the input by model, 15 min", "A"): _tools_share(*TRACED),
    ("Cost of missed tokens per hour by reason", "A"): _an_hour(
        cache,
        MISS,
        lambda _, rates: rates["input"] - rates.get("cache_read", rates["input"]),
        _is(STATE, "missed"),
    ),
    ("Input tokens per call by model", "A"): _per_call("input"),
    ("Output tokens per call by model", "A"): _per_call("output"),
    ("Reasoning by model", "A"): _detail("output", "reasoning"),
    ("Cost of a day against its budget", "A"): _spent(JOB),
    ("Cost of a day against its budget", "B"): lambda _: {Labels(): USD_BUDGET},
    ("Cost of a thousand calls by model", "A"): lambda w: times(
        divided(grouped(costs(w.job), *TRACED), grouped(calls(w.job), *TRACED)), 1000
    ),
    ("Calls per minute without a price", "A"): _unpriced,
    ("Requests to tools by tool", "A"): _per_minute(tool_requests, TOOL, *TRACED),
    ("Tokens of generated images", "A"): _rate(tool_tokens, TOOL, KIND, *TRACED),
    ("Tokens of transcription", "A"): _rate(transcribed, KIND, *TRACED),
    ("Transcribed sound per minute", "A"): _per_minute(transcribed_time, *TRACED),
    ("Retries per minute by cause", "A"): _per_minute(retries, ERROR, *TRACED),
    ("Requests left by model", "A"): _left("requests"),
    ("Tokens left by model", "A"): _left("tokens"),
    ("Answers per minute by finish reason", "A"): _per_minute(
        answers, REASON, where=lambda labels: labels[REASON] != ""
    ),
    ("Calls per minute by answering model", "A"): _per_minute(answers, ANSWERED, MODEL),
    ("Counted over reported tokens", "A"): lambda w: _ratio(w, *TRACED, KIND),
    ("Waiting work", "A"): lambda w: {Labels({(JOB, w.job)}): 0.0},
    ("Internal errors", "A"): _own("tokentrail_internal_errors_total", 0),
    ("Counts queued, estimated and corrected", "A"): _own(
        "tokentrail_internal_counts_queued_total"
    ),
    ("Counts queued, estimated and corrected", "B"): _own(
        "tokentrail_internal_counts_estimated_total", 0
    ),
    ("Counts queued, estimated and corrected", "C"): _own(
        "tokentrail_internal_counts_corrected_total", 0
    ),
}
BY_TENANT: dict[tuple[str, str], Callable[[World], Values]] = {
    ("Cost per hour by tenant", "A"): lambda w: times(
        grouped(costs(w.job), TENANT), w.pace(WINDOW) * 3600
    ),
    (TENANTS, "A"): _rounded(_increase(calls, TENANT, JOB)),
    (TENANTS, "B"): _spent(TENANT, JOB),
    (TENANTS, "C"): _rounded(_increase(tokens, TENANT, JOB, where=_is(KIND, "input"))),
    (TENANTS, "D"): _rounded(_increase(tokens, TENANT, JOB, where=_is(KIND, "output"))),
    ("Tokens per second by tenant", "A"): _rate(tokens, TENANT),
}
"""What the dashboard of --by tenant has beside all that."""


def _failed(w: World, *by: str) -> Values:
    none = times(grouped(calls(w.job), *by), 0.0)
    return {**none, **grouped(calls(w.job), *by, where=_is(OUTCOME, "failed"))}


BY_MODEL = (JOB, PROVIDER, MODEL)
QUARTER = 900.0
"""Seconds that alerts look back over."""


def _in_quarter(points, *by, where=lambda _: True):
    return lambda w: times(grouped(points(w.job), *by, where=where), w.pace(QUARTER) * QUARTER)


def _counted_in_quarter(names: Sequence[str], *by: str):
    def expected(w: World) -> Values:
        sums = grouped(_part(w, names, "count"), *by)
        return times(sums, w.pace(QUARTER) * QUARTER / (w.pace(WINDOW) * WINDOW))

    return expected


RECORDINGS: dict[str, Callable[[World], Values]] = {
    "job_model:tokentrail_operations:increase15m": _in_quarter(calls, *TRACED),
    "job_model:tokentrail_failed_operations:increase15m": _in_quarter(
        calls, *TRACED, where=_is(OUTCOME, "failed")
    ),
    "job_model:tokentrail_retries:increase15m": _in_quarter(retries, *TRACED),
    "job_model:tokentrail_rate_limit_remaining:ratio": lambda w: {
        labels | {(LIMIT_TYPE, kind)}: share
        for kind in ("requests", "tokens")
        for labels, share in _left(kind)(w).items()
    },
    "tokentrail:duration_threshold_seconds": lambda _: {Labels(): 0.0},  # each has its own
    "job_operation_model:tokentrail_duration_seconds:p95_rate15m": _quantile(
        0.95, DURATION, JOB, OPERATION, MODEL
    ),
    "job_operation_model:tokentrail_duration:increase15m": _counted_in_quarter(
        DURATION, JOB, OPERATION, MODEL
    ),
    "job_model:tokentrail_first_content_seconds:p95_rate15m": _quantile(
        0.95, FIRST_CONTENT, *TRACED
    ),
    "job_model:tokentrail_first_content:increase15m": _counted_in_quarter(FIRST_CONTENT, *TRACED),
    "job:tokentrail_tokens:rate15m": lambda w: times(grouped(tokens(w.job), JOB), w.pace(QUARTER)),
    "job:tokentrail_tokens:rate1h": lambda w: times(grouped(tokens(w.job), JOB), w.pace(3600)),
    "job:tokentrail_tokens:increase24h": lambda w: times(
        grouped(tokens(w.job), JOB), w.pace(86400) * 86400
    ),
    "job_type_source:tokentrail_tokens:ratio_rate1h": lambda w: _by_source(w, JOB, KIND, SOURCE),
    "job_model:tokentrail_cached_input:ratio_rate15m": _detail("input", "cached"),
    "job_model:tokentrail_cache_read:ratio_rate15m": _of_cacheable,
    "job_model:tokentrail_tools_input:ratio_rate15m": _tools_share(*TRACED),
    "job_model_type:tokentrail_compared_tokens:ratio_rate1h": lambda w: _ratio(w, JOB, MODEL, KIND),
    "job_model_type:tokentrail_compared_tokens:increase1h": lambda w: times(
        _compared(w, JOB, MODEL, KIND), w.pace(3600) * 3600
    ),
    "tokentrail:token_budget:per_day": lambda _: {Labels(): float(DAY_BUDGET)},
}
CONSTANT = "tokentrail:duration_threshold_seconds"
"""Recorded several times, each with labels of its own."""

# What an alert compares, each side of it, and which of it is over the threshold.
ALERTS: dict[str, Callable[[World], Values]] = {
    "TokentrailCallsFail": lambda _: {},  # most of some models' fail, but too few are made
    "TokentrailCallsStopped": lambda _: {},
    "TokentrailCallsAreSlow": lambda _: {},
    "TokentrailFirstContentIsSlow": lambda _: {},
    "TokentrailClientRetries": lambda _: {},
    "TokentrailRateLimitIsNear": lambda _: {},
    "TokentrailCacheBroke": lambda _: {},
    "TokentrailCacheIsMissed": lambda _: {},
    "TokentrailToolsFillTheInput": lambda _: {},
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
