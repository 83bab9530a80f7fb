"""What an ended call costs: which price is its, and whether that can be said at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.cost.rates import BATCH
from tokentrail.model.operations import FETCH_BATCH

if TYPE_CHECKING:
    from tokentrail.cost import Prices
    from tokentrail.model.records import CallCost, Operation
    from tokentrail.runtime.runtime import Runtime


class PriceLookup:
    """Looks up what an ended call costs, by the usage that is known of it then."""

    __slots__ = ("_names", "_operation", "_prices", "_tier")

    def __init__(self, prices: Prices, operation: Operation, model: str) -> None:
        """``model``: the name that it is counted by, which is the surest."""
        self._prices = prices
        self._operation = operation
        request, response = operation.request, operation.response
        named = response.model if response is not None else None
        tier = response.service_tier if response is not None else None
        self._names = tuple(dict.fromkeys(n for n in (model, named, request.model) if n))
        self._tier = tier or request.service_tier
        if request.operation == FETCH_BATCH.name:
            self._tier = BATCH

    def is_cheap(self) -> bool:
        """Whether the price is known, or never will be, without looking it up."""
        operation = self._operation
        request = operation.request
        if request.fetches and operation.usage.input is None:
            return True
        if operation.tools or operation.transcriptions:  # other models have their prices
            return False
        return self._prices.is_cheap(request, self._names, self._tier, operation.end_time)

    def cost(self) -> CallCost | None:
        """Return what the call costs, if that is known."""
        operation = self._operation
        return self._prices.cost(
            operation.request,
            self._names,
            self._tier,
            operation.end_time,
            operation.usage,
            (*operation.tools, *operation.transcriptions),
        )


def price_of(runtime: Runtime, operation: Operation) -> PriceLookup | None:
    """Return what looks up the cost of a call; ``None`` where it is not asked for."""
    if runtime.prices is None:
        return None
    model = runtime.identify(operation.request, operation.response)
    return PriceLookup(runtime.prices, operation, model.name)
