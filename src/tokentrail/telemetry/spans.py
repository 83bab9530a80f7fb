"""The span of a call, and the attributes that spans of similar calls share."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import Status, StatusCode

from tokentrail.apis.values import MAX_CHARS
from tokentrail.model.records import ID_FIELDS, REPORTED, Source
from tokentrail.support.bounded import BoundedCache
from tokentrail.telemetry import semconv

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from tokentrail.content import Content
    from tokentrail.model.records import (
        CallCost,
        Count,
        HttpMetadata,
        Operation,
        Reported,
        Request,
        Response,
        ToolUse,
        Transcription,
        Usage,
    )

    Attributes = dict[str, AttributeValue]
    from tokentrail.telemetry import content_attributes, explanation
else:
    from tokentrail.support.lazy import LateModule

    content_attributes = LateModule("telemetry.content_attributes")
    explanation = LateModule("telemetry.explanation")


class _Columns:
    """Fields of a record, with the attribute name of each."""

    def __init__(
        self,
        table: tuple[tuple[str, str], ...],
        *,
        without: Collection[str] = (),
        zeros: bool = True,
    ) -> None:
        """``without``: fields to leave out. ``zeros``: whether values of 0 are recorded."""
        rows = [row for row in table if row[0] not in without]
        self.fields = tuple(field for field, _ in rows)
        self.read: Callable[[Any], tuple[Any, ...]] = attrgetter(*self.fields)
        """Returns the values of a record's fields."""
        self._zeros = zeros
        self._names = tuple(name for _, name in rows)

    def named(self, values: tuple[Any, ...]) -> Attributes:
        """Return the attributes for these values of the fields."""
        pairs, zeros = zip(self._names, values, strict=True), self._zeros
        return {name: value for name, value in pairs if value or (zeros and value is not None)}


_REQUEST: Final = _Columns(semconv.REQUEST_ATTRIBUTES, without=ID_FIELDS)
_REQUEST_IDS: Final = _Columns(
    tuple(row for row in semconv.REQUEST_ATTRIBUTES if row[0] in ID_FIELDS)
)
_RESPONSE: Final = _Columns(semconv.RESPONSE_ATTRIBUTES, without=("id", "conversation_id"))
_HTTP: Final = _Columns(semconv.HTTP_ATTRIBUTES, without=("request_id",))
_FILTER: Final = _Columns(semconv.FILTER_ATTRIBUTES)
_INPUT_DETAILS: Final = _Columns(semconv.INPUT_DETAILS, zeros=False)
_OUTPUT_DETAILS: Final = _Columns(semconv.OUTPUT_DETAILS, zeros=False)
_NO_IDS: Final = (None,) * len(ID_FIELDS)
template_key: Final = attrgetter("operation", "model", "stream", *_REQUEST.fields)
"""Returns a key that is equal for requests whose spans have equal attributes, except for ids."""
response_key: Final = _RESPONSE.read
"""Returns a key that is equal for answers whose spans have equal attributes, except for ids."""

_INPUT: Final = {
    Source.REPORTED: semconv.INPUT_TOKENS,
    Source.COUNTED: semconv.INPUT_TOKENS,
    Source.CALIBRATED: semconv.INPUT_TOKENS,
    Source.VISIBLE: semconv.APPROXIMATED_INPUT,
    Source.APPROXIMATED: semconv.APPROXIMATED_INPUT,
}
_OUTPUT: Final = {
    Source.REPORTED: semconv.OUTPUT_TOKENS,
    Source.COUNTED: semconv.OUTPUT_TOKENS,
    Source.CALIBRATED: semconv.OUTPUT_TOKENS,
    Source.VISIBLE: semconv.VISIBLE_OUTPUT,
    Source.APPROXIMATED: semconv.APPROXIMATED_OUTPUT,
}
"""The attribute of a token count, by its source."""
CONVENTIONAL: Final = frozenset({Source.REPORTED, Source.COUNTED, Source.CALIBRATED})
"""The sources that are accurate enough for a ``gen_ai.*`` name."""


def start_attributes(request: Request) -> Attributes:
    """Return the attributes that a span has from its start, where a sampler can see them."""
    return {**dict(request.attribution), **request_attributes(request)}


def request_attributes(request: Request) -> Attributes:
    """Return the same attributes without the application's own attribution."""
    attributes: Attributes = {semconv.OPERATION_NAME: request.operation}
    attributes[semconv.PROVIDER_NAME] = request.endpoint.provider
    if request.model is not None:
        attributes[semconv.REQUEST_MODEL] = request.model
    if request.endpoint.address is not None:
        attributes[semconv.SERVER_ADDRESS] = request.endpoint.address
        if request.endpoint.port is not None:
            attributes[semconv.SERVER_PORT] = request.endpoint.port
    return attributes


def name(request: Request) -> str:
    """Return the name of a span."""
    of = request.model or request.data_source_id
    return request.operation if of is None else f"{request.operation} {of}"[:MAX_CHARS]


def finish(
    span: Span,
    operation: Operation,
    shared: Attributes | None,
    content: Content | None,
    learned: Attributes,
) -> None:
    """Record the operation on ``span`` and end it at the operation's own end time.

    ``shared``: as in :func:`end_attributes`. ``content``: the content, if spans record it; the
    status then has the exception's message. ``learned``: attributes that only others know.
    """
    try:
        if span.is_recording():
            span.set_attributes(end_attributes(operation, shared))
            if learned:
                span.set_attributes(learned)
            if operation.error_type is not None:
                span.set_status(Status(StatusCode.ERROR, _description(operation, content)))
            if content is not None:
                span.set_attributes(content_attributes.content_attributes_json(content))
    finally:
        span.end(operation.end_time)


def _description(operation: Operation, content: Content | None) -> str | None:
    if content is None or operation.raised is None:
        return operation.error_description
    return operation.raised.message or operation.error_description


def end_attributes(operation: Operation, shared: Attributes | None = None) -> Attributes:
    """Return the attributes that a span gets at its end, except content.

    ``shared``: the result of :func:`shared_end_attributes`, if it is known already.
    """
    response, http = operation.response, operation.http
    if shared is None:
        shared = shared_end_attributes(operation, end_request_attributes(operation.request))
    attributes = shared.copy()
    request, ids = operation.request, _REQUEST_IDS.read(operation.request)
    if ids != _NO_IDS or request.prompt_name is not None:
        _add_own(request, ids, attributes)
    if response is not None:
        if response.id is not None:
            attributes[semconv.RESPONSE_ID] = response.id
        if response.conversation_id is not None:
            attributes[semconv.CONVERSATION_ID] = response.conversation_id
        if response.content_filter is not None or response.cache_miss_reason is not None:
            _add_findings(response, attributes)
    if http is not None:
        _add_http(http, attributes)
    if operation.first_chunk is not None:
        _add_times(operation, attributes)
    explained, apart = operation.explanation, operation.tools or operation.transcriptions
    if operation.cost is not None or apart or explained is not None:
        _add_extras(operation, attributes)
    _add_usage(operation.usage, attributes)
    return attributes


def end_request_attributes(request: Request) -> Attributes:
    """Return the attributes of a request that its span gets at the end."""
    attributes = _REQUEST.named(_REQUEST.read(request))
    if request.stream:
        attributes["gen_ai.request.stream"] = True
    return attributes


def shared_end_attributes(operation: Operation, asked: Attributes) -> Attributes:
    """Return the end attributes that all similar spans share. Callers must not modify them.

    ``asked``: the attributes of the request.
    """
    usage = operation.usage
    attributes: Attributes = {semconv.OUTCOME: operation.outcome.value, **asked}
    if operation.response is not None:
        attributes.update(_RESPONSE.named(response_key(operation.response)))
    if operation.error_type is not None:
        attributes[semconv.ERROR_TYPE] = operation.error_type
    if operation.usage_request is not None:
        attributes[semconv.USAGE_REQUEST] = operation.usage_request
    if usage.input is not None:
        attributes[semconv.INPUT_SOURCE] = usage.input.source.value
    if usage.output is not None:
        attributes[semconv.OUTPUT_SOURCE] = usage.output.source.value
    return attributes


def _add_own(request: Request, ids: tuple[Any, ...], attributes: Attributes) -> None:
    """Add the ids of the request, and the model of a stored prompt, taken from the answer."""
    if request.prompt_name is not None and request.model is not None:
        attributes[semconv.REQUEST_MODEL] = request.model
    attributes.update(_REQUEST_IDS.named(ids))


def _add_findings(response: Response, attributes: Attributes) -> None:
    """Add the results of a content filter and of a prompt cache."""
    if response.content_filter is not None:
        attributes.update(_FILTER.named(_FILTER.read(response.content_filter)))
    if response.cache_miss_reason is not None:
        attributes[semconv.MISS_REASON] = response.cache_miss_reason
        attributes[semconv.MISS_REASON_SOURCE] = "server"
        if response.cache_missed_tokens is not None:
            attributes[semconv.MISSED_TOKENS] = response.cache_missed_tokens


def _add_extras(operation: Operation, attributes: Attributes) -> None:
    if operation.cost is not None:
        _add_cost(operation.cost, attributes)
    _add_tools(operation.tools, attributes)
    if operation.transcriptions:
        _add_transcriptions(operation.transcriptions, attributes)
    if operation.explanation is not None:
        attributes.update(explanation.attributes(operation.explanation))


def _add_cost(cost: CallCost, attributes: Attributes) -> None:
    if cost.amount is not None and cost.source is not None:
        attributes[semconv.COST_AMOUNT] = cost.amount
        attributes[semconv.COST_CURRENCY] = cost.currency
        attributes[semconv.COST_SOURCE] = cost.source.value
        for name in cost.names:
            attributes[name] = cost.amount
    if cost.unpriced:
        attributes[semconv.COST_UNPRICED] = cost.unpriced


def _add_tools(tools: tuple[ToolUse, ...], attributes: Attributes) -> None:
    for tool in tools:
        if tool.requests:
            attributes[semconv.TOOL_REQUESTS_OF[tool.name]] = tool.requests
        if tool.tokens is not None:
            attributes[semconv.TOOL_INPUT_TOKENS] = tool.tokens.input_tokens or 0
            attributes[semconv.TOOL_OUTPUT_TOKENS] = tool.tokens.output_tokens or 0


def _add_transcriptions(transcriptions: tuple[Transcription, ...], attributes: Attributes) -> None:
    """Add the usage of a realtime session's input transcriptions: sums of the known values."""
    for field, name in semconv.TRANSCRIPTION_ATTRIBUTES:
        known = [getattr(each.usage, field) for each in transcriptions]
        numbers = [number for number in known if number is not None]
        if numbers:
            attributes[name] = sum(numbers)
    models = [each.model for each in transcriptions if each.model is not None]
    if models:
        attributes[semconv.TRANSCRIPTION_MODEL] = models[-1]


def _add_times(operation: Operation, attributes: Attributes) -> None:
    """Add the seconds to the first chunk of a stream, and to the first with content."""
    if operation.first_chunk is not None:
        attributes[semconv.TIME_TO_FIRST_CHUNK] = operation.first_chunk
    if operation.first_content is not None:
        attributes[semconv.TIME_TO_FIRST_CONTENT] = operation.first_content


def _add_http(http: HttpMetadata, attributes: Attributes) -> None:
    if http.request_id is not None:
        attributes[semconv.REQUEST_ID] = http.request_id
    attributes.update(_HTTP.named(_HTTP.read(http)))
    if http.content_filter is not None:
        attributes.update(_FILTER.named(_FILTER.read(http.content_filter)))


def _add_usage(usage: Usage, attributes: Attributes) -> None:
    given, made, reported = usage.input, usage.output, usage.reported
    if given is not None:
        attributes[_INPUT[given.source]] = given.tokens
        if given.encoding is not None:
            attributes[semconv.ENCODING] = given.encoding
    if made is not None:
        attributes[_OUTPUT[made.source]] = made.tokens
        if made.encoding is not None:
            attributes[semconv.ENCODING] = made.encoding
    if reported is not None:
        _add_details(given, made, reported, attributes)
    if usage.counted_input is not None:
        _add(usage.counted_input, semconv.COUNTED_INPUT, attributes)
    if usage.counted_output is not None:
        _add(usage.counted_output, semconv.COUNTED_OUTPUT, attributes)


def _add_details(
    given: Count | None, made: Count | None, reported: Reported, attributes: Attributes
) -> None:
    """Add the non-zero parts of reported totals; other totals have no parts."""
    if given is not None and given.source is REPORTED:
        parts = _INPUT_DETAILS.read(reported)
        if any(parts):
            attributes.update(_INPUT_DETAILS.named(parts))
    if made is not None and made.source is REPORTED:
        parts = _OUTPUT_DETAILS.read(reported)
        if any(parts):
            attributes.update(_OUTPUT_DETAILS.named(parts))
    if reported.audio_seconds is not None:
        attributes[semconv.AUDIO_SECONDS] = reported.audio_seconds


def _add(count: Count, name: str, attributes: Attributes) -> None:
    attributes[name] = count.tokens
    if count.encoding is not None:
        attributes[semconv.ENCODING] = count.encoding


MAX_TEMPLATES: Final = 256
"""How many templates, and how many sets of end attributes, are kept."""


class SpanTemplate:
    """The shared attributes of calls that differ only in prompts, ids and attribution."""

    __slots__ = ("asked", "name", "started")

    def __init__(self, request: Request) -> None:
        self.name = name(request)
        """The name of their spans."""
        self.started = request_attributes(request)
        """The attributes that their spans have from the start."""
        self.asked = end_request_attributes(request)
        """The attributes of the request that their spans get at the end."""


class SpanTemplates:
    """Finds the template of a call."""

    def __init__(self) -> None:
        self._templates: BoundedCache[Hashable, SpanTemplate] = BoundedCache(MAX_TEMPLATES)
        """A template saves a call 4 to 6 microseconds."""
        self._ended: BoundedCache[Hashable, Attributes] = BoundedCache(MAX_TEMPLATES)

    def of(self, request: Request) -> SpanTemplate:
        """Return the template for ``request``."""
        endpoint = request.endpoint
        key = (template_key(request), endpoint.key, endpoint.provider)
        template = self._templates.get(key)
        return self._templates.keep(key, SpanTemplate(request)) if template is None else template

    def end_attributes(self, template: SpanTemplate, operation: Operation) -> Attributes:
        """Return the end attributes shared by calls like this one. Callers must not modify them."""
        response, usage = operation.response, operation.usage
        given, made = usage.input, usage.output
        key = (
            template,
            None if response is None else response_key(response),
            operation.outcome,
            operation.error_type,
            operation.usage_request,
            None if given is None else given.source,
            None if made is None else made.source,
        )
        attributes = self._ended.get(key)
        if attributes is None:
            return self._ended.keep(key, shared_end_attributes(operation, template.asked))
        return attributes
