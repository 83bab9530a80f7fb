"""Prices as recording rules of Prometheus, over the tokens in metrics.

The first rules sum up tokens with the same price: by model (of the answer, else of the request),
service tier and part, from the metrics of either vocabulary. Then there is a rule for each model
and tier. A part with a price of its own is priced by the difference, since the total includes it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from tokentrail.cli import billed_apart
from tokentrail.cli.budget_rules import budget_rules, share_rules
from tokentrail.cli.priced import Priced
from tokentrail.cli.promql_rules import COST, PRICE, number, promql_name, summed
from tokentrail.cli.promql_rules import group as _group
from tokentrail.cli.promql_rules import rule as _rule
from tokentrail.cost import genai_prices
from tokentrail.cost.promql_patterns import escape_regex, model_matcher
from tokentrail.cost.user_prices import STANDARD_TIERS
from tokentrail.model.operations import CANCEL, EMBEDDINGS, FETCH
from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from decimal import Decimal

    from tokentrail.cost import Rate, Rates, UserPrices

TOKENS: Final = "tokentrail:priced_tokens:rate5m"

_TIER_LABEL: Final = "openai_response_service_tier"
_BY: Final = "job, gen_ai_request_model"
_GROUPING: Final = re.compile(r"(\b(?:by|on) \(job, )(gen_ai)")
"""The grouping of tokens and costs; further labels are inserted between the two."""
_ORDINARY: Final = f'{_TIER_LABEL}=~"{"|".join(("", *STANDARD_TIERS))}"'

_RELEASED: Final = "gen_ai_client_token_usage_sum"
_LATEST: Final = {
    kind: f"{promql_name(name)}_total" for kind, name in semconv.USAGE_COUNTERS.items()
}
_DETAILS: Final = {
    field.removesuffix("_tokens"): f"{promql_name(name)}_total"
    for _, field, name in semconv.DETAIL_COUNTERS
}
_OWN: Final = f"{promql_name(semconv.USAGE_TOKENS)}_total"
_CACHED_MODALITIES: Final = ("audio_cache_read", "image_cache_read")
_PARTS: Final = {
    "input": (
        "cache_read",
        "cache_write",
        "audio_input",
        "image_input",
        *_CACHED_MODALITIES,
    ),
    "output": ("reasoning", "audio_output"),
}
_KNOWN: Final = '"reported|counted|calibrated"'
_AS_FETCHED: Final = {"gen_ai_operation_name": FETCH.name}
"""A label that keeps these apart from tokens of calls that were answered at once."""
_FETCHED_PARTS: Final = {
    "input": 'gen_ai_token_type="input"',
    "cache_read": 'gen_ai_token_type="input", tokentrail_cache_state="read"',
    "cache_write": 'gen_ai_token_type="input", tokentrail_cache_state="written"',
    "output": 'gen_ai_token_type="output"',
}
_BY_MODALITY: Final = ("audio_input", "image_input", "audio_output")


def own_prices(own: UserPrices) -> Iterator[Priced]:
    """Yield the user's own prices, by the model of the answer or else of the request."""
    priced = _alternatives(own.models)
    for (model, tier), rates in own.table.items():
        if not _is_in_metrics(rates):
            continue
        name, tiers = _quoted(model), _tier(tier)
        yield Priced(
            model,
            tier,
            (
                f"tokentrail_model={name}, {tiers}",
                f"gen_ai_request_model={name}, tokentrail_model!~{priced}, {tiers}",
            ),
            rates,
            wanted=frozenset({model}),
            billed_apart=f"tokentrail_model={name}",
        )


def _is_in_metrics(rates: Rates) -> bool:
    """Whether anything is in a metric that has a price: characters that are spoken are not."""
    return rates.input is not None or rates.audio_hour is not None


def published_prices(
    providers: tuple[str, ...], at: datetime, own: UserPrices, wanted: frozenset[str] | None
) -> Iterator[Priced]:
    """Yield the published prices of text models; ``wanted``: only those with these names."""
    mine, apart = "", ""
    if own:
        without = _alternatives(own.models)
        apart = f", tokentrail_model!~{without}"
        mine = f"{apart}, gen_ai_request_model!~{without}"
    for provider in providers:
        before: list[Any] = []
        for owner, model in genai_prices.models_of(provider):
            names = _held(model, before, wanted)
            patterns = model_matcher(model, before) if wanted is None or names else None
            before.append(model)
            if patterns is None:
                continue
            where = f'gen_ai_provider_name="{provider}", {_matching(*patterns)}'
            is_own = owner == genai_prices.PROVIDERS[provider]
            name = model.id if is_own else f"{owner}/{model.id}"
            for tier in (None, *(_tiers(model) if is_own else ())):
                rates = genai_prices.rates_of(model, tier, at)
                if rates is not None and _is_in_metrics(rates):
                    selectors = (f"{where}{mine}, {_tier(tier)}",)
                    yield Priced(name, tier, selectors, rates, provider, names, where + apart)


def text(
    priced: list[Priced],
    budget: float | None,
    head: str,
    by: tuple[str, ...] = (),
    shares: Mapping[str | None, float] | None = None,
) -> str:
    """Return the file: a comment, the rules and, with a budget, its alerts.

    ``by``: the application's own labels that costs keep. ``shares``: the daily budget in USD of
    each value of the first one; ``None`` is the key for all other values.
    """
    lines = [*(f"# {line}".rstrip() for line in head.splitlines()), "", "groups:"]
    rules = [*_token_rules(), *map(_cost_rule, priced), *map(_price_rule, priced)]
    lines += _group("tokentrail-prices", [[_kept(line, by) for line in rule] for rule in rules])
    if budget is not None:
        lines += _group("tokentrail-cost-budget", budget_rules(budget))
    if shares:
        lines += _group("tokentrail-cost-budgets", [*share_rules(by[0], shares)])
    return "\n".join(lines) + "\n"


def _kept(line: str, by: tuple[str, ...]) -> str:
    """Return a line of PromQL that groups by these labels too."""
    return _GROUPING.sub(rf"\1{', '.join((*by, ''))}\2", line) if by else line


def _token_rules() -> Iterator[list[str]]:
    for kind, parts in _PARTS.items():
        released = summed(f'{_RELEASED}{{gen_ai_token_type="{kind}"}}')
        to_come = summed(_LATEST[kind])
        expr = f"{released}\n  or\n{to_come}"
        if kind == "input":
            expr += f"\n  or\n{_embeddings()}"
        yield _rule(TOKENS, expr, tokentrail_part=kind)
        for part in parts:
            yield _rule(TOKENS, summed(_part(kind, part)), tokentrail_part=part)
    for part, labels in _FETCHED_PARTS.items():
        yield _rule(TOKENS, summed(_fetched(labels)), tokentrail_part=part, **_AS_FETCHED)
    yield from billed_apart.sums()


def _part(kind: str, part: str) -> str:
    if part in _BY_MODALITY:
        modality = part.removesuffix(f"_{kind}")
        return f'{_LATEST[kind]}{{gen_ai_token_modality="{modality}"}}'
    if part in _CACHED_MODALITIES:
        modality = part.removesuffix("_cache_read")
        return f'{_DETAILS["cache_read"]}{{gen_ai_token_modality="{modality}"}}'
    return _DETAILS[part]


def _embeddings() -> str:
    """Return embeddings if only the latest names are recorded: those have no tokens of them."""
    embeddings = f'gen_ai_operation_name="{EMBEDDINGS.name}"'
    released = f"sum by ({_BY}) ({_RELEASED}{{{embeddings}}})"
    own = f"{_OWN}{{{embeddings}, tokentrail_usage_source=~{_KNOWN}}}"
    return f"({summed(own)} unless on ({_BY}) {released})"


def _fetched(labels: str) -> str:
    """Return tokens of responses made in the background, which only our own counter has."""
    names = f"{FETCH.name}|{CANCEL.name}"
    return (
        f'{_OWN}{{gen_ai_operation_name=~"{names}", {labels}, tokentrail_usage_source=~{_KNOWN}}}'
    )


def _cost_rule(priced: Priced) -> list[str]:
    terms = [
        f'{TOKENS}{{tokentrail_part="{part}", {selector}}} * {number(price)}'
        for part, price in _prices(priced.rates)
        for selector in priced.selectors
    ]
    body = "\n  or ".join(terms)
    if terms and any(getattr(priced.rates, part) for part in _BY_MODALITY):
        # the released names do not separate audio from text, so its cost is not known
        body = f"({body})\n  and on (job)\n  count by (job) ({_LATEST['input']})"
    body = "\n  or ".join((*([body] if body else []), *billed_apart.terms(priced)))
    expr = f"sum by ({_by(priced)}) (\n  {body}\n)"
    return [*_note(priced.rates), *_rule(COST, expr, **_labels(priced))]


def _price_rule(priced: Priced) -> list[str]:
    """Return the rule of what a token costs where some were used: wasted ones are worth that."""
    terms = [
        _as_part(part, f'{TOKENS}{{tokentrail_part="{kind}", {selector}}} * 0 + {number(price)}')
        for part, kind in (("input", "input"), ("cache_read", "input"), ("output", "output"))
        if (price := _price(priced.rates, part, kind)) is not None
        for selector in priced.selectors
    ]
    body = "\n  or ".join(terms)
    expr = f"max by ({_by(priced)}, tokentrail_part) (\n  {body}\n)"
    return _rule(PRICE, expr, **_labels(priced)) if terms else []


def _price(rates: Rates, part: str, kind: str) -> Decimal | None:
    """Return USD per million tokens; what has no price of its own costs as the rest."""
    rate = getattr(rates, part) or getattr(rates, kind)
    return None if rate is None else rate.base


def _as_part(part: str, expr: str) -> str:
    if part in _PARTS:
        return expr
    return f'label_replace({expr}, "tokentrail_part", "{part}", "", "")'


def _by(priced: Priced) -> str:
    return _BY if priced.provider else f"{_BY}, gen_ai_provider_name"


def _labels(priced: Priced) -> dict[str, str]:
    labels = {"tokentrail_price": priced.name}
    if priced.tier:
        labels["tokentrail_tier"] = priced.tier
    if priced.provider:
        labels["gen_ai_provider_name"] = priced.provider
    return labels


def _note(rates: Rates) -> list[str]:
    starts = {start for kind in _PARTS for start in _steps(rates, kind)}
    if not starts:
        return []
    first = f"{min(starts):,}"
    return [f"# the lowest price: a call of more than {first} input tokens costs another"]


def _steps(rates: Rates, kind: str) -> list[int]:
    rate = getattr(rates, kind)
    return [] if rate is None else [start for start, _ in rate.steps]


def _prices(rates: Rates) -> Iterator[tuple[str, Decimal]]:
    """Yield USD per million tokens by part; of a part, the difference to what it has already."""
    for kind, parts in _PARTS.items():
        whole = getattr(rates, kind)
        if whole is None:
            continue
        yield kind, whole.base
        for part in parts:
            rate = getattr(rates, part)
            added = None if rate is None else rate.base - _priced_already(rates, part, whole)
            if added:
                yield part, added


def _priced_already(rates: Rates, part: str, whole: Rate) -> Decimal:
    """Return the price of a part by the terms before its own.

    Cached audio is priced as audio and as what is cached, and so has both differences.
    """
    both = (rates.cache_read, getattr(rates, part.replace("cache_read", "input")))
    differences = (rate.base - whole.base for rate in both if rate is not None)
    return whole.base + (sum(differences) if part in _CACHED_MODALITIES else 0)


def _tiers(model: Any) -> list[str]:
    named = (v.when.get("service_tier") for v in model.price_variants or () if len(v.when) == 1)
    return sorted({tier for tier in named if genai_prices.is_standard_tier(tier) is not None})


def _tier(tier: str | None) -> str:
    return _ORDINARY if tier is None else f"{_TIER_LABEL}={_quoted(tier)}"


def _matching(mine: str, others: str | None) -> str:
    condition = f"tokentrail_model=~{_quoted(mine)}"
    return condition if others is None else f"{condition}, tokentrail_model!~{_quoted(others)}"


def _held(model: Any, before: list[Any], wanted: frozenset[str] | None) -> frozenset[str]:
    return frozenset(
        name
        for name in wanted or ()
        if model.is_match(name) and not any(one.is_match(name) for one in before)
    )


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _alternatives(models: tuple[str, ...]) -> str:
    return _quoted("|".join(map(escape_regex, models)))
