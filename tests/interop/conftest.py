"""The real packages of the official instrumentation beside ours, in one process."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests import shared

# tokentrail is imported in the fixtures: strictness must be settled before.

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType


unsaid = shared.unsaid
server = shared.model


@pytest.fixture(autouse=True)
def settled(monkeypatch) -> None:
    """Leave nothing to chance: no verification of counts, both encodings built."""
    from tokentrail.counting import ENCODINGS

    monkeypatch.setenv("TOKENTRAIL_COUNT_VERIFICATION_RATIO", "0")
    for name in ("cl100k_base", "o200k_base"):
        assert ENCODINGS.load(name) is not None


@dataclass
class Official:
    """The official instrumentation, told into the same place as ours."""

    instrumentor: Any
    providers: dict[str, Any]

    def instrument(self) -> None:
        """Switch it on."""
        self.instrumentor.instrument(**self.providers)

    def uninstrument(self) -> None:
        """Switch it off, if it is on."""
        if self.instrumentor.is_instrumented_by_opentelemetry:
            self.instrumentor.uninstrument()


@pytest.fixture
def needed() -> Callable[[str], ModuleType]:
    """Import a package that only ``make interop`` installs; elsewhere the test is skipped."""

    def needed(module: str) -> ModuleType:
        if "REQUIRE_INTEROP" in os.environ:
            return importlib.import_module(module)
        reason = f"{module} is not installed: make interop"
        return pytest.importorskip(module, reason=reason, exc_type=ImportError)

    return needed


@pytest.fixture
def official(spans, metrics, logs, needed) -> Iterator[Official]:
    """Give the real opentelemetry-instrumentation-genai-openai."""
    found = needed("opentelemetry.instrumentation.genai.openai")
    providers = {
        "tracer_provider": spans.provider,
        "meter_provider": metrics.provider,
        "logger_provider": logs.provider,
    }
    official = Official(found.OpenAIInstrumentor(), providers)
    yield official
    official.uninstrument()


@pytest.fixture(params=["theirs outside", "ours outside"])
def order(request) -> str:
    """Run the test with either instrumentation around the other."""
    return request.param


def _methods() -> list[object]:
    from openai.resources.chat.completions import AsyncCompletions, Completions
    from openai.resources.responses import AsyncResponses, Responses

    return [
        *(owner.__dict__["create"] for owner in (Completions, AsyncCompletions)),
        *(owner.__dict__["retrieve"] for owner in (Responses, AsyncResponses)),
    ]


@pytest.fixture
def both(trail, official, order) -> Iterator[str]:
    """Instrument with both, in the order of the test; give whose span is outside."""
    import tokentrail

    tokentrail.uninstrument()
    bare = _methods()
    if order == "ours outside":
        official.instrument()
    trail.instrument()
    if order == "theirs outside":
        official.instrument()
    yield order
    # The one outside first, or its wrapper stays on the client.
    if order == "theirs outside":
        official.uninstrument()
        tokentrail.uninstrument()
    else:
        tokentrail.uninstrument()
        official.uninstrument()
    assert all(now is before for now, before in zip(_methods(), bare, strict=True))
