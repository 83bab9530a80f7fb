"""How a call is told: spans, metrics and events over one Operation, and what was said in it."""

from __future__ import annotations

import sys
import time
from contextvars import Context as Variables
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation

from tokentrail.support import guard
from tokentrail.telemetry import completion_hook, genai_util, internal_metrics, semconv, spans
from tokentrail.telemetry.events import Events
from tokentrail.telemetry.metrics.recording import Metrics
from tokentrail.telemetry.span_templates import SpanTemplates
from tokentrail.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import Token

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from tokentrail.call.recorder import Recorder
    from tokentrail.config import Settings
    from tokentrail.content import Content
    from tokentrail.model.records import Operation, Request, Usage
    from tokentrail.telemetry.span_templates import SpanTemplate
    from tokentrail.telemetry.spans import Attributes

_INSIDE: ContextVar[Telling | None] = ContextVar("tokentrail-inside", default=None)
"""The call that is on its way to the server."""
_NOTHING: dict[str, Any] = {}


def _suppressing() -> tuple[str, ...]:
    with suppress_instrumentation():
        return tuple(otel_context.get_current())


_SUPPRESSING = Variables().run(_suppressing)
"""The keys under which a context says that nothing in it shall be told."""


class Teller:
    """Tells calls through the given providers, or the global ones."""

    def __init__(
        self,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        logger_provider: LoggerProvider | None,
        settings: Settings,
    ) -> None:
        from opentelemetry import metrics  # noqa: PLC0415 - the name is wanted for our own module

        self._tracer = trace.get_tracer(
            "tokentrail", __version__, tracer_provider, semconv.SCHEMA_URL
        )
        provider = meter_provider or metrics.get_meter_provider()
        meter = provider.get_meter("tokentrail", __version__, semconv.SCHEMA_URL)
        self.saying = Saying(logger_provider, settings)
        self.captures = self.saying.captures
        """Whether content may be wanted at all."""
        # First, since its callback drains the worker before those of the totals.
        internal_metrics.observe(provider, meter)
        self.metrics = Metrics(provider, meter, settings)
        self.kinds = SpanTemplates()

    @property
    def has_hook(self) -> bool:
        """Whether telling runs the user's completion hook."""
        return self.saying.hook is not None

    def begin(
        self, request: Request, client: object, parent: Context, *, aside: bool = False
    ) -> Telling:
        """Start to tell a call of ``client`` whose request is about to be issued in ``parent``.

        ``aside``: another instrumentation tells it, and there shall be no span of ours.
        """
        start_time, kind = time.time_ns(), self.kinds.of(request)
        joins = genai_util.MODULE in sys.modules  # else there is nobody to join
        record = genai_util.find_shared_record(request.operation, parent) if joins else None
        if aside or record is not None:
            span = trace.get_current_span(parent)
            context = trace.set_span_in_context(span, parent)  # by which its place is known
            return Aside(self, kind, client, span, context, start_time, record)
        attributes = kind.started.copy()
        if request.attribution:
            attributes = {**dict(request.attribution), **attributes}
        span = self._tracer.start_span(
            kind.name, parent, trace.SpanKind.CLIENT, attributes, start_time=start_time
        )
        context = trace.set_span_in_context(span, parent)
        if joins:
            context, record = genai_util.create_shared_record(request.operation, context)
        return Telling(self, kind, client, span, context, start_time, record)


def wanting(client: object = None) -> Context | None:
    """Return the current context if it wants a call of ``client`` told and none tells it.

    The client's methods call one another; what another client does meanwhile, in a transport or
    a hook of the application's, are calls of its own.
    """
    context = otel_context.get_current()
    if any(map(context.get, _SUPPRESSING)):
        return None
    return context if _INSIDE.get() is None or inside(client) is None else None


def inside(client: object = None) -> Telling | None:
    """Return the call that a call of ``client`` belongs to here."""
    telling = _INSIDE.get()
    if telling is None or telling.client is None:
        return None
    return telling if client is None or client is telling.client else None


class Saying:
    """Where content and events go."""

    def __init__(self, logger_provider: LoggerProvider | None, settings: Settings) -> None:
        self.events = Events(logger_provider, settings)
        self.hook = None if settings.withhold else completion_hook.load()
        self.on_spans = settings.capture_content.on_spans
        self.captures = self.on_spans or settings.capture_content.on_events or self.hook is not None
        self.tells_details = self.events.tells_details or self.hook is not None
        """Whether there is something to say of a call that went well."""


class Telling:
    """One call being told."""

    __slots__ = (
        "_context", "_kind", "_kinds", "_metrics", "_places", "_record", "_saying", "client",
        "recorder", "span", "start_time",
    )  # fmt: skip

    follows = False
    """Whether it wants the usage of a stream chunk by chunk, by :meth:`so_far`."""
    tells_gaps = True
    """Whether gaps between chunks are told here."""

    def __init__(  # noqa: PLR0913, PLR0917 - what one call is told through
        self,
        teller: Teller,
        kind: SpanTemplate,
        client: object,
        span: Span,
        context: Context,
        start_time: int,
        record: genai_util.Record | None,
    ) -> None:
        self._metrics = teller.metrics
        self._saying = teller.saying
        self._kinds = teller.kinds
        self._kind = kind
        self.client: object | None = client
        """Who sends it; ``None`` once the answer is there."""
        self.recorder: Recorder | None = None
        """What records it, until then."""
        self.span = span
        """The span that tells the call."""
        self._context = context
        self.start_time = start_time
        """Nanoseconds since the epoch."""
        self._record = record
        self._places: tuple[Token[Context], Token[Telling | None]] | None = None
        """Where it was made current."""

    @property
    def heard(self) -> bool:
        """Whether anybody would be told: the span is recorded, or there are metrics or events."""
        saying = self._saying
        return (
            self.span.is_recording()
            or self._metrics.heard
            or saying.hook is not None
            or saying.events.want_any
        )

    @property
    def detailed(self) -> bool:
        """Whether more of it is told than points bear: on the span, in events, to others."""
        return self.span.is_recording() or self._saying.tells_details or self._record is not None

    def so_far(self, usage: Usage) -> None:
        """Take what is known of the usage of a stream."""

    def drop(self) -> None:
        """End the span of a call that is not made."""
        self.span.end()

    def attach(self) -> None:
        """Make the span current, and the call the one that others are inside of."""
        self._places = (otel_context.attach(self._context), _INSIDE.set(self))

    def detach(self) -> None:
        """Make current what was before :meth:`attach`, if we are still in its place.

        A coroutine that is closed or collected elsewhere has left that place for good. What happens
        from now on where it was made current (in tasks and callbacks) does not belong to it.
        """
        self.client = self.recorder = None
        if self._places is None:
            return
        token, inside = self._places
        self._places = None
        if otel_context.get_current() is self._context:
            otel_context.detach(token)
        try:  # noqa: SIM105 - suppress() takes as long as all else here
            _INSIDE.reset(inside)
        except ValueError:
            pass  # elsewhere

    def gaps(self, gaps: Iterator[float], request: Request, model: str | None) -> Iterator[None]:
        """Tell gaps between chunks, in seconds; yield after each."""
        return self._metrics.gaps(gaps, request, model, self._context)

    def compare(self, usage: Usage, request: Request, model: str | None) -> None:
        """Tell how counts compare with the reports they stand beside."""
        self._metrics.compare(usage, request, model, self._context)

    @property
    def wants_content(self) -> bool:
        """Whether anybody would be told what is said in this call."""
        saying = self._saying
        return (
            saying.hook is not None
            or (saying.on_spans and self.span.is_recording())
            or saying.events.want_content
        )

    def finish(self, operation: Operation, content: Content | None) -> None:
        """Tell the whole call and end its span; each part even if the others fail.

        ``content``: what was said, where anybody is to be told.
        """
        labelled, learned, shared = operation, _NOTHING, None
        if self._record is not None:
            labelled, learned = self._enriched(operation)
        try:
            self._metrics.finish(labelled, self._context)
            if self.span.is_recording():
                shared = self._kinds.ended(self._kind, operation)
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is not the application's
            guard.internal_error("metrics", error)
        finally:
            try:
                if operation.raised is not None or self._saying.tells_details:
                    self._say(operation, content, learned)
            except Exception as error:  # noqa: BLE001 - as above
                guard.internal_error("events", error)
            finally:
                on_span = content if self._saying.on_spans else None
                spans.finish(self.span, operation, shared, on_span, learned)

    def _enriched(self, operation: Operation) -> tuple[Operation, Attributes]:
        """Return ``operation`` for metrics, and what others inside it knew beside."""
        try:
            learned = genai_util.inner_attributes(self._record, operation)
            return genai_util.with_inner_labels(self._record, operation), learned
        except Exception as error:  # noqa: BLE001 - a stranger's record
            guard.internal_error("company", error)
            return operation, _NOTHING

    def _say(self, operation: Operation, content: Content | None, learned: Attributes) -> None:
        """Tell events; the hook first, since it may write on what is told after it."""
        events, hook = self._saying.events, self._saying.hook
        details = events.details(operation, content, self._context, learned)
        try:
            if hook is not None and content is not None:
                hook.completed(content, self.span, details)
        except Exception as error:  # noqa: BLE001 - the user's own code raised
            guard.internal_error("completion hook", error)
        if operation.raised is not None:
            events.emit(events.exception(operation, self._context))
        if details is not None:
            events.emit(details)


class Aside(Telling):
    """A call that another instrumentation tells.

    Ours are only our own counters, and what the other one's span gains: through the record that
    it put into the context, or else by attributes under our own names on the span that was
    current when the call was made.
    """

    __slots__ = ("follows", "tells_gaps")

    def __init__(self, *parts: Any) -> None:  # noqa: ANN401 - those of any call
        super().__init__(*parts)
        self.follows = self._record is not None
        # In metrics that the other one has not.
        self.tells_gaps = self._record is not None and self._metrics.tells_more

    @property
    def heard(self) -> bool:
        """Whether anybody would be told: the other one may be."""
        return True

    def drop(self) -> None:
        """Leave the span to whom it belongs."""

    def gaps(self, gaps: Iterator[float], request: Request, model: str | None) -> Iterator[None]:
        """Tell gaps between chunks, in seconds; yield after each."""
        return self._metrics.gaps(gaps, request, model, self._context, joined=True)

    def so_far(self, usage: Usage) -> None:
        """Take what is known of the usage of a stream."""
        if self._record is not None:
            genai_util.publish_usage(self._record, usage, spans_only=self._metrics.only_reported)

    @property
    def wants_content(self) -> bool:
        """Whether anybody would be told what is said in this call: the other one sees to that."""
        return False

    def finish(self, operation: Operation, content: Content | None) -> None:  # noqa: ARG002 - there is none
        """Tell the call in our own counters, and the other instrumentation what it was."""
        try:
            self._metrics.finish_own(operation, self._context, joined=self._record is not None)
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is not the application's
            guard.internal_error("metrics", error)
        if not self.detailed:
            return
        told = {**spans.start_attributes(operation.request), **spans.end_attributes(operation)}
        if self._record is not None:
            genai_util.publish(
                self._record, operation, told, spans_only=self._metrics.only_reported
            )
            self._record.metric_attributes.update(self._metrics.asked(operation.request))
        elif self.span.is_recording():
            self.span.set_attributes(genai_util.namespaced_attributes(operation, told))
