"""What is compared: who it is, what to install for it, and how it is switched on.

Each runs in an environment and a process of its own. It is given the SDK's cheapest providers, or
told not to send anything; nothing is exported by anybody.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    Switch = Callable[[TracerProvider, MeterProvider], None]

OURS = "tokentrail"
BAR = "genai-openai"
FLOOR = "floor"
NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Subject:
    """An instrumentation of the client."""

    name: str
    title: str
    requires: tuple[str, ...]
    """What pip is to install, beside the SDK; of tokentrail itself the working tree."""
    package: str
    """What to import to have it."""
    switch: Switch
    modes: bool = False
    """It also runs with its traces, or its metrics, off."""
    setting: bool = False
    """It is tokentrail with a setting that costs something: only some turns are taken of it."""
    home: str = ""
    """The environment, if it is another's."""

    @property
    def environment(self) -> str:
        """Name of the environment it runs in."""
        return self.home or self.name


def _nobody(traces: TracerProvider, metrics: MeterProvider) -> None:
    pass


def _floor(traces: TracerProvider, metrics: MeterProvider) -> None:
    from bench import floor

    floor.install(traces, metrics)


def _tokentrail(traces: TracerProvider, metrics: MeterProvider, **settings: Any) -> None:
    import tokentrail

    tokentrail.instrument(tracer_provider=traces, meter_provider=metrics, **settings)


def _with(**settings: Any) -> Switch:
    return partial(_tokentrail, **settings)


def _genai(traces: TracerProvider, metrics: MeterProvider) -> None:
    from opentelemetry.instrumentation.genai.openai import (
        OpenAIInstrumentor,
    )

    OpenAIInstrumentor().instrument(tracer_provider=traces, meter_provider=metrics)


def _openllmetry(traces: TracerProvider, metrics: MeterProvider) -> None:
    os.environ["TRACELOOP_TRACE_CONTENT"] = "false"
    from opentelemetry.instrumentation.openai import (
        OpenAIInstrumentor,
    )

    OpenAIInstrumentor().instrument(tracer_provider=traces, meter_provider=metrics)


def _openinference(traces: TracerProvider, metrics: MeterProvider) -> None:
    from openinference.instrumentation import TraceConfig
    from openinference.instrumentation.openai import (
        OpenAIInstrumentor,
    )

    config = TraceConfig(hide_inputs=True, hide_outputs=True, hide_embeddings_vectors=True)
    OpenAIInstrumentor().instrument(tracer_provider=traces, config=config)


def _openlit(traces: TracerProvider, metrics: MeterProvider) -> None:
    import openlit
    from opentelemetry import metrics as otel_metrics
    from opentelemetry import trace

    # It takes the global providers where there are some.
    trace.set_tracer_provider(traces)
    otel_metrics.set_meter_provider(metrics)
    openlit.init(
        capture_message_content=False,
        disable_events=True,
        disabled_instrumentors=[name for name in openlit.MODULE_NAME_MAP if name != "openai"],
        pricing_json="{}",
    )


def _logfire(traces: TracerProvider, metrics: MeterProvider) -> None:
    import logfire

    logfire.configure(send_to_logfire=False, console=False, inspect_arguments=False)
    logfire.instrument_openai()


def _langfuse(traces: TracerProvider, metrics: MeterProvider) -> None:
    from langfuse import Langfuse
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    Langfuse(
        public_key="pk",
        secret_key="no key",
        base_url="http://127.0.0.1:9",
        tracer_provider=traces,
        span_exporter=Nowhere(),
    )
    import langfuse.openai  # noqa: F401 - the import is the switch


_NEWEST = ("openai", "opentelemetry-sdk")
_PRICED = {"cost": "counted", "prices": {"gpt-4o": {"input": 2.5, "output": 10.0}}}

SETTINGS = tuple(
    Subject(
        f"tokentrail {name}", name, (), "tokentrail", _with(**settings), home=OURS, setting=True
    )
    for name, settings in {
        "calibration off": {"calibration": False},
        "cost": _PRICED,
        "explain all": {"explain": "all"},
    }.items()
)
"""tokentrail with what one setting adds or takes away."""

SUBJECTS = (
    Subject(NOBODY, "no instrumentation (noise)", (), "json", _nobody, home=OURS),
    Subject(FLOOR, "floor, written by hand", (), "json", _floor, modes=True, home=OURS),
    Subject(OURS, "tokentrail", _NEWEST, "tokentrail", _tokentrail, modes=True),
    Subject(
        BAR,
        "genai-openai (official)",
        (*_NEWEST, "opentelemetry-instrumentation-genai-openai"),
        "opentelemetry.instrumentation.genai.openai",
        _genai,
        modes=True,
    ),
    Subject(
        "openllmetry",
        "OpenLLMetry",
        (*_NEWEST, "opentelemetry-instrumentation-openai"),
        "opentelemetry.instrumentation.openai",
        _openllmetry,
        modes=True,
    ),
    Subject(
        "openinference",
        "OpenInference (no metrics)",
        (*_NEWEST, "openinference-instrumentation-openai"),
        "openinference.instrumentation.openai",
        _openinference,
        modes=True,
    ),
    Subject(
        "openlit",
        "openlit (openai 2.x)",
        ("openai >= 2, < 3", "openlit >= 1.45", "opentelemetry-sdk < 1.45"),
        "openlit",
        _openlit,
    ),
    Subject(
        "logfire",
        "logfire (content on, no metrics)",
        (*_NEWEST, "logfire"),
        "logfire",
        _logfire,
    ),
    Subject(
        "langfuse",
        "langfuse (content on, no metrics)",
        (*_NEWEST, "langfuse"),
        "langfuse.openai",
        _langfuse,
    ),
    *SETTINGS,
)

BY_NAME = {subject.name: subject for subject in SUBJECTS}
