"""A call told as a span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind, Status, StatusCode

from tokentrail.operation import Source
from tokentrail.tell import names, said

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

    from tokentrail.content import Content
    from tokentrail.operation import Count, Operation, Reported, Request, Usage

    Attributes = dict[str, AttributeValue]


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


def finish(span: Span, operation: Operation, content: Content | None) -> None:
    """Write what happened on ``span`` and end it at the operation's own end time.

    ``content``: what was said, where spans bear it; the status then has the exception's message.
    """
    try:
        if span.is_recording():
            span.set_attributes(final(operation))
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
    _copy(operation.request, names.REQUEST_ATTRIBUTES, attributes)
    if operation.request.stream:
        attributes["gen_ai.request.stream"] = True
    if operation.response is not None:
        _copy(operation.response, names.RESPONSE_ATTRIBUTES, attributes)
    if operation.timing.first_chunk is not None:
        attributes[names.TIME_TO_FIRST_CHUNK] = operation.timing.first_chunk
    if operation.error_type is not None:
        attributes[names.ERROR_TYPE] = operation.error_type
    if operation.usage_request is not None:
        attributes[names.USAGE_REQUEST] = operation.usage_request
    _add_usage(operation.usage, attributes)
    return attributes


def _copy(record: object, table: tuple[tuple[str, str], ...], attributes: Attributes) -> None:
    for field, name in table:
        value = getattr(record, field)
        if value is not None:
            attributes[name] = value


def _copy_parts(
    reported: Reported, table: tuple[tuple[str, str], ...], attributes: Attributes
) -> None:
    """Add the parts of a reported total; of any other total they are no parts."""
    for field, name in table:
        if value := getattr(reported, field):
            attributes[name] = value


def _add_usage(usage: Usage, attributes: Attributes) -> None:
    if usage.input is not None:
        attributes[names.INPUT_SOURCE] = usage.input.source.value
        _add(usage.input, _input_name(usage.input), attributes)
        if usage.reported is not None and usage.input.source is Source.REPORTED:
            _copy_parts(usage.reported, names.INPUT_DETAILS, attributes)
    if usage.output is not None:
        attributes[names.OUTPUT_SOURCE] = usage.output.source.value
        _add(usage.output, _output_name(usage.output), attributes)
        if usage.reported is not None and usage.output.source is Source.REPORTED:
            _copy_parts(usage.reported, names.OUTPUT_DETAILS, attributes)
    if usage.counted_input is not None:
        _add(usage.counted_input, names.COUNTED_INPUT, attributes)
    if usage.counted_output is not None:
        _add(usage.counted_output, names.COUNTED_OUTPUT, attributes)


def _add(count: Count, name: str, attributes: Attributes) -> None:
    attributes[name] = count.tokens
    if count.encoding is not None:
        attributes[names.ENCODING] = count.encoding


def _input_name(count: Count) -> str:
    return names.INPUT_TOKENS if is_conventional(count) else names.APPROXIMATED_INPUT


def _output_name(count: Count) -> str:
    if is_conventional(count):
        return names.OUTPUT_TOKENS
    return names.VISIBLE_OUTPUT if count.source is Source.VISIBLE else names.APPROXIMATED_OUTPUT


def is_conventional(count: Count) -> bool:
    """Whether ``count`` is good enough to stand under a ``gen_ai.*`` name."""
    return count.source is Source.REPORTED or count.source is Source.COUNTED
