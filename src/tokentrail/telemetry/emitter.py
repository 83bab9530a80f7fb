"""Emits the telemetry of a call: span, metrics and events of one Operation and its content."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from tokentrail.config import COMPLETION_HOOK
from tokentrail.model.records import Usage
from tokentrail.support import guard
from tokentrail.support.lazy import LateModule
from tokentrail.telemetry import coexistence, internal_metrics, semconv, spans
from tokentrail.telemetry.context import EnclosingCall, without_instrumentation
from tokentrail.telemetry.events import Events, global_provider
from tokentrail.telemetry.metrics.recording import Metrics
from tokentrail.telemetry.provider_flush import ProviderFlush
from tokentrail.telemetry.spans import SpanTemplates
from tokentrail.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from tokentrail.config import Settings
    from tokentrail.content import Content
    from tokentrail.model.records import Operation, Request
    from tokentrail.telemetry import completion_hook, genai_util
    from tokentrail.telemetry.internal_metrics import Measured
    from tokentrail.telemetry.spans import Attributes, SpanTemplate
else:
    completion_hook = LateModule("telemetry.completion_hook")
    genai_util = LateModule("telemetry.genai_util")

_METRICS_SHIELD = guard.shield("metrics")
_EVENTS_SHIELD = guard.shield("events")
_INNER_SHIELD = guard.shield("inner attributes")
_COMPLETION_HOOK_SHIELD = guard.shield("completion hook")
"""Created once: creating a shield takes as long as entering it."""

PROVIDERS: Final = ("tracer_provider", "meter_provider", "logger_provider")
"""The keywords of the providers."""
_CLIENT: Final = trace.SpanKind.CLIENT
_NO_USAGE: Final = Usage()
_NOTHING: dict[str, Any] = {}


class Emitter:
    """Emits calls through the given providers, or the global ones."""

    def __init__(
        self,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        logger_provider: LoggerProvider | None,
        settings: Settings,
        current: Callable[[], Measured | None],
    ) -> None:
        """``current`` returns the object that internal metrics measure."""
        from opentelemetry import metrics

        self.tracer = trace.get_tracer(
            "tokentrail", __version__, tracer_provider, semconv.SCHEMA_URL
        )
        self.meter_provider = provider = meter_provider or metrics.get_meter_provider()
        self.providers = (tracer_provider, meter_provider, logger_provider)
        """The providers as passed; ``None`` means the global one."""
        meter = provider.get_meter("tokentrail", __version__, semconv.SCHEMA_URL)
        self.outputs = ContentOutputs(logger_provider, settings)
        self.captures_content = self.outputs.captures_content
        """Whether any output may record content."""
        # First, so that its callback drains the worker before the callbacks of the totals.
        internal_metrics.observe(provider, meter, current)
        self.metrics = Metrics(provider, meter, settings)
        self.templates = SpanTemplates()
        self.provider_flush = ProviderFlush(tracer_provider, logger_provider)

    def different_providers(self, asked: Mapping[str, object]) -> list[str]:
        """Return the names of the providers in ``asked`` that are not in use."""
        from opentelemetry import metrics

        current = (
            trace.get_tracer_provider,
            metrics.get_meter_provider,
            global_provider,
        )
        in_use = zip(PROVIDERS, self.providers, current, strict=True)
        return [
            name
            for name, provider, get_global in in_use
            if asked.get(name) is not None and asked[name] is not (provider or get_global())
        ]

    def inform_of_no_provider(self) -> None:
        """Log once, as information, that no provider is set: using only the API may be intended."""
        from opentelemetry import metrics

        current = (trace.get_tracer_provider, metrics.get_meter_provider)
        pairs = zip(self.providers[:2], current, strict=True)
        if not any(given or _is_sdk(get_global()) for given, get_global in pairs):
            guard.inform_once(
                "no provider",
                "No call of openai is exported: there is no tracer or meter provider. Run the "
                "program under opentelemetry-instrument, or set a provider, for example with "
                "opentelemetry.trace.set_tracer_provider().",
            )

    def stop_content(self) -> None:
        """From now on record no content, not even of open calls."""
        self.captures_content = False
        self.outputs.stop_content()

    @property
    def has_hook(self) -> bool:
        """Whether a completion hook of the user runs for each call."""
        return self.outputs.hook is not None

    def start(self, request: Request, parent: Context, *, delegated: bool = False) -> CallTelemetry:
        """Start the telemetry of a call whose request is about to be sent in ``parent``.

        ``delegated``: another instrumentation records the call, so no span of ours is started.
        """
        start_time, template = time.time_ns(), self.templates.of(request)
        joins = coexistence.PROTOCOL in sys.modules  # otherwise there is nothing to join
        record = genai_util.find_shared_record(request.operation, parent) if joins else None
        if delegated or record is not None:
            span = trace.get_current_span(parent)
            context = trace.set_span_in_context(span, parent)  # marks its place in the trace
            return JoinedCallTelemetry(self, template, span, context, start_time, record)
        attributes = template.started.copy()
        if request.attribution:
            attributes = {**dict(request.attribution), **attributes}
        span = self.tracer.start_span(
            template.name, parent, _CLIENT, attributes, start_time=start_time
        )
        context = trace.set_span_in_context(span, parent)
        if joins:
            context, record = genai_util.create_shared_record(request.operation, context)
        return CallTelemetry(self, template, span, context, start_time, record)


def _is_sdk(provider: object) -> bool:
    """Whether a provider is not one of the API's own, which drop everything."""
    return not type(provider).__module__.startswith(
        ("opentelemetry.trace", "opentelemetry.metrics")
    )


class ContentOutputs:
    """The outputs of content and events."""

    def __init__(self, logger_provider: LoggerProvider | None, settings: Settings) -> None:
        self.events = Events(logger_provider, settings)
        has_hook = bool(os.environ.get(COMPLETION_HOOK)) and not settings.withhold
        self.hook = completion_hook.load() if has_hook else None
        self.on_spans = settings.capture_content.on_spans
        self.redacts = settings.redact is not None
        """Whether a function of the user redacts content."""
        self.captures_content = (
            self.on_spans or settings.capture_content.on_events or self.hook is not None
        )
        self.needs_details = self.events.emits_details or self.hook is not None
        """Whether events or a hook need the details of successful calls."""

    def stop_content(self) -> None:
        """From now on output no content."""
        self.on_spans = self.captures_content = False
        self.hook = None
        self.events.stop_content()


class CallTelemetry(EnclosingCall):
    """The telemetry of one call, from its start to its end."""

    __slots__ = (
        "_is_recording", "_metrics", "_outputs", "_record", "_template", "_templates",
        "is_observed", "needs_details", "span", "start_time",
    )  # fmt: skip

    wants_partial_usage = False
    """Whether :meth:`publish_partial_usage` needs a stream's usage after each chunk."""
    records_gaps = True
    """Whether gaps between chunks are recorded."""

    def __init__(
        self,
        emitter: Emitter,
        template: SpanTemplate,
        span: Span,
        context: Context,
        start_time: int,
        record: genai_util.Record | None,
    ) -> None:
        self._context = context  # as the __init__ of the base class, without the call
        self.client = self.body_reader = self._tokens = None
        self._metrics = metrics = emitter.metrics
        self._outputs = outputs = emitter.outputs
        self._templates = emitter.templates
        self._template = template
        self.span = span
        """The span of the call."""
        self.start_time = start_time
        """Nanoseconds since the epoch."""
        self._record = record
        self._is_recording = recording = span.is_recording()
        self.is_observed = (
            recording or metrics.is_observed or outputs.hook is not None or outputs.events.want_any
        )
        """Whether anything is recorded: the span, metrics, or events."""
        self.needs_details = recording or outputs.needs_details or record is not None
        """Whether more than metric points is emitted: on the span, in events, or to others."""

    def publish_partial_usage(self, usage: Usage) -> None:
        """Publish the usage of a stream so far."""

    def discard(self) -> None:
        """End the span of a call that was not made, or whose end failed."""
        if self.span.is_recording():
            self.span.end()

    def record_gaps(
        self, gaps: Iterator[float], request: Request, model: str | None
    ) -> Iterator[None]:
        """Record gaps between chunks, in seconds; yield after every few."""
        return self._metrics.gaps(gaps, request, model, self._context)

    def record_comparison(self, usage: Usage, request: Request, model: str | None) -> None:
        """Record how counts compare with the reports of the same call."""
        self._metrics.compare(usage, request, model, self._context)

    @property
    def wants_content(self) -> bool:
        """Whether the content of this call would be recorded."""
        outputs = self._outputs
        return (
            outputs.hook is not None
            or (outputs.on_spans and self.span.is_recording())
            or outputs.events.want_content
        )

    def finish(self, operation: Operation, content: Content | None) -> None:
        """Emit the whole call and end its span; each part is emitted even if others fail.

        ``content``: the content, if it is recorded.
        """
        labelled, learned, shared = operation, _NOTHING, None
        if self._record is not None:
            labelled, learned = self._enriched(operation)
        try:
            metrics = self._metrics
            if metrics.is_observed:
                if operation.spans_only:
                    labelled = _without_usage(labelled)
                metrics.batch.add(partial(metrics.record, labelled, self._context))
            # A redacted request is not shared with other calls.
            if self._is_recording and not (content and self._outputs.redacts):
                shared = self._templates.end_attributes(self._template, operation)
        except BaseException as error:
            if not _METRICS_SHIELD.takes(error):
                raise
        finally:
            try:
                if operation.raised is not None or self._outputs.needs_details:
                    with _EVENTS_SHIELD:
                        self._emit_events(operation, content, learned)
            finally:
                on_span = content if self._outputs.on_spans else None
                spans.finish(self.span, operation, shared, on_span, learned)

    def _enriched(self, operation: Operation) -> tuple[Operation, Attributes]:
        """Return ``operation`` with labels of inner instrumentations, and their attributes."""
        with _INNER_SHIELD:
            learned = genai_util.inner_attributes(self._record, operation)
            return genai_util.with_inner_labels(self._record, operation), learned
        return operation, _NOTHING

    def _emit_events(
        self, operation: Operation, content: Content | None, learned: Attributes
    ) -> None:
        """Emit events, after the hook: it may modify the event with the details."""
        events, hook = self._outputs.events, self._outputs.hook
        details = events.details(operation, content, self._context, learned)
        with _COMPLETION_HOOK_SHIELD:
            if hook is not None and content is not None:
                with without_instrumentation():
                    hook.completed(content, self.span, details)
        if operation.raised is not None:
            events.emit(events.exception(operation, self._context))
        if details is not None:
            events.emit(details)


def _without_usage(operation: Operation) -> Operation:
    """Return the operation without usage, for metrics: another process records the usage."""
    return replace(operation, usage=_NO_USAGE, tools=())


class JoinedCallTelemetry(CallTelemetry):
    """A call that another instrumentation records.

    We record only our own counters, and add to the other instrumentation's span: through the record
    that it put into the context, or else as attributes with our own names on the span that was
    current when the call was made.
    """

    __slots__ = ("records_gaps", "wants_partial_usage")

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.wants_partial_usage = self._record is not None
        # Recorded in metrics that the other instrumentation lacks.
        self.records_gaps = self._record is not None and self._metrics.has_more
        self.is_observed = True  # the other instrumentation may use it

    def discard(self) -> None:
        """Do nothing: the span belongs to the other instrumentation."""

    def record_gaps(
        self, gaps: Iterator[float], request: Request, model: str | None
    ) -> Iterator[None]:
        """Record gaps between chunks, in seconds; yield after every few."""
        return self._metrics.gaps(gaps, request, model, self._context, joined=True)

    def publish_partial_usage(self, usage: Usage) -> None:
        """Publish the usage of a stream so far."""
        if self._record is not None:
            genai_util.publish_usage(self._record, usage, spans_only=self._metrics.only_reported)

    @property
    def wants_content(self) -> bool:
        """Return ``False``: the other instrumentation records the content."""
        return False

    def finish(self, operation: Operation, content: Content | None) -> None:
        """Record the call in our own counters, and publish it to the other instrumentation."""
        with _METRICS_SHIELD:
            counted = _without_usage(operation) if operation.spans_only else operation
            self._metrics.finish_own(counted, self._context, joined=self._record is not None)
        if not self.needs_details:
            return
        all_attributes = {
            **spans.start_attributes(operation.request),
            **spans.end_attributes(operation),
        }
        if self._record is not None:
            genai_util.publish(
                self._record, operation, all_attributes, spans_only=self._metrics.only_reported
            )
            self._record.metric_attributes.update(self._metrics.asked(operation.request))
        elif self.span.is_recording():
            self.span.set_attributes(genai_util.namespaced_attributes(operation, all_attributes))
