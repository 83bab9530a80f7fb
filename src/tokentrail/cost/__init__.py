"""What a call costs, in USD: the user's own prices first, then those of genai-prices.

Nothing here asks a network, and a price that is not known is absent.
"""

from __future__ import annotations

from tokentrail.cost.prices import Prices
from tokentrail.cost.rates import Rate, Rates, cost_of
from tokentrail.cost.user_prices import PricesError, UserPrices

__all__ = ["Prices", "PricesError", "Rate", "Rates", "UserPrices", "cost_of"]
