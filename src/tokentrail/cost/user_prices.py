"""The user's own prices, from a file or a mapping."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tokentrail.cost.rates import Rate, Rates
from tokentrail.support.frozen import lean_dataclass

PRICE_NAMES: Final = Rates.__match_args__
TIERS: Final = "service_tiers"
_ENOUGH: Final = frozenset({"input", "audio_hour", "characters"})
"""Prices of which a model has at least one."""
OWN_BATCH: Final = "batch"
"""The service tier under which prices of batches stand; without it they are half of the others."""
STANDARD_TIERS: Final = ("default", "auto", "standard")
"""Names of the standard service tier."""

Table = Mapping[tuple[str, "str | None"], Rates]
"""Rates by model and service tier."""


class PricesError(ValueError):
    """Prices that are not valid; the message says where and why."""

    def __init__(self, message: str, *keys: str) -> None:
        """``keys``: the path to the wrong value, the outermost first."""
        super().__init__(message)
        self.keys = keys


@lean_dataclass(frozen=True, slots=True)
class UserPrices:
    """Prices by model, and by service tier if it is not the standard one."""

    table: Table = MappingProxyType({})
    origin: str = ""
    """The file that they were read from."""

    def __len__(self) -> int:
        return len(self.table)

    def __str__(self) -> str:
        return self.origin or ", ".join(self.models)

    @property
    def models(self) -> tuple[str, ...]:
        """The models with prices here, each once."""
        return tuple(dict.fromkeys(model for model, _ in self.table))

    def knows(self, model: str) -> bool:
        """Whether the user set a price for this model."""
        return any(name == model for name, _ in self.table)

    def rates(self, model: str, tier: str | None) -> Rates | None:
        """Return the rates of a model in a service tier, if both are known."""
        return self.table.get((model, tier))


def read_prices(value: object) -> UserPrices:
    """Read a mapping of prices, or the JSON file of that name.

    Raises:
        PricesError: the file is missing or no JSON, or a value in it is no price.
    """
    if isinstance(value, UserPrices):
        return value
    if isinstance(value, Mapping):
        return UserPrices(_table(value))
    if not isinstance(value, (str, os.PathLike)):
        message = "neither the name of a file nor a mapping"
        raise PricesError(message)
    path = Path(value)
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        return UserPrices(_table(json.loads(text)), str(path))
    except OSError as error:
        message = f"{path}: {error.strerror or 'it cannot be read'}"
        raise PricesError(message) from error
    except json.JSONDecodeError as error:
        message = f"{path}, line {error.lineno}: it is not JSON: {error}"
    except UnicodeDecodeError as error:
        message = f"{path}: it is not JSON: {error}"
    except PricesError as error:
        message = f"{path}, line {_line_of(text, error.keys)}: {error}"
    raise PricesError(message)


def _line_of(text: str, keys: tuple[str, ...]) -> int:
    """Return the line of the last of ``keys``; each key is inside the one before."""
    at = 0
    for key in keys:
        found = text.find(json.dumps(key, ensure_ascii=False), at)
        at = at if found < 0 else found
    return text.count("\n", 0, at) + 1


def _table(given: object) -> Table:
    if not isinstance(given, Mapping):
        message = 'write {"model": {"input": 2.5, "output": 10}}'
        raise PricesError(message)
    table: dict[tuple[str, str | None], Rates] = {}
    for model, prices in given.items():
        if not isinstance(model, str) or not model or not isinstance(prices, Mapping):
            message = f'{model!r}: write {{"input": 2.5, "output": 10}} after the model'
            raise PricesError(message, str(model))
        tiers = prices.get(TIERS, {})
        if not isinstance(tiers, Mapping):
            message = f'{model!r}: write {{"flex": {{"input": 1.25, "output": 5}}}} after {TIERS}'
            raise PricesError(message, model, TIERS)
        ordinary = {name: price for name, price in prices.items() if name != TIERS}
        table[model, None] = _rates((model,), ordinary)
        for tier, own in tiers.items():
            table[model, tier] = _rates((model, TIERS, str(tier)), own)
    return MappingProxyType(table)


def _rates(keys: tuple[str, ...], given: object) -> Rates:
    where = ", ".join(key for key in keys if key != TIERS)
    if not isinstance(given, Mapping) or not _ENOUGH & given.keys():
        message = f"{where!r}: the price of its input is missing"
        raise PricesError(message, *keys)
    for name, price in given.items():
        if name not in PRICE_NAMES:
            message = (
                f"{where!r}: {name!r} is not a price; allowed are {', '.join(PRICE_NAMES)}, {TIERS}"
            )
            raise PricesError(message, *keys, name)
        if isinstance(price, bool) or not isinstance(price, (int, float)) or not _is_price(price):
            message = f"{where!r}: {name} is {price!r}, not a number of USD per million tokens"
            raise PricesError(message, *keys, name)
    return Rates(
        **{"input": None} | {name: Rate(Decimal(str(price))) for name, price in given.items()}
    )


def _is_price(number: float) -> bool:
    return math.isfinite(number) and number >= 0
