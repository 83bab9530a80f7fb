"""What a call costs, in USD: the user's own prices first, then those of genai-prices.

Nothing here asks a network, and a price that is not known is absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokentrail.cost.prices import Prices
    from tokentrail.cost.rates import Rate, Rates, cost_of
    from tokentrail.cost.user_prices import PricesError, UserPrices, read_prices
else:
    from tokentrail.support.lazy import lazy_names

    __getattr__ = lazy_names(
        __name__,
        {
            "cost.prices": "Prices",
            "cost.rates": "Rate Rates cost_of",
            "cost.user_prices": "PricesError UserPrices read_prices",
        },
    )

__all__ = ["Prices", "PricesError", "Rate", "Rates", "UserPrices", "cost_of", "read_prices"]
