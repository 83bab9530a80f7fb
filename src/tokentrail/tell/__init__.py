"""How a call is told: spans, metrics and events over one Operation, and what was said in it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from tokentrail import guard
from tokentrail.sending import Sending
from tokentrail.tell import company, health, hook, names, spans
from tokentrail.tell.events import Events
from tokentrail.tell.metrics import Metrics
from tokentrail.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import Token

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from tokentrail.config import Settings
    from tokentrail.content import Content
    from tokentrail.operation import Operation, Request, Usage
    from tokentrail.tell.spans import Attributes

_INSIDE = otel_context.create_key("tokentrail-inside")
_NOTHING: dict[str, Any] = {}


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
            "tokentrail", __version__, tracer_provider, names.SCHEMA_URL
        )
        provider = meter_provider or metrics.get_meter_provider()
        meter = provider.get_meter("tokentrail", __version__, names.SCHEMA_URL)
        self._saying = Saying(logger_provider, settings)
        self.captures = self._saying.captures
        """Whether content may be wanted at all."""
        # First, since its callback drains the worker before those of the totals.
        health.observe(provider, meter)
        self._metrics = Metrics(provider, meter, settings)

    @property
    def has_hook(self) -> bool:
        """Whether telling runs the user's completion hook."""
        return self._saying.hook is not None

    def is_wanted(self, client: object = None) -> bool:
        """Whether the current context wants a call of ``client`` told, and none tells it already.

        The client's methods call one another; what another client does meanwhile, in a transport or
        a hook of the application's, are calls of its own.
        """
        return self.sending(client) is None and is_instrumentation_enabled()

    def sending(self, client: object = None) -> Sending | None:
        """Return the call that a call of ``client`` belongs to in the current context."""
        inside = otel_context.get_value(_INSIDE)
        if not isinstance(inside, Sending) or inside.client is None:
            return None
        return inside if client is None or client is inside.client else None

    def begin(self, request: Request, client: object, *, aside: bool = False) -> Telling:
        """Start to tell a call of ``client`` whose request is about to be issued.

        ``aside``: another instrumentation tells it, and there shall be no span of ours.
        """
        start_time = time.time_ns()
        parent, sending = otel_context.get_current(), Sending(client)
        joins = company.MODULE in sys.modules  # else there is nobody to join
        record = company.found(request.operation, parent) if joins else None
        if aside or record is not None:
            context = otel_context.set_value(_INSIDE, sending, parent)
            span = trace.get_current_span(parent)
            return Aside(span, context, sending, start_time, self._metrics, self._saying, record)
        span = spans.start(self._tracer, request, parent, start_time)
        context = trace.set_span_in_context(span, parent)
        if joins:
            context, record = company.offered(request.operation, context)
        context = otel_context.set_value(_INSIDE, sending, context)
        return Telling(span, context, sending, start_time, self._metrics, self._saying, record)


class Saying:
    """Where content and events go."""

    def __init__(self, logger_provider: LoggerProvider | None, settings: Settings) -> None:
        self.events = Events(logger_provider, settings)
        self.hook = None if settings.withhold else hook.load()
        self.on_spans = settings.capture_content.on_spans
        self.captures = self.on_spans or settings.capture_content.on_events or self.hook is not None
        self.tells_details = self.events.tells_details or self.hook is not None
        """Whether there is something to say of a call that went well."""


class Telling:
    """One call being told."""

    __slots__ = (
        "_context", "_metrics", "_record", "_saying", "follows", "sending", "span", "start_time",
        "tells_gaps",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913, PLR0917 - what one call is told through
        self,
        span: Span,
        context: Context,
        sending: Sending,
        start_time: int,
        metrics: Metrics,
        saying: Saying,
        record: company.Record | None,
    ) -> None:
        self._saying = saying
        self.span = span
        """The span that tells the call."""
        self._record = record
        self._context = context
        self.sending = sending
        """What those see who are called inside."""
        self._metrics = metrics
        self.start_time = start_time
        """Nanoseconds since the epoch."""
        self.follows = False
        """Whether it wants the usage of a stream chunk by chunk, by :meth:`so_far`."""
        self.tells_gaps = True
        """Whether gaps between chunks are told here."""

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

    def so_far(self, usage: Usage) -> None:
        """Take what is known of the usage of a stream."""

    def attach(self) -> Token[Context]:
        """Make the span current; return what :meth:`detach` wants."""
        return otel_context.attach(self._context)

    def detach(self, token: Token[Context]) -> None:
        """Make the context before :meth:`attach` current again, if we are still in its place.

        A coroutine that is closed or collected elsewhere has left that place for good.
        """
        self.sending.over()
        if otel_context.get_current() is self._context:
            otel_context.detach(token)

    def gaps(self, gaps: Iterator[float], request: Request, model: str | None) -> Iterator[None]:
        """Tell gaps between chunks, in seconds; yield after each."""
        return self._metrics.gaps(gaps, request, model, self._context)

    def compare(self, usage: Usage, request: Request, model: str | None) -> None:
        """Tell how counts compare with the reports they stand beside."""
        self._metrics.compare(usage, request, model, self._context)

    def wants_content(self, request: Request) -> bool:
        """Whether anybody would be told what is said in this call."""
        saying = self._saying
        return (
            saying.hook is not None
            or (saying.on_spans and self.span.is_recording())
            or saying.events.want_content(request)
        )

    def finish(self, operation: Operation, content: Content | None) -> None:
        """Tell the whole call and end its span; each part even if the others fail.

        ``content``: what was said, where anybody is to be told.
        """
        labelled, learned = operation, _NOTHING
        if self._record is not None:
            labelled, learned = self._enriched(operation)
        try:
            self._metrics.finish(labelled, self._context)
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is not the application's
            guard.report("metrics", error)
        finally:
            try:
                if operation.raised is not None or self._saying.tells_details:
                    self._say(operation, content, learned)
            except Exception as error:  # noqa: BLE001 - as above
                guard.report("events", error)
            finally:
                on_span = content if self._saying.on_spans else None
                spans.finish(self.span, operation, on_span, learned)

    def _enriched(self, operation: Operation) -> tuple[Operation, Attributes]:
        """Return ``operation`` for metrics, and what others inside it knew beside."""
        try:
            learned = company.learned(self._record, operation)
            return company.labelled(self._record, operation), learned
        except Exception as error:  # noqa: BLE001 - a stranger's record
            guard.report("company", error)
            return operation, _NOTHING

    def _say(self, operation: Operation, content: Content | None, learned: Attributes) -> None:
        """Tell events; the hook first, since it may write on what is told after it."""
        events, hook = self._saying.events, self._saying.hook
        details = events.details(operation, content, self._context, learned)
        try:
            if hook is not None and content is not None:
                hook.completed(content, self.span, details)
        except Exception as error:  # noqa: BLE001 - the user's own code raised
            guard.report("completion hook", error)
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

    __slots__ = ()

    def __init__(self, *parts: Any) -> None:  # noqa: ANN401 - those of any call
        super().__init__(*parts)
        self.follows = self._record is not None
        # In metrics that the other one has not.
        self.tells_gaps = self._record is not None and self._metrics.tells_more

    @property
    def heard(self) -> bool:
        """Whether anybody would be told: the other one may be."""
        return True

    def gaps(self, gaps: Iterator[float], request: Request, model: str | None) -> Iterator[None]:
        """Tell gaps between chunks, in seconds; yield after each."""
        return self._metrics.gaps(gaps, request, model, self._context, joined=True)

    def so_far(self, usage: Usage) -> None:
        """Take what is known of the usage of a stream."""
        if self._record is not None:
            company.publish_usage(self._record, usage, spans_only=self._metrics.only_reported)

    def wants_content(self, request: Request) -> bool:  # noqa: ARG002 - the signature of all
        """Whether anybody would be told what is said in this call: the other one sees to that."""
        return False

    def finish(self, operation: Operation, content: Content | None) -> None:  # noqa: ARG002 - there is none
        """Tell the call in our own counters, and the other instrumentation what it was."""
        try:
            self._metrics.finish_own(operation, self._context, joined=self._record is not None)
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises is not the application's
            guard.report("metrics", error)
        told = {**spans.initial(operation.request), **spans.final(operation)}
        if self._record is not None:
            company.publish(self._record, operation, told, spans_only=self._metrics.only_reported)
            self._record.metric_attributes.update(self._metrics.asked(operation.request))
        elif self.span.is_recording():
            self.span.set_attributes(company.own(operation, told))
