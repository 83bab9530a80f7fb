"""The prices of one model in one service tier, and the tokens in metrics that have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokentrail.cost import Rates


@dataclass(frozen=True)
class Priced:
    """The prices of the tokens that a selector picks."""

    name: str
    tier: str | None
    selectors: tuple[str, ...]
    """Conditions on labels; tokens match if one of them does."""
    rates: Rates
    provider: str | None = None
    """``None`` for prices of any provider."""
    wanted: frozenset[str] = frozenset()
    """Those of the requested names that it has."""
    billed_apart: str = ""
    """Conditions on labels of what is billed by this model whichever model was requested."""
