"""Other instrumentations of the openai client in the same process.

The official one is not among them where it can be joined: see
:mod:`tokentrail.telemetry.genai_util`.
"""

from __future__ import annotations

import sys

from tokentrail.model.operations import CANCEL, CHAT, COMPLETIONS, EMBEDDINGS, FETCH
from tokentrail.support import guard
from tokentrail.support.frozen import lean_dataclass


@lean_dataclass(frozen=True, slots=True)
class OtherInstrumentation:
    """Another instrumentation of openai."""

    module: str
    """The module of its ``OpenAIInstrumentor``, or a module that is there once it is in use."""
    title: str
    """Its name in messages."""
    recorded: frozenset[str] | None
    """The operations it records; ``None`` for every request."""


OFFICIAL = OtherInstrumentation(
    "opentelemetry.instrumentation.genai.openai",
    "opentelemetry-instrumentation-genai-openai",
    frozenset({CHAT.name, EMBEDDINGS.name, FETCH.name}),
)
_INSTRUMENTORS = (
    OFFICIAL,
    OtherInstrumentation(
        "opentelemetry.instrumentation.openai_v2",
        "opentelemetry-instrumentation-openai-v2",
        frozenset({CHAT.name, EMBEDDINGS.name}),
    ),
    OtherInstrumentation(
        "opentelemetry.instrumentation.openai",
        "OpenLLMetry (opentelemetry-instrumentation-openai)",
        frozenset({CHAT.name, COMPLETIONS.name, EMBEDDINGS.name, FETCH.name, CANCEL.name}),
    ),
    OtherInstrumentation("openinference.instrumentation.openai", "OpenInference", None),
    OtherInstrumentation(
        "openlit.instrumentation.openai", "openlit", frozenset({CHAT.name, EMBEDDINGS.name})
    ),
)
"""Those with an ``OpenAIInstrumentor`` of OpenTelemetry's kind."""
_LOGFIRE = OtherInstrumentation("logfire", "logfire", None)
_LANGFUSE = OtherInstrumentation(
    "langfuse.openai", "langfuse", frozenset({CHAT.name, COMPLETIONS.name, EMBEDDINGS.name})
)

PROTOCOL = "opentelemetry.util.genai.invocation"
"""The module of the calls that are recorded together: until it is imported, there are none."""


def active_instrumentations(client: object = None) -> list[OtherInstrumentation]:
    """Return the other instrumentations active on ``client``, joined or not."""
    modules = sys.modules
    found = [o for o in _INSTRUMENTORS if o.module in modules and _is_instrumenting(o.module)]
    if getattr(client, "_is_instrumented_by_logfire", False) is True:
        found.append(_LOGFIRE)
    if _LANGFUSE.module in modules:
        found.append(_LANGFUSE)
    return found


def shares_spans(other: OtherInstrumentation) -> bool:
    """Whether calls that ``other`` records are recorded once, by both together."""
    protocol = sys.modules.get(PROTOCOL)
    return other is OFFICIAL and hasattr(protocol, "CLIENT_INFERENCE_CONTEXT_KEY")


def in_conflict(client: object) -> list[OtherInstrumentation]:
    """Return the instrumentations that record the calls of ``client`` separately from us."""
    return [other for other in active_instrumentations(client) if not shares_spans(other)]


def is_instrumented_elsewhere(client: object, operation: str) -> bool:
    """Whether another instrumentation, which cannot be joined, records calls of that operation."""
    return any(o.recorded is None or operation in o.recorded for o in in_conflict(client))


def _is_instrumenting(module: str) -> bool:
    instrumentor = getattr(sys.modules.get(module), "OpenAIInstrumentor", None)
    instance = getattr(instrumentor, "_instance", None)
    return getattr(instance, "_is_instrumented_by_opentelemetry", False) is True


MODULES = frozenset(
    {*(other.module for other in _INSTRUMENTORS), _LOGFIRE.module, _LANGFUSE.module}
)
"""If none is imported, no other instrumentation records the calls of openai."""


def warn_of_conflict(client: object) -> bool:
    """Warn once in a process that calls are recorded twice, and by whom; return whether they are.

    Another one may be switched on at any time, and logfire for single clients: until then each call
    checks, which takes less than half a microsecond.
    """
    found = in_conflict(client)
    if found:
        guard.warn_once(
            "coexistence",
            "%s also instruments openai here: calls and their tokens are recorded twice. "
            "Keep one of the two, or leave the calls to it: TOKENTRAIL_ON_CONFLICT=defer.",
            " and ".join(other.title for other in found),
        )
    return bool(found)
