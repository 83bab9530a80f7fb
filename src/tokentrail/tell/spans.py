"""A call told as a span."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind, Status, StatusCode

from tokentrail.operation import Source
from tokentrail.tell import names, said

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

    from tokentrail.content import Content
    from tokentrail.operation import Count, Operation, Reported, Request, Usage

    Attributes = dict[str, AttributeValue]
    Columns = tuple[Callable[[Any], tuple[Any, ...]], tuple[str, ...]]


def _columns(table: tuple[tuple[str, str], ...]) -> Columns:
    """Return what reads all the fields of a table at once, and the attribute that each becomes."""
    return attrgetter(*(field for field, _ in table)), tuple(name for _, name in table)


_REQUEST: Final = _columns(names.REQUEST_ATTRIBUTES)
_RESPONSE: Final = _columns(names.RESPONSE_ATTRIBUTES)
_EXCHANGE: Final = _columns(names.EXCHANGE_ATTRIBUTES)
_FILTER: Final = _columns(names.FILTER_ATTRIBUTES)
_INPUT_DETAILS: Final = _columns(names.INPUT_DETAILS)
_OUTPUT_DETAILS: Final = _columns(names.OUTPUT_DETAILS)

_INPUT: Final = {
    Source.REPORTED: (names.INPUT_TOKENS, Source.REPORTED.value),
    Source.COUNTED: (names.INPUT_TOKENS, Source.COUNTED.value),
    Source.VISIBLE: (names.APPROXIMATED_INPUT, Source.VISIBLE.value),
    Source.APPROXIMATED: (names.APPROXIMATED_INPUT, Source.APPROXIMATED.value),
}
_OUTPUT: Final = {
    Source.REPORTED: (names.OUTPUT_TOKENS, Source.REPORTED.value),
    Source.COUNTED: (names.OUTPUT_TOKENS, Source.COUNTED.value),
    Source.VISIBLE: (names.VISIBLE_OUTPUT, Source.VISIBLE.value),
    Source.APPROXIMATED: (names.APPROXIMATED_OUTPUT, Source.APPROXIMATED.value),
}
"""Where a number of tokens stands by what it is worth, and the word for that."""


def start(tracer: Tracer, request: Request, parent: Context, start_time: int) -> Span:
    """Start the CLIENT span of ``request``, with what a sampler may want to see."""
    return tracer.start_span(
        _name(request), parent, SpanKind.CLIENT, initial(request), start_time=start_time
    )


def initial(request: Request) -> Attributes:
    """Return what a span bears from its start."""
    attributes: Attributes = dict(request.attribution)
    attributes[names.OPERATION_NAME] = request.operation
    attributes[names.PROVIDER_NAME] = request.endpoint.provider
    if request.model is not None:
        attributes[names.REQUEST_MODEL] = request.model
    if request.endpoint.address is not None:
        attributes[names.SERVER_ADDRESS] = request.endpoint.address
        if request.endpoint.port is not None:
            attributes[names.SERVER_PORT] = request.endpoint.port
    return attributes


def _name(request: Request) -> str:
    if request.model is None or request.response_id is not None:
        return request.operation
    return f"{request.operation} {request.model}"


def finish(span: Span, operation: Operation, content: Content | None, learned: Attributes) -> None:
    """Write what happened on ``span`` and end it at the operation's own end time.

    ``content``: what was said, where spans bear it; the status then has the exception's message.
    ``learned``: what is known from others.
    """
    try:
        if span.is_recording():
            span.set_attributes({**learned, **final(operation)})
            if operation.error_type is not None:
                span.set_status(Status(StatusCode.ERROR, _description(operation, content)))
            if content is not None:
                span.set_attributes(said.as_json(content))
    finally:
        span.end(operation.timing.end_time)


def _description(operation: Operation, content: Content | None) -> str | None:
    if content is None or operation.raised is None:
        return operation.error_description
    return operation.raised.message or operation.error_description


def final(operation: Operation) -> Attributes:
    """Return what a span bears at its end, beside content."""
    attributes: Attributes = {names.ENDING: operation.ending.value}
    _copy(operation.request, _REQUEST, attributes)
    if operation.request.stream:
        attributes["gen_ai.request.stream"] = True
    if operation.response is not None:
        _copy(operation.response, _RESPONSE, attributes)
        if operation.response.content_filter is not None:
            _copy(operation.response.content_filter, _FILTER, attributes)
    if operation.exchange is not None:
        _copy(operation.exchange, _EXCHANGE, attributes)
        if operation.exchange.content_filter is not None:
            _copy(operation.exchange.content_filter, _FILTER, attributes)
    if operation.timing.first_chunk is not None:
        attributes[names.TIME_TO_FIRST_CHUNK] = operation.timing.first_chunk
    if operation.error_type is not None:
        attributes[names.ERROR_TYPE] = operation.error_type
    if operation.usage_request is not None:
        attributes[names.USAGE_REQUEST] = operation.usage_request
    _add_usage(operation.usage, attributes)
    if operation.cost is not None:
        attributes[names.COST] = operation.cost
    return attributes


def _copy(record: object, columns: Columns, attributes: Attributes) -> None:
    read, bears = columns
    for name, value in zip(bears, read(record), strict=True):
        if value is not None:
            attributes[name] = value


def _copy_parts(reported: Reported, columns: Columns, attributes: Attributes) -> None:
    """Add the parts of a reported total; of any other total they are no parts."""
    read, bears = columns
    for name, value in zip(bears, read(reported), strict=True):
        if value:
            attributes[name] = value


def _add_usage(usage: Usage, attributes: Attributes) -> None:
    reported = usage.reported
    if (count := usage.input) is not None:
        name, attributes[names.INPUT_SOURCE] = _INPUT[count.source]
        _add(count, name, attributes)
        if reported is not None and count.source is Source.REPORTED:
            _copy_parts(reported, _INPUT_DETAILS, attributes)
    if (count := usage.output) is not None:
        name, attributes[names.OUTPUT_SOURCE] = _OUTPUT[count.source]
        _add(count, name, attributes)
        if reported is not None and count.source is Source.REPORTED:
            _copy_parts(reported, _OUTPUT_DETAILS, attributes)
    if usage.reported is not None and usage.reported.audio_seconds is not None:
        attributes[names.AUDIO_SECONDS] = usage.reported.audio_seconds
    if usage.counted_input is not None:
        _add(usage.counted_input, names.COUNTED_INPUT, attributes)
    if usage.counted_output is not None:
        _add(usage.counted_output, names.COUNTED_OUTPUT, attributes)


def _add(count: Count, name: str, attributes: Attributes) -> None:
    attributes[name] = count.tokens
    if count.encoding is not None:
        attributes[names.ENCODING] = count.encoding


def is_conventional(count: Count) -> bool:
    """Whether ``count`` is good enough to stand under a ``gen_ai.*`` name."""
    return count.source is Source.REPORTED or count.source is Source.COUNTED
