"""What happens in the program when it imports openai, OpenTelemetry's API or its SDK.

Nothing is imported before, tokentrail included: this module is loaded by its path.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import wraps
from types import ModuleType
from typing import Any, Final

import wrapt

_REGISTERED: Final = "_tokentrail_run_hooks"
"""A module of no content that says so: this one may be loaded by its path and by its name."""


def register() -> None:
    """Register all of it, once in a process; what is imported already is changed at once."""
    if _REGISTERED in sys.modules:
        return
    sys.modules[_REGISTERED] = ModuleType(_REGISTERED)
    wrapt.register_post_import_hook(_openai, "openai")
    wrapt.register_post_import_hook(_api, "opentelemetry.trace")
    wrapt.register_post_import_hook(_sdk, "opentelemetry.sdk.trace")


def _openai(_: object) -> None:
    with suppress(Exception):  # a row is worth no program
        from tokentrail.run import observer

        observer.instrument()


def _api(trace: Any) -> None:
    """Record what has no provider, without setting one: a program asks whether there is one."""
    found = trace.ProxyTracer._tracer.fget

    def tracer(proxy: Any) -> Any:
        real = found(proxy)
        if real is not proxy._noop_tracer:
            return real
        with suppress(Exception):
            from tokentrail.run import observer

            return observer.tracer_for(proxy)
        return real

    trace.ProxyTracer._tracer = property(tracer)


def _sdk(sdk: Any) -> None:
    """Have every provider of the program feed the rows too."""
    construct = sdk.TracerProvider.__init__

    @wraps(construct)
    def construct_and_feed(provider: Any, *args: Any, **kwargs: Any) -> None:
        construct(provider, *args, **kwargs)
        with suppress(Exception):
            from tokentrail.run import observer

            provider.add_span_processor(observer.PROCESSOR)

    sdk.TracerProvider.__init__ = construct_and_feed
