"""A list of prices in the place of the one that genai-prices has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def publish() -> Iterator[Callable[..., None]]:
    """Have genai-prices know these models, and no other: ``publish(openai=[...], azure=[])``.

    Azure sells those of OpenAI, as in the list of the package.
    """
    data = pytest.importorskip("genai_prices.data_snapshot", reason="needs tokentrail[cost]")
    from genai_prices.types import Provider

    def publish(**models: list[Any]) -> None:
        providers = [
            Provider(
                id=name,
                name=name,
                api_pattern="nought",
                models=sold,
                fallback_model_providers=["openai"] if name == "azure" else None,
            )
            for name, sold in models.items()
        ]
        data.set_custom_snapshot(data.DataSnapshot(providers, from_auto_update=False))

    yield publish
    data.set_custom_snapshot(None)
