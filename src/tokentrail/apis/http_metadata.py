"""Metadata of a call's HTTP exchange: request id, retries, rate limits.

It is read where an answer or error has its headers at hand: raw answers, streams, and errors with
a status. A plain answer has only its request id, which the recorder reads. Nothing is requested for
this, and no object of the application is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tokentrail.apis.content_filter import read_refusal
from tokentrail.apis.values import telemetry_str
from tokentrail.model.records import ContentFilter, HttpMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_FAILED: Final = 400
"""Statuses from this one on are not answers."""
_RAW: Final = "x-stainless-raw-response"
_INTEGER: Final = re.compile(r"\d{1,18}")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_PLAIN: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?")


def integer(text: str) -> int | None:
    """Return the integer in a header's text."""
    return int(text) if _INTEGER.fullmatch(text) else None


def seconds(text: str) -> float | None:
    """Return the seconds of ``6m0s``, ``120ms`` or a bare number."""
    if _PLAIN.fullmatch(text):
        return float(text)
    spans = _SPAN.findall(text)
    if not spans or "".join(map("".join, spans)) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in spans)


def _milliseconds(text: str) -> float | None:
    return float(text) / 1000 if _PLAIN.fullmatch(text) else None


_RESPONSE_HEADERS: Final[Mapping[bytes, tuple[str, Callable[[str], object]]]] = {
    b"x-request-id": ("request_id", telemetry_str),
    b"x-ratelimit-limit-requests": ("requests_limit", integer),
    b"x-ratelimit-remaining-requests": ("requests_remaining", integer),
    b"x-ratelimit-reset-requests": ("requests_reset", seconds),
    b"x-ratelimit-limit-tokens": ("tokens_limit", integer),
    b"x-ratelimit-remaining-tokens": ("tokens_remaining", integer),
    b"x-ratelimit-reset-tokens": ("tokens_reset", seconds),
    b"retry-after": ("retry_after", seconds),
    b"retry-after-ms": ("retry_after", _milliseconds),
}
_REQUEST_HEADERS: Final[Mapping[bytes, tuple[str, Callable[[str], object]]]] = {
    b"x-stainless-retry-count": ("retries", integer),
}
"""Headers of answers and of requests, with the field and the reader of each."""


def is_raw(headers: object) -> bool:
    """Return whether the headers of a request select a raw or streaming response."""
    return isinstance(headers, Mapping) and any(str(name).lower() == _RAW for name in headers)


def metadata_of_response(response: object) -> HttpMetadata | None:
    """Return the metadata in the headers of an HTTP response and its request."""
    known: dict[str, Any] = {}
    _read(response, _RESPONSE_HEADERS, known)
    _read(getattr(response, "_request", None), _REQUEST_HEADERS, known)
    return HttpMetadata(**known) if known else None


def metadata_of_error(error: BaseException) -> HttpMetadata | None:
    """Return the metadata of the exchange that ended with an error of the client."""
    given = vars(error)
    response = given.get("response")
    known: dict[str, Any] = {}
    _read(response, _RESPONSE_HEADERS, known)
    _read(given.get("request") or getattr(response, "_request", None), _REQUEST_HEADERS, known)
    refusal: ContentFilter | None = read_refusal(given.get("body"))
    if refusal is not None:
        known["content_filter"] = refusal
    return HttpMetadata(**known) if known else None


def with_account(known: HttpMetadata | None, headers: object) -> HttpMetadata | None:
    """Return the metadata ``known``, with the account named in the headers of the answer."""
    if not isinstance(headers, Mapping):
        return known
    organization = telemetry_str(headers.get("openai-organization"))
    project = telemetry_str(headers.get("openai-project"))
    if organization is None and project is None:
        return known
    return replace(known or HttpMetadata(), organization=organization, project=project)


def headers_of_error(error: BaseException) -> object:
    """Return the headers of the answer in an error of the client."""
    return getattr(vars(error).get("response"), "headers", None)


def answer_in_error(error: BaseException) -> object:
    """Return the answer in an error: one that arrived but that the client could not read."""
    given = vars(error)
    status, body = given.get("status_code"), given.get("body")
    answered = type(status) is int and status < _FAILED
    return body if answered and isinstance(body, dict) else None


def chunk_in_error(error: BaseException) -> Mapping[str, object] | None:
    """Return the chunk that made the client raise, as received: it may contain the usage.

    The client turns a chunk with an error into an exception, which has only the error.
    """
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "__stream__":
            chunk = trace.tb_frame.f_locals.get("data")
            if isinstance(chunk, dict) and chunk.get("error"):
                return chunk
        trace = trace.tb_next
    return None


def is_page(response: object) -> bool:
    """Whether an HTTP response declares a body other than events: an HTML page, JSON, text."""
    given = _content_type(response)
    return given is not None and "event-stream" not in given


def is_json(response: object) -> bool:
    """Whether an HTTP response declares itself JSON."""
    return "json" in (_content_type(response) or "")


def _content_type(response: object) -> str | None:
    headers = getattr(response, "headers", None)
    given = headers.get("content-type") if isinstance(headers, Mapping) else None
    return given.lower() if isinstance(given, str) else None


def _read(
    message: object,
    table: Mapping[bytes, tuple[str, Callable[[str], object]]],
    known: dict[str, Any],
) -> None:
    """Read the headers of ``message`` that the table lists, in one pass."""
    pairs: Iterable[tuple[bytes, bytes]] = getattr(getattr(message, "headers", None), "raw", ())
    for name, value in pairs:
        row = table.get(name.lower())
        if row is not None:
            field, read = row
            found = read(value.decode("latin-1").strip())
            if found is not None:
                known[field] = found
