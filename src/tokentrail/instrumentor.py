"""The instrumentor: what ``instrument()`` and ``opentelemetry-instrument`` switch on and off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from tokentrail.config import read_settings
from tokentrail.patching import install
from tokentrail.runtime import runtime
from tokentrail.telemetry.emitter import Emitter
from tokentrail.websocket import patching

if TYPE_CHECKING:
    from collections.abc import Collection


class OpenAIInstrumentor(BaseInstrumentor):  # type: ignore[misc, unused-ignore]
    """Instruments the openai client. One in a process; both directions are idempotent."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the openai versions that are supported."""
        return ("openai >= 1.40, < 4",)

    def instrument(self, **kwargs: Any) -> None:
        """Switch on; see :func:`tokentrail.instrument`. Does nothing if it is on already."""
        if not self.is_instrumented_by_opentelemetry:
            super().instrument(**kwargs)
            # Where it was disabled, it may yet be switched on.
            self._is_instrumented_by_opentelemetry = runtime.current() is not None

    def uninstrument(self, **kwargs: Any) -> None:
        """Switch off; see :func:`tokentrail.uninstrument`. Does nothing if it is off already."""
        if self.is_instrumented_by_opentelemetry:
            super().uninstrument(**kwargs)

    def _instrument(self, **kwargs: Any) -> None:
        tracer_provider = kwargs.pop("tracer_provider", None)
        meter_provider = kwargs.pop("meter_provider", None)
        logger_provider = kwargs.pop("logger_provider", None)
        settings = read_settings(kwargs)
        if settings.disabled:
            return
        emitter = Emitter(
            tracer_provider, meter_provider, logger_provider, settings, runtime.current
        )
        active = runtime.Runtime(settings, emitter)
        for name in settings.preload_encodings:
            active.encodings.load(name)
        runtime.activate(active)
        install.install(settings.instrumented_apis)

    def _uninstrument(self, **kwargs: Any) -> None:
        active = runtime.current()
        runtime.activate(None)
        install.remove()
        patching.release()
        if active is not None:
            active.close()
