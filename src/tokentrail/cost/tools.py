"""What the server's own tools cost, and the names of those that have no price."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from tokentrail.cost.rates import BY_REQUEST, PER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokentrail.cost.rates import Rates
    from tokentrail.model.records import Reported, ToolUse

    RatesOf = Callable[[str], Rates | None]

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
    if tool.tokens is None or rates is None:
        return None
    read, written = _read(tool.tokens, rates), _written(tool.tokens, rates)
    return None if read is None or written is None else (read + written) / PER


def _read(tokens: Reported, rates: Rates) -> Decimal | None:
    whole, images = tokens.input_tokens or 0, tokens.image_input_tokens or 0
    cached = tokens.cache_read_tokens or 0
    cached_images = tokens.image_cache_read_tokens
    if cached_images is None:
        if cached and images:
            return None  # nobody says how much of the images was cached
        cached_images = 0
    cached_text = cached - cached_images
    text = whole - images - cached_text
    if min(cached_text, text, images - cached_images) < 0:
        return None
    by_image = rates.image_input or rates.input
    by_cache = rates.cache_read or rates.input
    return (
        text * rates.input.base
        + cached_text * by_cache.base
        + (images - cached_images) * by_image.base
        + cached_images * (rates.image_cache_read or by_image).base
    )


def _written(tokens: Reported, rates: Rates) -> Decimal | None:
    whole, text = tokens.output_tokens or 0, tokens.text_output_tokens or 0
    by_text, by_image = rates.output, rates.image_output or rates.output
    if by_text is None or by_image is None or text > whole:
        return None
    return text * by_text.base + (whole - text) * by_image.base
