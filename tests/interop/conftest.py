"""The real packages of the official instrumentation beside ours, in one process."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
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


COMMAND = Path(sys.executable).with_name("opentelemetry-instrument")


@pytest.fixture
def auto_instrumented(server, tmp_path) -> Callable[[str], str]:
    """Run a program under ``opentelemetry-instrument``; return the spans that it printed.

    The program's argument is the URL of the server.
    """
    if not COMMAND.exists():
        pytest.skip("no opentelemetry-instrument here")
    path = tmp_path / "program.py"
    distro = tmp_path / "site" / "distro-0.0.1.dist-info"
    distro.mkdir(parents=True)
    (distro / "entry_points.txt").write_text(
        "[opentelemetry_configurator]\n"
        "configurator = opentelemetry.sdk._configuration:_OTelSDKConfigurator\n",
        encoding="utf-8",
    )
    (distro / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: distro\nVersion: 0.0.1\n", encoding="utf-8"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(distro.parent),
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "TOKENTRAIL_PRELOAD_ENCODINGS": "o200k_base",
    }

    def run(program: str) -> str:
        path.write_text(program, encoding="utf-8")
        done = subprocess.run(
            [COMMAND, sys.executable, str(path), server.base_url],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
