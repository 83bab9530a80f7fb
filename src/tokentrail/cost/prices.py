"""The cost of each call: which prices are used first, and a cache of looked-up prices."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from tokentrail.cost import genai_prices
from tokentrail.cost.parts import cost_of_parts, reported_parts, unreported_parts
from tokentrail.cost.rates import BATCH, KNOWN, REPORTED, cost_of, unpriced_parts
from tokentrail.cost.tools import tools_cost
from tokentrail.cost.transcription import transcription_cost
from tokentrail.cost.user_prices import OWN_BATCH, UserPrices
from tokentrail.model.operations import BILLED, BILLED_AS
from tokentrail.model.records import CallCost, CostSource, Source
from tokentrail.support import guard
from tokentrail.support.bounded import BoundedCache

if TYPE_CHECKING:
    from tokentrail.cost.rates import Rates
    from tokentrail.model.records import Request, ToolUse, Transcription, Usage

MAX_PRICES: Final = 512
"""Cached prices."""
_HALF_PRICE: Final = frozenset({"openai", "azure.ai.openai"})
"""Providers that bill batches at half price, also for models without a listed batch price."""
_QUARTER: Final = 900 * 10**9
"""Nanoseconds for which a cached price is valid: prices change at a date or by time of day."""

Key = tuple[str, "tuple[str, ...]", "str | None", int]
Sourced = tuple["Rates", CostSource]


class BilledApart(NamedTuple):
    """What an answer is billed for beside its usage."""

    tools: tuple[ToolUse, ...] = ()
    transcriptions: tuple[Transcription, ...] = ()
    is_answered: bool = False
    """Whether there is an answer to pay, also if it reports nothing."""


_NOTHING_APART: Final = BilledApart()


class Prices:
    """Prices calls. Without genai-prices only the user's own prices are used."""

    def __init__(
        self, own: UserPrices | None, *, counted: bool, attributes: tuple[str, ...] = ()
    ) -> None:
        """``counted``: calls without a report are priced by their exact counts.

        ``attributes``: further names for the amount.
        """
        self._own = UserPrices() if own is None else own
        self._attributes = attributes
        self._counted = counted
        self._known: BoundedCache[Key, Sourced | None] = BoundedCache(MAX_PRICES)
        self._published = genai_prices.is_installed()
        if not self._published:
            guard.warn_once(
                "genai-prices",
                "cost is on, but genai-prices is not installed: %s. Until then %s.",
                genai_prices.INSTALL_HINT,
                f"only the models of {own} have a cost" if own else "no call has one",
            )

    def is_cheap(self, request: Request, names: tuple[str, ...], tier: str | None, at: int) -> bool:
        """Whether the price is cached; to look it up may take milliseconds."""
        return request.operation not in BILLED or _key(request, names, tier, at) in self._known

    def cost(
        self,
        request: Request,
        names: tuple[str, ...],
        tier: str | None,
        at: int,
        usage: Usage,
        apart: BilledApart = _NOTHING_APART,
    ) -> CallCost | None:
        """Return the cost of a call, ``None`` if it is not known.

        The provider's own number goes first. If a billed part has no price, there is no amount, but
        the name of that part.

        ``names`` of the model, best first: from the answer, then from the request. ``apart``: what
        is billed beside the usage.
        ``at``: nanoseconds since the epoch.
        """
        own = provider_cost(usage)
        if own is not None:
            return CallCost(own, CostSource.PROVIDER, names=self._attributes)
        if request.operation in BILLED_AS:
            return self._of_parts(request, _key(request, names, tier, at), usage, apart)
        is_known = usage.input is not None or apart.tools or apart.transcriptions
        if request.operation not in BILLED or not is_known:
            return None
        return self._of_text(request, _key(request, names, tier, at), usage, apart)

    def _of_text(
        self, request: Request, key: Key, usage: Usage, apart: BilledApart
    ) -> CallCost | None:
        """Return the cost of what a model reads and writes, and of what is billed beside it."""
        found = self._rates(key)
        if found is None or found[0].input is None:
            fit = KNOWN if self._counted else REPORTED
            is_known = usage.input is not None and usage.input.source in fit
            return self._without(key) if is_known else None
        rates, source = found
        _, _, tier, _ = key
        added, unpriced = 0.0, _unpriced(usage, rates, tier)
        if apart.tools or apart.transcriptions:
            added, without = self._billed_apart(key, rates, apart)
            unpriced = (*unpriced, *without)
        if unpriced:
            return CallCost(None, None, unpriced=unpriced)
        generates = BILLED[request.operation]
        amount = cost_of(usage, rates, counted=self._counted, generates=generates)
        if amount is None:
            return self._without_output(usage, rates, generates=generates)
        return CallCost(amount + added, source, names=self._attributes)

    def _of_parts(
        self, request: Request, key: Key, usage: Usage, apart: BilledApart
    ) -> CallCost | None:
        """Return the cost of images or audio, of which each part has a price of its own."""
        billed_as, tools = BILLED_AS[request.operation], apart.tools
        parts = reported_parts(billed_as, usage)
        is_silent = usage.reported is None and apart.is_answered
        if not (parts or tools or is_silent):
            return None
        found = self._rates(key)
        if found is None:
            return self._without(key)
        rates, source = found
        if is_silent and not parts:
            parts = unreported_parts(billed_as, request.spoken_characters, rates)
        amount, unpriced = (0.0, parts) if isinstance(parts, tuple) else cost_of_parts(parts, rates)
        unpriced = (*unpriced, *tools_cost(tools, rates, partial(self._rates_of, key))[1])
        if unpriced:
            return CallCost(None, None, unpriced=unpriced)
        return CallCost(float(amount), source, names=self._attributes)

    def _without_output(self, usage: Usage, rates: Rates, *, generates: bool) -> CallCost | None:
        """Name the output if all that is missing is its price."""
        fit = KNOWN if self._counted else REPORTED
        given, made = usage.input, usage.output
        if rates.output is not None or not generates or given is None or made is None:
            return None
        if made.tokens and given.source in fit and made.source in fit:
            return CallCost(None, None, unpriced=("output",))
        return None

    def _billed_apart(
        self, key: Key, rates: Rates, apart: BilledApart
    ) -> tuple[float, tuple[str, ...]]:
        """Return USD of what is billed beside the usage, and the names of what has no price."""
        of_model = partial(self._rates_of, key)
        usd, unpriced = tools_cost(apart.tools, rates, of_model)
        transcribed, without = transcription_cost(apart.transcriptions, of_model)
        return usd + transcribed, (*unpriced, *without)

    def _without(self, key: Key) -> CallCost | None:
        """Name what has no price: the service tier, or the whole model."""
        provider, names, tier, quarter = key
        if not names:
            return None
        is_known = tier is not None and self._rates((provider, names, None, quarter)) is not None
        return CallCost(None, None, unpriced=("service_tier" if is_known else "model",))

    def _rates_of(self, key: Key, name: str) -> Rates | None:
        """Return the prices of another model of the same provider, at the same time."""
        provider, _, _, quarter = key
        found = self._rates((provider, (name,), None, quarter))
        return found and found[0]

    def _rates(self, key: Key) -> Sourced | None:
        if key not in self._known:
            return self._known.keep(key, self._looked_up(key))
        return self._known.get(key)

    def _looked_up(self, key: Key) -> Sourced | None:
        provider, names, tier, quarter = key
        for name in names:
            if self._own.knows(name):
                return _sourced(self._own_rates(name, tier), CostSource.OWN_PRICES)
        if not self._published or not names:
            return None
        at = genai_prices.to_datetime(quarter * _QUARTER)
        published = genai_prices.rates(provider, names[0], tier, at)
        if published is None and tier == BATCH and provider in _HALF_PRICE:
            standard = genai_prices.rates(provider, names[0], None, at)
            published = standard and standard.halved()
        return _sourced(published, CostSource.PUBLISHED_PRICES)

    def _own_rates(self, name: str, tier: str | None) -> Rates | None:
        if tier != BATCH:
            return self._own.rates(name, tier)
        standard = self._own.rates(name, None)
        return self._own.rates(name, OWN_BATCH) or (standard and standard.halved())


def provider_cost(usage: Usage) -> float | None:
    """Return the provider's own price, if its report covers the whole answer."""
    reported, written = usage.reported, usage.output
    if reported is None or reported.cost is None:
        return None
    return reported.cost if written is None or written.source is Source.REPORTED else None


def _unpriced(usage: Usage, rates: Rates, tier: str | None) -> tuple[str, ...]:
    """Return the names of parts without a price.

    How long each request of a batch was is not known, so a price that depends on it is none.
    """
    read = 0 if usage.input is None else usage.input.tokens
    if tier == BATCH and rates.depend_on_length(read):
        return ("input", "output")
    return unpriced_parts(usage, rates)


def _sourced(rates: Rates | None, source: CostSource) -> Sourced | None:
    return None if rates is None else (rates, source)


def _key(request: Request, names: tuple[str, ...], tier: str | None, at: int) -> Key:
    return request.endpoint.provider, names, genai_prices.is_standard_tier(tier), at // _QUARTER
