"""The cost of an ended call: which price applies, and whether it is known without a lookup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.cost.prices import BilledApart
from tokentrail.cost.rates import BATCH
from tokentrail.model.operations import BILLED_AS, FETCH_BATCH
from tokentrail.model.records import Outcome

if TYPE_CHECKING:
    from tokentrail.cost import Prices
    from tokentrail.model.records import CallCost, Operation
    from tokentrail.runtime.runtime import Runtime


class PriceLookup:
    """Looks up the cost of an ended call from the usage known at that time."""

    __slots__ = ("_names", "_operation", "_prices", "_tier")

    def __init__(self, prices: Prices, operation: Operation, model: str) -> None:
        """``model``: the name the call is counted by; it is looked up first."""
        self._prices = prices
        self._operation = operation
        request, response = operation.request, operation.response
        named = response.model if response is not None else None
        tier = response.service_tier if response is not None else None
        self._names = tuple(dict.fromkeys(n for n in (model, named, request.model) if n))
        self._tier = tier or request.service_tier
        if request.operation == FETCH_BATCH.name:
            self._tier = BATCH

    @property
    def _is_answered(self) -> bool:
        """Whether a whole answer is to be paid."""
        operation = self._operation
        return operation.answered and operation.outcome is Outcome.COMPLETED

    def is_cheap(self) -> bool:
        """Whether no slow lookup is needed: the price is known, or there is none."""
        operation = self._operation
        request = operation.request
        usage = operation.usage
        if request.fetches and usage.input is None:
            return True
        if operation.tools or operation.transcriptions:  # these have prices of their own models
            return False
        if request.operation in BILLED_AS and usage.reported is None and not self._is_answered:
            return True
        return self._prices.is_cheap(request, self._names, self._tier, operation.end_time)

    def cost(self) -> CallCost | None:
        """Return the cost of the call, if it is known."""
        operation = self._operation
        return self._prices.cost(
            operation.request,
            self._names,
            self._tier,
            operation.end_time,
            operation.usage,
            BilledApart(operation.tools, operation.transcriptions, self._is_answered),
        )


def price_of(prices: Prices, runtime: Runtime, operation: Operation) -> PriceLookup:
    """Return the price lookup of a call; ``None`` if costs are not enabled."""
    model = runtime.identify(operation.request, operation.response)
    return PriceLookup(prices, operation, model.name)
