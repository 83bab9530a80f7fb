"""Log events of a call: the details of an inference, and the exception of a failure.

Both are emitted through the Logs API in the context of the call's span, so they have its trace id.
SDKs before 1.37 accept only records of their own class. That class has no event name before 1.35
and no structured attributes before 1.32: there the name is an attribute and content is JSON text.
SDKs before about 1.40 drop lists of mixed types: there such lists are JSON text.
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs as otel_logs
from opentelemetry import attributes as otel_attributes
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber

from tokentrail.config import MetricNames
from tokentrail.model.operations import INFERENCES, WITH_DETAILS_EVENT
from tokentrail.telemetry import semconv, spans
from tokentrail.version import __version__

if TYPE_CHECKING:
    from opentelemetry._logs import Logger, LoggerProvider
    from opentelemetry.context import Context

    from tokentrail.config import Settings
    from tokentrail.content import Content
    from tokentrail.model.records import Operation, Request
    from tokentrail.telemetry import content_attributes
else:
    from tokentrail.support.lazy import LateModule

    content_attributes = LateModule("telemetry.content_attributes")

_HAS_NAME = "event_name" in inspect.signature(LogRecord.__init__).parameters
_IS_STRUCTURED = (
    _HAS_NAME
    or "extended_attributes"
    in inspect.signature(otel_attributes.BoundedAttributes.__init__).parameters
)
_IS_UNIFORM = hasattr(otel_attributes, "_clean_extended_attribute_value")


class Events:
    """Emits the events of calls through the given logger provider, or the global one."""

    def __init__(self, provider: LoggerProvider | None, settings: Settings) -> None:
        self._provider = provider
        self._logger: Logger = otel_logs.get_logger(
            "tokentrail", __version__, provider, semconv.SCHEMA_URL
        )
        wanted, on_events = settings.emit_event, settings.capture_content.on_events
        self.emits_details = on_events if wanted is None else wanted
        """Whether the event with the details of an inference is emitted."""
        self._exceptions = wanted is not False
        self._renames = settings.metric_names is MetricNames.LATEST
        """Whether exception events of inferences have the name of the latest conventions."""
        self._content = on_events and self._exceptions
        """Whether events contain content; never if events are disabled."""

    def stop_content(self) -> None:
        """Leave content out of all events from now on."""
        self._content = False

    @property
    def want_any(self) -> bool:
        """Whether any event would be received, at least that of a failure."""
        return self._exceptions and self._is_enabled()

    @property
    def want_content(self) -> bool:
        """Whether any event contains content, at least that of a failure, and would be received."""
        return self._content and self._is_enabled()

    def _want_details(self, request: Request) -> bool:
        return self.emits_details and request.operation in WITH_DETAILS_EVENT and self._is_enabled()

    def _is_enabled(self) -> bool:
        enabled = getattr(self._logger, "enabled", None)
        if enabled is not None:
            return bool(enabled())
        # Older loggers have no enabled(); the API's own providers drop everything.
        provider = self._provider or otel_logs.get_logger_provider()
        return not type(provider).__module__.startswith("opentelemetry._logs")

    def details(
        self,
        operation: Operation,
        content: Content | None,
        context: Context,
        learned: spans.Attributes,
    ) -> LogRecord | None:
        """Return the record of an inference's details without emitting it; ``None`` if disabled.

        ``learned``: attributes that only others know.
        """
        if not self._want_details(operation.request):
            return None
        attributes: dict[str, Any] = {
            **spans.start_attributes(operation.request),
            **spans.end_attributes(operation),
        }
        attributes.update(learned)
        if content is not None and self._content:
            attributes.update(content_attributes.content_attributes(content))
        record = self._record(semconv.DETAILS_EVENT, attributes, operation, context)
        record.severity_number = SeverityNumber.DEBUG
        record.severity_text = "DEBUG"
        return record

    def exception(self, operation: Operation, context: Context) -> LogRecord | None:
        """Return the record of the exception a call failed with; ``None`` if there is none.

        The conventions recommend this event, so it is emitted unless events are disabled. Its
        message and stack trace may quote the request, so they are recorded only if content is.
        """
        raised = operation.raised
        if raised is None or not self._exceptions:
            return None
        attributes: dict[str, Any] = {
            **spans.start_attributes(operation.request),
            semconv.EXCEPTION_TYPE: raised.type,
        }
        if operation.error_type is not None:
            attributes[semconv.ERROR_TYPE] = operation.error_type
        if self._content and raised.message is not None:
            attributes[semconv.EXCEPTION_MESSAGE] = raised.message
        if self._content and raised.stacktrace is not None:
            attributes[semconv.EXCEPTION_STACKTRACE] = raised.stacktrace
        is_renamed = self._renames and operation.request.operation in INFERENCES
        name = semconv.INFERENCE_EXCEPTION_EVENT if is_renamed else semconv.EXCEPTION_EVENT
        record = self._record(name, attributes, operation, context)
        record.severity_number = SeverityNumber.WARN
        record.severity_text = "WARN"
        return record

    def emit(self, record: LogRecord | None) -> None:
        """Emit ``record``, unless it is ``None``."""
        if record is not None:
            self._logger.emit(record)

    def _record(
        self, name: str, attributes: dict[str, Any], operation: Operation, context: Context
    ) -> LogRecord:
        facts: dict[str, Any] = {"timestamp": operation.end_time}
        if _HAS_NAME:
            facts.update(event_name=name, context=context)
        else:
            place = trace.get_current_span(context).get_span_context()
            facts.update(
                trace_id=place.trace_id, span_id=place.span_id, trace_flags=place.trace_flags
            )
            attributes[semconv.EVENT_NAME] = name
        return self._made(attributes, facts)

    def _made(self, attributes: dict[str, Any], facts: dict[str, Any]) -> LogRecord:
        if not _IS_STRUCTURED:
            attributes = {
                name: content_attributes.flattened(value) for name, value in attributes.items()
            }
        elif _IS_UNIFORM:
            attributes = {
                name: content_attributes.uniform(value) for name, value in attributes.items()
            }
        kind = getattr(sys.modules.get("opentelemetry.sdk._logs"), "LogRecord", None)
        resource = getattr(self._provider or otel_logs.get_logger_provider(), "resource", None)
        if kind is None or resource is None or hasattr(kind, "_from_api_log_record"):
            return LogRecord(attributes=attributes, **facts)
        record: LogRecord = kind(resource=resource, attributes=attributes, **facts)
        return record
