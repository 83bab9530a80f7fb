"""How a call is emitted: spans, metrics and events over one Operation and its content."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import _logs as otel_logs
from opentelemetry import trace

from tokentrail.model.records import Usage
from tokentrail.support import guard
from tokentrail.telemetry import completion_hook, genai_util, internal_metrics, semconv, spans
from tokentrail.telemetry.context import EnclosingCall, without_instrumentation
from tokentrail.telemetry.events import Events
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
    from tokentrail.telemetry.internal_metrics import Measured
    from tokentrail.telemetry.spans import Attributes, SpanTemplate

_METRICS_SHIELD = guard.shield("metrics")
_EVENTS_SHIELD = guard.shield("events")
_INNER_SHIELD = guard.shield("inner attributes")
_COMPLETION_HOOK_SHIELD = guard.shield("completion hook")
"""Made once: each takes as long to make as to enter."""

PROVIDERS: Final = ("tracer_provider", "meter_provider", "logger_provider")
"""Keywords that name the providers."""
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
        """``current``: returns what internal metrics are about."""
        from opentelemetry import metrics

        self.tracer = trace.get_tracer(
            "tokentrail", __version__, tracer_provider, semconv.SCHEMA_URL
        )
        self.meter_provider = provider = meter_provider or metrics.get_meter_provider()
        self.providers = (tracer_provider, meter_provider, logger_provider)
        """Those that were given; ``None``: the global one."""
        meter = provider.get_meter("tokentrail", __version__, semconv.SCHEMA_URL)
        self.outputs = ContentOutputs(logger_provider, settings)
        self.captures_content = self.outputs.captures_content
        """Whether content may be wanted at all."""
        # First, since its callback drains the worker before those of the totals.
        internal_metrics.observe(provider, meter, current)
        self.metrics = Metrics(provider, meter, settings)
        self.templates = SpanTemplates()
        self.provider_flush = ProviderFlush(tracer_provider, logger_provider)

    def different_providers(self, asked: Mapping[str, object]) -> list[str]:
        """Return the names of providers that are ``asked`` for and not in use."""
        from opentelemetry import metrics

        current = (
            trace.get_tracer_provider,
            metrics.get_meter_provider,
            otel_logs.get_logger_provider,
        )
        in_use = zip(PROVIDERS, self.providers, current, strict=True)
        return [
            name
            for name, provider, get_global in in_use
            if asked.get(name) is not None and asked[name] is not (provider or get_global())
        ]

    def inform_of_no_provider(self) -> None:
        """Log once that no provider takes anything: to use the API alone may be meant so."""
        from opentelemetry import metrics

        current = (trace.get_tracer_provider, metrics.get_meter_provider)
        pairs = zip(self.providers[:2], current, strict=True)
        if not any(given or _is_sdk(get_global()) for given, get_global in pairs):
            guard.inform_once(
                "no provider",
                "Calls of openai are recorded, and go nowhere: there is no tracer or meter "
                "provider. Run the program under opentelemetry-instrument, or set one up, as with "
                "opentelemetry.trace.set_tracer_provider().",
            )

    def stop_content(self) -> None:
        """Record no content from now on, also of calls that have not ended."""
        self.captures_content = False
        self.outputs.stop_content()

    @property
    def has_hook(self) -> bool:
        """Whether the user's completion hook runs for each call."""
        return self.outputs.hook is not None

    def start(self, request: Request, parent: Context, *, delegated: bool = False) -> CallTelemetry:
        """Start the telemetry of a call whose request is about to be issued in ``parent``.

        ``delegated``: another instrumentation records it, and there shall be no span of ours.
        """
        start_time, template = time.time_ns(), self.templates.of(request)
        joins = genai_util.MODULE in sys.modules  # else there is nobody to join
        record = genai_util.find_shared_record(request.operation, parent) if joins else None
        if delegated or record is not None:
            span = trace.get_current_span(parent)
            context = trace.set_span_in_context(span, parent)  # by which its place is known
            return JoinedCallTelemetry(self, template, span, context, start_time, record)
        attributes = template.started.copy()
        if request.attribution:
            attributes = {**dict(request.attribution), **attributes}
        span = self.tracer.start_span(
            template.name, parent, trace.SpanKind.CLIENT, attributes, start_time=start_time
        )
        context = trace.set_span_in_context(span, parent)
        if joins:
            context, record = genai_util.create_shared_record(request.operation, context)
        return CallTelemetry(self, template, span, context, start_time, record)


def _is_sdk(provider: object) -> bool:
    """Whether it is more than the API's own providers, which pass on to nobody."""
    return not type(provider).__module__.startswith(
        ("opentelemetry.trace", "opentelemetry.metrics")
    )


class ContentOutputs:
    """Where content and events go."""

    def __init__(self, logger_provider: LoggerProvider | None, settings: Settings) -> None:
        self.events = Events(logger_provider, settings)
        self.hook = None if settings.withhold else completion_hook.load()
        self.on_spans = settings.capture_content.on_spans
        self.redacts = settings.redact is not None
        """Whether a function of the user's changes content."""
        self.captures_content = (
            self.on_spans or settings.capture_content.on_events or self.hook is not None
        )
        self.needs_details = self.events.emits_details or self.hook is not None
        """Whether there is something to emit of a call that went well."""

    def stop_content(self) -> None:
        """Let content go nowhere from now on."""
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
    """Whether it wants a stream's usage chunk by chunk, by :meth:`publish_partial_usage`."""
    records_gaps = True
    """Whether gaps between chunks are recorded here."""

    def __init__(
        self,
        emitter: Emitter,
        template: SpanTemplate,
        span: Span,
        context: Context,
        start_time: int,
        record: genai_util.Record | None,
    ) -> None:
        self._context = context  # as the class above would, without being entered
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
        """Whether anybody would see it: the span is recorded, or there are metrics or events."""
        self.needs_details = recording or outputs.needs_details or record is not None
        """Whether more of it is emitted than points have: on the span, in events, to others."""

    def publish_partial_usage(self, usage: Usage) -> None:
        """Take what is known of the usage of a stream."""

    def discard(self) -> None:
        """End the span of a call that is not made, or whose end failed."""
        if self.span.is_recording():
            self.span.end()

    def record_gaps(
        self, gaps: Iterator[float], request: Request, model: str | None
    ) -> Iterator[None]:
        """Record gaps between chunks, in seconds; yield after every few."""
        return self._metrics.gaps(gaps, request, model, self._context)

    def record_comparison(self, usage: Usage, request: Request, model: str | None) -> None:
        """Record how counts compare with the reports they stand beside."""
        self._metrics.compare(usage, request, model, self._context)

    @property
    def wants_content(self) -> bool:
        """Whether anybody would see the content of this call."""
        outputs = self._outputs
        return (
            outputs.hook is not None
            or (outputs.on_spans and self.span.is_recording())
            or outputs.events.want_content
        )

    def finish(self, operation: Operation, content: Content | None) -> None:
        """Emit the whole call and end its span; each part even if the others fail.

        ``content``: what was said, where anybody is to see it.
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
            # What redact left of the request is this call's alone.
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
        """Return ``operation`` for metrics, and what others inside it knew beside."""
        with _INNER_SHIELD:
            learned = genai_util.inner_attributes(self._record, operation)
            return genai_util.with_inner_labels(self._record, operation), learned
        return operation, _NOTHING

    def _emit_events(
        self, operation: Operation, content: Content | None, learned: Attributes
    ) -> None:
        """Emit events; the hook first, since it may write on what is emitted after it."""
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
    """Return the operation as metrics have it where another process records its usage."""
    return replace(operation, usage=_NO_USAGE, tools=())


class JoinedCallTelemetry(CallTelemetry):
    """A call that another instrumentation records.

    Ours are only our own counters, and what the other one's span gains: through the record that
    it put into the context, or else by attributes under our own names on the span that was
    current when the call was made.
    """

    __slots__ = ("records_gaps", "wants_partial_usage")

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.wants_partial_usage = self._record is not None
        # In metrics that the other one has not.
        self.records_gaps = self._record is not None and self._metrics.has_more
        self.is_observed = True  # the other one may see it

    def discard(self) -> None:
        """Leave the span to whom it belongs."""

    def record_gaps(
        self, gaps: Iterator[float], request: Request, model: str | None
    ) -> Iterator[None]:
        """Record gaps between chunks, in seconds; yield after every few."""
        return self._metrics.gaps(gaps, request, model, self._context, joined=True)

    def publish_partial_usage(self, usage: Usage) -> None:
        """Take what is known of the usage of a stream."""
        if self._record is not None:
            genai_util.publish_usage(self._record, usage, spans_only=self._metrics.only_reported)

    @property
    def wants_content(self) -> bool:
        """Whether anybody would see the content of this call: the other one sees to that."""
        return False

    def finish(self, operation: Operation, content: Content | None) -> None:
        """Record the call in our own counters, and publish what it was to the other one."""
        with _METRICS_SHIELD:
            counted = _without_usage(operation) if operation.spans_only else operation
            self._metrics.finish_own(counted, self._context, joined=self._record is not None)
        if not self.needs_details:
            return
        told = {**spans.start_attributes(operation.request), **spans.end_attributes(operation)}
        if self._record is not None:
            genai_util.publish(
                self._record, operation, told, spans_only=self._metrics.only_reported
            )
            self._record.metric_attributes.update(self._metrics.asked(operation.request))
        elif self.span.is_recording():
            self.span.set_attributes(genai_util.namespaced_attributes(operation, told))
