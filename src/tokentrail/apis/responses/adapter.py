"""The responses API: creating, fetching, cancelling and compacting responses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tokentrail.apis.failures import NO_ANSWER, as_answer
from tokentrail.apis.parameters import COMMON, output_type, service_tier
from tokentrail.apis.responses.input import read_prompt
from tokentrail.apis.responses.output import feed_output, holds_compaction, read_body, read_response
from tokentrail.apis.responses.stream import EventAccumulator, FetchAccumulator
from tokentrail.apis.values import Parameters, fields, integer, is_absent, telemetry_str
from tokentrail.model.operations import CANCEL, COUNT_INPUT, FETCH, RESPONSES
from tokentrail.model.records import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokentrail.model.records import Endpoint, TextSink


def _conversation_id(conversation: object) -> str | None:
    """Return the id, which may be bare or ``{"id"}``."""
    return telemetry_str(conversation) or telemetry_str(fields(conversation).get("id"))


def _is_set(given: object) -> bool | None:
    return True if given is True else None


def _is_given(value: object) -> bool | None:
    return None if is_absent(value) else True


def _effort(reasoning: object) -> str | None:
    return telemetry_str(fields(reasoning).get("effort"))


def _template(prompt: object) -> str | None:
    return telemetry_str(fields(prompt).get("id"))


def _template_version(prompt: object) -> str | None:
    return telemetry_str(fields(prompt).get("version"))


_PARAMETERS: Final = Parameters(
    *COMMON,
    ("max_output_tokens", "max_tokens", integer),
    ("reasoning", "reasoning_level", _effort),
    ("service_tier", "service_tier", service_tier),
    ("prompt_cache_key", "cache_key", telemetry_str),
    ("conversation", "conversation_id", _conversation_id),
    ("previous_response_id", "previous_response_id", telemetry_str),
    ("background", "background", _is_set),
    ("prompt", "prompt_name", _template),
    ("prompt", "prompt_version", _template_version),
    ("input", "compacted", holds_compaction),
    ("context_management", "inexact_output", _is_given),
)


class ResponsesAdapter:
    """``responses.create`` and ``parse``."""

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments of a call."""
        return _PARAMETERS.read(
            arguments,
            operation=RESPONSES.name,
            api=RESPONSES.api,
            endpoint=endpoint,
            output_type=_output_type(arguments),
            prompt=read_prompt(arguments) if prompt else None,
        )

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a ``Response``."""
        given = as_answer(answer)
        if given is None:
            return NO_ANSWER
        if sink is not None:
            feed_output(given.get("output"), sink)
        return _read(given, answer)

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> EventAccumulator:
        """Return an empty accumulator of ``ResponseStreamEvent``."""
        return EventAccumulator(sink)


class CompactAdapter(ResponsesAdapter):
    """``responses.compact``: a model writes an encrypted summary of a conversation.

    It is an inference like any other, with its own usage. Its output cannot be read or counted.
    """

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments of a call."""
        return replace(
            super().parse_request(endpoint, arguments, prompt=prompt), inexact_output=True
        )


class TokenCountAdapter(ResponsesAdapter):
    """``responses.input_tokens.count``: the server counts; nothing is generated or billed.

    The conventions do not name this operation. The number is the answer, not usage.
    """

    def parse_request(
        self, endpoint: Endpoint, arguments: Mapping[str, object], *, prompt: bool = True
    ) -> Request:
        """Read the keyword arguments of a call."""
        asked = super().parse_request(endpoint, arguments, prompt=prompt)
        return replace(asked, operation=COUNT_INPUT.name, prompt=None)

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read nothing: an ``InputTokenCountResponse`` is only a number."""
        return Response()


class FetchAdapter:
    """``responses.retrieve``, and other calls that return a response created earlier.

    The usage is recorded if no other call could record it (see :mod:`tokentrail.usage.background`).
    An earlier failure of the response is not an error of this call. Nothing is counted, so no sink
    is used.
    """

    operation = FETCH.name

    def parse_request(
        self,
        endpoint: Endpoint,
        arguments: Mapping[str, object],
        *,
        prompt: bool = True,
    ) -> Request:
        """Read the arguments; a positional ``response_id`` must be passed here by its name."""
        get = arguments.get
        cursor = integer(get("starting_after"))
        return Request(
            operation=self.operation,
            api=FETCH.api,
            endpoint=endpoint,
            stream=bool(get("stream")),
            response_id=telemetry_str(get("response_id")),
            stream_cursor=None if cursor is None else str(cursor),
            fetches=True,
        )

    def parse_response(self, answer: object, sink: TextSink | None) -> Response:
        """Read a ``Response``."""
        given = as_answer(answer)
        if given is None:
            return NO_ANSWER
        known = _read(given, answer)
        is_response = None not in {known.id, known.status} or not known.unanswered
        return replace(
            known,
            compacted=None,
            background=given.get("background") is True,
            error_type=None if is_response else known.error_type,
        )

    def stream_accumulator(self, request: Request, sink: TextSink | None) -> FetchAccumulator:
        """Return an empty accumulator of ``ResponseStreamEvent``."""
        return FetchAccumulator(None)


class CancelAdapter(FetchAdapter):
    """``responses.cancel``, which returns the current state of the response."""

    operation = CANCEL.name


def _read(given: Mapping[str, object], answer: object) -> Response:
    """Read the fields of an answer; text without fields is an unread stream."""
    return read_response(given) if isinstance(answer, (str, bytes)) else read_body(given)


def _output_type(arguments: Mapping[str, object]) -> str | None:
    """Return the output type; a class passed to ``parse`` overrides ``text``, as in the client."""
    asked = output_type(arguments.get("text_format"))
    return asked or output_type(fields(arguments.get("text")).get("format"))
