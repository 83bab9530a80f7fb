"""Providers that flush or shut down wait until what ended before is emitted.

OpenTelemetry has no hook that runs before the processors of a provider export: a processor of our
own would come after those of the application, and could not be taken back. So ``force_flush`` and
``shutdown`` of the providers in use are wrapped, on the object alone, until ``uninstrument()``.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from tokentrail.support import guard
from tokentrail.telemetry.events import global_provider

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.trace import TracerProvider

FLUSH_TIMEOUT: Final = 30.0
"""Seconds that a provider's ``force_flush`` takes at most where nothing else is asked for."""
SHUTDOWN_TIMEOUT: Final = 10.0
"""Seconds that ``shutdown`` waits at most: it takes no timeout, and an exporter may hang."""
_SHARE: Final = 0.5
"""Of the time of a flush, what we take at most: the rest is the exporters'."""


class ProviderFlush:
    """Has providers wait for ``drain(seconds)``, which returns whether all is emitted."""

    def __init__(
        self, tracer_provider: TracerProvider | None, logger_provider: LoggerProvider | None
    ) -> None:
        """``None``: the global provider, which may be set later."""
        self.drain: Callable[[float], bool] | None = None
        self.warn: Callable[[], None] | None = None
        """Logs what is lost when a provider shuts down before all is emitted."""
        self._placed: list[tuple[Any, str, object]] = []
        self._global: list[Callable[[], object]] = []
        """Return the global providers that were not set when they were last looked for."""
        for provider, current in (
            (tracer_provider, trace.get_tracer_provider),
            (logger_provider, global_provider),
        ):
            if provider is None:
                self._global.append(current)
            else:
                self._place(provider)
        self.look_again()

    def look_again(self) -> None:
        """Wrap the global providers that were set since."""
        if self._global:
            with guard.shield("flush"):
                self._global = [current for current in self._global if not self._place(current())]

    def _place(self, provider: Any) -> bool:
        """Wrap the methods of ``provider``; return whether it has them."""
        if not callable(getattr(provider, "force_flush", None)):
            return False
        for name, kind in (("force_flush", _Flush), ("shutdown", _Shutdown)):
            original = getattr(provider, name, None)
            if callable(original):
                hook = kind(original, self)
                with suppress(AttributeError, TypeError):  # a class of slots takes nothing
                    setattr(provider, name, hook)
                    self._placed.append((provider, name, hook))
        return True

    def remove(self) -> None:
        """Take the wrappers away; one that somebody wrapped does nothing from now on."""
        self.drain = self.warn = None
        self._global = []
        placed, self._placed = self._placed, []
        for provider, name, hook in placed:
            if vars(provider).get(name) is hook:
                delattr(provider, name)


class _Wrapper:
    """Stands for one method of a provider."""

    def __init__(self, original: Callable[..., Any], flush: ProviderFlush) -> None:
        self._original = original
        self._flush = flush

    def _drained(self, timeout: float) -> bool:
        drain = self._flush.drain
        if drain is not None:
            with guard.shield("flush"):
                return drain(timeout)
        return True


class _Flush(_Wrapper):
    """Stands for ``force_flush``: of its time, what we took is gone when the exporters begin."""

    def __call__(self, timeout_millis: float | None = None, **more: Any) -> Any:
        asked = FLUSH_TIMEOUT if timeout_millis is None else timeout_millis / 1000
        begun = time.monotonic()
        drained = self._drained(asked * _SHARE)
        if timeout_millis is None:
            exported = self._original(**more)
        else:
            left = timeout_millis - int((time.monotonic() - begun) * 1000)
            exported = self._original(max(left, 0), **more)
        return exported if drained else False


class _Shutdown(_Wrapper):
    """Stands for ``shutdown``."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._drained(SHUTDOWN_TIMEOUT) and self._flush.warn is not None:
            self._flush.warn()
        return self._original(*args, **kwargs)
