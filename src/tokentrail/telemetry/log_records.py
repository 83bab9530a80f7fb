"""Records of the Logs API, as the SDK that is installed accepts them.

SDKs before 1.37 accept only records of their own class. That class has no event name before 1.35
and no structured attributes before 1.32: there the name is an attribute and content is JSON text.
SDKs before about 1.40 drop lists of mixed types: there such lists are JSON text.
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from opentelemetry import attributes as otel_attributes
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber

from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from tokentrail.telemetry import content_attributes
else:
    from tokentrail.support.lazy import LateModule

    content_attributes = LateModule("telemetry.content_attributes")

_HAS_NAME = "event_name" in inspect.signature(LogRecord.__init__).parameters
IS_STRUCTURED = (
    _HAS_NAME
    or "extended_attributes"
    in inspect.signature(otel_attributes.BoundedAttributes.__init__).parameters
)
"""Whether attributes may be structured; else they are JSON text."""
_IS_UNIFORM = hasattr(otel_attributes, "_clean_extended_attribute_value")


def log_record(
    name: str,
    severity: str,
    attributes: dict[str, Any],
    time: int,
    context: Context,
    resource: object,
) -> LogRecord:
    """Return the record of an event at ``time``, in nanoseconds since the epoch.

    ``resource``: that of the provider, which older records have.
    """
    facts: dict[str, Any] = {"timestamp": time}
    if _HAS_NAME:
        facts.update(event_name=name, context=context)
    else:
        place = trace.get_current_span(context).get_span_context()
        facts.update(trace_id=place.trace_id, span_id=place.span_id, trace_flags=place.trace_flags)
        attributes[semconv.EVENT_NAME] = name
    facts["severity_text"] = severity
    facts["severity_number"] = SeverityNumber[severity]
    facts["attributes"] = _accepted(attributes)
    kind: Any = getattr(sys.modules.get("opentelemetry.sdk._logs"), "LogRecord", None)
    if kind is None or resource is None or hasattr(kind, "_from_api_log_record"):
        return LogRecord(**facts)
    record: LogRecord = kind(resource=resource, **facts)
    return record


def _accepted(attributes: dict[str, Any]) -> dict[str, Any]:
    if not IS_STRUCTURED:
        change = content_attributes.flattened
    elif _IS_UNIFORM:
        change = content_attributes.uniform
    else:
        return attributes
    return {name: change(value) for name, value in attributes.items()}
