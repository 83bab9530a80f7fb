"""What settings can be."""

from __future__ import annotations

from enum import Enum

from tokentrail.model.operations import CLIENT_PARTS


class TokenCounting(str, Enum):
    """When tokens are counted here."""

    OFF = "off"
    SPANS_ONLY = "spans_only"
    MISSING = "missing"
    ALWAYS = "always"


class StreamUsage(str, Enum):
    """How the usage of a chat or completions stream is obtained."""

    OBSERVE = "observe"
    REQUEST = "request"


class MetricNames(str, Enum):
    """The vocabulary of the conventional metrics."""

    RELEASED = "released"
    LATEST = "latest"
    BOTH = "both"


class Cost(str, Enum):
    """Which calls are priced, by the source of their tokens."""

    OFF = "off"
    REPORTED = "reported"
    COUNTED = "counted"


class CacheKey(str, Enum):
    """How the prompt cache key of a request is recorded."""

    OFF = "off"
    HASH = "hash"
    PLAIN = "plain"


class OnConflict(str, Enum):
    """What happens to a call that another instrumentation records as well."""

    BOTH = "both"
    DEFER = "defer"


class ContentCapture(str, Enum):
    """Where content is recorded."""

    NO_CONTENT = "no_content"
    SPAN_ONLY = "span_only"
    EVENT_ONLY = "event_only"
    SPAN_AND_EVENT = "span_and_event"

    @property
    def on_spans(self) -> bool:
        """Whether spans have content."""
        return self in {ContentCapture.SPAN_ONLY, ContentCapture.SPAN_AND_EVENT}

    @property
    def on_events(self) -> bool:
        """Whether log events have content."""
        return self in {ContentCapture.EVENT_ONLY, ContentCapture.SPAN_AND_EVENT}


def redact_everything(kind: str, text: str) -> None:
    """Replace a ``redact`` that the environment names and that cannot be imported.

    If you set one, you want no text recorded without it.
    """


METRIC_ATTRIBUTES = {
    "server.address": True,
    "server.port": True,
    "gen_ai.response.model": True,
    "openai.response.service_tier": True,
    "openai.response.system_fingerprint": False,
}
"""The attributes of metrics that can be chosen, and whether they are there by default."""

RESERVED_METRIC_ATTRIBUTES = frozenset(
    {
        "error.type",
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.token.modality",
        "gen_ai.token.type",
        "tokentrail.outcome",
        "tokentrail.usage.source",
        *METRIC_ATTRIBUTES,
    }
)
"""Attributes that metrics have already: the application cannot use these names."""

REQUEST_ATTRIBUTES = ("metadata", "user", "safety_identifier")
"""Arguments of a call that identify its user."""

DEFAULT_METRIC_ATTRIBUTES = tuple(name for name, there in METRIC_ATTRIBUTES.items() if there)

OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
"""OpenTelemetry's own variable; it is used if ``metric_names`` is not set."""

COMPLETION_HOOK = "OTEL_INSTRUMENTATION_GENAI_COMPLETION_HOOK"
"""OpenTelemetry's own variable, which names a hook that gets the content of calls."""

INSTRUMENTED_APIS = CLIENT_PARTS
"""Parts of the client that can be recorded, by their names on it."""
