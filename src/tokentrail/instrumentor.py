"""The instrumentor that ``instrument()`` and ``opentelemetry-instrument`` switch on and off."""

from __future__ import annotations

import logging
import os
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

from tokentrail.config import read_arguments, read_settings
from tokentrail.patching import install
from tokentrail.runtime import runtime
from tokentrail.telemetry.emitter import PROVIDERS, Emitter

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tokentrail.config import declarative, differences
else:
    from tokentrail.support.lazy import LateModule

    declarative = LateModule("config.declarative")
    differences = LateModule("config.differences")

_logger = logging.getLogger("tokentrail")
_BY_LOADER = frozenset({"skip_dep_check", "raise_exception_on_conflict"})
"""What ``opentelemetry-instrument`` gives when it switches on all that is installed."""
_NO_SETTINGS = frozenset({*PROVIDERS, *_BY_LOADER})
"""What ``instrument()`` takes beside settings."""


class Configuration:
    """Gives the class of what a configuration file can have, made when somebody reads one."""

    def __get__(self, instrumentor: object, owner: type) -> type:
        kind: type = declarative.configuration()
        return kind


class OpenAIInstrumentor(BaseInstrumentor):  # type: ignore[misc, unused-ignore]
    """Instruments the openai client; for ``opentelemetry-instrument`` and other tools.

    There is one in a process. Instrumenting or uninstrumenting twice does nothing.
    """

    configuration = Configuration()
    """What a configuration file (``OTEL_CONFIG_FILE``) can have for it."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the openai versions that are supported."""
        return ("openai >= 1.40, < 4",)

    def instrument(self, **kwargs: Any) -> None:
        """Switch on; see :func:`tokentrail.instrument`.

        If it is on already, what is asked for and not in force is named in a warning, and what of
        the client was imported anew is instrumented. What a configuration file switches off is
        not switched on by ``opentelemetry-instrument``, which loads all that is installed.
        """
        is_loader = bool(kwargs) and kwargs.keys() <= _BY_LOADER
        if is_loader and declarative.is_switched_off(declarative.read_section(os.environ)):
            return
        settings = {name: value for name, value in kwargs.items() if name not in _NO_SETTINGS}
        asked = read_arguments(settings)  # which raises also where nothing is to be done
        _require_providers(kwargs)
        active = runtime.current()
        if active is not None:
            _note_second(active, kwargs, asked)
        if _is_without_metadata():
            kwargs["skip_dep_check"] = True
        if not self.is_instrumented_by_opentelemetry:
            super().instrument(**kwargs)
            # Where it was disabled, it may yet be switched on.
            self._is_instrumented_by_opentelemetry = runtime.current() is not None
        else:
            install.refresh()

    def uninstrument(self, **kwargs: Any) -> None:
        """Restore the client; see :func:`tokentrail.uninstrument`."""
        if self.is_instrumented_by_opentelemetry:
            super().uninstrument(**kwargs)

    def _instrument(self, **kwargs: Any) -> None:
        tracers, meters, loggers = (kwargs.pop(name, None) for name in PROVIDERS)
        settings = read_settings(kwargs)
        if settings.disabled:
            return
        emitter = Emitter(tracers, meters, loggers, settings, runtime.current)
        active = runtime.Runtime(settings, emitter)
        for name in settings.preload_encodings:
            active.encodings.load(name)
            _import_what_streams_need()
        runtime.activate(active)
        install.install(settings.instrumented_apis)

    def _uninstrument(self, **kwargs: Any) -> None:
        active = runtime.current()
        runtime.activate(None)
        from tokentrail.websocket import patching

        install.remove()
        patching.release()
        if active is not None:
            active.close()


def _require_providers(given: Mapping[str, object]) -> None:
    for name in PROVIDERS:
        provider, method = given.get(name), f"get_{name.removesuffix('_provider')}"
        if provider is not None and not hasattr(provider, method):
            message = f"{name}={provider!r} is not allowed; allowed: an object with {method}()"
            raise TypeError(message)


def _import_what_streams_need() -> None:
    """Import what the first stream would, which takes 10 ms."""
    from tokentrail import call, counting
    from tokentrail.apis.readers import adapter_of
    from tokentrail.counting.encodings import import_what_counts
    from tokentrail.model.operations import CHAT, RESPONSES
    from tokentrail.patching import include_usage

    for package, name in (
        (adapter_of(CHAT), "parse_request"),
        (adapter_of(RESPONSES), "parse_request"),
        (call, "UsageCounter"),
        (counting, "InputTally"),
        (counting, "OutputTally"),
        (include_usage, "InjectedUsage"),
    ):
        getattr(package, name)
    import_what_counts()


def _is_without_metadata() -> bool:
    """Whether openai can be imported and has no metadata, as in a program that was frozen."""
    try:
        distribution("openai")  # version() would parse all of its metadata
    except PackageNotFoundError:
        return find_spec("openai") is not None
    return False


def _note_second(
    active: runtime.Runtime, given: Mapping[str, object], asked: Mapping[str, object]
) -> None:
    """Warn of what a second ``instrument()`` asked for in vain; it may stop content for good."""
    names = differences.different_settings(active.settings, asked)
    names += active.emitter.different_providers(given)
    if not names:
        return
    stops = active.emitter.captures_content and differences.would_withhold(active.settings, asked)
    if stops:
        active.emitter.stop_content()
    _logger.warning(
        "tokentrail.instrument() was called again with other values of %s. They have no effect: "
        "call uninstrument() first to change them.%s",
        ", ".join(names),
        _STOPPED if stops else "",
    )


_STOPPED = (
    " No content is recorded from now on, because the second call asks for less of it and two "
    "redact functions cannot be combined."
)
