"""The prices of the genai-prices package: the data in it, never updated from here.

The package takes 0.2 s to import, so it is imported on demand, and never by ``instrument()``. It
uses the network only if the program itself starts its ``UpdatePrices``; then the new prices are
used here too.
"""

from __future__ import annotations

from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from tokentrail.cost.rates import BATCH, Rate, Rates
from tokentrail.cost.user_prices import STANDARD_TIERS
from tokentrail.support.fork import IMPORTING

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = "genai-prices"
INSTALL_HINT: Final = "pip install 'tokentrail[cost]'"

PROVIDERS: Final = {
    "openai": "openai",
    "azure.ai.openai": "azure",
    "anthropic": "anthropic",
    "aws.bedrock": "aws",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "groq": "groq",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "perplexity": "perplexity",
    "x_ai": "x-ai",
}
"""The conventions' ``gen_ai.provider.name``, and the package's name for it."""

_KEYS: Final = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "audio_input": "input_audio_mtok",
    "image_input": "input_image_mtok",
    "reasoning": "output_reasoning_mtok",
    "audio_output": "output_audio_mtok",
    "image_output": "output_image_mtok",
    "image_cache_read": "cache_image_read_mtok",
    "audio_cache_read": "cache_audio_read_mtok",
    "characters": "input_mchars",
    "web_search": "web_searches_kcount",
    "file_search": "storage_searches_kcount",
}

Model = Any
"""The package's ``ModelInfo``."""


def is_installed() -> bool:
    """Whether the package is installed; this does not import it."""
    return find_spec("genai_prices") is not None


def data_version() -> str | None:
    """Return the version of the package; its data is from the day of its release."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return None


def rates(provider: str, name: str, tier: str | None, at: datetime) -> Rates | None:
    """Return the rates of a model at that time in that service tier, if known."""
    model, is_own = _found(provider, name)
    return rates_of(model, tier, at, is_own=is_own) if model is not None else None


def rates_of(model: Model, tier: str | None, at: datetime, *, is_own: bool = True) -> Rates | None:
    """Return the rates of a model; ``is_own``: the package lists it under its own provider."""
    standard = model.get_prices(at)
    if tier is None:
        return _rates(standard)
    asked = {"processing" if tier == BATCH else "service_tier": tier}
    known = (
        v.when == asked and (v.constraint is None or v.constraint.active(at))
        for v in model.price_variants or ()
    )
    return _rates(model.get_prices(at, asked)) if is_own and any(known) else None


def is_standard_tier(tier: str | None) -> str | None:
    """Return the service tier; ``None`` for the standard one."""
    return None if tier is None or tier in STANDARD_TIERS else tier


def to_datetime(nanoseconds: int) -> datetime:
    """Return a time of day in UTC."""
    return datetime.fromtimestamp(nanoseconds / 1e9, timezone.utc)


def models_of(provider: str) -> Iterator[tuple[str, Model]]:
    """Yield the models of a provider in the order in which a name is looked up.

    Each with the provider that makes it, in the package's names: Azure sells OpenAI's models too.
    """
    providers = {one.id: one for one in _providers()}
    own = providers.get(PROVIDERS.get(provider, ""))
    if own is None:
        return
    for owner in (own.id, *(own.fallback_model_providers or ())):
        if owner in providers:
            yield from ((owner, model) for model in providers[owner].models)


def _found(provider: str, name: str) -> tuple[Model | None, bool]:
    known = PROVIDERS.get(provider)
    if known is None:
        return None, False
    try:
        owner, model = _snapshot().find_provider_model(name, None, known, None)
    except LookupError:
        return None, False
    return model, any(model is one for one in owner.models)


def _providers() -> list[Any]:
    return list(_snapshot().providers)


def _snapshot() -> Any:
    with IMPORTING:  # a child forked in the middle would have half a module
        from genai_prices.data_snapshot import get_snapshot

        return get_snapshot()


def _rates(prices: Any) -> Rates | None:
    found = {name: _rate(vars(prices).get(key)) for name, key in _KEYS.items()}
    hour = vars(prices).get("input_audio_hours") or vars(prices).get("audio_hours")
    if found["input"] is None and found["characters"] is None and hour is None:
        return None
    return Rates(**found, audio_hour=_rate(hour))


def _rate(price: Any) -> Rate | None:
    if price is None:
        return None
    steps = tuple((tier.start, tier.price) for tier in getattr(price, "tiers", ()))
    return Rate(getattr(price, "base", price), steps)
