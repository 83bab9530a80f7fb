"""What the server's own tools cost, and the names of those that have no price."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tokentrail.cost.parts import cost_of_parts, image_parts
from tokentrail.cost.rates import BY_REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokentrail.cost.rates import Rates
    from tokentrail.model.records import ToolUse

    RatesOf = Callable[[str], Rates | None]

_THOUSAND: Final = 1000
_UNPRICED: Final = frozenset({"code_interpreter", "shell", "svg"})
"""A container is billed once and may live on from an answer before: nobody can know here. The
tokens of drawing SVG are billed by a model of their own; they were only ever seen in types."""


def tools_cost(
    tools: Iterable[ToolUse], rates: Rates, rates_of: RatesOf
) -> tuple[float, tuple[str, ...]]:
    """Return USD, and the names of the tools that have no price.

    ``rates_of``: returns the prices of another model. What computer use and MCP take is in the
    tokens of the answer.
    """
    total, unpriced = Decimal(0), []
    for tool in tools:
        amount: Decimal | None = Decimal(0)
        if tool.name in BY_REQUEST:
            amount = _of_requests(tool, rates)
        elif tool.name == "image_generation":
            amount = _of_images(tool, rates_of)
        elif tool.name in _UNPRICED:
            amount = None
        if amount is None:
            unpriced.append(tool.name)
        else:
            total += amount
    return float(total), tuple(unpriced)


def _of_requests(tool: ToolUse, rates: Rates) -> Decimal | None:
    rate = rates.web_search if tool.name == "web_search" else rates.file_search
    return None if rate is None else (tool.requests or 0) * rate.base / _THOUSAND


def _of_images(tool: ToolUse, rates_of: RatesOf) -> Decimal | None:
    """Return what the tokens of generated images cost, by the prices of their own model."""
    rates = None if tool.model is None else rates_of(tool.model)
    parts = None if tool.tokens is None else image_parts(tool.tokens)
    if rates is None or parts is None:
        return None
    amount, unpriced = cost_of_parts(parts, rates)
    return None if unpriced else amount
