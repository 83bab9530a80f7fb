"""Hours of metrics of an invented fleet, as Prometheus would have scraped them from tokentrail.

Services, models and tenants are invented; names and labels of series are those that tokentrail
records. A random generator with a fixed seed draws every call, so a picture can be made again.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = 15
"""Seconds between two scrapes."""
HOURS = 3.0
REFUSED, CUT, TOOLS, COMPARED = 0.8, 0.03, 0.2, 0.05
"""Shares: of failures without tokens, of answers by how they end, of reports that are checked."""
PARTS = {"instructions": 12, "tools": 18, "tool_results": 34, "history": 24, "user": 9, "other": 3}
REWRITTEN, EXPIRED, SEARCHES = 0.03, 0.04, 0.02
"""Shares: of turns whose history was compacted, or whose prefix expired; of calls that search."""
BEGUN = 0.62
"""The share of the history after which an incident begins."""
_WATERMARK = (120_000, 2_000_000)
"""Requests and tokens that a provider allows in a minute."""

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Model:
    """What calls of one model are like."""

    name: str
    per_minute: float
    read: int
    """Input tokens of a call."""
    written: int
    first: float
    """Seconds to the first content, as a median."""
    speed: float = 60.0
    """Output tokens per second."""
    streamed: float = 0.8
    cached: float = 0.55
    """The share of the input that is read from the cache."""
    failed: float = 0.004
    closed: float = 0.03
    cancelled: float = 0.005
    truncated: float = 0.002
    retried: float = 0.01
    reports: float = 0.75
    """The share of streams whose usage the server reports."""
    operation: str = "chat"
    provider: str = "openai"
    answers: str | None = None
    error: str = "openai.RateLimitError"
    parts: dict[str, float] = field(default_factory=lambda: PARTS)
    """What the input is made of."""
    changed: float = 0.02
    """The share of turns that came with other tools than the turn before."""


@dataclass(frozen=True)
class Service:
    """A service: its models, and the tenants that it works for."""

    name: str
    models: tuple[Model, ...]
    tenants: dict[str, float] = field(
        default_factory=lambda: {"acme": 5, "globex": 3, "initech": 2}
    )
    """How much of its calls are whose."""


ONE = (
    Service(
        "shop",
        (
            Model("gpt-4o-mini", 26, 1800, 260, 0.45, answers="gpt-4o-mini-2024-07-18"),
            Model("gpt-4.1", 9, 4200, 520, 0.7, cached=0.7, answers="gpt-4.1-2025-04-14"),
            Model("o4-mini", 3, 2600, 1400, 1.6, 90, reports=0.6, answers="o4-mini-2025-04-16"),
            Model("text-embedding-3-small", 40, 320, 0, 0.0, 0.1, 0, 0, operation="embeddings"),
        ),
    ),
)
FOUR = (
    *ONE,
    Service(
        "support",
        (
            Model("gpt-4o", 12, 3000, 380, 0.6, answers="gpt-4o-2024-08-06"),
            Model("gpt-4o-mini", 8, 900, 160, 0.4, answers="gpt-4o-mini-2024-07-18"),
        ),
        {"acme": 2, "umbrella": 3},
    ),
    Service(
        "search",
        (
            Model("gpt-4.1-nano", 55, 600, 40, 0.25, 120, answers="gpt-4.1-nano-2025-04-14"),
            Model("text-embedding-3-small", 120, 90, 0, 0.0, 0.1, 0, 0, operation="embeddings"),
        ),
    ),
    Service(
        "reports",
        (
            Model(
                "help-desk", 2, 9000, 1800, 1.1, 45, 0.2, provider="azure.ai.openai",
                answers="gpt-4o-2024-08-06",
            ),
            Model("o3", 1, 7000, 3200, 2.0, 50, 0.3, answers="o3-2025-04-16"),
        ),
        {"globex": 1},
    ),
)  # fmt: skip
FLEETS = {"one": ONE, "four": FOUR}
INCIDENTS = ("none", "failing", "cache", "tenant")


def _altered(service: Service, incident: str) -> Service:
    """Return the service as it is while an incident lasts."""
    first, *others = service.models
    if incident == "failing" and service.name == "shop":
        model = replace(others[0], failed=0.42, retried=0.9, error="openai.InternalServerError")
        return replace(service, models=(first, model, *others[1:]))
    if incident == "cache" and service.name == "shop":
        cold = tuple(
            replace(model, cached=0.02, first=model.first * 1.7, changed=0.95)
            for model in service.models
        )
        return replace(service, models=cold)
    if incident == "tenant" and service.name == "shop":
        most = {**service.tenants, "initech": 60}
        busy = tuple(
            replace(m, per_minute=m.per_minute * 7, read=m.read * 3) if m.name == "gpt-4.1" else m
            for m in service.models
        )
        return replace(service, models=busy, tenants=most)
    return service


class History:
    """Counters and histograms that grow, and their samples."""

    def __init__(self, vocabulary: str, seed: int = 7) -> None:
        self.chance = random.Random(seed)
        self.released = vocabulary == "released"
        self.sums: dict[str, dict[Labels, float]] = defaultdict(lambda: defaultdict(float))
        self.gauges: dict[str, dict[Labels, float]] = defaultdict(dict)
        self.samples: dict[str, list[str]] = defaultdict(list)

    def add(self, name: str, number: float, **labels: str) -> None:
        """Add to a counter."""
        self.sums[_series(name)][_sorted(labels)] += number

    def observe(
        self, name: str, value: float, bounds: tuple[float, ...], unit: str = "", **labels: str
    ) -> None:
        """Add an observation to a histogram."""
        series = _series(name) + unit
        for bound in (*bounds, math.inf):
            le = "+Inf" if bound == math.inf else repr(float(bound))
            self.sums[f"{series}_bucket"][_sorted({**labels, "le": le})] += value <= bound
        self.sums[f"{series}_sum"][_sorted(labels)] += value
        self.sums[f"{series}_count"][_sorted(labels)] += 1

    def scrape(self, at: float) -> None:
        """Keep all values as they are at a time."""
        for name, series in (*self.sums.items(), *self.gauges.items()):
            for labels, value in series.items():
                shown = ",".join(f'{key}="{text}"' for key, text in labels)
                self.samples[name].append(f"{name}{{{shown}}} {value:g} {at:.0f}")

    def text(self) -> Iterator[str]:
        """Yield OpenMetrics, line by line, as promtool reads it."""
        for name, lines in self.samples.items():
            yield f"# TYPE {name} unknown"
            yield from lines
        yield "# EOF"


def fill(history: History, fleet: tuple[Service, ...], end: float, incident: str) -> None:
    """Let the fleet make calls for hours until ``end``; an incident begins before it."""
    steps = int(HOURS * 3600 / STEP)
    for number in range(steps):
        at, wave = end - (steps - number) * STEP, 1 + 0.25 * math.sin(number / 60)
        for service in fleet:
            now = _altered(service, incident) if number > steps * BEGUN else service
            for model in now.models:
                _minute(history, now, model, wave * STEP / 60)
            _itself(history, service)
        history.scrape(at)


def _minute(history: History, service: Service, model: Model, share: float) -> None:
    for _ in range(_poisson(history.chance, model.per_minute * share)):
        _call(history, service, model)


def _poisson(chance: random.Random, mean: float) -> int:
    product, number = chance.random(), 0
    while product > math.exp(-mean):
        product *= chance.random()
        number += 1
    return number


def _call(history: History, service: Service, model: Model) -> None:
    chance = history.chance
    own = {
        "job": service.name,
        "deployment_environment_name": "production",
        "tenant": chance.choices([*service.tenants], [*service.tenants.values()])[0],
        "gen_ai_operation_name": model.operation,
        "gen_ai_provider_name": model.provider,
        "gen_ai_request_model": model.name,
    }
    outcome = chance.choices(
        ("failed", "closed_early", "cancelled", "truncated", "completed"),
        (model.failed, model.closed, model.cancelled, model.truncated, 1.0),
    )[0]
    if model.streamed == 0 and outcome != "failed":
        outcome = "completed"
    for _ in range(_poisson(chance, model.retried)):
        history.add(f"{semconv.RETRIES}_total", 1, **own, error_type="429")
    history.add(f"{semconv.OPERATIONS}_total", 1, **own, tokentrail_outcome=outcome)
    streamed = chance.random() < model.streamed
    read = max(20, int(chance.lognormvariate(math.log(model.read), 0.4)))
    written = int(chance.lognormvariate(math.log(model.written), 0.5)) if model.written else 0
    if outcome in ("closed_early", "cancelled", "truncated"):
        written = int(written * chance.random())
    first = chance.lognormvariate(math.log(model.first), 0.45) if model.first else 0.0
    refused = outcome == "failed" and chance.random() < REFUSED
    took = first + written / model.speed + chance.random() * 0.2
    _times(history, model, own, took=0.3 if refused else took, outcome=outcome,
           first=first if streamed and not refused else None)  # fmt: skip
    if refused:
        return
    known = not streamed or (outcome == "completed" and chance.random() < model.reports)
    source = "reported" if known else "counted"
    _tokens(history, model, {**own, "tokentrail_outcome": outcome}, source, (read, written))
    reason = (
        "length" if chance.random() < CUT else "tool_calls" if chance.random() < TOOLS else "stop"
    )
    if outcome == "completed" and model.written:
        history.add(f"{semconv.FINISHED_CHOICES}_total", 1, **own, tokentrail_finish_reason=reason)
    wasted = outcome if outcome != "completed" else reason if reason == "length" else None
    if wasted and model.written:
        for kind, number in (("input", read), ("output", written)):
            mine = {"gen_ai_token_type": kind, "tokentrail_usage_source": source}
            mine |= {"tokentrail_waste_reason": wasted}
            history.add(f"{semconv.WASTE_TOKENS}_total", number, **own, **mine)
    if model.written:
        _explained(history, model, own, read, source)


def _explained(history: History, model: Model, own: dict[str, str], read: int, source: str) -> None:
    """Add the parts of the input, what the cache could have served of it, and a search."""
    chance, named = history.chance, {"tokentrail_usage_source": source}
    weights = {part: share * chance.uniform(0.6, 1.4) for part, share in model.parts.items()}
    for part, share in weights.items():
        tokens = int(read * share / sum(weights.values()))
        mine = {**named, "tokentrail_input_part": part}
        history.add(f"{semconv.INPUT_PART_TOKENS}_total", tokens, **own, **mine)
    if chance.random() < SEARCHES:
        mine = {**named, "tokentrail_tool_name": "web_search"}
        history.add(f"{semconv.TOOL_REQUESTS}_total", 1, **own, **mine)
    if source != "reported":
        return
    cacheable = int(read * 0.8) // 128 * 128
    reason = chance.choices(
        ("tools_changed", "history_rewritten", "not_served", None),
        (model.changed, REWRITTEN, EXPIRED, max(0.0, 1 - model.changed - REWRITTEN - EXPIRED)),
    )[0]
    served = cacheable if reason is None else 0
    name = f"{semconv.CACHE_TOKENS}_total"
    history.add(name, cacheable, **own, tokentrail_cache_state="cacheable")
    history.add(name, served, **own, tokentrail_cache_state="read")
    if reason is not None:
        mine = {"tokentrail_cache_state": "missed", "tokentrail_cache_miss_reason": reason}
        history.add(name, cacheable, **own, **mine)


def _times(
    history: History,
    model: Model,
    own: dict[str, str],
    *,
    took: float,
    first: float | None,
    outcome: str,
) -> None:
    failed = {"error_type": model.error} if outcome == "failed" else {}
    inference = model.operation == "chat" and not history.released
    name = semconv.INFERENCE_DURATION if inference else semconv.DURATION
    answered = {"gen_ai_response_model": model.answers or model.name} if not failed else {}
    buckets = semconv.SECONDS_BUCKETS
    history.observe(name, took, buckets, "_seconds", **own, **answered, **failed)
    if first is None:
        return
    name = semconv.INFERENCE_FIRST_CHUNK if inference else semconv.FIRST_CHUNK
    history.observe(name, first * 0.9, buckets, "_seconds", **own, **answered)
    history.observe(semconv.FIRST_CONTENT, first, buckets, "_seconds", **own, **answered)


def _tokens(
    history: History, model: Model, own: dict[str, str], source: str, both: tuple[int, int]
) -> None:
    base = {key: value for key, value in own.items() if key != "tokentrail_outcome"}
    base |= {"gen_ai_response_model": model.answers or model.name}
    for kind, number in zip(("input", "output"), both, strict=True):
        visible = kind == "output" and source == "counted" and model.name.startswith("o")
        mine = {
            "gen_ai_token_type": kind,
            "tokentrail_usage_source": "visible" if visible else source,
        }
        history.add(f"{semconv.USAGE_TOKENS}_total", number, **own, **mine)
        if visible or not (number or model.written):
            continue
        if history.released:
            buckets = semconv.TOKEN_BUCKETS
            history.observe(semconv.TOKEN_USAGE, number, buckets, **base, **mine)
            continue
        del mine["gen_ai_token_type"]
        counter = semconv.USAGE_COUNTERS[kind]
        history.add(f"{counter}_total", number, **base, **mine, gen_ai_token_modality="text")
        name = semconv.OPERATION_TOKENS[kind]
        history.observe(name, number, semconv.TOKEN_BUCKETS, **base, **mine)
    if source == "reported" and model.written:
        cached, *_, thought = (f"{name}_total" for _, _, name in semconv.DETAIL_COUNTERS)
        share = min(1.0, model.cached * history.chance.uniform(0.7, 1.3))
        history.add(cached, int(both[0] * share), **base, gen_ai_token_modality="text")
        if model.name.startswith("o"):
            history.add(thought, int(both[1] * 0.7), **base, gen_ai_token_modality="text")
        if history.chance.random() < COMPARED:
            compared = {**base, "gen_ai_token_type": "output"}
            for each, number in (("reported", both[1]), ("counted", both[1])):
                name = f"{semconv.COMPARED_TOKENS}_total"
                history.add(name, number, **compared, tokentrail_usage_source=each)


def _itself(history: History, service: Service) -> None:
    job = {"job": service.name, "deployment_environment_name": "production"}
    for name in (semconv.INTERNAL_ERRORS, semconv.COUNTS_QUEUED, semconv.COUNTS_ESTIMATED):
        history.add(f"{name}_total", name == semconv.COUNTS_QUEUED, **job)
    queue = history.gauges[_series(semconv.QUEUE_SIZE)]
    queue[_sorted(job)] = _poisson(history.chance, 0.3)
    for provider in {model.provider for model in service.models}:
        for kind, most in zip(("requests", "tokens"), _WATERMARK, strict=True):
            limits = {**job, "gen_ai_provider_name": provider, "tokentrail_rate_limit_type": kind}
            for model in service.models:
                if model.provider == provider:
                    own = _sorted({**limits, "gen_ai_request_model": model.name})
                    left = most * (1 - min(0.85, 0.02 * model.per_minute**0.7))
                    history.gauges[_series(semconv.RATE_LIMIT_LIMIT)][own] = most
                    left *= history.chance.uniform(0.9, 1)
                    history.gauges[_series(semconv.RATE_LIMIT_REMAINING)][own] = int(left)


def _series(name: str) -> str:
    return name.replace(".", "_")


def _sorted(labels: dict[str, str]) -> Labels:
    return tuple(sorted(labels.items()))
