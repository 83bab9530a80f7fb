"""Log events of a call: the details of an inference, and the exception of a failure.

Both are emitted through the Logs API in the context of the call's span, so they have its trace id.
That API takes as long to import as 15 modules of ours. It is not imported here: who sets a provider
of log records imports it before.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from tokentrail.config import MetricNames
from tokentrail.model.operations import INFERENCES, WITH_DETAILS_EVENT
from tokentrail.support.lazy import LateModule, import_once
from tokentrail.telemetry import semconv, spans
from tokentrail.version import __version__

if TYPE_CHECKING:
    from opentelemetry._logs import Logger, LoggerProvider, LogRecord
    from opentelemetry.context import Context

    from tokentrail.config import Settings
    from tokentrail.content import Content
    from tokentrail.model.records import Operation, Request
    from tokentrail.telemetry import content_attributes, log_records
else:
    content_attributes = LateModule("telemetry.content_attributes")
    log_records = LateModule("telemetry.log_records")

_API = "opentelemetry._logs"
_PROVIDER = "OTEL_PYTHON_LOGGER_PROVIDER"
"""The variable that names a global provider, which the API makes when it is first asked."""


def global_provider() -> LoggerProvider | None:
    """Return the global provider of log records; ``None`` if nobody can have set one yet."""
    get: Any = getattr(sys.modules.get(_API), "get_logger_provider", None)
    provider: LoggerProvider | None = None if get is None else get()
    return provider


class Events:
    """Emits the events of calls through the given logger provider, or the global one."""

    def __init__(self, provider: LoggerProvider | None, settings: Settings) -> None:
        if _PROVIDER in os.environ:
            import_once(_API)
        self._given = provider
        self._found: Logger | None = None
        if self._find_logger() is not None:
            import_once("tokentrail.telemetry.log_records")
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

    @property
    def _provider(self) -> LoggerProvider | None:
        return self._given or global_provider()

    def _find_logger(self) -> Logger | None:
        """Return our logger; ``None`` if nobody can have set a provider yet."""
        if self._found is None and (provider := self._provider) is not None:
            self._found = provider.get_logger("tokentrail", __version__, semconv.SCHEMA_URL)
        return self._found

    def _is_enabled(self) -> bool:
        logger = self._find_logger()
        if logger is None:
            return False
        enabled = getattr(logger, "enabled", None)
        if enabled is not None:
            return bool(enabled())
        # Older loggers have no enabled(); the API's own providers drop everything.
        return not type(self._provider).__module__.startswith(_API)

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
        return self._record(semconv.DETAILS_EVENT, "DEBUG", attributes, operation, context)

    def exception(self, operation: Operation, context: Context) -> LogRecord | None:
        """Return the record of the exception a call failed with; ``None`` if there is none.

        The conventions recommend this event, so it is emitted unless events are disabled. Its
        message and stack trace may quote the request, so they are recorded only if content is.
        """
        raised = operation.raised
        if raised is None or not self._exceptions or self._find_logger() is None:
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
        return self._record(name, "WARN", attributes, operation, context)

    def emit(self, record: LogRecord | None) -> None:
        """Emit ``record``, unless it is ``None``."""
        logger = self._find_logger()
        if record is not None and logger is not None:
            logger.emit(record)

    def _record(
        self,
        name: str,
        severity: str,
        attributes: dict[str, Any],
        operation: Operation,
        context: Context,
    ) -> LogRecord:
        resource = getattr(self._provider, "resource", None)
        time = operation.end_time
        return log_records.log_record(name, severity, attributes, time, context, resource)
