"""What the spans of calls that are alike share, made for the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokentrail.telemetry import spans

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tokentrail.model.records import Operation, Request
    from tokentrail.telemetry.spans import Attributes


class SpanTemplate:
    """Calls that ask for the same, but for their prompts, ids and whose they are."""

    __slots__ = ("asked", "name", "request", "started")

    def __init__(self, request: Request) -> None:
        self.request = None if request.prompt is not None else request
        """The first of them, if it says nothing of what was asked."""
        self.name = spans.name(request)
        """Of their spans."""
        self.started = spans.request_attributes(request)
        """What their spans bear from the start, and ..."""
        self.asked = spans.end_request_attributes(request)
        """... at the end."""


class SpanTemplates:
    """Finds what is kept of calls like one."""

    def __init__(self) -> None:
        self._templates: dict[Hashable, SpanTemplate] = {}
        self._known: dict[int, SpanTemplate] = {}
        """By the id of a request that is kept: what is alike is often the very same."""
        self._ended: dict[Hashable, Attributes] = {}

    def of(self, request: Request) -> SpanTemplate:
        """Return the template of calls that ``request`` is of."""
        template = self._known.get(id(request))
        if template is not None and template.request is request:
            return template
        endpoint = request.endpoint
        key = (spans.template_key(request), endpoint.key, endpoint.provider)
        template = self._templates.get(key)
        if template is None:
            if len(self._templates) >= spans.MAX_TEMPLATES:
                self._templates.clear()
                self._known.clear()
            template = self._templates[key] = SpanTemplate(request)
            if template.request is not None:
                self._known[id(request)] = template
        return template

    def end_attributes(self, template: SpanTemplate, operation: Operation) -> Attributes:
        """Return what spans of that template bear that ended like this one, not to be changed."""
        response, usage = operation.response, operation.usage
        given, made = usage.input, usage.output
        key = (
            template,
            None if response is None else spans.response_key(response),
            operation.outcome,
            operation.error_type,
            operation.usage_request,
            None if given is None else given.source,
            None if made is None else made.source,
        )
        attributes = self._ended.get(key)
        if attributes is None:
            return spans.remember(
                self._ended, key, spans.shared_end_attributes(operation, template.asked)
            )
        return attributes
