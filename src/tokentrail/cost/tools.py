"""What the server's own tools cost, and the names of those that have no price."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tokentrail.cost.rates import BY_REQUEST, PER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokentrail.cost.rates import Rate, Rates
    from tokentrail.model.records import Reported, ToolUse

    RatesOf = Callable[[str], Rates | None]

WHOLES: Final = {
    "cache_read": "input",
    "image_input": "input",
    "image_cache_read": "image_input",
    "image_output": "output",
}
"""The parts of the tokens of images, and the price of each that has none of its own."""
IMAGE_PARTS: Final = ("input", "output", *WHOLES)
_THOUSAND: Final = 1000
_BY_SESSION: Final = frozenset({"code_interpreter"})
"""A container is billed once and may live on from an answer before: nobody can know here."""


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
        elif tool.name in _BY_SESSION:
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
    total = Decimal(0)
    for name, number in parts.items():
        rate = rate_of(rates, name)
        if rate is None:
            return None
        total += number * rate.base
    return total / PER


def image_parts(tokens: Reported) -> dict[str, int] | None:
    """Return the tokens of generated images by the price that each has.

    ``None`` if nobody says how much of the images was cached, or parts exceed their whole.
    """
    images, cached = tokens.image_input_tokens or 0, tokens.cache_read_tokens or 0
    cached_images = tokens.image_cache_read_tokens
    if cached_images is None:
        if cached and images:
            return None
        cached_images = 0
    cached_text, made = cached - cached_images, tokens.text_output_tokens or 0
    parts = {
        "input": (tokens.input_tokens or 0) - images - cached_text,
        "cache_read": cached_text,
        "image_input": images - cached_images,
        "image_cache_read": cached_images,
        "output": made,
        "image_output": (tokens.output_tokens or 0) - made,
    }
    if min(parts.values()) < 0:
        return None
    return {name: number for name, number in parts.items() if number}


def rate_of(rates: Rates, part: str) -> Rate | None:
    """Return the price of a part of the tokens of images, else that of what it is a part of."""
    rate: Rate | None = getattr(rates, part)
    return rate_of(rates, WHOLES[part]) if rate is None and part in WHOLES else rate
